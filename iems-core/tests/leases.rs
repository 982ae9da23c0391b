//! Several engines on one store: they divide the hops, take over from one that dies, and fence one that comes back.

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::{Boxes, PausedClock, mailbox, send, settings};
use iems_core::Engine;
use iems_core::deliver::*;
use iems_core::message::*;
use iems_core::queue::{Filter, Queue};
use iems_core::seam::*;
use iems_core::storage::*;
use tokio::sync::watch;

/// What the far side got: by message, the node that brought it and when.
type Arrived = Arc<Mutex<Vec<(QueueId, &'static str, Timestamp)>>>;

/// One engine's machine: it can be frozen, with everything in it.
#[derive(Clone)]
struct Machine {
    name: &'static str,
    id: ChannelId,
    clock: Arc<PausedClock>,
    inner: Storage,
    running: watch::Sender<bool>,
    arrived: Arrived,
    pace: Duration,
}

impl Machine {
    async fn runs(&self) {
        let mut running = self.running.subscribe();
        let _ = running.wait_for(|runs| *runs).await;
    }

    fn freeze(&self) {
        self.running.send_replace(false);
    }

    fn thaw(&self) {
        self.running.send_replace(true);
    }
}

#[async_trait]
impl Store for Machine {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.runs().await;
        self.inner.store.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.runs().await;
        self.inner.store.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.runs().await;
        self.inner.store.commit(batch).await
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.inner.store.watch(prefix)
    }
}

#[async_trait]
impl Channel for Machine {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn open(&self, _: &NextHop) -> Result<Box<dyn Link>, Reply> {
        self.runs().await;
        Ok(Box::new(Line(self.clone())))
    }
}

struct Line(Machine);

#[async_trait]
impl Link for Line {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let machine = &self.0;
        machine.runs().await;
        tokio::time::sleep(machine.pace).await;
        machine.runs().await;
        machine.arrived.lock().unwrap().push((attempt.id, machine.name, machine.clock.now()));
        vec![common::ok(); attempt.destinations.len()]
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}

struct World {
    memory: Arc<MemoryStorage>,
    clock: Arc<PausedClock>,
    arrived: Arrived,
    machines: Vec<(Machine, Option<Engine>)>,
}

impl World {
    fn new(names: &[&'static str], pace: Duration) -> Self {
        let (memory, clock, arrived) = (MemoryStorage::new(), PausedClock::new(), Arrived::default());
        let machines = names.iter().enumerate().map(|(seed, name)| {
            let machine = Machine {
                name,
                id: ChannelId::new("smtp"),
                clock: clock.clone(),
                inner: memory.storage(),
                running: watch::Sender::new(true),
                arrived: arrived.clone(),
                pace,
            };
            let store: Arc<dyn Store> = Arc::new(machine.clone());
            let storage = Storage { store, blobs: memory.storage().blobs };
            let engine = Engine::builder("mx.here.example", storage, Arc::new(common::Names))
                .clock(clock.clone())
                .random(Arc::new(SeededRandom::new(seed as u64)))
                .output(Arc::new(machine.clone()))
                .agent(Boxes::new())
                .settings(settings())
                .shared(name)
                .build()
                .unwrap();
            engine.start();
            (machine, Some(engine))
        });
        let machines = machines.collect();
        Self { memory, clock, arrived, machines }
    }

    fn engine(&self, at: usize) -> &Engine {
        self.machines[at].1.as_ref().unwrap()
    }

    /// The machine is gone from one moment to the next.
    fn kill(&mut self, at: usize) {
        self.machines[at].0.freeze();
        self.machines[at].1.take();
    }

    async fn queued(&self) -> usize {
        let queue = Queue::at_rest(self.memory.storage(), self.clock.clone());
        queue.list(&Filter::default(), 100_000).await.unwrap().len()
    }

    /// How often each message arrived.
    fn copies(&self) -> BTreeMap<QueueId, usize> {
        let mut copies = BTreeMap::new();
        self.arrived.lock().unwrap().iter().for_each(|(id, ..)| *copies.entry(*id).or_default() += 1);
        copies
    }

    async fn wait_until_empty(&self, most: Duration) {
        let begun = tokio::time::Instant::now();
        while self.queued().await > 0 {
            assert!(begun.elapsed() < most, "{} still wait", self.queued().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn engines_on_one_store_deliver_each_message_once() {
    let world = World::new(&["one", "two", "three"], Duration::from_millis(20));
    tokio::time::sleep(SECOND * 2).await;
    for n in 0..600 {
        let to = format!("x@h{}.example", n % 40);
        send(world.engine(n % 3), "a@here.example", &[&to]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    world.wait_until_empty(SECOND * 60).await;
    assert!(world.copies().values().all(|n| *n == 1), "nothing twice");
    assert_eq!(world.copies().len(), 600);
    for name in ["one", "two", "three"] {
        let own = world.arrived.lock().unwrap().iter().filter(|(_, by, _)| *by == name).count();
        assert!(own > 50, "{name} carried {own}");
    }
}

#[tokio::test(start_paused = true)]
async fn local_mail_is_delivered_once_whoever_takes_it() {
    let world = World::new(&["one", "two"], Duration::from_millis(20));
    for n in 0..60 {
        send(world.engine(n % 2), "c@here.example", &["team@here.example"]).await.unwrap();
    }
    world.wait_until_empty(SECOND * 60).await;
    assert_eq!(mailbox(&world.memory.storage(), "a").await.len(), 60);
    assert_eq!(mailbox(&world.memory.storage(), "b").await.len(), 60);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_node_worked_for_is_taken_over_within_five_seconds() {
    let mut world = World::new(&["one", "two"], Duration::from_millis(500));
    tokio::time::sleep(SECOND * 2).await;
    for n in 0..400 {
        send(world.engine(0), "a@here.example", &[&format!("x@h{}.example", n % 10)]).await.unwrap();
    }
    tokio::time::sleep(SECOND).await;
    let (before, died) = (world.copies().len(), world.clock.now());
    assert!(before > 0, "the first one was at work");
    world.kill(0);
    world.wait_until_empty(SECOND * 60).await;
    let arrived = world.arrived.lock().unwrap().clone();
    let takeover = arrived.iter().filter(|(_, by, _)| *by == "two").map(|(.., when)| *when).min().unwrap();
    assert!(takeover.since(died) < SECOND * 5 + Duration::from_millis(500), "{:?}", takeover.since(died));
    let copies = world.copies();
    assert_eq!(copies.len(), 400, "nothing is lost");
    assert!(copies.values().all(|n| *n == 1), "what was under way did not arrive before the death");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_is_fenced_off() {
    let world = World::new(&["one", "two"], Duration::from_millis(500));
    tokio::time::sleep(SECOND * 2).await;
    for n in 0..300 {
        send(world.engine(0), "a@here.example", &[&format!("x@h{}.example", n % 10)]).await.unwrap();
    }
    tokio::time::sleep(SECOND).await;
    world.machines[0].0.freeze();
    tokio::time::sleep(SECOND * 20).await;
    let taken: Vec<QueueId> = world.copies().into_keys().collect();
    let frozen_at = world.arrived.lock().unwrap().len();
    world.machines[0].0.thaw();
    world.wait_until_empty(SECOND * 60).await;
    tokio::time::sleep(SECOND * 5).await;
    let copies = world.copies();
    assert_eq!(copies.len(), 300);
    let twice: Vec<_> = copies.iter().filter(|(_, n)| **n > 1).collect();
    let late = world.arrived.lock().unwrap()[frozen_at..].iter().filter(|(_, by, _)| *by == "one").count();
    assert!(twice.len() <= 60 && twice.iter().all(|(id, n)| **n == 2 && taken.contains(id)), "{twice:?}");
    assert!(late >= twice.len(), "only what was on the wire when it froze");
    let story = Queue::at_rest(world.memory.storage(), world.clock.clone());
    for (id, _) in twice {
        let story = story.explain(*id).await.unwrap().unwrap();
        let attempts = format!("{story}").matches("attempt 1 through").count();
        assert_eq!(attempts, 1, "the fenced attempt is not recorded");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_politely_hands_over_at_once() {
    let mut world = World::new(&["one", "two"], Duration::from_millis(100));
    tokio::time::sleep(SECOND * 2).await;
    for n in 0..400 {
        send(world.engine(0), "a@here.example", &[&format!("x@h{}.example", n % 5)]).await.unwrap();
    }
    tokio::time::sleep(SECOND / 2).await;
    let one = world.machines[0].1.take().unwrap();
    one.shutdown(SECOND * 5).await;
    let left = world.clock.now();
    drop(one);
    world.wait_until_empty(SECOND * 60).await;
    let arrived = world.arrived.lock().unwrap().clone();
    let first = arrived.iter().filter(|(_, by, _)| *by == "two").map(|(.., when)| *when).min().unwrap();
    assert!(first.since(left) < SECOND * 4, "{:?}", first.since(left));
    assert!(world.copies().values().all(|n| *n == 1));
    assert_eq!(world.copies().len(), 400);
}
