//! `[queue]`: how long and how often delivery is tried.

use std::time::Duration;

use iems_core::queue::Peer;

use super::problem::Notes;
use super::read::{At, section};

section! {
    /// The queue.
    WrittenQueue {
        /// How long to wait after each failed attempt; the last one repeats.
        retry: Vec<Duration> = r#"["1m", "5m", "15m", "1h", "4h"]"#;
        /// When delivery is given up.
        expire: Duration = r#""5d""#;
        /// When the sender is told of a delay.
        warn: Duration = r#""4h""#;
        /// The most connections to one next hop.
        per_hop: u32 = "20";
        /// The most attempts at once, in all.
        attempts: u32 = "200";
        /// How long the story of a finished message is kept.
        history: Duration = r#""7d""#;
    }
}

/// What holds for destinations of which no `[[peer]]` says anything else.
pub(super) fn default_peer(written: &WrittenQueue, notes: &mut Notes<'_>) -> Peer {
    let mut peer = Peer::default();
    peer.concurrency = written.per_hop.value as usize;
    peer.initial_concurrency = peer.initial_concurrency.min(peer.concurrency);
    peer.schedule.retry = retry(&written.retry, "queue.retry", notes);
    peer.schedule.expire = written.expire.value;
    peer.schedule.warn = Some(written.warn.value).filter(|warn| !warn.is_zero());
    let spans = [&written.per_hop.span, &written.retry.span, &written.expire.span, &written.warn.span];
    if let Some(span) = spans.into_iter().flatten().min_by_key(|span| span.start) {
        peer.origin = notes.place(Some(span), "[queue]");
    }
    peer
}

/// Waits between attempts: at least one, each longer than nothing.
pub(super) fn retry(waits: &At<Vec<Duration>>, key: &str, notes: &mut Notes<'_>) -> Vec<Duration> {
    if waits.is_empty() || waits.iter().any(Duration::is_zero) {
        notes.expected(waits.span.as_ref(), key, "at least one duration, each longer than nothing");
    }
    waits.value.clone()
}
