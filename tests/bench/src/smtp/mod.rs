//! SMTP at the door, beside Postfix, Exim and OpenSMTPD: TLS, logins, handshakes, memory of connections, and a crowd that means ill.
//!
//! Writes its section of `docs/benchmarks.md` and leaves the others as they are.

mod crowds;
mod doors;
mod sessions;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use doors::Who;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sessions::Manner;

use crate::tables::{self, row};

/// What the section begins with.
pub(crate) const TITLE: &str = "\n## SMTP at the door\n";

/// Connections of the crowd.
const CROWD: usize = 10_000;

/// Runs the cases whose names are given (`sessions`, `memory`, `crowd`), or all; writes the page if it was all. With `iems` among the
/// words, for profiling, iems alone.
pub(crate) fn run(time: Duration, only: &[&str]) {
    if only.contains(&"iems") {
        return alone(time);
    }
    let wanted = |name: &str| only.is_empty() || only.contains(&name);
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .expect("as many files as allowed");
    let start = Instant::now();
    let mut text = format!(
        "{TITLE}\nWritten by `cargo build --release -p iems-bin && cargo run --release -p iems-bench -- smtp`. Ten clients, {} s for each figure, all \
         servers durable and\non the same disk, each delivering into mailboxes of its own meanwhile. Postfix asks Dovecot about passwords. Debian's \
         OpenSMTPD\nbreaks off every TLS handshake (OpenSSL 3), so it has no figures there. `ratio` is how many times better iems is than the best\n\
         of the others.\n",
        time.as_secs_f64()
    );
    if wanted("sessions") {
        text += &rates(time);
    }
    if wanted("memory") {
        text += &memory();
    }
    if wanted("crowd") {
        text += &hostile();
    }
    println!("{text}\nAll of it took {:.0} s.", start.elapsed().as_secs_f64());
    if only.is_empty() {
        crate::sections::write(TITLE, &text);
    }
}

/// What a client does again and again, with iems alone.
fn alone(time: Duration) {
    for manner in Manner::ALL {
        println!("{}: {:?}", manner.name(), sessions::measure(Who::Iems, manner, time));
    }
}

fn head(text: &mut String, what: &str) {
    tables::head(text, what, &Who::ALL.map(Who::name));
}

fn rates(time: Duration) -> String {
    let mut all = Vec::new();
    for manner in Manner::ALL {
        let figures = Who::ALL.map(|who| {
            let figures = sessions::measure(who, manner, time);
            println!("{} {}: {figures:?}", who.name(), manner.name());
            figures
        });
        all.push((manner, figures));
    }
    let mut text = String::new();
    head(&mut text, "Times a second");
    for (manner, figures) in &all {
        row(&mut text, manner.name(), &figures.map(|f| f.map(|f| f.rate)), true);
    }
    head(&mut text, "Processor milliseconds of the server each time");
    for (manner, figures) in &all {
        row(&mut text, manner.name(), &figures.map(|f| f.map(|f| f.cpu_ms)), false);
    }
    let resumed = all.iter().find(|(manner, _)| *manner == Manner::Handshake { resumed: true });
    if let Some((_, figures)) = resumed {
        let parts: Vec<String> = Who::ALL
            .iter()
            .zip(figures)
            .filter_map(|(who, f)| f.map(|f| format!("{} {:.0} %", who.name(), f.resumed * 100.0)))
            .collect();
        let _ =
            writeln!(text, "\nOf the handshakes with resumption these were resumed: {}.", parts.join(", "));
    }
    let failed = Who::ALL.iter().enumerate().map(|(at, who)| {
        let failed: usize = all.iter().filter_map(|(_, figures)| figures[at]).map(|f| f.failed).sum();
        format!("{} {failed}", who.name())
    });
    let failed = failed.collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        text,
        "Clients that met another reply than wanted, in all cases: {failed}. Exim delivers in processes that leave its tree: their\n\
         time is not in its figures."
    );
    text
}

fn memory() -> String {
    let mut text = String::new();
    head(&mut text, "Memory of a connection (PSS), KiB");
    let mut counts = String::new();
    for (name, busy) in [("idle behind the greeting", false), ("within a message, 50 KiB of it sent", true)] {
        let figures = Who::ALL.map(|who| {
            let memory = if busy { crowds::busy(who) } else { crowds::idle(who) };
            println!("{} {name}: {memory:?}", who.name());
            memory
        });
        row(&mut text, name, &figures.map(|m| Some(m.each)), false);
        let each: Vec<String> = Who::ALL
            .iter()
            .zip(&figures)
            .map(|(who, m)| format!("{} {} ({:.0} MiB)", who.name(), m.count, m.all))
            .collect();
        let _ =
            writeln!(counts, "Connections at once, {name}, and the server with them: {}.", each.join(", "));
    }
    let _ =
        writeln!(text, "\n{counts}Postfix and Exim have a process for each connection, so they get fewer.");
    text
}

fn hostile() -> String {
    let mut text = format!(
        "\n### A crowd of {CROWD} connections that send an octet every ten seconds\n\nOne honest client after another, each with a message of 1 KiB: \
         from connecting to the reply after the data, in milliseconds.\nThe servers have the bounds on connections that Debian ships, Postfix 300 \
         processes instead of 100; who cannot serve everybody turns away\nor keeps waiting. Patience: 5 s. The crowd is who could connect at all.\n\n\
         | | crowd | messages taken | half | 99 of 100 |\n|---|---|---|---|---|\n"
    );
    for who in Who::ALL {
        for crowd in [0, CROWD] {
            let beside = crowds::hostile(who, crowd);
            println!("{} {crowd}: {beside:?}", who.name());
            let (served, tried) = beside.served;
            let times = match served {
                0 => "– | –".to_owned(),
                _ => format!("{:.1} | {:.1}", beside.half, beside.p99),
            };
            let _ = writeln!(text, "| {} | {} | {served} of {tried} | {times} |", who.name(), beside.crowd);
        }
    }
    text
}
