//! However octets are chopped, the same comes out.

use bytes::BytesMut;
use proptest::prelude::*;

use super::{decoder, taken};
use crate::imap::codec::Event;
use crate::imap::types::AppendPart;

const SESSION: &[u8] = b"a LOGIN {3}\r\nann \"x\"\r\n\r\nb SELECT INBOX\nc XYZZY {3+}\r\n\r\n\r\r\n\
d APPEND x (\\Seen) {5+}\r\nA\r\n\0B () {0}\r\n {2+}\r\n\r\n\r\ne SEARCH TEXT {2+}\r\n\xc3\xa9 (1:* NOT 5)\r\n\
f APPEND y CATENATE (URL {2}\r\n/a TEXT {5+}\r\n{9}\r\n URL b)\r\ng FETCH 0 X\r\nh UID FETCH 1:9 (BODY[1.HEADER])\r\n\
i SETMETADATA \"\" (/a/b ~{3+}\r\n\0\n\r)\r\nj NOOP\r\nk APPEND x {2+}\r\nAB)\r\nl LOGOUT\r\nm NO";

/// Pieces of a message put together.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(Event::Append(AppendPart::Piece(before))), Event::Append(AppendPart::Piece(piece))) => {
                *before = [&before[..], &piece[..]].concat().into();
            }
            (_, event) => joined.push(event),
        }
    }
    joined
}

fn fed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let (mut decoder, mut input, mut events) = (decoder(), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        events.extend(taken(&mut decoder, &mut input));
    }
    joined(events)
}

#[test]
fn the_session_is_what_it_should_be() {
    let events = fed(std::iter::once(SESSION));
    let commands = events.iter().filter(|event| matches!(event, Event::Command(_))).count();
    let refusals = events.iter().filter(|event| matches!(event, Event::Refused(_))).count();
    assert_eq!((commands, refusals), (10, 3), "{events:?}");
    for size in 1..60 {
        assert_eq!(fed(SESSION.chunks(size)), events, "{size}");
    }
}

proptest! {
    #[test]
    fn any_octets_in_any_pieces(
        words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60),
        sizes in prop::collection::vec(1usize..9, 1..20),
    ) {
        let octets = words.concat();
        let mut rest = &octets[..];
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(fed(pieces.into_iter()), fed(std::iter::once(&octets[..])));
    }
}

const WORDS: [&[u8]; 40] = [
    b"a ",
    b"a1 APPEND x ",
    b"b NOOP",
    b"c LOGIN ",
    b"d FETCH 1 ",
    b"e SEARCH ",
    b"f SETMETADATA \"\" (/a ",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"{3}\r\n",
    b"{3+}\r\n",
    b"~{2+}\r\n",
    b"{0}\r\n",
    b"{99}",
    b"{5000+}\r\n",
    b"(",
    b")",
    b" ",
    b"\"",
    b"\\",
    b"abc",
    b"x",
    b"CATENATE (",
    b"URL ",
    b"TEXT ",
    b"UTF8 (",
    b"1:*",
    b"BODY[",
    b"]",
    b"<0.1>",
    b"OR ",
    b"NOT ",
    b"\0",
    b"\xff",
    b"&AOk-",
    b"NIL",
    b"\" 1-Jan-2020 00:00:00 +0000\" ",
    b"REPLACE 1 ",
    b"{3+}\r\nabc",
];
