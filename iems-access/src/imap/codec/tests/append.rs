//! Messages of `APPEND` and `REPLACE`, piece by piece.

use bytes::{Bytes, BytesMut};

use super::{decoder, events, literal, taken};
use crate::imap::codec::Event;
use crate::imap::types::{AppendPart, Command, CommandBody, Date, DateTime, Flag, LiteralInfo};

fn command(body: CommandBody) -> Event {
    Event::Command(Command::new("a", body))
}

fn append(mailbox: &str) -> Event {
    command(CommandBody::Append { mailbox: mailbox.into() })
}

fn parts(parts: Vec<AppendPart>) -> Vec<Event> {
    parts.into_iter().map(Event::Append).collect()
}

fn message(flags: Vec<Flag>, date: Option<DateTime>, catenate: bool) -> AppendPart {
    AppendPart::Message { flags, date, catenate }
}

fn piece(octets: &'static [u8]) -> AppendPart {
    AppendPart::Piece(Bytes::from_static(octets))
}

use AppendPart::{End, Literal, LiteralEnd, MessageEnd, Url};

#[test]
fn one_message() {
    let found = events(
        &mut decoder(),
        b"a APPEND inbox (\\Seen $x) \" 1-Jan-2020 02:03:04 -0130\" {4}\r\nA\r\n\0\r\n",
    );
    let date = Date::new(2020, 1, 1).unwrap();
    let date = DateTime { date, hour: 2, minute: 3, second: 4, zone: -90 };
    let mut wanted = vec![append("INBOX")];
    let flags = vec![Flag::Seen, Flag::Keyword("$x".into())];
    wanted.extend(parts(vec![message(flags, Some(date), false), Literal(literal(4, true))]));
    wanted.push(Event::Continue);
    wanted.extend(parts(vec![piece(b"A\r\n\0"), LiteralEnd, MessageEnd, End]));
    assert_eq!(found, wanted);
}

#[test]
fn several_messages_and_a_name_that_is_a_literal() {
    let found = events(&mut decoder(), b"a APPEND {3}\r\nx y {1+}\r\nA () {0+}\r\n {2+}\r\nBC\r\n");
    let mut wanted = vec![Event::Continue, append("x y")];
    wanted.extend(parts(vec![
        message(vec![], None, false),
        Literal(literal(1, false)),
        piece(b"A"),
        LiteralEnd,
        MessageEnd,
        message(vec![], None, false),
        Literal(literal(0, false)),
        LiteralEnd,
        MessageEnd,
        message(vec![], None, false),
        Literal(literal(2, false)),
        piece(b"BC"),
        LiteralEnd,
        MessageEnd,
        End,
    ]));
    assert_eq!(found, wanted);
}

#[test]
fn parts_are_catenated() {
    let line = b"a APPEND x CATENATE (URL \"/a;UID=1\" TEXT {2+}\r\nAB URL {2+}\r\n/b TEXT ~{1+}\r\nC) CATENATE (URL /c)\r\n";
    let mut wanted = vec![append("x")];
    wanted.extend(parts(vec![
        message(vec![], None, true),
        Url("/a;UID=1".into()),
        Literal(literal(2, false)),
        piece(b"AB"),
        LiteralEnd,
        Url("/b".into()),
        Literal(LiteralInfo { binary: true, ..literal(1, false) }),
        piece(b"C"),
        LiteralEnd,
        MessageEnd,
        message(vec![], None, true),
        Url("/c".into()),
        MessageEnd,
        End,
    ]));
    assert_eq!(events(&mut decoder(), line), wanted);
}

#[test]
fn utf8_stands_among_catenated_parts() {
    let line = b"a APPEND x CATENATE (UTF8 (~{2+}\r\nAB) URL /b UTF8 ( ~{1+}\r\nC ))\r\n";
    let info = |octets| LiteralInfo { binary: true, utf8: true, ..literal(octets, false) };
    let mut wanted = vec![append("x")];
    wanted.extend(parts(vec![
        message(vec![], None, true),
        Literal(info(2)),
        piece(b"AB"),
        LiteralEnd,
        Url("/b".into()),
        Literal(info(1)),
        piece(b"C"),
        LiteralEnd,
        MessageEnd,
        End,
    ]));
    assert_eq!(events(&mut decoder(), line), wanted);
    let open = b"a APPEND x CATENATE (UTF8 (~{1+}\r\nA TEXT {1+}\r\nB)\r\nb NOOP\r\n";
    assert_eq!(decided(open, super::Decoder::accept), ["APPEND", "literal", "Bad", "NOOP"]);
}

#[test]
fn utf8_messages_and_replacements() {
    let found = events(&mut decoder(), b"a APPEND x UTF8 (~{1+}\r\nA)\r\n");
    let mut wanted = vec![append("x")];
    let info = LiteralInfo { binary: true, utf8: true, ..literal(1, false) };
    wanted.extend(parts(vec![
        message(vec![], None, false),
        Literal(info),
        piece(b"A"),
        LiteralEnd,
        MessageEnd,
        End,
    ]));
    assert_eq!(found, wanted);
    let found = events(&mut decoder(), b"a UID REPLACE 7 Drafts (\\Draft) {1+}\r\nA\r\n");
    assert_eq!(
        found[0],
        command(CommandBody::Replace { uid: true, message: Some(7), mailbox: "Drafts".into() })
    );
    assert_eq!(found.last(), Some(&Event::Append(End)));
    let found = events(&mut decoder(), b"a REPLACE * x {1+}\r\nA {1+}\r\nB\r\nb NOOP\r\n");
    assert_eq!(found[0], command(CommandBody::Replace { uid: false, message: None, mailbox: "x".into() }));
    assert!(matches!(&found[found.len() - 2..], [Event::Refused(_), Event::Command(_)]), "{found:?}");
}

/// The words of events behind a decision on the first literal.
fn decided(octets: &[u8], decide: impl Fn(&mut super::Decoder)) -> Vec<String> {
    let mut decoder = decoder();
    let mut input = BytesMut::from(octets);
    let mut words = Vec::new();
    while let Some(event) = decoder.next(&mut input) {
        match &event {
            Event::Command(command) => words.push(command.word().to_owned()),
            Event::Refused(refusal) => words.push(format!("{:?}", refusal.status.condition)),
            Event::Append(AppendPart::Literal(_)) => {
                words.push("literal".into());
                decide(&mut decoder);
            }
            Event::Append(AppendPart::End) => words.push("end".into()),
            _ => {}
        }
    }
    words
}

#[test]
fn refused_messages_are_not_sent_or_read_over() {
    let refuse = super::Decoder::refuse;
    assert_eq!(decided(b"a APPEND x {9}\r\nb NOOP\r\n", refuse), ["APPEND", "literal", "NOOP"]);
    let unasked = b"a APPEND x {9+}\r\nc NOOP\r\nz (\\Seen) {4+}\r\nA\r\nB)(\r\nb NOOP\r\n";
    assert_eq!(decided(unasked, refuse), ["APPEND", "literal", "NOOP"]);
    let waiting = b"a APPEND x {1+}\r\nA {9}\r\nb NOOP\r\n";
    assert_eq!(decided(waiting, refuse), ["APPEND", "literal", "NOOP"]);
}

#[test]
fn an_append_can_be_given_up_in_its_middle() {
    let octets = b"a APPEND x {8+}\r\nABCDEFGH {3+}\r\nX\r\n (\r\nb NOOP\r\n";
    for most in 1..octets.len() {
        let (first, rest) = octets.split_at(most);
        let mut decoder = decoder();
        let mut input = BytesMut::from(first);
        let mut events = taken(&mut decoder, &mut input);
        let begun = events.iter().any(|event| matches!(event, Event::Command(_)));
        let refused = events.iter().any(|event| matches!(event, Event::Refused(_)));
        decoder.refuse();
        input.extend_from_slice(rest);
        events.extend(taken(&mut decoder, &mut input));
        let answers = events.iter().filter(|event| matches!(event, Event::Refused(_))).count();
        assert_eq!(answers, usize::from(refused || !begun), "{most}: {events:?}");
        let Some(Event::Command(last)) = events.last() else { panic!("{most}: {events:?}") };
        assert_eq!(last.body, CommandBody::Noop);
    }
}

#[test]
fn messages_are_bounded_by_size_and_state() {
    let take = super::Decoder::accept;
    let large = b"a APPEND x {1048577}\r\nb NOOP\r\n";
    assert_eq!(decided(large, take), ["No", "NOOP"]);
    let mut before = super::Decoder::new(super::Limits::before_login());
    let found = events(&mut before, b"a APPEND x {1}\r\nb NOOP\r\n");
    assert!(matches!(&found[..], [Event::Refused(_), Event::Command(_)]), "{found:?}");
    let broken = b"a APPEND x {1+}\r\nA)\r\nb NOOP\r\n";
    assert_eq!(decided(broken, take), ["APPEND", "literal", "Bad", "NOOP"]);
    let broken = b"a APPEND x {1+}\r\nA (\\Seen {9}\r\nb NOOP\r\n";
    assert_eq!(decided(broken, take), ["APPEND", "literal", "Bad", "NOOP"]);
}

#[test]
fn large_messages_are_not_kept() {
    let mut decoder = decoder();
    let mut input = BytesMut::from(&b"a APPEND x {1000000}\r\n"[..]);
    taken(&mut decoder, &mut input);
    let mut left = 1_000_000;
    while left > 0 {
        input.extend_from_slice(&vec![b'x'; left.min(4096)]);
        left -= left.min(4096);
        assert!(!taken(&mut decoder, &mut input).is_empty());
        assert_eq!((input.len(), decoder.kept()), (0, 0));
    }
    input.extend_from_slice(b"\r\n");
    let found = taken(&mut decoder, &mut input);
    assert_eq!(found, parts(vec![MessageEnd, End]));
}
