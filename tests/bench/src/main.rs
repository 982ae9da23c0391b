//! Measures iems beside Postfix, and Postfix with Dovecot: the same load, the same disk, durable all, one after
//! another in one run, repeated; prints ratios and writes `docs/benchmarks.md`.
//!
//!     cargo build --release -p iems-bin && cargo run --release -p iems-bench
//!
//! Not part of the tests: it wants a quiet machine, root (for Postfix) and about half an hour. Words behind the
//! command make it shorter: `cargo run --release -p iems-bench -- run SECONDS REPETITIONS`. The queue is measured by
//! `cargo run --release -p iems-bench -- queue`, with a million messages by `queue --full`; TLS, logins and crowds at the door beside
//! Postfix, Exim and OpenSMTPD by `cargo run --release -p iems-bench -- smtp`; mailboxes beside Dovecot by
//! `cargo run --release -p iems-bench -- imap`, large ones by `imap --full`.

mod imap;
mod load;
mod measure;
mod queue;
mod report;
mod sections;
mod servers;
mod sink;
mod smtp;
mod tables;
mod times;
mod watch;

use std::time::Duration;

use measure::{Case, Figures, measure};
use report::Results;
use servers::Kind;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: Option<&&str>, default: f64| word.map_or(default, |w| w.parse().expect("a number"));
    match words[..] {
        ["sink", at] => sink::sink(at.parse().expect("an address"), None).expect("the sink runs"),
        ["sink", at, slow] => {
            let slow = Duration::from_millis(slow.parse().expect("milliseconds"));
            sink::sink(at.parse().expect("an address"), Some(slow)).expect("the sink runs");
        }
        ["load", plan] => {
            let load = load::load(serde_json::from_str(plan).expect("a plan")).expect("the loader runs");
            println!("{}", serde_json::to_string(&load).expect("JSON"));
        }
        ["queue", ref words @ ..] => the_queue(words),
        ["smtp"] => smtp::run(Duration::from_secs(5), &[]),
        ["smtp", secs, ref words @ ..] => {
            smtp::run(Duration::from_secs_f64(secs.parse().expect("seconds")), words);
        }
        ["imap", "--full", ref words @ ..] => imap::run(imap::Extent::FULL, words),
        ["imap", ref words @ ..] => imap::run(imap::Extent::SHORT, words),
        ["one", kind, sessions, size, secs] => one(kind, sessions, size, secs),
        [] | ["run", ..] => {
            let time = Duration::from_secs_f64(number(words.get(1), 5.0));
            all(time, number(words.get(2), 3.0) as usize);
        }
        _ => eprintln!(
            "iems-bench [run SECONDS REPETITIONS | queue [--full | MESSAGES] [CASE...] | smtp [SECONDS [CASE...]] | imap [--full] [CASE...] | one KIND SESSIONS OCTETS SECONDS]"
        ),
    }
}

/// The queue at full strength: 100,000 messages unless told otherwise; only some cases, if they are named.
fn the_queue(words: &[&str]) {
    let messages = match words.first() {
        Some(&"--full") => Some(1_000_000),
        first => first.and_then(|word| word.parse().ok()),
    };
    let cases = &words[usize::from(messages.is_some())..];
    queue::run(&queue::Extent::of(messages.unwrap_or(100_000)), cases);
}

/// One case, for profiling.
fn one(kind: &str, sessions: &str, size: &str, secs: &str) {
    let kind = match kind {
        "iems-relay" => Kind::IemsRelay,
        "postfix-relay" => Kind::PostfixRelay,
        "iems-local" => Kind::IemsLocal,
        "postfix-dovecot" => Kind::PostfixDovecot,
        other => panic!("{other}: iems-relay, postfix-relay, iems-local or postfix-dovecot"),
    };
    let case =
        Case { kind, sessions: sessions.parse().expect("a number"), size: size.parse().expect("a number") };
    let figures = measure(case, Duration::from_secs_f64(secs.parse().expect("seconds")));
    println!("{}", serde_json::to_string_pretty(&figures).expect("JSON"));
}

/// Sessions and sizes, in the order of measuring.
fn loads() -> Vec<(usize, usize)> {
    let mut loads = Vec::new();
    for size in [1024, 10_240, 102_400] {
        for sessions in [1, 10, 50, 64, 200] {
            // 64 sessions are there for the time of the reply, at the middle size.
            if sessions != 64 || size == 10_240 {
                loads.push((sessions, size));
            }
        }
    }
    loads
}

fn all(time: Duration, repetitions: usize) {
    let mut results = Results::new();
    for repetition in 1..=repetitions {
        for (sessions, size) in loads() {
            for kind in [Kind::IemsRelay, Kind::PostfixRelay, Kind::IemsLocal, Kind::PostfixDovecot] {
                let case = Case { kind, sessions, size };
                let figures = measure(case, time);
                say(repetition, case, &figures);
                results.entry(case).or_default().push(figures);
            }
        }
    }
    let kinds = [Kind::IemsRelay, Kind::PostfixRelay, Kind::IemsLocal, Kind::PostfixDovecot];
    let syncs: Vec<_> = kinds.iter().map(|&kind| (kind, measure::syncs(kind))).collect();
    let idle: Vec<_> = kinds.iter().map(|&kind| (kind, measure::idle(kind))).collect();
    let how = how(time, repetitions);
    let page = report::page(&results, &syncs, &idle, &how);
    println!("{page}");
    let old = std::fs::read_to_string(sections::file()).unwrap_or_default();
    let others = [queue::TITLE, smtp::TITLE, imap::TITLE].map(|title| sections::kept(&old, title)).concat();
    std::fs::write(sections::file(), page + &others).expect("docs/benchmarks.md");
}

fn say(repetition: usize, case: Case, f: &Figures) {
    println!(
        "{repetition} {:24} {:3} sessions {:6} octets: accepted {:7.0}/s, through {:7.0}/s, {:.3} ms CPU, p99 {:.1} ms, \
         {:.0} MiB, {:.2} written, {:.2} flushes, {} lost",
        case.kind.name(),
        case.sessions,
        case.size,
        f.accepted,
        f.through,
        f.cpu_ms,
        f.reply_p99_us / 1000.0,
        f.memory_mib,
        f.written,
        f.flushes,
        f.lost
    );
}

fn how(time: Duration, repetitions: usize) -> String {
    format!(
        "Written by `cargo build --release -p iems-bin && cargo run --release -p iems-bench`; see `tests/bench`.\n\
         Each figure is the median of {repetitions} runs of {} s. In each run the servers are measured one after another, each\n\
         freshly started with an empty queue, on the same disk, both durable: a message counts as accepted when its reply\n\
         has come, which neither server gives before the message is on the disk. Sessions send message after message\n\
         without pipelining. Postfix is Debian's, with its limits on processes and connections raised so that all sessions are\n\
         served; `ratio` is how many times better iems is. The sink offers what Postfix's own server offers, except for TLS; of that, iems\n\
         uses CHUNKING, which Postfix's client does not know.\n",
        time.as_secs_f64()
    )
}
