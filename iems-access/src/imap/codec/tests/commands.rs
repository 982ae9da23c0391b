//! Commands and what they are read as.

use super::{body, body_of, set};
use crate::imap::types::*;

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).into()).collect()
}

#[test]
fn words_come_in_any_case() {
    for (line, wanted) in [
        ("capability", CommandBody::Capability),
        ("NoOp", CommandBody::Noop),
        ("LOGOUT ", CommandBody::Logout),
        ("STARTTLS", CommandBody::StartTls),
        ("IDLE", CommandBody::Idle),
        ("CLOSE", CommandBody::Close),
        ("UNSELECT", CommandBody::Unselect),
        ("CHECK", CommandBody::Check),
        ("NAMESPACE", CommandBody::Namespace),
        ("UNAUTHENTICATE", CommandBody::Unauthenticate),
        ("EXPUNGE", CommandBody::Expunge { uids: None }),
        ("uid expunge 3", CommandBody::Expunge { uids: Some(SequenceSet::single(3)) }),
        ("COMPRESS deflate", CommandBody::Compress("DEFLATE".into())),
        ("ENABLE condstore UTF8=ACCEPT", CommandBody::Enable(strings(&["CONDSTORE", "UTF8=ACCEPT"]))),
        ("ID NIL", CommandBody::Id(None)),
        ("ID ()", CommandBody::Id(Some(vec![]))),
    ] {
        assert_eq!(body(line), wanted, "{line}");
    }
    let fields = vec![("name".into(), Some("mutt".into())), ("os".into(), None)];
    assert_eq!(body(r#"ID ("name" "mutt" "os" nil)"#), CommandBody::Id(Some(fields)));
}

#[test]
fn logins_are_strings_of_all_kinds() {
    let login = |login: &str, password: &str| CommandBody::Login {
        login: login.into(),
        password: String::from(password).into(),
    };
    assert_eq!(body("LOGIN ann@example.org secret"), login("ann@example.org", "secret"));
    assert_eq!(body(r#"LOGIN "a\\b" "a\"]{3}""#), login("a\\b", "a\"]{3}"));
    assert_eq!(body_of(b"LOGIN {3}\r\nann {9+}\r\np\r\n {1}\"x"), login("ann", "p\r\n {1}\"x"));
    assert_eq!(body_of("LOGIN ann \"p\u{e4}ss\"".as_bytes()), login("ann", "p\u{e4}ss"));
    assert_eq!(body_of(b"LOGIN \"\" {0}\r\n"), login("", ""));
    assert_eq!(body("LOGIN ] NIL"), login("]", "NIL"));
    let auth = |initial: Option<&str>| CommandBody::Authenticate {
        mechanism: "PLAIN".into(),
        initial: initial.map(Into::into),
    };
    assert_eq!(body("AUTHENTICATE plain"), auth(None));
    assert_eq!(body("AUTHENTICATE \"Plain\""), auth(None));
    assert_eq!(body("AUTHENTICATE PLAIN AGEAYg=="), auth(Some("AGEAYg==")));
    assert_eq!(body("AUTHENTICATE PLAIN ="), auth(Some("=")));
    assert!(!format!("{:?} {:?}", body("LOGIN ann secret"), auth(Some("c2Vj"))).contains("sec"));
}

#[test]
fn mailbox_names_are_decoded() {
    for (given, name) in [
        ("inbox", "INBOX"),
        ("\"iNbOx\"", "INBOX"),
        ("INBOX.x", "INBOX.x"),
        ("\"Entw&APw-rfe\"", "Entw\u{fc}rfe"),
        ("R&-D", "R&D"),
        ("a]b", "a]b"),
        ("\"[Gmail]/All Mail\"", "[Gmail]/All Mail"),
        ("\"\"", ""),
    ] {
        assert_eq!(body(&format!("DELETE {given}")), CommandBody::Delete(name.into()), "{given}");
    }
    let renamed = CommandBody::Rename { from: "a b".into(), to: "c/d/".into() };
    assert_eq!(body_of(b"RENAME {3}\r\na b c/d/"), renamed);
    let uses = vec![SpecialUse::Sent, SpecialUse::Other("Odd".into())];
    let created = CommandBody::Create { mailbox: "x".into(), special_use: uses };
    assert_eq!(body(r"CREATE x (USE (\sent \Odd))"), created);
}

#[test]
fn utf8_names_are_read_where_they_are_enabled() {
    let mut decoder = super::decoder();
    decoder.set_utf8(true);
    let events = super::events(&mut decoder, "a SUBSCRIBE \"R&D \u{fc}\"\r\n".as_bytes());
    let body = CommandBody::Subscribe("R&D \u{fc}".into());
    assert_eq!(events, [super::Event::Command(Command::new("a", body))]);
}

#[test]
fn selects_carry_what_is_remembered() {
    let resync = |known: Option<&str>, matching: Option<(&str, &str)>| SelectParameters {
        condstore: false,
        qresync: Some(Resync {
            uid_validity: 67,
            modseq: 9,
            known_uids: known.map(set),
            matching: matching.map(|(numbers, uids)| (set(numbers), set(uids))),
        }),
    };
    let select = |parameters| CommandBody::Select { mailbox: "INBOX".into(), parameters };
    assert_eq!(body("SELECT INBOX"), select(SelectParameters::default()));
    let condstore = SelectParameters { condstore: true, qresync: None };
    assert_eq!(body("SELECT INBOX (CONDSTORE)"), select(condstore));
    assert_eq!(body("SELECT INBOX (QRESYNC (67 9))"), select(resync(None, None)));
    assert!(matches!(body("SELECT INBOX (QRESYNC (67 0))"), CommandBody::Select { .. }));
    assert_eq!(body("SELECT INBOX (QRESYNC (67 9 1:5,7))"), select(resync(Some("1:5,7"), None)));
    let both = resync(Some("1:9"), Some(("1,3", "2,8")));
    assert_eq!(body("SELECT INBOX (QRESYNC (67 9 1:9 (1,3 2,8)))"), select(both));
    assert_eq!(body("SELECT INBOX (QRESYNC (67 9 (1 2)))"), select(resync(None, Some(("1", "2")))));
    let examine = body("EXAMINE x (QRESYNC (1 9223372036854775807) CONDSTORE)");
    let CommandBody::Examine { parameters, .. } = examine else { panic!() };
    assert!(parameters.condstore && parameters.qresync.is_some_and(|r| r.modseq == i64::MAX as u64));
}

#[test]
fn lists_select_and_return() {
    let CommandBody::List(plain) = body("LIST \"\" %") else { panic!() };
    assert_eq!(plain, ListCommand { patterns: strings(&["%"]), ..Default::default() });
    let line = "LIST (SUBSCRIBED RECURSIVEMATCH) \"a/\" (\"*\" b%]) RETURN (CHILDREN STATUS (MESSAGES UNSEEN) SPECIAL-USE)";
    let CommandBody::List(list) = body(line) else { panic!() };
    assert_eq!(list.selection, [ListSelection::Subscribed, ListSelection::RecursiveMatch]);
    assert_eq!((list.reference.as_str(), list.patterns), ("a/", strings(&["*", "b%]"])));
    let status = ListReturn::Status(vec![StatusAttribute::Messages, StatusAttribute::Unseen]);
    assert_eq!(list.returns, [ListReturn::Children, status, ListReturn::SpecialUse]);
    assert!(list.extended);
    let CommandBody::List(list) =
        body("LIST () \"\" \"&AOk-*\" RETURN (MYRIGHTS METADATA (/shared/comment))")
    else {
        panic!()
    };
    assert_eq!(list.patterns, strings(&["\u{e9}*"]));
    assert_eq!(list.returns, [ListReturn::MyRights, ListReturn::Metadata(strings(&["/shared/comment"]))]);
    // What is asked for twice is told once.
    let line = "LIST \"\" * RETURN (MYRIGHTS STATUS (MESSAGES) METADATA (/private/a /PRIVATE/A) MYRIGHTS METADATA (/private/b /private/a) STATUS (UNSEEN MESSAGES))";
    let CommandBody::List(list) = body(line) else { panic!() };
    let metadata = ListReturn::Metadata(strings(&["/private/a", "/private/b"]));
    let status = ListReturn::Status(vec![StatusAttribute::Messages, StatusAttribute::Unseen]);
    assert_eq!(list.returns, [ListReturn::MyRights, status, metadata]);
    // What is no name at all is searched for as it stands.
    let CommandBody::List(list) = body("LIST \"&\" \"!&'*\"") else { panic!() };
    assert_eq!((list.reference.as_str(), list.patterns), ("&", strings(&["!&'*"])));
    assert_eq!(body("LSUB \"\" *"), CommandBody::Lsub { reference: "".into(), pattern: "*".into() });
    let items = vec![StatusAttribute::UidNext, StatusAttribute::DeletedStorage, StatusAttribute::AppendLimit];
    let status = CommandBody::Status { mailbox: "INBOX".into(), items };
    assert_eq!(body("STATUS inbox ( uidnext DELETED-STORAGE APPENDLIMIT uidnext )"), status);
}

fn key(line: &str) -> SearchKey {
    let CommandBody::Search { uid: false, search } = body(&format!("SEARCH {line}")) else { panic!() };
    assert_eq!(search.returns, None);
    search.key
}

#[test]
fn search_keys() {
    use SearchKey::*;
    let date = Date::new(2020, 2, 1).unwrap();
    for (line, wanted) in [
        ("ALL", All),
        ("charset utf-8 unseen", Unseen),
        ("1:3 SEEN", And(vec![Sequence(set("1:3")), Seen])),
        ("(FLAGGED)", Flagged),
        ("NOT (1 *:2)", Not(Box::new(And(vec![Sequence(set("1")), Sequence(set("*:2"))])))),
        ("OR $ UID $", Or(Box::new(Sequence(SequenceSet::Saved)), Box::new(Uid(SequenceSet::Saved)))),
        ("SINCE 1-Feb-2020", Since(date)),
        ("sentbefore \"01-feb-2020\"", SentBefore(date)),
        ("SAVEDON 01-FEB-2020 ", SavedOn(date)),
        ("SAVEDATESUPPORTED", SaveDateSupported),
        ("HEADER X-A \"\"", Header("X-A".into(), "".into())),
        ("KEYWORD $Junk", Keyword("$Junk".into())),
        ("LARGER 0", Larger(0)),
        ("YOUNGER 3600", Younger(3600)),
        ("MODSEQ 0", ModSeq { entry: None, modseq: 0 }),
        ("EMAILID M6d99", EmailId("M6d99".into())),
    ] {
        assert_eq!(key(line), wanted, "{line}");
    }
    let flag = ModSeq { entry: Some(("\\Seen".into(), EntryType::All)), modseq: 5 };
    assert_eq!(key(r#"MODSEQ "/flags/\\Seen" all 5"#), flag);
    assert!(key("NOT OR ALL (1 MODSEQ 5)").has_modseq() && !key("OR ALL SEEN").has_modseq());
    let text = body_of("SEARCH TEXT {3}\r\n\u{fc}x SUBJECT \"y z\"".as_bytes());
    let CommandBody::Search { search, .. } = text else { panic!() };
    assert_eq!(search.key, And(vec![Text("\u{fc}x".into()), Subject("y z".into())]));
    // Texts in another character set, as a literal or, against the grammar, quoted.
    for text in [&b"{2}\r\n\xc4\xc1"[..], b"\"\xc4\xc1\""] {
        let CommandBody::Search { search, .. } = body_of(&[b"SEARCH CHARSET KOI8-R TEXT ", text].concat())
        else {
            panic!()
        };
        assert_eq!(search.key, Text("\u{434}\u{430}".into()));
    }
    let CommandBody::Search { search, .. } = body_of(b"SEARCH BODY \"gr\xfc\xdfe\"") else { panic!() };
    assert_eq!(search.key, Body("gr\u{fc}\u{df}e".into()));
}

#[test]
fn searches_say_what_they_want_back() {
    let returns = |line: &str| match body(line) {
        CommandBody::Search { uid: true, search } => search.returns,
        CommandBody::Sort { sort, .. } => sort.returns,
        _ => panic!(),
    };
    use SearchReturn::*;
    assert_eq!(returns("UID SEARCH RETURN () ALL"), Some(vec![All]));
    assert_eq!(returns("UID SEARCH RETURN (MIN MAX COUNT SAVE) ALL"), Some(vec![Min, Max, Count, Save]));
    let partial = |first, last, from_end| Some(vec![Partial(PartialRange { first, last, from_end })]);
    assert_eq!(returns("UID SEARCH RETURN (PARTIAL 9:3) ALL"), partial(3, 9, false));
    assert_eq!(returns("UID SEARCH RETURN (PARTIAL -1:-100) ALL"), partial(1, 100, true));
    assert_eq!(returns("SORT RETURN (COUNT) (DATE) UTF-8 ALL"), Some(vec![Count]));
    let CommandBody::Sort { uid: true, sort } = body("UID SORT (REVERSE DATE SUBJECT) US-ASCII UNSEEN 1")
    else {
        panic!()
    };
    let by = |reverse, key| SortCriterion { reverse, key };
    assert_eq!(sort.criteria, [by(true, SortKey::Date), by(false, SortKey::Subject)]);
    assert!(matches!(sort.key, SearchKey::And(keys) if keys.len() == 2));
    let thread = Thread { algorithm: ThreadAlgorithm::References, key: SearchKey::All };
    assert_eq!(body("THREAD references UTF-8 ALL"), CommandBody::Thread { uid: false, thread });
}

fn attributes(line: &str) -> Vec<FetchAttribute> {
    let CommandBody::Fetch { fetch, .. } = body(&format!("FETCH 1 {line}")) else { panic!() };
    fetch.attributes
}

#[test]
fn fetch_attributes() {
    use FetchAttribute::*;
    assert_eq!(attributes("FAST"), [Flags, InternalDate, Rfc822Size]);
    assert_eq!(attributes("full"), [Flags, InternalDate, Rfc822Size, Envelope, Body]);
    assert_eq!(attributes("(UID uid BODY)"), [Uid, Body]);
    let section = |part: &[u32], text, partial: Option<(u64, u64)>, peek| BodySection {
        section: Section { part: part.into(), text },
        partial: partial.map(|(origin, octets)| Partial { origin, octets }),
        peek,
    };
    use SectionText::*;
    for (line, wanted) in [
        ("BODY[]", section(&[], None, None, false)),
        ("body.peek[]<0.4096>", section(&[], None, Some((0, 4096)), true)),
        ("BODY[1.22]", section(&[1, 22], None, None, false)),
        ("BODY.PEEK[HEADER]", section(&[], Some(Header), None, true)),
        ("BODY[3.mime]", section(&[3], Some(Mime), None, false)),
        ("BODY[1.2.TEXT]<5.6>", section(&[1, 2], Some(Text), Some((5, 6)), false)),
        (
            "BODY.PEEK[HEADER.FIELDS (From \"X-B\" )]",
            section(&[], Some(HeaderFields(strings(&["From", "X-B"]))), None, true),
        ),
        (
            "BODY[4.HEADER.FIELDS.NOT (To)]",
            section(&[4], Some(HeaderFieldsNot(strings(&["To"]))), None, false),
        ),
        ("BINARY[]", Binary { part: vec![], partial: None, peek: false }),
        (
            "BINARY.PEEK[1.2]<0.9>",
            Binary { part: vec![1, 2], partial: Some(Partial { origin: 0, octets: 9 }), peek: true },
        ),
        ("BINARY.SIZE[3]", BinarySize { part: vec![3] }),
        ("PREVIEW", Preview { lazy: false }),
        ("PREVIEW (LAZY)", Preview { lazy: true }),
        ("RFC822.HEADER", Rfc822Header),
        ("SAVEDATE", SaveDate),
    ] {
        assert_eq!(attributes(line), [wanted], "{line}");
    }
    assert_eq!(attributes("(PREVIEW (LAZY) EMAILID THREADID)"), [Preview { lazy: true }, EmailId, ThreadId]);
    let seen = attributes("(BODY[] RFC822 BODY.PEEK[] RFC822.HEADER FLAGS)");
    let seen: Vec<bool> = seen.iter().map(FetchAttribute::sets_seen).collect();
    assert_eq!(seen, [true, true, false, false, false]);
}

#[test]
fn fetch_modifiers() {
    let line = "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)";
    let CommandBody::Fetch { uid: true, fetch } = body(line) else { panic!() };
    assert_eq!((fetch.changed_since, fetch.vanished, fetch.partial), (Some(12345), true, None));
    let CommandBody::Fetch { fetch, .. } = body("UID FETCH 1:* PREVIEW (PARTIAL -1:-30)") else { panic!() };
    assert_eq!(fetch.partial, Some(PartialRange { first: 1, last: 30, from_end: true }));
    assert_eq!(fetch.attributes, [FetchAttribute::Preview { lazy: false }]);
}

#[test]
fn stores() {
    let store = |line: &str| match body(line) {
        CommandBody::Store { store, .. } => (store.unchanged_since, store.action, store.silent, store.flags),
        other => panic!("{other:?}"),
    };
    use Flag::*;
    let seen = vec![Seen, Keyword("$x".into())];
    assert_eq!(store(r"STORE 1 FLAGS (\seen $x)"), (None, StoreAction::Replace, false, seen.clone()));
    assert_eq!(store(r"UID STORE 1:* +flags.silent \Seen $x"), (None, StoreAction::Add, true, seen));
    let old = (Some(0), StoreAction::Remove, false, vec![]);
    assert_eq!(store("STORE $ (UNCHANGEDSINCE 0) -FLAGS ()"), old);
    let moved = CommandBody::Move { uid: true, messages: set("1,2"), mailbox: "a b".into() };
    assert_eq!(body("UID MOVE 1,2 \"a b\""), moved);
}

#[test]
fn quota_and_acl() {
    let limits = vec![
        QuotaLimit { resource: QuotaResource::Storage, limit: 512 },
        QuotaLimit { resource: QuotaResource::Other("X-Y".into()), limit: 0 },
    ];
    assert_eq!(body("SETQUOTA \"\" (storage 512 X-Y 0)"), CommandBody::SetQuota { root: "".into(), limits });
    assert_eq!(body("GETQUOTA #user"), CommandBody::GetQuota("#user".into()));
    assert_eq!(body("GETQUOTAROOT INBOX"), CommandBody::GetQuotaRoot("INBOX".into()));
    let acl = |change, rights: &str| CommandBody::SetAcl {
        mailbox: "x".into(),
        identifier: "ann".into(),
        change,
        rights: rights.into(),
    };
    assert_eq!(body("SETACL x ann lrs0"), acl(AclChange::Replace, "lrs0"));
    assert_eq!(body("SETACL x ann +cd"), acl(AclChange::Add, "cd"));
    assert_eq!(body("SETACL x ann \"-w\""), acl(AclChange::Remove, "w"));
    let of = |mailbox: &str| (String::from(mailbox), String::from("-ann"));
    let (mailbox, identifier) = of("x");
    assert_eq!(body("DELETEACL x -ann"), CommandBody::DeleteAcl { mailbox, identifier });
    let (mailbox, identifier) = of("INBOX");
    assert_eq!(body("LISTRIGHTS inbox -ann"), CommandBody::ListRights { mailbox, identifier });
}

#[test]
fn annotations() {
    let get = |max_size, depth, entries: &[&str]| CommandBody::GetMetadata {
        mailbox: "INBOX".into(),
        options: MetadataOptions { max_size, depth },
        entries: strings(entries),
    };
    let both = get(Some(1024), MetadataDepth::One, &["/private/a"]);
    assert_eq!(body("GETMETADATA (MAXSIZE 1024 DEPTH 1) INBOX (/private/a)"), both);
    assert_eq!(body("GETMETADATA INBOX (DEPTH 1 MAXSIZE 1024) /private/a"), both);
    let plain = get(None, MetadataDepth::Zero, &["/shared/b", "/shared/c"]);
    assert_eq!(body("GETMETADATA INBOX (/shared/b \"/shared/c\")"), plain);
    let infinity = get(None, MetadataDepth::Infinity, &["/shared/b"]);
    assert_eq!(body("GETMETADATA (DEPTH infinity) INBOX /shared/b"), infinity);
    let entry = |entry: &str, value: Option<&'static [u8]>| EntryValue {
        entry: entry.into(),
        value: value.map(bytes::Bytes::from_static),
    };
    let entries =
        vec![entry("/shared/b", None), entry("/shared/c", Some(b"x\0y")), entry("/shared/d", Some(b"z"))];
    let wanted = CommandBody::SetMetadata { mailbox: "".into(), entries };
    assert_eq!(body_of(b"SETMETADATA \"\" (/shared/b NIL /shared/c ~{3+}\r\nx\0y /shared/d \"z\")"), wanted);
}

#[test]
fn notifications() {
    assert_eq!(body("NOTIFY NONE"), CommandBody::Notify(Notify::None));
    let line = "NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge FlagChange)) \
                (subtree (a \"b c\") NONE) (inboxes (Odd MailboxName))";
    let CommandBody::Notify(Notify::Set { status: true, groups }) = body(line) else { panic!() };
    let [selected, subtree, inboxes] = &groups[..] else { panic!("{groups:?}") };
    assert!(matches!(&selected.events[..],
        [NotifyEvent::MessageNew(attributes), NotifyEvent::MessageExpunge, NotifyEvent::FlagChange]
        if attributes.len() == 2));
    assert_eq!(subtree.mailboxes, MailboxFilter::Subtree(strings(&["a", "b c"])));
    assert!(subtree.events.is_empty());
    assert_eq!(inboxes.events, [NotifyEvent::Other("Odd".into()), NotifyEvent::MailboxName]);
}
