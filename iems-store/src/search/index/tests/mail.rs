//! Messages to be searched, in many forms.

use encoding_rs::{Encoding, ISO_8859_2, KOI8_R, UTF_8, WINDOWS_1252};

/// Words of texts; every charset lacks some of them.
pub(super) const WORDS: [&str; 12] = [
    "needle",
    "Heu",
    "STRA\u{df}E",
    "gr\u{fc}\u{df}e",
    "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}",
    "\u{43c}\u{438}\u{440}",
    "a",
    "ab",
    "\u{142}\u{f3}d\u{17a}",
    "\u{65e5}\u{672c}\u{8a9e}",
    "<b>bold</b>",
    "\u{1f4e7}",
];

/// How the text of a part is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) charset: usize,
    pub(super) transfer: usize,
    pub(super) around: usize,
}

const CHARSETS: [(&str, &Encoding); 4] =
    [("utf-8", UTF_8), ("iso-8859-1", WINDOWS_1252), ("koi8-r", KOI8_R), ("iso-8859-2", ISO_8859_2)];

/// A message with a text.
pub(super) fn message(text: &str, form: Form) -> Vec<u8> {
    let part = part(text, form);
    let of = |kind: &str, inner: &[u8]| {
        let head = format!("Subject: =?utf-8?q?=C3=9Cber?= all\r\nContent-Type: {kind}\r\n\r\n");
        [head.as_bytes(), inner].concat()
    };
    let within = |inner: &[u8]| [b"--b\r\n", inner, b"\r\n--b--\r\n"].concat();
    match form.around % 5 {
        0 => [b"Subject: plain\r\n", &part[..]].concat(),
        1 => of("multipart/mixed; boundary=b", &within(&part)),
        2 => {
            let file = b"Content-Type: application/x; name=needlefile\r\n\r\nneedle within a file";
            of(
                "multipart/mixed; boundary=b",
                &[&within(&part)[..part.len() + 5], b"\r\n", &within(file)].concat(),
            )
        }
        3 => of("message/rfc822", &[b"Subject: inner needle\r\n", &part[..]].concat()),
        _ => of("multipart/digest; boundary=b", &within(&[b"\r\nX-Inner: Heu\r\n", &part[..]].concat())),
    }
}

fn part(text: &str, Form { charset, transfer, .. }: Form) -> Vec<u8> {
    let (name, encoding) = CHARSETS[charset % CHARSETS.len()];
    let (octets, _, _) = encoding.encode(text);
    let kind = if charset % 2 == 0 { "plain" } else { "html" };
    let (transfer, body) = match transfer % 3 {
        0 => ("8bit", octets.to_vec()),
        1 => ("quoted-printable", quoted(&octets)),
        _ => ("base64", base64(&octets)),
    };
    let head =
        format!("Content-Type: text/{kind}; charset={name}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n");
    [head.into_bytes(), body].concat()
}

fn quoted(octets: &[u8]) -> Vec<u8> {
    let mut quoted = String::new();
    for (at, octet) in octets.iter().enumerate() {
        if at % 20 == 19 {
            quoted.push_str("=\r\n");
        }
        quoted.push_str(&format!("={octet:02X}"));
    }
    quoted.into_bytes()
}

fn base64(octets: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut written = Vec::new();
    for (at, three) in octets.chunks(3).enumerate() {
        if at % 12 == 11 {
            written.extend_from_slice(b"\r\n");
        }
        let bits =
            three.iter().fold(0u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - three.len()));
        for nth in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * nth)) as usize & 63];
            written.push(if nth > three.len() { b'=' } else { letter });
        }
    }
    written
}

/// The forms are what they say.
#[test]
fn texts_are_read_as_they_were_written() {
    use super::{Needle, fold, is_in};
    for (text, charset) in [("Gr\u{fc}\u{df}e, Heu", 1), ("\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}", 2)] {
        for transfer in 0..3 {
            for around in 0..5 {
                let message = message(text, Form { charset, transfer, around });
                let needle = Needle { text: fold(text), headers: false };
                assert!(is_in(&message, &needle), "{}", String::from_utf8_lossy(&message));
            }
        }
    }
}
