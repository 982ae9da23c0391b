//! The latches, as a pure state machine: evidence and time in, conditions and the time of the next probe out.
//!
//! | condition | closes on | opens on |
//! |---|---|---|
//! | slow | a commit under way too long, or three late ones in a row | two quick probes in a row, nothing hanging |
//! | memory | a measurement over its mark | one a tenth below it |
//! | low | a measurement under its mark | one a quarter above it |
//! | full | a write that found no space | a probe that wrote a body |
//! | failing | a write that failed, or found no space even for rows | a probe that wrote a row |
//!
//! A probe opens nothing if something failed after it began. Probes come after 1 s, then 2 s, 4 s and 5 s;
//! trouble that returns soon goes on with longer pauses, so that a device that works now and then
//! does not take a victim a second.

use std::collections::BTreeMap;
use std::time::Duration;

use super::told::{Condition, Probes, Trouble};
use crate::seam::Timestamp;
use crate::storage::StoreError;

/// The pause before the first probe, and the longest between two.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// Trouble that returns within this time after it ended is the same trouble.
const RELAPSE: Duration = Duration::from_secs(30);
/// Quick probes in a row after which storage is not slow any more.
const QUICK: u32 = 2;

/// What a write held that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Rows alone: what records outcomes and deletes.
    Rows,
    /// A body too, or instead.
    Body,
}

/// What a probe found.
#[derive(Debug, Clone)]
pub(super) struct Probed {
    /// How long a commit of one row took.
    pub(super) rows: Result<Duration, StoreError>,
    /// Whether a body was taken and given up again. Not tried, and the same error, if the row failed.
    pub(super) body: Result<(), StoreError>,
}

/// The latches of one engine.
#[derive(Debug)]
pub(super) struct Machine {
    latches: BTreeMap<Condition, Latch>,
    since: Timestamp,
    changes: u64,
    failures: u64,
    quick: u32,
    probing: Option<Next>,
    /// Before the first probe of this trouble, and before the next one.
    pauses: (Duration, Duration),
    opened: Option<Timestamp>,
    probes: Probes,
}

#[derive(Debug)]
struct Latch {
    since: Timestamp,
    reason: String,
}

/// When the next probe is due, and when that was decided.
#[derive(Debug, Clone, Copy)]
struct Next {
    set: Timestamp,
    due: Timestamp,
}

impl Machine {
    /// Healthy since `now`.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            latches: BTreeMap::new(),
            since: now,
            changes: 0,
            failures: 0,
            quick: 0,
            probing: None,
            pauses: (PAUSES.0, PAUSES.0),
            opened: None,
            probes: Probes::default(),
        }
    }

    /// The worst trouble.
    pub(super) fn worst(&self) -> Condition {
        self.latches.last_key_value().map_or(Condition::Healthy, |(condition, _)| *condition)
    }

    /// Whether this kind of trouble holds.
    pub(super) fn holds(&self, condition: Condition) -> bool {
        self.latches.contains_key(&condition)
    }

    /// What the trouble began with.
    pub(super) fn reason(&self, condition: Condition) -> &str {
        self.latches.get(&condition).map_or("", |latch| &latch.reason)
    }

    /// All trouble, the worst first.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let all = self.latches.iter().rev();
        all.map(|(condition, latch)| Trouble {
            condition: *condition,
            since: latch.since,
            reason: latch.reason.clone(),
        })
        .collect()
    }

    /// Since when the worst is the worst.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// How often the worst changed.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The probes so far, and the next one.
    pub(super) fn probes(&self) -> Probes {
        Probes { next: self.probing.map(|next| next.due), ..self.probes }
    }

    /// A write failed. Errors that are not the device's change nothing.
    pub(super) fn failed(&mut self, now: Timestamp, error: &StoreError, held: Held) {
        if !error.is_temporary() {
            return;
        }
        self.failures += 1;
        let no_space = matches!(error, StoreError::NoSpace(_));
        if no_space {
            self.close(now, Condition::Full, || error.to_string());
        }
        if !no_space || held == Held::Rows {
            self.close(now, Condition::Failing, || error.to_string());
        }
    }

    /// Commits take too long.
    pub(super) fn slow(&mut self, now: Timestamp, reason: impl FnOnce() -> String) {
        self.quick = 0;
        self.close(now, Condition::Slow, reason);
    }

    /// Room for bodies was measured.
    pub(super) fn room(&mut self, now: Timestamp, free: u64, mark: u64) {
        if free < mark {
            self.close(now, Condition::Low, || {
                format!("room for {} MiB, less than {} MiB", free >> 20, mark >> 20)
            });
        } else if free >= mark.saturating_add(mark / 4) {
            self.open(now, Condition::Low);
        }
    }

    /// Memory was measured.
    pub(super) fn memory(&mut self, now: Timestamp, used: u64, mark: u64) {
        if used > mark {
            self.close(now, Condition::Memory, || {
                format!("the process holds {} MiB, more than {} MiB", used >> 20, mark >> 20)
            });
        } else if used <= mark - mark / 10 {
            self.open(now, Condition::Memory);
        }
    }

    /// When a probe is due; `None` while none is needed. At once if the clock was set back meanwhile.
    pub(super) fn probe_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.probing.map(|next| if now < next.set { now } else { next.due })
    }

    /// A probe begins; what it is to be ended with.
    pub(super) fn begin_probe(&self) -> u64 {
        self.failures
    }

    /// A probe ended. `slow` is the mark of a slow commit; `hanging`: one is under way for longer.
    pub(super) fn probed(
        &mut self,
        now: Timestamp,
        begun: u64,
        probed: &Probed,
        slow: Duration,
        hanging: bool,
    ) {
        let good = probed.rows.is_ok() && probed.body.is_ok();
        let count = if good { &mut self.probes.good } else { &mut self.probes.failed };
        *count += 1;
        if begun == self.failures {
            self.believe(now, probed);
        }
        if let Err(error) = &probed.rows {
            self.failed(now, error, Held::Rows);
        } else if let Err(error) = &probed.body {
            self.failed(now, error, Held::Body);
        }
        let quick = matches!(probed.rows, Ok(took) if took * 2 <= slow) && !hanging;
        self.quick = if quick { self.quick + 1 } else { 0 };
        if self.quick >= QUICK {
            self.open(now, Condition::Slow);
        }
        if self.probing.is_some() {
            let pause = if good { PAUSES.0 } else { longer(self.pauses.1) };
            self.pauses.1 = pause;
            self.probing = Some(Next { set: now, due: now.after(pause) });
        }
    }

    /// A probe showed nothing.
    pub(super) fn probe_again(&mut self, now: Timestamp) {
        self.probing = self.probing.map(|_| Next { set: now, due: now.after(PAUSES.0) });
    }

    /// Opens what a probe has shown to be over.
    fn believe(&mut self, now: Timestamp, probed: &Probed) {
        if probed.body.is_ok() {
            self.open(now, Condition::Full);
        }
        if probed.rows.is_ok() && matches!(probed.body, Ok(()) | Err(StoreError::NoSpace(_))) {
            self.open(now, Condition::Failing);
        }
    }

    fn close(&mut self, now: Timestamp, condition: Condition, reason: impl FnOnce() -> String) {
        if self.holds(condition) {
            return;
        }
        let before = self.worst();
        self.latches.insert(condition, Latch { since: now, reason: reason() });
        self.turned(now, before);
        if needs_probe(condition) && self.probing.is_none() {
            let again = self.opened.is_some_and(|opened| now.since(opened) < RELAPSE);
            let pause = if again { longer(self.pauses.0) } else { PAUSES.0 };
            self.pauses = (pause, pause);
            self.probing = Some(Next { set: now, due: now.after(pause) });
            self.quick = 0;
        }
    }

    fn open(&mut self, now: Timestamp, condition: Condition) {
        let before = self.worst();
        if self.latches.remove(&condition).is_none() {
            return;
        }
        self.turned(now, before);
        if self.probing.is_some() && !self.latches.keys().any(|condition| needs_probe(*condition)) {
            self.probing = None;
            self.opened = Some(now);
        }
    }

    fn turned(&mut self, now: Timestamp, before: Condition) {
        if self.worst() != before {
            self.since = now;
            self.changes += 1;
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(PAUSES.1)
}

/// Whether only a probe can show that it is over; the others are measured.
fn needs_probe(condition: Condition) -> bool {
    matches!(condition, Condition::Slow | Condition::Full | Condition::Failing)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
