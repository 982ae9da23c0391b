//! Rewriting to seven bits and to lines, read back by a decoder of its own.

use proptest::prelude::*;

use super::*;

const SEVEN: Fit = Fit { eight: false, lines: false };
const LINES: Fit = Fit { eight: true, lines: true };
const SEVEN_IN_LINES: Fit = Fit { eight: false, lines: true };

fn converted(message: &str) -> Result<String, Unconvertible> {
    let crlf = message.replace('\n', "\r\n");
    narrow(crlf.as_bytes(), SEVEN).map(|out| String::from_utf8(out).unwrap().replace("\r\n", "\n"))
}

/// RFC 2045 section 6.7, for well-formed input.
fn unquoted(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        match &text[at..] {
            [b'=', b'\r', b'\n', ..] => at += 3,
            [b'=', high, low, ..] => {
                let hex = [*high, *low];
                out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
                at += 3;
            }
            [octet, ..] => {
                out.push(*octet);
                at += 1;
            }
            [] => unreachable!(),
        }
    }
    out
}

#[test]
fn ascii_stays_as_it_is() {
    let message = "Subject: x\nContent-Transfer-Encoding: 8bit\n\nplain \n=\n";
    assert_eq!(converted(message).unwrap(), message);
}

#[test]
fn only_the_parts_that_need_it_change() {
    let message = "MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary=\"a b; c\"
Content-Transfer-Encoding: 8bit

preamble
--a b; c
Content-Type: text/plain; charset=utf-8
content-transfer-encoding: 8BIT

grüße = 1 
--a b; c
Content-Type: text/plain

ascii stays\t
--a b; c\t
Content-Type: application/octet-stream
Content-Transfer-Encoding: binary

\u{1}é
--a b; c
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

Subject: inner

é
--a b; c--
epilogue
";
    let wanted = "MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary=\"a b; c\"
Content-Transfer-Encoding: 7bit

preamble
--a b; c
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

gr=C3=BC=C3=9Fe =3D 1=20
--a b; c
Content-Type: text/plain

ascii stays\t
--a b; c\t
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

AcOp

--a b; c
Content-Type: message/rfc822
Content-Transfer-Encoding: 7bit

Subject: inner
Content-Transfer-Encoding: quoted-printable

=C3=A9
--a b; c--
epilogue
";
    assert_eq!(converted(message).unwrap(), wanted);
}

#[test]
fn a_message_that_knows_nothing_of_mime_learns_it() {
    assert_eq!(
        converted("Subject: x\n\né\n").unwrap(),
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n\
         Content-Transfer-Encoding: quoted-printable\n\n=C3=A9\n"
    );
}

#[test]
fn what_cannot_be_done_right_is_not_done() {
    let multipart = |kind: &str| {
        format!("MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=b\n\n--b\n\né\n--b--\n")
    };
    for (message, why) in [
        ("Subject: é\n\nx\n".to_owned(), Unconvertible::Header),
        (multipart("signed"), Unconvertible::Signed),
        (multipart("encrypted"), Unconvertible::Signed),
        (multipart("mixed").replace("; boundary=b", ""), Unconvertible::Structure),
        (multipart("mixed") + "é", Unconvertible::Structure),
        ("Content-Type: message/delivery-status\n\né\n".into(), Unconvertible::Structure),
        ("Content-Transfer-Encoding: base64\n\né\n".into(), Unconvertible::Structure),
        (format!("{}\né\n", "Content-Type: message/rfc822\n\n".repeat(100)), Unconvertible::Depth),
    ] {
        assert_eq!(converted(&message), Err(why), "{message}");
    }
}

#[test]
fn a_boundary_that_is_the_beginning_of_another_does_not_delimit() {
    let message = "Content-Type: multipart/mixed; boundary=b\n\n--bb\n--b\n\né --b\n--b--\n";
    let out = converted(message).unwrap();
    assert!(out.contains("\n--bb\n--b\n") && out.contains("=C3=A9 --b\n--b--\n"), "{out}");
}

fn multipart(kind: &str, encoding: &str, data: &[u8]) -> Vec<u8> {
    let head = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n--b\r\n"
    );
    let text = "Content-Transfer-Encoding: 8bit\r\n\r\ngr\u{fc}n\r\n--b\r\nContent-Type: application/octet-stream\r\n";
    let part = format!("{head}{text}Content-Transfer-Encoding: {encoding}\r\n\r\n");
    [part.as_bytes(), data, b"\r\n--b--\r\n"].concat()
}

#[test]
fn binary_parts_become_lines_and_the_others_stay() {
    let data = b"\n.\n--b\n\0\r\xff";
    let out = narrow(&multipart("mixed", "binary", data), LINES).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n"), "{text}");
    assert!(text.contains("Content-Transfer-Encoding: 8bit\r\n\r\ngr\u{fc}n\r\n--b\r\n"), "{text}");
    let encoded = STANDARD.encode(data);
    assert!(text.contains(&format!("Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n")), "{text}");
    let seven = narrow(&multipart("mixed", "binary", data), SEVEN_IN_LINES).unwrap();
    assert!(seven.is_ascii() && is_lines(&seven));
}

#[test]
fn what_fits_says_no_more_that_it_is_binary() {
    let out = narrow(&multipart("mixed", "binary", b"plain"), LINES).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        !text.contains("binary") && text.contains("Content-Transfer-Encoding: 7bit\r\n\r\nplain\r\n"),
        "{text}"
    );
    let honest = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n";
    assert_eq!(narrow(honest, LINES).unwrap(), honest);
}

#[test]
fn the_last_line_of_binary_data_gets_no_end() {
    let message = b"Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\nabc";
    let out = String::from_utf8(narrow(message, LINES).unwrap()).unwrap();
    assert!(out.ends_with("\r\n\r\nYWJj\r\n"), "{out}");
    let out = narrow(b"Content-Type: text/plain\r\n\r\nabc", LINES).unwrap();
    assert!(out.ends_with(b"quoted-printable\r\n\r\nabc=\r\n"));
}

#[test]
fn binary_data_that_is_signed_or_in_a_header_stays_binary() {
    let signed = multipart("signed", "binary", b"\n");
    assert_eq!(narrow(&signed, LINES), Err(Unconvertible::Signed));
    assert_eq!(narrow(b"A: b\nC: d\r\n\r\nx\r\n", LINES), Err(Unconvertible::Header));
    let whole = multipart("signed", "7bit", b"text");
    assert_eq!(narrow(&whole, LINES).unwrap(), whole, "it can go as it is");
}

proptest! {
    #[test]
    fn any_octets_are_refused_or_become_lines(
        pieces in proptest::collection::vec(prop_oneof![
            Just(b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec()),
            Just(b"Content-Type: message/rfc822\r\n".to_vec()),
            Just(b"Content-Type: image/x\r\n".to_vec()),
            Just(b"Content-Transfer-Encoding: binary\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"--b\r\n".to_vec()),
            Just(b"\n--b--\r\n".to_vec()),
            Just(b"\n.\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..20),
        ], 0..30),
        eight in any::<bool>(),
    ) {
        if let Ok(out) = narrow(&pieces.concat(), Fit { eight, lines: true }) {
            let mut ends = LineEnds::default();
            ends.feed(&out);
            prop_assert!(!ends.is_broken(true) && out.ends_with(b"\r\n"));
            prop_assert!(!out.contains(&0) && (eight || out.is_ascii()));
        }
    }

    #[test]
    fn text_comes_back_and_lines_are_short(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut out = Vec::new();
        quoted_printable(&text, &mut out);
        prop_assert!(out.is_ascii());
        for line in out.split(|b| *b == b'\n') {
            prop_assert!(line.strip_suffix(b"\r").unwrap_or(line).len() <= LINE);
        }
        prop_assert_eq!(unquoted(&out), text);
    }

    #[test]
    fn any_octets_are_refused_or_become_ascii(
        pieces in proptest::collection::vec(prop_oneof![
            Just(b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec()),
            Just(b"Content-Type: message/rfc822\r\n".to_vec()),
            Just(b"Content-Type: x; boundary=\"\\".to_vec()),
            Just(b"Content-Transfer-Encoding: 8bit\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"--b\r\n".to_vec()),
            Just(b"--b--\r\n".to_vec()),
            Just(b" \n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..20),
        ], 0..30)
    ) {
        let message = pieces.concat();
        if let Ok(out) = narrow(&message, SEVEN) {
            prop_assert!(out.is_ascii());
        }
    }
}
