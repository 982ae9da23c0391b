//! Lines of a dialogue: out of a buffer, ended by CRLF and by nothing else.
//!
//! A bare CR or bare LF never ends a line (RFC 5321 section 2.3.8); the line that holds one is refused
//! as soon as it is seen, and the rest of it, up to CRLF, is read away. So is a line over its limit.

use bytes::{Buf, BytesMut};

/// The most octets of a line of an authentication exchange, CRLF included (RFC 4954 section 4).
pub const AUTH_LIMIT: usize = 12_288;

/// Why a line is refused. The reader has read it away, or goes on doing so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It holds a CR or LF that is not part of CRLF.
    #[error("a bare CR or LF in the line")]
    BareLineEnd,
    /// It is longer than its limit.
    #[error("the line is too long")]
    TooLong,
}

/// Takes lines out of a buffer. Never holds more than one limit of octets.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineReader {
    discarding: Discard,
    seen: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Discard {
    #[default]
    No,
    /// Refused already; the rest is dropped in silence.
    Told,
    /// Refused at its end.
    TooLong,
}

impl LineReader {
    /// Looks for the next line. `Ok` is its length without CRLF: it stands at the front of `input`, and the caller takes it
    /// out with [`LineReader::take`]. `None`: more octets are needed. `limit` gives the most octets, CRLF included, for
    /// a line with the given beginning.
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        limit: impl Fn(&[u8]) -> usize,
    ) -> Option<Result<usize, LineError>> {
        if self.discarding != Discard::No {
            let refused = self.discard(input)?;
            if let Some(error) = refused {
                return Some(Err(error));
            }
        }
        let at = memchr::memchr2(b'\r', b'\n', &input[self.seen..]).map_or(input.len(), |at| at + self.seen);
        let limit = limit(input);
        if at >= limit {
            self.drop_front(input, at);
            self.discarding = Discard::TooLong;
            return self.discard(input)?.map(Err);
        }
        match (input.get(at), input.get(at + 1)) {
            (None, _) | (Some(b'\r'), None) => {
                self.seen = at;
                None
            }
            (Some(b'\r'), Some(b'\n')) if at + 2 > limit => {
                self.drop_front(input, at + 2);
                Some(Err(LineError::TooLong))
            }
            (Some(b'\r'), Some(b'\n')) => {
                self.seen = at;
                Some(Ok(at))
            }
            _ => {
                self.drop_front(input, at + 1);
                self.discarding = Discard::Told;
                Some(Err(LineError::BareLineEnd))
            }
        }
    }

    /// Takes the line out that was found.
    pub fn take(&mut self, input: &mut BytesMut) {
        self.drop_front(input, (self.seen + 2).min(input.len()));
    }

    /// Whether a line has begun and not ended.
    pub fn is_inside(&self, input: &BytesMut) -> bool {
        !input.is_empty() || self.discarding != Discard::No
    }

    /// Drops up to CRLF. `None`: more is needed. `Some(None)`: done, nothing more to say.
    fn discard(&mut self, input: &mut BytesMut) -> Option<Option<LineError>> {
        match memchr::memmem::find(input, b"\r\n") {
            Some(at) => {
                self.drop_front(input, at + 2);
                let told = std::mem::take(&mut self.discarding) == Discard::Told;
                Some((!told).then_some(LineError::TooLong))
            }
            None => {
                let tail = usize::from(input.last() == Some(&b'\r'));
                self.drop_front(input, input.len() - tail);
                None
            }
        }
    }

    fn drop_front(&mut self, input: &mut BytesMut, octets: usize) {
        self.seen = 0;
        input.advance(octets);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// All lines of `octets`, fed in pieces of `piece`.
    fn lines(octets: &[u8], piece: usize) -> Vec<Result<Bytes, LineError>> {
        let (mut reader, mut input, mut out) = (LineReader::default(), BytesMut::new(), Vec::new());
        for chunk in octets.chunks(piece) {
            input.extend_from_slice(chunk);
            while let Some(line) = reader.next(&mut input, |_| 16) {
                out.push(line.map(|length| Bytes::copy_from_slice(&input[..length])));
                if line.is_ok() {
                    reader.take(&mut input);
                }
            }
            assert!(input.len() <= 16, "bounded");
        }
        out
    }

    #[test]
    fn only_crlf_ends_a_line() {
        use LineError::*;
        let ok = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        for (octets, expected) in [
            ("A\r\nB\r\n", vec![ok("A"), ok("B")]),
            ("A\nB\r\nC\r\n", vec![Err(BareLineEnd), ok("C")]),
            ("A\rB\r\nC\r\n", vec![Err(BareLineEnd), ok("C")]),
            ("A\r\r\nC\r\n", vec![Err(BareLineEnd), ok("C")]),
            ("\n\r\nC\r\n", vec![Err(BareLineEnd), ok("C")]),
            ("A\n\nB\n", vec![Err(BareLineEnd)]),
            ("0123456789abcdefXYZ\r\nC\r\n", vec![Err(TooLong), ok("C")]),
            ("0123456789abcd\r\nC\r\n", vec![ok("0123456789abcd"), ok("C")]),
            ("0123456789abcde\r\nC\r\n", vec![Err(TooLong), ok("C")]),
            ("0123456789abcdefghijk\nMAIL\r\nC\r\n", vec![Err(TooLong), ok("C")]),
            ("\r\n", vec![ok("")]),
            ("0123456789abcdef\rx\r\nC\r\n", vec![Err(TooLong), ok("C")]),
            ("0123456789abcde\rx\r\nC\r\n", vec![Err(BareLineEnd), ok("C")]),
        ] {
            for piece in 1..=40 {
                assert_eq!(lines(octets.as_bytes(), piece), expected, "{octets:?} by {piece}");
            }
        }
    }
}
