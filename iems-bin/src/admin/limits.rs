//! What is answered about limits and bans (`docs/config.md`). Fields are only ever added.

use iems_core::limits::{Ban, Key};
use serde::{Deserialize, Serialize};

/// Limits, whom they hit, and bans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LimitsAnswer {
    /// The limits that hold; those of listeners only while a server runs.
    pub(crate) limits: Vec<LimitAnswer>,
    /// Whom they hit of late, the latest first.
    pub(crate) hits: Vec<HitAnswer>,
    /// The bans that hold, the oldest first.
    pub(crate) bans: Vec<Ban>,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LimitAnswer {
    /// Its name.
    pub(crate) name: String,
    /// Where it was set.
    pub(crate) origin: String,
    /// The listener it counts for; empty if for all together.
    pub(crate) listener: String,
    /// How much it allows.
    pub(crate) most: String,
    /// How often it hit anybody.
    pub(crate) hits: u64,
}

/// A limit that hit somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HitAnswer {
    /// The limit.
    pub(crate) limit: String,
    /// Where it was set.
    pub(crate) origin: String,
    /// What was wanted.
    pub(crate) of: String,
    /// Whom.
    pub(crate) key: Key,
    /// How often.
    pub(crate) count: u64,
    /// When the last time.
    pub(crate) last: String,
}
