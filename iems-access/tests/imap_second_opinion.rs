//! The IMAP codec beside another one, `imap-codec`: both take a command or both refuse it, what the other writes is read
//! as the same, and what we write the other can read.
//!
//! Only where both know the grammar. Where they differ and we want to, the generators leave it out, and say so.

use bytes::BytesMut;
use iems_access::imap::codec::{Decoder, Encoder, Event, Limits};
use iems_access::imap::types::*;
use imap_codec::decode::Decoder as _;
use imap_codec::encode::Encoder as _;
use imap_codec::{CommandCodec, ResponseCodec};
use proptest::prelude::*;

/// What we read, if it is no error; `+` left out, pieces put together.
fn ours(octets: &[u8]) -> Option<Vec<Event>> {
    let mut decoder = Decoder::new(Limits::after_login(1 << 20));
    let mut input = BytesMut::from(octets);
    let mut events = Vec::new();
    while let Some(event) = decoder.next(&mut input) {
        match &event {
            Event::Refused(_) | Event::Fatal(_) => return None,
            // How a literal came is no part of what it says.
            Event::Append(AppendPart::Literal(_)) => decoder.accept(),
            Event::Continue => {}
            _ => events.push(event),
        }
    }
    (!decoder.is_within(&input) && !events.is_empty()).then_some(events)
}

/// What the other reads, written by it again.
fn theirs(octets: &[u8]) -> Option<Vec<u8>> {
    let (rest, command) = CommandCodec::default().decode(octets).ok()?;
    rest.is_empty().then(|| CommandCodec::default().encode(&command).dump())
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(words).prop_map(String::from).boxed()
}

/// Arguments, right and wrong ones. Left out: names that are no modified UTF-7, which the other does not look at.
fn argument() -> BoxedStrategy<String> {
    prop_oneof![
        one_of(&[
            "INBOX",
            "a",
            "\"a b\"",
            "\"\"",
            "{3}\r\nx y",
            "{2+}\r\n\r\n",
            "{0}\r\n",
            "a]b",
            "R&-D",
            "NIL",
            "nil",
            "\"a\\\"\\\\\""
        ]),
        one_of(&[
            "(", ")", "a(b", "%", "*", "\"", "\\", "\"a\\b\"", "\"a", "a\"b", "{3}x", "()", "(a)", "a%b",
            "\u{7f}"
        ]),
    ]
    .boxed()
}

fn set() -> BoxedStrategy<String> {
    let number = || one_of(&["1", "2", "17", "*", "4294967295"]);
    let range = prop_oneof![number(), (number(), number()).prop_map(|(a, b)| format!("{a}:{b}"))];
    let sets = prop::collection::vec(range, 1..4).prop_map(|ranges| ranges.join(","));
    prop_oneof![9 => sets, 1 => one_of(&["0", "1:", ":1", ",", "1,", "1:0", "4294967296", "-1", "x", ""])]
        .boxed()
}

fn date() -> BoxedStrategy<String> {
    one_of(&[
        "1-Jan-2020",
        "\"31-dec-1999\"",
        "29-Feb-2024",
        "30-Feb-2024",
        "1-Foo-2020",
        "1-Jan-20",
        "0-Jan-2020",
        "x",
    ])
}

fn flags() -> BoxedStrategy<String> {
    one_of(&[
        "(\\Seen)",
        "()",
        "(\\Seen $x \\Deleted)",
        "(\\flagged)",
        "(\\Odd a)",
        "(\\)",
        "(a b",
        "(\"a\")",
    ])
}

fn number() -> BoxedStrategy<String> {
    one_of(&["1", "4711", "4294967295", "x", "-1", ""])
}

fn search_key() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        one_of(&[
            "ALL",
            "seen",
            "UNSEEN",
            "NEW",
            "OLD",
            "Recent",
            "UNDRAFT",
            "XYZ",
            "KEYWORD $x",
            "UNKEYWORD x",
            "KEYWORD \\Seen",
            ""
        ]),
        set(),
        set().prop_map(|set| format!("UID {set}")),
        (one_of(&["BEFORE", "ON", "SINCE", "SENTON", "SENTBEFORE", "SENTSINCE"]), date())
            .prop_map(|(a, b)| format!("{a} {b}")),
        (one_of(&["FROM", "SUBJECT", "TEXT", "BODY", "CC", "HEADER a"]), argument())
            .prop_map(|(a, b)| format!("{a} {b}")),
        (one_of(&["LARGER", "SMALLER", "OLDER", "YOUNGER"]), number()).prop_map(|(a, b)| format!("{a} {b}")),
    ];
    let deeper = |key: BoxedStrategy<String>| {
        prop_oneof![
            key.clone().prop_map(|key| format!("NOT {key}")),
            (key.clone(), key.clone()).prop_map(|(a, b)| format!("OR {a} {b}")),
            prop::collection::vec(key, 1..3).prop_map(|keys| format!("({})", keys.join(" "))),
        ]
    };
    leaf.boxed().prop_recursive(3, 8, 2, deeper).boxed()
}

fn fetch_attribute() -> BoxedStrategy<String> {
    let section = one_of(&[
        "",
        "1",
        "1.2",
        "HEADER",
        "TEXT",
        "1.MIME",
        "2.HEADER",
        "1.TEXT",
        "HEADER.FIELDS (a)",
        "3.HEADER.FIELDS.NOT (a \"b c\")",
        "MIME",
        "0",
        "1.",
        "X",
        "HEADER.FIELDS ()",
    ]);
    let partial = one_of(&["", "", "<0.1>", "<7.4096>", "<1.0>", "<1>"]);
    prop_oneof![
        one_of(&[
            "FLAGS",
            "uid",
            "ENVELOPE",
            "BODY",
            "BODYSTRUCTURE",
            "INTERNALDATE",
            "RFC822",
            "RFC822.SIZE",
            "RFC822.TEXT",
            "MODSEQ",
            "X"
        ]),
        (one_of(&["BODY", "BODY.PEEK"]), section, partial.clone())
            .prop_map(|(a, b, c)| format!("{a}[{b}]{c}")),
        (one_of(&["BINARY", "binary.peek"]), one_of(&["", "1", "1.2", "HEADER"]), partial)
            .prop_map(|(a, b, c)| format!("{a}[{b}]{c}")),
        one_of(&["BINARY.SIZE[1]", "BINARY.SIZE[1.2]", "BINARY.SIZE"]),
    ]
    .boxed()
}

fn fetch() -> BoxedStrategy<String> {
    let attributes = prop_oneof![
        one_of(&["ALL", "fast", "FULL", "()", "(ALL)"]),
        fetch_attribute(),
        prop::collection::vec(fetch_attribute(), 1..4).prop_map(|all| format!("({})", all.join(" "))),
    ];
    // Left out: what belongs together only for UID FETCH, which the other does not look at.
    let modifiers = one_of(&["", "", " (CHANGEDSINCE 5)", " (CHANGEDSINCE 0)", " (X)"]);
    (one_of(&["FETCH", "UID FETCH"]), set(), attributes, modifiers)
        .prop_map(|(a, b, c, d)| format!("{a} {b} {c}{d}"))
        .boxed()
}

fn append() -> BoxedStrategy<String> {
    let flags = prop_oneof![Just(String::new()), flags().prop_map(|flags| format!("{flags} "))];
    let date = one_of(&[
        "",
        "\" 1-Jan-2020 00:00:00 +0000\" ",
        "\"26-Nov-2026 23:59:59 -0130\" ",
        "\"1-Jan-2020 00:00:00 +0000\" ",
        "\" 1-Jan-2020 24:00:00 +0000\" ",
        "\"31-Feb-2020 00:00:00 +0000\" ",
    ]);
    let literal = one_of(&["{1}\r\nx", "{3+}\r\n\r\n\n", "~{3}\r\nx\0y", "\"x\"", "x", "{0}\r\n"]);
    (argument(), flags, date, literal).prop_map(|(a, b, c, d)| format!("APPEND {a} {b}{c}{d}")).boxed()
}

fn line() -> BoxedStrategy<String> {
    prop_oneof![
        one_of(&[
            "NOOP",
            "capability",
            "LOGOUT",
            "STARTTLS",
            "CHECK",
            "CLOSE",
            "EXPUNGE",
            "UNSELECT",
            "IDLE",
            "NAMESPACE",
            "XYZ",
            "UID",
            ""
        ]),
        one_of(&[
            "COMPRESS DEFLATE",
            "ENABLE CONDSTORE UTF8=ACCEPT",
            "ENABLE",
            "ID NIL",
            "ID (\"a\" \"b\" \"c\" NIL)",
            "ID (\"a\")"
        ]),
        one_of(&[
            "GETQUOTA \"\"",
            "SETQUOTA \"\" (STORAGE 512)",
            "SETQUOTA a ()",
            "SETQUOTA a (STORAGE)",
            "GETMETADATA \"\" /shared/a"
        ]),
        one_of(&[
            "SELECT a (CONDSTORE)",
            "SELECT a (QRESYNC (1 2))",
            "EXAMINE a (QRESYNC (1 2 3:4 (1 2)))",
            "SELECT a (QRESYNC (0 1))"
        ]),
        (one_of(&["SELECT", "DELETE", "CREATE", "SUBSCRIBE", "GETQUOTAROOT"]), argument())
            .prop_map(|(a, b)| format!("{a} {b}")),
        (one_of(&["RENAME", "LOGIN"]), argument(), argument()).prop_map(|(a, b, c)| format!("{a} {b} {c}")),
        (argument(), one_of(&["(MESSAGES)", "(UIDNEXT unseen)", "(HIGHESTMODSEQ SIZE)", "(X)", "MESSAGES"]))
            .prop_map(|(a, b)| format!("STATUS {a} {b}")),
        (one_of(&["LIST", "LSUB"]), argument(), one_of(&["%", "*", "a%b", "\"a *\"", "()", "(a"]))
            .prop_map(|(a, b, c)| format!("{a} {b} {c}")),
        (one_of(&["COPY", "UID COPY", "MOVE", "UID MOVE"]), set(), argument())
            .prop_map(|(a, b, c)| format!("{a} {b} {c}")),
        set().prop_map(|set| format!("UID EXPUNGE {set}")),
        (
            one_of(&["STORE", "UID STORE"]),
            set(),
            one_of(&["", "(UNCHANGEDSINCE 5) ", "(UNCHANGEDSINCE 0) ", "(X) "]),
            one_of(&["FLAGS", "+flags", "-FLAGS.SILENT", "FLAG"]),
            prop_oneof![flags(), one_of(&["\\Seen", "\\Seen $x", "\"a\"", ""])],
        )
            .prop_map(|(a, b, c, d, e)| format!("{a} {b} {c}{d} {e}")),
        (
            one_of(&["SEARCH", "UID SEARCH", "SEARCH CHARSET UTF-8"]),
            prop::collection::vec(search_key(), 1..3)
        )
            .prop_map(|(a, b)| format!("{a} {}", b.join(" "))),
        (one_of(&["(DATE)", "(REVERSE SUBJECT FROM)", "()", "(X)", "(REVERSE)"]), search_key())
            .prop_map(|(a, b)| format!("SORT {a} UTF-8 {b}")),
        (one_of(&["REFERENCES", "ORDEREDSUBJECT"]), search_key())
            .prop_map(|(a, b)| format!("THREAD {a} UTF-8 {b}")),
        fetch(),
        append(),
    ]
    .boxed()
}

/// Where we want to differ from the other.
fn differs(line: &str) -> bool {
    // Spaces more than one and at the end are taken, as Dovecot does.
    let spaces = line.contains("  ") || line.ends_with(' ') || line.contains("( ") || line.contains(" )");
    // A mailbox name holds no control characters.
    let control = line.contains("{2+}\r\n\r\n") && !line.starts_with("LOGIN") && !line.contains("SEARCH");
    // The grammar has at least one attribute.
    let nothing = line.contains("FETCH") && line.contains(" ()");
    // From the beginning, which other servers take.
    let beginning = line.contains("CHANGEDSINCE 0") && !line.contains("UNCHANGEDSINCE 0");
    spaces || control || nothing || beginning
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_take_a_command_or_both_refuse_it(tag in "[a-z]{1,3}[0-9]", line in line()) {
        prop_assume!(!differs(&line));
        let octets = format!("{tag} {line}\r\n").into_bytes();
        let (we, they) = (ours(&octets), theirs(&octets));
        prop_assert_eq!(we.is_some(), they.is_some(), "we: {:?}", we);
        if let (Some(we), Some(they)) = (we, they) {
            prop_assert_eq!(ours(&they), Some(we), "written as {}", they.escape_ascii());
        }
    }
}

fn text() -> BoxedStrategy<bytes::Bytes> {
    prop_oneof![
        "[ -~]{0,12}".prop_map(bytes::Bytes::from),
        "[ -~\u{e9}\r\n]{0,12}".prop_map(bytes::Bytes::from)
    ]
    .boxed()
}

fn address() -> BoxedStrategy<Address> {
    let field = || prop::option::of(text());
    (field(), field(), field(), field())
        .prop_map(|(name, route, mailbox, host)| Address { name, route, mailbox, host })
        .boxed()
}

fn envelope() -> BoxedStrategy<Envelope> {
    let field = || prop::option::of(text());
    let addresses = || prop::collection::vec(address(), 0..3);
    (field(), field(), addresses(), addresses(), addresses(), field(), field())
        .prop_map(|(date, subject, from, to, cc, in_reply_to, message_id)| Envelope {
            date,
            subject,
            sender: from.clone(),
            reply_to: from.clone(),
            from,
            to,
            cc,
            bcc: Vec::new(),
            in_reply_to,
            message_id,
        })
        .boxed()
}

fn extension() -> BoxedStrategy<Option<BodyExtension>> {
    let disposition = prop::option::of(
        (text(), parameters()).prop_map(|(kind, parameters)| Disposition { kind, parameters }),
    );
    let whole = (
        prop::option::of(text()),
        disposition,
        prop::collection::vec(text(), 0..3),
        prop::option::of(text()),
    )
        .prop_map(|(md5, disposition, language, location)| BodyExtension {
            md5,
            disposition,
            language,
            location,
        });
    prop::option::of(whole).boxed()
}

fn parameters() -> BoxedStrategy<Parameters> {
    prop::collection::vec((text(), text()), 0..3).boxed()
}

fn structure() -> BoxedStrategy<BodyStructure> {
    let fields = || {
        (parameters(), prop::option::of(text()), text(), any::<u32>()).prop_map(
            |(parameters, id, encoding, octets)| BodyFields {
                parameters,
                id: id.clone(),
                description: id,
                encoding,
                octets: u64::from(octets),
            },
        )
    };
    let leaf = prop_oneof![
        (fields(), any::<u32>(), extension()).prop_map(|(fields, lines, extension)| {
            BodyStructure::Text { subtype: "plain".into(), fields, lines: u64::from(lines), extension }
        }),
        (fields(), extension()).prop_map(|(fields, extension)| BodyStructure::Basic {
            media_type: "application".into(),
            subtype: "octet-stream".into(),
            fields,
            extension
        }),
    ];
    leaf.prop_recursive(3, 10, 3, move |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 1..4), parameters(), extension()).prop_map(
                |(parts, parameters, extension)| {
                    BodyStructure::Multipart { parts, subtype: "mixed".into(), parameters, extension }
                }
            ),
            (inner, envelope(), fields(), extension()).prop_map(|(body, envelope, fields, extension)| {
                BodyStructure::Message {
                    subtype: "rfc822".into(),
                    fields,
                    envelope: Box::new(envelope),
                    body: Box::new(body),
                    lines: 3,
                    extension,
                }
            }),
        ]
    })
    .boxed()
}

fn fetch_item() -> BoxedStrategy<FetchItem> {
    let content = || prop_oneof![Just(Content::Nil), text().prop_map(Content::Octets)];
    let fields = SectionText::HeaderFields(vec!["To".into(), "X Y".into()]);
    let texts = vec![None, Some(SectionText::Mime), Some(SectionText::Text), Some(fields)];
    let section = prop::sample::select(texts).prop_map(|text| Section { part: vec![1, 2], text });
    prop_oneof![
        Just(FetchItem::Flags(vec![Flag::Seen, Flag::Recent, Flag::Keyword("$x".into())])),
        (1..u32::MAX).prop_map(FetchItem::Uid),
        any::<u32>().prop_map(|size| FetchItem::Rfc822Size(u64::from(size))),
        (0..4_000_000_000i64).prop_map(|at| FetchItem::InternalDate(DateTime::from_unix_seconds(at))),
        (1..i64::MAX as u64).prop_map(FetchItem::ModSeq),
        envelope().prop_map(|envelope| FetchItem::Envelope(Box::new(envelope))),
        structure().prop_map(|body| FetchItem::Body(Box::new(body))),
        structure().prop_map(|body| FetchItem::BodyStructure(Box::new(body))),
        (section, content()).prop_map(|(section, content)| FetchItem::BodySection {
            section,
            origin: Some(5),
            content
        }),
        content().prop_map(|content| FetchItem::Binary { part: vec![1], origin: None, content }),
        content().prop_map(FetchItem::Rfc822Header),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<String> {
    "[ -~\u{e9}\u{65e5}]{1,10}".boxed()
}

fn data() -> BoxedStrategy<Data> {
    let words = || {
        prop::sample::select(vec![
            vec!["IMAP4rev1".to_owned(), "IDLE".into()],
            vec!["IMAP4rev1".into(), "AUTH=PLAIN".into()],
        ])
    };
    let items = vec![
        StatusItem::Messages(1),
        StatusItem::UidNext(5),
        StatusItem::Size(9),
        StatusItem::HighestModSeq(3),
    ];
    let numbers: NumberSet = [1, 2, 9].into_iter().collect();
    prop_oneof![
        words().prop_map(Data::Capability),
        any::<u32>().prop_map(Data::Exists),
        (1..u32::MAX).prop_map(Data::Expunge),
        any::<bool>().prop_map(move |earlier| Data::Vanished { earlier, uids: numbers.clone() }),
        name().prop_map(move |mailbox| Data::Status { mailbox, items: items.clone() }),
        name().prop_map(|mailbox| Data::List(ListData {
            attributes: vec![ListAttribute::HasNoChildren, ListAttribute::NoSelect],
            delimiter: Some('/'),
            mailbox,
            ..Default::default()
        })),
        prop::collection::vec(1..u32::MAX, 0..5)
            .prop_map(|numbers| Data::Search { numbers, modseq: Some(7) }),
        prop::collection::vec(1..u32::MAX, 0..5).prop_map(|numbers| Data::Sort { numbers, modseq: None }),
        thread().prop_map(Data::Thread),
        name().prop_map(|mailbox| Data::QuotaRoot { mailbox, roots: vec!["".into(), "a b".into()] }),
        (1..u32::MAX, prop::collection::vec(fetch_item(), 1..4))
            .prop_map(|(number, items)| Data::Fetch { number, items }),
    ]
    .boxed()
}

fn thread() -> BoxedStrategy<Vec<ThreadNode>> {
    let node = |number, children| {
        let mut node = ThreadNode::default();
        (node.number, node.children) = (Some(number), children);
        node
    };
    let leaf = (1..u32::MAX).prop_map(move |number| node(number, Vec::new()));
    let tree = leaf.prop_recursive(4, 12, 3, move |inner| {
        (1..u32::MAX, prop::collection::vec(inner, 0..4))
            .prop_map(move |(number, children)| node(number, children))
    });
    prop::collection::vec(tree, 1..4).boxed()
}

fn status() -> BoxedStrategy<Status> {
    let numbers: NumberSet = [1, 2, 9].into_iter().collect();
    let codes = vec![
        None,
        Some(Code::Alert),
        Some(Code::ReadOnly),
        Some(Code::TryCreate),
        Some(Code::UidNext(4)),
        Some(Code::UidValidity(9)),
        Some(Code::Unseen(2)),
        Some(Code::PermanentFlags(vec![PermanentFlag::Flag(Flag::Seen), PermanentFlag::New])),
        Some(Code::Capability(vec!["IMAP4rev1".into(), "ID".into()])),
        Some(Code::BadCharset(vec!["UTF-8".into()])),
        Some(Code::AppendUid(1, numbers.clone())),
        Some(Code::CopyUid(1, numbers.clone(), numbers.clone())),
        Some(Code::HighestModSeq(7)),
        Some(Code::Modified(numbers)),
        Some(Code::NonExistent),
        Some(Code::OverQuota),
    ];
    (prop::sample::select(codes), any::<String>())
        .prop_map(|(code, text)| Status { condition: Condition::No, code, text })
        .boxed()
}

fn response() -> BoxedStrategy<Response> {
    prop_oneof![
        4 => data().prop_map(Response::Data),
        1 => status().prop_map(|status| status.tagged("a1")),
        1 => status().prop_map(Response::Status),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_other_reads_what_we_write(response in response(), utf8: bool) {
        let mut out = BytesMut::new();
        Encoder { utf8 }.response(&response, &mut out);
        match ResponseCodec::default().decode(&out) {
            Ok((rest, _)) => prop_assert!(rest.is_empty(), "{} is left of {}", rest.escape_ascii(), out.escape_ascii()),
            Err(error) => prop_assert!(false, "{error:?}: {}", out.escape_ascii()),
        }
    }
}
