//! From the start of the process to the first message that arrives, with a long queue; after kill -9 in the middle of
//! delivery, and after an orderly stop.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use iems_tests::iems::Iems;

use super::places::{ONE, hop};
use super::{SESSIONS, SIZE, arrived, load};
use crate::load::{Plan, unix_micros};
use crate::measure::Sink;
use crate::watch;

/// Messages that are under way when the server ends.
const UNDER_WAY: usize = 5000;

/// Milliseconds from the start of the process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Restart {
    /// How long the stop took; 0 after a kill.
    pub(super) stop: f64,
    /// Until it listened.
    pub(super) listens: f64,
    /// Until the first message arrived that had been queued before.
    pub(super) first: f64,
    /// Memory in use then and a few seconds later, in octets.
    pub(super) memory: u64,
}

/// After kill -9 while messages leave.
pub(super) fn killed(site: &mut Iems, sink: &mut Sink) -> Restart {
    leaving(site, sink);
    site.kill();
    again(site, sink)
}

/// After SIGTERM while messages leave.
pub(super) fn stopped(site: &mut Iems, sink: &mut Sink) -> Restart {
    leaving(site, sink);
    let start = Instant::now();
    site.stop();
    let stop = start.elapsed().as_secs_f64() * 1000.0;
    Restart { stop, ..again(site, sink) }
}

/// Comes back when a part of the messages has left.
fn leaving(site: &Iems, sink: &mut Sink) {
    let name = hop(ONE, sink.at.port());
    site.admin(&["queue", "pause", &name]).good();
    load(&Plan { most: UNDER_WAY, ..Plan::new(site.at("smtp").into(), SESSIONS, SIZE, ONE) });
    let before = sink.count();
    site.admin(&["queue", "resume", &name]).good();
    assert!(arrived(sink, before + UNDER_WAY / 20, Duration::from_secs(60)), "nothing leaves");
}

fn again(site: &mut Iems, sink: &mut Sink) -> Restart {
    std::thread::sleep(Duration::from_millis(500));
    sink.times();
    let (start, began) = (Instant::now(), unix_micros());
    site.launch();
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1000.0;
    while TcpStream::connect(site.at("smtp")).is_err() {
        assert!(start.elapsed() < Duration::from_secs(120), "the server does not come back");
        std::thread::sleep(Duration::from_millis(2));
    }
    let listens = ms(start);
    let first = loop {
        let seen = sink.times().fast;
        if seen.count > 0 {
            break (seen.first - began) as f64 / 1000.0;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "nothing was delivered after the start");
        std::thread::sleep(Duration::from_millis(20));
    };
    std::thread::sleep(Duration::from_secs(5));
    let memory = watch::resident(&[site.daemon().id()]);
    Restart { stop: 0.0, listens, first, memory }
}
