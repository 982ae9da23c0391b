//! From stored octets to what is sent: dot-stuffing, the end mark, and the cut of `TOP` (RFC 1939 sections 3 and 7).
//!
//! Pieces come in any size; nothing is held back but a few bits of state. Octets pass as they are, but for line ends of LF
//! alone, which become CRLF: clients wait for CRLF.CRLF, and look for dots behind CRLF. What has none of those comes in as
//! many octets as `LIST` said.

/// How much of a message is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// The header section, the empty line, and this many lines of the body.
    Top(u32),
}

/// A message on its way out.
#[derive(Debug)]
pub struct Retrieval {
    /// Whether the next octet begins a line.
    at_line_start: bool,
    /// The last octet was a CR.
    after_cr: bool,
    /// The line so far is empty, but for its end.
    line_empty: bool,
    /// What `TOP` still wants.
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    /// The header section, and then so many lines.
    Header(u32),
    Lines(u32),
}

impl Retrieval {
    /// The beginning of a message.
    pub fn new(part: Part) -> Self {
        let wanted = match part {
            Part::All => Wanted::All,
            Part::Top(lines) => Wanted::Header(lines),
        };
        Self { at_line_start: true, after_cr: false, line_empty: true, wanted }
    }

    /// Whether there is enough: further octets are not wanted.
    pub fn is_done(&self) -> bool {
        self.wanted == Wanted::Lines(0)
    }

    /// Appends to `output` what the next `octets` of the message are sent as.
    pub fn feed(&mut self, mut octets: &[u8], output: &mut Vec<u8>) {
        while !octets.is_empty() && !self.is_done() {
            let length = memchr::memchr(b'\n', octets).map_or(octets.len(), |at| at + 1);
            let (piece, rest) = octets.split_at(length);
            octets = rest;
            if self.at_line_start && piece[0] == b'.' {
                output.push(b'.');
            }
            let had_cr = self.after_cr && piece == b"\n" || piece.ends_with(b"\r\n");
            match piece.strip_suffix(b"\n").filter(|_| !had_cr) {
                Some(line) => {
                    output.extend_from_slice(line);
                    output.extend_from_slice(b"\r\n");
                }
                None => output.extend_from_slice(piece),
            }
            let ends = piece.ends_with(b"\n");
            self.line_empty &= piece.iter().all(|octet| matches!(octet, b'\r' | b'\n'));
            self.after_cr = piece.ends_with(b"\r");
            self.at_line_start = ends;
            if ends {
                self.end_of_line();
            }
        }
    }

    fn end_of_line(&mut self) {
        self.wanted = match self.wanted {
            Wanted::Header(lines) if self.line_empty => Wanted::Lines(lines),
            Wanted::Lines(lines) => Wanted::Lines(lines.saturating_sub(1)),
            wanted => wanted,
        };
        self.line_empty = true;
    }

    /// Appends the end mark, on a line of its own. A message without a line end gets one.
    pub fn finish(self, output: &mut Vec<u8>) {
        let end: &[u8] = match (self.at_line_start, self.after_cr) {
            (true, _) => b".\r\n",
            (false, true) => b"\n.\r\n",
            (false, false) => b"\r\n.\r\n",
        };
        output.extend_from_slice(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(message: &[u8], piece: usize, part: Part) -> Vec<u8> {
        let mut retrieval = Retrieval::new(part);
        let mut output = Vec::new();
        for piece in message.chunks(piece) {
            retrieval.feed(piece, &mut output);
        }
        retrieval.finish(&mut output);
        output
    }

    /// What a client makes of it.
    fn received(sent: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        for line in sent.split_inclusive(|octet| *octet == b'\n') {
            match line {
                b".\r\n" => return message,
                [b'.', rest @ ..] => message.extend_from_slice(rest),
                line => message.extend_from_slice(line),
            }
        }
        panic!("no end mark in {:?}", String::from_utf8_lossy(sent));
    }

    #[test]
    fn top_gives_the_header_section_and_the_first_lines() {
        let message = b"A: b\r\n c\r\n\r\none\r\n.two\r\n\r\nfour\r\n";
        for piece in 1..message.len() {
            for (lines, expected) in [
                (0, &b"A: b\r\n c\r\n\r\n.\r\n"[..]),
                (1, b"A: b\r\n c\r\n\r\none\r\n.\r\n"),
                (2, b"A: b\r\n c\r\n\r\none\r\n..two\r\n.\r\n"),
                (3, b"A: b\r\n c\r\n\r\none\r\n..two\r\n\r\n.\r\n"),
                (9, b"A: b\r\n c\r\n\r\none\r\n..two\r\n\r\nfour\r\n.\r\n"),
            ] {
                let sent = sent(message, piece, Part::Top(lines));
                assert_eq!(sent, expected, "{lines} lines in pieces of {piece}");
            }
        }
        assert_eq!(sent(b"A: b\r\n", 9, Part::Top(0)), b"A: b\r\n.\r\n");
    }

    #[test]
    fn the_end_mark_stands_on_its_own_line() {
        for (message, expected) in [
            (&b""[..], &b".\r\n"[..]),
            (b"x", b"x\r\n.\r\n"),
            (b"x\r", b"x\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"\r\n", b"\r\n.\r\n"),
        ] {
            assert_eq!(sent(message, 1, Part::All), expected, "{message:?}");
        }
    }

    #[test]
    fn lines_end_in_crlf() {
        let message = b"A: b\nC: d\r\n\n.\nx\r.\r\n\r\r\n\n";
        for piece in 1..message.len() {
            let all = b"A: b\r\nC: d\r\n\r\n..\r\nx\r.\r\n\r\r\n\r\n.\r\n";
            assert_eq!(sent(message, piece, Part::All), all, "in pieces of {piece}");
            let top = b"A: b\r\nC: d\r\n\r\n..\r\n.\r\n";
            assert_eq!(sent(message, piece, Part::Top(1)), top, "in pieces of {piece}");
        }
    }

    proptest! {
        #[test]
        fn what_is_received_is_what_is_stored(
            message in proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(b'x')], 0..60),
            piece in 1..9usize,
        ) {
            let sent = sent(&message, piece, Part::All);
            prop_assert!(sent == b".\r\n" || sent.ends_with(b"\r\n.\r\n"));
            let bare = sent.iter().zip([&b' '].into_iter().chain(&sent)).any(|(octet, before)| *octet == b'\n' && *before != b'\r');
            prop_assert!(!bare);
            let got = received(&sent);
            let mut message: Vec<u8> = message;
            let mut at = 0;
            while let Some(found) = memchr::memchr(b'\n', &message[at..]) {
                at += found;
                if at == 0 || message[at - 1] != b'\r' {
                    message.insert(at, b'\r');
                    at += 1;
                }
                at += 1;
            }
            match message.ends_with(b"\n") || message.is_empty() {
                true => prop_assert_eq!(got, message),
                false => prop_assert!(got.starts_with(&message) && got.len() <= message.len() + 2),
            }
        }
    }
}
