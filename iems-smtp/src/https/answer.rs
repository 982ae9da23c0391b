//! An answer, read as it comes: status, type and body, each within bounds (RFC 9112 sections 4 to 7). No I/O.

use super::HttpsError;

/// The largest header section, in octets.
const LARGEST_HEADER: usize = 16 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status, such as 200.
    pub(crate) status: u16,
    /// The media type, in lower case and without parameters; empty if there is none.
    pub(crate) kind: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Length(usize),
    Chunks,
    Connection,
}

/// Takes octets in until there is an answer.
pub(crate) struct Reader {
    largest: usize,
    input: Vec<u8>,
    head: Option<(Answer, End)>,
}

impl Reader {
    /// For bodies of `largest` octets at most.
    pub(crate) fn new(largest: usize) -> Self {
        Self { largest, input: Vec::new(), head: None }
    }

    /// Takes octets in; none is the end of the connection.
    pub(crate) fn feed(&mut self, octets: &[u8]) -> Result<Option<Answer>, HttpsError> {
        self.input.extend_from_slice(octets);
        while self.head.is_none() {
            let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") else {
                return match (octets.is_empty(), self.input.len() > LARGEST_HEADER) {
                    (_, true) => Err(HttpsError::TooLarge(LARGEST_HEADER)),
                    (true, _) => Err(HttpsError::Garbled("it ends in the header section")),
                    _ => Ok(None),
                };
            };
            let head: Vec<u8> = self.input.drain(..end + 4).collect();
            self.head = read_head(&head)?;
        }
        let Some((answer, end)) = &mut self.head else { return Ok(None) };
        let whole = match *end {
            End::Length(length) if length > self.largest => return Err(HttpsError::TooLarge(self.largest)),
            End::Length(length) if self.input.len() >= length => Some(self.input[..length].to_vec()),
            End::Connection if octets.is_empty() => Some(std::mem::take(&mut self.input)),
            End::Chunks => unchunk(&self.input, self.largest)?,
            _ => None,
        };
        // Chunks may say their sizes at length; twice the body is more than anybody needs for that.
        let bound = if *end == End::Chunks { 2 * self.largest + 1024 } else { self.largest };
        match whole {
            Some(body) if body.len() > self.largest => Err(HttpsError::TooLarge(self.largest)),
            Some(body) => Ok(Some(Answer { body, ..answer.clone() })),
            None if self.input.len() > bound => Err(HttpsError::TooLarge(self.largest)),
            None if octets.is_empty() => Err(HttpsError::Garbled("it ends too early")),
            None => Ok(None),
        }
    }

    /// What there is where the connection was cut off: only the answer that is whole without its end.
    pub(crate) fn cut_off(&mut self) -> Option<Answer> {
        match &self.head {
            Some((_, End::Connection)) | None => None,
            Some(_) => self.feed(&[]).ok().flatten(),
        }
    }
}

/// The status and header fields; `None` for an interim answer.
fn read_head(head: &[u8]) -> Result<Option<(Answer, End)>, HttpsError> {
    let text = std::str::from_utf8(head).map_err(|_| HttpsError::Garbled("the header section is no text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let code =
        status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let status: u16 = code.ok_or(HttpsError::Garbled("there is no status line"))?;
    if (100..200).contains(&status) {
        return Ok(None);
    }
    let (mut kind, mut end) = (String::new(), End::Connection);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-type") {
            kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(HttpsError::Garbled("its transfer coding is unknown"));
            }
            end = End::Chunks;
        } else if name.eq_ignore_ascii_case("content-length") && end != End::Chunks {
            end = End::Length(value.parse().map_err(|_| HttpsError::Garbled("its length is no number"))?);
        }
    }
    if matches!(status, 204 | 304) {
        end = End::Length(0);
    }
    Ok(Some((Answer { status, kind, body: Vec::new() }, end)))
}

/// The body in chunks, once its last one is there.
fn unchunk(mut rest: &[u8], largest: usize) -> Result<Option<Vec<u8>>, HttpsError> {
    let garbled = || HttpsError::Garbled("a chunk has no size");
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| garbled())?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| garbled())?;
        if size > largest.saturating_sub(body.len()) {
            return Err(HttpsError::TooLarge(largest));
        }
        rest = &rest[end + 2..];
        if size == 0 {
            return Ok(Some(body));
        }
        let Some(chunk) = rest.get(..size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        rest = &rest[size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds it octet by octet, then the end.
    fn read(text: &str, largest: usize) -> Result<Answer, String> {
        let mut reader = Reader::new(largest);
        for octet in text.as_bytes() {
            match reader.feed(&[*octet]) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        match reader.feed(&[]) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err("nothing".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn bodies_end_in_three_ways() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\n";
        for text in [
            format!("{head}Content-Length: 5\r\n\r\nhellomore"),
            format!("{head}\r\nhello"),
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"),
            format!("HTTP/1.1 100 Continue\r\n\r\n{head}content-length:5\r\n\r\nhello"),
        ] {
            let answer = read(&text, 10).unwrap();
            assert_eq!(
                (answer.status, answer.kind.as_str(), &answer.body[..]),
                (200, "text/plain", &b"hello"[..])
            );
        }
        assert_eq!(
            read("HTTP/1.0 301 Moved\r\nLocation: x\r\nContent-Length: 0\r\n\r\n", 10).unwrap().status,
            301
        );
    }

    #[test]
    fn what_is_too_large_or_no_answer_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\n\r\nhello world".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n6\r\nworld!\r\n0\r\n\r\n"
                .to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhell".to_owned(),
            "220 mx ESMTP\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(LARGEST_HEADER)),
            "HTTP/1.1 200".to_owned(),
        ] {
            assert!(read(&text, 10).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_octets_in_any_pieces_have_one_outcome(text in "(HTTP/1.[01] [1-5][0-9][0-9] \\w*\r\n)?((Content-Length: [0-9]{0,4}|Transfer-Encoding: chunked|X: y)\r\n){0,3}(\r\n)?([0-9a-f]{1,3}\r\n)?.{0,80}(\r\n0\r\n\r\n)?", size in 1_usize..9) {
            let mut whole = Reader::new(64);
            let at_once = whole.feed(text.as_bytes()).map_err(drop);
            let at_once = match at_once {
                Ok(None) => whole.feed(&[]).map_err(drop),
                done => done,
            };
            let mut reader = Reader::new(64);
            let mut pieces = text.as_bytes().chunks(size).map(|piece| reader.feed(piece).map_err(drop)).find(|done| *done != Ok(None));
            let in_pieces = pieces.take().unwrap_or_else(|| reader.feed(&[]).map_err(drop));
            // In pieces, what is behind the end is not seen, and too much of it not held against it.
            if let Ok(Some(answer)) = &at_once {
                proptest::prop_assert_eq!(in_pieces.clone(), Ok(Some(answer.clone())));
            }
            if let Ok(Some(answer)) = in_pieces {
                proptest::prop_assert!(answer.body.len() <= 64);
            }
        }
    }

    #[test]
    fn a_cut_is_no_end() {
        let mut reader = Reader::new(100);
        assert!(reader.feed(b"HTTP/1.1 200 OK\r\n\r\nversion: STSv1").unwrap().is_none());
        assert_eq!(reader.cut_off(), None);
    }
}
