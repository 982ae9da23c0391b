//! `xtext` (RFC 3461 section 4) and the forms RFC 6533 section 3 adds for `utf-8` addresses.
//!
//! What comes out of a decoder holds no control characters, so it can stand in a report.

/// The text is not xtext, or holds a control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid xtext")]
pub struct XtextError;

/// Decodes `xtext = *( xchar / hexchar )`; the octets must be UTF-8 without control characters.
pub fn decode(text: &str) -> Result<String, XtextError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        octets.push(match first {
            b'+' => {
                let [high, low, tail @ ..] = rest else { return Err(XtextError) };
                rest = tail;
                hex(*high)? << 4 | hex(*low)?
            }
            b'=' => return Err(XtextError),
            33..=126 => *first,
            _ => return Err(XtextError),
        });
    }
    printable(String::from_utf8(octets).map_err(|_| XtextError)?)
}

/// Encodes any text; the outcome is ASCII without space, `+` and `=`.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' => push_hex(&mut out, octet),
            33..=126 => out.push(char::from(octet)),
            _ => push_hex(&mut out, octet),
        }
    }
    out
}

/// Decodes `utf-8-addr-xtext` or `utf-8-addr-unitext` (RFC 6533 section 3): `\x{HEX}` and bare UTF-8.
pub fn decode_utf8_address(text: &str) -> Result<String, XtextError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("\\x{") {
            let (digits, tail) = tail.split_once('}').ok_or(XtextError)?;
            out.push(scalar(digits)?);
            rest = tail;
            continue;
        }
        if matches!(c, '+' | '=' | '\\' | ' ') {
            return Err(XtextError);
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    printable(out)
}

/// Encodes an address of type `utf-8` so that it is ASCII (`utf-8-addr-xtext`).
pub fn encode_utf8_address(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '=' | '\\' => out.push_str(&format!("\\x{{{:02X}}}", c as u32)),
            '!'..='~' => out.push(c),
            c => out.push_str(&format!("\\x{{{:02X}}}", c as u32)),
        }
    }
    out
}

fn scalar(digits: &str) -> Result<char, XtextError> {
    let fits = (2..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let value = if fits { u32::from_str_radix(digits, 16).ok() } else { None };
    value.and_then(char::from_u32).ok_or(XtextError)
}

/// RFC 3461 wants upper case; lower case is seen, and means the same.
fn hex(digit: u8) -> Result<u8, XtextError> {
    char::from(digit).to_digit(16).map(|d| d as u8).ok_or(XtextError)
}

fn push_hex(out: &mut String, octet: u8) {
    out.push_str(&format!("+{octet:02X}"));
}

fn printable(text: String) -> Result<String, XtextError> {
    if text.chars().any(char::is_control) { Err(XtextError) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in ["", "plain", "a+b=c d", "пример", "~!x"] {
            assert_eq!(decode(&encode(text)).unwrap(), text);
            assert_eq!(decode_utf8_address(&encode_utf8_address(text)).unwrap(), text);
        }
        assert_eq!(encode("a+b c"), "a+2Bb+20c");
        assert_eq!(decode("a+2bb").unwrap(), "a+b");
    }

    #[test]
    fn refuses_what_is_not_xtext() {
        for text in ["+", "+2", "+GG", "a b", "a=b", "é", "+0D+0A", "+00", "+FF", "\u{7f}"] {
            assert_eq!(decode(text), Err(XtextError), "{text:?}");
        }
        for text in ["a+b", "\\", "\\x{", "\\x{}", "\\x{D800}", "\\x{0D}", "\\x{1234567}", "a b"] {
            assert_eq!(decode_utf8_address(text), Err(XtextError), "{text:?}");
        }
    }
}
