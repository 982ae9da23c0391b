//! From the body of a message to the octets of the batch in it (RFC 2045 section 6), piece by piece.

use bytes::Bytes;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `7bit`, `8bit`, `binary`.
    Plain,
    /// `base64`.
    Base64,
    /// `quoted-printable`: what a server on the way makes of `8bit`.
    QuotedPrintable,
}

impl Encoding {
    /// The encoding of this name, without case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "" | "7bit" | "8bit" | "binary" => Some(Self::Plain),
            "base64" => Some(Self::Base64),
            "quoted-printable" => Some(Self::QuotedPrintable),
            _ => None,
        }
    }
}

/// The body is not what its encoding says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Decodes. Holds less than a line of quoted-printable, of at most [`LINE`] octets.
#[derive(Debug)]
pub(crate) struct Decoder {
    encoding: Encoding,
    bits: u32,
    held: u32,
    padded: u32,
    line: Vec<u8>,
}

/// The longest line of quoted-printable that is read, in octets; RFC 2045 allows 76.
const LINE: usize = 1000;

impl Decoder {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self { encoding, bits: 0, held: 0, padded: 0, line: Vec::new() }
    }

    pub(crate) fn push(&mut self, octets: &Bytes) -> Result<Bytes, Broken> {
        match self.encoding {
            Encoding::Plain => Ok(octets.clone()),
            Encoding::Base64 => self.base64(octets),
            Encoding::QuotedPrintable => self.quoted(octets),
        }
    }

    /// The body has ended.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Broken> {
        match self.encoding {
            Encoding::Base64 if !(self.held + self.padded).is_multiple_of(4) => Err(Broken),
            Encoding::QuotedPrintable if !self.line.is_empty() => {
                let mut out = Vec::new();
                let line = std::mem::take(&mut self.line);
                quoted_line(&line, &mut out)?;
                Ok(out.into())
            }
            _ => Ok(Bytes::new()),
        }
    }

    /// Groups of four characters; line ends between them. Anything else is an error: a batch is not guessed at.
    fn base64(&mut self, octets: &[u8]) -> Result<Bytes, Broken> {
        let mut out = Vec::with_capacity(octets.len() / 4 * 3 + 3);
        for &octet in octets {
            let value = match octet {
                b'A'..=b'Z' => octet - b'A',
                b'a'..=b'z' => octet - b'a' + 26,
                b'0'..=b'9' => octet - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'\r' | b'\n' | b' ' | b'\t' => continue,
                b'=' if self.held >= 2 && self.held + self.padded < 4 => {
                    self.padded += 1;
                    if self.held + self.padded == 4 {
                        let bits = self.bits << (6 * self.padded);
                        let whole = bits.to_be_bytes();
                        out.extend_from_slice(whole.get(1..4 - self.padded as usize).unwrap_or_default());
                    }
                    continue;
                }
                _ => return Err(Broken),
            };
            if self.padded > 0 {
                return Err(Broken);
            }
            self.bits = self.bits << 6 | u32::from(value);
            self.held += 1;
            if self.held == 4 {
                out.extend_from_slice(self.bits.to_be_bytes().get(1..).unwrap_or_default());
                (self.bits, self.held) = (0, 0);
            }
        }
        Ok(out.into())
    }

    fn quoted(&mut self, octets: &[u8]) -> Result<Bytes, Broken> {
        let mut out = Vec::with_capacity(octets.len());
        for part in octets.split_inclusive(|octet| *octet == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > LINE {
                return Err(Broken);
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                quoted_line(&line, &mut out)?;
            }
        }
        Ok(out.into())
    }
}

/// One line with its end.
fn quoted_line(line: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    let ended = text.len() != line.len();
    let text = text.trim_ascii_end();
    let (text, soft) = match text.strip_suffix(b"=") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut rest = text;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if octet != b'=' {
            out.push(octet);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or(Broken)?;
        let digits = std::str::from_utf8(digits).map_err(|_| Broken)?;
        out.push(u8::from_str_radix(digits, 16).map_err(|_| Broken)?);
        rest = tail;
    }
    if ended && !soft {
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn decode(encoding: Encoding, text: &[u8], by: usize) -> Result<Vec<u8>, Broken> {
        let (mut decoder, mut all) = (Decoder::new(encoding), Vec::new());
        for piece in text.chunks(by) {
            all.extend_from_slice(&decoder.push(&Bytes::copy_from_slice(piece))?);
        }
        all.extend_from_slice(&decoder.finish()?);
        Ok(all)
    }

    proptest! {
        #[test]
        fn base64_comes_back(octets: Vec<u8>, by in 1..50_usize) {
            let text = BASE64_STANDARD.encode(&octets);
            let lines: Vec<&[u8]> = text.as_bytes().chunks(76).collect();
            prop_assert_eq!(decode(Encoding::Base64, &lines.join(&b"\r\n"[..]), by), Ok(octets));
        }
    }

    #[test]
    fn what_is_not_encoded_is_an_error() {
        for text in ["AAA", "A", "A=", "AA=A", "AAAA=", "AAA==", "AA==AAAA", "AA-A"] {
            assert_eq!(decode(Encoding::Base64, text.as_bytes(), 2), Err(Broken), "{text}");
        }
        for text in ["=4", "=ZZ\r\n", "=4\r\nx"] {
            assert_eq!(decode(Encoding::QuotedPrintable, text.as_bytes(), 2), Err(Broken), "{text}");
        }
        assert_eq!(decode(Encoding::QuotedPrintable, &[b'x'; 2000], 100), Err(Broken));
    }

    #[test]
    fn quoted_printable_comes_back() {
        let text = b"EHLO =C3=A9 \r\nlong =\r\nline=3D\r\n..\r\nend";
        for by in [1, 2, 5, 100] {
            let got = decode(Encoding::QuotedPrintable, text, by).unwrap();
            assert_eq!(got, "EHLO é\r\nlong line=\r\n..\r\nend".as_bytes());
        }
    }
}
