//! Whole worlds around an engine, each from a seed; every rule of `iems_core::sim` is asked after every step.
//!
//! A failure names its seed, which `cargo run --bin simulate_a_week -- SEED --minutes` plays again (a seed of the others
//! with `--nodes`, or without either). Below them stand what the worlds found, each as a small story of its own.
#![cfg(feature = "sim")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iems_core::message::{ChannelId, Envelope, NextHop};
use iems_core::queue::{Extent, Filter, Order};
use iems_core::receive::Connection;
use iems_core::route::{RouteTable, Via};
use iems_core::sim::*;
use iems_core::storage::MemoryStorage;
use iems_core::{Engine, Settings};

/// Short worlds in all, and the tests they are split into: one for each processor of a small machine.
const SHORT: u64 = 2000;

/// Lines of the trace that a failure shows.
const LINES: usize = 60;

/// Plays the seeds, and tells of the first one that breaks a rule.
fn play(seeds: std::ops::Range<u64>, plan: &Plan) {
    for seed in seeds {
        let report = simulate(seed, plan).expect("a runtime");
        if let Some(violation) = &report.violation {
            let from = report.trace.len().saturating_sub(LINES);
            panic!("seed {seed}\n{}\n{violation}", report.trace[from..].join("\n"));
        }
    }
}

#[test]
fn every_rule_holds_in_the_first_half_of_the_short_worlds() {
    play(0..SHORT / 2, &Plan::minutes());
}

#[test]
fn every_rule_holds_in_the_second_half_of_the_short_worlds() {
    play(SHORT / 2..SHORT, &Plan::minutes());
}

#[test]
fn every_rule_holds_where_two_engines_share_a_store() {
    play(0..SHORT / 4, &Plan::nodes());
}

#[test]
fn every_rule_holds_for_a_week() {
    play(0..1, &Plan::days(7));
}

#[test]
fn equal_seeds_are_equal_worlds() {
    for seed in 0..40 {
        let [one, two] = [(); 2].map(|()| simulate(seed, &Plan::minutes()).expect("a runtime"));
        assert_eq!(one.fingerprint, two.fingerprint, "seed {seed}:\n{one}\n{two}");
    }
}

/// An engine among the parts of the kit, with one place far away.
struct Lab {
    clock: Arc<SimClock>,
    storage: SimStorage,
    peers: SimPeers,
    engine: Engine,
}

impl Lab {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let (dice, life, clock) = (Dice::new(1), Life::new(), Arc::new(SimClock::new()));
        let below = MemoryStorage::with_clock(clock.clone()).storage();
        let storage = SimStorage::new(below, life.clone(), dice.apart("disk"));
        let peers = SimPeers::new(clock.clone(), dice.apart("peers"));
        let mut settings = Settings::default();
        let via = Via::Channel { channel: ChannelId::new("far"), hop: None };
        settings.routes = RouteTable::new().with("*".parse().unwrap(), via);
        change(&mut settings);
        let directory = SimDirectory::new(dice.apart("directory"));
        let engine = Engine::builder("mx.here.example", storage.storage(), directory)
            .clock(clock.clone())
            .random(Arc::new(dice.apart("engine")))
            .output(peers.channel(1, life))
            .settings(settings)
            .build()
            .unwrap();
        engine.start();
        Self { clock, storage, peers, engine }
    }

    async fn send(&self, number: u64) {
        let mut session =
            self.engine.intake().open(Connection::new(ChannelId::new("door"), None)).await.unwrap();
        let mut transaction = session.begin(Envelope::new("<>".parse().unwrap()), 0).await.unwrap();
        transaction.recipient("<u@far0.example>".parse().unwrap(), None, None).await.unwrap();
        transaction.write(Bytes::from(letter(number, "", 100))).await.unwrap();
        transaction.commit().await.unwrap();
    }

    fn taken(&self) -> usize {
        self.peers.news().iter().filter(|contact| matches!(contact.step, Step::Taken(_))).count()
    }
}

fn slow_place(mood: Mood) -> Manner {
    let second = Duration::from_secs(1);
    Manner { latency: (second, second), mood }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_takes_longer_than_the_wait_forgets_nothing() {
    let lab = Lab::new(|settings| settings.peers.default.schedule.retry = vec![Duration::from_secs(5)]);
    lab.peers.set_manner("far0.example", slow_place(Mood::Greylisting(Duration::from_secs(4))));
    lab.send(1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    lab.storage.plan(0, 1, Fault::Slow(Duration::from_secs(20)));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(lab.taken(), 1);
}

/// The hop that it leaves knows it as ready, and must not try it beside the one that it goes through.
#[tokio::test(start_paused = true)]
async fn what_is_sent_through_another_place_is_tried_there_alone() {
    let lab = Lab::new(|settings| settings.peers.default.concurrency = 1);
    let slow = Manner { latency: (Duration::from_secs(20), Duration::from_secs(20)), mood: Mood::Well };
    lab.peers.set_manner("far0.example", slow_place(Mood::Well));
    lab.peers.set_manner("far1.example", slow);
    lab.send(1).await;
    lab.send(2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let queue = lab.engine.queue();
    let waiting = queue.list(&Filter::default(), 10).await.unwrap();
    let mut filter = Filter::default();
    filter.id = Some(waiting.iter().find(|entry| !entry.in_flight).expect("one waits").id);
    let order = Order::Via(ChannelId::new("far"), NextHop::new("far1.example"));
    let done = queue.carry_out(&order, &filter, &Extent::default()).await.unwrap();
    assert_eq!(done.changed, 1);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let contacts = lab.peers.news();
    let begun = contacts.iter().filter(|one| Some(one.id) == filter.id && matches!(one.step, Step::Begun));
    assert_eq!(begun.count(), 1, "{contacts:?}");
    assert!(queue.list(&Filter::default(), 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_forgets_nothing() {
    let lab = Lab::new(|settings| settings.peers.default.concurrency = 1);
    lab.peers.set_manner("far0.example", slow_place(Mood::Well));
    lab.send(1).await;
    lab.send(2).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    lab.clock.jump(-60_000);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(lab.taken(), 2);
}
