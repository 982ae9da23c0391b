//! Spellings of the end of data, split everywhere; and what is written is read back.

use proptest::prelude::*;

use super::*;

/// The message, whether it is broken, and what is left of the input; `None` if the data did not end.
fn decode(octets: &[u8], pieces: &[usize]) -> Option<(Vec<u8>, bool, Vec<u8>)> {
    let (mut decoder, mut input, mut out) = (DataDecoder::default(), BytesMut::new(), Vec::new());
    let mut rest = octets;
    let mut sizes = pieces.iter().copied().chain(std::iter::repeat(usize::MAX));
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(sizes.next().unwrap_or(1).max(1)));
        rest = later;
        input.extend_from_slice(now);
        while let Some(piece) = decoder.next(&mut input) {
            match piece {
                Piece::Octets(octets) => out.extend_from_slice(&octets),
                Piece::End => {
                    // How much of a broken message came out before it broke depends on the pieces.
                    let message = if decoder.is_broken() { Vec::new() } else { out };
                    return Some((message, decoder.is_broken(), [&input[..], rest].concat()));
                }
            }
        }
        assert!(input.len() <= 2, "keeps {input:?}");
    }
    None
}

/// At every way to cut it into two pieces, and octet by octet, the outcome is the same.
fn same_everywhere(octets: &[u8]) -> Option<(Vec<u8>, bool, Vec<u8>)> {
    let whole = decode(octets, &[]);
    for at in 1..octets.len() {
        assert_eq!(decode(octets, &[at]), whole, "{:?} cut at {at}", octets.escape_ascii().to_string());
    }
    assert_eq!(decode(octets, &vec![1; octets.len()]), whole);
    whole
}

#[test]
fn only_crlf_dot_crlf_ends_the_data() {
    let not_the_end = spellings();
    assert!(not_the_end.len() >= 70);
    for spelling in not_the_end {
        let shown = spelling.escape_ascii().to_string();
        let (before, after) = (b"Subject: a\r\n\r\nbody", b"MAIL FROM:<evil@x>\r\n.\r\nNOOP\r\n");
        let smuggled = [&before[..], &spelling, after].concat();
        let (message, broken, rest) = same_everywhere(&smuggled).unwrap();
        assert_eq!(rest, b"NOOP\r\n", "{shown}: one message, ended by the real end");
        assert_eq!(broken, has_bare_line_end(&spelling), "{shown}");
        if !broken {
            let holds = message.windows(4).any(|w| w == b"MAIL");
            assert!(holds, "{shown}: what follows belongs to the message");
        }
    }
}

/// What stands in `tests/endings.txt`.
fn spellings() -> Vec<Vec<u8>> {
    let lines = include_str!("../../tests/endings.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(unescape).collect()
}

fn unescape(line: &str) -> Vec<u8> {
    let (mut out, mut octets) = (Vec::new(), line.bytes());
    while let Some(octet) = octets.next() {
        out.push(match (octet, if octet == b'\\' { octets.next() } else { None }) {
            (b'\\', Some(b'r')) => b'\r',
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b't')) => b'\t',
            (b'\\', Some(b'0')) => 0,
            (b'\\', Some(b'x')) => {
                let digits: String = octets.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            (b'\\', Some(other)) => other,
            (other, _) => other,
        });
    }
    out
}

fn has_bare_line_end(octets: &[u8]) -> bool {
    let mut ends = LineEnds::default();
    ends.feed(octets);
    ends.is_broken(true)
}

#[test]
fn the_real_end_ends_it() {
    for (octets, message, rest) in [
        (".\r\n", "", ""),
        (".\r\nQUIT\r\n", "", "QUIT\r\n"),
        ("\r\n.\r\n", "\r\n", ""),
        ("a\r\n.\r\n.\r\n", "a\r\n", ".\r\n"),
        ("..\r\n.\r\n", ".\r\n", ""),
        ("...\r\n.a\r\n..b\r\n.\r\n", "..\r\na\r\n.b\r\n", ""),
        ("a\0b\r\n.\r\n", "a\0b\r\n", ""),
    ] {
        let expected = Some((message.as_bytes().to_vec(), false, rest.as_bytes().to_vec()));
        assert_eq!(same_everywhere(octets.as_bytes()), expected, "{octets:?}");
    }
    for open in ["", "a", "a\r\n", "a\r\n.", "a\r\n.\r", "a.\r\n", "..\r\n"] {
        assert_eq!(same_everywhere(open.as_bytes()), None, "{open:?}");
    }
}

#[test]
fn a_piece_is_a_slice_of_the_input() {
    let mut input = BytesMut::from(&b"line one\r\nline two\r\n.\r\n"[..]);
    let start = input.as_ptr();
    let Some(Piece::Octets(octets)) = DataDecoder::default().next(&mut input) else { panic!("no octets") };
    assert_eq!((octets.as_ptr(), octets.len()), (start, 20));
}

#[test]
fn chunks_may_split_crlf_but_not_hide_a_bare_one() {
    for octets in ["a\r\nb", "\r\n\r\n", "a\rb", "a\nb", "\r\r\n", "\n", "a\r"] {
        let expected = has_bare_line_end(octets.as_bytes());
        for at in 0..=octets.len() {
            let mut ends = LineEnds::default();
            ends.feed(&octets.as_bytes()[..at]);
            ends.feed(&octets.as_bytes()[at..]);
            assert_eq!(ends.is_broken(true), expected, "{octets:?} at {at}");
        }
    }
    assert!(!has_bare_line_end(b"a\r\nb") && has_bare_line_end(b"a\r") && has_bare_line_end(b"\r\r\n"));
}

fn encode(octets: &[u8], piece: usize) -> BytesMut {
    let (mut encoder, mut out) = (DataEncoder::default(), BytesMut::new());
    octets.chunks(piece.max(1)).for_each(|chunk| encoder.encode(chunk, &mut out));
    encoder.finish(&mut out);
    out
}

/// Where the most careless of servers reads the end of the data: CR, LF and CRLF all end lines for it, and it drops NULs.
fn careless_ends(wire: &[u8]) -> Vec<usize> {
    let mut lines: Vec<(Vec<u8>, usize)> = vec![(Vec::new(), 0)];
    for (at, octet) in wire.iter().enumerate().filter(|(_, octet)| **octet != 0) {
        match octet {
            b'\n' if wire[..at].iter().rfind(|o| **o != 0) == Some(&b'\r') => {
                lines.last_mut().unwrap().1 = at + 1
            }
            b'\r' | b'\n' => lines.push((Vec::new(), at + 1)),
            other => lines.last_mut().unwrap().0.push(*other),
        }
    }
    // A line ends where the next one begins.
    lines.windows(2).filter(|pair| pair[0].0 == b".").map(|pair| pair[1].1).collect()
}

#[test]
fn what_is_written_has_one_end_even_for_the_careless() {
    assert_eq!(careless_ends(b"a\n.\nb\r.\0\r\nc\r\n.\r\n"), [4, 10, 16]);
    for spelling in spellings() {
        let body = [b"Subject: a\r\n\r\nbody", &spelling[..], b"MAIL FROM:<evil@x>\r\n"].concat();
        for piece in [1, 2, 3, body.len()] {
            let wire = encode(&body, piece);
            let shown = wire.escape_ascii();
            assert_eq!(careless_ends(&wire), [wire.len()], "{} by {piece}: {shown}", spelling.escape_ascii());
        }
    }
    for (body, wire) in [
        ("\0.\r\n", "..\r\n.\r\n"),
        ("\0\0a\r\n\0", "\0\0a\r\n\0\r\n.\r\n"),
        ("a\r\n\0\0\r\n\0..", "a\r\n\0\0\r\n...\r\n.\r\n"),
    ] {
        for piece in 1..=body.len() {
            let written = String::from_utf8(encode(body.as_bytes(), piece).to_vec()).unwrap();
            assert_eq!(written, wire, "{body:?} by {piece}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_one_message_with_the_same_text(
        text in "[a.\r\n]{0,40}", piece in 1usize..7, cut in 1usize..40,
    ) {
        let wire = encode(text.as_bytes(), piece);
        let (message, broken, rest) = decode(&wire, &[cut]).expect("ends");
        prop_assert!(!broken && rest.is_empty());
        let lines = text.replace("\r\n", "\n").replace(['\r', '\n'], "\r\n");
        let lines = if lines.is_empty() || lines.ends_with('\n') { lines } else { lines + "\r\n" };
        prop_assert_eq!(String::from_utf8(message).unwrap(), lines);
    }

    #[test]
    fn one_end_of_data_one_message(octets in prop::collection::vec(prop::sample::select(b"\r\n.a\0".to_vec()), 0..40),
        cuts in prop::collection::vec(1usize..9, 0..8)) {
        let whole = decode(&octets, &[]);
        prop_assert_eq!(&decode(&octets, &cuts), &whole);
        let framed = [b"\r\n", &octets[..]].concat();
        let end = memchr::memmem::find(&framed, b"\r\n.\r\n").map(|at| at + 3);
        prop_assert_eq!(whole.map(|(_, _, rest)| octets.len() - rest.len()), end);
    }
}
