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
    let not_the_end = [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\n\n.\n\n",
        "\r\r.\r\r",
        "\n.\r",
        "\r.\n",
        "\r\n.\r\r\n",
        "\r\n.\n\r\n",
        "\r\n.\0\r\n",
        "\r\n. \r\n",
        "\r\n.\t\r\n",
        "\r\n..\r\n",
        "\r\n .\r\n",
        "\r\n.\r\0\n",
        "\r\n\0.\r\n",
        "\r\0\n.\r\n",
        "\n\r.\n\r",
        "\n\r.\r\n",
        "\r\n.\n\r",
        "\r\n.\r.\r\n",
        "\r\n\r.\r\n",
        "\r\n\n.\r\n",
        ".\r\n",
        " .\r\n",
        "x.\r\n",
        "\x0b.\r\n",
        "\u{85}.\u{85}",
        "\u{2028}.\u{2028}",
        "\r\n.x\r\n",
        "\r\n.=0D=0A",
        "%0D%0A.%0D%0A",
        "\\r\\n.\\r\\n",
        "\r\n.\u{200b}\r\n",
        "\r\n.\x1a\r\n",
    ];
    assert!(not_the_end.len() >= 30);
    for spelling in not_the_end {
        let smuggled = format!("Subject: a\r\n\r\nbody{spelling}MAIL FROM:<evil@x>\r\n.\r\nNOOP\r\n");
        let (message, broken, rest) = same_everywhere(smuggled.as_bytes()).unwrap();
        assert_eq!(rest, b"NOOP\r\n", "{spelling:?}: one message, ended by the real end");
        let bare = has_bare_line_end(spelling.as_bytes());
        assert_eq!(broken, bare, "{spelling:?}");
        if !broken {
            let holds = message.windows(4).any(|w| w == b"MAIL");
            assert!(holds, "{spelling:?}: what follows belongs to the message");
        }
    }
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
