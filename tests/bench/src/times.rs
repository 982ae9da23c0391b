//! Times of arrival at the sink, and what they say: how long messages took, from the loader's hand to the sink's.

use std::sync::{Mutex, PoisonError};

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::load::{SENT, unix_micros};

/// What arrived at one kind of address.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Arrived {
    /// Messages.
    pub(crate) count: usize,
    /// The first and the last of them, in microseconds of the epoch.
    pub(crate) first: u64,
    /// See there.
    pub(crate) last: u64,
    /// Microseconds from the loader to the end of the message at the sink: median.
    pub(crate) half_us: u64,
    /// The same, 99 of 100.
    pub(crate) p99_us: u64,
}

/// What a watchful sink saw.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Times {
    /// At addresses that answer at once.
    pub(crate) fast: Arrived,
    /// At slow ones.
    pub(crate) slow: Arrived,
}

/// When each message arrived, and how long it took, in microseconds.
#[derive(Debug, Default)]
struct Seen(Vec<(u64, u64)>);

/// Keeps times until it is asked.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Mutex<[Seen; 2]>,
}

impl Watch {
    /// A message has arrived, now.
    pub(crate) fn arrived(&self, slow: bool, sent: Option<u64>) {
        let now = unix_micros();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen[usize::from(slow)].0.push((now, sent.map_or(0, |sent| now.saturating_sub(sent))));
    }

    /// What there is since the last time, as JSON.
    pub(crate) fn told(&self) -> String {
        let [fast, slow] = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let times = Times { fast: fast.summed(), slow: slow.summed() };
        serde_json::to_string(&times).unwrap_or_default()
    }
}

impl Seen {
    fn summed(self) -> Arrived {
        let mut took: Vec<u64> = self.0.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or(0);
        let when = || self.0.iter().map(|(when, _)| *when);
        Arrived {
            count: took.len(),
            first: when().min().unwrap_or(0),
            last: when().max().unwrap_or(0),
            half_us: at(50),
            p99_us: at(99),
        }
    }
}

/// When the loader sent the message that begins so.
pub(crate) fn sent_at(head: &[u8]) -> Option<u64> {
    let at = memmem::find(head, SENT.as_bytes())? + SENT.len();
    std::str::from_utf8(head.get(at..at + 16)?).ok()?.parse().ok()
}
