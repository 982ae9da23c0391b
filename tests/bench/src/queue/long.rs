//! A very long queue in iems: filling it, what it costs to have it, to look at it, to deliver beside it, to remove from it.

use std::time::{Duration, Instant};

use iems_tests::iems::Iems;

use super::places::{DEAD, ONE, SPREAD, hop};
use super::restart::{self, Restart};
use super::{Extent, SESSIONS, SIZE, arrived, load, on_disk, site, timed};
use crate::load::Plan;
use crate::measure::Sink;
use crate::watch;

/// Senders of the long queue.
const SENDERS: usize = 1000;
/// Messages whose delivery is measured at each level.
const BESIDE: usize = 5000;
/// Messages of the sender who is purged.
const PURGED: usize = 1000;
/// The rest after filling: longer than rows stay in memory before they go to the index.
const REST: Duration = Duration::from_secs(40);
/// Messages in one step of filling.
const STEP: usize = 100_000;

/// What it cost at one length.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    /// Messages that wait.
    pub(super) queued: usize,
    /// Milliseconds of the processor for each of the messages that were delivered beside it, and how many of them a second.
    pub(super) cpu_ms: f64,
    pub(super) rate: f64,
    /// Milliseconds: the first 20 of the list, the first 20 of one sender, one message, all hops, the removal of
    /// [`PURGED`] messages of one sender.
    pub(super) list: f64,
    pub(super) by_sender: f64,
    pub(super) show: f64,
    pub(super) hops: f64,
    pub(super) purge: f64,
    /// Octets: memory in use (RSS), and disk.
    pub(super) memory: u64,
    pub(super) disk: u64,
}

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Long {
    pub(super) levels: Vec<Level>,
    /// Seconds to fill it, all steps together.
    pub(super) fill: f64,
    /// The most memory on the way.
    pub(super) most_memory: u64,
    pub(super) killed: Restart,
    pub(super) stopped: Restart,
}

/// Measures it.
pub(super) fn measure(extent: &Extent) -> Long {
    let mut sink = Sink::watchful(Duration::ZERO);
    let mut site = site(&sink);
    site.start();
    let (mut long, mut queued) = (Long::default(), 0);
    for level in &extent.levels {
        while queued < *level {
            let step = STEP.min(level - queued);
            let filled = load(&Plan { most: step, ..backlog(&site, "sender", SENDERS) });
            (queued, long.fill) = (queued + step, long.fill + filled.secs);
            let memory = watch::resident(&[site.daemon().id()]);
            long.most_memory = long.most_memory.max(memory);
            println!(
                "long: {queued} queued, {:.0}/s, {:.0} MiB, {:.0} MiB on disk",
                step as f64 / filled.secs,
                mib(memory),
                mib(on_disk(&site.dir.path().join("data")))
            );
        }
        let found = at_level(&mut site, &mut sink, queued);
        println!("long: {found:.3?}");
        long.levels.push(found);
    }
    long.killed = restart::killed(&mut site, &mut sink);
    println!("long: killed: {:.3?}", long.killed);
    long.stopped = restart::stopped(&mut site, &mut sink);
    println!("long: stopped: {:.3?}", long.stopped);
    long
}

fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

/// Mail from these senders to destinations where nobody answers.
fn backlog(site: &Iems, sender: &str, senders: usize) -> Plan {
    let plan = Plan::new(site.at("smtp").into(), SESSIONS, SIZE, DEAD);
    Plan { domains: SPREAD, sender: sender.to_owned(), senders, ..plan }
}

fn at_level(site: &mut Iems, sink: &mut Sink, queued: usize) -> Level {
    load(&Plan { most: PURGED, ..backlog(site, "purged", 1) });
    let id = one_id(site);
    // Until the index has taken up what the filling left in memory: that work is not the deliveries'.
    std::thread::sleep(REST);
    let mut costs = [beside(site, sink), beside(site, sink), beside(site, sink)];
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (cpu_ms, rate) = costs[1];
    let sender = format!("sender{}@loader.bench.test", SENDERS / 2);
    let memory = watch::resident(&[site.daemon().id()]);
    let admin = |args: &[&str]| median(|| timed(|| site.admin(args).good()).0);
    let list = admin(&["queue", "list", "--limit", "20", "--json"]);
    let by_sender = admin(&["queue", "list", "--sender", &sender, "--limit", "20", "--json"]);
    let (show, hops) = (admin(&["queue", "show", &id]), admin(&["queue", "hops", "--json"]));
    let purge = ["queue", "purge", "--sender", "purged@loader.bench.test", "--json"];
    let (purge, said) = timed(|| site.admin(&purge).good().json());
    assert_eq!(said["changed"].as_u64(), Some(PURGED as u64), "{said}");
    let disk = on_disk(&site.dir.path().join("data"));
    Level { queued, cpu_ms, rate, list, by_sender, show, hops, purge, memory, disk }
}

/// The middle of three.
fn median(mut once: impl FnMut() -> f64) -> f64 {
    let mut all = [once(), once(), once()];
    all.sort_by(f64::total_cmp);
    all[1]
}

/// The id of the first message of the sender who is purged.
fn one_id(site: &Iems) -> String {
    let args = ["queue", "list", "--sender", "purged@loader.bench.test", "--limit", "1", "--json"];
    let list = site.admin(&args).good().json();
    list[0]["id"].as_str().expect("a message of this sender").to_owned()
}

/// What delivery costs beside all that waits: messages for one destination are queued while it is paused, then resumed.
fn beside(site: &mut Iems, sink: &mut Sink) -> (f64, f64) {
    let name = hop(ONE, sink.at.port());
    site.admin(&["queue", "pause", &name]).good();
    load(&Plan { most: BESIDE, ..Plan::new(site.at("smtp").into(), SESSIONS, SIZE, ONE) });
    std::thread::sleep(Duration::from_secs(1));
    let (roots, before) = ([site.daemon().id()], sink.count());
    let (cost, start) = (watch::cost(&roots), Instant::now());
    site.admin(&["queue", "resume", &name]).good();
    assert!(arrived(sink, before + BESIDE, Duration::from_secs(60)), "not everything arrived");
    let took = start.elapsed().as_secs_f64();
    // The last outcomes are written after the sink has answered.
    std::thread::sleep(Duration::from_millis(300));
    let cpu = watch::cost(&roots).cpu - cost.cpu;
    (cpu * 1000.0 / BESIDE as f64, BESIDE as f64 / took)
}
