//! The tables of `docs/benchmarks.md`: medians, and ratios between iems and its peer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::measure::{Case, Figures};
use crate::servers::Kind;

/// All figures of all repetitions.
pub(crate) type Results = BTreeMap<Case, Vec<Figures>>;

/// The median of one figure over the repetitions.
fn median(all: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = all.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// One row for each load, iems and its peer side by side, with their ratio.
fn table(
    results: &Results,
    title: &str,
    pair: (Kind, Kind),
    of: fn(&Figures) -> f64,
    higher: bool,
) -> String {
    let mut text = format!(
        "\n### {title}\n\n| sessions | size | {} | {} | ratio |\n|---|---|---|---|---|\n",
        pair.0.name(),
        pair.1.name()
    );
    for (case, ours) in results.iter().filter(|(case, _)| case.kind == pair.0) {
        let Some(theirs) = results.get(&Case { kind: pair.1, ..*case }) else { continue };
        let (ours, theirs) = (median(ours, of), median(theirs, of));
        let ratio = if higher { ours / theirs } else { theirs / ours };
        let size = case.size / 1024;
        let _ = writeln!(
            text,
            "| {} | {size} KiB | {} | {} | **{ratio:.1}** |",
            case.sessions,
            short(ours),
            short(theirs)
        );
    }
    text
}

fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// The whole page.
pub(crate) fn page(
    results: &Results,
    syncs: &[(Kind, Option<f64>)],
    idle: &[(Kind, f64)],
    how: &str,
) -> String {
    let relay = (Kind::IemsRelay, Kind::PostfixRelay);
    let local = (Kind::IemsLocal, Kind::PostfixDovecot);
    let mut text = format!("# Benchmarks\n\n{how}\n{}", machine());
    text += "\n## Relay: in by SMTP, out by SMTP into a sink\n";
    text += &table(results, "Messages accepted a second", relay, |f| f.accepted, true);
    text += &table(results, "Messages a second, end to end", relay, |f| f.through, true);
    text += &costs(results, relay);
    text += "\n## Local delivery: in by SMTP, into mailboxes\n";
    text += &table(results, "Messages accepted a second", local, |f| f.accepted, true);
    text += &table(results, "Messages a second, end to end", local, |f| f.through, true);
    text += &costs(results, local);
    text += "\n## Syncs a message, and an idle server\n\n| | sync calls a message | idle, MiB (PSS) |\n|---|---|---|\n";
    for (kind, calls) in syncs {
        let idle =
            idle.iter().find(|(of, _)| of == kind).map_or("–".to_owned(), |(_, mib)| format!("{mib:.1}"));
        let calls = calls.map_or("–".to_owned(), |calls| format!("{calls:.2}"));
        let _ = writeln!(text, "| {} | {calls} | {idle} |", kind.name());
    }
    text + BOUNDS
}

/// Why some ratios are what they are, as found with `perf` and `/proc`.
const BOUNDS: &str = "
## What bounds what

- **One session** waits for the disk: a message is one sync on either side, and iems has nobody to share it with.
- **Messages of 100 KiB** cost copies: from the socket, into the page cache, out of it, into the socket. More than half of the server's
  processor time is the kernel's, copying and moving packets; of the rest a third is hashing (BLAKE3 for the name of the body, CRC-32C for
  its pieces). Loader and sink copy as much on the same processors, for iems as for its peer, so the ratio end to end cannot
  grow beyond what they leave.
- **200 sessions** hand messages in faster than the sink takes them, as they should; what waits for its turn when a checkpoint comes is written
  to the index as well, and taken out again later: about half of what is written beyond one octet for an octet of mail. With fewer
  sessions mail is gone before a checkpoint sees it.
- **Octets written by the server** are those of `/proc/PID/io`: Linux counts a whole folio each time a part of it gets dirty,
  and a log that is appended to dirties its last folio with every group. What reached the disk is in the table behind it.
";

/// What it costs, in the same runs.
fn costs(results: &Results, pair: (Kind, Kind)) -> String {
    let mut text = table(results, "Processor milliseconds a message", pair, |f| f.cpu_ms, false);
    text += &table(
        results,
        "Time to the reply after the data, 99 of 100, in milliseconds",
        pair,
        |f| f.reply_p99_us / 1000.0,
        false,
    );
    text += &table(results, "Most memory (PSS), MiB", pair, |f| f.memory_mib, false);
    text +=
        &table(results, "Octets written by the server for each octet of mail", pair, |f| f.written, false);
    text += &table(
        results,
        "Octets written to the disk for each octet of mail, the file system's included",
        pair,
        |f| f.disk,
        false,
    );
    text += &table(results, "Flushes of the disk a message", pair, |f| f.flushes, false);
    let lost: f64 = results.values().flatten().map(|figures| figures.lost).sum();
    let _ = writeln!(text, "\nMessages refused or missing in all runs: {lost}.");
    text
}

/// What the machine says about itself.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let cpu = value(&read("/proc/cpuinfo"), "model name");
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kib: u64 =
        value(&read("/proc/meminfo"), "MemTotal").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let system =
        read("/etc/os-release").lines().find_map(|l| l.strip_prefix("PRETTY_NAME=").map(str::to_owned));
    let file_system = read("/proc/mounts")
        .lines()
        .rfind(|l| l.split(' ').nth(1) == Some("/"))
        .map_or(String::new(), |l| l.split(' ').nth(2).unwrap_or_default().to_owned());
    format!(
        "\nThe machine: {count} processors ({cpu}), {} GiB of memory, {}, Linux {}, data on {file_system}.\n\
         Servers, loader and sink share the processors: ratios tell more than rates.\n",
        kib >> 20,
        system.unwrap_or_default().trim_matches('"'),
        kernel.trim()
    )
}
