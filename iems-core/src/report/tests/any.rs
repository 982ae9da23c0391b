//! Whatever addresses, replies, names and messages hold: a report is a well-formed `multipart/report`, with the parts and
//! fields that we wrote and no others. Read by our own strict reader and by the parser `mail-parser`.

use mail_parser::{MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;
use crate::report::Language;

/// Text that tries to be more than a value.
fn hostile() -> impl Strategy<Value = String> {
    let bits = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\r\nX-Injected: yes\r\n".to_owned()),
        Just("\r\n\r\n--=_".to_owned()),
        Just("\n--".to_owned()),
        Just("{recipients}".to_owned()),
        Just("=?utf-8?Q?x?=".to_owned()),
        Just("\u{2028}ä\u{0}".to_owned()),
        Just("; (\"<>\\".to_owned()),
        Just("x".repeat(2000)),
        "\\PC{0,20}",
        any::<String>(),
    ];
    proptest::collection::vec(bits, 0..6).prop_map(|bits| bits.concat())
}

fn mailbox() -> impl Strategy<Value = Mailbox> {
    let odd = hostile().prop_filter_map("no local part", |text| {
        let text: String = text.chars().filter(|c| !c.is_control()).take(30).collect();
        LocalPart::from_content(&text).ok()
    });
    let local =
        prop_oneof!["[a-z.\" @<>]{1,20}".prop_filter_map("no", |t| LocalPart::from_content(&t).ok()), odd];
    local.prop_map(|local| Mailbox::new(local, "example.net".parse().unwrap()))
}

fn some_told() -> impl Strategy<Value = Told> {
    let action = prop_oneof![
        Just(Action::Failed),
        Just(Action::Delayed),
        Just(Action::Delivered),
        Just(Action::Relayed),
        Just(Action::Expanded)
    ];
    let original = proptest::option::of((hostile(), hostile()));
    let remote = proptest::option::of((hostile(), hostile(), proptest::collection::vec(hostile(), 0..4)));
    (action, mailbox(), mailbox(), any::<bool>(), hostile(), original, remote).prop_map(
        |(action, to, other, forwarded, text, original, remote)| {
            let mut recipient = Recipient::new(to.clone());
            recipient.original = original.map(|(kind, address)| OriginalRecipient { kind, address });
            let mailbox = if forwarded { other } else { to };
            let decision = Policy::new().decide(&[]);
            let destination = Destination { mailbox, detail: None, recipient, decision };
            let mut reply = Reply::refuse(1, 1, text);
            if let Some((host, kind, said)) = remote {
                reply = reply.in_words_of(Remote { host: Some(host), kind, said });
            }
            Told::new(action, &destination, &reply).until(at(100))
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let message = (mailbox(), hostile(), hostile(), proptest::option::of(hostile()), any::<bool>()).prop_map(
        |(sender, helo, peer, id, smtputf8)| {
            let mut message = message("x@example.org");
            message.envelope.sender = ReversePath::Mailbox(sender);
            (message.envelope.id, message.envelope.smtputf8) = (id, smtputf8);
            (message.origin.helo, message.origin.peer) = (helo, Some(peer));
            message
        },
    );
    let kind = prop_oneof![Just(Kind::Report), Just(Kind::SpamReport), Just(Kind::Notice)];
    let types =
        prop_oneof![Just(""), Just("message/rfc822"), Just("text/rfc822-headers"), Just("message/global")];
    let octets =
        prop_oneof![hostile().prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..300)];
    let language = prop_oneof![Just("en"), Just("de")];
    let header = (hostile(), hostile(), hostile()).prop_map(|(id, language, rest)| {
        facts(format!("Message-ID: <a{id}@b>\r\nAccept-Language: {language}\r\n{rest}").as_bytes())
    });
    let told = proptest::collection::vec(some_told(), 1..5);
    (kind, message, told, language, types, octets, header).prop_map(
        |(kind, message, told, language, media_type, octets, facts)| {
            let returned = Returned { media_type, octets };
            Case { kind, message, told, language, returned, facts, to: None }
        },
    )
}

const FIELDS: [&str; 11] = [
    "From",
    "To",
    "Date",
    "Message-ID",
    "Subject",
    "Auto-Submitted",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

const STATUS: [&str; 14] = [
    "Original-Envelope-Id",
    "Reporting-MTA",
    "Received-From-MTA",
    "Arrival-Date",
    "Original-Recipient",
    "Final-Recipient",
    "Action",
    "Status",
    "Remote-MTA",
    "Diagnostic-Code",
    "Last-Attempt-Date",
    "Final-Log-ID",
    "Will-Retry-Until",
    "Content-Type",
];

/// The names of the fields of a header section; every line must be a field or go on with one.
fn names(section: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in section.split("\r\n").filter(|line| !line.is_empty()) {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{line:?}");
        match line.strip_prefix([' ', '\t']) {
            Some(rest) => assert!(!rest.trim().is_empty() && !names.is_empty(), "{section:?}"),
            None => names.push(line.split_once(':').unwrap_or_else(|| panic!("{line:?}")).0.to_owned()),
        }
    }
    names
}

fn bytes_contain(octets: &[u8], what: &str) -> usize {
    memchr::memmem::find_iter(octets, what.as_bytes()).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_from_outside_becomes_a_field_or_a_part(case in case()) {
        let octets = case.compose().octets;
        let end = memchr::memmem::find(&octets, b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&octets[..end]).unwrap();
        let fields = names(head);
        let mut once = fields.clone();
        once.sort();
        once.dedup();
        prop_assert_eq!(once.len(), fields.len(), "{}", head);
        prop_assert!(fields.iter().all(|name| FIELDS.contains(&name.as_str())), "{}", head);

        let boundary = head.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let parts = if case.returned.media_type.is_empty() { 2 } else { 3 };
        prop_assert_eq!(bytes_contain(&octets, &boundary), parts + 2);

        let parsed = MessageParser::default().parse(&octets[..]).unwrap();
        let PartType::Multipart(inner) = &parsed.parts[0].body else { panic!("no multipart: {head}") };
        prop_assert_eq!(inner.len(), parts);
        let part = |n: usize| &parsed.parts[inner[n] as usize];
        prop_assert_eq!(part(0).content_type().unwrap().subtype(), Some("plain"));
        let text = part(0).text_contents().unwrap();
        prop_assert!(text.contains("mx.here.example") && !text.contains("\nX-Injected"), "{}", text);

        let raw = part(1);
        let status = &octets[raw.raw_body_offset() as usize..raw.raw_end_offset() as usize];
        let status = std::str::from_utf8(status).unwrap();
        let known = names(status).iter().all(|name| STATUS.contains(&name.as_str()));
        prop_assert!(known, "{}", status);
        prop_assert_eq!(status.matches("\r\n\r\n").count(), case.told.len(), "{}", status);
        prop_assert_eq!(status.matches("Final-Recipient: ").count() >= case.told.len(), true);
    }
    /// Texts are written by people.
    #[test]
    fn no_text_is_too_odd_to_be_refused(place in 0..2000_usize, odd in hostile()) {
        let english = include_str!("../texts/en.txt");
        let place = (0..=place.min(english.len())).rev().find(|at| english.is_char_boundary(*at)).unwrap_or(0);
        let text = format!("{}{odd}{}", &english[..place], &english[place..]);
        if let Err(error) = Language::parse(&text) {
            prop_assert!((1..=text.lines().count() + 1).contains(&error.line), "{} in {:?}", error, text);
        }
    }
}
