//! Content-Transfer-Encodings (RFC 2045 section 6), piece by piece.

/// An encoding that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// `7bit`, `8bit`, `binary`: none.
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
}

impl Transfer {
    /// The encoding of a part; `None` if nobody here knows it (`UNKNOWN-CTE`, RFC 9051 section 7.1).
    pub fn of(name: Option<&[u8]>) -> Option<Self> {
        let Some(name) = name else { return Some(Self::Identity) };
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match () {
            () if is("7bit") || is("8bit") || is("binary") => Some(Self::Identity),
            () if is("base64") => Some(Self::Base64),
            () if is("quoted-printable") => Some(Self::QuotedPrintable),
            () => None,
        }
    }

    /// All of `octets`, decoded.
    pub fn decode(self, octets: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new(self);
        let mut output = Vec::with_capacity(octets.len());
        decoder.feed(octets, &mut output);
        decoder.finish(&mut output);
        output
    }
}

/// The most space at the end of a line that is waited with; more of it is content.
const SPACE: usize = 1024;

/// Takes an encoding away, of octets in pieces of any size.
#[derive(Debug, Clone)]
pub struct Decoder {
    transfer: Transfer,
    /// Base64: digits that are no octet yet, behind a leading 1.
    digits: u32,
    /// Quoted-printable: space that counts if the line goes on, or an escape that is not whole yet.
    held: Vec<u8>,
}

impl Decoder {
    /// A decoder before the first octet.
    pub const fn new(transfer: Transfer) -> Self {
        Self { transfer, digits: 1, held: Vec::new() }
    }

    /// Appends what the next `octets` mean to `output`.
    pub fn feed(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        match self.transfer {
            Transfer::Identity => output.extend_from_slice(octets),
            Transfer::Base64 => octets.iter().for_each(|octet| self.base64(*octet, output)),
            Transfer::QuotedPrintable => octets.iter().for_each(|octet| self.quoted(*octet, output)),
        }
    }

    /// The end. Digits that make no whole octet are dropped.
    pub fn finish(mut self, output: &mut Vec<u8>) {
        match self.transfer {
            Transfer::Identity => {}
            Transfer::Base64 => self.flush(output),
            // Space at the end was added on the way (RFC 2045 section 6.7, rule 3), and so was a soft break.
            Transfer::QuotedPrintable if self.held.first() == Some(&b'=') && self.held.len() > 1 => {
                output.append(&mut self.held);
            }
            Transfer::QuotedPrintable => {}
        }
    }

    /// Anything but a digit is passed over (RFC 2045 section 6.8); padding ends a run, behind which another may begin.
    fn base64(&mut self, octet: u8, output: &mut Vec<u8>) {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => return self.flush(output),
            _ => return,
        };
        self.digits = self.digits << 6 | u32::from(value);
        if self.digits >= 1 << 24 {
            output.extend_from_slice(&self.digits.to_be_bytes()[1..]);
            self.digits = 1;
        }
    }

    fn flush(&mut self, output: &mut Vec<u8>) {
        let digits = std::mem::replace(&mut self.digits, 1);
        match digits {
            0x4_0000..0x100_0000 => output.extend_from_slice(&(digits >> 2).to_be_bytes()[2..]),
            0x1000..0x4_0000 => output.push((digits >> 4) as u8),
            _ => {}
        }
    }

    fn quoted(&mut self, octet: u8, output: &mut Vec<u8>) {
        if self.held.first() == Some(&b'=') {
            return self.escaped(octet, output);
        }
        match octet {
            b'=' => {
                output.append(&mut self.held);
                self.held.push(b'=');
            }
            b' ' | b'\t' => {
                if self.held.len() >= SPACE {
                    output.append(&mut self.held);
                }
                self.held.push(octet);
            }
            // A CR is held with the space in front of it until it is known whether the line ends.
            b'\r' => {
                if self.held.last() == Some(&b'\r') {
                    output.append(&mut self.held);
                }
                self.held.push(octet);
            }
            b'\n' => {
                output.extend_from_slice(if self.held.last() == Some(&b'\r') { b"\r\n" } else { b"\n" });
                self.held.clear();
            }
            _ => {
                output.append(&mut self.held);
                output.push(octet);
            }
        }
    }

    /// Behind an `=`: two digits, a soft break with space in front of it, or nothing that is right, which stays.
    fn escaped(&mut self, octet: u8, output: &mut Vec<u8>) {
        let digit = |octet: u8| char::from(octet).to_digit(16);
        match (&self.held[1..], octet) {
            ([] | [.., b' ' | b'\t' | b'\r'], b'\n') => self.held.clear(),
            ([] | [.., b' ' | b'\t'], b' ' | b'\t' | b'\r') if self.held.len() < SPACE => {
                self.held.push(octet)
            }
            ([], _) if digit(octet).is_some() => self.held.push(octet),
            ([first], _) if digit(*first).is_some() && digit(octet).is_some() => {
                let value = digit(*first).unwrap_or(0) * 16 + digit(octet).unwrap_or(0);
                output.push(value as u8);
                self.held.clear();
            }
            _ => {
                output.append(&mut self.held);
                self.quoted(octet, output);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(transfer: Transfer, encoded: &str, expected: &[u8]) {
        for size in 1..=encoded.len().max(1) {
            let (mut decoder, mut output) = (Decoder::new(transfer), Vec::new());
            encoded.as_bytes().chunks(size).for_each(|piece| decoder.feed(piece, &mut output));
            decoder.finish(&mut output);
            assert_eq!(output, expected, "{encoded:?} in pieces of {size}");
        }
    }

    #[test]
    fn base64_is_decoded() {
        for (encoded, expected) in [
            ("", ""),
            ("YQ==", "a"),
            ("YWI=", "ab"),
            ("YW\r\nJj", "abc"),
            ("YWI", "ab"),
            ("YQ==YmM=", "abc"),
            ("Y", ""),
            ("!Y-W*Jj", "abc"),
        ] {
            check(Transfer::Base64, encoded, expected.as_bytes());
        }
        check(Transfer::Base64, "/////w==", &[255; 4]);
        check(Transfer::Base64, "AAAA", &[0; 3]);
    }

    #[test]
    fn quoted_printable_is_decoded() {
        for (encoded, expected) in [
            ("a=20b", "a b"),
            ("a= \t\r\nb", "ab"),
            ("a=\nb", "ab"),
            ("a  \r\nb \n", "a\r\nb\n"),
            ("a b\rc", "a b\rc"),
            ("=3D=3d", "=="),
            ("100=%", "100=%"),
            ("a=4", "a=4"),
            ("=4x", "=4x"),
            ("a=", "a"),
            ("a =41", "a A"),
            ("==41", "=A"),
        ] {
            check(Transfer::QuotedPrintable, encoded, expected.as_bytes());
        }
    }

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Transfer::of(None), Some(Transfer::Identity));
        assert_eq!(Transfer::of(Some(b"BASE64")), Some(Transfer::Base64));
        assert_eq!(Transfer::of(Some(b"x-uuencode")), None);
    }
}
