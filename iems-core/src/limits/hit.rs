//! Which limit hit whom: for the reply, the log, and the list of the last ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::key::Key;
use super::limit::{Act, Bound, Limit, Per};
use crate::message::{EnhancedStatus, Reply};
use crate::seam::Timestamp;

/// A limit that somebody hit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hit {
    /// The limit's name; of a ban, the name of the rule that led to it.
    pub limit: Arc<str>,
    /// Where it was set.
    pub origin: Arc<str>,
    /// What was wanted.
    pub act: Act,
    /// For whom it counts; `None` for a ban.
    pub per: Option<Per>,
    /// How much it allows; `None` for a ban.
    pub bound: Option<Bound>,
    /// Who hit it.
    pub key: Key,
    /// How long it will go on, if that is known and nothing else comes.
    pub wait: Option<Duration>,
    /// Whether this hit led to a ban.
    pub banned: bool,
}

impl Hit {
    pub(super) fn of(limit: &Limit, key: Key, wait: Option<Duration>) -> Self {
        Self {
            limit: limit.name.clone(),
            origin: limit.origin.clone(),
            act: limit.act,
            per: Some(limit.per),
            bound: Some(limit.bound),
            key,
            wait,
            banned: false,
        }
    }

    /// What the peer is told: what happened, and what to do. Names no limit and no number of the configuration.
    pub fn text(&self) -> String {
        let wait = self.wait.map_or_else(|| "later".into(), after);
        let Some(per) = self.per else {
            let whose = match &self.key {
                Key::Network(_) | Key::Login(..) => "your address",
                Key::Account(_) => "your account",
                _ => "you",
            };
            return format!("{whose} did too much that is not allowed; try again {wait}");
        };
        let whose = match per {
            Per::All => "all clients together",
            Per::Address => "your address",
            Per::Network => "your network",
            Per::Account => "your account",
            Per::Login => "your network for this login",
        };
        match (self.act, self.bound, per) {
            (Act::Connection, Some(Bound::AtOnce(_)), Per::All) => {
                "too many connections; try again later".into()
            }
            (Act::Connection, Some(Bound::AtOnce(_)), _) => {
                format!("too many connections from {whose}; close some first")
            }
            (Act::Connection, ..) => format!("{whose} connects too often; try again {wait}"),
            (Act::Failure, ..) => format!("too many failed logins by {whose}; try again {wait}"),
            (Act::Breach, ..) => format!("too many errors by {whose}; try again {wait}"),
            (act, ..) => format!("too many {} by {whose} lately; try again {wait}", act.name()),
        }
    }

    /// The reply that refuses: 421 to whoever is turned away, else one that defers what was wanted.
    pub fn reply(&self) -> Reply {
        let (code, status) = match self.act {
            _ if self.per.is_none() => (421, EnhancedStatus::new(4, 7, 0)),
            Act::Connection => (421, EnhancedStatus::new(4, 3, 2)),
            Act::Breach => (421, EnhancedStatus::new(4, 7, 0)),
            Act::Failure => (454, EnhancedStatus::new(4, 7, 0)),
            Act::Recipient => (452, EnhancedStatus::new(4, 5, 3)),
            Act::Message | Act::Octets => (450, EnhancedStatus::new(4, 7, 1)),
        };
        Reply::new(code, status, self.text()).because(self.cause())
    }

    /// What an administrator is told.
    pub fn cause(&self) -> String {
        match self.bound {
            Some(bound) => {
                let (act, key) = (self.act.name(), &self.key);
                format!("{} ({}): {key} hit {bound} {act}", self.limit, self.origin)
            }
            None => format!("{} ({}): {} is banned", self.limit, self.origin, self.key),
        }
    }
}

fn after(wait: Duration) -> String {
    match wait.as_secs() {
        0..=1 => "in a second".into(),
        secs @ 2..=119 => format!("in {secs} seconds"),
        secs @ 120..=7199 => format!("in {} minutes", secs.div_ceil(60)),
        secs => format!("in {} hours", secs.div_ceil(3600)),
    }
}

/// How often a limit hit somebody, of those that were hit last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HitCount {
    /// The limit.
    pub limit: Arc<str>,
    /// Where it was set.
    pub origin: Arc<str>,
    /// What it allows; empty for a ban.
    pub bound: String,
    /// What it counts.
    pub act: &'static str,
    /// Whom.
    pub key: Key,
    /// How often.
    pub count: u64,
    /// When the last time.
    pub last: Timestamp,
}

/// The most that are told of.
const TOLD: usize = 200;

/// The hits of late, the latest last.
#[derive(Default)]
pub(super) struct Hits {
    late: VecDeque<HitCount>,
}

impl Hits {
    pub(super) fn count(&mut self, hit: &Hit, now: Timestamp) {
        let same = |known: &HitCount| known.key == hit.key && known.limit == hit.limit;
        let known = self.late.iter().rposition(same).and_then(|at| self.late.remove(at));
        if self.late.len() >= TOLD {
            self.late.pop_front();
        }
        let count = known.map_or(0, |known| known.count) + 1;
        let bound = hit.bound.map(|bound| bound.to_string()).unwrap_or_default();
        let (limit, origin, key) = (hit.limit.clone(), hit.origin.clone(), hit.key.clone());
        self.late.push_back(HitCount { limit, origin, bound, act: hit.act.name(), key, count, last: now });
    }

    pub(super) fn list(&self) -> Vec<HitCount> {
        self.late.iter().rev().cloned().collect()
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.late.retain(|known| known.key != *key);
    }
}
