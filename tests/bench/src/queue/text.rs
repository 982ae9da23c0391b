//! The section of `docs/benchmarks.md` about the queue.

use std::fmt::Write as _;

use super::long::{Level, Long};
use super::peer::LongPeer;
use super::{Extent, Results, SLOW};

/// What the section begins with.
pub(crate) const TITLE: &str = "\n## The queue at full strength\n";

/// The section.
pub(super) fn section(results: &Results, extent: &Extent) -> String {
    let mut text = format!(
        "{TITLE}\nWritten by `cargo run --release -p iems-bench -- queue --full`. Messages of 1 KiB, each for one recipient, from 1,000\n\
         senders to 1,000 destinations; iems holds {}, Postfix a tenth. All durable, on the same disk.\n",
        thousands(extent.messages)
    );
    if let Some(long) = &results.long {
        text += &levels(long);
        text += &beside(long, results.peer.as_ref());
    }
    text += &crowd(results);
    if let Some(tarpit) = &results.tarpit {
        let _ = write!(
            text,
            "\n### One destination that takes {} s for each message, with {} messages waiting for it\n\n\
             Time of other messages from the sender to their destination, in milliseconds.\n\n\
             | | half | 99 of 100 |\n|---|---|---|\n",
            SLOW.as_secs(),
            thousands(tarpit.waiting)
        );
        for (what, [half, p99]) in [
            ("the queue is empty", tarpit.empty),
            ("the slow destination is paused", tarpit.paused),
            ("the slow destination is at work", tarpit.at_work),
        ] {
            let _ = writeln!(text, "| {what} | {half:.2} | {p99:.2} |");
        }
    }
    text
}

fn levels(long: &Long) -> String {
    let mut text = "\n### iems, by the length of the queue\n\n| |".to_owned();
    let row = |text: &mut String, name: &str, of: &dyn Fn(&Level) -> String| {
        let cells: Vec<String> = long.levels.iter().map(of).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    for level in &long.levels {
        let _ = write!(text, " {} |", thousands(level.queued));
    }
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(long.levels.len()));
    row(&mut text, "delivery of others, processor ms a message", &|l| format!("{:.3}", l.cpu_ms));
    row(&mut text, "delivery of others, messages a second", &|l| format!("{:.0}", l.rate));
    row(&mut text, "`queue list --limit 20`, ms", &|l| format!("{:.0}", l.list));
    row(&mut text, "`queue list --sender … --limit 20`, ms", &|l| format!("{:.0}", l.by_sender));
    row(&mut text, "`queue show ID`, ms", &|l| format!("{:.0}", l.show));
    row(&mut text, "`queue hops`, ms", &|l| format!("{:.0}", l.hops));
    row(&mut text, "`queue purge --sender …`, 1,000 messages, ms", &|l| format!("{:.0}", l.purge));
    row(&mut text, "memory (RSS), MiB", &|l| format!("{:.0}", mib(l.memory)));
    row(&mut text, "on disk, KiB a message", &|l| format!("{:.2}", kib_each(l.disk, l.queued)));
    text
}

fn beside(long: &Long, peer: Option<&LongPeer>) -> String {
    let Some(last) = long.levels.last() else { return String::new() };
    let none = LongPeer::default();
    let peer = peer.unwrap_or(&none);
    let mut text = format!(
        "\n### A long queue in both\n\n| | iems, {} | Postfix, {} |\n|---|---|---|\n",
        thousands(last.queued),
        thousands(peer.queued)
    );
    let mut row = |name: &str, ours: f64, theirs: f64, digits: usize| {
        let theirs = if theirs == 0.0 { "–".to_owned() } else { format!("{theirs:.digits$}") };
        let _ = writeln!(text, "| {name} | {ours:.digits$} | {theirs} |");
    };
    let rate = |count: usize, secs: f64| if secs > 0.0 { count as f64 / secs } else { 0.0 };
    row("filling it, messages a second", rate(last.queued, long.fill), rate(peer.queued, peer.fill), 0);
    row("until all had been tried or put behind a site that is down, s", long.fill, peer.settled, 0);
    row(
        "memory when it is full, MiB (RSS, and PSS of all processes)",
        mib(long.most_memory.max(last.memory)),
        mib(peer.memory),
        0,
    );
    row("on disk, KiB a message", kib_each(last.disk, last.queued), kib_each(peer.disk, peer.queued), 2);
    row("the first 20 of the list, ms", last.list, peer.list, 0);
    row("one message shown, ms", last.show, peer.show, 0);
    row("removing 1,000 messages of one sender, ms", last.purge, peer.purge, 0);
    row("an orderly stop in the middle of delivery, ms", long.stopped.stop, 0.0, 0);
    row("from the start until it listens, ms", long.stopped.listens, peer.listens, 0);
    row(
        "from the start to the first delivery, ms (Postfix: of a message handed in at once)",
        long.stopped.first,
        peer.first,
        0,
    );
    row("the same after kill -9, ms", long.killed.first, 0.0, 0);
    row("memory after the restart, MiB", mib(long.stopped.memory), mib(peer.memory_again), 0);
    text
}

fn crowd(results: &Results) -> String {
    if results.crowds.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n### 1,000 destinations, 100 of which take {} s for each message\n\n\
         | | fast, messages a second | fast arrived | way, half, ms | way, 99 of 100, ms | slow ones by then | memory (PSS), MiB |\n\
         |---|---|---|---|---|---|---|\n",
        SLOW.as_secs()
    );
    for (name, crowd) in &results.crowds {
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {} | {:.0} | {:.0} | {} of {} | {:.0} |",
            crowd.rate,
            thousands(crowd.fast),
            crowd.half,
            crowd.p99,
            crowd.slow,
            crowd.slow_sent,
            mib(crowd.memory)
        );
    }
    if let [(_, ours), (_, theirs)] = &results.crowds[..] {
        let _ = writeln!(text, "\nRatio of the rates: **{:.1}**.", ours.rate / theirs.rate.max(0.001));
    }
    text
}

fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

fn kib_each(octets: u64, messages: usize) -> f64 {
    octets as f64 / 1024.0 / messages.max(1) as f64
}

/// With commas.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
