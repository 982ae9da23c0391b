//! Reports as they are written: each rule in a file that can be read (`golden/`), and any input at all.
//!
//! After a wanted change, `IEMS_GOLDEN=write` rewrites the files; the difference is to be read before it is committed.

mod any;

use std::path::Path;
use std::time::Duration;

use super::compose::Draft;
use super::returned::{Facts, Returned, facts};
use super::{Action, Reports, Told};
use crate::deliver::Destination;
use crate::message::*;
use crate::preprocess::Policy;
use crate::queue::{Message, Origin};
use crate::seam::{SeededRandom, Timestamp};

const HEADER: &[u8] = b"From: ann@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\n";

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000).after(Duration::from_secs(60 * minutes))
}

pub(super) fn message(sender: &str) -> Message {
    Message {
        kind: Kind::Ordinary,
        envelope: Envelope::new(format!("<{sender}>").parse().unwrap()),
        size: 1000,
        arrived: at(0),
        origin: Origin {
            channel: ChannelId::new("smtp"),
            peer: Some("192.0.2.7:4711".into()),
            host: None,
            helo: "client.example.org".into(),
            protocol: "ESMTP".into(),
            tls: None,
            account: None,
            credential: None,
            upstream: None,
            tenant: None,
        },
        recipients: Vec::new(),
        verdicts: Vec::new(),
        events: Vec::new(),
    }
}

/// A recipient `to` that was reached as `reached`.
pub(super) fn destination(to: &str, reached: &str) -> Destination {
    Destination {
        mailbox: reached.parse().unwrap(),
        detail: None,
        recipient: Recipient::new(to.parse().unwrap()),
        decision: Policy::new().decide(&[]),
    }
}

fn told(action: Action, to: &str, reply: Reply) -> Told {
    Told::new(action, &destination(to, to), &reply)
}

/// What a peer said, as a channel words it.
fn peer(code: u16, status: &str, said: &[&str]) -> Reply {
    let words = said.last().unwrap().trim_start_matches(|c: char| c.is_ascii_digit() || " .-".contains(c));
    let text = format!("host mx.example.net[192.0.2.9]:25 said: {words} (in reply to RCPT TO)");
    let remote = Remote::new(Some("mx.example.net"), "smtp", said.iter().map(|line| (*line).to_owned()));
    Reply::new(code, status.parse().unwrap(), text).in_words_of(remote)
}

#[derive(Debug)]
struct Case {
    kind: Kind,
    message: Message,
    told: Vec<Told>,
    language: &'static str,
    returned: Returned,
    facts: Facts,
    to: Option<&'static str>,
}

impl Case {
    fn new(told: Vec<Told>) -> Self {
        let returned = Returned { media_type: "text/rfc822-headers", octets: HEADER.to_vec() };
        let message = message("ann@example.org");
        let facts = facts(HEADER);
        Self { kind: Kind::Report, message, told, language: "en", returned, facts, to: None }
    }

    fn compose(&self) -> super::compose::Composed {
        let reports = Reports::default();
        let sender = self.message.envelope.sender.mailbox().cloned();
        let to = self.to.map(|to| to.parse().unwrap()).or(sender).unwrap();
        let draft = Draft {
            kind: self.kind,
            host: "mx.here.example",
            from: &"postmaster@here.example".parse().unwrap(),
            to: &to,
            id: QueueId::from_bytes([1; 16]),
            message: &self.message,
            told: &self.told,
            now: at(90),
            language: reports.texts.get(self.language).unwrap(),
            returned: &self.returned,
            facts: &self.facts,
        };
        draft.compose(&SeededRandom::new(1))
    }

    /// Compares with `golden/NAME.eml`.
    fn is(&self, name: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/report/tests/golden/{name}.eml"));
        let text = String::from_utf8(self.compose().octets).unwrap();
        if std::env::var_os("IEMS_GOLDEN").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, golden, "{}", file.display());
    }
}

#[test]
fn a_failure_has_the_peers_own_words_and_what_the_sender_called_it() {
    let mut destination = destination("nobody@example.net", "nobody@example.net");
    let original = OriginalRecipient { kind: "rfc822".into(), address: "first+name@example.com".into() };
    destination.recipient.original = Some(original);
    let reply = peer(550, "5.1.1", &["550-5.1.1 no mailbox", "550 5.1.1 of that name"]);
    let mut case = Case::new(vec![Told::new(Action::Failed, &destination, &reply)]);
    case.message.envelope.id = Some("QQ+314=159".into());
    case.is("failed");
}

#[test]
fn where_a_forward_leads_is_not_told() {
    let reply = peer(550, "5.1.1", &["550 5.1.1 <secret@hidden.example> unknown"]);
    let hidden = destination("info@here.example", "secret@hidden.example");
    let mut subaddress = destination("bob+box@here.example", "bob@here.example");
    subaddress.detail = Some("box".into());
    let full = Reply::new(552, "5.2.2".parse().unwrap(), "The mailbox is full");
    let case = Case::new(vec![
        Told::new(Action::Failed, &hidden, &reply),
        Told::new(Action::Failed, &subaddress, &full),
    ]);
    let text = String::from_utf8(case.compose().octets).unwrap();
    assert!(!text.contains("hidden.example") && !text.contains("mx.example.net"), "{text}");
    case.is("forwarded");
}

/// RFC 4865 section 5.1.2, RFC 2852 section 5.
#[test]
fn a_report_tells_what_its_sender_wanted_of_time() {
    for (held, wanted) in [(Some(3600), "for;3600"), (None, "until;2026-09-21T15:13:20.000Z")] {
        let reply = peer(550, "5.1.1", &["550 5.1.1 no mailbox"]);
        let mut case = Case::new(vec![told(Action::Failed, "bob@example.net", reply)]);
        case.message.envelope.release = Some(Release { at: at(60), held });
        case.message.envelope.by = Some(DeliverBy { at: at(120), late: Late::Notify, trace: false });
        let text = String::from_utf8(case.compose().octets).unwrap();
        let wanted = format!(
            "Arrival-Date: {}\r\nDeliver-By-Date: {}\r\nFuture-Release-Request: {wanted}\r\n",
            at(0).to_rfc5322(),
            at(120).to_rfc5322()
        );
        assert!(text.contains(&wanted), "{text}");
    }
}

#[test]
fn a_delay_says_until_when_it_is_tried() {
    let reply = Reply::defer(4, 1, "no connection in time");
    let later = told(Action::Delayed, "bob@example.net", reply).until(at(7200));
    Case::new(vec![later]).is("delayed");
}

#[test]
fn what_no_attempt_brought_has_no_time_of_an_attempt() {
    let reply = Reply::defer(4, 7, "the message is still waiting");
    let waits = told(Action::Delayed, "bob@example.net", reply).until(at(7200)).untried();
    let text = String::from_utf8(Case::new(vec![waits]).compose().octets).unwrap();
    assert!(!text.contains("Last-Attempt-Date") && text.contains("Will-Retry-Until"), "{text}");
}

#[test]
fn success_is_told_as_far_as_it_goes() {
    let ok = || Reply::new(250, "2.1.5".parse().unwrap(), "Delivered to the mailbox");
    Case::new(vec![
        told(Action::Delivered, "bob@here.example", ok()),
        told(Action::Relayed, "carl@example.net", peer(250, "2.0.0", &["250 2.0.0 queued as 17"])),
        Told::new(Action::Expanded, &destination("team@here.example", "bob@here.example"), &ok()),
    ])
    .is("success");
}

#[test]
fn the_worst_news_comes_first_and_all_in_one_report() {
    Case::new(vec![
        told(Action::Failed, "bob@example.net", peer(550, "5.7.1", &["550 5.7.1 not wanted"])),
        told(Action::Failed, "carl@example.net", peer(550, "5.7.1", &["550 5.7.1 not wanted"])),
        told(Action::Delayed, "dora@example.net", peer(450, "4.2.1", &["450 later"])).until(at(7200)),
    ])
    .is("mixed");
}

#[test]
fn addresses_with_utf8_go_to_whoever_takes_them() {
    let reply = peer(550, "5.1.1", &["550 5.1.1 кто это?"]);
    let mut case = Case::new(vec![told(Action::Failed, "пример@example.net", reply)]);
    case.message.envelope = Envelope::new("<анна@example.org>".parse().unwrap());
    case.message.envelope.smtputf8 = true;
    case.returned.media_type = "message/global-headers";
    case.returned.octets = "Subject: привет\r\n\r\n".into();
    let composed = case.compose();
    assert!(composed.smtputf8 && composed.body == BodyType::EightBitMime);
    case.is("utf8");
}

#[test]
fn and_are_written_in_ascii_to_all_others() {
    let mut destination = destination("info@here.example", "info@here.example");
    let original = OriginalRecipient { kind: "utf-8".into(), address: "пример+1@example.net".into() };
    destination.recipient.original = Some(original);
    let reply = peer(550, "5.1.1", &["550 5.1.1 кто это?"]);
    let other = told(Action::Failed, "пример@example.net", reply.clone());
    let case = Case::new(vec![Told::new(Action::Failed, &destination, &reply), other]);
    let composed = case.compose();
    let text = String::from_utf8(composed.octets).unwrap();
    assert!(!composed.smtputf8);
    assert!(text.contains(
        "Original-Recipient: utf-8; \\x{43F}\\x{440}\\x{438}\\x{43C}\\x{435}\\x{440}\\x{2B}1@example.net"
    ));
    assert!(text.contains("Content-Type: message/delivery-status\r\n") && text.is_ascii());
    case.is("utf8-in-ascii");
}

#[test]
fn another_language_is_another_text() {
    let reply = peer(550, "5.1.1", &["550 5.1.1 no such user"]);
    let mut case = Case::new(vec![told(Action::Failed, "bob@example.net", reply)]);
    case.language = "de";
    case.is("german");
}

#[test]
fn the_postmaster_reads_of_what_had_no_sender() {
    let mut case =
        Case::new(vec![told(Action::Failed, "bob@example.net", peer(550, "5.1.1", &["550 5.1.1 no"]))]);
    (case.kind, case.to) = (Kind::Notice, Some("postmaster@here.example"));
    case.message = Message { kind: Kind::Report, ..message("") };
    case.message.origin.peer = None;
    case.is("notice");
}

#[test]
fn a_report_has_a_bound_however_many_failed() {
    let told = |n: usize| {
        let line = format!("550 {}", "words ".repeat(160));
        told(Action::Failed, &format!("user{n}@example.net"), peer(550, "5.1.1", &[&line]))
    };
    let case = Case::new((0..1000).map(told).collect());
    let text = String::from_utf8(case.compose().octets).unwrap();
    assert_eq!(text.matches("Final-Recipient: ").count(), 1000, "the part for programs has all");
    assert!(text.contains("and 950 more"), "the part for people does not");
    assert!(text.len() < 500_000, "{}", text.len());
}
