//! One slow destination with most of the messages: what the others feel of it.

use std::time::Duration;

use iems_tests::iems::Iems;

use super::places::{NEAR, SPREAD, TAR, hop};
use super::{Extent, SESSIONS, SIZE, SLOW, load, site};
use crate::load::Plan;
use crate::measure::Sink;

/// Messages whose way is measured, in each round.
const PROBES: usize = 1000;
/// Rounds of each kind.
const ROUNDS: usize = 5;
/// The rest before each of them.
const GAP: Duration = Duration::from_millis(4);

/// What came out: milliseconds from the loader to the destination, the middle of all rounds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tarpit {
    /// Messages that waited for the slow destination.
    pub(super) waiting: usize,
    /// Half, and 99 of 100, with nothing in the queue.
    pub(super) empty: [f64; 2],
    /// While the slow destination is paused.
    pub(super) paused: [f64; 2],
    /// While it is at work.
    pub(super) at_work: [f64; 2],
}

/// Measures it. Rounds with the slow destination at work and paused alternate, so that both meet the same machine.
pub(super) fn measure(extent: &Extent) -> Tarpit {
    let mut sink = Sink::watchful(SLOW);
    let mut site = site(&sink);
    site.start();
    round(&site, &mut sink);
    let empty = middle((0..ROUNDS).map(|_| round(&site, &mut sink).0).collect());
    load(&Plan { most: extent.tar, ..Plan::new(site.at("smtp").into(), SESSIONS, SIZE, TAR) });
    let tar = hop(TAR, sink.at.port());
    let (mut paused, mut at_work) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        site.admin(&["queue", "pause", &tar]).good();
        std::thread::sleep(SLOW + SLOW);
        paused.push(round(&site, &mut sink).0);
        site.admin(&["queue", "resume", &tar]).good();
        std::thread::sleep(SLOW);
        let (times, slow) = round(&site, &mut sink);
        assert!(slow > 0, "the slow destination got nothing");
        at_work.push(times);
        println!("tarpit: paused {:.2?}, at work {:.2?} ms", paused.last(), at_work.last());
    }
    let tarpit = Tarpit { waiting: extent.tar, empty, paused: middle(paused), at_work: middle(at_work) };
    println!("tarpit: {tarpit:.3?}");
    site.kill();
    tarpit
}

/// The times, and what the slow destination took meanwhile.
fn round(site: &Iems, sink: &mut Sink) -> ([f64; 2], usize) {
    let from = sink.count();
    sink.times();
    load(&Plan {
        most: PROBES,
        domains: SPREAD,
        gap: GAP,
        ..Plan::new(site.at("smtp").into(), 1, SIZE, NEAR)
    });
    super::arrived(sink, from + PROBES, Duration::from_secs(1));
    std::thread::sleep(Duration::from_millis(200));
    let times = sink.times();
    let (seen, slow) = (times.fast, times.slow.count);
    assert_eq!(seen.count, PROBES, "not everything arrived");
    ([seen.half_us as f64 / 1000.0, seen.p99_us as f64 / 1000.0], slow)
}

fn middle(rounds: Vec<[f64; 2]>) -> [f64; 2] {
    [0, 1].map(|which| {
        let mut all: Vec<f64> = rounds.iter().map(|round| round[which]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    })
}
