//! Modified UTF-7, in which IMAP4rev1 writes mailbox names (RFC 3501 section 5.1.3).

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// `,` for `/`, no padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// `name` in modified UTF-7.
pub(super) fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted = Vec::new();
    for c in name.chars() {
        if !matches!(c, ' '..='~') {
            let mut units = [0; 2];
            shifted.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
            continue;
        }
        unshift(&mut shifted, &mut out);
        out.push(c);
        if c == '&' {
            out.push('-');
        }
    }
    unshift(&mut shifted, &mut out);
    out
}

fn unshift(shifted: &mut Vec<u8>, out: &mut String) {
    if !shifted.is_empty() {
        out.push('&');
        BASE64.encode_string(&*shifted, out);
        out.push('-');
        shifted.clear();
    }
}

/// The name that `octets` are in modified UTF-7; `None` if they are not, or not in the one form that a name has.
pub(super) fn decode(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        let (shifted, behind) = shifted.split_once('-')?;
        out.push_str(plain);
        match shifted {
            "" => out.push('&'),
            _ => out.push_str(&unshifted(shifted)?),
        }
        rest = behind;
    }
    out.push_str(rest);
    // What is needlessly shifted, or shifted in two pieces, would be a second way to write the name.
    (encode(&out) == text).then_some(out)
}

fn unshifted(base64: &str) -> Option<String> {
    let octets = BASE64.decode(base64).ok()?;
    let units = octets.chunks_exact(2);
    if !units.remainder().is_empty() {
        return None;
    }
    let units = units.filter_map(|unit| <[u8; 2]>::try_from(unit).ok()).map(u16::from_be_bytes);
    char::decode_utf16(units).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_the_standard_and_of_clients() {
        for (name, encoded) in [
            ("INBOX", "INBOX"),
            ("R&D", "R&-D"),
            ("&", "&-"),
            ("~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Entw\u{fc}rfe", "Entw&APw-rfe"),
            ("\u{1f600}", "&2D3eAA-"),
            ("\u{e9}\u{e9}&", "&AOkA6Q-&-"),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Some(name));
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for octets in [
            "&",
            "a&b",
            "&AOk",
            "&AOk-&AOk-",
            "&AEE-",
            "&2D0-",
            "&3gA-",
            "&AOl-",
            "&AO-",
            "&A-",
            "&AOk=-",
            "&AO/-",
            "\u{e9}",
            "&ACY-",
            "tab\t",
            "&AOk -",
        ] {
            assert_eq!(decode(octets.as_bytes()), None, "{octets}");
        }
        assert_eq!(decode(b"\xe9"), None);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in any::<String>()) {
            let encoded = encode(&name);
            prop_assert!(encoded.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
            prop_assert_eq!(decode(encoded.as_bytes()), Some(name));
        }

        #[test]
        fn what_is_taken_is_the_one_form(octets in "[&A-Za-z0-9+,/ -]{0,20}") {
            if let Some(name) = decode(octets.as_bytes()) {
                prop_assert_eq!(encode(&name), octets);
            }
        }
    }
}
