//! Throughput to 1,000 destinations of which 100 are slow.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use iems_tests::peers::postfix::Postfix;

use super::places::{FAR, ONE_SLOW_IN, SPREAD};
use super::{Extent, SESSIONS, SIZE, SLOW, load, site};
use crate::load::{Plan, unix_micros};
use crate::measure::Sink;
use crate::watch;

/// What came out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Crowd {
    /// Messages for destinations that answer at once, and how many of them arrived a second.
    pub(super) fast: usize,
    pub(super) rate: f64,
    /// Milliseconds from the loader to the destination, for those.
    pub(super) half: f64,
    pub(super) p99: f64,
    /// Messages that slow destinations had by then, and what was sent to them.
    pub(super) slow: usize,
    pub(super) slow_sent: usize,
    /// Octets (PSS).
    pub(super) memory: u64,
}

/// iems.
pub(super) fn iems(extent: &Extent) -> Crowd {
    let mut sink = Sink::watchful(SLOW);
    let mut site = site(&sink);
    site.start();
    let crowd = through(site.at("smtp").into(), &[site.daemon().id()], &mut sink, extent.spread);
    println!("crowd: iems {crowd:.2?}");
    site.kill();
    crowd
}

/// Postfix.
pub(super) fn postfix(extent: &Extent) -> Crowd {
    let mut sink = Sink::watchful(SLOW);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let postfix = Postfix::start(&super::postfix(&sink, folder.path()));
    let crowd = through(postfix.at.into(), &[postfix.id()], &mut sink, extent.spread);
    println!("crowd: Postfix {crowd:.2?}");
    crowd
}

fn through(at: SocketAddr, roots: &[u32], sink: &mut Sink, messages: usize) -> Crowd {
    let began = unix_micros();
    let plan = Plan { most: messages, domains: SPREAD, senders: 100, ..Plan::new(at, SESSIONS, SIZE, FAR) };
    load(&plan);
    let slow_sent = (0..messages).filter(|number| plan.place(*number).is_multiple_of(ONE_SLOW_IN)).count();
    let fast = messages - slow_sent;
    // Nobody is waited for longer than this: the rate is that of what arrived.
    let (start, patience) = (Instant::now(), Duration::from_secs(90));
    let (mut count, mut slow, mut last, mut half, mut p99) = (0, 0, began, 0, 0);
    let mut memory = 0;
    let mut seen = Vec::new();
    while count < fast && start.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(500));
        memory = memory.max(watch::memory(roots));
        let times = sink.times();
        (count, slow) = (count + times.fast.count, slow + times.slow.count);
        if times.fast.count > 0 {
            last = times.fast.last;
            seen.push(times.fast);
        }
    }
    for times in &seen {
        (half, p99) = (half + times.half_us * times.count as u64, p99.max(times.p99_us));
    }
    Crowd {
        fast: count,
        rate: count as f64 * 1e6 / (last - began).max(1) as f64,
        half: half as f64 / count.max(1) as f64 / 1000.0,
        p99: p99 as f64 / 1000.0,
        slow,
        slow_sent,
        memory,
    }
}
