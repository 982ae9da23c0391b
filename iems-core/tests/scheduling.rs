//! Whose turn it is: sites, hops and lanes beside each other, with a far side whose pace and moods are set for each hop.

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::{Boxes, PausedClock, drained, mailbox, send};
use iems_core::deliver::*;
use iems_core::message::*;
use iems_core::queue::{Filter, Peer, Priority, Rate};
use iems_core::route::{RouteTable, Via};
use iems_core::seam::*;
use iems_core::storage::MemoryStorage;
use iems_core::{Engine, Settings};

/// How a hop takes messages.
#[derive(Debug, Clone)]
struct Mood {
    /// Time for one message.
    pace: Duration,
    /// Refuses links.
    refuses: bool,
    /// Takes at most so many links at a time.
    links: usize,
    /// Breaks every transaction off.
    breaks: bool,
}

const WELL: Mood = Mood { pace: Duration::from_millis(20), refuses: false, links: usize::MAX, breaks: false };

#[derive(Default)]
struct State {
    moods: HashMap<String, Mood>,
    sites: HashMap<String, String>,
    open: HashMap<String, usize>,
    tried: HashMap<String, usize>,
    /// Hop, sender and time of what arrived.
    arrived: Vec<(String, String, Timestamp)>,
    most_open: HashMap<String, usize>,
}

/// A channel to a world of hops.
#[derive(Clone)]
struct World {
    id: ChannelId,
    clock: Arc<PausedClock>,
    state: Arc<Mutex<State>>,
}

impl World {
    fn new() -> Self {
        Self { id: ChannelId::new("smtp"), clock: PausedClock::new(), state: Arc::default() }
    }

    fn set(&self, hop: &str, mood: Mood) {
        self.state.lock().unwrap().moods.insert(hop.into(), mood);
    }

    fn shares_site(&self, hop: &str, site: &str) {
        self.state.lock().unwrap().sites.insert(hop.into(), site.into());
    }

    fn tried(&self, hop: &str) -> usize {
        self.state.lock().unwrap().tried.get(hop).copied().unwrap_or(0)
    }

    fn arrived(&self, hop: &str) -> Vec<(String, Timestamp)> {
        let state = self.state.lock().unwrap();
        state.arrived.iter().filter(|(at, ..)| at == hop).map(|(_, who, when)| (who.clone(), *when)).collect()
    }

    fn most_open(&self, hop: &str) -> usize {
        self.state.lock().unwrap().most_open.get(hop).copied().unwrap_or(0)
    }

    fn engine(&self, memory: &Arc<MemoryStorage>, change: impl FnOnce(&mut Settings)) -> Engine {
        let mut settings = Settings::default();
        let via = Via::Channel { channel: self.id.clone(), hop: None };
        settings.routes = RouteTable::new().with("*".parse().unwrap(), via);
        change(&mut settings);
        Engine::builder("mx.here.example", memory.storage(), Arc::new(common::Names))
            .clock(self.clock.clone())
            .random(Arc::new(SeededRandom::new(7)))
            .output(Arc::new(self.clone()))
            .agent(Boxes::new())
            .settings(settings)
            .build()
            .unwrap()
    }
}

#[async_trait]
impl Channel for World {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn site(&self, hop: &NextHop) -> Site {
        let state = self.state.lock().unwrap();
        Site::new(state.sites.get(hop.as_str()).map_or(hop.as_str(), String::as_str))
    }

    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        let hop = hop.to_string();
        {
            let mut state = self.state.lock().unwrap();
            *state.tried.entry(hop.clone()).or_default() += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut state = self.state.lock().unwrap();
        let mood = state.moods.get(&hop).cloned().unwrap_or(WELL);
        let open = state.open.entry(hop.clone()).or_default();
        if mood.refuses || *open >= mood.links {
            return Err(Reply::new(421, EnhancedStatus::new(4, 3, 2), "not now"));
        }
        *open += 1;
        let open = *open;
        let most = state.most_open.entry(hop.clone()).or_default();
        *most = open.max(*most);
        Ok(Box::new(Way { hop, world: self.clone(), broken: false }))
    }
}

struct Way {
    hop: String,
    world: World,
    broken: bool,
}

#[async_trait]
impl Link for Way {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let mood = self.world.state.lock().unwrap().moods.get(&self.hop).cloned().unwrap_or(WELL);
        tokio::time::sleep(mood.pace).await;
        if mood.breaks {
            self.broken = true;
            return Vec::new();
        }
        let mut state = self.world.state.lock().unwrap();
        let arrived = (self.hop.clone(), attempt.envelope.sender.to_string(), self.world.clock.now());
        state.arrived.push(arrived);
        vec![common::ok(); attempt.destinations.len()]
    }

    fn is_reusable(&self) -> bool {
        !self.broken
    }

    async fn close(self: Box<Self>) {}
}

impl Drop for Way {
    fn drop(&mut self) {
        *self.world.state.lock().unwrap().open.entry(self.hop.clone()).or_default() -= 1;
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test(start_paused = true)]
async fn tarpits_leave_room_for_the_others() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |_| {});
    engine.start();
    for pit in 0..60 {
        world.set(&format!("pit{pit}.example"), Mood { pace: secs(3000), ..WELL });
        for n in 0..40 {
            send(&engine, &format!("s{n}@here.example"), &[&format!("x@pit{pit}.example")]).await.unwrap();
        }
    }
    tokio::time::sleep(secs(60)).await;
    for round in 0..20 {
        let (hop, begun) = (format!("quick{round}.example"), world.clock.now());
        send(&engine, "a@here.example", &[&format!("x@{hop}")]).await.unwrap();
        tokio::time::sleep(secs(1)).await;
        let arrived = world.arrived(&hop);
        assert_eq!(arrived.len(), 1, "round {round}: {} workers", engine.metrics().workers);
        assert!(arrived[0].1.since(begun) < Duration::from_millis(100));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_with_thousands_delays_nobody_elses_single_message() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |settings| {
        settings.peers.default.concurrency = 1;
        settings.peers.default.initial_concurrency = 1;
    });
    for _ in 0..3000 {
        send(&engine, "bulk@here.example", &["x@far.example"]).await.unwrap();
    }
    engine.start();
    tokio::time::sleep(secs(5)).await;
    for n in 0..5 {
        let (name, before) = (format!("single{n}@here.example"), world.arrived("far.example").len());
        send(&engine, &name, &["x@far.example"]).await.unwrap();
        tokio::time::sleep(secs(1)).await;
        let arrived = world.arrived("far.example");
        let place = arrived.iter().position(|(who, _)| *who == name).expect("it waits no second");
        assert!(place - before <= 17, "{} others went first", place - before);
    }
    engine.shutdown(secs(1)).await;
    // The same from the store: the single one is among the last that were queued.
    send(&world.engine(&memory, |_| {}), "late@here.example", &["x@far.example"]).await.unwrap();
    let again = world.engine(&memory, |settings| settings.peers.default.concurrency = 1);
    let before = world.arrived("far.example").len();
    again.start();
    assert!(drained(&again).await);
    let arrived = world.arrived("far.example");
    let place = arrived.iter().position(|(who, _)| who == "late@here.example").unwrap();
    assert!(place - before <= 17 + 32, "{} others went first after the start", place - before);
    assert_eq!(arrived.len(), 3006);
}

#[tokio::test(start_paused = true)]
async fn many_senders_all_have_their_turn() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |_| {});
    for n in 0..1500 {
        send(&engine, &format!("s{n}@here.example"), &["x@far.example"]).await.unwrap();
    }
    for _ in 0..600 {
        send(&engine, "bulk@here.example", &["x@far.example"]).await.unwrap();
    }
    engine.start();
    assert!(drained(&engine).await);
    let arrived = world.arrived("far.example");
    assert_eq!(arrived.len(), 2100, "each once");
    let last_single = arrived.iter().rposition(|(who, _)| who != "bulk@here.example").unwrap();
    let bulk_before = arrived[..last_single].iter().filter(|(who, _)| who == "bulk@here.example").count();
    assert!(bulk_before <= 500, "{bulk_before} of one sender before the last of the others");
}

#[tokio::test(start_paused = true)]
async fn urgent_mail_goes_first_and_bulk_is_not_starved() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |settings| {
        settings.peers.default.concurrency = 1;
        let priority = |n: i64| Priority::try_from(n).unwrap();
        let sources = std::mem::take(&mut settings.sources);
        settings.sources = sources
            .with_sender_priority(&"urgent@here.example".parse().unwrap(), priority(6))
            .with_sender_priority(&"bulk@here.example".parse().unwrap(), priority(-6));
    });
    for _ in 0..200 {
        for who in ["bulk", "plain", "urgent"] {
            send(&engine, &format!("{who}@here.example"), &["x@far.example"]).await.unwrap();
        }
    }
    engine.start();
    assert!(drained(&engine).await);
    let arrived = world.arrived("far.example");
    let among_first = |who: &str| arrived[..150].iter().filter(|(from, _)| from.starts_with(who)).count();
    assert!(among_first("urgent") > 2 * among_first("plain"));
    assert!(among_first("plain") > 2 * among_first("bulk"));
    assert!(among_first("bulk") > 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_site_is_probed_by_one_message_and_all_go_when_it_is_back() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |_| {});
    for hop in ["one.example", "two.example"] {
        world.shares_site(hop, "mx.example");
        world.set(hop, Mood { refuses: true, ..WELL });
    }
    engine.start();
    for n in 0..200 {
        let to = if n % 2 == 0 { "x@one.example" } else { "x@two.example" };
        send(&engine, "", &[to]).await.unwrap();
    }
    tokio::time::sleep(secs(50)).await;
    let tries = || world.tried("one.example") + world.tried("two.example");
    assert!(tries() <= 5, "no more than the first links: {}", tries());
    let first = tries();
    tokio::time::sleep(secs(3600)).await;
    assert!(tries() - first <= 5, "one probe a wait: {}", tries() - first);
    for hop in ["one.example", "two.example"] {
        world.set(hop, WELL);
    }
    let begun = world.clock.now();
    assert!(drained(&engine).await);
    let arrived = [world.arrived("one.example"), world.arrived("two.example")].concat();
    assert_eq!(arrived.len(), 200);
    let (first, last) =
        (arrived.iter().map(|a| a.1).min().unwrap(), arrived.iter().map(|a| a.1).max().unwrap());
    assert!(
        first.since(begun) < secs(4 * 3600 + 1800) && last.since(first) < secs(60),
        "all follow the probe"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_remembers_which_site_is_down() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |_| {});
    world.set("far.example", Mood { refuses: true, ..WELL });
    engine.start();
    for _ in 0..20 {
        send(&engine, "", &["x@far.example"]).await.unwrap();
    }
    tokio::time::sleep(secs(3000)).await;
    let before = world.tried("far.example");
    drop(engine);
    let engine = world.engine(&memory, |_| {});
    engine.start();
    tokio::time::sleep(secs(60)).await;
    assert_eq!(world.tried("far.example"), before, "it waits for the next probe");
    world.set("far.example", WELL);
    engine.queue().retry(&Filter::default()).await.unwrap();
    tokio::time::sleep(secs(10)).await;
    assert_eq!(world.arrived("far.example").len(), 20, "an operator's retry is a probe");
}

#[tokio::test(start_paused = true)]
async fn mail_behind_a_dead_site_is_warned_about_and_given_up_in_time() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |settings| settings.peers.default.schedule.expire = secs(6 * 3600));
    world.set("far.example", Mood { refuses: true, ..WELL });
    engine.start();
    for _ in 0..12 {
        send(&engine, "a@here.example", &["x@far.example"]).await.unwrap();
    }
    tokio::time::sleep(secs(4 * 3600 + 60)).await;
    let reports = mailbox(&memory.storage(), "a").await;
    assert_eq!(reports.iter().filter(|report| report.contains("Action: delayed")).count(), 12);
    tokio::time::sleep(secs(2 * 3600)).await;
    let reports = mailbox(&memory.storage(), "a").await;
    let failed: Vec<_> = reports.iter().filter(|report| report.contains("Action: failed")).collect();
    assert_eq!(failed.len(), 12);
    assert!(failed.iter().all(|report| report.contains("not now")), "they tell what the site said");
    assert!(drained(&engine).await);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_takes_few_links_is_found_out() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |_| {});
    world.set("far.example", Mood { links: 2, pace: Duration::from_millis(200), ..WELL });
    for _ in 0..300 {
        send(&engine, "", &["x@far.example"]).await.unwrap();
    }
    let begun = world.clock.now();
    engine.start();
    assert!(drained(&engine).await);
    let arrived = world.arrived("far.example");
    assert_eq!(arrived.len(), 300);
    let took = arrived.last().unwrap().1.since(begun);
    assert!(took < secs(60), "two links take 30 s: {took:?}");
    assert!(world.tried("far.example") < 120, "{} tries", world.tried("far.example"));
}

#[tokio::test(start_paused = true)]
async fn links_that_break_do_not_go_on_breaking() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |_| {});
    world.set("far.example", Mood { breaks: true, ..WELL });
    for _ in 0..300 {
        send(&engine, "", &["x@far.example"]).await.unwrap();
    }
    engine.start();
    tokio::time::sleep(secs(55)).await;
    assert!(world.tried("far.example") <= 20, "{} tries", world.tried("far.example"));
    world.set("far.example", WELL);
    assert!(drained(&engine).await);
    assert_eq!(world.arrived("far.example").len(), 300);
}

#[tokio::test(start_paused = true)]
async fn concurrency_grows_from_few_links_to_the_most() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |settings| {
        let peer: Peer = settings.peers.default.clone();
        let few = |most: usize, first: usize| {
            let mut peer = peer.clone();
            (peer.concurrency, peer.initial_concurrency) = (most, first);
            peer
        };
        let peers = std::mem::take(&mut settings.peers);
        settings.peers = peers
            .with("wide.example".parse().unwrap(), few(40, 2))
            .with("narrow.example".parse().unwrap(), few(3, 2));
    });
    for to in ["x@wide.example", "x@narrow.example"] {
        for _ in 0..400 {
            send(&engine, "", &[to]).await.unwrap();
        }
    }
    engine.start();
    tokio::time::sleep(Duration::from_millis(15)).await;
    assert!(world.most_open("wide.example") <= 2, "it starts small");
    assert!(drained(&engine).await);
    assert_eq!((world.most_open("wide.example"), world.most_open("narrow.example")), (40, 3));
}

#[tokio::test(start_paused = true)]
async fn rates_of_sites_senders_and_tenants_hold() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |settings| {
        let mut slow = settings.peers.default.clone();
        slow.rate = Some(Rate::new(10, secs(60)));
        settings.peers = std::mem::take(&mut settings.peers).with("slow.example".parse().unwrap(), slow);
        let rate = Some(Rate::new(5, secs(60)));
        let sources = std::mem::take(&mut settings.sources);
        settings.sources = sources.with_sender_rate(&"limited@here.example".parse().unwrap(), rate);
    });
    engine.start();
    for _ in 0..30 {
        send(&engine, "a@here.example", &["x@slow.example"]).await.unwrap();
        send(&engine, "limited@here.example", &["x@far.example"]).await.unwrap();
        send(&engine, "free@here.example", &["x@far.example"]).await.unwrap();
    }
    tokio::time::sleep(secs(30)).await;
    let far = world.arrived("far.example");
    let of = |who: &str| far.iter().filter(|(from, _)| from.starts_with(who)).count();
    assert_eq!(of("free"), 30, "who is under no rate is not held up by who is");
    assert!((5..=8).contains(&of("limited")), "{}", of("limited"));
    assert!((10..=15).contains(&world.arrived("slow.example").len()));
    let begun = world.clock.now();
    assert!(drained(&engine).await);
    let last = world.arrived("far.example").last().unwrap().1;
    assert!((secs(240)..secs(300)).contains(&last.since(begun)), "{:?}", last.since(begun));
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_for_more_hops_than_there_are_links_all_goes() {
    let (world, memory) = (World::new(), MemoryStorage::new());
    let engine = world.engine(&memory, |settings| settings.concurrency = 10);
    for n in 0..500 {
        for _ in 0..3 {
            send(&engine, "", &[&format!("x@h{n}.example")]).await.unwrap();
        }
    }
    engine.start();
    let begun = world.clock.now();
    assert!(drained(&engine).await);
    let last = world.state.lock().unwrap().arrived.iter().map(|(.., when)| *when).max().unwrap();
    assert!(
        last.since(begun) < secs(60),
        "links that nobody needs do not hold others up: {:?}",
        last.since(begun)
    );
    assert_eq!(world.state.lock().unwrap().arrived.len(), 1500);
}
