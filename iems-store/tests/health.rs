//! An engine on a disk that fails, slows down or fills up: senders are told early, and it returns by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iems_core::Engine;
use iems_core::Settings;
use iems_core::health::Condition;
use iems_core::message::{ChannelId, Envelope, Reply};
use iems_core::receive::Connection;
use iems_core::seam::SystemClock;
use iems_store::agent::LocalAgent;
use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};
use iems_store::engine::{Embedded, EmbeddedOptions, Fault, SimDisk};
use iems_store::mailbox::Uid;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The mark of a slow commit here.
const SLOW: Duration = Duration::from_millis(100);

struct World {
    disk: SimDisk,
    engine: Engine,
    directory: Arc<StoreDirectory>,
}

async fn world(capacity: Option<u64>) -> World {
    let disk = SimDisk::new();
    if let Some(capacity) = capacity {
        disk.set_capacity(capacity);
    }
    let mut options = EmbeddedOptions::default();
    (options.segment_bytes, options.memtable_bytes, options.pending_bytes) = (1 << 20, 256 << 10, 64 << 10);
    let storage = Embedded::open_on(Arc::new(disk.clone()), options).unwrap().storage();
    let clock = Arc::new(SystemClock);
    let directory = Arc::new(StoreDirectory::new(storage.clone(), clock, DirectoryOptions::default()));
    directory.add_domain(&"example.org".parse().unwrap(), Default::default()).await.unwrap();
    directory.add_account(NewAccount::new("ann@example.org".parse().unwrap())).await.unwrap();
    let mut settings = Settings::default();
    settings.marks.commit_slow = SLOW;
    settings.marks.disk_low = Some(2 << 20);
    let engine = Engine::builder("mx.example.org", storage, directory.clone())
        .agent(Arc::new(LocalAgent::new(directory.clone())))
        .settings(settings)
        .build()
        .unwrap();
    engine.start();
    tokio::time::sleep(Duration::from_millis(50)).await;
    World { disk, engine, directory }
}

impl World {
    /// A message from outside of about so many octets; how far it got otherwise.
    async fn send(&self, size: usize) -> Result<(), (&'static str, Reply)> {
        let peer = Some("203.0.113.9:999".parse().unwrap());
        let connection = Connection::new(ChannelId::new("smtp"), peer);
        let mut session = self.engine.intake().open(connection).await.map_err(|reply| ("connect", reply))?;
        let envelope = Envelope::new("<x@example.net>".parse().unwrap());
        let mut transaction = session.begin(envelope, 0).await.map_err(|reply| ("begin", reply))?;
        let id = transaction.id();
        let to = "<ann@example.org>".parse().unwrap();
        transaction.recipient(to, None, None).await.map_err(|reply| ("recipient", reply))?;
        let text = format!("Subject: {id}\r\n\r\n{}\r\n", "x".repeat(size));
        transaction.write(text.into()).await.map_err(|reply| ("body", reply))?;
        transaction.commit().await.map(drop).map_err(|reply| ("end", reply))
    }

    async fn refused(&self, step: &str, reply: &str) {
        let (at, refused) = self.send(1000).await.unwrap_err();
        assert_eq!((at, refused.to_string().as_str()), (step, reply), "{:?}", refused.cause);
    }

    async fn returns(&self) {
        let start = Instant::now();
        while let Err((at, reply)) = self.send(1000).await {
            assert!(start.elapsed() < PATIENCE, "{at}: {reply} {:?}", self.engine.health());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.engine.health().condition, Condition::Healthy);
    }

    async fn messages(&self) -> usize {
        let ann = self.directory.account(&"ann@example.org".parse().unwrap()).await.unwrap().unwrap();
        let mailboxes = self.directory.mailboxes();
        let inbox = mailboxes.find(ann.id, "INBOX").await.unwrap().unwrap();
        mailboxes.messages(ann.id, inbox, Uid(0), 1000).await.unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_fails_turns_peers_away_until_it_works() {
    let world = world(None).await;
    world.send(1000).await.unwrap();
    world.disk.fail_after(0, u64::MAX, Fault::Io);
    world.refused("end", "451 4.3.0 storage does not work now; try again later").await;
    world.refused("connect", "421 4.3.0 storage does not work now; try again later").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(world.engine.health().condition, Condition::Failing);
    assert!(world.engine.health().probes.failed > 0);
    world.disk.heal();
    world.returns().await;
    assert_eq!(world.messages().await, 2, "nothing is lost, and nothing refused is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_device_keeps_peers_waiting_until_it_is_quick() {
    let world = world(None).await;
    world.disk.slow_syncs(SLOW * 3);
    let mut sent = 0;
    while world.engine.health().condition == Condition::Healthy {
        world.send(1000).await.unwrap();
        sent += 1;
        assert!(sent < 10, "{:?}", world.engine.health());
    }
    assert_eq!(world.engine.health().condition, Condition::Slow);
    world.refused("begin", "451 4.3.2 storage is too slow for more messages now; try again later").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(world.engine.health().condition, Condition::Slow, "probes are slow as well");
    world.disk.slow_syncs(Duration::ZERO);
    world.returns().await;
    assert_eq!(world.messages().await, sent + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_is_low_before_it_is_full() {
    let world = world(Some(24 << 20)).await;
    let mut sent = 0;
    let (at, reply) = loop {
        match world.send(50_000).await {
            Ok(()) => sent += 1,
            Err(refused) => break refused,
        }
        assert!(sent < 1000, "the mark is never reached");
    };
    assert_eq!(
        (at, reply.to_string().as_str()),
        ("begin", "452 4.3.1 little space is left for mail; try again later")
    );
    let health = world.engine.health();
    assert!(health.condition == Condition::Low && health.delivers, "{health:?}");
    let room = health.room.unwrap();
    assert!(room.free < 2 << 20 && room.total == 24 << 20, "{room:?}");
    world.disk.set_capacity(48 << 20);
    world.returns().await;
    assert_eq!(world.messages().await, sent + 1);
}
