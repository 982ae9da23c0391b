//! Replies (RFC 5321 section 4.2, RFC 2034): written by a server, read by a client.

use bytes::{Buf, BufMut, BytesMut};
use iems_core::message::{EnhancedStatus, Reply};

/// Longest text of one line that is written, in octets.
const TEXT: usize = 480;

/// Writes one reply: `code enhanced text`, in ASCII; a text too long for one line takes several.
pub fn write(out: &mut BytesMut, reply: &Reply) {
    write_text(out, reply, &reply.text);
}

/// Writes one reply with a name behind its text, under which the log has more: `code enhanced text [name]`.
pub fn write_traced(out: &mut BytesMut, reply: &Reply, name: &str) {
    write_text(out, reply, &format!("{} [{name}]", reply.text.trim_end()));
}

fn write_text(out: &mut BytesMut, reply: &Reply, text: &str) {
    let text: Vec<u8> = text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect();
    let mut lines = text.chunks(TEXT).peekable();
    loop {
        let line = lines.next().unwrap_or_default();
        let more = lines.peek().is_some();
        put_code(out, reply.code, more);
        put_status(out, reply.enhanced);
        out.put_slice(line);
        out.put_slice(b"\r\n");
        if !more {
            return;
        }
    }
}

/// Writes the lines of a reply without enhanced code, such as that to `EHLO`. At least one line comes out.
pub fn write_lines<'a>(out: &mut BytesMut, code: u16, lines: impl IntoIterator<Item = &'a str>) {
    let mut lines = lines.into_iter().peekable();
    loop {
        let line = lines.next().unwrap_or_default();
        let more = lines.peek().is_some();
        put_code(out, code, more);
        out.put_slice(line.as_bytes());
        out.put_slice(b"\r\n");
        if !more {
            return;
        }
    }
}

fn put_code(out: &mut BytesMut, code: u16, more: bool) {
    let code = code.clamp(200, 599);
    let digit = |n: u16| b'0' + (n % 10) as u8;
    out.put_slice(&[digit(code / 100), digit(code / 10), digit(code), if more { b'-' } else { b' ' }]);
}

fn put_status(out: &mut BytesMut, status: EnhancedStatus) {
    use std::fmt::Write;
    // Writing into a buffer that grows cannot fail.
    let _ = write!(out, "{status} ");
}

/// A reply as a client read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The reply code, 200 to 599.
    pub code: u16,
    /// The enhanced code of the first line, if it has one whose class agrees with the code.
    pub enhanced: Option<EnhancedStatus>,
    /// The texts of the lines, without codes. Never empty; octets that are not UTF-8 are replaced.
    pub lines: Vec<String>,
}

impl Response {
    /// Whether the code is 2xx.
    pub fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether the code is 3xx: the server waits for more.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// The same in the engine's terms; without an enhanced code it says `x.0.0`.
    pub fn to_reply(&self) -> Reply {
        let class = (self.code / 100) as u8;
        Reply::new(
            self.code,
            self.enhanced.unwrap_or(EnhancedStatus::new(class, 0, 0)),
            self.lines.join(" ").trim_end(),
        )
    }
}

/// What came is not a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// A line does not begin with a code from 200 to 599 followed by a space, a hyphen or its end.
    #[error("not an SMTP reply: {0:?}")]
    Malformed(String),
    /// The lines of one reply have different codes.
    #[error("the lines of one reply have different codes: {0} and {1}")]
    Mixed(u16, u16),
    /// A line is over [`ResponseDecoder::LINE`] octets, or a reply over [`ResponseDecoder::LINES`] lines.
    #[error("the reply is too long")]
    TooLong,
}

/// Reads replies out of a buffer, line by line. After an error the connection is of no further use.
#[derive(Debug, Clone, Default)]
pub struct ResponseDecoder {
    code: u16,
    lines: Vec<String>,
}

impl ResponseDecoder {
    /// Longest line in octets, with its end. RFC 5321 says 512; servers exceed it.
    pub const LINE: usize = 4096;
    /// Most lines of one reply.
    pub const LINES: usize = 256;

    /// The next reply, or `None` if more input is needed. A line ends at LF; a CR before it is cut off.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Response>, ResponseError> {
        while let Some(at) = memchr::memchr(b'\n', input) {
            if at >= Self::LINE || self.lines.len() >= Self::LINES {
                return Err(ResponseError::TooLong);
            }
            let line = &input[..at];
            let last = self.line(line.strip_suffix(b"\r").unwrap_or(line))?;
            input.advance(at + 1);
            if last {
                return Ok(Some(self.take()));
            }
        }
        if input.len() > Self::LINE { Err(ResponseError::TooLong) } else { Ok(None) }
    }

    /// Takes in one line; says whether it is the last.
    fn line(&mut self, line: &[u8]) -> Result<bool, ResponseError> {
        let malformed = || ResponseError::Malformed(String::from_utf8_lossy(line).chars().take(80).collect());
        let (digits, rest) = line.split_at_checked(3).ok_or_else(malformed)?;
        let code = match digits {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return Err(malformed()),
        };
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(malformed()),
        };
        if !self.lines.is_empty() && self.code != code {
            return Err(ResponseError::Mixed(self.code, code));
        }
        self.code = code;
        self.lines.push(String::from_utf8_lossy(text).into_owned());
        Ok(last)
    }

    fn take(&mut self) -> Response {
        let (code, mut lines) = (self.code, std::mem::take(&mut self.lines));
        let enhanced = lines.first().and_then(|line| status(code, line));
        if let Some(status) = enhanced {
            lines.iter_mut().for_each(|line| strip_status(line, status));
        }
        Response { code, enhanced, lines }
    }
}

fn status(code: u16, line: &str) -> Option<EnhancedStatus> {
    let word = line.split(' ').next().unwrap_or_default();
    word.parse().ok().filter(|status: &EnhancedStatus| u16::from(status.class()) == code / 100)
}

fn strip_status(line: &mut String, status: EnhancedStatus) {
    let status = status.to_string();
    if let Some(rest) = line.strip_prefix(&status).filter(|r| r.is_empty() || r.starts_with(' ')) {
        *line = rest.trim_start_matches(' ').into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, piece: usize) -> Result<Vec<Response>, ResponseError> {
        let (mut decoder, mut input, mut out) = (ResponseDecoder::default(), BytesMut::new(), Vec::new());
        for chunk in text.as_bytes().chunks(piece) {
            input.extend_from_slice(chunk);
            while let Some(response) = decoder.next(&mut input)? {
                out.push(response);
            }
        }
        Ok(out)
    }

    #[test]
    fn reads_what_servers_write_in_any_pieces() {
        let text = "250-mx.example\r\n250-SIZE 10\r\n250 HELP\r\n550 5.1.1 no such\r\n354\r\n451-4.3.0 a\r\n451 4.3.0 b\r\n250 5.1.1 odd\n";
        for piece in 1..text.len() {
            let all = read(text, piece).unwrap();
            let codes: Vec<u16> = all.iter().map(|r| r.code).collect();
            assert_eq!(codes, [250, 550, 354, 451, 250]);
            assert_eq!(all[0].lines, ["mx.example", "SIZE 10", "HELP"]);
            assert_eq!(all[1].to_reply().to_string(), "550 5.1.1 no such");
            assert_eq!(all[2].lines, [""]);
            assert_eq!(all[3].to_reply().to_string(), "451 4.3.0 a b");
            assert_eq!(all[4].enhanced, None, "a class that does not agree is text");
        }
    }

    #[test]
    fn refuses_what_is_no_reply() {
        for text in [
            "hello\r\n",
            "25\r\n",
            "2x0 a\r\n",
            "650 a\r\n",
            "150 a\r\n",
            "250_a\r\n",
            "\r\n",
            "250-a\r\n251 b\r\n",
        ] {
            assert!(read(text, 100).is_err(), "{text:?}");
        }
        assert_eq!(read(&"250-x\r\n".repeat(300), 70), Err(ResponseError::TooLong));
        assert_eq!(read(&"2".repeat(5000), 70), Err(ResponseError::TooLong));
    }

    #[test]
    fn writes_lines_that_fit_and_hold_ascii() {
        let mut out = BytesMut::new();
        write(&mut out, &Reply::refuse(1, 1, format!("é{}", "x".repeat(600))));
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert!(text.starts_with("550-5.1.1 ?xx") && text.lines().all(|l| l.len() < 510));
        assert_eq!(read(&text, 50).unwrap()[0].lines.len(), 2);
        let mut empty = BytesMut::new();
        write(&mut empty, &Reply::defer(3, 0, ""));
        assert_eq!(&empty[..], b"451 4.3.0 \r\n");
    }
}
