//! Counting: how many sessions went as a policy wants, and how many did not, by day, domain and policy (RFC 8460 section 4).
//!
//! In memory, and added to the store's counters now and then: never a commit for a message. What a crash takes is a minute of counting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use iems_core::seam::{Clock, Timestamp};
use iems_core::storage::{Batch, CommitError, Store};
use serde::{Deserialize, Serialize};

use super::FailureKind;
use super::rows::{self, Counter, Day};

/// The most counters in memory. What is above is not counted: an attacker with a million domains gets no memory.
const MOST: usize = 20_000;
/// The longest reason, in characters.
const LONGEST_TEXT: usize = 160;

/// Where a policy is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PolicyKind {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// The domain publishes none.
    NoPolicyFound,
}

impl PolicyKind {
    /// The word for it in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::NoPolicyFound => "no-policy-found",
        }
    }
}

/// A policy, as reports describe it (RFC 8460 section 4.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicySeen {
    /// Where it is from.
    pub kind: PolicyKind,
    /// Whose it is: for DANE the name behind `_25._tcp.`.
    pub domain: String,
    /// Its lines or records.
    pub strings: Vec<String>,
    /// The hosts it names.
    pub hosts: Vec<String>,
}

/// A session that was not as the policy wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FailureSeen {
    /// Why.
    pub kind: FailureKind,
    /// The host.
    pub host: Option<String>,
    /// Its address.
    pub ip: Option<IpAddr>,
    /// In words.
    pub text: String,
}

/// Counts.
pub struct Tally {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    counters: HashMap<Counter, i64>,
    policies: HashMap<(Day, String, u64), Arc<PolicySeen>>,
    lost: u64,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tally")
    }
}

impl Tally {
    /// Counts into `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, pending: Mutex::default() }
    }

    /// The day that is counted now.
    pub(super) fn today(&self) -> Day {
        Day::of(self.clock.now())
    }

    /// One session with a host of `domain`.
    pub fn count(&self, domain: &str, policy: &Arc<PolicySeen>, failure: Option<FailureSeen>) {
        self.count_at(self.clock.now(), domain, policy, failure);
    }

    fn count_at(&self, now: Timestamp, domain: &str, policy: &Arc<PolicySeen>, failure: Option<FailureSeen>) {
        let (day, number) = (Day::of(now), rows::number(policy));
        let failure = failure.map(|mut failure| {
            failure.text = failure.text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect();
            failure
        });
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let counter = Counter { day, domain, policy: number, failure };
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.counters.len() >= MOST && !pending.counters.contains_key(&counter) {
            pending.lost += 1;
            return;
        }
        pending.policies.entry((day, counter.domain.clone(), number)).or_insert_with(|| policy.clone());
        *pending.counters.entry(counter).or_default() += 1;
    }

    /// Adds what was counted to the store, in one commit.
    ///
    /// # Errors
    /// The store cannot; nothing is lost.
    pub async fn flush(&self) -> Result<(), CommitError> {
        let Pending { counters, policies, lost } =
            std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if lost > 0 {
            tracing::warn!(lost, "more TLS sessions than can be counted; reports will miss some");
        }
        if counters.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for ((day, domain, number), policy) in &policies {
            rows::put_policy(&mut batch, *day, domain, *number, policy);
        }
        for (counter, count) in &counters {
            batch.add(&counter.key(), *count);
        }
        let done = self.store.commit(batch).await.map(drop);
        if done.is_err() {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            for (counter, count) in counters {
                *pending.counters.entry(counter).or_default() += count;
            }
            pending.policies.extend(policies);
        }
        done
    }
}
