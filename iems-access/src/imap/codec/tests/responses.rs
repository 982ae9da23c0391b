//! What the server says, as octets.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::sent;
use crate::imap::codec::Encoder;
use crate::imap::types::*;

fn data(data: Data) -> String {
    sent(&Response::Data(data), false)
}

fn status(code: Code) -> String {
    sent(&Response::Status(Status::ok("x").with(code)), false)
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).into()).collect()
}

fn octets(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

fn numbers(all: &[u32]) -> NumberSet {
    all.iter().copied().collect()
}

#[test]
fn status_responses() {
    assert_eq!(sent(&Status::ok("Done.").tagged("a1"), false), "a1 OK Done.");
    assert_eq!(sent(&Response::Status(Status::bye("\u{fc}\r\na OK x")), false), "* BYE ???a OK x");
    assert_eq!(sent(&Status::no("[ALERT] x").tagged("a"), false), "a NO (ALERT] x");
    assert_eq!(sent(&Status::bad("").tagged("a"), false), "a BAD Done");
    assert_eq!(sent(&Response::Continue("idling".into()), false), "+ idling");
    assert_eq!(sent(&Response::Challenge(b"abc".to_vec()), false), "+ YWJj");
    assert_eq!(sent(&Response::Challenge(Vec::new()), false), "+ ");
}

#[test]
fn codes() {
    for (code, wanted) in [
        (Code::Alert, "ALERT"),
        (Code::Parse, "PARSE"),
        (Code::ReadOnly, "READ-ONLY"),
        (Code::AppendUid(1, numbers(&[5, 6, 9])), "APPENDUID 1 5:6,9"),
        (Code::CopyUid(1, numbers(&[2]), numbers(&[8])), "COPYUID 1 2 8"),
        (Code::BadCharset(strings(&["UTF-8"])), "BADCHARSET (UTF-8)"),
        (Code::BadUrl("/x\"\r\n]".into()), "BADURL \"/x\\\"]\""),
        (Code::Capability(strings(&["IMAP4rev1", "IDLE"])), "CAPABILITY IMAP4rev1 IDLE"),
        (Code::HighestModSeq(7), "HIGHESTMODSEQ 7"),
        (Code::MailboxId("F1-2".into()), "MAILBOXID (F1-2)"),
        (Code::MetadataLongEntries(9), "METADATA LONGENTRIES 9"),
        (Code::Modified(numbers(&[1, 3])), "MODIFIED 1,3"),
        (
            Code::PermanentFlags(vec![PermanentFlag::Flag(Flag::Seen), PermanentFlag::New]),
            "PERMANENTFLAGS (\\Seen \\*)",
        ),
        (Code::UidValidity(3), "UIDVALIDITY 3"),
        (Code::UseAttr, "USEATTR"),
    ] {
        assert_eq!(
            status(code).replace("\"\"", "\\\"\""),
            format!("* OK [{wanted}] x").replace("\"\"", "\\\"\"")
        );
    }
}

#[test]
fn lists() {
    let list = |mailbox: &str| ListData {
        attributes: vec![ListAttribute::HasNoChildren, ListAttribute::SpecialUse(SpecialUse::Sent)],
        delimiter: Some('/'),
        mailbox: mailbox.into(),
        child_info: Vec::new(),
        old_name: None,
    };
    for (name, utf7, utf8) in [
        ("INBOX", "INBOX", "INBOX"),
        ("a b", "\"a b\"", "\"a b\""),
        ("nil", "\"nil\"", "\"nil\""),
        ("", "\"\"", "\"\""),
        ("R&D", "R&-D", "R&D"),
        ("\u{e9}", "&AOk-", "\"\\xc3\\xa9\""),
        ("a*", "\"a*\"", "\"a*\""),
    ] {
        let response = Response::Data(Data::List(list(name)));
        assert_eq!(sent(&response, false), format!("* LIST (\\HasNoChildren \\Sent) \"/\" {utf7}"));
        assert_eq!(sent(&response, true), format!("* LIST (\\HasNoChildren \\Sent) \"/\" {utf8}"));
    }
    let extended = ListData {
        attributes: vec![ListAttribute::NonExistent],
        child_info: strings(&["SUBSCRIBED"]),
        old_name: Some("b c".into()),
        ..list("a")
    };
    let wanted = "* LIST (\\NonExistent) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"b c\"))";
    assert_eq!(data(Data::List(extended)), wanted);
    let renamed = ListData { attributes: vec![], delimiter: None, old_name: Some("b".into()), ..list("a") };
    assert_eq!(data(Data::Lsub(renamed)), "* LSUB () NIL a (\"OLDNAME\" (b))");
    let personal = vec![Namespace { prefix: "".into(), delimiter: Some('/') }];
    let shared = vec![Namespace { prefix: "#\u{e9}/".into(), delimiter: Some('/') }];
    let namespaces = Data::Namespace { personal, other: vec![], shared };
    assert_eq!(data(namespaces), "* NAMESPACE ((\"\" \"/\")) NIL ((\"#&AOk-/\" \"/\"))");
}

#[test]
fn counts_and_results() {
    for (given, wanted) in [
        (Data::Exists(3), "3 EXISTS"),
        (Data::Expunge(1), "1 EXPUNGE"),
        (Data::Recent(0), "0 RECENT"),
        (Data::Flags(vec![Flag::Seen, Flag::Keyword("$x".into())]), "FLAGS (\\Seen $x)"),
        (Data::Vanished { earlier: true, uids: numbers(&[3, 4]) }, "VANISHED (EARLIER) 3:4"),
        (Data::Vanished { earlier: false, uids: numbers(&[9]) }, "VANISHED 9"),
        (Data::Enabled(vec![]), "ENABLED"),
        (Data::Id(None), "ID NIL"),
        (
            Data::Id(Some(vec![("name".into(), Some("I".into())), ("os".into(), None)])),
            "ID (\"name\" \"I\" \"os\" NIL)",
        ),
        (Data::Search { numbers: vec![], modseq: Some(1) }, "SEARCH"),
        (Data::Search { numbers: vec![2, 5], modseq: Some(917) }, "SEARCH 2 5 (MODSEQ 917)"),
        (Data::Sort { numbers: vec![5, 2], modseq: None }, "SORT 5 2"),
        (Data::ESearch(ESearch::default()), "ESEARCH"),
    ] {
        assert_eq!(data(given), format!("* {wanted}"));
    }
    let items =
        vec![StatusItem::Messages(1), StatusItem::MailboxId("F1".into()), StatusItem::AppendLimit(None)];
    let told = Data::Status { mailbox: "a b".into(), items };
    assert_eq!(data(told), "* STATUS \"a b\" (MESSAGES 1 MAILBOXID (F1) APPENDLIMIT NIL)");
    let partial = |first, from_end, numbers| {
        let range = PartialRange { first, last: 9, from_end };
        Some((range, numbers))
    };
    let result = ESearch {
        tag: Some("a".into()),
        uid: true,
        min: Some(1),
        max: Some(9),
        all: vec![(1, 3), (9, 9)],
        count: Some(4),
        modseq: Some(7),
        partial: partial(2, true, vec![(3, 1)]),
    };
    let wanted = "* ESEARCH (TAG \"a\") UID MIN 1 MAX 9 ALL 1:3,9 COUNT 4 PARTIAL (-2:-9 3:1) MODSEQ 7";
    assert_eq!(data(Data::ESearch(result)), wanted);
    let empty = ESearch { partial: partial(1, false, vec![]), ..Default::default() };
    assert_eq!(data(Data::ESearch(empty)), "* ESEARCH PARTIAL (1:9 NIL)");
}

#[test]
fn rights_quota_and_annotations() {
    let entries = vec![AclEntry { identifier: "a b".into(), rights: "".into() }];
    assert_eq!(data(Data::Acl { mailbox: "INBOX".into(), entries }), "* ACL INBOX \"a b\" \"\"");
    let rights = Data::ListRights {
        mailbox: "x".into(),
        identifier: "ann".into(),
        required: "".into(),
        optional: strings(&["l", "rs"]),
    };
    assert_eq!(data(rights), "* LISTRIGHTS x ann \"\" l rs");
    assert_eq!(data(Data::MyRights { mailbox: "x".into(), rights: "lr".into() }), "* MYRIGHTS x lr");
    let usage = vec![QuotaUsage { resource: QuotaResource::Storage, usage: 1, limit: 2 }];
    assert_eq!(data(Data::Quota { root: "".into(), usage }), "* QUOTA \"\" (STORAGE 1 2)");
    let roots = strings(&["", "a"]);
    assert_eq!(data(Data::QuotaRoot { mailbox: "x".into(), roots }), "* QUOTAROOT x \"\" a");
    let entry = |value: Option<&'static [u8]>| EntryValue {
        entry: "/shared/a".into(),
        value: value.map(Bytes::from_static),
    };
    let entries = vec![entry(None), entry(Some(b"x\0")), entry(Some(b"y"))];
    let wanted = "* METADATA \"\" (/shared/a NIL /shared/a ~{2}\\r\\nx\\x00 /shared/a \"y\")";
    assert_eq!(data(Data::Metadata { mailbox: "".into(), entries }), wanted);
    let changed =
        Data::MetadataChanged { mailbox: "x".into(), entries: strings(&["/shared/a", "/shared/b"]) };
    assert_eq!(data(changed), "* METADATA x /shared/a /shared/b");
}

#[test]
fn threads() {
    fn node(number: Option<u32>, children: Vec<ThreadNode>) -> ThreadNode {
        let mut node = ThreadNode::default();
        (node.number, node.children) = (number, children);
        node
    }
    let leaf = |number| node(Some(number), vec![]);
    let forked = node(
        Some(3),
        vec![node(Some(6), vec![node(Some(4), vec![leaf(23)]), node(Some(44), vec![leaf(7)])])],
    );
    assert_eq!(data(Data::Thread(vec![leaf(2), forked])), "* THREAD (2)(3 6 (4 23)(44 7))");
    assert_eq!(data(Data::Thread(vec![node(None, vec![leaf(3), leaf(5)])])), "* THREAD ((3)(5))");
    assert_eq!(data(Data::Thread(vec![node(None, vec![leaf(3)])])), "* THREAD (3)");
    assert_eq!(data(Data::Thread(vec![])), "* THREAD");
    let chain = (1..100_000).fold(leaf(100_000), |below, number| node(Some(number), vec![below]));
    assert!(data(Data::Thread(vec![chain])).len() > 500_000);
}

#[test]
fn fetch_items() {
    let date = Date::new(2020, 1, 1).unwrap();
    let date = DateTime { date, hour: 2, minute: 3, second: 4, zone: -90 };
    let section = |part: &[u32], text| Section { part: part.into(), text };
    let fields = SectionText::HeaderFields(strings(&["To", "x:y z"]));
    for (item, wanted) in [
        (FetchItem::Flags(vec![Flag::Deleted, Flag::Recent]), "FLAGS (\\Deleted \\Recent)"),
        (FetchItem::InternalDate(date), "INTERNALDATE \" 1-Jan-2020 02:03:04 -0130\""),
        (FetchItem::ModSeq(5), "MODSEQ (5)"),
        (FetchItem::EmailId("M1".into()), "EMAILID (M1)"),
        (FetchItem::ThreadId(None), "THREADID NIL"),
        (FetchItem::SaveDate(None), "SAVEDATE NIL"),
        (FetchItem::Preview(Some("a \"b\"".into())), "PREVIEW \"a \\\"b\\\"\""),
        (FetchItem::Rfc822Size(9), "RFC822.SIZE 9"),
        (FetchItem::BinarySize { part: vec![1, 2], octets: 3 }, "BINARY.SIZE[1.2] 3"),
        (
            FetchItem::BodySection {
                section: section(&[], None),
                origin: Some(0),
                content: Content::Octets("a\0".into()),
            },
            "BODY[]<0> {2}\\r\\na\\x80",
        ),
        (
            FetchItem::BodySection {
                section: section(&[1], Some(fields)),
                origin: None,
                content: Content::Nil,
            },
            "BODY[1.HEADER.FIELDS (To \"x:y z\")] NIL",
        ),
        (
            FetchItem::Binary { part: vec![1], origin: None, content: Content::Octets("a\0".into()) },
            "BINARY[1] ~{2}\\r\\na\\x00",
        ),
        (FetchItem::Rfc822Text(Content::Octets("x".into())), "RFC822.TEXT {1}\\r\\nx"),
    ] {
        let told = data(Data::Fetch { number: 7, items: vec![item] });
        assert_eq!(
            told,
            format!("* 7 FETCH ({})", wanted.replace("\\\"", "\"").replace("a \"b\"", "a \\\"b\\\""))
        );
    }
    let items = vec![FetchItem::Uid(9), FetchItem::Flags(vec![])];
    assert_eq!(data(Data::UidFetch { uid: 9, items }), "* 9 UIDFETCH (UID 9 FLAGS ())");
}

#[test]
fn bodies_are_streamed_between_items() {
    let mut out = BytesMut::new();
    let mut fetch = Encoder::default().fetch_begin(3, &mut out);
    assert_eq!(fetch.item(&FetchItem::Uid(8), &mut out), 0);
    let content = Content::Streamed { octets: 5, binary: false };
    let body = FetchItem::BodySection { section: Section::default(), origin: None, content };
    assert_eq!(fetch.item(&body, &mut out), 5);
    out.extend_from_slice(b"hello");
    assert_eq!(fetch.item(&FetchItem::ModSeq(1), &mut out), 0);
    fetch.end(&mut out);
    assert_eq!(&out[..], b"* 3 FETCH (UID 8 BODY[] {5}\r\nhello MODSEQ (1))\r\n");
}

#[test]
fn envelopes_and_structures() {
    let address = Address { name: octets("A\u{e9}"), route: None, mailbox: octets("a"), host: octets("b.c") };
    let envelope = Envelope {
        date: octets("Mon"),
        subject: octets("a\"b\\"),
        from: vec![address.clone(), Address::default()],
        ..Default::default()
    };
    let fetch = |item| Response::Data(Data::Fetch { number: 1, items: vec![item] });
    let item = FetchItem::Envelope(Box::new(envelope.clone()));
    let told = sent(&fetch(item.clone()), false);
    assert!(
        told.contains(
            "(({3}\\r\\nA\\xc3\\xa9 NIL \"a\" \"b.c\")(NIL NIL NIL NIL)) NIL NIL NIL NIL NIL NIL NIL)"
        ),
        "{told}"
    );
    assert!(sent(&fetch(item), true).contains("((\"A\\xc3\\xa9\" NIL \"a\" \"b.c\")"));
    let fields =
        BodyFields { parameters: vec![("charset".into(), "utf-8".into())], octets: 9, ..Default::default() };
    let disposition = Disposition { kind: "inline".into(), parameters: vec![] };
    let extension =
        BodyExtension { disposition: Some(disposition), language: vec!["de".into()], ..Default::default() };
    let text = BodyStructure::Text {
        subtype: "plain".into(),
        fields: fields.clone(),
        lines: 2,
        extension: Some(extension),
    };
    let message = BodyStructure::Message {
        subtype: "rfc822".into(),
        fields: BodyFields { encoding: "8bit".into(), ..Default::default() },
        envelope: Box::default(),
        body: Box::new(text.clone()),
        lines: 7,
        extension: None,
    };
    let mixed = BodyStructure::Multipart {
        parts: vec![text, message],
        subtype: "mixed".into(),
        parameters: vec![("boundary".into(), "x".into())],
        extension: Some(BodyExtension::default()),
    };
    let plain = "(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 9 2";
    let nils = ["NIL"; 10].join(" ");
    let told = data(Data::Fetch { number: 1, items: vec![FetchItem::Body(Box::new(mixed.clone()))] });
    let enclosed = format!("(\"message\" \"rfc822\" NIL NIL NIL \"8bit\" 0 ({nils}) {plain}) 7)");
    assert_eq!(told, format!("* 1 FETCH (BODY ({plain}){enclosed} \"mixed\"))"));
    let told = data(Data::Fetch { number: 1, items: vec![FetchItem::BodyStructure(Box::new(mixed))] });
    let plain = format!("{plain} NIL (\"inline\" NIL) (\"de\") NIL)");
    let enclosed = format!("(\"message\" \"rfc822\" NIL NIL NIL \"8bit\" 0 ({nils}) {plain} 7)");
    let end = "\"mixed\" (\"boundary\" \"x\") NIL NIL NIL";
    assert_eq!(told, format!("* 1 FETCH (BODYSTRUCTURE ({plain}{enclosed} {end}))"));
}

proptest! {
    /// Whatever a string holds, a client that knows the grammar finds its end, and the string again.
    #[test]
    fn strings_cannot_break_out(octets in prop::collection::vec(any::<u8>(), 0..40), utf8: bool) {
        let mut out = BytesMut::new();
        let envelope = Envelope { subject: Some(octets.clone().into()), ..Default::default() };
        let items = vec![FetchItem::Envelope(Box::new(envelope))];
        Encoder { utf8 }.response(&Response::Data(Data::Fetch { number: 1, items }), &mut out);
        let rest = out.strip_prefix(b"* 1 FETCH (ENVELOPE (NIL ").unwrap();
        let rest = rest.strip_suffix(&b" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n"[..]).unwrap();
        let back = if let Some(literal) = rest.strip_prefix(b"{") {
            let at = literal.iter().position(|octet| *octet == b'\n').unwrap();
            prop_assert_eq!(std::str::from_utf8(&literal[..at - 2]).unwrap().parse(), Ok(literal.len() - at - 1));
            literal[at + 1..].to_vec()
        } else {
            let inner = &rest[1..rest.len() - 1];
            let mut back = Vec::new();
            let mut octets = inner.iter();
            while let Some(octet) = octets.next() {
                prop_assert!(!matches!(octet, b'"' | b'\r' | b'\n' | 0) && (utf8 || *octet < 0x80));
                back.push(if *octet == b'\\' { *octets.next().unwrap() } else { *octet });
            }
            back
        };
        let wanted: Vec<u8> = octets.iter().map(|octet| if *octet == 0 { 0x80 } else { *octet }).collect();
        prop_assert_eq!(back, wanted);
    }

    #[test]
    fn texts_stay_on_their_line(text in any::<String>()) {
        let mut out = BytesMut::new();
        Encoder::default().response(&Status::no(text).tagged("a"), &mut out);
        let text = out.strip_prefix(b"a NO ").and_then(|rest| rest.strip_suffix(b"\r\n")).unwrap();
        prop_assert!(!text.is_empty() && text[0] != b'[' && text.iter().all(|octet| (b' '..=b'~').contains(octet)));
    }
}
