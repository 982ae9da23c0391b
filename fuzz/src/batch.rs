//! Batches: pieces make no difference, every message that ends was begun, and what is read can be written again.

use bytes::BytesMut;
use iems_smtp::batch::{BatchLimits, BatchLineEnds, BatchParser, BatchWriter, Event, Parameters};

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"EHLO x\r\nMAIL FROM:<a@b.example> RET=HDRS\r\nRCPT TO:<c@d.example> NOTIFY=NEVER\r\nDATA\r\nx\r\n..\r\n.\r\nQUIT\r\n",
    b"MAIL FROM:<>\nRCPT TO:<postmaster>\nDATA\n.\nRSET\nVRFY x\nMAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>\nDATA\na\rb\n.\n",
    b"HELO x\r\nDATA\r\n",
];

/// A batch from outside, with either kind of line ends.
pub(crate) fn run(octets: &[u8]) {
    for ends in [BatchLineEnds::Crlf, BatchLineEnds::LfToo] {
        let (events, fine) = read(std::iter::once(octets), ends);
        assert_eq!((&events, fine), (&read(pieces(octets), ends).0, fine), "pieces make a difference");
        let (begun, ended) = (count(&events, |e| *e == Event::Text), count(&events, |e| *e == Event::End));
        assert!(begun == ended || (!fine && begun == ended + 1), "a message ended without a beginning");
        if fine {
            again(&events);
        }
    }
}

fn count(events: &[Event], which: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| which(event)).count()
}

/// Writes all that has a text, reads it, and finds as many messages.
fn again(events: &[Event]) {
    let mut out = BytesMut::new();
    let mut writer = BatchWriter::new("host.example", Parameters::All, &mut out);
    let (mut mail, mut to) = (None, Vec::new());
    for event in events {
        match event {
            Event::Mail(begun) => (mail, to) = (Some(begun), Vec::new()),
            Event::Rcpt(rcpt) => to.push((**rcpt).clone()),
            Event::Text => writer.begin(mail.expect("MAIL comes first"), &to, &mut out),
            Event::Octets(octets) => writer.octets(octets, &mut out),
            Event::End => writer.end(&mut out),
            Event::Reset | Event::Quit => {}
        }
    }
    writer.finish(&mut out);
    let (read, fine) = read(std::iter::once(&out[..]), BatchLineEnds::Crlf);
    let ended = |events: &[Event]| count(events, |event| *event == Event::End);
    assert!(fine && ended(&read) == ended(events), "a batch cannot be read again: {out:?}");
}

/// The events, octets in a row joined; and whether the batch is right. After an error only what had ended is looked at.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, ends: BatchLineEnds) -> (Vec<Event>, bool) {
    let mut parser = BatchParser::new(ends, BatchLimits::default());
    let mut events = Vec::new();
    for piece in pieces {
        parser.push(piece);
        loop {
            match (parser.event(), events.last_mut()) {
                (Ok(Some(Event::Octets(more))), Some(Event::Octets(before))) => {
                    *before = [&before[..], &more[..]].concat().into();
                }
                (Ok(Some(event)), _) => events.push(event),
                (Ok(None), _) => break,
                // How much of a broken text came out depends on the pieces.
                (Err(_), _) => {
                    events.pop_if(|last| matches!(last, Event::Octets(_)));
                    return (events, false);
                }
            }
        }
    }
    let fine = parser.finish().is_ok();
    (events, fine)
}
