//! Reports about messages that were tagged as spam: marked, short-lived, told to nobody else, removed by one order.

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::*;
use iems_core::Engine;
use iems_core::message::*;
use iems_core::preprocess::*;
use iems_core::queue::Filter;
use iems_core::storage::{MemoryStorage, Storage};

/// Finds spam where the subject says so.
struct Suspicious;

#[async_trait]
impl Preprocessor for Suspicious {
    fn id(&self) -> &str {
        "test"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Body]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let Some((body, blobs)) = subject.body else { return Findings::default() };
        let text = String::from_utf8(body.reader(&**blobs).rest().await.unwrap()).unwrap();
        let result = if text.contains("Subject: SPAM") { CheckResult::Fail } else { CheckResult::Pass };
        let (check, evidence) = ("test/spam".into(), "the secret reason".into());
        Findings { verdicts: vec![Verdict { check, result, score: 1.0, evidence }], ..Findings::default() }
    }
}

const SPAM: &str = "From: a@here.example\r\nSubject: SPAM\r\n\r\nBuy.\r\n";

fn tagging(storage: Storage, far: &Arc<Far>) -> Engine {
    let rule = Rule { check: "test/spam".into(), results: vec![], score: None, action: Action::Tag };
    let mut settings = settings();
    settings.policy = Policy::new().rule(Scope::Site, rule);
    let builder = builder(storage, PausedClock::new(), far, &Boxes::new())
        .postmaster_domain("here.example".parse().unwrap())
        .preprocessor(Arc::new(Suspicious), Matrix::everywhere());
    let engine = builder.settings(settings).build().unwrap();
    engine.start();
    engine
}

fn spam_reports() -> Filter {
    let mut filter = Filter::default();
    filter.spam_reports = true;
    filter
}

#[tokio::test(start_paused = true)]
async fn a_report_about_spam_lives_short_and_ends_in_silence() {
    let memory = MemoryStorage::new();
    let far = Far::new(&[("bad@far.example", vec![never()]), ("forged@forged.example", vec![later()])]);
    let engine = tagging(memory.storage(), &far);
    let receipt = send_text(&engine, "forged@forged.example", &["bad@far.example"], SPAM).await.unwrap();
    send(&engine, "forged@forged.example", &["bad@far.example"]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let marked = engine.queue().list(&spam_reports(), 10).await.unwrap();
    assert_eq!(marked.len(), 1);
    assert_eq!(marked[0].kind, Kind::SpamReport);
    assert_eq!(engine.queue().list(&Filter::default(), 10).await.unwrap().len(), 2);
    assert!(
        engine
            .queue()
            .explain(receipt.id)
            .await
            .unwrap()
            .unwrap()
            .to_string()
            .contains("a report about spam")
    );
    tokio::time::sleep(Duration::from_secs(5 * 3600)).await;
    assert!(engine.queue().list(&spam_reports(), 10).await.unwrap().is_empty(), "four hours are over");
    assert_eq!(engine.queue().list(&Filter::default(), 10).await.unwrap().len(), 1, "the other one waits on");
    let end = engine.queue().explain(marked[0].id).await.unwrap().unwrap().to_string();
    assert!(
        end.contains("given up: its time was over") && end.contains("the message is a report about spam")
    );
    assert!(mailbox(&memory.storage(), "postmaster").await.is_empty(), "it is never escalated");
    assert!(drained(&engine).await);
    assert_eq!(mailbox(&memory.storage(), "postmaster").await.len(), 1, "the other one is");
    let told = engine.metrics().reported;
    assert_eq!((told.reports, told.spam, told.notices), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_order_removes_the_reports_about_spam_and_nothing_else() {
    let memory = MemoryStorage::new();
    let far = Far::new(&[("bad@far.example", vec![never()]), ("forged@forged.example", vec![later()])]);
    let engine = tagging(memory.storage(), &far);
    for n in 0..20 {
        let text = if n % 2 == 0 { SPAM } else { TEXT };
        send_text(&engine, "forged@forged.example", &["bad@far.example"], text).await.unwrap();
    }
    send_text(&engine, "x@far.example", &["forged@forged.example"], SPAM).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(engine.queue().list(&Filter::default(), 100).await.unwrap().len(), 21);
    // One whose attempt ends at this moment is left for the next order.
    let mut removed = 0;
    for _ in 0..10 {
        removed += engine.queue().purge(&spam_reports()).await.unwrap();
    }
    assert_eq!(removed, 10);
    assert!(engine.queue().list(&spam_reports(), 100).await.unwrap().is_empty());
    let left = engine.queue().list(&Filter::default(), 100).await.unwrap();
    assert_eq!(left.iter().filter(|entry| entry.kind == Kind::Report).count(), 10);
    assert_eq!(
        left.iter().filter(|entry| entry.kind == Kind::Ordinary).count(),
        1,
        "spam itself is no report"
    );
    assert_eq!(engine.metrics().reported.notices, 0);
}

#[tokio::test(start_paused = true)]
async fn the_sender_of_spam_does_not_read_why_it_was_tagged() {
    let memory = MemoryStorage::new();
    let far = Far::new(&[("bad@far.example", vec![never()])]);
    let engine = tagging(memory.storage(), &far);
    send_text(&engine, "c@here.example", &["bad@far.example"], SPAM).await.unwrap();
    assert!(drained(&engine).await);
    let report = mailbox(&memory.storage(), "c").await.remove(0);
    assert!(report.contains("Subject: SPAM") && !report.contains("X-IEMS"), "{report}");
    assert!(!report.contains("secret reason"), "{report}");
}
