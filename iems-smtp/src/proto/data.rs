//! The mail data of `DATA`: dot-stuffing and its end (RFC 5321 sections 4.1.1.4 and 4.5.2).
//!
//! The end is CRLF `.` CRLF and nothing else. A bare CR or bare LF neither ends a line nor the data; a message that
//! holds one is marked ([`DataDecoder::is_broken`]), read to its real end, and must be refused: what two servers
//! read differently can hide a second message (SMTP smuggling). NUL and all other octets pass
//! unchanged: section 4.5.2 has every ASCII character delivered, and who keeps a message must cope with RFC 5322's
//! obsolete forms.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::memchr2;

pub use iems_core::message::LineEnds;

/// What the decoder found next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Octets of the message. A slice of the input: nothing is copied.
    Octets(Bytes),
    /// The end of the data. What follows in the input is the next command.
    End,
}

/// Reads mail data out of a buffer. Leaves at most two octets in it that cannot be judged yet.
#[derive(Debug, Clone)]
pub struct DataDecoder {
    line_start: bool,
    broken: bool,
}

impl Default for DataDecoder {
    /// A decoder that stands behind the line `DATA`.
    fn default() -> Self {
        Self { line_start: true, broken: false }
    }
}

impl DataDecoder {
    /// Whether a bare CR or LF was seen. From then on no octets come out, only the end.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The next piece, or `None` if more input is needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Piece> {
        let mut at = 0;
        loop {
            if self.line_start {
                match &input[at..] {
                    [] | [b'.'] | [b'.', b'\r'] => return self.emit(input, at),
                    [b'.', ..] if at > 0 && !self.broken => return self.emit(input, at),
                    [b'.', b'\r', b'\n', ..] => {
                        input.advance(at + 3);
                        return Some(Piece::End);
                    }
                    [b'.', ..] => {
                        input.advance(at + 1);
                        at = 0;
                    }
                    _ => {}
                }
                self.line_start = false;
            }
            let Some(found) = memchr2(b'\r', b'\n', &input[at..]) else {
                return self.emit(input, input.len());
            };
            at += found;
            match (input[at], input.get(at + 1)) {
                (b'\r', Some(b'\n')) => {
                    self.line_start = true;
                    at += 2;
                }
                (b'\r', None) => return self.emit(input, at),
                _ => {
                    self.broken = true;
                    at += 1;
                }
            }
        }
    }

    fn emit(&mut self, input: &mut BytesMut, at: usize) -> Option<Piece> {
        match at {
            0 => None,
            _ if self.broken => {
                input.advance(at);
                None
            }
            _ => Some(Piece::Octets(input.split_to(at).freeze())),
        }
    }
}

/// Writes mail data: dots stuffed, every line ended by CRLF, whatever came in. NULs that stand before the dot of a line
/// are left out: a server that drops them would read that line as a stuffed one, or as the end.
#[derive(Debug, Clone)]
pub struct DataEncoder {
    line_start: bool,
    after_cr: bool,
    /// NULs at the start of this line that are not written yet.
    nuls: usize,
}

/// The most NULs at the start of a line that are kept: no line may be longer (RFC 5322 section 2.1.1).
const NULS: usize = 998;

impl Default for DataEncoder {
    fn default() -> Self {
        Self { line_start: true, after_cr: false, nuls: 0 }
    }
}

impl DataEncoder {
    /// Writes the next octets. A bare CR or LF comes out as CRLF: nothing else may end a line on the wire.
    pub fn encode(&mut self, mut octets: &[u8], out: &mut BytesMut) {
        if std::mem::take(&mut self.after_cr) && !octets.is_empty() {
            octets = octets.strip_prefix(b"\n").unwrap_or(octets);
            self.end_line(out);
        }
        while !octets.is_empty() {
            if self.line_start {
                octets = self.start_line(octets, out);
                if octets.is_empty() {
                    return;
                }
            }
            let end = memchr2(b'\r', b'\n', octets).unwrap_or(octets.len());
            out.put_slice(&octets[..end]);
            self.line_start &= end == 0;
            match (octets.get(end), octets.get(end + 1)) {
                (None, _) => return,
                (Some(b'\r'), None) => {
                    self.after_cr = true;
                    return;
                }
                (Some(b'\r'), Some(b'\n')) => octets = &octets[end + 2..],
                _ => octets = &octets[end + 1..],
            }
            self.end_line(out);
        }
    }

    /// Ends the last line, if it is open, and the data.
    pub fn finish(mut self, out: &mut BytesMut) {
        if self.after_cr || !self.line_start || self.nuls > 0 {
            out.put_bytes(0, self.nuls);
            self.end_line(out);
        }
        out.put_slice(b".\r\n");
    }

    /// Stuffs a dot at the start of a line; gives what follows the NULs there.
    fn start_line<'a>(&mut self, octets: &'a [u8], out: &mut BytesMut) -> &'a [u8] {
        let nuls = octets.iter().take_while(|octet| **octet == 0).count();
        self.nuls = (self.nuls + nuls).min(NULS);
        let rest = &octets[nuls..];
        match rest.first() {
            None => return rest,
            Some(b'.') => out.put_u8(b'.'),
            Some(_) => out.put_bytes(0, self.nuls),
        }
        self.nuls = 0;
        rest
    }

    fn end_line(&mut self, out: &mut BytesMut) {
        out.put_slice(b"\r\n");
        self.line_start = true;
        self.after_cr = false;
    }
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
