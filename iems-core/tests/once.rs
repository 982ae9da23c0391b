//! Messages with names of their own, and recipients whose sender can only be told by a report.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use iems_core::Engine;
use iems_core::message::*;
use iems_core::receive::{Connection, OnceKey, Receipt};
use iems_core::storage::{MemoryStorage, Scan, Storage};

const KEEP: Duration = Duration::from_secs(3600);

fn engine(storage: Storage) -> Engine {
    let domain = "here.example".parse().unwrap();
    let far: Arc<Far> = Far::new(&[]);
    let engine =
        builder(storage, PausedClock::new(), &far, &Boxes::new()).postmaster_domain(domain).build().unwrap();
    engine.start();
    engine
}

/// Brings a message called `name` for `a`, and for those in `failed` that do not get it.
async fn bring(engine: &Engine, name: &[u8], good: bool, failed: &[&str]) -> Result<Receipt, Reply> {
    let mut session = engine.intake().open(Connection::new(ChannelId::new("batch"), None)).await?;
    let sender = "<b@here.example>".parse().unwrap();
    let mut transaction = session.begin(Envelope::new(sender), 0).await?;
    if good {
        transaction.recipient("<a@here.example>".parse().unwrap(), None, None).await?;
    }
    for to in failed {
        let reply = Reply::refuse(1, 1, "nobody of that name");
        transaction.fail(format!("<{to}>").parse().unwrap(), None, None, reply)?;
    }
    transaction.once(OnceKey::of(&[b"test", name]), KEEP);
    transaction.write("Subject: s\r\n\r\ntext\r\n".into()).await?;
    transaction.commit().await
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_once_until_it_expires() {
    let memory = MemoryStorage::new();
    let engine = engine(memory.storage());
    let first = bring(&engine, b"1", true, &[]).await.unwrap();
    let again = bring(&engine, b"1", true, &[]).await.unwrap();
    assert_eq!(again.id, first.id);
    assert!(engine.intake().knows(&OnceKey::of(&[b"test", b"1"])).await.unwrap());
    assert!(!engine.intake().knows(&OnceKey::of(&[b"tes", b"t1"])).await.unwrap(), "parts have borders");
    // Both at once: one of them is the message.
    let (one, other) = tokio::join!(bring(&engine, b"2", true, &[]), bring(&engine, b"2", true, &[]));
    assert_eq!(one.unwrap().id, other.unwrap().id);
    assert_eq!(mailbox(&memory.storage(), "a").await.len(), 2);
    tokio::time::sleep(KEEP + Duration::from_secs(3600)).await;
    assert!(!engine.intake().knows(&OnceKey::of(&[b"test", b"1"])).await.unwrap());
    let rows = memory.storage().store.scan(Scan::prefix(b"r", 10)).await.unwrap();
    assert!(rows.is_empty(), "{rows:?}");
    bring(&engine, b"1", true, &[]).await.unwrap();
    assert_eq!(mailbox(&memory.storage(), "a").await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_remembered_name_is_never_taken_and_can_be_kept_for_longer() {
    let memory = MemoryStorage::new();
    let engine = engine(memory.storage());
    let (intake, key) = (engine.intake(), OnceKey::of(&[b"test", b"1"]));
    intake.remember(&key, KEEP).await.unwrap();
    tokio::time::sleep(KEEP / 2).await;
    intake.remember(&key, 2 * KEEP).await.unwrap();
    tokio::time::sleep(KEEP).await;
    assert!(intake.knows(&key).await.unwrap());
    bring(&engine, b"1", true, &[]).await.unwrap();
    assert!(mailbox(&memory.storage(), "a").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_get_a_message_is_told_of_once_to_its_sender() {
    let memory = MemoryStorage::new();
    let engine = engine(memory.storage());
    bring(&engine, b"1", true, &["x@here.example", "y@far.example"]).await.unwrap();
    bring(&engine, b"1", true, &["x@here.example", "y@far.example"]).await.unwrap();
    let receipt = bring(&engine, b"2", false, &["z@here.example"]).await.unwrap();
    assert!(receipt.recipients.is_empty());
    assert!(drained(&engine).await);
    assert_eq!(mailbox(&memory.storage(), "a").await.len(), 1);
    let reports = mailbox(&memory.storage(), "b").await;
    assert_eq!(reports.len(), 2, "{reports:#?}");
    for (report, to) in reports.iter().zip([&["x@here.example", "y@far.example"][..], &["z@here.example"]]) {
        assert_eq!(report.matches("Action: failed").count(), to.len(), "{report}");
        assert!(report.contains("Status: 5.1.1") && report.contains("nobody of that name"), "{report}");
        for to in to {
            assert!(report.contains(&format!("Final-Recipient: rfc822; {to}")), "{report}");
        }
    }
    let story = engine.queue().explain(receipt.id).await.unwrap().unwrap().to_string();
    assert!(story.contains("not taken: 550 5.1.1"), "{story}");
}
