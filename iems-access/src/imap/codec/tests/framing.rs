//! Lines, literals and limits.

use bytes::BytesMut;

use super::{decoder, events, taken};
use crate::imap::codec::{Decoder, Event, Limits};
use crate::imap::types::{Command, CommandBody, Response};

fn small() -> Decoder {
    let mut limits = Limits::before_login();
    limits.command = 100;
    limits.skip = 1000;
    Decoder::new(limits)
}

fn shown(events: &[Event]) -> Vec<String> {
    let one = |event: &Event| match event {
        Event::Command(command) => format!("{} {}", command.tag, command.word()),
        Event::Refused(refusal) => {
            let answer = super::sent(&Response::from(refusal.clone()), false);
            answer.split(' ').take(3).collect::<Vec<_>>().join(" ")
        }
        Event::Continue => "+".into(),
        Event::Line(line) => String::from_utf8_lossy(line).into_owned(),
        Event::Fatal(_) => "fatal".into(),
        Event::Append(part) => format!("{part:?}"),
    };
    events.iter().map(one).collect()
}

#[test]
fn lines_end_in_crlf_or_lf_and_empty_ones_are_passed_over() {
    let found = events(&mut decoder(), b"\r\na NOOP\n\nb LOGIN {1}\nx {1}\r\ny\nc NOOP\r\r\nd NO");
    assert_eq!(shown(&found), ["a NOOP", "+", "+", "b LOGIN", "c BAD The"]);
}

#[test]
fn lines_that_are_too_long_are_read_over() {
    let mut decoder = small();
    let long = "x".repeat(300);
    let found = events(&mut decoder, format!("a NOOP {long}\r\nb NOOP\r\n").as_bytes());
    assert_eq!(shown(&found), ["a BAD [LIMIT]", "b NOOP"]);
    let mut input = BytesMut::new();
    let mut found = Vec::new();
    for piece in ["a LOGIN ", &long, &long, " {5+}\r\nb NO", "P x\r\nc NOOP\r\n"] {
        input.extend_from_slice(piece.as_bytes());
        found.extend(taken(&mut decoder, &mut input));
        assert!(input.len() < 100);
    }
    assert_eq!(shown(&found), ["a BAD [LIMIT]", "c NOOP"]);
}

#[test]
fn waiting_literals_are_refused_before_they_are_sent() {
    let found = events(&mut small(), b"a LOGIN x {101}\r\nb LOGIN {10} {1}\r\nc NOOP {3}\r\nd NOOP\r\n");
    assert_eq!(shown(&found), ["a BAD [LIMIT]", "b BAD A", "c BAD The", "d NOOP"]);
    let found = events(&mut small(), b"a LOGIN x {99999999999999999999999}\r\nb NOOP\r\n");
    assert_eq!(shown(&found), ["a BAD [LIMIT]", "b NOOP"]);
}

#[test]
fn literals_that_come_unasked_are_read_over() {
    let mut octets = b"a LOGIN {200+}\r\n".to_vec();
    octets.extend([b'\n'; 200]);
    octets.extend(b" {3+}\r\n\r\n\r {2}\r\nb NOOP\r\nc XYZZY {4+}\r\nd N\n x\r\ne NOOP\r\n");
    assert_eq!(shown(&events(&mut small(), &octets)), ["a BAD [LIMIT]", "b NOOP", "c BAD There", "e NOOP"]);
}

#[test]
fn large_literals_have_to_ask() {
    let mut octets = b"a LOGIN {4097+}\r\n".to_vec();
    octets.extend([b'x'; 4097]);
    octets.extend(b" y\r\nb NOOP\r\n");
    let mut strict = Decoder::new(Limits { unasked: Some(4096), ..Limits::after_login(1) });
    assert_eq!(shown(&events(&mut strict, &octets)), ["a BAD [TOOBIG]", "b NOOP"]);
    assert_eq!(shown(&events(&mut decoder(), &octets)), ["a LOGIN", "b NOOP"]);
}

#[test]
fn what_cannot_be_read_over_ends_the_connection() {
    for end in ["{1001+}\r\n", "{900+}\r\n", "{18446744073709551615+}\r\n"] {
        let mut octets = format!("a XYZZY {end}").into_bytes();
        octets.extend(vec![b'x'; 2000]);
        octets.extend(b"\r\nb NOOP\r\n");
        let mut decoder = small();
        let mut input = BytesMut::from(&octets[..]);
        assert_eq!(shown(&taken(&mut decoder, &mut input)), ["a BAD There", "fatal"], "{end}");
        assert!(input.is_empty());
        assert_eq!(shown(&events(&mut decoder, b"c NOOP\r\n")), [""; 0]);
    }
}

#[test]
fn lines_asked_for_are_no_commands() {
    let mut decoder = small();
    let mut input =
        BytesMut::from(&b"a IDLE\r\nDONE\r\nb AUTHENTICATE PLAIN\r\nAGE {3}\r\n*\r\nc NOOP\r\n"[..]);
    let mut found = Vec::new();
    while let Some(event) = decoder.next(&mut input) {
        if let Event::Command(Command {
            body: CommandBody::Idle | CommandBody::Authenticate { .. }, ..
        }) = &event
        {
            decoder.expect_line();
        }
        if event == Event::Line(b"AGE {3}".to_vec()) {
            decoder.expect_line();
        }
        found.push(event);
    }
    assert_eq!(shown(&found), ["a IDLE", "DONE", "b AUTHENTICATE", "AGE {3}", "*", "c NOOP"]);
    decoder.expect_line();
    let long = format!("{}\r\nd NOOP\r\n", "x".repeat(200));
    assert_eq!(shown(&events(&mut decoder, long.as_bytes())), ["* BAD [LIMIT]", "d NOOP"]);
}

#[test]
fn a_decoder_keeps_nothing_between_commands() {
    let mut decoder = decoder();
    let mut input = BytesMut::from(&b"a LOGIN {3}\r\nann {3+}\r\nxyz\r\n"[..]);
    assert!(decoder.is_within(&input));
    taken(&mut decoder, &mut input);
    assert!(!decoder.is_within(&input));
    assert_eq!(decoder.kept(), 0);
    input.extend_from_slice(b"a");
    assert!(decoder.is_within(&input));
}
