//! The engine as an embedder sees it.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::*;
use iems_core::Settings;
use iems_core::message::{ChannelId, Envelope, Mailbox, Notify, Reply};
use iems_core::queue::{Filter, Rate, Sources};
use iems_core::receive::{Connection, Receipt};
use iems_core::seam::Account;
use iems_core::storage::MemoryStorage;

#[tokio::test(start_paused = true)]
async fn a_local_message_is_one_commit() {
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    engine.start();
    let receipt = send(&engine, "x@far.example", &["a@here.example", "team@here.example"]).await.unwrap();
    assert_eq!(memory.stats().commits, 1);
    assert_eq!(memory.stats().blobs_written, 1);
    let (a, b) = (mailbox(&memory.storage(), "a").await, mailbox(&memory.storage(), "b").await);
    assert_eq!((a.len(), b.len()), (2, 1), "once for each address that leads there");
    assert!(a[0].starts_with("Received: from ") && a[0].ends_with(TEXT));
    let story = engine.queue().explain(receipt.id).await.unwrap().unwrap();
    assert!(
        story.waiting.is_empty() && story.to_string().contains("<b@here.example> done: 250 2.1.5 delivered")
    );
}

#[tokio::test(start_paused = true)]
async fn a_remote_message_is_two_commits() {
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    engine.start();
    send(&engine, "a@here.example", &["x@far.example"]).await.unwrap();
    assert!(drained(&engine).await);
    assert_eq!(memory.stats().commits, 2);
    assert_eq!(far.copies("x@far.example"), 1);
    let metrics = engine.metrics();
    assert_eq!((metrics.accepted, metrics.delivered), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn refused_where_the_sender_can_still_hear_it() {
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    let reply = send(&engine, "x@far.example", &["nobody@here.example"]).await.unwrap_err();
    assert_eq!((reply.code, reply.enhanced.to_string()), (550, "5.1.1".into()));
    let reply = send(&engine, "x@far.example", &["round@here.example"]).await.unwrap_err();
    assert!(reply.is_temporary(), "{reply}");
    let looping = "Received: by mx.here.example; x\r\n".repeat(11) + TEXT;
    let reply = send_text(&engine, "x@far.example", &["a@here.example"], &looping).await.unwrap_err();
    assert_eq!(reply.enhanced.to_string(), "5.4.6");
    // A stranger from elsewhere may write to us, not through us.
    let peer = "203.0.113.9:999".parse().unwrap();
    let mut session = engine
        .intake()
        .open(Connection::new(iems_core::message::ChannelId::new("smtp"), Some(peer)))
        .await
        .unwrap();
    let envelope = iems_core::message::Envelope::new("<x@far.example>".parse().unwrap());
    let mut transaction = session.begin(envelope, 0).await.unwrap();
    let reply = transaction.recipient("<y@far.example>".parse().unwrap(), None, None).await.unwrap_err();
    assert_eq!((reply.code, reply.enhanced.to_string()), (550, "5.7.1".into()));
    transaction.recipient("<a@here.example>".parse().unwrap(), None, None).await.unwrap();
    transaction.recipient("<Postmaster>".parse().unwrap(), None, None).await.unwrap_err(); // mx.here.example is not a local domain here
}

#[tokio::test(start_paused = true)]
async fn a_bare_cr_or_lf_does_not_get_in_whoever_brings_it() {
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    for text in ["A: 1\r\n\r\nx\n.\nMAIL\r\n", "A: 1\n\nx", "A: 1\r\n\r\nx\r", "A: 1\r\n\r\r\nx\r\n"] {
        let reply = send_text(&engine, "x@far.example", &["a@here.example"], text).await.unwrap_err();
        assert_eq!((reply.code, reply.enhanced.to_string()), (550, "5.6.0".into()), "{text:?}");
    }
    assert!(mailbox(&memory.storage(), "a").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_domain_we_relay_for_is_no_detour_to_others() {
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let mut settings = settings();
    settings.relay.domains = vec!["backup.example".parse().unwrap()];
    let builder = builder(memory.storage(), PausedClock::new(), &far, &boxes).settings(settings);
    let engine = builder.build().unwrap();
    let mut connection =
        Connection::new(iems_core::message::ChannelId::new("smtp"), Some("203.0.113.9:999".parse().unwrap()));
    for (known, path, allowed) in [
        (false, "<x@backup.example>", true),
        (false, "<x.y+z@backup.example>", true),
        (false, "<x%far.example@backup.example>", false),
        (false, "<far.example!x@backup.example>", false),
        (false, "<\"x@far.example\"@backup.example>", false),
        (false, "<@backup.example:x@far.example>", false),
        (true, "<x%far.example@backup.example>", true),
    ] {
        connection.account = known.then(|| iems_core::seam::Account::new("a@here.example".parse().unwrap()));
        let mut session = engine.intake().open(connection.clone()).await.unwrap();
        let envelope = iems_core::message::Envelope::new("<>".parse().unwrap());
        let mut transaction = session.begin(envelope, 0).await.unwrap();
        let outcome = transaction.recipient(path.parse().unwrap(), None, None).await;
        assert_eq!(outcome.is_ok(), allowed, "{path}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn forged_verdict_fields_do_not_get_in() {
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    let text =
        "A: 1\r\nX-IEMS-Verdict: accept; site; trust me\r\nB: 2\r\n\r\nX-IEMS-Verdict: of the body\r\n";
    send_text(&engine, "x@far.example", &["a@here.example"], text).await.unwrap();
    let got = mailbox(&memory.storage(), "a").await.remove(0);
    assert!(got.ends_with("A: 1\r\nB: 2\r\n\r\nX-IEMS-Verdict: of the body\r\n"), "{got}");
    let flood = "X-IEMS-Verdict: accept\r\n".repeat(1000) + TEXT;
    send_text(&engine, "x@far.example", &["b@here.example"], &flood).await.unwrap();
    assert!(mailbox(&memory.storage(), "b").await[0].ends_with(TEXT));
    let scattered = "X-IEMS-Verdict: accept\r\nA: b\r\n".repeat(1000) + TEXT;
    let reply = send_text(&engine, "x@far.example", &["b@here.example"], &scattered).await.unwrap_err();
    assert_eq!((reply.code, reply.enhanced.to_string()), (554, "5.6.0".into()));
}

#[tokio::test(start_paused = true)]
async fn a_text_without_a_header_stays_a_text() {
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    let text = "disk is full\r\nplease clean: now\r\nX-IEMS-Verdict: of the text\r\n";
    send_text(&engine, "x@far.example", &["a@here.example"], text).await.unwrap();
    let got = mailbox(&memory.storage(), "a").await.remove(0);
    let (header, body) = got.split_once("\r\n\r\n").unwrap();
    assert!(header.contains("Received: ") && !header.contains("disk"), "{got}");
    assert!(body.starts_with("disk is full\r\nplease clean: now\r\n"), "{got}");
}

#[tokio::test(start_paused = true)]
async fn a_last_line_that_was_left_open_is_ended() {
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    for (text, stored) in [("A: 1\r\n\r\nopen", "open\r\n"), ("A: 1\r\n\r\n", "A: 1\r\n\r\n")] {
        send_text(&engine, "x@far.example", &["a@here.example"], text).await.unwrap();
        assert!(mailbox(&memory.storage(), "a").await.last().unwrap().ends_with(stored));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_once_and_a_report_never() {
    let (memory, boxes) = (MemoryStorage::new(), Boxes::new());
    let far = Far::new(&[
        ("bad@far.example", vec![later(), never()]),
        ("worse@far.example", vec![later(), never()]),
    ]);
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    engine.start();
    let receipt =
        send(&engine, "c@here.example", &["bad@far.example", "worse@far.example", "good@far.example"])
            .await
            .unwrap();
    assert!(drained(&engine).await);
    let reports = mailbox(&memory.storage(), "c").await;
    assert_eq!(reports.len(), 1, "one report for recipients that fail together");
    assert!(
        reports[0]
            .contains("Final-Recipient: rfc822; bad@far.example\r\nAction: failed\r\nStatus: 5.1.1\r\n")
    );
    assert!(reports[0].contains("worse@far.example") && !reports[0].contains("rfc822; good@far.example"));
    let story = engine.queue().explain(receipt.id).await.unwrap().unwrap().to_string();
    assert!(story.contains("attempt 2") && story.contains("the sender was told (failed)"), "{story}");
    let receipt = send(&engine, "", &["bad@far.example"]).await.unwrap();
    assert!(drained(&engine).await);
    let story = engine.queue().explain(receipt.id).await.unwrap().unwrap().to_string();
    assert!(story.contains("the postmaster <postmaster@mx.here.example> was told (failed)"), "{story}");
    assert_eq!(mailbox(&memory.storage(), "c").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn delay_is_told_and_expiry_ends_it() {
    let (memory, boxes) = (MemoryStorage::new(), Boxes::new());
    let far = Far::new(&[("slow@far.example", vec![later()])]);
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    engine.start();
    let began = tokio::time::Instant::now();
    send(&engine, "c@here.example", &["slow@far.example"]).await.unwrap();
    assert!(drained(&engine).await);
    let hours = began.elapsed().as_secs() / 3600;
    assert!((120..122).contains(&hours), "{hours}");
    let reports = mailbox(&memory.storage(), "c").await;
    assert_eq!(reports.len(), 2);
    assert!(reports[0].contains("Action: delayed") && reports[1].contains("Status: 5.4.7"));
    assert!(far.asked("slow@far.example") > 20);
}

#[tokio::test(start_paused = true)]
async fn success_is_told_where_asked() {
    let (memory, boxes, far) = (MemoryStorage::new(), Boxes::new(), Far::new(&[]));
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    engine.start();
    let connection = Connection::new(iems_core::message::ChannelId::new("sendmail"), None);
    let mut session = engine.intake().open(connection).await.unwrap();
    let mut envelope = iems_core::message::Envelope::new("<c@here.example>".parse().unwrap());
    envelope.id = Some("one+two".into());
    let mut transaction = session.begin(envelope, 0).await.unwrap();
    let notify = Notify { success: true, ..Notify::NEVER };
    transaction.recipient("<a@here.example>".parse().unwrap(), Some(notify), None).await.unwrap();
    transaction.write(TEXT.into()).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(drained(&engine).await);
    let reports = mailbox(&memory.storage(), "c").await;
    assert_eq!(reports.len(), 1);
    assert!(reports[0].contains("Action: delivered") && reports[0].contains("Original-Envelope-Id: one+two"));
}

#[tokio::test(start_paused = true)]
async fn a_link_carries_as_many_messages_as_its_peer_may_have_and_grows_no_older() {
    let (memory, boxes, far) = (MemoryStorage::new(), Boxes::new(), Far::new(&[]));
    let mut few = settings();
    few.peers.default.concurrency = 1;
    let mut peer = few.peers.default.clone();
    peer.messages_per_link = 2;
    few.peers = few.peers.with("far.example".parse().unwrap(), peer);
    let engine =
        builder(memory.storage(), PausedClock::new(), &far, &boxes).settings(few.clone()).build().unwrap();
    for _ in 0..6 {
        send(&engine, "", &["x@far.example"]).await.unwrap();
    }
    engine.start();
    assert!(drained(&engine).await);
    assert_eq!(far.opened.load(Ordering::SeqCst), 3, "two messages a link");
    let mut peer = few.peers.default.clone();
    peer.link_age = Duration::from_secs(5);
    peer.link_idle = Duration::from_secs(60);
    few.peers = few.peers.with("far.example".parse().unwrap(), peer);
    engine.replace(few);
    for _ in 0..3 {
        send(&engine, "", &["x@far.example"]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    assert!(drained(&engine).await);
    assert_eq!(
        far.opened.load(Ordering::SeqCst),
        5,
        "the third message comes when the first link is too old"
    );
}

#[tokio::test(start_paused = true)]
async fn new_rules_hold_at_once_for_what_waits_for_a_rate() {
    let hour: Rate = "1/1h".parse().unwrap();
    for of_sender in [false, true] {
        let (memory, boxes, far) = (MemoryStorage::new(), Boxes::new(), Far::new(&[]));
        let mut slow = settings();
        match of_sender {
            true => slow.sources = Sources::new().with_sender_rate(&"*".parse().unwrap(), Some(hour)),
            false => slow.peers.default.rate = Some(hour),
        }
        let engine =
            builder(memory.storage(), PausedClock::new(), &far, &boxes).settings(slow).build().unwrap();
        engine.start();
        for _ in 0..3 {
            send(&engine, "c@here.example", &["x@far.example"]).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(far.copies("x@far.example"), 1, "one an hour");
        engine.replace(settings());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(far.copies("x@far.example"), 3, "of the sender: {of_sender}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_destination_is_given_up_in_its_own_time() {
    let (memory, boxes, far) = (MemoryStorage::new(), Boxes::new(), Far::new(&[]));
    *far.down.lock().unwrap() = Some(Reply::defer(4, 1, "no route to host"));
    let mut settings = settings();
    let mut peer = settings.peers.default.clone();
    peer.schedule.expire = Duration::from_secs(3600);
    settings.peers = settings.peers.with("*.hurry.example".parse().unwrap(), peer);
    let usual = settings.peers.default.schedule.expire;
    let engine =
        builder(memory.storage(), PausedClock::new(), &far, &boxes).settings(settings).build().unwrap();
    for to in ["x@a.hurry.example", "x@far.example"] {
        send(&engine, "", &[to]).await.unwrap();
    }
    let waiting = engine.queue().list(&Filter::default(), 10).await.unwrap();
    let mut lives: Vec<_> = waiting.iter().map(|e| (e.hop.to_string(), e.expires.since(e.arrived))).collect();
    lives.sort();
    let wanted =
        [("a.hurry.example".to_owned(), Duration::from_secs(3600)), ("far.example".to_owned(), usual)];
    assert_eq!(lives, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_is_down_costs_one_connection_a_round() {
    let (memory, boxes, far) = (MemoryStorage::new(), Boxes::new(), Far::new(&[]));
    *far.down.lock().unwrap() = Some(Reply::defer(4, 1, "no route to host"));
    let mut few = settings();
    few.peers.default.concurrency = 1;
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).settings(few).build().unwrap();
    for _ in 0..300 {
        send(&engine, "", &["x@far.example"]).await.unwrap();
    }
    engine.start();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(far.opened.load(Ordering::SeqCst), 1, "the failure of one is the failure of all");
    let waiting = engine.queue().list(&Filter::default(), 1000).await.unwrap();
    assert_eq!(waiting.len(), 300);
    let tried = waiting.iter().filter(|entry| entry.attempts == 1 && entry.last_reply.is_some()).count();
    assert_eq!(tried, 1, "the others wait as they are");
    *far.down.lock().unwrap() = None;
    assert!(drained(&engine).await);
    assert_eq!(far.copies("x@far.example"), 300);
    assert!(
        far.opened.load(Ordering::SeqCst) < 30,
        "links are reused: {}",
        far.opened.load(Ordering::SeqCst)
    );
}

#[tokio::test(start_paused = true)]
async fn retry_and_purge() {
    let (memory, boxes) = (MemoryStorage::new(), Boxes::new());
    let far = Far::new(&[("x@far.example", vec![later(), ok()]), ("y@other.example", vec![later()])]);
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    engine.start();
    send(&engine, "a@here.example", &["x@far.example", "y@other.example"]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut filter = Filter::default();
    filter.domain = Some("far.example".parse().unwrap());
    assert_eq!(engine.queue().retry(&filter).await.unwrap(), 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((far.copies("x@far.example"), far.asked("y@other.example")), (1, 1));
    assert_eq!(engine.queue().purge(&Filter::default()).await.unwrap(), 1);
    assert!(engine.queue().list(&Filter::default(), 9).await.unwrap().is_empty());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(far.asked("y@other.example"), 1);
    assert!(mailbox(&memory.storage(), "a").await.is_empty(), "a purge tells nobody");
}

#[tokio::test(start_paused = true)]
async fn old_stories_are_forgotten_and_their_bodies_with_them() {
    let (memory, boxes, far) = (MemoryStorage::with_clock(PausedClock::new()), Boxes::new(), Far::new(&[]));
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    engine.start();
    let receipt = send(&engine, "a@here.example", &["x@far.example"]).await.unwrap();
    assert!(drained(&engine).await);
    assert!(engine.queue().explain(receipt.id).await.unwrap().is_some());
    tokio::time::sleep(Duration::from_secs(8 * 24 * 3600)).await;
    assert!(engine.queue().explain(receipt.id).await.unwrap().is_none());
    assert_eq!(memory.blob_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_engines_in_one_process() {
    let (one, two) = (MemoryStorage::new(), MemoryStorage::new());
    let (far, boxes) = (Far::new(&[]), Boxes::new());
    let first = builder(one.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    let second = builder(two.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    first.start();
    second.start();
    send(&first, "", &["a@here.example"]).await.unwrap();
    send(&second, "", &["b@here.example", "x@far.example"]).await.unwrap();
    assert!(drained(&second).await);
    assert_eq!(mailbox(&one.storage(), "b").await.len() + mailbox(&two.storage(), "a").await.len(), 0);
    first.shutdown(Duration::from_secs(1)).await;
    assert!(send(&first, "", &["a@here.example"]).await.unwrap_err().is_temporary());
    send(&second, "", &["a@here.example"]).await.unwrap();
}

/// RFC 4954 section 5: who submitted a message is known of accounts alone, and of whom they may name.
#[tokio::test(start_paused = true)]
async fn whoever_has_no_account_cannot_say_who_submitted_a_message() {
    let storage = MemoryStorage::new().storage();
    let engine = builder(storage, PausedClock::new(), &Far::new(&[]), &Boxes::new()).build().unwrap();
    let ann: Mailbox = "ann@here.example".parse().unwrap();
    for (account, said, known) in [
        (None, None, "<>"),
        (None, Some("<ann@here.example>"), "<>"),
        (Some(&ann), None, "<ann@here.example>"),
        (Some(&ann), Some("<>"), "<>"),
        (Some(&ann), Some("<ann@here.example>"), "<ann@here.example>"),
        (Some(&ann), Some("<bob@here.example>"), "<>"),
    ] {
        let mut connection = Connection::new(ChannelId::new("smtp"), None);
        connection.account = account.cloned().map(Account::new);
        let mut session = engine.intake().open(connection).await.unwrap();
        let mut envelope = Envelope::new("<ann@here.example>".parse().unwrap());
        envelope.submitter = said.map(|path| path.parse().unwrap());
        let transaction = session.begin(envelope, 0).await.unwrap();
        let told = transaction.envelope().submitter.as_ref().map(|path| format!("<{path}>"));
        assert_eq!(told.as_deref(), Some(known), "{account:?} {said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn loops_are_refused_unless_a_rule_of_the_site_says_otherwise() {
    use iems_core::preprocess::{Action, Policy, Rule, Scope};
    let (memory, far, boxes) = (MemoryStorage::new(), Far::new(&[]), Boxes::new());
    let engine = builder(memory.storage(), PausedClock::new(), &far, &boxes).build().unwrap();
    let passed = |times: usize| format!("{}{TEXT}", "Received: from a by b with SMTP; x\r\n".repeat(times));
    let send = async |times| send_text(&engine, "x@far.example", &["a@here.example"], &passed(times)).await;
    let story =
        async |receipt: Receipt| engine.queue().explain(receipt.id).await.unwrap().unwrap().to_string();
    let with_rule = |check: &str, action| {
        let rule = Rule { check: check.into(), results: vec![], score: None, action };
        let mut settings = Settings::default();
        settings.policy = Policy::new().rule(Scope::Site, rule);
        settings
    };
    assert!(!story(send(100).await.unwrap()).await.contains("verdict loop"));
    // A rule about everything is none about loops.
    for settings in [Settings::default(), with_rule("*", Action::Tag), with_rule("loop", Action::Defer)] {
        let deferred = settings.policy.rules().any(|(_, rule)| rule.action == Action::Defer);
        engine.replace(settings);
        let reply = send(101).await.unwrap_err();
        let told = (reply.code, reply.enhanced.to_string());
        assert_eq!(told, if deferred { (451, "4.4.6".into()) } else { (554, "5.4.6".into()) }, "{reply}");
    }
    engine.replace(with_rule("loop", Action::Junk));
    let told = story(send(101).await.unwrap()).await;
    assert!(told.contains("verdict loop=fail score 10: 101 Received fields, 0 of them ours"), "{told}");
    assert!(told.contains("decided: junk by the site rule"), "{told}");
    let reply = send(201).await.unwrap_err();
    assert_eq!((reply.code, reply.enhanced.to_string()), (554, "5.4.6".into()), "no circle is endless");
}
