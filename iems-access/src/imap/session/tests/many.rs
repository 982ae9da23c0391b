//! Changes of many messages at once, and large mailboxes that are opened again.

use super::dialogues::in_order;
use super::*;

const COUNT: usize = 300;

/// A world with so many messages in ann's INBOX.
async fn filled() -> World {
    let world = World::new().await;
    let mut ann = world.ann().await;
    let mut append = "a APPEND INBOX".to_owned();
    for n in 0..COUNT {
        let text = format!("Subject: {n}\r\n\r\nx\r\n");
        append += &format!(" {{{}+}}\r\n{text}", text.len());
    }
    let said = ann.ask(&append).await;
    assert!(said.contains("a OK"), "{said}");
    world
}

fn fetches(said: &str) -> usize {
    said.lines().filter(|line| line.contains(" FETCH (")).count()
}

/// Counters, logs and rows are as they should be.
async fn is_sound(world: &World) {
    let ann = world.directory.account(&"ann@example.org".parse().unwrap()).await.unwrap().unwrap();
    let checked = world.directory.mailboxes().check(ann.id, false, true, &mut |_| ()).await.unwrap();
    assert_eq!(checked.findings, []);
}

#[tokio::test]
async fn a_change_of_all_messages_is_seen_by_all_and_undoes_nothing() {
    let world = filled().await;
    let (mut ann, mut other) = (world.ann().await, world.ann().await);
    ann.ask("s SELECT INBOX").await;
    other.ask("s SELECT INBOX").await;
    let said = ann.ask("a STORE 1:* +FLAGS.SILENT (\\Flagged)").await;
    assert!(said.starts_with("a OK"), "{said}");
    let said = other.ask("n NOOP").await;
    assert_eq!(fetches(&said), COUNT, "{said}");
    assert!(said.contains("* 300 FETCH (FLAGS (\\Flagged))"), "{said}");
    // Who does not know the mailbox as it is changes it row by row.
    other.ask("b STORE 7 -FLAGS (\\Flagged)").await;
    let said = ann.ask("c STORE 1:* +FLAGS (\\Seen)").await;
    assert_eq!(fetches(&said), COUNT, "{said}");
    assert!(said.contains("* 7 FETCH (FLAGS (\\Seen))"), "{said}");
    assert!(said.contains("* 8 FETCH (FLAGS (\\Flagged \\Seen))"), "{said}");
    let said = ann.ask("d STORE 1:299 -FLAGS.SILENT (\\Seen)").await;
    assert!(said.starts_with("d OK"), "{said}");
    let said = ann.ask("e STATUS INBOX (MESSAGES UNSEEN DELETED)").await;
    assert!(said.contains("MESSAGES 300 UNSEEN 299 DELETED 0"), "{said}");
    is_sound(&world).await;
    // A keyword that is new is told first.
    let said = ann.ask("f STORE 1:* +FLAGS (Work)").await;
    let named = said.find("* FLAGS (").unwrap();
    assert!(named < said.find("FETCH (").unwrap() && fetches(&said) == COUNT, "{said}");
    let said = ann.ask("g STORE 1:* FLAGS (\\Deleted work)").await;
    assert!(said.contains("* 300 FETCH (FLAGS (\\Deleted Work))"), "{said}");
    other.ask("h STORE 300 -FLAGS (\\Deleted)").await;
    let said = ann.ask("i EXPUNGE").await;
    assert_eq!(said.lines().filter(|line| line.ends_with(" EXPUNGE")).count(), COUNT - 1, "{said}");
    let said = other.ask("n NOOP").await;
    assert_eq!(said.lines().filter(|line| line.ends_with(" EXPUNGE")).count(), COUNT - 1, "{said}");
    assert!(other.ask("j FETCH 1:* (UID FLAGS)").await.starts_with("* 1 FETCH (UID 300 FLAGS (Work))"));
    is_sound(&world).await;
}

#[tokio::test]
async fn more_changes_of_all_than_are_kept_are_folded() {
    let world = filled().await;
    let (mut ann, mut other) = (world.ann().await, world.ann().await);
    ann.ask("s SELECT INBOX (CONDSTORE)").await;
    other.ask("s SELECT INBOX (CONDSTORE)").await;
    for round in 0..40 {
        let sign = if round % 2 == 0 { '+' } else { '-' };
        let said = ann.ask(&format!("a STORE 1:* {sign}FLAGS.SILENT (\\Flagged)")).await;
        assert_eq!(fetches(&said), COUNT, "each has a new MODSEQ: {said}");
        if round % 8 == 0 {
            is_sound(&world).await;
        }
    }
    let said = other.ask("n NOOP").await;
    assert!(said.starts_with("n OK") || fetches(&said) == COUNT, "{said}");
    let here = ann.ask("b FETCH 1:* (FLAGS MODSEQ)").await;
    assert_eq!(here, other.ask("b FETCH 1:* (FLAGS MODSEQ)").await);
    is_sound(&world).await;
}

#[tokio::test]
async fn a_condition_leaves_those_alone_that_changed() {
    let world = filled().await;
    let mut ann = world.ann().await;
    let said = ann.ask("s SELECT INBOX (CONDSTORE)").await;
    let (_, rest) = said.split_once("[HIGHESTMODSEQ ").unwrap();
    let since = rest.split(']').next().unwrap();
    ann.ask("a STORE 3,5 +FLAGS (\\Seen)").await;
    let said = ann.ask(&format!("b STORE 1:* (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Answered)")).await;
    assert!(said.contains("b OK [MODIFIED 3,5]"), "{said}");
    assert_eq!(fetches(&said), COUNT - 2, "{said}");
    let said = ann.ask("c SEARCH UNANSWERED").await;
    assert!(said.starts_with("* SEARCH 3 5\r\n"), "{said}");
    is_sound(&world).await;
}

#[tokio::test]
async fn a_mailbox_that_is_opened_again_is_as_it_is() {
    let world = filled().await;
    let mut ann = world.ann().await;
    let first = ann.ask("s SELECT INBOX").await;
    let again = ann.ask("s SELECT INBOX").await;
    assert_eq!(again.strip_prefix("* OK [CLOSED] The mailbox before is closed\r\n"), Some(&*first));
    let mut other = world.ann().await;
    other.ask("s SELECT INBOX").await;
    other.ask("a STORE 2:4 +FLAGS.SILENT (\\Deleted \\Seen)").await;
    other.ask("b EXPUNGE").await;
    other.ask("c STORE 1 +FLAGS.SILENT (\\Answered)").await;
    other.ask("d APPEND INBOX {3+}\r\nx\r\n").await;
    let said = ann.ask("t EXAMINE INBOX").await;
    assert!(said.contains("* 298 EXISTS") && said.contains("[UIDNEXT 302]"), "{said}");
    let here = ann.ask("f FETCH 1:* (UID FLAGS)").await;
    // As somebody sees it who reads all of it.
    let mut fresh = world.restarted().ann().await;
    fresh.ask("s EXAMINE INBOX").await;
    assert_eq!(here, fresh.ask("f FETCH 1:* (UID FLAGS)").await);
    assert!(here.starts_with("* 1 FETCH (UID 1 FLAGS (\\Answered))\r\n* 2 FETCH (UID 5 FLAGS ())"), "{here}");
}

#[tokio::test]
async fn what_rows_do_not_tell_is_read_from_messages() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    let long = format!("Subject: {}\r\nTo: you\r\n\r\nbody\r\n", "x".repeat(100_000));
    let texts =
        ["From: me\r\nSubject: short\r\n\r\nbody\r\n", "Subject: no body\r\n", &long, "\r\nonly a body\r\n"];
    for text in texts {
        ann.ask(&format!("a APPEND INBOX {{{}+}}\r\n{text}", text.len())).await;
    }
    ann.ask("s SELECT INBOX").await;
    let said = ann.ask("f FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT TO)])").await;
    let subject = &long[..long.find("\r\n\r\n").unwrap() + 4];
    for (uid, fields) in
        [(1, "Subject: short\r\n\r\n"), (2, "Subject: no body\r\n"), (3, subject), (4, "\r\n")]
    {
        let told = format!("(UID {uid} BODY[HEADER.FIELDS (SUBJECT TO)] {{{}}}\r\n{fields})", fields.len());
        assert!(said.contains(&told), "{uid}: {}", &said[..said.len().min(500)]);
    }
    let whole = ann.ask("g FETCH 3 (BODY.PEEK[] ENVELOPE)").await;
    assert!(whole.contains(&long));
    let found = ann.ask("h SEARCH HEADER TO you").await;
    assert!(found.starts_with("* SEARCH 3\r\n"), "{found}");
}

#[tokio::test]
async fn an_answer_is_of_the_mailbox_as_it_is() {
    let world = World::new().await;
    let (mut ann, mut other) = (world.ann().await, world.ann().await);
    for subject in ["one", "two"] {
        ann.append("INBOX", &letter(subject)).await;
    }
    ann.ask("a SELECT INBOX").await;
    other.ask("a SELECT INBOX").await;
    other.ask("b STORE 2 +FLAGS.SILENT (\\Flagged)").await;
    let said = ann.ask("b SEARCH FLAGGED").await;
    in_order(&said, &["* 2 FETCH (FLAGS (\\Flagged))", "* SEARCH 2\r\n", "b OK"]);
    // What the command tells is not told twice; what it does not tell is.
    other.ask("c STORE 1:2 FLAGS.SILENT (\\Answered)").await;
    let said = ann.ask("c FETCH 2 FLAGS").await;
    assert_eq!(fetches(&said), 2, "{said}");
    in_order(&said, &["* 1 FETCH (FLAGS (\\Answered))", "* 2 FETCH (FLAGS (\\Answered))", "c OK"]);
    other.append("INBOX", &letter("three")).await;
    in_order(&ann.ask("d FETCH * UID").await, &["* 3 EXISTS", "* 3 FETCH (UID 3)", "d OK"]);
    // What left keeps its number until that may be told.
    other.ask("e STORE 1 +FLAGS.SILENT (\\Deleted)\r\nf EXPUNGE").await;
    in_order(&ann.ask("e SEARCH ALL").await, &["* SEARCH 2 3\r\n", "e OK [EXPUNGEISSUED]"]);
    in_order(&ann.ask("f UID SEARCH ALL").await, &["* SEARCH 2 3\r\n", "* 1 EXPUNGE", "f OK"]);
}
