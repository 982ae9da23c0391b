//! The queue at full strength: a very long queue, many slow destinations, one sender or destination with most of the
//! messages; iems beside Postfix, with what Postfix can bear in the time.
//!
//! Writes its section of `docs/benchmarks.md` and leaves the others as they are.

mod crowd;
mod long;
mod peer;
mod places;
mod restart;
mod tarpit;
mod text;

use std::path::Path;
use std::time::{Duration, Instant};

use iems_tests::iems::Iems;

use crate::load::{Load, Plan};
use crate::measure::{Sink, run_loader};

/// Octets of a message.
const SIZE: usize = 1024;
/// How long a slow destination takes to answer a message.
const SLOW: Duration = Duration::from_secs(2);
/// Sessions of the loader.
const SESSIONS: usize = 50;

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    /// Messages in the long queue of iems; Postfix gets a tenth.
    pub(crate) messages: usize,
    /// Lengths at which the cost of a message is measured, in order.
    levels: Vec<usize>,
    /// Messages that wait for the tarpit.
    tar: usize,
    /// Messages to 1,000 destinations.
    spread: usize,
}

impl Extent {
    /// So many in the long queue.
    pub(crate) fn of(messages: usize) -> Self {
        let mut levels: Vec<usize> = [1000, 100_000].into_iter().filter(|level| *level < messages).collect();
        levels.push(messages);
        Self { messages, levels, tar: messages.div_ceil(10), spread: 20_000 }
    }
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Results {
    long: Option<long::Long>,
    peer: Option<peer::LongPeer>,
    crowds: Vec<(&'static str, crowd::Crowd)>,
    tarpit: Option<tarpit::Tarpit>,
}

pub(crate) use text::TITLE;

/// Runs the cases whose names are given (`long`, `postfix`, `crowd`, `tarpit`), or all; writes the page if it was all.
pub(crate) fn run(extent: &Extent, only: &[&str]) {
    let wanted = |name: &str| only.is_empty() || only.contains(&name);
    let (mut results, start) = (Results::default(), Instant::now());
    if wanted("crowd") {
        results.crowds = vec![("iems", crowd::iems(extent)), ("Postfix", crowd::postfix(extent))];
    }
    if wanted("tarpit") {
        results.tarpit = Some(tarpit::measure(extent));
    }
    if wanted("long") {
        results.long = Some(long::measure(extent));
    }
    if wanted("postfix") {
        results.peer = Some(peer::measure(extent.messages / 10));
    }
    let section = text::section(&results, extent);
    println!("{section}\nAll of it took {:.0} s.", start.elapsed().as_secs_f64());
    if only.is_empty() {
        crate::sections::write(TITLE, &section);
    }
}

/// A site with all destinations, not started.
fn site(sink: &Sink) -> Iems {
    let mut site = Iems::new();
    site.config.tls = false;
    site.config.listeners = vec!["smtp".to_owned()];
    site.config.more = "[log]\nlevel = \"error\"\n".to_owned();
    // What the settings say unless told otherwise.
    site.config.retry = ["1m", "5m", "15m", "1h", "4h"].map(str::to_owned).to_vec();
    site.config.expire = "5d".to_owned();
    for place in places::all(sink.at.port()) {
        site.config.route(&place.domain, format!("smtp:{}:{}", place.host, place.port));
    }
    site
}

/// Lines for Postfix's `main.cf` with the same destinations; its waits are Debian's.
fn postfix(sink: &Sink, folder: &Path) -> String {
    let table = folder.join("transport");
    iems_tests::iems::open_to_all(folder);
    std::fs::write(&table, places::transports(sink.at.port())).expect("the transport table");
    format!(
        "transport_maps = texthash:{}\ndefault_transport = smtp\nsmtpd_tls_security_level = none\n\
         smtp_tls_security_level = none\nsmtpd_tls_loglevel = 0\nsmtp_tls_loglevel = 0\nminimal_backoff_time = 300s\n\
         maximal_backoff_time = 4000s\nqueue_run_delay = 300s\n",
        table.display()
    )
}

/// Loads, and insists that everything was taken.
fn load(plan: &Plan) -> Load {
    let load = run_loader(plan);
    assert!(load.errors.is_empty() && load.accepted == plan.most, "the loader: {load:?}");
    load
}

/// Runs something and says how long it took, in milliseconds.
fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let done = act();
    (start.elapsed().as_secs_f64() * 1000.0, done)
}

/// Waits until the sink has taken so many messages; `false` if nothing more comes.
fn arrived(sink: &mut Sink, wanted: usize, patience: Duration) -> bool {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let count = sink.count();
        if count >= wanted {
            return true;
        }
        if count != last {
            (last, since) = (count, Instant::now());
        }
        if since.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Octets that a folder takes on the disk.
fn on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let one = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => data.blocks() * 512 + on_disk(&entry.path()),
        Ok(data) => data.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(one).sum()
}
