//! The messages of `APPEND` and `REPLACE` as they arrive: never whole in memory.
//!
//! After the command: for each message [`AppendPart::Message`], its content, [`AppendPart::MessageEnd`]; then
//! [`AppendPart::End`]. The content is one literal (RFC 9051 section 6.3.12), or, with `CATENATE` (RFC 4469),
//! literals and URLs in the order in which they make up the message. Several messages are MULTIAPPEND (RFC 3502).

use bytes::Bytes;

use super::{DateTime, Flag};

/// A piece of what follows an `APPEND` or `REPLACE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendPart {
    /// A message begins.
    Message {
        /// Its flags.
        flags: Vec<Flag>,
        /// Its internal date, if given.
        date: Option<DateTime>,
        /// Whether it is put together from parts (RFC 4469).
        catenate: bool,
    },
    /// A literal begins. Nothing comes until the decoder is told to accept or refuse it.
    Literal(LiteralInfo),
    /// Octets of the literal.
    Piece(Bytes),
    /// The literal is whole.
    LiteralEnd,
    /// `URL` of `CATENATE` (RFC 4469 section 3).
    Url(String),
    /// The message is whole.
    MessageEnd,
    /// The command is whole; its answer is due.
    End,
}

/// What is announced of a literal (RFC 9051 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiteralInfo {
    /// Its length in octets.
    pub octets: u64,
    /// Whether the client waits for leave to send it (`{n}`), or sends at once (`{n+}`, RFC 7888).
    pub sync: bool,
    /// Whether it may hold NUL: `~{n}` (RFC 3516).
    pub binary: bool,
    /// Whether it stands in `UTF8 (...)`: its header may be UTF-8 (RFC 6855 section 4).
    pub utf8: bool,
}
