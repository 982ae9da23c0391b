//! Mailboxes against a simple model, and under concurrent delivery.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{BlobId, MemoryStorage, Slot};
use proptest::prelude::*;

use super::*;

mod check;
mod costs;
mod crash;
mod model;
mod sharing;
mod shown;
mod together;
mod tree;
mod usual;

struct World {
    memory: Arc<MemoryStorage>,
    mailboxes: Mailboxes,
    account: AccountId,
    inbox: MailboxId,
}

async fn world() -> World {
    let memory = MemoryStorage::new();
    let mailboxes = Mailboxes::new(memory.storage());
    let mut batch = Batch::new();
    let number: Slot = batch.allocate(b"accounts", 1);
    let inbox = create_account(&mut batch, number, Timestamp::from_millis(1_790_000_000_000)).unwrap();
    let committed = memory.storage().store.commit(batch).await.unwrap();
    World { mailboxes, account: AccountId(committed.firsts[0]), inbox, memory }
}

impl World {
    async fn blob(&self, text: &str) -> BlobId {
        let mut writer = self.memory.storage().blobs.create().await.unwrap();
        writer.write(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
        writer.finish().await.unwrap()
    }

    async fn append(&self, text: &str, prefix: &str) {
        let blob = self.blob(text).await;
        let prefix = Bytes::copy_from_slice(prefix.as_bytes());
        let body = Body { prefix, blob, blob_size: text.len() as u64, header_size: 0 };
        let message = NewMessage::new(Timestamp::from_millis(1), body);
        let mut batch = Batch::new();
        Mailboxes::append(&mut batch, self.account, self.inbox, &message).unwrap();
        self.memory.storage().store.commit(batch).await.unwrap();
    }

    async fn all(&self) -> Vec<Message> {
        self.mailboxes.messages(self.account, self.inbox, Uid(0), usize::MAX).await.unwrap()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Expunge(Vec<u8>),
    Flag(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u8>().prop_map(Step::Append),
        1 => proptest::collection::vec(0..40u8, 0..5).prop_map(Step::Expunge),
        2 => (0..40u8, 0..32u8).prop_map(|(uid, flags)| Step::Flag(uid, flags)),
    ]
}

/// What the model knows of a message: its size, flags, object.
type Model = BTreeMap<u32, (u64, Flags)>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mailboxes_do_what_the_model_does(steps in proptest::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let world = world().await;
    let (account, inbox) = (world.account, world.inbox);
    let mut model = Model::new();
    let mut last = 0;
    let mut modseq = 0;
    let mut objects = BTreeMap::new();
    for step in steps {
        match step {
            Step::Append(length) => {
                last += 1;
                let text = "x".repeat(usize::from(length));
                world.append(&text, "P: q\r\n").await;
                model.insert(last, (6 + u64::from(length), Flags::empty()));
            }
            Step::Expunge(uids) => {
                let uids: Vec<_> = uids.iter().map(|uid| Uid(u32::from(*uid))).collect();
                let gone = world.mailboxes.expunge(account, inbox, &uids).await.unwrap();
                let octets: u64 =
                    uids.iter().filter_map(|uid| model.remove(&uid.0)).map(|(size, _)| size).sum();
                assert_eq!(gone.octets, octets);
            }
            Step::Flag(uid, bits) => {
                let (uid, flags) = (Uid(u32::from(uid)), Flags::from_bits(bits));
                let there = world.mailboxes.set_flags(account, inbox, uid, flags).await.unwrap();
                let known = model.get_mut(&uid.0).map(|message| message.1 = flags);
                assert_eq!(there, known.is_some());
            }
        }
        let all = world.all().await;
        let seen: Vec<_> = all.iter().map(|m| (m.uid.0, (m.body.size(), m.flags))).collect();
        assert_eq!(seen, model.clone().into_iter().collect::<Vec<_>>());
        for message in &all {
            assert_eq!(*objects.entry(message.uid).or_insert(message.object), message.object);
        }
        let usage = world.mailboxes.usage(account).await.unwrap();
        assert_eq!(usage.messages, model.len() as u64);
        assert_eq!(usage.octets, model.values().map(|(size, _)| size).sum::<u64>());
        let unseen = model.values().filter(|(_, flags)| !flags.contains(Flags::SEEN)).count();
        let counts = world.mailboxes.count(account, inbox).await.unwrap();
        assert_eq!(counts, (model.len() as u64, unseen as u64));
        let now = world.mailboxes.modseq(account).await.unwrap();
        assert!(now >= modseq);
        modseq = now;
    }
    check_log(&world, &model, last).await;
}

/// The log alone tells what is there: replaying it from nothing gives the mailbox.
async fn check_log(world: &World, model: &Model, last: u32) {
    let log = world.mailboxes.log_since(world.account, world.inbox, 0).await.unwrap();
    let mut told: BTreeMap<u32, bool> = BTreeMap::new();
    for change in &log {
        assert_eq!(told.insert(change.uid.0, change.expunged), None, "one live entry per message");
    }
    assert_eq!(told.len() as u32, last);
    for (uid, expunged) in told {
        assert_eq!(expunged, !model.contains_key(&uid));
    }
    for message in world.all().await {
        let entry = log.iter().find(|change| change.uid == message.uid).unwrap();
        assert_eq!(entry.modseq, message.modseq);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_deliveries_keep_order_and_ledger() {
    const TASKS: usize = 8;
    const EACH: usize = 50;
    let world = Arc::new(world().await);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let world = world.clone();
        tasks.spawn(async move {
            for n in 0..EACH {
                world.append(&format!("{task} {n}"), "").await;
                tokio::task::yield_now().await;
            }
        });
    }
    // One reader that only asks for what is new must see every message, and another expunges as they come.
    let reader = tokio::spawn({
        let world = world.clone();
        async move {
            let (mut last, mut modseq, mut gone) = (Uid(0), 0, 0);
            let mut uids = Vec::new();
            while uids.len() < TASKS * EACH {
                let new = world.mailboxes.messages(world.account, world.inbox, last, 7).await.unwrap();
                for message in &new {
                    assert!(message.uid > last && message.object > modseq);
                    (last, modseq) = (message.uid, message.object);
                    uids.push(message.uid);
                }
                if let Some(first) = new.first() {
                    let uids = [first.uid];
                    gone +=
                        world.mailboxes.expunge(world.account, world.inbox, &uids).await.unwrap().messages;
                }
                tokio::task::yield_now().await;
            }
            (uids, gone)
        }
    });
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let (uids, gone) = reader.await.unwrap();
    assert_eq!(uids, (1..=(TASKS * EACH) as u32).map(Uid).collect::<Vec<_>>());
    assert_eq!(world.memory.stats().conflicts, 0);
    let all = world.all().await;
    let usage = world.mailboxes.usage(world.account).await.unwrap();
    assert_eq!(usage.messages, (TASKS * EACH) as u64 - gone);
    assert_eq!(usage.octets, all.iter().map(|m| m.body.size()).sum::<u64>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_expunge_counts_once_however_many_ask_for_it() {
    let world = Arc::new(world().await);
    for n in 0..20 {
        world.append(&format!("message {n}"), "").await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let world = world.clone();
        tasks.spawn(async move {
            let uids: Vec<_> = (1..=20).map(Uid).collect();
            world.mailboxes.expunge(world.account, world.inbox, &uids).await.unwrap().messages
        });
    }
    let mut gone = 0;
    while let Some(messages) = tasks.join_next().await {
        gone += messages.unwrap();
    }
    assert_eq!(gone, 20);
    assert_eq!(world.mailboxes.usage(world.account).await.unwrap(), Usage::default());
    world.memory.storage().blobs.collect().await.unwrap();
    assert_eq!(world.memory.blob_count(), 0);
}

#[tokio::test]
async fn what_a_cut_short_removal_leaves_is_purged() {
    let world = world().await;
    for n in 0..5 {
        world.append(&format!("message {n}"), "").await;
    }
    let mut batch = Batch::new();
    remove_account(&mut batch, world.account);
    world.memory.storage().store.commit(batch).await.unwrap();
    assert_eq!(world.mailboxes.purge_removed().await.unwrap(), 1);
    assert_eq!(world.mailboxes.purge_removed().await.unwrap(), 0);
    let scan = iems_core::storage::Scan::prefix(&[NAMESPACE], 10);
    assert!(world.memory.storage().store.scan(scan).await.unwrap().is_empty());
    world.memory.storage().blobs.collect().await.unwrap();
    assert_eq!(world.memory.blob_count(), 0);
}
