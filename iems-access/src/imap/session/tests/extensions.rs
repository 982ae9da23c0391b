//! `PARTIAL` (RFC 9394), `UIDONLY` (RFC 9586), `UNAUTHENTICATE` (RFC 8437).

use super::dialogues::in_order;
use super::*;

/// Ann, with messages whose UIDs are 2, 4, 6, 8, 10 in her INBOX, which is selected.
async fn even(world: &World) -> Peer {
    let mut ann = world.ann().await;
    for _ in 0..10 {
        ann.append("INBOX", &letter("x")).await;
    }
    ann.ask("a SELECT INBOX\r\nb STORE 1,3,5,7,9 +FLAGS (\\Deleted)\r\nc EXPUNGE").await;
    ann
}

#[tokio::test]
async fn pages_of_a_search_are_told() {
    let world = World::new().await;
    let mut ann = even(&world).await;
    for (returns, told) in [
        ("PARTIAL 1:2", "PARTIAL (1:2 2,4)"),
        ("PARTIAL 2:1", "PARTIAL (1:2 2,4)"),
        ("PARTIAL 4:9", "PARTIAL (4:9 8,10)"),
        ("PARTIAL 6:9", "PARTIAL (6:9 NIL)"),
        ("PARTIAL -1:-2", "PARTIAL (-1:-2 8,10)"),
        ("PARTIAL -9:-4", "PARTIAL (-4:-9 2,4)"),
        ("MIN MAX COUNT PARTIAL 2:2", "MIN 2 MAX 10 COUNT 5 PARTIAL (2:2 4)"),
    ] {
        let said = ann.ask(&format!("s UID SEARCH RETURN ({returns}) ALL")).await;
        assert_eq!(said, format!("* ESEARCH (TAG \"s\") UID {told}\r\ns OK That is what was found\r\n"));
    }
    let said = ann.ask("t SEARCH RETURN (PARTIAL 2:3) NOT 1").await;
    in_order(&said, &["* ESEARCH (TAG \"t\") PARTIAL (2:3 3:4)"]);
    let said = ann.ask("u SORT RETURN (PARTIAL 1:2) (REVERSE ARRIVAL) UTF-8 ALL").await;
    in_order(&said, &["PARTIAL (1:2 ", "u OK"]);
    for refused in ["(PARTIAL 1:2 ALL)", "(PARTIAL 1:2 PARTIAL 3:4)", "(PARTIAL 0:1)", "(PARTIAL 1:-2)"] {
        let said = ann.ask(&format!("v UID SEARCH RETURN {refused} ALL")).await;
        assert!(said.starts_with("v BAD"), "{refused}: {said}");
    }
}

#[tokio::test]
async fn what_a_page_saves_is_the_page() {
    let world = World::new().await;
    let mut ann = even(&world).await;
    for (returns, saved) in [
        ("SAVE PARTIAL 2:3", "4,6"),
        ("SAVE PARTIAL 2:3 MIN", "2,4,6"),
        ("SAVE PARTIAL 2:3 MIN MAX", "2,4,6,10"),
        ("SAVE PARTIAL 2:3 MIN COUNT", "2,4,6,8,10"),
        ("SAVE PARTIAL 8:9", ""),
    ] {
        ann.ask(&format!("s UID SEARCH RETURN ({returns}) ALL")).await;
        let said = ann.ask("t UID SEARCH RETURN (ALL) UID $").await;
        let all = if saved.is_empty() { String::new() } else { format!(" ALL {saved}") };
        assert!(said.starts_with(&format!("* ESEARCH (TAG \"t\") UID{all}\r\n")), "{returns}: {said}");
    }
}

#[tokio::test]
async fn pages_are_fetched() {
    let world = World::new().await;
    let mut ann = even(&world).await;
    let said = ann.ask("a UID FETCH 3:10 FLAGS (PARTIAL -1:-2)").await;
    assert_eq!(
        said,
        "* 4 FETCH (UID 8 FLAGS ())\r\n* 5 FETCH (UID 10 FLAGS ())\r\na OK That is what was asked for\r\n"
    );
    let said = ann.ask("b UID FETCH 1:* UID (PARTIAL 2:2)").await;
    assert!(said.starts_with("* 2 FETCH (UID 4)\r\nb OK"), "{said}");
    ann.ask("c STORE 1,5 +FLAGS.SILENT (\\Flagged)").await;
    let modseq = {
        let said = ann.ask("d UID FETCH 4 MODSEQ").await;
        said.split("MODSEQ (").nth(1).unwrap().split(')').next().unwrap().parse::<u64>().unwrap()
    };
    // The page is cut before what changed is looked at: 8 and 10 changed, too.
    let said = ann.ask(&format!("e UID FETCH 1:* UID (PARTIAL 1:3 CHANGEDSINCE {modseq})")).await;
    in_order(&said, &["* 1 FETCH (UID 2 ", "* 3 FETCH (UID 6 ", "e OK"]);
    assert_eq!(said.matches("FETCH (").count(), 2, "{said}");
    let since = format!("(PARTIAL -1:-2 CHANGEDSINCE {modseq})");
    ann.ask("f STORE 1:2 +FLAGS.SILENT (\\Seen)").await;
    let said = ann.ask(&format!("e UID FETCH 2:8 UID {since}")).await;
    assert!(said.starts_with("* 3 FETCH (UID 6 ") && said.matches("FETCH (").count() == 2, "{said}");
    assert!(ann.ask("f UID FETCH 1:* UID (PARTIAL 7:9)").await.starts_with("f OK"));
    assert!(ann.ask("g FETCH 1:* UID (PARTIAL 1:2)").await.starts_with("g BAD"));
}

#[tokio::test]
async fn with_uidonly_there_are_no_numbers() {
    let world = World::new().await;
    let mut ann = even(&world).await;
    in_order(&ann.ask("a ENABLE UIDONLY").await, &["* ENABLED UIDONLY\r\n", "a OK"]);
    for refused in [
        "FETCH 1 FLAGS",
        "FETCH $ FLAGS",
        "STORE 1 +FLAGS (\\Seen)",
        "SEARCH ALL",
        "UID SEARCH 1:*",
        "UID SEARCH OR SEEN NOT (2 UNSEEN)",
        "SORT (ARRIVAL) UTF-8 ALL",
        "UID SORT (ARRIVAL) UTF-8 1",
        "THREAD REFERENCES UTF-8 ALL",
        "UID THREAD REFERENCES UTF-8 *",
        "COPY 1 INBOX",
        "MOVE 1 INBOX",
        "REPLACE 1 INBOX {1+}\r\nx",
    ] {
        let said = ann.ask(&format!("r {refused}")).await;
        assert!(said.starts_with("r BAD [UIDREQUIRED] "), "{refused}: {said}");
    }
    in_order(&ann.ask("b UID FETCH 4 FLAGS").await, &["* 4 UIDFETCH (FLAGS ())\r\nb OK"]);
    in_order(&ann.ask("c UID FETCH * (UID FLAGS)").await, &["* 10 UIDFETCH (UID 10 FLAGS ())\r\nc OK"]);
    in_order(&ann.ask("d UID STORE 4,6 +FLAGS (\\Deleted)").await, &["* 4 UIDFETCH (FLAGS (\\Deleted))\r\n"]);
    let mut other = world.ann().await;
    other.ask("a SELECT INBOX\r\nb STORE 5 +FLAGS (\\Seen)").await;
    in_order(&ann.ask("e NOOP").await, &["* 10 UIDFETCH (FLAGS (\\Seen))\r\ne OK"]);
    in_order(&ann.ask("f EXPUNGE").await, &["* VANISHED 4,6\r\nf OK"]);
    in_order(&ann.ask("g UID MOVE 2 INBOX").await, &["* OK [COPYUID ", "* VANISHED 2\r\n", "* 3 EXISTS"]);
    in_order(
        &ann.ask("h UID SEARCH RETURN (SAVE) ALL\r\ni UID FETCH $ FLAGS").await,
        &["h OK", "* 8 UIDFETCH"],
    );
    in_order(&ann.ask("j UID SEARCH $ UNSEEN").await, &["* SEARCH 8 11\r\n"]);
    let said = ann.ask("k ENABLE QRESYNC\r\nl EXAMINE INBOX (QRESYNC (9 9 1:9 (1 1)))").await;
    in_order(&said, &["k OK", "l BAD [UIDREQUIRED]"]);
    let said = ann.ask("m SELECT INBOX").await;
    assert!(!said.contains("[UNSEEN") && said.contains("* 3 EXISTS"), "{said}");
    let said = ann.ask("n UID REPLACE 8 INBOX {3+}\r\nx\r\n").await;
    in_order(&said, &["* OK [APPENDUID ", "* VANISHED 8\r\n", "n OK"]);
}

#[tokio::test]
async fn with_uidonly_a_client_comes_back() {
    let world = World::new().await;
    let mut ann = even(&world).await;
    let said = ann.ask("a ENABLE UIDONLY QRESYNC\r\nb SELECT INBOX").await;
    let number = |word: &str| said.split(word).nth(1).unwrap().split(']').next().unwrap().trim().to_owned();
    let (validity, modseq) = (number("[UIDVALIDITY"), number("[HIGHESTMODSEQ"));
    ann.ask("c UID STORE 4 +FLAGS (\\Seen)\r\nd UID STORE 6 +FLAGS (\\Deleted)\r\ne UID EXPUNGE 6").await;
    let said = ann.ask(&format!("f SELECT INBOX (QRESYNC ({validity} {modseq} 1:10))")).await;
    in_order(&said, &["* VANISHED (EARLIER) 6\r\n", "* 4 UIDFETCH (FLAGS (\\Seen) MODSEQ (", "f OK"]);
}

/// What reading a message changes is told as what others change (RFC 7162 section 3.2.4).
#[tokio::test]
async fn with_qresync_each_change_of_flags_has_its_uid() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    ann.append("INBOX", &letter("x")).await;
    ann.ask("a ENABLE QRESYNC\r\nb SELECT INBOX").await;
    for attribute in ["BODY[TEXT]", "RFC822", "RFC822.TEXT", "BINARY[1]", "BODY[HEADER]<0.5>"] {
        ann.ask("c STORE 1 FLAGS.SILENT ()").await;
        let said = ann.ask(&format!("d FETCH 1 {attribute}")).await;
        in_order(&said, &["* 1 FETCH (", " UID 1 FLAGS (\\Seen) MODSEQ (", "))\r\nd OK"]);
    }
    ann.ask("e STORE 1 FLAGS.SILENT ()").await;
    let said = ann.ask("f UID FETCH 1 BODY[TEXT]").await;
    assert_eq!(said.matches("UID 1").count(), 1, "{said}");
}

#[tokio::test]
async fn somebody_else_logs_in() {
    let world = World::new().await;
    let mut ann = even(&world).await;
    ann.ask("a ENABLE UTF8=ACCEPT QRESYNC UIDONLY IMAP4rev2").await;
    ann.ask("b SEARCH RETURN (SAVE) ALL").await;
    let said = ann.ask("c UNAUTHENTICATE\r\nd LOGIN ann@example.org secret\r\ne SELECT INBOX").await;
    in_order(
        &said,
        &["c OK [CAPABILITY IMAP4rev2 ", " AUTH=PLAIN", "d OK [CAPABILITY", "[UNSEEN 1]", "e OK"],
    );
    in_order(&ann.ask("f FETCH 1 FLAGS").await, &["* 1 FETCH (FLAGS ())\r\nf OK"]);
    in_order(&ann.ask("g SEARCH $").await, &["* SEARCH\r\ng OK"]);
    in_order(&ann.ask("h UNAUTHENTICATE\r\ni NOOP\r\nj SELECT INBOX").await, &["i OK", "j BAD Log in first"]);
    // No large literals from strangers.
    assert!(ann.ask("k LOGIN {5000+}").await.starts_with("k BAD [TOOBIG]"));
    let mut other = world.stranger(TLS);
    assert!(other.ask("a UNAUTHENTICATE").await.starts_with("a BAD Log in first"));
}

#[tokio::test]
async fn logins_given_back_are_free() {
    let mut world = World::new().await;
    let mut options = (*world.options).clone();
    options.limits.per_account = 1;
    world.options = Arc::new(options);
    let mut ann = world.ann().await;
    assert!(world.stranger(TLS).ask("l LOGIN ann@example.org secret").await.starts_with("l NO [LIMIT]"));
    ann.ask("a UNAUTHENTICATE").await;
    let mut again = world.ann().await;
    assert!(again.ask("a COMPRESS DEFLATE").await.starts_with("a OK"));
    assert!(again.ask("b UNAUTHENTICATE").await.starts_with("b BAD Compression lasts"));
    assert!(!again.ask("c CAPABILITY").await.contains("UNAUTHENTICATE"));
}
