//! What `CONDSTORE` and `QRESYNC` (RFC 7162) ask of other commands, and what else sessions hear of each other.

use super::dialogues::in_order;
use super::*;

/// Ann, and another session of hers, both with so many messages in INBOX.
async fn both(world: &World, messages: usize, enabled: &str) -> (Peer, Peer) {
    let (mut ann, mut other) = (world.ann().await, world.ann().await);
    for nth in 1..=messages {
        ann.append("INBOX", &letter(&format!("m{nth}"))).await;
    }
    ann.ask(&format!("a ENABLE {enabled}\r\nb SELECT INBOX")).await;
    other.ask("b SELECT INBOX").await;
    (ann, other)
}

fn number_behind(said: &str, word: &str) -> u64 {
    let digits = said.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {said}"));
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

async fn highest(peer: &mut Peer) -> u64 {
    number_behind(&peer.ask("h STATUS INBOX (HIGHESTMODSEQ)").await, "(HIGHESTMODSEQ ")
}

#[tokio::test]
async fn with_condstore_each_change_has_its_uid() {
    let world = World::new().await;
    let (mut ann, mut other) = both(&world, 2, "CONDSTORE").await;
    in_order(
        &ann.ask("c STORE 1 +FLAGS (\\Flagged)").await,
        &["* 1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ ("],
    );
    in_order(&ann.ask("d STORE 1 +FLAGS.SILENT (\\Answered)").await, &["* 1 FETCH (UID 1 MODSEQ ("]);
    let said = ann.ask("e FETCH 2 BODY[TEXT]").await;
    in_order(&said, &["* 2 FETCH (BODY[TEXT] ", " UID 2 FLAGS (\\Seen) MODSEQ ("]);
    other.ask("c STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    in_order(&ann.ask("f NOOP").await, &["* 2 FETCH (UID 2 FLAGS (\\Flagged \\Seen) MODSEQ ("]);
}

/// What makes a client one that knows of MODSEQs.
#[tokio::test]
async fn who_asks_for_modseqs_is_told_them() {
    for command in [
        "STATUS INBOX (HIGHESTMODSEQ)",
        "LIST \"\" * RETURN (STATUS (HIGHESTMODSEQ))",
        "FETCH 1 MODSEQ",
        "SEARCH MODSEQ 1",
    ] {
        let world = World::new().await;
        let (mut ann, _) = both(&world, 1, "X").await;
        in_order(&ann.ask("c STORE 1 +FLAGS (\\Flagged)").await, &["* 1 FETCH (FLAGS (\\Flagged))"]);
        in_order(&ann.ask(&format!("d {command}")).await, &["* OK [HIGHESTMODSEQ ", "d OK"]);
        in_order(&ann.ask("e STORE 1 -FLAGS (\\Flagged)").await, &["* 1 FETCH (UID 1 FLAGS () MODSEQ ("]);
    }
}

/// Section 3.2.
#[tokio::test]
async fn annotations_that_change_count() {
    let world = World::new().await;
    let (mut ann, mut other) = both(&world, 1, "CONDSTORE").await;
    let mut before = highest(&mut ann).await;
    for (value, changes) in
        [("\"one\"", true), ("\"one\"", false), ("\"two\"", true), ("NIL", true), ("NIL", false)]
    {
        for entry in ["/shared/comment", "/private/comment"] {
            assert!(other.ask(&format!("c SETMETADATA INBOX ({entry} {value})")).await.contains("c OK"));
            let after = highest(&mut ann).await;
            assert_eq!(after > before, changes, "{entry} {value}");
            before = after;
        }
    }
    other.ask("d SETMETADATA \"\" (/private/comment \"of the account\")").await;
    assert_eq!(highest(&mut ann).await, before);
    assert!(ann.ask("e NOOP").await.starts_with("e OK"), "no message changed");
}

/// Section 3.2.10.2.
#[tokio::test]
async fn no_message_leaves_while_numbers_are_searched_for() {
    let world = World::new().await;
    let (mut ann, mut other) = both(&world, 6, "QRESYNC").await;
    for (uid, command) in [
        (6, "UID SEARCH 1:3"),
        (5, "UID SEARCH NOT 6"),
        (4, "UID SORT (ARRIVAL) UTF-8 1"),
        (3, "UID THREAD REFERENCES UTF-8 OR 1 UID 5"),
    ] {
        other.ask(&format!("c UID STORE {uid} +FLAGS.SILENT (\\Deleted)\r\nd UID EXPUNGE {uid}")).await;
        let said = ann.ask(&format!("c {command}")).await;
        assert!(!said.contains("VANISHED") && said.contains("[HIGHESTMODSEQ "), "{command}: {said}");
        in_order(&ann.ask("d NOOP").await, &[&format!("* VANISHED {uid}\r\n"), "d OK [HIGHESTMODSEQ "]);
    }
    other.ask("c UID STORE 2 +FLAGS.SILENT (\\Deleted)\r\nd UID EXPUNGE 2").await;
    in_order(&ann.ask("e UID SEARCH UID 1:*").await, &["* SEARCH 1\r\n", "* VANISHED 2\r\n", "e OK"]);
}

/// Section 3.2: what is told of a MODSEQ hides nothing that is told later, also from those without `QRESYNC`.
#[tokio::test]
async fn who_was_not_told_of_an_expunge_keeps_an_earlier_modseq() {
    let world = World::new().await;
    let (mut ann, mut other) = both(&world, 3, "CONDSTORE").await;
    let before = highest(&mut ann).await;
    other.ask("c STORE 3 +FLAGS.SILENT (\\Deleted)").await;
    ann.ask("c NOOP").await;
    let marked = highest(&mut ann).await;
    other.ask("d EXPUNGE").await;
    let said = ann.ask("d STORE 1 +FLAGS.SILENT (\\Seen)").await;
    assert!(before < marked && number_behind(&said, "MODSEQ (") > marked, "{said}");
    assert_eq!(number_behind(&said, "[HIGHESTMODSEQ "), marked, "{said}");
    let said = ann.ask("e NOOP").await;
    in_order(&said, &["* 3 EXPUNGE\r\n", "e OK [HIGHESTMODSEQ "]);
    assert_eq!(number_behind(&said, "[HIGHESTMODSEQ "), highest(&mut ann).await);
}

/// Section 3.2.5.2: the log no longer knows what left, and the client's own numbers say that nothing did below them.
#[tokio::test]
async fn numbers_that_a_client_remembers_spare_it_what_it_knows() {
    let world = World::new().await;
    let (mut ann, _) = both(&world, 1, "QRESYNC").await;
    let validity = number_behind(&ann.ask("c SELECT INBOX").await, "[UIDVALIDITY ");
    for _ in 0..14 {
        assert!(ann.ask("c UID COPY 1:* INBOX").await.contains("c OK"));
    }
    ann.ask("d UID STORE 1:99,101:199,201:299,301:16383 +FLAGS.SILENT (\\Deleted)\r\ne EXPUNGE").await;
    for (matching, wanted) in [
        ("", "1:99,101:199,201:299,301:16383"),
        (" (1:3 100,200,300)", "301:16383"),
        (" (1:3 100,200,301)", "201:299,301:16383"),
        (" (2:3 200,300)", "301:16383"),
        (" (1,5 100,16384)", "101:199,201:299,301:16383"),
        (" (1 99)", "1:99,101:199,201:299,301:16383"),
    ] {
        let said = ann.ask(&format!("f EXAMINE INBOX (QRESYNC ({validity} 1 1:16383{matching}))")).await;
        in_order(&said, &[&format!("* VANISHED (EARLIER) {wanted}\r\n"), "f OK"]);
    }
    let said = ann.ask(&format!("f EXAMINE INBOX (QRESYNC ({validity} 1 1:16384 (4 16384)))")).await;
    assert!(!said.contains("VANISHED") && said.contains("f OK"), "{said}");
}

/// Section 3.1.3.
#[tokio::test]
async fn a_condition_is_about_what_is_named() {
    let world = World::new().await;
    let (mut ann, mut other) = both(&world, 2, "CONDSTORE").await;
    let since = highest(&mut ann).await;
    other.ask("c STORE 1 +FLAGS.SILENT (\\Flagged work)").await;
    let condition = format!("(UNCHANGEDSINCE {since})");
    // Another flag changed.
    let said = ann.ask(&format!("c STORE 1 {condition} +FLAGS (\\Seen)")).await;
    in_order(&said, &["* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen work) MODSEQ (", "c OK Stored"]);
    // From here on, the client knows of the change, and what it says it knows is older.
    let said = ann.ask(&format!("d STORE 1 {condition} +FLAGS (\\Draft)")).await;
    in_order(&said, &["d OK [MODIFIED 1]"]);
    other.ask("d STORE 2 +FLAGS.SILENT (\\Flagged work)").await;
    for named in ["+FLAGS (\\Flagged)", "-FLAGS (\\Seen work)", "FLAGS (\\Seen)"] {
        let mut late = world.ann().await;
        late.ask("a SELECT INBOX (CONDSTORE)").await;
        let since = highest(&mut late).await;
        other.ask("e STORE 2 -FLAGS.SILENT (\\Flagged work)\r\nf STORE 2 +FLAGS.SILENT (\\Draft)").await;
        let said = late.ask(&format!("g UID STORE 2 (UNCHANGEDSINCE {since}) {named}")).await;
        in_order(&said, &["* 2 FETCH (UID 2 FLAGS (\\Draft", "g OK [MODIFIED 2]"]);
        other.ask("g STORE 2 FLAGS.SILENT (\\Flagged work)").await;
    }
    // A keyword that is not there has not changed since the beginning; a system flag has.
    let said = ann.ask("h STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)").await;
    assert!(!said.contains("MODIFIED"), "{said}");
    in_order(&ann.ask("i STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)").await, &["i OK [MODIFIED 1]"]);
    in_order(
        &ann.ask("j STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Answered)").await,
        &["j OK [MODIFIED 1]"],
    );
    in_order(&ann.ask("k STORE 1 (UNCHANGEDSINCE 0) FLAGS.SILENT (new)").await, &["k OK [MODIFIED 1]"]);
    assert!(ann.ask("l STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS ()").await.contains("l BAD"));
}

/// As `SEARCH` and `SORT` do.
#[tokio::test]
async fn threads_are_of_messages_that_are_there() {
    let world = World::new().await;
    let (mut ann, mut other) = both(&world, 4, "X").await;
    other.ask("c STORE 1,3 +FLAGS.SILENT (\\Deleted)\r\nd EXPUNGE").await;
    for (command, wanted) in [
        ("SEARCH ALL", "* SEARCH 2 4\r\n"),
        ("SORT (ARRIVAL) UTF-8 ALL", "* SORT 2 4\r\n"),
        ("THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (2)(4)\r\n"),
        ("THREAD REFERENCES UTF-8 ALL", "* THREAD (2)(4)\r\n"),
    ] {
        in_order(&ann.ask(&format!("c {command}")).await, &[wanted, "c OK [EXPUNGEISSUED]"]);
    }
}
