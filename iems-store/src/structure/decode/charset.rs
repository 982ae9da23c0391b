//! Character sets (RFC 2978) to Unicode. No I/O, no failure.

use encoding_rs::{Encoding, WINDOWS_1252};

/// The text that `octets` are in the character set `name`. Unknown sets, and octets that are no ASCII where ASCII was
/// promised, are read as UTF-8 if they are, or else as Windows-1252, which is what most such messages meant.
pub fn decode_charset(name: Option<&[u8]>, octets: &[u8]) -> String {
    let name = name.map(<[u8]>::trim_ascii).unwrap_or_default();
    if name.eq_ignore_ascii_case(b"utf-7") {
        return utf7(octets);
    }
    let plain = name.is_empty()
        || [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968"].iter().any(|n| name.eq_ignore_ascii_case(n));
    match Encoding::for_label_no_replacement(name).filter(|_| !plain) {
        Some(encoding) => encoding.decode_without_bom_handling(octets).0.into_owned(),
        None => match str::from_utf8(octets) {
            Ok(text) => text.to_owned(),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0.into_owned(),
        },
    }
}

/// Whether ASCII in the character set `name` is ASCII: so it is in all but those that switch between sets, or have wider
/// units.
pub(in crate::structure) fn keeps_ascii(name: Option<&[u8]>) -> bool {
    let name = name.map(<[u8]>::trim_ascii).unwrap_or_default();
    !name.eq_ignore_ascii_case(b"utf-7")
        && Encoding::for_label_no_replacement(name).is_none_or(Encoding::is_ascii_compatible)
}

/// UTF-7 (RFC 2152): `+` begins base64 of UTF-16, `-` or what is no base64 ends it.
fn utf7(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'+' {
            text.push(char::from(*first));
            continue;
        }
        let length =
            rest.iter().take_while(|o| o.is_ascii_alphanumeric() || matches!(o, b'+' | b'/')).count();
        let (encoded, behind) = rest.split_at(length);
        rest = behind.strip_prefix(b"-").unwrap_or(behind);
        if encoded.is_empty() {
            text.push('+');
            continue;
        }
        let octets = super::Transfer::Base64.decode(encoded);
        let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_kept_as_it_is_decoded() {
        let text = b"+AOQ- \x1b$B!! ~{<:Ky2;~} plain";
        for name in [
            "",
            "us-ascii",
            "utf-8",
            "utf-7",
            "iso-8859-1",
            "iso-2022-jp",
            "utf-16",
            "koi8-r",
            "hz-gb-2312",
            "x",
        ] {
            let name = Some(name.as_bytes());
            if keeps_ascii(name) {
                assert_eq!(decode_charset(name, text).as_bytes(), text, "{name:?}");
            }
        }
        assert!(keeps_ascii(None) && keeps_ascii(Some(b"UTF-8")) && !keeps_ascii(Some(b" utf-7")));
        assert!(!keeps_ascii(Some(b"iso-2022-jp")) && !keeps_ascii(Some(b"utf-16le")));
    }

    #[test]
    fn sets_are_decoded() {
        for (name, octets, expected) in [
            (Some(&b"ISO-8859-1"[..]), &b"\xe4"[..], "\u{e4}"),
            (Some(b"koi8-r"), b"\xc4\xc1", "\u{434}\u{430}"),
            (Some(b"iso-2022-jp"), b"\x1b$B$\"\x1b(B", "\u{3042}"),
            (Some(b"gb18030"), b"\xc4\xe3", "\u{4f60}"),
            (Some(b"utf-7"), b"a +AOQ- +- b", "a \u{e4} + b"),
            (Some(b"us-ascii"), "\u{e4}".as_bytes(), "\u{e4}"),
            (Some(b"no such set"), b"\xe4", "\u{e4}"),
            (None, b"x\x80", "x\u{20ac}"),
        ] {
            assert_eq!(decode_charset(name, octets), expected, "{name:?}");
        }
    }
}
