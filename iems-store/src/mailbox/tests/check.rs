//! What a check finds, and what it makes of it.

use iems_core::storage::{Scan, Template};

use super::super::schema::{self, Count, Of};
use super::*;

async fn filled() -> World {
    let world = world().await;
    let (m, account, inbox) = (&world.mailboxes, world.account, world.inbox);
    for n in 0..5 {
        world.append(&format!("message {n}"), "").await;
    }
    m.create(account, "a/b", Some(SpecialUse::Archive), Timestamp::from_millis(1)).await.unwrap();
    let archive = m.find(account, "a/b").await.unwrap().unwrap();
    m.copy((account, inbox), &[Uid(1), Uid(2)], (account, archive), Timestamp::from_millis(2)).await.unwrap();
    m.expunge(account, inbox, &[Uid(5)]).await.unwrap();
    let at = m.highest_modseq(account, inbox).await.unwrap();
    let states = m.view(account, inbox, Uid(0), 2).await.unwrap();
    let believed: Vec<_> = states.iter().map(super::model::believed).collect();
    let seen = FlagChange::new(FlagAction::Add, Flags::SEEN);
    assert!(m.sweep(account, inbox, at, &believed, &seen).await.unwrap().is_some());
    world
}

#[tokio::test]
async fn every_row_that_is_lost_or_changed_is_found_and_mended() {
    let healthy = filled().await;
    let store = healthy.memory.storage().store;
    let rows = store.scan(Scan::prefix(&[NAMESPACE], usize::MAX)).await.unwrap();
    let mut found = std::collections::BTreeSet::new();
    for (key, value) in rows {
        // The start of numbers, subscriptions: nothing else says what they were.
        if matches!(key.get(10), Some(b'v' | b'y' | b'e' | b'l')) {
            continue;
        }
        // Only who changes flags at the same moment asks for it.
        if key.get(10) == Some(&b'p') && key.last() == Some(&(Count::Touched as u8)) {
            continue;
        }
        let world = filled().await;
        let mut batch = Batch::new();
        batch.delete(&key);
        world.memory.storage().store.commit(batch).await.unwrap();
        let said = world.mailboxes.check(world.account, true, true, &mut |_| ()).await.unwrap();
        let tag = char::from(key[10]);
        assert!(!said.findings.is_empty(), "the row {tag} was not missed: {value:?}");
        found.extend(said.findings.iter().map(|finding| finding.kind));
        let again = world.mailboxes.check(world.account, true, true, &mut |_| ()).await.unwrap();
        assert_eq!(again.findings, [], "after the row {tag} was mended: {:?}", said.findings);
    }
    assert!(found.len() >= 10, "{found:?}");
}

#[tokio::test]
async fn wrong_counters_and_left_over_rows_are_mended() {
    let world = filled().await;
    let (account, inbox) = (world.account, world.inbox);
    let mut batch = Batch::new();
    let key = |tail: &[u8]| schema::key(account, tail);
    batch.add(&key(b"o"), 77);
    batch.add(&key(b"k"), -1);
    batch.add(&key(&schema::of_count(inbox, Count::Messages)), 5);
    batch.put(key(&schema::of_message(Of::Structure, inbox, Uid(99))), &[2]);
    batch.put(key(&schema::of_name(None, "nothing")), &[1, 0, 0, 0, 1]);
    batch.put(key(&schema::of_count(MailboxId(7), Count::Highest)), Template::from(&[0; 8]));
    world.memory.storage().store.commit(batch).await.unwrap();
    let said = world.mailboxes.check(account, false, false, &mut |_| ()).await.unwrap();
    assert_eq!(said.findings.len(), 6, "{:?}", said.findings);
    let only_told = world.mailboxes.check(account, true, false, &mut |_| ()).await.unwrap();
    assert_eq!(only_told, said);
    let mended = world.mailboxes.check(account, false, false, &mut |_| ()).await.unwrap();
    assert_eq!(mended.findings, []);
    assert_eq!(world.mailboxes.usage(account).await.unwrap().messages, 6);
}

#[tokio::test]
async fn who_reads_bodies_tells_how_far_it_is() {
    let world = filled().await;
    let told = async |bodies: bool| {
        let mut told = Vec::new();
        world
            .mailboxes
            .check(world.account, false, bodies, &mut |messages| told.push(messages))
            .await
            .unwrap();
        told
    };
    assert_eq!(told(false).await, [4, 4, 6], "after each mailbox");
    assert_eq!(told(true).await, [2, 4, 4, 4, 6, 6], "and within");
}
