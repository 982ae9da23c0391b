//! Mailboxes read by IMAP, beside Dovecot with Maildir and with mdbox.
//!
//! Writes its section of `docs/benchmarks.md` and leaves the others as they are.

mod cases;
mod client;
mod mail;
mod servers;

use std::time::{Duration, Instant};

use cases::{FETCHES, INDEXED, NOOPS, ONE_BY_ONE, Rate, SEARCHES, Times};
use servers::Who;

use crate::tables::{head, row};

/// What the section begins with.
pub(crate) const TITLE: &str = "\n## Mailboxes by IMAP\n";

/// Clients side by side, where nothing else is said.
const CLIENTS: usize = 10;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// How the program is asked for it.
    pub(crate) words: &'static str,
    /// For each rate.
    pub(crate) time: Duration,
    /// In the large mailboxes.
    pub(crate) messages: &'static [usize],
    /// That get mail in turn.
    pub(crate) mailboxes: usize,
    /// Idle sessions.
    pub(crate) idle: &'static [usize],
}

impl Extent {
    /// Three minutes.
    pub(crate) const SHORT: Self = Self {
        words: "imap",
        time: Duration::from_secs(3),
        messages: &[10_000],
        mailboxes: 100,
        idle: &[1000],
    };
    /// Twelve minutes: the other servers take long to fill a mailbox of 100,000.
    pub(crate) const FULL: Self = Self {
        words: "imap --full",
        time: Duration::from_secs(5),
        messages: &[10_000, 100_000],
        mailboxes: 1000,
        idle: &[1000, 5000, 10_000],
    };
}

/// A rate: what it is called by whoever runs it, its name, and how it is measured.
type Case<'a> = (&'static str, &'a str, &'a dyn Fn(Who) -> Rate);

/// The rates, each by a name of its own.
const RATES: [&str; 4] = ["logins", "appends", "flags", "deliveries"];

/// Runs the cases whose names are given (`rates` or some of them, `large`, `idle`, `announced`), or all, with the servers whose names are
/// given (`iems`, `maildir`, `mdbox`), or all; writes the page if it was everything.
pub(crate) fn run(extent: Extent, words: &[&str]) {
    let named = |who: &Who| words.contains(&who.word());
    let some: Vec<Who> = Who::ALL.into_iter().filter(named).collect();
    let all: &[Who] = if some.is_empty() { &Who::ALL } else { &some };
    let only: Vec<&str> =
        words.iter().copied().filter(|word| Who::ALL.iter().all(|who| who.word() != *word)).collect();
    let wanted = |name: &str| only.is_empty() || only.contains(&name);
    let start = Instant::now();
    let mut text = format!(
        "{TITLE}\nWritten by `cargo build --release -p iems-bin && cargo run --release -p iems-bench -- {}`. Messages of 10 KiB, no two the same; ten clients and \
         {} s for each rate, one client\nfor a large mailbox. Everything is durable when it is answered (Dovecot: `mail_fsync = always`), on the same disk. \
         Dovecot is Debian's, with\nlogin processes that stay, and passwords that need no hashing. `ratio` is how many times better iems is than the better \
         of the two. What reads is done up to six times,\nand the median of all but the first counts. `filled` is by APPEND of 50 messages in one command, without the \
         time that the client takes to make them up.\n",
        extent.words,
        extent.time.as_secs_f64()
    );
    if wanted("rates") || RATES.iter().any(|name| only.contains(name)) {
        text += &rates(all, extent, &only);
    }
    if wanted("large") {
        for &messages in extent.messages {
            text += &large(all, messages);
        }
    }
    if wanted("idle") {
        text += &idle(all, extent.idle);
    }
    if wanted("announced") {
        text += &announced(all);
    }
    println!("{text}\nAll of it took {:.0} s.", start.elapsed().as_secs_f64());
    if only.is_empty() && all == Who::ALL {
        crate::sections::write(TITLE, &text);
    }
}

fn names(all: &[Who]) -> Vec<&'static str> {
    all.iter().map(|who| who.name()).collect()
}

fn rates(all: &[Who], extent: Extent, only: &[&str]) -> String {
    let many = format!("messages delivered by LMTP into {} mailboxes", extent.mailboxes);
    let [logins, appends, flags, deliveries] = RATES;
    let time = extent.time;
    let cases: [Case<'_>; 7] = [
        (logins, "connections that log in and out", &|who| cases::logins(who, CLIENTS, time)),
        (appends, "messages appended, by one client", &|who| cases::appends(who, 1, time)),
        (appends, "messages appended", &|who| cases::appends(who, CLIENTS, time)),
        (appends, "messages appended, by 50 clients", &|who| cases::appends(who, 50, time)),
        (flags, "flags set or taken, one by one", &|who| cases::flags(who, CLIENTS, time)),
        (deliveries, "messages delivered by LMTP into one mailbox", &|who| {
            cases::deliveries(who, CLIENTS, 1, time)
        }),
        (deliveries, &many, &|who| cases::deliveries(who, CLIENTS, extent.mailboxes, time)),
    ];
    let some = only.iter().any(|name| RATES.contains(name));
    let cases = cases.into_iter().filter(|(word, ..)| !some || only.contains(word));
    let measured: Vec<_> = cases
        .map(|(_, name, case)| {
            let figures: Vec<Rate> = all.iter().map(|who| case(*who)).collect();
            println!("{name}: {figures:?}");
            (name, figures)
        })
        .collect();
    let mut text = String::new();
    head(&mut text, "Times a second", &names(all));
    for (name, figures) in &measured {
        row(&mut text, name, &figures.iter().map(|f| Some(f.rate)).collect::<Vec<_>>(), true);
    }
    head(&mut text, "Processor milliseconds of the server each time", &names(all));
    for (name, figures) in &measured {
        row(&mut text, name, &figures.iter().map(|f| Some(f.cpu_ms)).collect::<Vec<_>>(), false);
    }
    text
}

fn large(all: &[Who], messages: usize) -> String {
    let times: Vec<Times> = all
        .iter()
        .map(|who| {
            let times = cases::large(*who, messages);
            println!("{}: {times:?}", who.name());
            times
        })
        .collect();
    let mut text = String::new();
    head(&mut text, &format!("A mailbox of {messages} messages, in seconds"), &names(all));
    let order = ["filled", "first synchronisation", "SELECT"].into_iter();
    let order = order.chain(FETCHES.map(|(name, _)| name)).chain(SEARCHES.map(|(name, _)| name));
    for name in order
        .chain(["a flag of all messages", ONE_BY_ONE, NOOPS, "new mail, 100 times"])
        .chain(INDEXED.map(|(name, _)| name))
    {
        let values: Vec<Option<f64>> = times.iter().map(|times| times.get(name).copied()).collect();
        row(&mut text, name, &values, false);
    }
    text + &floor(all, &times)
}

/// What no server can be quicker than that waits for the disk before it answers.
fn floor(all: &[Who], times: &[Times]) -> String {
    let of = |who: Who, name: &str| {
        all.iter().zip(times).find(|(one, _)| **one == who).and_then(|(_, times)| times.get(name).copied())
    };
    let (Ok(syncs), Some(noops)) = (cases::syncs(), of(Who::Iems, NOOPS)) else { return String::new() };
    let others = [Who::Maildir, Who::Mdbox].into_iter().filter_map(|who| of(who, ONE_BY_ONE));
    let Some(better) = others.min_by(f64::total_cmp) else { return String::new() };
    format!(
        "\nFlags one by one take a sync and a round trip each. With nothing else in the way, 500 of `fdatasync` of 300 octets written over took {syncs:.3} s just \
         now,\nand NOOP as above: {:.1} times is all that this disk and these processors let one have.\n",
        better / (syncs + noops)
    )
}

fn idle(all: &[Who], counts: &[usize]) -> String {
    let mut text = String::new();
    head(&mut text, "Memory of an idle session with TLS (PSS), KiB", &names(all));
    for &count in counts {
        let figures: Vec<(usize, f64)> = all.iter().map(|who| cases::idle(*who, count)).collect();
        println!("{count} idle: {figures:?}");
        let values: Vec<Option<f64>> = figures.iter().map(|(_, each)| Some(*each)).collect();
        row(&mut text, &format!("{count} sessions in IDLE"), &values, false);
        let held: Vec<String> =
            all.iter().zip(&figures).map(|(who, (held, _))| format!("{} {held}", who.name())).collect();
        if figures.iter().any(|(held, _)| *held < count) {
            text += &format!("\nSessions that came about within a minute: {}.\n", held.join(", "));
        }
    }
    text
}

fn announced(all: &[Who]) -> String {
    let figures: Vec<(f64, f64)> = all.iter().map(|who| cases::announced(*who, 10)).collect();
    println!("announced: {figures:?}");
    let mut text = String::new();
    head(&mut text, "New mail announced to 100 idle sessions, ms after the end of its data", &names(all));
    let (half, most): (Vec<_>, Vec<_>) =
        figures.into_iter().map(|(half, most)| (Some(half), Some(most))).unzip();
    row(&mut text, "half of them", &half, false);
    row(&mut text, "99 of 100", &most, false);
    text
}
