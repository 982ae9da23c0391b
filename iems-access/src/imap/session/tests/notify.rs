//! `NOTIFY` (RFC 5465): who is told what, when.

use super::dialogues::in_order;
use super::*;

const NEW: &str = "MessageNew MessageExpunge";

/// Two sessions of ann; the first has asked to be notified.
async fn two(world: &World, groups: &str) -> (Peer, Peer) {
    let mut one = world.ann().await;
    let said = one.ask(&format!("n NOTIFY SET {groups}")).await;
    assert!(said.ends_with("n OK You will hear of it\r\n"), "{said}");
    (one, world.ann().await)
}

#[tokio::test]
async fn new_messages_are_told_with_what_was_asked_for() {
    let world = World::new().await;
    let asked = "(selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange))";
    let (mut one, mut other) = two(&world, asked).await;
    assert_eq!(one.news().await, "", "nothing is selected");
    one.ask("a SELECT INBOX").await;
    other.append("INBOX", &letter("one")).await;
    assert_eq!(
        one.news().await,
        "* 1 EXISTS\r\n* 1 FETCH (UID 1 BODY[HEADER.FIELDS (Subject)] {16}\r\nSubject: one\r\n\r\n)\r\n"
    );
    // What the client puts there itself it knows.
    let said = one.append("INBOX", &letter("two")).await;
    in_order(&said, &["* 2 EXISTS\r\np OK [APPENDUID "]);
    let said = one.ask("b COPY 1 INBOX").await;
    in_order(&said, &["* 3 EXISTS\r\nb OK [COPYUID "]);
    other.append("INBOX", &letter("four")).await;
    in_order(&one.ask("c NOOP").await, &["* 4 EXISTS\r\n* 4 FETCH (UID 4 BODY", "c OK"]);
    other.ask("a SELECT INBOX\r\nb STORE 2 +FLAGS (\\Seen)").await;
    assert_eq!(one.news().await, "* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n");
    // Asking for bodies sets no flags.
    one.ask("d NOTIFY SET (selected (MessageNew (BODY[TEXT] BINARY[9]) MessageExpunge))").await;
    other.append("INBOX", &letter("five")).await;
    in_order(
        &one.news().await,
        &["* 5 EXISTS\r\n* 5 FETCH (BODY[TEXT] {12}\r\nHello five\r\n BINARY[9] NIL)\r\n"],
    );
    in_order(&one.ask("e UID FETCH 5 FLAGS").await, &["* 5 FETCH (UID 5 FLAGS ())"]);
    // Changes of flags were not asked for.
    other.ask("c NOOP\r\nd STORE 5 +FLAGS (\\Flagged)").await;
    assert_eq!(one.news().await, "");
}

#[tokio::test]
async fn expunged_messages_are_told_at_once_or_with_a_command() {
    let world = World::new().await;
    for (filter, at_once) in
        [("selected", "* 1 EXPUNGE\r\n* 1 EXISTS\r\n"), ("selected-delayed", "* 2 EXISTS\r\n")]
    {
        let (mut one, mut other) = two(&world, &format!("({filter} ({NEW}))")).await;
        other.append("INBOX", &letter("x")).await;
        one.ask("a SELECT INBOX").await;
        other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE").await;
        other.append("INBOX", &letter("y")).await;
        assert_eq!(one.news().await, at_once);
        assert_eq!(one.news().await, "");
        let said = one.ask("b FETCH 1 UID").await;
        if filter == "selected-delayed" {
            assert_eq!(said, "b OK [EXPUNGEISSUED] Some are gone\r\n");
            // IDLE is a command that numbers may change in.
            in_order(&one.ask("c IDLE").await, &["+ ", "* 1 EXPUNGE\r\n"]);
            one.ask("DONE").await;
        }
        one.ask("d STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE").await;
    }
}

#[tokio::test]
async fn who_wants_nothing_has_a_snapshot() {
    let world = World::new().await;
    let mut other = world.ann().await;
    for subject in ["a", "b", "c"] {
        other.append("INBOX", &letter(subject)).await;
    }
    other.ask("a SELECT INBOX").await;
    let mut one = world.ann().await;
    one.ask("a SELECT INBOX").await;
    in_order(&one.ask("b NOTIFY NONE").await, &["b OK"]);
    other.append("INBOX", &letter("d")).await;
    other.ask("b STORE 1 +FLAGS (work)\r\nc STORE 2 +FLAGS (\\Deleted)\r\nd EXPUNGE").await;
    assert!(one.session.waiting(false).is_some_and(|waiting| sleeps(&waiting)));
    assert_eq!(one.ask("c NOOP").await, "c OK Here I am\r\n");
    assert_eq!(one.news().await, "");
    in_order(&one.ask("d IDLE\r\nDONE").await, &["+ ", "d OK"]);
    // What it does itself it is told, numbered as it knows them.
    let said = one.ask("e STORE 3 +FLAGS (mine)").await;
    in_order(&said, &["* FLAGS (", "mine", "* 3 FETCH (FLAGS (mine))\r\ne OK"]);
    in_order(&one.ask("f FETCH 1:* FLAGS").await, &["* 1 FETCH (FLAGS ())", "* 3 FETCH (FLAGS (mine))"]);
    let said = one.ask("g STORE 3 +FLAGS (\\Deleted)\r\nh EXPUNGE").await;
    in_order(&said, &["* 3 FETCH (FLAGS (\\Deleted mine))", "g OK", "* 3 EXPUNGE\r\nh OK"]);
    // All that happened is told when it wants to know again.
    let said = one.ask(&format!("i NOTIFY SET (selected ({NEW} FlagChange))")).await;
    in_order(&said, &["* 2 EXPUNGE\r\n", "* 2 EXISTS\r\n", "* 1 FETCH (FLAGS (work))\r\n", "i OK"]);
    in_order(&one.ask("j FETCH 1:* (UID FLAGS)").await, &["UID 1 FLAGS (work)", "UID 4 FLAGS ()"]);
    let said = one.ask("k NOTIFY SET (selected NONE)\r\nl NOOP").await;
    in_order(&said, &["k OK", "l OK"]);
}

/// Whether nothing is there to wait for.
fn sleeps(waiting: &super::super::Waiting) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::pin!(waiting.changed()).poll(&mut cx).is_pending()
}

#[tokio::test]
async fn other_mailboxes_tell_their_status() {
    let world = World::new().await;
    let mut other = world.ann().await;
    other.ask("a CREATE Lists/one\r\nb CREATE Lists/two\r\nc CREATE Else").await;
    other.append("Lists/one", &letter("x")).await;
    let mut one = world.ann().await;
    one.ask("a SELECT INBOX").await;
    let said = one.ask(&format!("b NOTIFY SET STATUS (selected ({NEW})) (subtree Lists ({NEW}))")).await;
    let status = "* STATUS Lists (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ";
    in_order(&said, &[status, "* STATUS Lists/one (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ", "Lists/two", "b OK"]);
    assert!(!said.contains("Else") && !said.contains("INBOX"), "{said}");
    other.append("Lists/two", &letter("x")).await;
    other.append("Lists/two", &letter("y")).await;
    other.append("Else", &letter("x")).await;
    let said = one.news().await;
    in_order(&said, &["* STATUS Lists/two (MESSAGES 2 UIDNEXT 3 UIDVALIDITY "]);
    assert_eq!(said.lines().count(), 1, "{said}");
    // Its own doings are no news, others' at the same time are.
    assert!(!one.append("Lists/two", &letter("z")).await.contains("STATUS"));
    assert_eq!(one.news().await, "");
    other.append("Lists/two", &letter("z")).await;
    let said = one.append("Lists/two", &letter("z")).await;
    in_order(&said, &["* STATUS Lists/two (MESSAGES 5 UIDNEXT 6 "]);
    // Flags of others were not asked for.
    other.ask("d SELECT Lists/two\r\ne STORE 1 +FLAGS (\\Seen)").await;
    assert_eq!(one.news().await, "");
    other.ask("f STORE 1:2 +FLAGS (\\Deleted)\r\ng EXPUNGE").await;
    in_order(&one.news().await, &["* STATUS Lists/two (MESSAGES 3 UIDNEXT 6 "]);
    // What is selected tells by itself.
    one.ask("c SELECT Lists/two").await;
    other.append("Lists/two", &letter("x")).await;
    assert_eq!(one.news().await, "* 4 EXISTS\r\n");
}

#[tokio::test]
async fn flags_of_other_mailboxes_are_told() {
    let world = World::new().await;
    let mut other = world.ann().await;
    other.append("INBOX", &letter("x")).await;
    let mut one = world.ann().await;
    let groups = format!("STATUS (personal ({NEW} FlagChange))");
    let said = one.ask(&format!("a NOTIFY SET {groups}")).await;
    in_order(
        &said,
        &["* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ", " UNSEEN 1 HIGHESTMODSEQ ", "a OK"],
    );
    other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Seen)").await;
    let said = one.news().await;
    in_order(&said, &["* STATUS INBOX (UIDVALIDITY ", " UNSEEN 0 HIGHESTMODSEQ "]);
    // Whether the client enabled CONDSTORE or not, by the MODSEQ it sees that there is something new.
    other.ask("c STORE 1 +FLAGS (\\Flagged)").await;
    in_order(&one.news().await, &["* STATUS INBOX (UIDVALIDITY ", " HIGHESTMODSEQ "]);
    // A mailbox of the same name is another one.
    other.ask("e CREATE x\r\nf DELETE x\r\ng CREATE x").await;
    other.append("x", &letter("x")).await;
    in_order(&one.news().await, &["* STATUS x (MESSAGES 1 UIDNEXT 2 UIDVALIDITY "]);
}

#[tokio::test]
async fn names_are_told() {
    let world = World::new().await;
    let (mut one, mut other) = two(&world, "(personal (MailboxName))").await;
    other.ask("a CREATE a/b").await;
    let said = one.news().await;
    assert_eq!(said, "* LIST (\\HasChildren) \"/\" a\r\n* LIST (\\HasNoChildren) \"/\" a/b\r\n");
    other.ask("b CREATE a/b/c\r\nc RENAME a/b x").await;
    let said = one.news().await;
    in_order(&said, &["* LIST (\\HasChildren) \"/\" x (\"OLDNAME\" (a/b))\r\n"]);
    other.ask("d RENAME x z").await;
    let said = one.news().await;
    assert_eq!(said, "* LIST (\\HasChildren) \"/\" z (\"OLDNAME\" (x))\r\n", "nothing of what is below it");
    other.ask("e DELETE z").await;
    let said = one.news().await;
    assert_eq!(said, "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" z\r\n");
    other.ask("f DELETE z/c").await;
    in_order(
        &one.news().await,
        &[
            "* LIST (\\NonExistent \\Noselect \\HasNoChildren) \"/\" z\r\n* LIST (\\NonExistent) \"/\" z/c\r\n",
        ],
    );
    // Its own doings are no news.
    for command in ["CREATE q/r", "RENAME q/r s", "DELETE s", "SUBSCRIBE q"] {
        let said = one.ask(&format!("g {command}")).await;
        assert!(said.starts_with("g OK"), "{command}: {said}");
        assert_eq!(one.news().await, "", "{command}");
    }
    other.ask("h RENAME INBOX old").await;
    assert_eq!(one.news().await, "* LIST (\\HasNoChildren) \"/\" old\r\n");
    // Others' accounts are none of its business.
    world.known("bob").await.ask("a CREATE bobs").await;
    assert_eq!(one.news().await, "");
}

#[tokio::test]
async fn subscriptions_are_told_and_heeded() {
    let world = World::new().await;
    let mut other = world.ann().await;
    other.ask("a CREATE a").await;
    let mut one = world.ann().await;
    one.ask(&format!("a NOTIFY SET (personal (SubscriptionChange)) (subscribed ({NEW}))")).await;
    other.append("a", &letter("x")).await;
    assert_eq!(one.news().await, "");
    other.ask("b SUBSCRIBE a").await;
    in_order(&one.news().await, &["* LIST (\\HasNoChildren \\Subscribed) \"/\" a\r\n"]);
    other.append("a", &letter("x")).await;
    in_order(&one.news().await, &["* STATUS a (MESSAGES 2 "]);
    other.ask("c UNSUBSCRIBE a").await;
    assert_eq!(one.news().await, "* LIST (\\HasNoChildren) \"/\" a\r\n");
    other.append("a", &letter("x")).await;
    assert_eq!(one.news().await, "");
}

#[tokio::test]
async fn annotations_are_told() {
    let world = World::new().await;
    let mut other = world.ann().await;
    other.ask("a SETMETADATA INBOX (/private/comment \"one\")").await;
    let mut one = world.ann().await;
    one.ask("a NOTIFY SET (mailboxes INBOX (MailboxMetadataChange ServerMetadataChange))").await;
    in_order(&other.ask("b SETMETADATA INBOX (/private/comment \"two\" /shared/x \"y\")").await, &["b OK"]);
    assert_eq!(one.news().await, "* METADATA INBOX /private/comment /shared/x\r\n");
    other.ask("c SETMETADATA INBOX (/shared/x NIL)\r\nd SETMETADATA \"\" (/private/z \"z\")").await;
    assert_eq!(one.news().await, "* METADATA \"\" /private/z\r\n* METADATA INBOX /shared/x\r\n");
    assert!(one.ask("b SETMETADATA INBOX (/Private/Comment \"three\")").await.starts_with("b OK"));
    assert_eq!(one.news().await, "");
    world.known("bob").await.ask("a SETMETADATA \"\" (/private/z \"z\")").await;
    assert_eq!(one.news().await, "");
}

#[tokio::test]
async fn rights_decide_what_is_told_of_others_mailboxes() {
    let world = World::new().await;
    let (mut ann, mut bob) = (world.ann().await, world.known("bob").await);
    ann.ask("a CREATE p\r\nb CREATE hidden\r\nc SETACL p bob l").await;
    let shared = "\"Other Users/ann@example.org/p\"";
    let said = bob.ask(&format!("a NOTIFY SET (subtree \"Other Users\" ({NEW} MailboxName))")).await;
    in_order(&said, &["* LIST (\\NoAccess) \"/\" ", shared, "a OK"]);
    ann.append("p", &letter("x")).await;
    ann.append("hidden", &letter("x")).await;
    assert_eq!(bob.news().await, "");
    ann.ask("d SETACL p bob +r").await;
    let said = bob.news().await;
    in_order(&said, &["* LIST (\\HasNoChildren) \"/\" ", shared]);
    ann.append("p", &letter("x")).await;
    in_order(&bob.news().await, &["* STATUS ", shared, " (MESSAGES 2 "]);
    ann.ask("e SETACL p bob l").await;
    in_order(&bob.news().await, &["* LIST (\\NoAccess) \"/\" ", shared]);
    ann.append("p", &letter("x")).await;
    assert_eq!(bob.news().await, "");
    ann.ask("f DELETEACL p bob").await;
    in_order(&bob.news().await, &["* LIST (\\NonExistent) \"/\" ", shared]);
    ann.ask("g SETACL p bob lr").await;
    in_order(&bob.news().await, &["* LIST (\\HasNoChildren) \"/\" ", shared]);
    ann.append("p", &letter("x")).await;
    in_order(&bob.news().await, &["* STATUS ", shared, " (MESSAGES 4 "]);
}

#[tokio::test]
async fn idle_tells_the_same() {
    let world = World::new().await;
    let (mut one, mut other) = two(&world, &format!("(selected-delayed ({NEW})) (personal ({NEW}))")).await;
    other.ask("a CREATE a").await;
    one.ask("a SELECT INBOX\r\nb IDLE").await;
    other.append("INBOX", &letter("x")).await;
    other.append("a", &letter("x")).await;
    in_order(&one.news().await, &["* 1 EXISTS\r\n* STATUS a (MESSAGES 1 "]);
    other.ask("b SELECT INBOX\r\nc STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE").await;
    assert_eq!(one.news().await, "* 1 EXPUNGE\r\n");
    assert!(one.ask("DONE").await.starts_with("b OK"));
}

#[tokio::test]
async fn requests_that_cannot_be_met_are_refused() {
    let mut world = World::new().await;
    let mut options = (*world.options).clone();
    options.limits.watched = 3;
    world.options = Arc::new(options);
    let mut one = world.ann().await;
    for (request, answer) in [
        ("SET (selected (MailboxName))", "BAD Of the selected mailbox"),
        (&format!("SET (selected ({NEW})) (selected-delayed ({NEW}))"), "BAD The selected mailbox has"),
        ("SET (selected (MessageNew))", "BAD MessageNew and MessageExpunge"),
        ("SET (personal (FlagChange))", "BAD MessageNew and MessageExpunge"),
        ("SET (personal (MessageNew (UID) MessageExpunge))", "BAD What is fetched"),
        (
            "SET (personal (Nonsense))",
            "NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange \
             ServerMetadataChange)]",
        ),
        (&format!("SET (personal ({NEW} AnnotationChange))"), "NO [BADEVENT ("),
        ("SET", "BAD"),
        ("SET (everything (MailboxName))", "BAD"),
    ] {
        let said = one.ask(&format!("a NOTIFY {request}")).await;
        assert!(said.starts_with(&format!("a {answer}")), "{request}: {said}");
    }
    let mut other = world.ann().await;
    assert!(one.ask("b NOTIFY SET (personal (MailboxName))").await.starts_with("b OK"));
    other.ask("a CREATE a\r\nb CREATE b").await;
    assert_eq!(one.news().await.lines().count(), 2);
    other.ask("c CREATE c").await;
    in_order(&one.news().await, &["* OK [NOTIFICATIONOVERFLOW] "]);
    other.ask("d CREATE d").await;
    assert_eq!(one.news().await, "", "it is over");
    let said = one.ask("c NOTIFY SET (personal (MailboxName))").await;
    assert!(said.starts_with("c NO [NOTIFICATIONOVERFLOW]"), "{said}");
    let mut stranger = world.stranger(TLS);
    assert!(stranger.ask("a NOTIFY NONE").await.starts_with("a BAD Log in first"));
}

#[tokio::test]
async fn with_uidonly_and_qresync_news_have_no_numbers() {
    let world = World::new().await;
    let mut one = world.ann().await;
    one.ask("a ENABLE UIDONLY QRESYNC").await;
    one.ask("b SELECT INBOX\r\nc NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))").await;
    let mut other = world.ann().await;
    other.append("INBOX", &letter("x")).await;
    in_order(&one.news().await, &["* 1 EXISTS\r\n* 1 UIDFETCH (FLAGS () MODSEQ ("]);
    other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)").await;
    in_order(&one.news().await, &["* 1 UIDFETCH (FLAGS (\\Deleted) MODSEQ ("]);
    other.ask("c EXPUNGE").await;
    assert_eq!(one.news().await, "* VANISHED 1\r\n");
}

#[tokio::test]
async fn news_of_messages_have_what_was_enabled() {
    for (enabled, wanted) in [
        ("CONDSTORE", "* 1 FETCH (UID 1 FLAGS () MODSEQ ("),
        ("QRESYNC", "* 1 FETCH (UID 1 FLAGS () MODSEQ ("),
        ("IMAP4rev2", "* 1 FETCH (UID 1 FLAGS ())\r\n"),
    ] {
        let world = World::new().await;
        let mut one = world.ann().await;
        one.ask(&format!("a ENABLE {enabled}\r\nb SELECT INBOX")).await;
        one.ask("c NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))").await;
        let mut other = world.ann().await;
        other.append("INBOX", &letter("x")).await;
        in_order(&one.news().await, &["* 1 EXISTS\r\n", wanted]);
    }
}

/// Who wants to hear of no flags is not told of them with a silent `STORE` either.
#[tokio::test]
async fn flags_of_others_are_told_as_they_are_wanted() {
    for (groups, wanted) in [
        (
            "SET (selected (MessageNew MessageExpunge FlagChange))",
            "* 1 FETCH (FLAGS (\\Answered \\Flagged))\r\nt OK",
        ),
        ("SET (selected (MessageNew MessageExpunge))", "t OK"),
        ("NONE", "t OK"),
    ] {
        let world = World::new().await;
        let (mut one, mut other) = (world.ann().await, world.ann().await);
        one.append("INBOX", &letter("x")).await;
        one.ask(&format!("a SELECT INBOX\r\nb NOTIFY {groups}")).await;
        other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Flagged)").await;
        let said = one.ask("t STORE 1 +FLAGS.SILENT (\\Answered)").await;
        assert!(said.starts_with(wanted), "{groups}: {said}");
    }
}

#[tokio::test]
async fn a_session_waits_for_what_it_watches() {
    let world = World::new().await;
    let mut one = world.ann().await;
    one.ask("a SELECT INBOX").await;
    assert!(one.session.waiting(false).is_none(), "news come with commands");
    one.ask(&format!("b NOTIFY SET (personal ({NEW} MailboxName))")).await;
    assert!(one.session.waiting(true).is_none(), "not within a command");
    let waiting = one.session.waiting(false).unwrap();
    let mut other = world.ann().await;
    for command in ["CREATE a", "COPY 1 a"] {
        other.append("INBOX", &letter("x")).await;
        other.ask(&format!("a SELECT INBOX\r\nb {command}")).await;
        tokio::time::timeout(std::time::Duration::from_secs(5), waiting.changed()).await.expect("news");
        assert!(!one.news().await.is_empty());
    }
    one.ask("c UNAUTHENTICATE\r\nd LOGIN ann@example.org secret").await;
    assert!(one.session.waiting(false).is_none());
}
