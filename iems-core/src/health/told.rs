//! What is told of health: plain data for status commands and metrics.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::seam::{Memory, Timestamp};
use crate::storage::Room;

/// How an engine is, from good to bad. Several kinds of trouble may hold at once; the worst one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Condition {
    /// Everything is taken.
    Healthy,
    /// Commits take too long: no new messages from outside.
    Slow,
    /// The process holds too much memory: no new connections and messages from outside.
    Memory,
    /// The room for bodies is under its mark: no new messages from outside.
    Low,
    /// There is no room for bodies: no new messages at all.
    Full,
    /// Nothing can be written: no connections, no messages, no deliveries.
    Failing,
}

impl Condition {
    /// All of them, from good to bad.
    pub const ALL: [Self; 6] =
        [Self::Healthy, Self::Slow, Self::Memory, Self::Low, Self::Full, Self::Failing];

    /// Its name, as `Display` gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Slow => "slow",
            Self::Memory => "memory",
            Self::Low => "low",
            Self::Full => "full",
            Self::Failing => "failing",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One kind of trouble that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// Which.
    pub condition: Condition,
    /// When it began.
    pub since: Timestamp,
    /// What it began with, for the administrator. Never sent to a peer.
    pub reason: String,
}

/// How long commits took: those that returned in the last one to two minutes, and those under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// How many returned.
    pub count: u64,
    /// Half of them took at most this; known to a factor of two.
    pub p50: Duration,
    /// All but a hundredth of them took at most this; known to a factor of two.
    pub p99: Duration,
    /// The longest.
    pub longest: Duration,
    /// Commits under way.
    pub under_way: u64,
    /// How long the oldest of them has been under way.
    pub oldest: Duration,
}

/// The probes that look whether trouble is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probes {
    /// Those that worked.
    pub good: u64,
    /// Those that did not.
    pub failed: u64,
    /// When the next one is due; `None` while none is needed.
    pub next: Option<Timestamp>,
}

/// The health of an engine at one moment. See [`crate::Engine::health`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The worst trouble, or [`Condition::Healthy`].
    pub condition: Condition,
    /// Since when that is the worst.
    pub since: Timestamp,
    /// All trouble that holds, the worst first.
    pub troubles: Vec<Trouble>,
    /// Whether new attempts at delivery are begun.
    pub delivers: bool,
    /// The room of the storage when it was last measured, if the storage tells.
    pub room: Option<Room>,
    /// The mark under which room is low, in bytes.
    pub low_mark: Option<u64>,
    /// The memory of the process when it was last measured, if the embedder tells.
    pub memory: Option<Memory>,
    /// The mark over which memory is short, in bytes.
    pub memory_mark: Option<u64>,
    /// How long commits take.
    pub commits: Latency,
    /// The probes.
    pub probes: Probes,
    /// Connections, messages and recipients that were refused because of trouble.
    pub refused: u64,
    /// How often the condition changed.
    pub changes: u64,
}
