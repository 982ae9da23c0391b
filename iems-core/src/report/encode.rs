//! Text into the forms in which a message may carry it: encoded words (RFC 2047), quoted-printable (RFC 2045), addresses
//! of type `utf-8` (RFC 6533 section 3), and lines of a field that cannot become two.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest line that goes unencoded, in octets; RFC 5322 allows 998.
const LINE: usize = 900;

/// Unstructured text for a header field: as it is if it is short ASCII, else in encoded words, folded.
pub(super) fn header_text(text: &str) -> String {
    let text = one_line(text);
    if text.is_ascii() && text.len() <= 200 && !text.contains("=?") {
        return text;
    }
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        if chunk.len() + c.len_utf8() > 45 {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(c);
    }
    words.push(chunk);
    let words: Vec<_> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

/// A display name: an atom, a quoted string, or encoded words.
pub(super) fn display_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
    match name.chars().all(plain) {
        true => name.to_owned(),
        false if name.is_ascii() => {
            let quoted: String = one_line(name).chars().filter(|c| !matches!(c, '"' | '\\')).collect();
            format!("\"{quoted}\"")
        }
        false => header_text(name),
    }
}

/// A text part: its octets with CRLF line ends, and the header field that its encoding needs.
pub(super) fn text_part(text: &str) -> (String, &'static str) {
    let plain = text.is_ascii() && text.lines().all(|line| line.len() <= LINE);
    match plain {
        true => (text.lines().map(|line| format!("{line}\r\n")).collect(), ""),
        false => {
            let lines = text.lines().map(|line| quoted_printable(line) + "\r\n");
            (lines.collect(), "Content-Transfer-Encoding: quoted-printable\r\n")
        }
    }
}

/// One line, quoted-printable, with soft line ends (RFC 2045 section 6.7).
fn quoted_printable(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 16);
    let mut width = 0;
    for (at, octet) in line.bytes().enumerate() {
        let last = at + 1 == line.len();
        let literal = matches!(octet, b'!'..=b'<' | b'>'..=b'~') || (matches!(octet, b' ' | b'\t') && !last);
        let size = if literal { 1 } else { 3 };
        if width + size > 75 {
            out.push_str("=\r\n");
            width = 0;
        }
        match literal {
            true => out.push(char::from(octet)),
            false => {
                let _ = write!(out, "={octet:02X}");
            }
        }
        width += size;
    }
    out
}

/// Text for one line of a field: printable, not too long, and ASCII unless the report may carry UTF-8.
pub(super) fn field_line(text: &str, utf8: bool) -> String {
    let mut line = String::new();
    for c in one_line(text).chars().map(|c| if utf8 || c.is_ascii() { c } else { '?' }) {
        if line.len() + c.len_utf8() > LINE {
            break;
        }
        line.push(c);
    }
    line
}

/// An address of type `utf-8` in ASCII (`utf-8-addr-xtext`, RFC 6533 section 3).
pub(super) fn utf8_address(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    for c in address.chars() {
        match c {
            '!'..='~' if !matches!(c, '+' | '=' | '\\') => out.push(c),
            c => {
                let _ = write!(out, "\\x{{{:02X}}}", c as u32);
            }
        }
    }
    out
}

/// Without what could end the line.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_text_is_folded_words_or_plain() {
        assert_eq!(header_text("plain\r\nX: y"), "plain  X: y");
        let long = header_text(&"ä".repeat(100));
        assert!(long.split("\r\n ").all(|word| word.starts_with("=?utf-8?B?") && word.len() <= 75), "{long}");
        assert_eq!(display_name("Mail (x)\"\\"), "\"Mail (x)\"");
        assert!(
            header_text("=?utf-8?B?aGk=?=").starts_with("=?utf-8?B?PT91"),
            "what looks encoded is encoded"
        );
    }

    #[test]
    fn text_that_is_not_plain_is_quoted_printable() {
        assert_eq!(text_part("a\nb"), ("a\r\nb\r\n".into(), ""));
        let (text, field) = text_part(&format!("ä = b \n{}", "x".repeat(2000)));
        assert!(text.starts_with("=C3=A4 =3D b=20\r\nxxx") && !field.is_empty());
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 76));
    }

    #[test]
    fn addresses_with_utf8_in_ascii() {
        assert_eq!(utf8_address("пр+x@example.org"), "\\x{43F}\\x{440}\\x{2B}x@example.org");
    }
}
