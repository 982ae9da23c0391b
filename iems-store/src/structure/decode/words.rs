//! Encoded words (RFC 2047, with the language of RFC 2231 section 5) and encoded parameters (RFC 2231 section 4).

use super::charset::decode_charset;
use super::transfer::Transfer;

/// The text of a field's value without folding. Encoded words are decoded wherever they stand; octets above 127 outside
/// of them are UTF-8 (RFC 6532), or what [`decode_charset`] makes of them.
pub fn decode_field(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    // Octets of words with one charset behind each other: a character may be cut between them.
    let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut rest = value;
    while !rest.is_empty() {
        let space = rest.iter().take_while(|octet| octet.is_ascii_whitespace()).count();
        let behind = if open.is_some() { &rest[space..] } else { rest };
        if let Some((charset, octets, length)) = word(behind) {
            match &mut open {
                Some((same, all)) if same.eq_ignore_ascii_case(charset) => all.extend_from_slice(&octets),
                _ => {
                    close(&mut open, &mut text);
                    open = Some((charset.to_vec(), octets));
                }
            }
            rest = &behind[length..];
            continue;
        }
        close(&mut open, &mut text);
        let next = rest.iter().skip(1).position(|octet| *octet == b'=').map_or(rest.len(), |at| at + 1);
        text.push_str(&decode_charset(None, &rest[..next]));
        rest = &rest[next..];
    }
    close(&mut open, &mut text);
    text
}

fn close(open: &mut Option<(Vec<u8>, Vec<u8>)>, text: &mut String) {
    if let Some((charset, octets)) = open.take() {
        text.push_str(&decode_charset(Some(&charset), &octets));
    }
}

/// The encoded word that `octets` begin with: charset, content, length.
fn word(octets: &[u8]) -> Option<(&[u8], Vec<u8>, usize)> {
    let rest = octets.strip_prefix(b"=?")?;
    let (charset, rest) = until(rest, b'?', 64)?;
    let (encoding, rest) = until(rest, b'?', 1)?;
    // Words are at most 75 octets, but many programs write longer ones.
    let (content, rest) = until(rest, b'?', 4096)?;
    let rest = rest.strip_prefix(b"=")?;
    let octets_of = match encoding {
        b"b" | b"B" => Transfer::Base64.decode(content),
        b"q" | b"Q" => q(content),
        _ => return None,
    };
    let charset = charset.split(|octet| *octet == b'*').next().unwrap_or_default();
    Some((charset, octets_of, octets.len() - rest.len()))
}

/// Everything up to `end`, which is at most `most` octets away, and what is behind it.
fn until(octets: &[u8], end: u8, most: usize) -> Option<(&[u8], &[u8])> {
    let at = octets.iter().take(most + 1).position(|octet| *octet == end)?;
    Some((&octets[..at], &octets[at + 1..]))
}

/// The encoding Q (RFC 2047 section 4.2).
fn q(content: &[u8]) -> Vec<u8> {
    hex(content, b'=', |octet| if octet == b'_' { b' ' } else { octet })
}

fn hex(content: &[u8], mark: u8, plain: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut output = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let digit = |at: usize| behind.get(at).and_then(|octet| char::from(*octet).to_digit(16));
        match (*first == mark, digit(0), digit(1)) {
            (true, Some(high), Some(low)) => {
                output.push((high * 16 + low) as u8);
                rest = &behind[2..];
            }
            _ => output.push(plain(*first)),
        }
    }
    output
}

/// The text of a parameter. Of `name*`, the value says its charset in front: `utf-8'de'%C3%A4`.
pub fn decode_parameter(name: &[u8], value: &[u8]) -> String {
    if !name.ends_with(b"*") {
        return decode_field(value);
    }
    let mut pieces = value.splitn(3, |octet| *octet == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => {
            decode_charset(Some(charset), &hex(text, b'%', |octet| octet))
        }
        _ => decode_charset(None, &hex(value, b'%', |octet| octet)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded() {
        for (value, expected) in [
            ("plain", "plain"),
            ("=?utf-8?q?=C3=A4_b?=", "\u{e4} b"),
            ("=?UTF-8*de?B?w6Q=?= x", "\u{e4} x"),
            ("=?utf-8?b?w6Q=?=  =?utf-8?b?w6Q=?=", "\u{e4}\u{e4}"),
            ("=?utf-8?b?ww==?= =?utf-8?b?pA==?=", "\u{e4}"),
            ("=?iso-8859-1?q?=E4?= =?koi8-r?q?=C4?=", "\u{e4}\u{434}"),
            ("a=?utf-8?q?b?=c", "abc"),
            ("=?utf-8?x?b?= =?", "=?utf-8?x?b?= =?"),
            ("a = b =", "a = b ="),
            ("\u{e4}", "\u{e4}"),
        ] {
            assert_eq!(decode_field(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(decode_parameter(b"filename*", b"iso-8859-1'en'%e4%20b"), "\u{e4} b");
        assert_eq!(decode_parameter(b"filename*", b"50%"), "50%");
        assert_eq!(decode_parameter(b"filename", b"=?utf-8?q?=C3=A4?="), "\u{e4}");
    }
}
