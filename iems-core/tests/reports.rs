//! What senders and the postmaster are told, and what nobody is: the engine as an embedder sees it.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use iems_core::deliver::{Arrival, Outcome};
use iems_core::message::*;
use iems_core::receive::{Connection, Receipt};
use iems_core::report::DoubleBounces;
use iems_core::storage::{MemoryStorage, Storage};
use iems_core::{Engine, Settings};

/// An engine whose postmaster is `postmaster@here.example`.
fn engine(storage: Storage, far: &Arc<Far>, settings: Settings) -> Engine {
    let domain = "here.example".parse().unwrap();
    let builder = builder(storage, PausedClock::new(), far, &Boxes::new()).postmaster_domain(domain);
    let engine = builder.settings(settings).build().unwrap();
    engine.start();
    engine
}

/// Sends with wishes: recipients and what to report about each.
async fn send_with(
    engine: &Engine,
    envelope: Envelope,
    to: &[(&str, Option<Notify>)],
    text: &str,
) -> Result<Receipt, Reply> {
    let mut session = engine.intake().open(Connection::new(ChannelId::new("sendmail"), None)).await?;
    let mut transaction = session.begin(envelope, 0).await?;
    for (to, notify) in to {
        transaction.recipient(format!("<{to}>").parse().unwrap(), *notify, None).await?;
    }
    transaction.write(text.to_owned().into()).await?;
    transaction.commit().await
}

fn from(sender: &str) -> Envelope {
    Envelope::new(format!("<{sender}>").parse().unwrap())
}

async fn story(engine: &Engine, receipt: &Receipt) -> String {
    engine.queue().explain(receipt.id).await.unwrap().unwrap().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_report_that_fails_is_told_to_the_postmaster_and_a_notice_to_nobody() {
    let memory = MemoryStorage::new();
    let far = Far::new(&[("bad@far.example", vec![never()]), ("gone@far.example", vec![never()])]);
    let engine = engine(memory.storage(), &far, settings());
    send(&engine, "gone@far.example", &["bad@far.example"]).await.unwrap();
    assert!(drained(&engine).await);
    let notices = mailbox(&memory.storage(), "postmaster").await;
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("Final-Recipient: rfc822; gone@far.example\r\nAction: failed\r\n"));
    assert!(notices[0].contains("Auto-Submitted: auto-generated\r\n"));
    let told = engine.metrics().reported;
    assert_eq!((told.reports, told.failed, told.notices, told.summed), (1, 1, 1, 0));

    let mut elsewhere = settings();
    elsewhere.reports.double_bounces = DoubleBounces::To("bad@far.example".parse().unwrap());
    engine.replace(elsewhere);
    let receipt = send(&engine, "", &["bad@far.example"]).await.unwrap();
    assert!(drained(&engine).await);
    let story = story(&engine, &receipt).await;
    assert!(story.contains("the postmaster <bad@far.example> was told (failed) by message "), "{story}");
    let notice: QueueId = story.split("by message ").nth(1).unwrap()[..26].parse().unwrap();
    let end = engine.queue().explain(notice).await.unwrap().unwrap().to_string();
    assert!(end.contains("nobody was told (failed): the message is itself a notice"), "{end}");
    assert_eq!(engine.metrics().reported.notices, 2, "and no third");

    let mut nobody = settings();
    nobody.reports.double_bounces = DoubleBounces::Nobody;
    engine.replace(nobody);
    let receipt = send(&engine, "", &["bad@far.example"]).await.unwrap();
    assert!(drained(&engine).await);
    let story = self::story(&engine, &receipt).await;
    assert!(story.contains("nobody was told (failed): the message has no sender"), "{story}");
    assert_eq!(engine.metrics().reported.notices, 2);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_double_bounces_is_a_few_notices_and_a_number() {
    let memory = MemoryStorage::new();
    let far = Far::new(&[("bad@far.example", vec![never()])]);
    let mut few = settings();
    few.reports.double_bounce_rate = 2;
    let engine = engine(memory.storage(), &far, few);
    let mut last = None;
    for _ in 0..50 {
        last = Some(send(&engine, "", &["bad@far.example"]).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(mailbox(&memory.storage(), "postmaster").await.len(), 2);
    let story = story(&engine, &last.unwrap()).await;
    assert!(story.contains("nobody was told (failed): the postmaster was told enough for now"), "{story}");
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let notices = mailbox(&memory.storage(), "postmaster").await;
    assert_eq!(notices.len(), 3, "one sums up the rest, once");
    assert!(notices[2].contains("Subject: 48 more messages without a sender could not be delivered\r\n"));
    send(&engine, "", &["bad@far.example"]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(mailbox(&memory.storage(), "postmaster").await.len(), 4, "a new hour, a new notice");
    let told = engine.metrics().reported;
    assert_eq!((told.notices, told.summed), (4, 48));
}

/// What is summed up survives a restart.
#[tokio::test(start_paused = true)]
async fn what_is_not_told_yet_is_not_forgotten_by_a_restart() {
    let memory = MemoryStorage::new();
    let far = Far::new(&[("bad@far.example", vec![never()])]);
    let mut few = settings();
    few.reports.double_bounce_rate = 1;
    let first = engine(memory.storage(), &far, few.clone());
    for _ in 0..5 {
        send(&first, "", &["bad@far.example"]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    drop(first);
    let _second = engine(memory.storage(), &far, few);
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let notices = mailbox(&memory.storage(), "postmaster").await;
    assert_eq!(notices.len(), 2);
    assert!(notices[1].contains("Subject: 4 more messages"), "{}", notices[1]);
}

/// RFC 3461 section 4.1, each wish with each end.
#[tokio::test(start_paused = true)]
async fn who_asked_for_what_hears_that_and_nothing_else() {
    const NONE: Option<Notify> = None;
    let wish = |success, failure, delay| Some(Notify { success, failure, delay });
    let without = Outcome::Done(Arrival::RelayedWithoutDsn, Reply::new(250, "2.0.0".parse().unwrap(), "ok"));
    let slow = || vec![later(); 40];
    for (notify, answers, actions) in [
        (NONE, vec![never()], "failed"),
        (NONE, vec![ok()], ""),
        (NONE, slow(), "delayed failed"),
        (Some(Notify::NEVER), vec![never()], ""),
        (Some(Notify::NEVER), slow(), ""),
        (wish(true, false, false), vec![ok()], ""), // the next system is the one to tell
        (wish(true, false, false), vec![without.clone()], "relayed"),
        (wish(true, false, false), vec![never()], ""),
        (wish(true, false, false), slow(), ""),
        (wish(false, true, false), vec![without.clone()], ""),
        (wish(false, true, false), slow(), "failed"),
        (wish(false, false, true), slow(), "delayed"),
        (wish(true, true, true), slow(), "delayed failed"),
        (wish(true, true, true), vec![without.clone()], "relayed"),
    ] {
        let memory = MemoryStorage::new();
        let far = Far::new(&[("x@far.example", answers.clone())]);
        let engine = engine(memory.storage(), &far, settings());
        send_with(&engine, from("c@here.example"), &[("x@far.example", notify)], TEXT).await.unwrap();
        assert!(drained(&engine).await);
        let reports = mailbox(&memory.storage(), "c").await;
        let action = |report: &String| {
            report.split("\r\nAction: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned()
        };
        let heard: Vec<String> = reports.iter().map(action).collect();
        assert_eq!(heard.join(" "), actions, "{notify:?} {:?}", answers[0]);
    }
}

/// RFC 3461 section 5.2.7.
#[tokio::test(start_paused = true)]
async fn an_address_that_leads_to_several_is_told_as_expanded_and_one_that_leads_to_one_is_not() {
    let memory = MemoryStorage::new();
    let engine = engine(memory.storage(), &Far::new(&[]), settings());
    let success = Some(Notify { success: true, ..Notify::NEVER });
    let to = [("team@here.example", success), ("also@here.example", success), ("b@here.example", None)];
    send_with(&engine, from("c@here.example"), &to, TEXT).await.unwrap();
    assert!(drained(&engine).await);
    let reports = mailbox(&memory.storage(), "c").await;
    assert_eq!(reports.len(), 1, "one report for all, though two agents' mailboxes took it");
    assert_eq!(reports[0].matches("\r\nAction: ").count(), 2, "{}", reports[0]);
    assert!(reports[0].contains("rfc822; team@here.example\r\nAction: expanded\r\nStatus: 2.1.5"));
    assert!(reports[0].contains("rfc822; also@here.example\r\nAction: delivered\r\nStatus: 2.1.5"));
    assert!(!reports[0].contains("a@here.example\r\n    ") && !reports[0].contains("b@here.example"));
    assert_eq!(memory.stats().commits, 2, "the message with its report, and the report's delivery");
}

#[tokio::test(start_paused = true)]
async fn where_a_forward_leads_stays_here() {
    let memory = MemoryStorage::new();
    let no = Reply::refuse(1, 1, "host mx.there.example said: <x@there.example> unknown");
    let said = vec!["550 5.1.1 <x@there.example> unknown".to_owned()];
    let no = no.in_words_of(Remote::new(Some("mx.there.example"), "smtp", said));
    let far = Far::new(&[("x@there.example", vec![Outcome::Failed(no)])]);
    let engine = engine(memory.storage(), &far, settings());
    let receipt = send(&engine, "c@here.example", &["out@here.example"]).await.unwrap();
    assert!(drained(&engine).await);
    let report = mailbox(&memory.storage(), "c").await.remove(0);
    assert!(
        report.contains("Final-Recipient: rfc822; out@here.example\r\nAction: failed\r\nStatus: 5.1.1\r\n")
    );
    assert!(!report.contains("there.example"), "{report}");
    assert!(story(&engine, &receipt).await.contains("x@there.example> unknown"), "the administrator knows");
}

#[tokio::test(start_paused = true)]
async fn programs_and_lists_hear_of_failure_and_of_delay_only_if_they_ask() {
    let memory = MemoryStorage::new();
    let far = Far::new(&[("slow@slow.example", vec![later()]), ("bad@far.example", vec![never()])]);
    let engine = engine(memory.storage(), &far, settings());
    let text = format!("List-Id: <news.here.example>\r\n{TEXT}");
    send_text(&engine, "a@here.example", &["slow@slow.example"], &text).await.unwrap();
    let asked = [("slow@slow.example", Some(Notify { delay: true, ..Notify::NEVER }))];
    send_with(&engine, from("b@here.example"), &asked, &text).await.unwrap();
    send_text(&engine, "c@here.example", &["bad@far.example"], &text).await.unwrap();
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    let heard = |name: &'static str| {
        let storage = memory.storage();
        async move { mailbox(&storage, name).await.len() }
    };
    assert_eq!((heard("a").await, heard("b").await, heard("c").await), (0, 1, 1));
    assert!(drained(&engine).await);
    assert_eq!(heard("a").await, 1, "the end is told");
}

#[tokio::test(start_paused = true)]
async fn the_language_is_the_writers_else_the_domains_else_the_sites() {
    let far = Far::new(&[("bad@far.example", vec![never()])]);
    let (german, english) =
        ("Ihre Nachricht konnte nicht zugestellt werden", "Your message could not be delivered");
    for (site, domain, header, subject) in [
        ("en", None, "", english),
        ("de", None, "", german),
        ("en", Some("de"), "", german),
        ("en", Some("de"), "Accept-Language: en-GB, de;q=0.5\r\n", english),
        ("en", None, "Accept-Language: fr, de-CH;q=0.5\r\n", german),
        ("xx", None, "Accept-Language: ,;q=\r\n", english),
    ] {
        let mut settings = settings();
        settings.reports.language = site.into();
        settings.reports.languages =
            domain.map(|tag| ("here.example".parse().unwrap(), tag.to_owned())).into_iter().collect();
        let memory = MemoryStorage::new();
        let engine = engine(memory.storage(), &far, settings);
        send_text(&engine, "c@here.example", &["bad@far.example"], &format!("{header}{TEXT}")).await.unwrap();
        assert!(drained(&engine).await);
        let report = mailbox(&memory.storage(), "c").await.pop().unwrap();
        assert!(report.contains(&format!("\r\nSubject: {subject}\r\n")), "{site} {domain:?} {header}");
    }
}

/// RFC 3461 section 4.3.
#[tokio::test(start_paused = true)]
async fn as_much_comes_back_as_was_asked_for_and_fits() {
    let far = Far::new(&[("bad@far.example", vec![never()])]);
    let long = format!("{TEXT}{}", "and so on\r\n".repeat(1000));
    for (ret, limit, text, whole) in [
        (None, 64 * 1024, TEXT, true),
        (Some(Ret::Full), 64 * 1024, TEXT, true),
        (Some(Ret::Headers), 64 * 1024, TEXT, false),
        (Some(Ret::Full), 1024, long.as_str(), false),
    ] {
        let memory = MemoryStorage::new();
        let mut settings = settings();
        settings.reports.return_message = limit;
        let engine = engine(memory.storage(), &far, settings);
        let mut envelope = from("c@here.example");
        envelope.ret = ret;
        send_with(&engine, envelope, &[("bad@far.example", None)], text).await.unwrap();
        assert!(drained(&engine).await);
        let report = mailbox(&memory.storage(), "c").await.remove(0);
        assert_eq!(report.contains("Once upon a time."), whole, "{ret:?} {limit}");
        let media_type = if whole { "message/rfc822" } else { "text/rfc822-headers" };
        assert!(report.contains(&format!("Content-Type: {media_type}\r\n")) && report.contains("a story"));
    }
}

#[tokio::test(start_paused = true)]
async fn expiry_names_the_last_answer_of_the_peer() {
    let memory = MemoryStorage::new();
    let busy = Reply::defer(4, 5, "host mx.far.example said: busy");
    let said = vec!["451-4.4.5 we are".to_owned(), "451 4.4.5 busy".to_owned()];
    let busy = busy.in_words_of(Remote::new(Some("mx.far.example"), "smtp", said));
    let far = Far::new(&[("slow@slow.example", vec![Outcome::Deferred(busy)])]);
    let engine = engine(memory.storage(), &far, settings());
    send(&engine, "c@here.example", &["slow@slow.example"]).await.unwrap();
    assert!(drained(&engine).await);
    let reports = mailbox(&memory.storage(), "c").await;
    let words =
        "Remote-MTA: dns; mx.far.example\r\nDiagnostic-Code: smtp; 451-4.4.5 we are\r\n 451 4.4.5 busy\r\n";
    assert!(reports.iter().all(|report| report.contains(words)), "{reports:?}");
    assert!(reports[0].contains("\r\nWill-Retry-Until: ") && reports[1].contains("Status: 5.4.7\r\n"));
}

/// Each fault at each operation: the postmaster hears of the failure once, or it is counted once.
#[tokio::test(start_paused = true)]
async fn no_fault_loses_or_doubles_what_the_postmaster_is_told() {
    for rate in [10, 0] {
        for fault in [Fault::Dies, Fault::Passes, Fault::Unknown] {
            for at in 0..60 {
                told_once(rate, fault, at).await;
            }
        }
    }
}

async fn told_once(rate: u32, fault: Fault, at: u64) {
    let clock = PausedClock::new();
    let memory = MemoryStorage::with_clock(clock.clone());
    let faulty = Faulty::new(&memory.storage(), at, fault);
    let far = Far::new(&[("bad@far.example", vec![later(), never()])]);
    let mut few = settings();
    few.reports.double_bounce_rate = rate;
    let on = |storage: Storage| {
        let engine = builder(storage, clock.clone(), &far, &Boxes::new())
            .postmaster_domain("here.example".parse().unwrap())
            .settings(few.clone())
            .build()
            .unwrap();
        engine.start();
        engine
    };
    let first = on(faulty.storage());
    let accepted = send(&first, "", &["bad@far.example"]).await.is_ok();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    drop(first);
    let second = on(memory.storage());
    assert!(drained(&second).await);
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    let notices = mailbox(&memory.storage(), "postmaster").await;
    let tried = far.asked("bad@far.example") > 0;
    let expected = usize::from(accepted || tried);
    assert_eq!(notices.len(), expected, "rate {rate}, {fault:?} at {at}: {notices:?}");
}
