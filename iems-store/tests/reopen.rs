//! Directory, delivery and mailboxes on the embedded engine: what was committed is there after opening it again.

use std::sync::Arc;

use bytes::Bytes;
use iems_core::deliver::{Attempt, DeliveryAgent, Destination, Outcome};
use iems_core::message::{Body, Envelope, Mailbox, QueueId, Recipient, ReversePath};
use iems_core::preprocess::Policy;
use iems_core::seam::{Directory, Resolution, SystemClock, Timestamp};
use iems_core::storage::Storage;
use iems_store::agent::LocalAgent;
use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};
use iems_store::engine::{Embedded, EmbeddedOptions};
use iems_store::mailbox::{Uid, Usage};

const ANN: &str = "ann@example.org";

fn ann() -> Mailbox {
    ANN.parse().unwrap()
}

fn directory(storage: &Storage) -> Arc<StoreDirectory> {
    let mut options = DirectoryOptions::default();
    (options.passwords.memory, options.passwords.passes) = (16, 1);
    Arc::new(StoreDirectory::new(storage.clone(), Arc::new(SystemClock), options))
}

async fn attempt(storage: &Storage, number: usize) -> Attempt {
    let text = format!("Subject: {number}\r\n\r\n");
    let mut writer = storage.blobs.create().await.unwrap();
    writer.write(Bytes::from(text.clone())).await.unwrap();
    let (blob, size) = (writer.finish().await.unwrap(), text.len() as u64);
    let body = Body { prefix: Bytes::new(), blob, blob_size: size, header_size: size };
    let now = Timestamp::from_millis(1_790_000_000_000);
    let decision = Policy::new().decide(&[]);
    let destination =
        Destination { mailbox: ann(), detail: None, recipient: Recipient::new(ann()), decision };
    Attempt {
        id: QueueId::from_bytes([0; 16]),
        number: 1,
        envelope: Arc::new(Envelope::new(ReversePath::Null)),
        body,
        blobs: storage.blobs.clone(),
        destinations: vec![destination],
        verdicts: Arc::from([]),
        upstream: None,
        arrived: now,
        now,
    }
}

async fn deliver(storage: &Storage, agent: &LocalAgent, number: usize) {
    let delivery = agent.deliver(&attempt(storage, number).await).await;
    assert!(matches!(delivery.outcomes[0], Outcome::Done(..)));
    storage.store.commit(delivery.effects.batch).await.unwrap();
}

/// UIDs, and the octets of all messages as they can be read.
async fn look(directory: &StoreDirectory) -> (Vec<u32>, Usage) {
    let info = directory.account(&ann()).await.unwrap().unwrap();
    let mailboxes = directory.mailboxes();
    let all = mailboxes.messages(info.id, info.inbox, Uid(0), 100).await.unwrap();
    let mut read = 0;
    for message in &all {
        read += message.body.reader(mailboxes.blobs()).rest().await.unwrap().len() as u64;
    }
    let usage = mailboxes.usage(info.id).await.unwrap();
    assert_eq!((usage.octets, usage.messages), (read, all.len() as u64));
    (all.iter().map(|message| message.uid.0).collect(), usage)
}

#[tokio::test]
async fn what_was_delivered_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let storage = engine.storage();
    let directory_before = directory(&storage);
    directory_before.add_domain(&"example.org".parse().unwrap(), Default::default()).await.unwrap();
    directory_before.add_account(NewAccount::new(ann()).with_password("secret")).await.unwrap();
    let agent = LocalAgent::new(directory_before.clone());
    for number in 0..10 {
        deliver(&storage, &agent, number).await;
    }
    let info = directory_before.account(&ann()).await.unwrap().unwrap();
    let some = [Uid(2), Uid(5), Uid(10)];
    directory_before.mailboxes().expunge(info.id, info.inbox, &some).await.unwrap();
    let before = look(&directory_before).await;
    drop((agent, directory_before, storage));
    engine.close().unwrap();
    drop(engine);

    let engine = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let storage = engine.storage();
    let directory = directory(&storage);
    assert!(matches!(directory.resolve(&ann()).await.unwrap(), Resolution::Targets(_)));
    assert!(directory.check_password(ANN, "secret").await.unwrap().is_some());
    assert_eq!(look(&directory).await, before);
    deliver(&storage, &LocalAgent::new(directory.clone()), 10).await;
    assert_eq!(look(&directory).await.0, [1, 3, 4, 6, 7, 8, 9, 11], "no UID comes twice");
    directory.remove_account(&ann()).await.unwrap();
    assert_eq!(directory.resolve(&ann()).await.unwrap(), Resolution::Unknown);
    engine.close().unwrap();
}
