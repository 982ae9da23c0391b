//! A long queue in Postfix: deferred messages, and the same looks at them.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use iems_tests::peers::postfix::Postfix;
use iems_tests::process::run;

use super::places::{DEAD, ONE, SPREAD};
use super::{SESSIONS, SIZE, load, on_disk, timed};
use crate::load::{Plan, unix_micros};
use crate::measure::Sink;
use crate::watch;

/// Senders, as many as in the long queue of iems.
const SENDERS: usize = 1000;
/// Messages of the sender who is purged.
const PURGED: usize = 1000;

/// What came out: times in milliseconds.
#[derive(Debug, Default)]
pub(super) struct LongPeer {
    pub(super) queued: usize,
    /// Seconds, until everything was accepted, and until it was deferred.
    pub(super) fill: f64,
    pub(super) settled: f64,
    /// Octets: memory (PSS) of its processes when all was deferred, and disk.
    pub(super) memory: u64,
    pub(super) disk: u64,
    /// The first 20 of the list, one message, the removal of 1,000 messages of one sender.
    pub(super) list: f64,
    pub(super) show: f64,
    pub(super) purge: f64,
    /// From the start to the banner, and to the delivery of a message that was handed in as soon as that was possible.
    pub(super) listens: f64,
    pub(super) first: f64,
    /// Octets (PSS) a few seconds later.
    pub(super) memory_again: u64,
}

/// Measures it.
pub(super) fn measure(messages: usize) -> LongPeer {
    let mut sink = Sink::watchful(Duration::ZERO);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let postfix = Postfix::start(&super::postfix(&sink, folder.path()));
    let start = Instant::now();
    let plan = Plan::new(postfix.at.into(), SESSIONS, SIZE, DEAD);
    let plan = Plan { domains: SPREAD, senders: SENDERS, ..plan };
    load(&Plan { most: messages, ..plan.clone() });
    let fill = start.elapsed().as_secs_f64();
    println!("postfix: {messages} accepted in {fill:.0} s");
    load(&Plan { most: PURGED, senders: 1, sender: "purged".to_owned(), ..plan });
    while moving(&postfix) && start.elapsed() < Duration::from_secs(900) {
        std::thread::sleep(Duration::from_millis(500));
    }
    let settled = start.elapsed().as_secs_f64();
    let memory = watch::memory(&[postfix.id()]);
    let disk = on_disk(&postfix.folder().join("spool"));
    let (list, ids) = timed(|| first(&postfix, 20));
    let id = ids.first().cloned().unwrap_or_default();
    let (show, _) = timed(|| run(&mut postfix.tool("postcat", &["-q", &id]), b"").good());
    let (purge, ()) = timed(|| purge(&postfix));
    let (listens, first) = again(&postfix, &mut sink);
    std::thread::sleep(Duration::from_secs(5));
    let memory_again = watch::memory(&[postfix.id()]);
    let queued = messages;
    let found =
        LongPeer { queued, fill, settled, memory, disk, list, show, purge, listens, first, memory_again };
    println!("postfix: {found:.2?}");
    found
}

/// Whether something is neither deferred nor gone.
fn moving(postfix: &Postfix) -> bool {
    let has_files = |folder: &str| {
        let entries = std::fs::read_dir(postfix.folder().join("spool").join(folder));
        entries.is_ok_and(|mut entries| entries.next().is_some())
    };
    has_files("incoming") || has_files("active")
}

/// The ids of the first messages of its list.
fn first(postfix: &Postfix, count: usize) -> Vec<String> {
    let mut list = postfix.tool("postqueue", &["-j"]).stdout(Stdio::piped()).spawn().expect("postqueue");
    let lines = BufReader::new(list.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let ids = lines.take(count).filter_map(|line| {
        let entry: serde_json::Value = serde_json::from_str(&line).ok()?;
        entry["queue_id"].as_str().map(str::to_owned)
    });
    let ids = ids.collect();
    let _ = list.kill();
    let _ = list.wait();
    ids
}

/// Removes the messages of one sender, as its manual says: from the list into `postsuper -d -`.
fn purge(postfix: &Postfix) {
    let list = run(&mut postfix.tool("postqueue", &["-j"]), b"").good();
    let ids: String = list.out.lines().filter(|line| line.contains("purged@loader.bench.test")).fold(
        String::new(),
        |mut ids, line| {
            let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
            ids.push_str(entry["queue_id"].as_str().unwrap_or_default());
            ids.push('\n');
            ids
        },
    );
    assert_eq!(ids.lines().count(), PURGED, "the messages of one sender");
    run(&mut postfix.tool("postsuper", &["-d", "-"]), ids.as_bytes()).good();
}

fn again(postfix: &Postfix, sink: &mut Sink) -> (f64, f64) {
    run(&mut postfix.tool("postfix", &["stop"]), b"").good();
    sink.times();
    let (start, began) = (Instant::now(), unix_micros());
    run(&mut postfix.tool("postfix", &["start"]), b"").good();
    while TcpStream::connect(postfix.at).is_err() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let listens = start.elapsed().as_secs_f64() * 1000.0;
    load(&Plan { most: 1, ..Plan::new(postfix.at.into(), 1, SIZE, ONE) });
    let mut seen = sink.times().fast;
    while seen.count == 0 && start.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
        seen = sink.times().fast;
    }
    (listens, seen.first.saturating_sub(began) as f64 / 1000.0)
}
