//! `\Recent`: one session is the first to be told of a message (RFC 3501 section 2.3.2).

use super::dialogues::in_order;
use super::*;

#[tokio::test]
async fn who_selects_first_has_what_is_recent() {
    let world = World::with_recent().await;
    let (mut one, mut other) = (world.ann().await, world.ann().await);
    one.append("INBOX", &letter("a")).await;
    one.append("INBOX", &letter("b")).await;
    in_order(&one.ask("a STATUS INBOX (RECENT)").await, &["(RECENT 2)"]);
    // Who only looks takes nothing.
    let said = one.ask("b EXAMINE INBOX").await;
    in_order(&said, &["* 2 EXISTS\r\n* 2 RECENT\r\n", "b OK [READ-ONLY]"]);
    in_order(&one.ask("c FETCH 1 FLAGS").await, &["* 1 FETCH (FLAGS (\\Recent))"]);
    in_order(&one.ask("d CLOSE\r\ne STATUS INBOX (RECENT MESSAGES)").await, &["(RECENT 2 MESSAGES 2)"]);
    in_order(&one.ask("f SELECT INBOX").await, &["* 2 EXISTS\r\n* 2 RECENT\r\n", "f OK [READ-WRITE]"]);
    in_order(&other.ask("a SELECT INBOX").await, &["* 2 EXISTS\r\n* 0 RECENT\r\n", "a OK"]);
    in_order(&other.ask("b STATUS INBOX (RECENT)").await, &["(RECENT 0)"]);

    one.ask("g STORE 1 FLAGS (\\Seen)").await;
    in_order(&one.ask("h FETCH 1:2 FLAGS").await, &["(\\Seen \\Recent)", "(\\Recent)"]);
    for (key, found) in [("RECENT", " 1 2"), ("NEW", " 2"), ("OLD", ""), ("NOT RECENT", "")] {
        in_order(&one.ask(&format!("s SEARCH {key}")).await, &[&format!("* SEARCH{found}\r\n")]);
    }
    in_order(&other.ask("c SEARCH OLD").await, &["* SEARCH 1 2\r\n"]);

    // Of what comes then, who is told first.
    world.ann().await.append("INBOX", &letter("c")).await;
    in_order(&other.ask("d NOOP").await, &["* 3 EXISTS\r\n* 1 RECENT\r\nd OK"]);
    in_order(&one.ask("i NOOP").await, &["* 3 EXISTS\r\n* 2 RECENT\r\ni OK"]);
    one.append("INBOX", &letter("d")).await;
    in_order(&one.ask("j SEARCH RECENT").await, &["* SEARCH 1 2 4\r\n"]);
    in_order(&other.ask("e NOOP").await, &["* 4 EXISTS\r\n* 1 RECENT\r\n"]);
    in_order(
        &other.ask("f FETCH 3:4 FLAGS").await,
        &["* 3 FETCH (FLAGS (\\Recent))", "* 4 FETCH (FLAGS ())"],
    );
}

#[tokio::test]
async fn the_number_of_recent_messages_is_told_when_it_changes() {
    let world = World::with_recent().await;
    let (mut one, mut other) = (world.ann().await, world.ann().await);
    for subject in ["a", "b"] {
        one.append("INBOX", &letter(subject)).await;
    }
    in_order(&one.ask("a SELECT INBOX").await, &["* 2 RECENT"]);
    other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE").await;
    assert_eq!(one.ask("b NOOP").await, "* 1 EXPUNGE\r\n* 1 RECENT\r\nb OK Here I am\r\n");
    assert_eq!(other.ask("d NOOP").await, "d OK Here I am\r\n");
}

#[tokio::test]
async fn a_search_says_that_some_are_gone() {
    let world = World::new().await;
    let (mut one, mut other) = (world.ann().await, world.ann().await);
    for subject in ["a", "b"] {
        one.append("INBOX", &letter(subject)).await;
    }
    one.ask("a SELECT INBOX").await;
    other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE").await;
    in_order(&one.ask("b SEARCH BODY hello").await, &["* SEARCH 2\r\n", "b OK [EXPUNGEISSUED]"]);
    in_order(&one.ask("c SORT (SUBJECT) UTF-8 BODY hello").await, &["* SORT 2\r\n", "c OK [EXPUNGEISSUED]"]);
    in_order(&one.ask("d NOOP").await, &["* 1 EXPUNGE\r\n", "d OK Here"]);
    in_order(&one.ask("e SEARCH ALL").await, &["* SEARCH 1\r\n", "e OK That"]);
}

#[tokio::test]
async fn who_keeps_modseqs_is_told_of_flags_that_changed_and_changed_back() {
    let world = World::new().await;
    let (mut one, mut plain, mut other) = (world.ann().await, world.ann().await, world.ann().await);
    one.append("INBOX", &letter("a")).await;
    one.ask("a SELECT INBOX (CONDSTORE)").await;
    plain.ask("a SELECT INBOX").await;
    other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Seen)\r\nc STORE 1 -FLAGS (\\Seen)").await;
    in_order(&one.ask("b NOOP").await, &["* 1 FETCH (UID 1 FLAGS () MODSEQ (", "b OK"]);
    assert_eq!(plain.ask("b NOOP").await, "b OK Here I am\r\n");
}

#[tokio::test]
async fn what_was_shown_is_remembered() {
    let world = World::with_recent().await;
    let mut ann = world.ann().await;
    ann.append("INBOX", &letter("a")).await;
    in_order(&ann.ask("a SELECT INBOX").await, &["* 1 RECENT"]);
    in_order(&ann.ask("b LOGOUT").await, &["b OK"]);
    ann.session.end().await;
    // Another process, or the same one later.
    let again = world.restarted();
    in_order(&again.ann().await.ask("a SELECT INBOX").await, &["* 1 EXISTS\r\n* 0 RECENT\r\n"]);
    // CLOSE leaves, too, and so does another SELECT.
    let mut ann = again.ann().await;
    ann.append("INBOX", &letter("b")).await;
    in_order(&ann.ask("a SELECT INBOX\r\nb CLOSE").await, &["* 1 RECENT", "b OK"]);
    let again = again.restarted();
    in_order(&again.ann().await.ask("a STATUS INBOX (RECENT)").await, &["(RECENT 0)"]);
    // What was not written down is recent once more.
    let mut ann = again.ann().await;
    ann.append("INBOX", &letter("c")).await;
    in_order(&ann.ask("a SELECT INBOX").await, &["* 1 RECENT"]);
    let again = again.restarted();
    in_order(&again.ann().await.ask("a SELECT INBOX").await, &["* 1 RECENT"]);
}

#[tokio::test]
async fn with_imap4rev2_nothing_is_recent() {
    let world = World::with_recent().await;
    let (mut new, mut old) = (world.ann().await, world.ann().await);
    new.append("INBOX", &letter("a")).await;
    new.ask("a ENABLE IMAP4rev2").await;
    let said = new.ask("b SELECT INBOX\r\nc FETCH 1 FLAGS").await;
    assert!(!said.to_ascii_uppercase().contains("RECENT"), "{said}");
    in_order(&old.ask("a SELECT INBOX").await, &["* 1 EXISTS\r\n* 1 RECENT"]);
    // Within a mailbox, it ends.
    let said = old.ask("b ENABLE IMAP4rev2\r\nc FETCH 1 FLAGS").await;
    in_order(&said, &["b OK", "(FLAGS ())"]);
    old.append("INBOX", &letter("b")).await;
    assert!(!old.ask("d NOOP").await.contains("RECENT"));
    in_order(&world.ann().await.ask("a SELECT INBOX").await, &["* 2 EXISTS\r\n* 1 RECENT"]);
}

#[tokio::test]
async fn what_is_replaced_comes_and_goes_at_once() {
    let world = World::with_recent().await;
    let (mut ann, mut other) = (world.ann().await, world.ann().await);
    for subject in ["a", "b"] {
        ann.append("INBOX", &letter(subject)).await;
    }
    ann.ask("a SELECT INBOX").await;
    other.ask("a SELECT INBOX").await;
    let text = letter("c");
    let said = ann.ask(&format!("b REPLACE 1 INBOX {{{}+}}\r\n{text}", text.len())).await;
    in_order(&said, &["* OK [APPENDUID ", " 3]", "* 1 EXPUNGE", "* 2 EXISTS", "b OK"]);
    in_order(&other.ask("b NOOP").await, &["* 1 EXPUNGE", "* 2 EXISTS", "b OK"]);
    // What left meanwhile is replaced by nothing.
    other.ask("c UID STORE 2 +FLAGS.SILENT (\\Deleted)\r\nd EXPUNGE").await;
    let said = ann.ask(&format!("c UID REPLACE 2 INBOX {{{}+}}\r\n{text}", text.len())).await;
    in_order(&said, &["* 1 EXPUNGE", "c NO [NONEXISTENT]"]);
    in_order(&ann.ask("d UID SEARCH ALL").await, &["* SEARCH 3\r\n"]);
}
