//! What holds for any octets.

use bytes::BytesMut;
use proptest::prelude::*;

use super::super::{Addresses, Kind, Limits, Parser, Row, Structure, Text};
use crate::told::{Teller, body_structure};

/// Checks that a structure fits a message of `size` octets.
fn fits(structure: &Structure, size: u64) {
    assert_eq!(structure.size, size);
    for (at, part) in structure.parts.iter().enumerate() {
        assert_eq!(part.header.end(), part.body.start, "a body begins where its header ends");
        assert!(part.body.end() <= size, "a part ends within the message");
        let mut behind = part.body.start;
        for child in structure.children(at) {
            let child = &structure.parts[child];
            assert!(
                behind <= child.header.start && child.body.end() <= part.body.end(),
                "a part is within its parent"
            );
            behind = child.body.end();
        }
        let children = structure.children(at).count();
        assert!(match part.kind {
            Kind::Single => children == 0,
            Kind::Message => children == 1,
            Kind::Multipart => true,
        });
    }
    let (header, text) =
        (structure.section(&[], Text::Header).unwrap(), structure.section(&[], Text::Text).unwrap());
    assert_eq!((header.start, header.end(), text.end()), (0, text.start, size));
}

const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "--a",
    "--b",
    "--a--",
    "--",
    "Content-Type: ",
    "multipart/mixed; boundary=a",
    "message/rfc822",
    "multipart/digest; boundary=\"b\"",
    "text/plain; a*0=x",
    "To: ",
    "a@b",
    "<",
    ">",
    ":",
    ";",
    "(",
    ")",
    "\"",
    "\\",
    ",",
    " ",
    "x",
    "\r\n\r\n",
    "\u{e4}",
    "\0",
];

proptest! {
    #[test]
    fn any_octets_have_a_structure(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..80), size in 1usize..20) {
        let text = words.concat();
        let structure = Structure::of(text.as_bytes());
        fits(&structure, text.len() as u64);
        let mut parser = Parser::new(Limits::default());
        text.as_bytes().chunks(size).for_each(|piece| parser.feed(piece));
        prop_assert_eq!(&parser.finish(), &structure);
        prop_assert_eq!(&Structure::decode(&structure.encode().unwrap()).unwrap(), &structure);
    }

    #[test]
    fn sections_of_a_row_say_what_the_whole_says(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..80)) {
        let structure = Structure::of(words.concat().as_bytes());
        let encoded = structure.encode().unwrap();
        let row = Row::of(&encoded).unwrap();
        let whole = row.structure().unwrap();
        prop_assert_eq!(row.size(), structure.size);
        let kept = row.kept().all();
        prop_assert_eq!(kept.as_ref(), Some(&whole.kept));
        let names = ["from", "Subject", "received", "to"];
        prop_assert_eq!(row.kept().picked(&names).map(|picked| picked.to_vec()), whole.kept_fields(&names));
        prop_assert_eq!(&row.envelope().unwrap(), &whole.parts[0].envelope);
        let envelope = whole.parts[0].envelope.as_deref().cloned().unwrap_or_default();
        let lists = [Addresses::From, Addresses::To, Addresses::Cc, Addresses::Bcc].map(|of| {
            let mut list = Vec::new();
            let found = row.any_address(of, |address| {
                list.push(address.clone());
                false
            });
            assert!(!found.unwrap() && row.any_address(of, |_| true).unwrap() != list.is_empty());
            list
        });
        prop_assert_eq!(lists, [envelope.from, envelope.to, envelope.cc, envelope.bcc]);
        for utf8 in [false, true] {
            let mut told = BytesMut::new();
            Teller { utf8 }.body(&body_structure(&whole, 0), true, &mut told);
            prop_assert!(row.body_structure().is_none_or(|kept| kept == told), "what all clients are told");
            prop_assert!(row.body_structure().is_some() || !told.is_ascii(), "it is kept where it can be");
        }
    }
}
