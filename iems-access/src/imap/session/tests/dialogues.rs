//! What clients say, and what they hear.

use super::*;

/// All of `parts` are in `text`, in this order.
pub(super) fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not next in {text}"));
        rest = &rest[at + part.len()..];
    }
}

#[tokio::test]
async fn passwords_need_tls() {
    let world = World::new().await;
    let link = Link { tls: false, ..TLS };
    let mut peer = world.stranger(link);
    let said = peer.ask("a CAPABILITY").await;
    assert!(said.contains(" LOGINDISABLED") && said.contains(" STARTTLS") && !said.contains("AUTH=PLAIN"));
    assert!(peer.ask("b LOGIN ann@example.org secret").await.starts_with("b NO [PRIVACYREQUIRED]"));
    assert!(peer.ask("c AUTHENTICATE PLAIN").await.starts_with("c NO [PRIVACYREQUIRED]"));
    assert!(peer.ask("d SELECT INBOX").await.starts_with("d BAD Log in first"));
}

#[tokio::test]
async fn logins_fail_or_do_not() {
    let world = World::new().await;
    let mut peer = world.stranger(TLS);
    assert!(peer.ask("a LOGIN ann@example.org wrong").await.starts_with("a NO [AUTHENTICATIONFAILED]"));
    assert_eq!(peer.ask("b AUTHENTICATE PLAIN").await, "+ \r\n");
    assert!(peer.ask("*").await.starts_with("b BAD Authentication cancelled"));
    let said = peer.ask("c AUTHENTICATE PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=").await;
    assert!(said.starts_with("c OK [CAPABILITY IMAP4rev2 IMAP4rev1") && said.contains(" MOVE"), "{said}");
    assert!(peer.ask("d LOGIN a b").await.starts_with("d BAD"));
    let mut guesser = world.stranger(TLS);
    for _ in 0..5 {
        guesser.ask("a LOGIN ann@example.org wrong").await;
    }
    assert!(guesser.closed);
}

#[tokio::test]
async fn a_message_goes_its_way() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    let said = ann.ask("a SELECT INBOX").await;
    in_order(&said, &["* FLAGS (", "* 0 EXISTS", "[UIDVALIDITY ", "[UIDNEXT 1]", "a OK [READ-WRITE]"]);
    let said = ann.append("INBOX (\\Flagged work)", &letter("one")).await;
    in_order(&said, &["* FLAGS (", "work", "* 1 EXISTS", "p OK [APPENDUID ", " 1]"]);
    assert!(ann.append("Nowhere", &letter("x")).await.starts_with("p NO [TRYCREATE]"));
    let said = ann.ask("b FETCH 1 (FLAGS UID ENVELOPE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (Subject)])").await;
    in_order(&said, &["* 1 FETCH (FLAGS (\\Flagged work) UID 1 ENVELOPE (", "\"one\"", "b OK"]);
    assert!(said.contains("BODY[HEADER.FIELDS (Subject)] {16}\r\nSubject: one\r\n\r\n"), "{said}");
    let said = ann.ask("c FETCH 1 BODY[TEXT]").await;
    in_order(&said, &["* 1 FETCH (BODY[TEXT] {11}\r\nHello one\r\n FLAGS (\\Flagged \\Seen work))", "c OK"]);
    let said = ann.ask("d STORE 1 -FLAGS (work)").await;
    in_order(&said, &["* 1 FETCH (FLAGS (\\Flagged \\Seen))", "d OK"]);
    in_order(&ann.ask("e CREATE Old/2026").await, &["e OK [MAILBOXID ("]);
    in_order(&ann.ask("f COPY 1 Old/2026").await, &["f OK [COPYUID ", " 1 1]"]);
    in_order(&ann.ask("g MOVE 1 Old/2026").await, &["* OK [COPYUID ", " 1 2]", "* 1 EXPUNGE", "g OK"]);
    in_order(&ann.ask("h STATUS Old/2026 (MESSAGES UNSEEN)").await, &["(MESSAGES 2 UNSEEN 0)"]);
    let said = ann.ask("i LIST \"\" *").await;
    in_order(&said, &[" INBOX\r\n", "(\\HasChildren) \"/\" Old", "Old/2026", "i OK"]);
    in_order(&ann.ask("j SELECT Old/2026\r\nk STORE 1 +FLAGS.SILENT (\\Deleted)").await, &["j OK", "k OK"]);
    in_order(&ann.ask("l EXPUNGE").await, &["* 1 EXPUNGE\r\nl OK"]);
    in_order(&ann.ask("m UID SEARCH ALL").await, &["* SEARCH 2\r\nm OK"]);
    in_order(&ann.ask("n LOGOUT").await, &["* BYE", "n OK"]);
}

#[tokio::test]
async fn several_messages_come_at_once_or_not_at_all() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    let (one, two) = (letter("one"), letter("two"));
    let command = format!("a APPEND INBOX {{{}+}}\r\n{one} (\\Seen) {{{}+}}\r\n{two}", one.len(), two.len());
    in_order(&ann.ask(&command).await, &["a OK [APPENDUID ", " 1:2]"]);
    in_order(&ann.ask("b STATUS INBOX (MESSAGES UNSEEN)").await, &["(MESSAGES 2 UNSEEN 1)"]);
    in_order(&ann.ask("c APPEND INBOX {2000000}").await, &["c NO [TOOBIG]"]);
}

#[tokio::test]
async fn searches_look_at_flags_headers_and_texts() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    for subject in ["apple", "pear", "plum"] {
        ann.append("INBOX", &letter(subject)).await;
    }
    ann.ask("a SELECT INBOX\r\nb STORE 2 +FLAGS (\\Seen)").await;
    for (key, found) in [
        ("ALL", "1 2 3"),
        ("UNSEEN", "1 3"),
        ("OR SEEN SUBJECT APPLE", "1 2"),
        ("BODY \"hello plum\"", "3"),
        ("TEXT bob@example.net", "1 2 3"),
        ("NOT FROM bob", ""),
        ("HEADER Message-ID pear@x", "2"),
        ("LARGER 10 SMALLER 100000", "1 2 3"),
        ("2:*", "2 3"),
        ("UID 1,3", "1 3"),
        ("BEFORE 1-Jan-2020", ""),
        ("SINCE 1-Jan-2020 NOT KEYWORD x", "1 2 3"),
    ] {
        let said = ann.ask(&format!("s SEARCH {key}")).await;
        let wanted =
            if found.is_empty() { "* SEARCH\r\n".to_owned() } else { format!("* SEARCH {found}\r\n") };
        assert!(said.starts_with(&wanted), "{key}: {said}");
    }
    let said = ann.ask("t SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN").await;
    in_order(&said, &["* ESEARCH (TAG \"t\") MIN 1 MAX 3", "t OK"]);
    assert!(said.contains("COUNT 2") && said.contains("ALL 1,3"), "{said}");
    assert!(ann.ask("u SEARCH RETURN (SAVE) UNSEEN").await.starts_with("u OK"));
    in_order(&ann.ask("v FETCH $ UID").await, &["* 1 FETCH (UID 1)", "* 3 FETCH (UID 3)", "v OK"]);
}

#[tokio::test]
async fn what_changed_is_told_to_who_comes_back() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    for subject in ["a", "b", "c", "d"] {
        ann.append("INBOX", &letter(subject)).await;
    }
    let said = ann.ask("a SELECT INBOX").await;
    let number = |word: &str| {
        let at = said.find(word).unwrap() + word.len();
        said[at..].split(']').next().unwrap().trim().parse::<u64>().unwrap()
    };
    let (validity, modseq) = (number("[UIDVALIDITY"), number("[HIGHESTMODSEQ"));
    ann.ask("b STORE 2 +FLAGS.SILENT (\\Deleted)\r\nc EXPUNGE\r\nd STORE 3 +FLAGS (\\Flagged)").await;
    let mut back = world.ann().await;
    assert!(back.ask(&format!("a SELECT INBOX (QRESYNC ({validity} {modseq}))")).await.starts_with("a BAD"));
    in_order(&back.ask("b ENABLE QRESYNC").await, &["* ENABLED QRESYNC\r\n", "b OK"]);
    let said = back.ask(&format!("c SELECT INBOX (QRESYNC ({validity} {modseq} 1:4))")).await;
    in_order(&said, &["* VANISHED (EARLIER) 2\r\n", "* 3 FETCH (UID 4 FLAGS (\\Flagged) MODSEQ (", "c OK"]);
    assert_eq!(said.matches("FETCH").count(), 1);
    let said = back.ask(&format!("d UID FETCH 1:* FLAGS (CHANGEDSINCE {modseq} VANISHED)")).await;
    in_order(&said, &["* VANISHED (EARLIER) 2\r\n", "* 3 FETCH (UID 4", "d OK"]);
    let said = back.ask(&format!("e UID STORE 4 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Seen)")).await;
    in_order(&said, &["e OK [MODIFIED 4]"]);
}

#[tokio::test]
async fn who_is_cut_off_before_an_expunge_is_told_hears_of_it_later() {
    let world = World::new().await;
    let (mut ann, mut other) = (world.ann().await, world.ann().await);
    for subject in ["a", "b", "c", "d", "e"] {
        ann.append("INBOX", &letter(subject)).await;
    }
    ann.ask("a ENABLE QRESYNC").await;
    let said = ann.ask("b SELECT INBOX").await;
    let number = |said: &str, word: &str| {
        let at = said.find(word).unwrap() + word.len();
        said[at..].split([']', ')']).next().unwrap().trim().parse::<u64>().unwrap()
    };
    let (validity, before) = (number(&said, "[UIDVALIDITY"), number(&said, "[HIGHESTMODSEQ"));
    other.ask("a SELECT INBOX\r\nb STORE 2 +FLAGS.SILENT (\\Deleted)\r\nc EXPUNGE").await;
    // The MODSEQ of the change is above that of what left, which cannot be told yet (RFC 7162 section 3.2).
    let said = ann.ask("c STORE 3 +FLAGS (\\Flagged)").await;
    in_order(&said, &["* 3 FETCH (UID 3 FLAGS (\\Flagged", "* OK [HIGHESTMODSEQ ", "c OK [EXPUNGEISSUED]"]);
    assert!(number(&said, "MODSEQ (") > before);
    assert_eq!(number(&said, "[HIGHESTMODSEQ"), before, "{said}");
    let mut back = world.ann().await;
    back.ask("a ENABLE QRESYNC").await;
    let said = back.ask(&format!("b SELECT INBOX (QRESYNC ({validity} {before}))")).await;
    in_order(&said, &["* VANISHED (EARLIER) 2\r\n", "b OK"]);
    // Who asks for it hears of it once: it still has a number here.
    other.ask("d STORE 2 +FLAGS.SILENT (\\Deleted)\r\ne EXPUNGE").await;
    let said = back.ask(&format!("c UID FETCH 1:* FLAGS (CHANGEDSINCE {before} VANISHED)")).await;
    in_order(
        &said,
        &["* VANISHED (EARLIER) 2\r\n", "* VANISHED 3\r\n", "* OK [HIGHESTMODSEQ ", "c OK [EXPUNGEISSUED]"],
    );
    // Where it is told, the end of the command says up to where the client knows of all (sections 3.2.7 and 3.2.9).
    let said = ann.ask("d NOOP").await;
    in_order(&said, &["* VANISHED 2:3\r\n", "d OK [HIGHESTMODSEQ "]);
    let told = number(&said, "[HIGHESTMODSEQ");
    assert!(told > before && !ann.ask("e NOOP").await.contains("MODSEQ"));
    for command in ["f EXPUNGE", "f UID EXPUNGE 1:*"] {
        ann.ask("s STORE 1 +FLAGS.SILENT (\\Deleted)").await;
        in_order(&ann.ask(command).await, &["* VANISHED ", "f OK [HIGHESTMODSEQ "]);
    }
    in_order(&ann.ask("g UID MOVE 1:* Trash").await, &["g NO [TRYCREATE]"]);
    ann.ask("h CREATE Trash").await;
    in_order(
        &ann.ask("i UID MOVE 1:* Trash").await,
        &["[COPYUID", "* VANISHED 5\r\n", "i OK [HIGHESTMODSEQ "],
    );
}

#[tokio::test]
async fn extended_lists_say_more() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    ann.ask("a CREATE Trash (USE (\\Trash))\r\nb CREATE x/y\r\nc SUBSCRIBE x/y\r\nd SUBSCRIBE gone").await;
    in_order(&ann.ask("e CREATE all (USE (\\All))").await, &["e NO [USEATTR]"]);
    let said = ann.ask("f LIST (SUBSCRIBED) \"\" *").await;
    in_order(&said, &["(\\NonExistent \\Subscribed) \"/\" gone", "\\Subscribed) \"/\" x/y"]);
    let said = ann.ask("g LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %").await;
    in_order(&said, &["x (\"CHILDINFO\" (\"SUBSCRIBED\"))", "g OK"]);
    let said = ann.ask("h LIST (SPECIAL-USE) \"\" * RETURN (STATUS (MESSAGES))").await;
    in_order(&said, &["(\\Trash) \"/\" Trash", "* STATUS Trash (MESSAGES 0)", "h OK"]);
    assert_eq!(said.matches("* LIST").count(), 1, "{said}");
    in_order(&ann.ask("i LSUB \"\" %").await, &["(\\Noselect) \"/\" gone", "(\\Noselect) \"/\" x"]);
    in_order(&ann.ask("j LIST \"\" \"\"").await, &["* LIST (\\Noselect) \"/\" \"\""]);
}

#[tokio::test]
async fn with_imap4rev2_names_are_utf8_and_answers_are_new() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    in_order(&ann.ask("a ENABLE IMAP4rev2").await, &["* ENABLED IMAP4rev2\r\n", "a OK"]);
    in_order(&ann.ask("b CREATE \"Grüße\"").await, &["b OK"]);
    let said = ann.ask("c SELECT \"Grüße\"").await;
    in_order(&said, &["* 0 EXISTS", "* LIST () \"/\" ", "Grüße", "c OK"]);
    assert!(!said.contains("RECENT") && !said.contains("[UNSEEN"), "{said}");
    in_order(&ann.ask("d SEARCH ALL").await, &["* ESEARCH (TAG \"d\")\r\nd OK"]);
    in_order(&ann.ask("e SELECT INBOX").await, &["* OK [CLOSED]", "e OK"]);
}

#[tokio::test]
async fn sorts_and_threads_are_told() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    for subject in ["pear", "apple", "plum"] {
        ann.append("INBOX", &letter(subject)).await;
    }
    ann.ask("a SELECT INBOX").await;
    in_order(&ann.ask("b SORT (SUBJECT) UTF-8 ALL").await, &["* SORT 2 1 3\r\nb OK"]);
    in_order(&ann.ask("c UID SORT (REVERSE SUBJECT) UTF-8 ALL").await, &["* SORT 3 1 2\r\nc OK"]);
    let said = ann.ask("d SORT RETURN (MIN COUNT) (SUBJECT) UTF-8 ALL").await;
    in_order(&said, &["* ESEARCH (TAG \"d\") MIN 2 COUNT 3\r\nd OK"]);
    in_order(&ann.ask("e THREAD REFERENCES UTF-8 ALL").await, &["* THREAD (1)(2)(3)\r\ne OK"]);
}
