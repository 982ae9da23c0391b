//! Trouble with storage and memory, as peers, local programs, the queue and an operator see it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::moody::{Mood, Moody};
use common::*;
use iems_core::Engine;
use iems_core::health::Condition;
use iems_core::message::{ChannelId, Envelope, Reply};
use iems_core::receive::{Connection, Receipt};
use iems_core::seam::Memory;
use iems_core::storage::{MemoryStorage, Store, StoreError};

/// An engine on storage with a mood.
struct World {
    engine: Engine,
    memory: Arc<MemoryStorage>,
    moody: Arc<Moody>,
    far: Arc<Far>,
    /// Bytes of memory that the process is said to hold, of a thousand.
    held: Arc<AtomicU64>,
}

async fn world() -> World {
    world_of(None).await
}

/// The same, with room for so many bytes of bodies.
async fn world_of(capacity: Option<u64>) -> World {
    let clock = PausedClock::new();
    let memory = MemoryStorage::with_clock(clock.clone());
    memory.set_capacity(capacity);
    let (moody, far) = (Moody::new(memory.storage()), Far::new(&[]));
    let held = Arc::new(AtomicU64::new(0));
    let gauge = held.clone();
    let engine = builder(moody.storage(), clock, &far, &Boxes::new())
        .memory(Arc::new(move || Some(Memory { used: gauge.load(Ordering::SeqCst), most: 1000 })))
        .build()
        .unwrap();
    engine.start();
    pass(1).await;
    World { engine, memory, moody, far, held }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn stranger() -> Connection {
    Connection::new(ChannelId::new("smtp"), Some("203.0.113.9:999".parse().unwrap()))
}

/// A message from outside, and how far it got: `connect`, `begin`, `recipient`, `body` or `end`.
async fn from_outside(engine: &Engine) -> Result<Receipt, (&'static str, String)> {
    let at = |step| move |reply: Reply| (step, reply.to_string());
    let mut session = engine.intake().open(stranger()).await.map_err(at("connect"))?;
    let envelope = Envelope::new("<x@far.example>".parse().unwrap());
    let mut transaction = session.begin(envelope, 0).await.map_err(at("begin"))?;
    let to = "<a@here.example>".parse().unwrap();
    transaction.recipient(to, None, None).await.map_err(at("recipient"))?;
    transaction.write(Bytes::from_static(TEXT.as_bytes())).await.map_err(at("body"))?;
    transaction.commit().await.map_err(at("end"))
}

impl World {
    #[track_caller]
    fn is(&self, condition: Condition) {
        let health = self.engine.health();
        assert_eq!(health.condition, condition, "{health:?}");
    }

    async fn refused(&self, step: &str, reply: &str) {
        assert_eq!(from_outside(&self.engine).await.unwrap_err(), (step, reply.to_owned()));
    }

    async fn local(&self, to: &str) -> Result<Receipt, Reply> {
        send(&self.engine, "a@here.example", &[to]).await
    }

    /// Everything is taken again, and the probes have left nothing behind.
    async fn returns(&self) {
        self.moody.set(Mood::Well);
        pass(8).await;
        self.is(Condition::Healthy);
        from_outside(&self.engine).await.unwrap();
        assert_eq!(self.memory.get(b"hp").await.unwrap(), None, "the row of the probe stays");
        assert!(drained(&self.engine).await);
        pass(2 * 3600).await;
        assert_eq!(self.memory.blob_count(), 0, "a body of a probe stays");
    }
}

#[tokio::test(start_paused = true)]
async fn while_writes_fail_peers_are_turned_away_and_nothing_is_delivered() {
    let world = world().await;
    world.moody.set(Mood::Broken);
    let broken = "4.3.0 storage does not work now; try again later";
    world.refused("body", &format!("451 {broken}")).await;
    world.is(Condition::Failing);
    world.refused("connect", &format!("421 {broken}")).await;
    assert_eq!(world.local("b@here.example").await.unwrap_err().to_string(), format!("451 {broken}"));
    let health = world.engine.health();
    assert!(
        !health.delivers && health.refused == 2 && health.troubles[0].reason.contains("as the test wants it")
    );
    pass(60).await;
    assert!(world.engine.health().probes.failed >= 6, "{:?}", world.engine.health().probes);
    assert!(world.engine.health().probes.failed <= 16, "probes are bounded");
    world.returns().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_delivered_outside_can_be_recorded() {
    let world = world().await;
    *world.far.down.lock().unwrap() = Some(Reply::defer(4, 1, "down"));
    world.local("x@far.example").await.unwrap();
    pass(5).await;
    *world.far.down.lock().unwrap() = None;
    world.moody.set(Mood::Stuffed);
    world.refused("body", "452 4.3.1 there is no space for mail now; try again later").await;
    pass(3600).await;
    assert_eq!(world.far.copies("x@far.example"), 0, "delivered while no outcome could be recorded");
    world.returns().await;
    assert_eq!(world.far.copies("x@far.example"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_at_once_and_goes_on_delivering() {
    let world = world().await;
    *world.far.down.lock().unwrap() = Some(Reply::defer(4, 1, "down"));
    world.local("x@far.example").await.unwrap();
    pass(5).await;
    world.moody.set(Mood::Full);
    let full = "452 4.3.1 there is no space for mail now; try again later";
    world.refused("body", full).await;
    world.refused("begin", full).await;
    assert_eq!(world.local("b@here.example").await.unwrap_err().to_string(), full);
    *world.far.down.lock().unwrap() = None;
    pass(3600).await;
    world.is(Condition::Full);
    assert_eq!(world.far.copies("x@far.example"), 1, "delivery would make room");
    world.returns().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_under_way_is_refused_before_it_is_sent() {
    let world = world().await;
    let mut session = world.engine.intake().open(stranger()).await.unwrap();
    let envelope = Envelope::new("<x@far.example>".parse().unwrap());
    let mut first = session.begin(envelope.clone(), 0).await.unwrap();
    let mut second = session.begin(envelope, 0).await.unwrap();
    first.recipient("<a@here.example>".parse().unwrap(), None, None).await.unwrap();
    world.moody.set(Mood::Full);
    world.refused("body", "452 4.3.1 there is no space for mail now; try again later").await;
    let written = world.memory.stats().blobs_written;
    assert_eq!(first.write(Bytes::from_static(b"Subject: x\r\n")).await.unwrap_err().code, 452);
    let reply = second.recipient("<a@here.example>".parse().unwrap(), None, None).await.unwrap_err();
    assert_eq!(reply.to_string(), "452 4.3.1 there is no space for mail now; try again later");
    assert_eq!(first.commit().await.unwrap_err().code, 452);
    assert_eq!(world.memory.stats().blobs_written, written);
    // A session that stayed open goes on where it was.
    world.returns().await;
    assert!(session.begin(Envelope::new("<x@far.example>".parse().unwrap()), 0).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn late_commits_keep_the_outside_waiting_until_probes_are_quick() {
    let world = world().await;
    world.moody.set(Mood::Slow(Duration::from_secs(6)));
    for _ in 0..2 {
        from_outside(&world.engine).await.unwrap();
        world.is(Condition::Healthy);
    }
    from_outside(&world.engine).await.unwrap();
    world.is(Condition::Slow);
    let slow = "451 4.3.2 storage is too slow for more messages now; try again later";
    world.refused("begin", slow).await;
    world.local("b@here.example").await.unwrap();
    assert!(world.engine.health().delivers, "outcomes can be recorded, late");
    assert_eq!(world.engine.health().commits.longest, Duration::from_secs(6));
    pass(120).await;
    world.refused("begin", slow).await;
    world.returns().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_hangs_is_noticed_before_it_returns() {
    let world = world().await;
    *world.far.down.lock().unwrap() = Some(Reply::defer(4, 1, "down"));
    world.local("x@far.example").await.unwrap();
    pass(5).await;
    *world.far.down.lock().unwrap() = None;
    world.moody.set(Mood::Hung);
    let World { engine, .. } = &world;
    let waiting = async {
        pass(6).await;
        world.refused("begin", "451 4.3.2 storage is too slow for more messages now; try again later").await;
        world.is(Condition::Slow);
        assert!(!engine.health().delivers && engine.health().commits.under_way == 1);
        pass(120).await;
        assert_eq!(world.far.copies("x@far.example"), 0);
        world.is(Condition::Failing);
        world.moody.set(Mood::Well);
    };
    let (sent, ()) = tokio::join!(from_outside(engine), waiting);
    sent.unwrap();
    world.returns().await;
    assert_eq!(world.far.copies("x@far.example"), 1);
}

#[tokio::test(start_paused = true)]
async fn low_room_is_kept_for_what_is_here() {
    let world = world_of(Some(100_000)).await;
    *world.far.down.lock().unwrap() = Some(Reply::defer(4, 1, "down"));
    let body = TEXT.to_owned() + &"x".repeat(4000);
    let mut sent = 0;
    while world.engine.health().condition == Condition::Healthy {
        let text = body.clone() + &sent.to_string();
        send_text(&world.engine, "a@here.example", &["x@far.example"], &text).await.unwrap();
        sent += 1;
        assert!(sent < 30, "the mark is never reached");
        tokio::time::sleep(Duration::from_millis(10)).await; // the watch measures because so much was taken
    }
    world.is(Condition::Low);
    world.refused("begin", "452 4.3.1 little space is left for mail; try again later").await;
    world.local("b@here.example").await.unwrap();
    let room = world.engine.health().room.unwrap();
    assert!(room.free < 5000 && room.total == 100_000, "{room:?}");
    *world.far.down.lock().unwrap() = None;
    assert!(drained(&world.engine).await, "what is here is delivered");
    pass(8 * 24 * 3600).await; // the collection, and the story is forgotten
    world.is(Condition::Healthy);
    from_outside(&world.engine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn short_memory_costs_no_connection_more() {
    let world = world().await;
    let mut early = world.engine.intake().open(stranger()).await.unwrap();
    world.held.store(801, Ordering::SeqCst);
    pass(11).await;
    world.is(Condition::Memory);
    world.refused("connect", "421 4.3.2 too little memory for another connection; try again later").await;
    let begun = early.begin(Envelope::new("<x@far.example>".parse().unwrap()), 0).await;
    let reply = begun.map(drop).unwrap_err().to_string();
    assert_eq!(reply, "452 4.3.1 too little memory for another message now; try again later");
    world.local("b@here.example").await.unwrap();
    world.held.store(750, Ordering::SeqCst);
    pass(11).await;
    world.is(Condition::Memory);
    world.held.store(700, Ordering::SeqCst);
    world.returns().await;
}

#[tokio::test(start_paused = true)]
async fn marks_are_replaced_in_flight() {
    let world = world().await;
    world.held.store(600, Ordering::SeqCst);
    let mut settings = world.engine.settings();
    settings.marks.memory_high = Some(500);
    world.engine.replace(settings.clone());
    pass(1).await;
    world.is(Condition::Memory);
    settings.marks.memory_high = Some(0);
    world.engine.replace(settings);
    pass(1).await;
    world.is(Condition::Healthy);
}

#[tokio::test(start_paused = true)]
async fn two_engines_on_one_storage_do_not_stand_in_each_others_way() {
    let one = world().await;
    let other = builder(one.moody.storage(), PausedClock::new(), &one.far, &Boxes::new()).build().unwrap();
    other.start();
    one.moody.set(Mood::Broken);
    one.refused("body", "451 4.3.0 storage does not work now; try again later").await;
    assert_eq!(from_outside(&other).await.unwrap_err().0, "body");
    pass(60).await;
    one.moody.set(Mood::Well);
    pass(15).await;
    assert_eq!(other.health().condition, Condition::Healthy);
    other.shutdown(Duration::from_secs(5)).await;
    one.returns().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_not_started_latches_nothing() {
    let (memory, far) = (MemoryStorage::new(), Far::new(&[]));
    let engine = builder(memory.storage(), PausedClock::new(), &far, &Boxes::new()).build().unwrap();
    memory.fail_after(0, StoreError::Io("a moment".into()));
    assert_eq!(from_outside(&engine).await.unwrap_err().0, "body");
    memory.heal();
    from_outside(&engine).await.unwrap();
}
