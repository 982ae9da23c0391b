//! IMAP commands: the same in any pieces, and every answer is a line.

use bytes::BytesMut;
use iems_access::imap::codec::{Decoder, Encoder, Event, Limits};
use iems_access::imap::types::{AppendPart, CommandBody, Response};

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"a LOGIN {3}\r\nann \"x\"\r\nb ENABLE UTF8=ACCEPT\r\nc SELECT \"&AOk-\" (QRESYNC (1 2 3:4 (1 2)))\r\nd LOGOUT\r\n",
    b"a APPEND x (\\Seen) \" 1-Jan-2020 00:00:00 +0000\" {5+}\r\nA\r\n\0B () ~{2}\r\n\r\n\r\nb NOOP\r\n",
    b"a APPEND y CATENATE (URL {2}\r\n/a TEXT {5+}\r\n{9}\r\n URL b) UTF8 (~{1+}\r\nx)\r\nb REPLACE * x {1+}\r\nA\r\n",
    b"a UID SEARCH RETURN (MIN PARTIAL 1:9) CHARSET UTF-8 OR NOT (1:* $) HEADER a {1+}\r\nx MODSEQ \"/flags/a\" all 3\r\n",
    b"a FETCH 1,2:* (BODY.PEEK[1.2.HEADER.FIELDS (a b)]<0.9> BINARY[1] PREVIEW (LAZY)) (CHANGEDSINCE 7)\r\n",
    b"a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a% *) RETURN (STATUS (MESSAGES) CHILDREN)\r\nb LSUB \"\" *\r\n",
    b"a IDLE\r\nDONE\r\nb AUTHENTICATE PLAIN =\r\n*\r\nc ID (\"a\" NIL)\r\nd SETMETADATA \"\" (/a/b ~{3+}\r\n\0\n\r)\r\n",
    b"a NOTIFY SET STATUS (subtree (a b) (MessageNew (UID) MessageExpunge)) (inboxes NONE)\r\nb SETACL a b +lrs\r\n",
    b"a UID STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Seen $x)\r\nb SORT RETURN (ALL) (REVERSE DATE) UTF-8 SINCE 1-Jan-2020\r\n",
];

/// A client that says anything.
pub(crate) fn run(octets: &[u8]) {
    assert_eq!(
        joined(talk(std::iter::once(octets))),
        joined(talk(pieces(octets))),
        "pieces make a difference"
    );
}

fn talk<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut limits = Limits::after_login(1000);
    (limits.command, limits.skip) = (2000, 3000);
    let mut decoder = Decoder::new(limits);
    let (mut input, mut events) = (BytesMut::new(), Vec::new());
    let mut append = None;
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(event) = decoder.next(&mut input) {
            answered(&mut decoder, &event);
            followed(&mut append, &event);
            events.push(event);
        }
        assert!(input.len() <= 2000, "more is kept than a line may have");
    }
    events
}

/// Does what a session does.
fn answered(decoder: &mut Decoder, event: &Event) {
    match event {
        Event::Command(command) => match &command.body {
            CommandBody::Idle | CommandBody::Authenticate { .. } => decoder.expect_line(),
            CommandBody::Enable(names) => decoder.set_utf8(names.iter().any(|name| name == "UTF8=ACCEPT")),
            _ => {}
        },
        Event::Append(AppendPart::Literal(info)) if info.octets % 5 == 4 => decoder.refuse(),
        Event::Append(AppendPart::Literal(_)) => decoder.accept(),
        Event::Refused(refusal) => one_line(&refusal.clone().into()),
        Event::Fatal(status) => one_line(&Response::Status(status.clone())),
        _ => {}
    }
}

fn one_line(response: &Response) {
    let mut out = BytesMut::new();
    Encoder::default().response(response, &mut out);
    let line = out.strip_suffix(b"\r\n").expect("a line end");
    assert!(line.iter().all(|octet| (b' '..=b'~').contains(octet)), "{response:?}");
}

/// Pieces are as long as the literal that was announced.
fn followed(left: &mut Option<u64>, event: &Event) {
    match event {
        Event::Append(AppendPart::Literal(info)) => *left = Some(info.octets),
        Event::Append(AppendPart::Piece(piece)) => {
            *left = left.and_then(|left| left.checked_sub(piece.len() as u64));
            assert!(left.is_some() && !piece.is_empty(), "a piece too many");
        }
        Event::Append(AppendPart::LiteralEnd) => assert_eq!(left.take(), Some(0)),
        _ => {}
    }
}

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
