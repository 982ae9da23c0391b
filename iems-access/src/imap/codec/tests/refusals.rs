//! What is no command, and what is said about it.

use super::{decoder, events, refusal};
use crate::imap::codec::Event;
use crate::imap::types::Condition;

#[test]
fn lines_that_the_grammar_does_not_know() {
    for line in [
        "",
        "XYZZY",
        "NOOP x",
        "UID",
        "UID NOOP",
        "UID EXPUNGE",
        "(NOOP)",
        "LOGIN",
        "LOGIN x",
        "LOGIN x y z",
        "LOGIN (a) b",
        "LOGIN \"a\\c\" b",
        "LOGIN \"a b",
        "LOGIN a%b c",
        "LOGIN a*b c",
        "SELECT",
        "SELECT a b",
        "SELECT a%",
        "SELECT a ()",
        "SELECT a (QRESYNC (0 1))",
        "SELECT a (QRESYNC (1 1 *))",
        "SELECT a (QRESYNC (1 1 $))",
        "SELECT a (QRESYNC (1 1 (1:2 1)))",
        "CREATE a (USE (Sent))",
        "CREATE a (X)",
        "LIST",
        "LIST \"\"",
        "LIST a () RETURN",
        "LIST (RECURSIVEMATCH) a b",
        "LIST (RECURSIVEMATCH REMOTE) a b",
        "LIST (X) a b",
        "LIST a b RETURN (X)",
        "LIST a (b",
        "LIST a b RETURN (STATUS)",
        "LIST a b X",
        "STATUS a ()",
        "STATUS a MESSAGES",
        "STATUS a (X)",
        "SEARCH",
        "SEARCH ()",
        "SEARCH X",
        "SEARCH NOT",
        "SEARCH OR ALL",
        "SEARCH ALL)",
        "SEARCH (ALL",
        "SEARCH 0",
        "SEARCH 1:",
        "SEARCH 1,,2",
        "SEARCH 4294967296",
        "SEARCH UID 0:1",
        "SEARCH ON 30-Feb-2020",
        "SEARCH ON 1-Feb-20",
        "SEARCH ON 1-Foo-2020",
        "SEARCH ON \"1-Feb-2020",
        "SEARCH ON 001-Feb-2020",
        "SEARCH LARGER -1",
        "SEARCH LARGER 9223372036854775808",
        "SEARCH YOUNGER 0",
        "SEARCH RETURN ALL",
        "SEARCH RETURN (X) ALL",
        "SEARCH RETURN (MIN)",
        "SEARCH RETURN (PARTIAL 0:1) ALL",
        "SEARCH RETURN (PARTIAL -1:1) ALL",
        "SEARCH KEYWORD \\Seen",
        "SEARCH MODSEQ \"/x\" all 1",
        "SEARCH EMAILID a.b",
        "SORT DATE UTF-8 ALL",
        "SORT () UTF-8 ALL",
        "SORT (X) UTF-8 ALL",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (DATE) UTF-8",
        "THREAD X UTF-8 ALL",
        "FETCH",
        "FETCH 1",
        "FETCH 0 FLAGS",
        "FETCH 1 ()",
        "FETCH 1 (ALL)",
        "FETCH 1 X",
        "FETCH 1 FLAGS UID",
        "FETCH 1 BODY[",
        "FETCH 1 BODY[1.]",
        "FETCH 1 BODY[0]",
        "FETCH 1 BODY[MIME]",
        "FETCH 1 BODY[HEADER.FIELDS]",
        "FETCH 1 BODY[HEADER.FIELDS ()]",
        "FETCH 1 BODY[]<1>",
        "FETCH 1 BODY[]<1.0>",
        "FETCH 1 BODY[X]",
        "FETCH 1 BODY [1]",
        "FETCH 1 BINARY[HEADER]",
        "FETCH 1 BINARY.SIZE",
        "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1 FLAGS (VANISHED)",
        "FETCH 1 FLAGS (PARTIAL 1:2)",
        "FETCH 1 FLAGS ()",
        "FETCH 1 (FLAGSUID)",
        "FETCH a FLAGS",
        "STORE 1 FLAGS",
        "STORE 1 X (a)",
        "STORE 1 FLAGS (\\)",
        "STORE 1 (X 1) FLAGS ()",
        "STORE 1 FLAGS \\*",
        "STORE 1 ++FLAGS a",
        "COPY 1",
        "COPY x INBOX",
        "MOVE 1 a b",
        "ENABLE",
        "AUTHENTICATE",
        "AUTHENTICATE PLAIN a b",
        "ID",
        "ID (\"a\")",
        "ID (a b)",
        "GETQUOTA",
        "SETQUOTA a (STORAGE)",
        "SETQUOTA a (STORAGE -1)",
        "SETACL a b LRS",
        "SETACL a b",
        "GETMETADATA a b",
        "GETMETADATA a (/private/*)",
        "GETMETADATA (DEPTH 2) a /b",
        "GETMETADATA a //b",
        "GETMETADATA a /b/",
        "SETMETADATA a ()",
        "SETMETADATA a (/b)",
        "NOTIFY",
        "NOTIFY SET",
        "NOTIFY SET (x (FlagChange))",
        "NOTIFY SET (selected (MessageNew))",
        "NOTIFY SET (selected (FlagChange))",
        "APPEND a",
        "APPEND a \"text\"",
        "APPEND a (\\Seen)",
        "APPEND a CATENATE ()",
        "APPEND a CATENATE (URL)",
        "APPEND a \"1-Jan-2020 00:00:00 +0000\" {1}",
        "APPEND a \" 1-Jan-2020 24:00:00 +0000\" {1}",
        "APPEND a \" 1-Jan-2020 00:00:00 0000\" {1}",
        "REPLACE 0 a {1}",
        "NOOP {1}",
        "REPLACE 1 a",
    ] {
        let answer = refusal(line.as_bytes());
        assert!(answer.starts_with("a BAD "), "{line}: {answer}");
    }
}

#[test]
fn a_refusal_says_what_and_where() {
    for (line, wanted) in [
        ("XYZZY", "a BAD There is no command XYZZY (octet 3 of the command)"),
        ("UID IDLE", "a BAD There is no command UID IDLE (octet 3 of the command)"),
        ("FETCH 0 FLAGS", "a BAD 0 is no number here (octet 9 of the command)"),
        ("SELECT \"&AOk\"", "a NO [CANNOT] The mailbox name is not modified UTF-7"),
        ("SELECT \"&AAo-\"", "a NO [CANNOT] A mailbox name holds no control characters"),
        (
            "SEARCH CHARSET KOI9 ALL",
            "a NO [BADCHARSET (US-ASCII UTF-8)] This character set is not known; UTF-8 is",
        ),
    ] {
        assert_eq!(refusal(line.as_bytes()), wanted);
    }
    assert!(refusal(b"SELECT {2+}\r\n\xc3\xa9").starts_with("a NO [CANNOT]"));
    assert!(refusal(b"LOGIN {2+}\r\nx\0 y").starts_with("a BAD A literal holds no NUL"));
    assert!(refusal(b"LOGIN \"\xff\" y").starts_with("a BAD The quoted string is not UTF-8"));
    assert!(refusal(b"LOGIN a\xffb y").starts_with("a BAD "));
}

/// What cannot be read is an error of the client's first; only a search that is one can lack nothing but its character set.
#[test]
fn a_search_in_an_unknown_charset_forgets_what_it_was_to_save() {
    let refusal = |line: &str| match &events(&mut decoder(), format!("a {line}\r\n").as_bytes())[..] {
        [Event::Refused(refusal)] => (refusal.status.condition, refusal.forgets),
        other => panic!("{other:?}"),
    };
    for (line, wanted) in [
        ("SEARCH RETURN (SAVE) CHARSET x TEXT y", (Condition::No, true)),
        ("SORT RETURN (COUNT SAVE) (SUBJECT) x TEXT y", (Condition::No, true)),
        ("SEARCH RETURN (COUNT) CHARSET x TEXT y", (Condition::No, false)),
        ("SEARCH CHARSET x TEXT y", (Condition::No, false)),
        ("THREAD REFERENCES x ALL", (Condition::No, false)),
        ("SEARCH RETURN (SAVE) CHARSET x NONSENSE", (Condition::Bad, false)),
        ("SORT (SUBJECT) ALL", (Condition::Bad, false)),
        ("SEARCH RETURN (SAVE) CHARSET x TEXT \"\u{e9}", (Condition::Bad, false)),
    ] {
        assert_eq!(refusal(line), wanted, "{line}");
    }
}

#[test]
fn the_tag_is_told_if_there_is_one() {
    let tag = |line: &str| match &events(&mut decoder(), line.as_bytes())[..] {
        [Event::Refused(refusal)] => refusal.tag.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(tag("a.1 XYZZY\r\n").as_deref(), Some("a.1"));
    assert_eq!(tag("tag\r\n").as_deref(), Some("tag"));
    for line in
        ["* NOOP\r\n", "+ NOOP\r\n", "a+ NOOP\r\n", "(\r\n", " a NOOP\r\n", "\u{e9} NOOP\r\n", "a\tNOOP\r\n"]
    {
        assert_eq!(tag(line), None, "{line}");
    }
    assert_eq!(tag(&format!("{} NOOP\r\n", "x".repeat(129))), None);
}

#[test]
fn nesting_and_lists_are_bounded() {
    for nest in ["(", "NOT ", "OR ALL "] {
        let deep = format!("SEARCH {}ALL", nest.repeat(8000));
        assert!(refusal(deep.as_bytes()).starts_with("a BAD [LIMIT]"), "{nest}");
    }
    let keys = format!("SEARCH{}", " ALL".repeat(5000));
    assert!(refusal(keys.as_bytes()).starts_with("a BAD [LIMIT]"));
    let many: String = (1..=101).map(|part| format!(" BODY[{part}]")).collect();
    assert!(refusal(format!("FETCH 1 ({})", &many[1..]).as_bytes()).starts_with("a BAD [LIMIT]"));
    let parts = vec!["1"; 101].join(".");
    assert!(refusal(format!("FETCH 1 BODY[{parts}]").as_bytes()).starts_with("a BAD [LIMIT]"));
    let items = format!("STORE 1 FLAGS ({})", vec!["a"; 1001].join(" "));
    assert!(refusal(items.as_bytes()).starts_with("a BAD [LIMIT]"));
    let literals = format!("ID ({})", vec!["{1+}\r\nx NIL"; 101].join(" "));
    let answers = events(&mut decoder(), format!("a {literals}\r\nb NOOP\r\n").as_bytes());
    assert!(matches!(&answers[..], [Event::Refused(_), Event::Command(_)]), "{answers:?}");
}
