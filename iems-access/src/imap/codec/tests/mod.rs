//! The codec by what goes in and what comes out.

mod append;
mod clients;
mod commands;
mod framing;
mod refusals;
mod responses;
mod splitting;

use bytes::BytesMut;

use super::{Decoder, Event, Limits};
use crate::imap::types::{AppendPart, Command, CommandBody, LiteralInfo, Response, SequenceSet};

/// A decoder behind a login, which takes messages of 1 MiB.
pub(super) fn decoder() -> Decoder {
    Decoder::new(Limits::after_login(1 << 20))
}

/// All events of octets, with all literals accepted.
pub(super) fn events(decoder: &mut Decoder, octets: &[u8]) -> Vec<Event> {
    let mut input = BytesMut::from(octets);
    taken(decoder, &mut input)
}

pub(super) fn taken(decoder: &mut Decoder, input: &mut BytesMut) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = decoder.next(input) {
        let literal = matches!(event, Event::Append(AppendPart::Literal(_)));
        events.push(event);
        if literal {
            decoder.accept();
        }
    }
    events
}

/// The one command of a line.
pub(super) fn body(line: &str) -> CommandBody {
    body_of(line.as_bytes())
}

pub(super) fn body_of(line: &[u8]) -> CommandBody {
    let octets = [b"a ", line, b"\r\n"].concat();
    let mut found = events(&mut decoder(), &octets);
    found.retain(|event| *event != Event::Continue);
    match found.pop() {
        Some(Event::Command(Command { tag, body, .. })) if found.is_empty() && tag == "a" => body,
        other => panic!("{}: {found:?} {other:?}", line.escape_ascii()),
    }
}

/// The answer to a line that is refused.
pub(super) fn refusal(line: &[u8]) -> String {
    let octets = [b"a ", line, b"\r\n"].concat();
    let found = events(&mut decoder(), &octets);
    match &found[..] {
        [Event::Refused(refusal)] => sent(&refusal.clone().into(), false),
        other => panic!("{}: {other:?}", line.escape_ascii()),
    }
}

/// What is sent, without the last line end.
pub(super) fn sent(response: &Response, utf8: bool) -> String {
    let mut out = BytesMut::new();
    super::Encoder { utf8 }.response(response, &mut out);
    let text = out.escape_ascii().to_string().replace("\\\"", "\"").replace("\\\\", "\\");
    text.strip_suffix("\\r\\n").expect("a line end").to_owned()
}

pub(super) fn set(text: &str) -> SequenceSet {
    let CommandBody::Expunge { uids: Some(set) } = body(&format!("UID EXPUNGE {text}")) else { panic!() };
    set
}

pub(super) const fn literal(octets: u64, sync: bool) -> LiteralInfo {
    LiteralInfo { octets, sync, binary: false, utf8: false }
}
