//! Replies: `+OK` and `-ERR` lines (RFC 1939 section 3), with response codes (RFC 2449 section 8, RFC 3206).

use bytes::{BufMut, BytesMut};

/// A response code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// Another session has the maildrop.
    InUse,
    /// Too soon after the last session.
    LoginDelay,
    /// Login or password are wrong.
    Auth,
    /// The server has trouble that passes.
    Temporary,
}

impl Code {
    const fn text(self) -> &'static str {
        match self {
            Self::InUse => "[IN-USE] ",
            Self::LoginDelay => "[LOGIN-DELAY] ",
            Self::Auth => "[AUTH] ",
            Self::Temporary => "[SYS/TEMP] ",
        }
    }
}

/// Writes `+OK text`.
pub(super) fn ok(output: &mut BytesMut, text: &str) {
    line(output, "+OK ", "", text);
}

/// Writes `-ERR text`.
pub(super) fn error(output: &mut BytesMut, code: Option<Code>, text: &str) {
    line(output, "-ERR ", code.map(Code::text).unwrap_or_default(), text);
}

/// Writes `+ challenge` (RFC 5034 section 4).
pub(super) fn challenge(output: &mut BytesMut, base64: &str) {
    line(output, "+ ", "", base64);
}

fn line(output: &mut BytesMut, status: &str, code: &str, text: &str) {
    for part in [status, code, text, "\r\n"] {
        output.put_slice(part.as_bytes());
    }
}
