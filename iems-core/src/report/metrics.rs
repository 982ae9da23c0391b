//! Counters of one engine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Reported, TrafficBook};

/// Counters since the engine was built.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) deferred: AtomicU64,
    pub(crate) failed: AtomicU64,
    reported: Mutex<Reported>,
    pub(crate) traffic: TrafficBook,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// Messages accepted.
    pub accepted: u64,
    /// Connections, recipients and messages refused.
    pub refused: u64,
    /// Recipients delivered or relayed.
    pub delivered: u64,
    /// Attempts after which a recipient waits on.
    pub deferred: u64,
    /// Recipients that failed for good.
    pub failed: u64,
    /// What senders and the postmaster were told.
    pub reported: Reported,
    /// Queue workers now.
    pub workers: u64,
}

impl Counters {
    /// Counts what a batch told, once it has taken effect.
    pub(crate) fn told(&self, told: Reported) {
        *self.reported.lock().unwrap_or_else(PoisonError::into_inner) += told;
    }

    pub(crate) fn read(&self, workers: usize) -> Metrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            accepted: get(&self.accepted),
            refused: get(&self.refused),
            delivered: get(&self.delivered),
            deferred: get(&self.deferred),
            failed: get(&self.failed),
            reported: *self.reported.lock().unwrap_or_else(PoisonError::into_inner),
            workers: workers as u64,
        }
    }
}
