use bytes::BytesMut;
use iems_core::message::{BodyType, Envelope, ForwardPath, Notify, ReversePath};
use proptest::prelude::*;

use super::*;
use crate::proto::{Mail, Rcpt};

/// All that a batch says, its octets in one, fed in pieces of `piece`.
fn read(batch: &[u8], ends: BatchLineEnds, piece: usize) -> (Vec<Event>, Result<(), BatchError>) {
    let parser = BatchParser::new(ends, BatchLimits::default());
    read_with(parser.qualify("site.example".parse().unwrap()), batch, piece)
}

fn read_with(mut parser: BatchParser, batch: &[u8], piece: usize) -> (Vec<Event>, Result<(), BatchError>) {
    let mut events = Vec::new();
    for octets in batch.chunks(piece.max(1)) {
        parser.push(octets);
        loop {
            match parser.event() {
                Ok(Some(Event::Octets(more))) => match events.last_mut() {
                    Some(Event::Octets(before)) => *before = [&before[..], &more[..]].concat().into(),
                    _ => events.push(Event::Octets(more)),
                },
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
    }
    let end = parser.finish();
    (events, end)
}

fn rcpt(address: &str) -> Rcpt {
    Rcpt::new(ForwardPath::Mailbox(address.parse().unwrap()))
}

fn error(batch: &str) -> (Fault, Option<u64>, u64) {
    let expected = read(batch.as_bytes(), BatchLineEnds::LfToo, 1).1.unwrap_err();
    for piece in 2..60 {
        assert_eq!(read(batch.as_bytes(), BatchLineEnds::LfToo, piece).1, Err(expected.clone()), "{batch:?}");
    }
    (expected.fault, expected.started, expected.line)
}

#[test]
fn a_batch_from_a_pipe_is_read() {
    let batch = "EHLO x\nMAIL FROM:<root>\r\nRCPT TO:<ann@a.example> NOTIFY=NEVER\nDATA\nSubject: s\n\n..dot\n.\n\
                 VRFY x\nETRN y\nMAIL FROM:<>\nRSET\nMAIL FROM:<>\nRCPT TO:<b>\nDATA\n.\nQUIT\nany\rthing\n";
    for piece in 1..batch.len() {
        let (events, end) = read(batch.as_bytes(), BatchLineEnds::LfToo, piece);
        assert_eq!(end, Ok(()));
        let mut to = rcpt("ann@a.example");
        to.notify = Some(Notify::NEVER);
        let sender = ReversePath::Mailbox("root@site.example".parse().unwrap());
        let null = || Event::Mail(Box::new(Mail::new(Envelope::new(ReversePath::Null))));
        let expected = [
            Event::Mail(Box::new(Mail::new(Envelope::new(sender)))),
            Event::Rcpt(Box::new(to)),
            Event::Text,
            Event::Octets("Subject: s\r\n\r\n.dot\r\n".into()),
            Event::End,
            null(),
            Event::Reset,
            null(),
            Event::Rcpt(Box::new(rcpt("b@site.example"))),
            Event::Text,
            Event::End,
            Event::Quit,
        ];
        assert_eq!(events, expected, "by {piece}");
    }
}

#[test]
fn errors_say_what_and_where() {
    let start = "HELO x\nMAIL FROM:<a@b.example>\nRCPT TO:<c@d.example>\n";
    assert_eq!(error(start), (Fault::UnexpectedEnd, Some(2), 4));
    assert_eq!(error(&format!("{start}DATA\nx\n")), (Fault::UnexpectedEnd, Some(2), 6));
    assert_eq!(error(&format!("{start}DATA\nx\ny\rz\n.\n")), (Fault::BareLineEnd, Some(2), 6));
    assert!(matches!(error(&format!("{start}MAIL FROM:<>\n")), (Fault::OutOfOrder(_), Some(2), 4)));
    assert!(matches!(error("DATA\n"), (Fault::OutOfOrder(_), None, 1)));
    assert!(matches!(error("MAIL FROM:<>\nDATA\n"), (Fault::OutOfOrder(_), Some(1), 2)));
    assert!(matches!(error("\nJUNK\n"), (Fault::Command(_), None, 1)));
    assert_eq!(error("AUTH PLAIN x\n"), (Fault::NeedsAnswer, None, 1));
    assert_eq!(error("NOOP\nBDAT 5\n"), (Fault::NeedsAnswer, None, 2));
    assert!(matches!(error("NO\rOP\n"), (Fault::Line(_), None, 1)));
    assert_eq!(error("QUIT"), (Fault::UnexpectedEnd, None, 1));
}

#[test]
fn only_crlf_ends_lines_of_what_came_by_mail() {
    let batch = b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nx\n.\nMAIL FROM:<>\r\n.\r\n";
    let (events, end) = read(batch, BatchLineEnds::Crlf, 100);
    assert_eq!(end.unwrap_err().fault, Fault::BareLineEnd);
    assert!(!events.contains(&Event::End), "{events:?}");
}

#[test]
fn a_batch_has_bounds() {
    let limits = BatchLimits { messages: 1, recipients: 1, octets: 3 };
    let read = |batch: &[u8]| {
        read_with(BatchParser::new(BatchLineEnds::Crlf, limits), batch, 7).1.unwrap_err().fault
    };
    let one = "MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n";
    assert_eq!(read(format!("{one}DATA\r\n.\r\n{one}").as_bytes()), Fault::TooManyMessages);
    assert_eq!(read(format!("{one}RCPT TO:<a@b.example>\r\n").as_bytes()), Fault::TooManyRecipients);
    assert_eq!(read(format!("{one}DATA\r\nab\r\n.\r\n").as_bytes()), Fault::TooLarge);
    assert!(matches!(read(&[b'x'; 5000]), Fault::UnexpectedEnd | Fault::Line(_)));
}

#[test]
fn an_international_sender_needs_no_parameter_here() {
    let batch = "MAIL FROM:<gr\u{fc}n@b.example>\nRCPT TO:<c@d.example>\nDATA\n.\n";
    let (events, end) = read(batch.as_bytes(), BatchLineEnds::Lf, 5);
    assert_eq!(end, Ok(()));
    assert!(matches!(&events[0], Event::Mail(mail) if mail.envelope.smtputf8), "{events:?}");
    let (_, end) = read(b"MAIL FROM:<gr\xFCn@b.example>\n", BatchLineEnds::Lf, 5);
    assert!(end.is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        texts in prop::collection::vec("([a-z .]{0,20}(\r\n|\n|\\.))*", 1..5),
        utf8: bool, notify: bool, priority in prop::option::of(-9..=9_i8), parameters in prop::sample::select(&[Parameters::None, Parameters::Usual, Parameters::All][..]), piece in 1..50_usize,
    ) {
        let mut out = BytesMut::new();
        let mut writer = BatchWriter::new("host.example", parameters, &mut out);
        let mut envelope = Envelope::new("a@b.example".parse().map(ReversePath::Mailbox).unwrap());
        envelope.smtputf8 = utf8;
        envelope.body = if utf8 { BodyType::EightBitMime } else { BodyType::SevenBit };
        envelope.priority = priority;
        let (mail, mut to) = (Mail::new(envelope), rcpt("c@d.example"));
        let (some, all) = (parameters != Parameters::None, parameters == Parameters::All);
        let mut told = mail.clone();
        told.envelope.priority = priority.filter(|_| all);
        if !some {
            (told.envelope.smtputf8, told.envelope.body) = (false, BodyType::SevenBit);
        }
        to.notify = notify.then(Notify::default);
        let mut told_to = to.clone();
        told_to.notify = to.notify.filter(|_| some);
        let mut expected = Vec::new();
        for text in &texts {
            writer.begin(&mail, std::slice::from_ref(&to), &mut out);
            text.as_bytes().chunks(piece).for_each(|octets| writer.octets(octets, &mut out));
            let mut text = text.replace("\r\n", "\n").replace('\n', "\r\n");
            if !text.is_empty() && !text.ends_with('\n') {
                text.push_str("\r\n");
            }
            expected.extend([Event::Mail(Box::new(told.clone())), Event::Rcpt(Box::new(told_to.clone())), Event::Text]);
            expected.extend((!text.is_empty()).then(|| Event::Octets(text.into())));
            expected.push(Event::End);
        }
        expected.push(Event::Quit);
        let required = writer.finish(&mut out);
        prop_assert_eq!(required.contains("SMTPUTF8"), utf8 && some);
        prop_assert_eq!(required.contains("DSN"), notify && some);
        prop_assert_eq!(required.contains("MT-PRIORITY"), all && priority.is_some());
        prop_assert_eq!(read(&out, BatchLineEnds::Crlf, piece), (expected, Ok(())));
    }
}
