//! How many connections were protected, and how well: for whoever watches the server. Counters that only grow.

use std::sync::atomic::{AtomicU64, Ordering};

use super::tls::{Proof, Protection};

/// Connections that were ready for messages, by their protection, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sessions {
    /// Without TLS.
    pub clear: u64,
    /// With TLS, and a certificate that nobody looked at, or that did not matter.
    pub unverified: u64,
    /// With a certificate that an authority vouches for.
    pub pkix: u64,
    /// With a certificate that the DNS names.
    pub dane: u64,
    /// With a certificate whose fingerprint is configured.
    pub pinned: u64,
    /// Handshakes that failed, whatever came after.
    pub failed: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counters {
    clear: AtomicU64,
    unverified: AtomicU64,
    pkix: AtomicU64,
    dane: AtomicU64,
    pinned: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    /// A connection is ready.
    pub(super) fn ready(&self, protection: &Protection) {
        let counter = match (&protection.agreed, &protection.proof) {
            (None, _) => &self.clear,
            (_, Proof::Nothing | Proof::Flawed(_)) => &self.unverified,
            (_, Proof::Pkix(_)) => &self.pkix,
            (_, Proof::Dane(_)) => &self.dane,
            (_, Proof::Pinned(_)) => &self.pinned,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A handshake failed.
    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Sessions {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sessions {
            clear: now(&self.clear),
            unverified: now(&self.unverified),
            pkix: now(&self.pkix),
            dane: now(&self.dane),
            pinned: now(&self.pinned),
            failed: now(&self.failed),
        }
    }
}
