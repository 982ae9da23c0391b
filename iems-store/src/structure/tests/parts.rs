//! Parts: where they are, what they are, and what names them.

use super::super::{Kind, Limits, Parser, Structure, Text, header_fields};

/// Sections of a message as text.
struct Message<'a>(&'a str, Structure);

impl<'a> Message<'a> {
    fn new(text: &'a str) -> Self {
        let structure = Structure::of(text.as_bytes());
        assert_eq!(structure, Structure::decode(&structure.encode().unwrap()).unwrap());
        for size in 1..9 {
            let mut parser = Parser::new(Limits::default());
            let mut fed = 0;
            for piece in text.as_bytes().chunks(size) {
                parser.feed(piece);
                fed += piece.len() as u64;
                let whole = &structure.parts[0];
                match parser.header_end() {
                    Some(end) => assert!(end <= fed && end == whole.header.length, "{end} after {fed}"),
                    None => assert!(fed < structure.size || whole.body.length == 0, "not after all of it"),
                }
            }
            assert_eq!(parser.finish(), structure, "pieces of {size}");
        }
        Self(text, structure)
    }

    fn section(&self, numbers: &[u32], text: Text) -> Option<&'a str> {
        let range = self.1.section(numbers, text)?.range();
        Some(&self.0[range.start as usize..range.end as usize])
    }
}

const MIXED: &str = "From: a@b\r\nContent-Type: multipart/mixed; boundary=\"x y\"\r\n\r\npreamble\r\n--x y\r\n\r\none\r\n\
--x y  \r\nContent-Type: message/rfc822\r\nContent-ID: <2>\r\n\r\nSubject: inner\r\n\
Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\ntwo.one\r\nof two lines\r\n--x\r\nContent-Type: text/html\r\n\r\n\
two.two\r\n--x--\r\nepilogue\r\n--x y--\r\nend\r\n";

#[test]
fn numbers_name_parts() {
    let message = Message::new(MIXED);
    assert_eq!(message.1.size, MIXED.len() as u64);
    let all = |numbers: &[u32]| message.section(numbers, Text::All);
    assert_eq!(all(&[]), Some(MIXED));
    assert_eq!(all(&[1]), Some("one"));
    assert_eq!(all(&[2, 1]), Some("two.one\r\nof two lines"));
    assert_eq!(all(&[2, 2]), Some("two.two"));
    assert!(all(&[2]).is_some_and(|text| text.starts_with("Subject: inner") && text.ends_with("epilogue")));
    for none in [&[3][..], &[1, 1], &[2, 3], &[2, 1, 1], &[0], &[u32::MAX]] {
        assert_eq!(all(none), None, "{none:?}");
    }
    assert_eq!(
        message.section(&[2], Text::Mime),
        Some("Content-Type: message/rfc822\r\nContent-ID: <2>\r\n\r\n")
    );
    assert!(
        message
            .section(&[2], Text::Header)
            .is_some_and(|text| text.starts_with("Subject") && text.ends_with("x\r\n\r\n"))
    );
    assert!(message.section(&[2], Text::Text).is_some_and(|text| text.starts_with("--x\r\n")));
    assert_eq!(message.section(&[1], Text::Header), None);
    assert_eq!(message.section(&[1], Text::Mime), Some("\r\n"));
    assert!(message.section(&[], Text::Header).is_some_and(|text| text.ends_with("\"x y\"\r\n\r\n")));
    assert!(
        message
            .section(&[], Text::Text)
            .is_some_and(|text| text.starts_with("preamble") && text.ends_with("end\r\n"))
    );
    let kinds: Vec<_> = message.1.parts.iter().map(|part| (part.kind, part.lines, part.within)).collect();
    assert_eq!(
        kinds,
        [
            (Kind::Multipart, 23, 5),
            (Kind::Single, 0, 0),
            (Kind::Message, 12, 3),
            (Kind::Multipart, 9, 2),
            (Kind::Single, 1, 0),
            (Kind::Single, 0, 0)
        ]
    );
}

#[test]
fn a_message_without_parts_is_its_own_first_part() {
    let message = Message::new("Subject: x\r\n\r\nbody\r\n");
    assert_eq!(message.section(&[1], Text::All), Some("body\r\n"));
    assert_eq!(message.section(&[1, 1], Text::All), None);
    assert_eq!(message.section(&[2], Text::All), None);
    assert_eq!(message.section(&[], Text::Mime), None);
    assert_eq!(message.1.parts[0].lines, 1);
}

#[test]
fn an_outer_boundary_ends_all_within() {
    let text = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
--b\r\nX: cut in its header\r\n--a\r\n\r\nlast";
    let message = Message::new(text);
    assert_eq!(message.section(&[1, 1], Text::Mime), Some("X: cut in its header"));
    assert_eq!(message.section(&[1, 1], Text::All), Some(""));
    assert_eq!(message.section(&[1], Text::All), Some("--b\r\nX: cut in its header"));
    assert_eq!(message.section(&[2], Text::All), Some("last"));
}

#[test]
fn the_line_end_in_front_of_a_boundary_belongs_to_it() {
    let mime = |text: &str| {
        let text = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{text}--b--\r\n");
        let message = Message::new(&text);
        let found = [Text::Mime, Text::All].map(|of| message.section(&[1], of).map(str::to_owned));
        found.map(|text| text.unwrap())
    };
    for (text, header, body) in [
        ("", "", ""),
        ("\r\n", "", ""),
        ("\r\n\r\n", "\r\n", ""),
        ("A: b\r\n", "A: b", ""),
        ("A: b\r\n\r\n", "A: b\r\n", ""),
        ("A: b\r\n\r\n\r\n", "A: b\r\n\r\n", ""),
        ("Content-Type: message/rfc822\r\n\r\n", "Content-Type: message/rfc822\r\n", ""),
        ("Content-Type: message/rfc822\r\n\r\nA: b\r\n", "Content-Type: message/rfc822\r\n\r\n", "A: b"),
    ] {
        assert_eq!(mime(text), [header, body], "{text:?}");
    }
}

#[test]
fn a_digest_holds_messages() {
    let text = "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: one\r\n\r\n1\r\n--d\r\nContent-Type: text/plain\r\n\r\n2\r\n--d--\r\n";
    let message = Message::new(text);
    assert_eq!(message.section(&[1], Text::Header), Some("Subject: one\r\n\r\n"));
    assert_eq!(message.section(&[1, 1], Text::All), Some("1"));
    assert_eq!(message.section(&[2], Text::All), Some("2"));
}

#[test]
fn what_is_wrong_is_text() {
    for (header, kind) in [
        ("Content-Type: text/", "text/plain"),
        ("Content-Type: a b/c; charset=x", "text/plain"),
        ("Content-Type:\r\nContent-Type: text/html", "text/plain"),
        ("Content-Type: text/html\r\nContent-Type: text/", "text/html"),
    ] {
        let structure = Structure::of(format!("{header}\r\n\r\nx").as_bytes());
        let media = structure.parts[0].media.as_ref().unwrap();
        assert_eq!([&media.main[..], &media.sub].join(&b'/'), kind.as_bytes(), "{header}");
    }
    let fields = "Content-ID: <x>\r\nContent-Transfer-Encoding: base64\r\n";
    let without = Structure::of(format!("Subject: x\r\n{fields}\r\nx").as_bytes());
    let part = &without.parts[0];
    assert_eq!((&part.id, &part.encoding), (&None, &None));
    assert!(part.envelope.as_ref().is_some_and(|envelope| envelope.subject.is_some()));
    let with = Structure::of(format!("MIME-Version: 1.0\r\n{fields}\r\nx").as_bytes());
    assert!(with.parts[0].id.is_some() && with.parts[0].encoding.is_some());
    let multipart = Structure::of(b"Content-Type: multipart/mixed\r\n\r\n--b\r\n");
    assert_eq!((multipart.parts.len(), multipart.parts[0].kind), (1, Kind::Multipart));
}

#[test]
fn depth_and_parts_are_bounded() {
    let deep: String = (0..500)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}x\r\n\r\n--b{n}x\r\n"))
        .collect();
    let structure = Structure::of(deep.as_bytes());
    assert!((100..=102).contains(&structure.parts.len()), "{}", structure.parts.len());
    let wide = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n".repeat(30_000));
    let structure = Structure::of(wide.as_bytes());
    assert_eq!(structure.parts.len(), 10_000);
    assert!(structure.encode().unwrap().len() < 512 * 1024);
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(500);
    assert!(Structure::of(messages.as_bytes()).parts.len() <= 102);
}

#[test]
fn texts_are_bounded_and_still_one_row() {
    let fields = format!("To: {}\r\nSubject: {}\r\n", "a,".repeat(500_000), "x".repeat(200_000));
    let part = format!("--b\r\nContent-Type: text/plain; {}\r\n\r\n", "a=b; ".repeat(5_000));
    let all = format!("{fields}Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(200));
    let structure = Structure::of(all.as_bytes());
    assert!(structure.kept.incomplete);
    assert!(structure.encode().unwrap().len() < 512 * 1024);
    assert_eq!(structure.kept_fields(&["to"]), None);
}

#[test]
fn fields_are_cut_from_a_header_as_they_stand() {
    let header = b"From: a\r\n b\r\nX-Y : c\r\nno colon\r\nTO: d\r\n\r\n";
    assert_eq!(header_fields(header, &["to", "from"], false), b"From: a\r\n b\r\nTO: d\r\n\r\n");
    assert_eq!(header_fields(header, &["to", "from"], true), b"X-Y : c\r\nno colon\r\n\r\n");
    // Many names are looked up in another way.
    let many: Vec<String> =
        (0..100).map(|n| format!("x{n}")).chain(["tO", "FROM", "to"].map(str::to_owned)).collect();
    for except in [false, true] {
        assert_eq!(header_fields(header, &many, except), header_fields(header, &["to", "from"], except));
    }
    let structure = Structure::of(&[&header[..], b"body"].concat());
    assert_eq!(structure.kept_fields(&["To", "from", "cc"]).unwrap(), b"From: a\r\n b\r\nTO: d\r\n\r\n");
    assert_eq!(structure.kept_fields(&["To", "X-Y"]), None);
}

#[test]
fn partial_stays_within() {
    let span = super::super::Span { start: 10, length: 5 };
    for ((origin, octets), expected) in
        [((0, 9), 10..15), ((2, 2), 12..14), ((5, 1), 15..15), ((u64::MAX, u64::MAX), 15..15)]
    {
        assert_eq!(span.partial(origin, octets).range(), expected);
    }
}
