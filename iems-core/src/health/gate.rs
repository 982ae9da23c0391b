//! The gate: the latches where everybody can ask them. Cheap while all is well: a look at one number, and for a
//! new message or attempt one short lock, to see whether a commit hangs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::commits::Commits;
use super::machine::{Held, Machine};
use super::marks::Marks;
use super::reply;
use super::told::{Condition, Health};
use crate::message::Reply;
use crate::seam::{Clock, Memory, MemoryGauge};
use crate::storage::{CommitError, Room, Storage, StoreError};

/// After how many slow commits in a row storage is slow.
const SLOW_IN_A_ROW: u32 = 3;

/// The gate of one engine.
pub(crate) struct Gate {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gauge: Option<Arc<dyn MemoryGauge>>,
    /// The storage itself, not watched: for probes.
    pub(super) storage: Storage,
    /// Rings when there is something to probe or to measure.
    pub(super) bell: Notify,
    machine: Mutex<Machine>,
    commits: Mutex<Commits>,
    marks: RwLock<Marks>,
    measured: Mutex<Measured>,
    /// The worst condition, for a look without a lock.
    worst: AtomicU8,
    /// Octets that may be taken before room is measured again.
    allowance: AtomicI64,
    /// Whether somebody probes; without that, no latch would ever open.
    watching: AtomicBool,
    refused: AtomicU64,
    opened: Notify,
}

#[derive(Debug, Default, Clone, Copy)]
struct Measured {
    room: Option<Room>,
    memory: Option<Memory>,
}

impl Gate {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        gauge: Option<Arc<dyn MemoryGauge>>,
        storage: Storage,
        marks: Marks,
    ) -> Arc<Self> {
        Arc::new(Self {
            machine: Mutex::new(Machine::new(clock.now())),
            clock,
            gauge,
            storage,
            bell: Notify::new(),
            commits: Mutex::default(),
            marks: RwLock::new(marks),
            measured: Mutex::default(),
            worst: AtomicU8::new(Condition::Healthy as u8),
            allowance: AtomicI64::new(i64::MAX),
            watching: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            opened: Notify::new(),
        })
    }

    /// Takes other marks.
    pub(crate) fn set_marks(&self, marks: Marks) {
        *self.marks.write().unwrap_or_else(PoisonError::into_inner) = marks;
        self.bell.notify_one();
    }

    pub(super) fn marks(&self) -> Marks {
        self.marks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn commit_slow(&self) -> Duration {
        self.marks.read().unwrap_or_else(PoisonError::into_inner).commit_slow
    }

    /// The reply to a peer that connects, if it is to be refused. `outside`: it has an address.
    pub(crate) fn at_connect(&self, outside: bool) -> Option<Reply> {
        if !outside || self.is_healthy() {
            return None;
        }
        self.refuse(reply::at_connect)
    }

    /// The reply to somebody who begins a message, if it is to be refused. `outside`: it came from a peer with an
    /// address; local programs are refused only what cannot be stored.
    pub(crate) fn at_begin(&self, outside: bool) -> Option<Reply> {
        if !self.is_hanging() && self.is_healthy() {
            return None;
        }
        self.refuse(|machine| reply::at_begin(machine, outside))
    }

    /// The reply to somebody whose message is under way, if it cannot be stored.
    pub(crate) fn under_way(&self) -> Option<Reply> {
        if self.is_healthy() {
            return None;
        }
        self.refuse(reply::under_way)
    }

    fn refuse(&self, reply: impl FnOnce(&Machine) -> Option<Reply>) -> Option<Reply> {
        let now = self.clock.now();
        let machine = self.machine();
        if machine.probe_due(now).is_some_and(|due| due <= now) {
            self.bell.notify_one(); // the clock may have been set: whoever waits for it would sleep on
        }
        let refusal = reply(&machine)?;
        self.refused.fetch_add(1, Ordering::Relaxed);
        Some(refusal)
    }

    /// Writing a message down failed; the reply.
    pub(crate) fn failed(&self, error: StoreError) -> Reply {
        self.note(&error, Held::Body);
        reply::to_error(&error)
    }

    /// An error that nobody is told of, as what was to be done is tried again. Failed commits were noted as they passed;
    /// what could not be read says nothing of others.
    pub(crate) fn storage(&self, error: StoreError) {
        tracing::warn!(%error, "storage failed; trying again");
    }

    /// What a failed commit means to a peer.
    pub(crate) fn commit(&self, error: CommitError) -> Reply {
        match error {
            CommitError::Store(error) => reply::to_error(&error),
            CommitError::Conflict => Reply::defer(3, 0, "another transaction was quicker; try again"),
        }
    }

    /// A body of so many octets was taken.
    pub(crate) fn took(&self, octets: u64) {
        let octets = i64::try_from(octets).unwrap_or(i64::MAX);
        if self.allowance.fetch_sub(octets, Ordering::Relaxed) < octets {
            self.bell.notify_one();
        }
    }

    /// Returns when a new attempt at delivery may begin, or at shutdown: at once, unless its outcome could not be
    /// recorded now.
    pub(crate) async fn may_deliver(&self, shutdown: &CancellationToken) {
        while !self.delivers() {
            let opened = self.opened.notified();
            if self.delivers() {
                return;
            }
            tokio::select! {
                biased;
                () = opened => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Whether the outcome of an attempt could be recorded now.
    pub(crate) fn delivers(&self) -> bool {
        !self.is_hanging() && (self.is_healthy() || !self.machine().holds(Condition::Failing))
    }

    /// All there is to tell.
    pub(crate) fn read(&self) -> Health {
        let (marks, delivers) = (self.marks(), self.delivers());
        let measured = *self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let commits = self.commits().read(self.clock.now());
        let machine = self.machine();
        Health {
            condition: machine.worst(),
            since: machine.since(),
            troubles: machine.troubles(),
            delivers,
            room: measured.room,
            low_mark: measured.room.map(|room| marks.low(room)),
            memory: measured.memory,
            memory_mark: measured.memory.map(|memory| marks.high(memory)),
            commits,
            probes: machine.probes(),
            refused: self.refused.load(Ordering::Relaxed),
            changes: machine.changes(),
        }
    }

    /// A commit begins; what it is to be ended with.
    pub(super) fn begin_commit(&self) -> u64 {
        let now = self.clock.now();
        self.commits().begin(now)
    }

    /// It returned.
    pub(super) fn end_commit(&self, commit: u64) {
        let (now, slow) = (self.clock.now(), self.commit_slow());
        let late = self.commits().end(commit, now, slow);
        if let Some((took, row)) = late
            && row >= SLOW_IN_A_ROW
        {
            self.note_slow(|| format!("{row} commits in a row were late, the last one took {took:?}"));
        }
        self.landed();
    }

    /// Nobody waits for it any more.
    pub(super) fn give_up_commit(&self, commit: u64) {
        self.commits().give_up(commit);
        self.landed();
    }

    /// Deliveries may wait for a commit that hung.
    fn landed(&self) {
        if !self.is_healthy() {
            self.opened.notify_waiters();
        }
    }

    fn is_healthy(&self) -> bool {
        self.worst.load(Ordering::Relaxed) == Condition::Healthy as u8
    }

    /// Whether a commit has been under way for too long; then storage is slow, and that is noted.
    pub(super) fn is_hanging(&self) -> bool {
        let Some(began) = self.commits().oldest_began() else { return false };
        let age = self.clock.now().since(began);
        let hangs = age > self.commit_slow();
        if hangs {
            self.note_slow(|| format!("a commit has been under way for {age:?}"));
        }
        hangs
    }

    /// Somebody probes from now on, so latches may close.
    pub(crate) fn expect_probes(&self) {
        self.watching.store(true, Ordering::Relaxed);
    }

    pub(super) fn note(&self, error: &StoreError, held: Held) {
        if self.watching.load(Ordering::Relaxed) {
            let now = self.clock.now();
            self.change(|machine| machine.failed(now, error, held));
            self.bell.notify_one();
        }
    }

    fn note_slow(&self, reason: impl FnOnce() -> String) {
        if self.watching.load(Ordering::Relaxed) && !self.machine().holds(Condition::Slow) {
            let now = self.clock.now();
            self.change(|machine| machine.slow(now, reason));
            self.bell.notify_one();
        }
    }

    /// What was measured, and how much may be taken before it is measured again.
    pub(super) fn measured(&self, room: Option<Room>, memory: Option<Memory>) {
        *self.measured.lock().unwrap_or_else(PoisonError::into_inner) = Measured { room, memory };
        let (now, marks) = (self.clock.now(), self.marks());
        let (free, low) = room.map_or((u64::MAX, 0), |room| (room.free, marks.low(room)));
        let (used, high) = memory.map_or((0, u64::MAX), |memory| (memory.used, marks.high(memory)));
        let until_low = free.saturating_sub(low) / 4;
        // Under the mark nothing more is to be found out by taking messages.
        let allowance = if until_low == 0 { i64::MAX } else { i64::try_from(until_low).unwrap_or(i64::MAX) };
        self.allowance.store(allowance, Ordering::Relaxed);
        self.change(|machine| {
            machine.room(now, free, low);
            machine.memory(now, used, high);
        });
    }

    /// Changes the latches, and tells everybody whom it concerns.
    pub(super) fn change(&self, step: impl FnOnce(&mut Machine)) {
        let mut machine = self.machine();
        let (before, since) = (machine.worst(), machine.since());
        step(&mut machine);
        let after = machine.worst();
        self.worst.store(after as u8, Ordering::Relaxed);
        if before != after {
            log(before, after, machine.reason(after), machine.since().since(since));
        }
        drop(machine);
        if before != after {
            self.opened.notify_waiters();
        }
    }

    pub(super) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line for each change, and none for what is refused meanwhile.
fn log(before: Condition, after: Condition, reason: &str, lasted: Duration) {
    let (was, now) = (before.name(), after.name());
    match after {
        Condition::Healthy => tracing::info!(was, now, ?lasted, "storage is healthy again"),
        _ if after > before => tracing::error!(was, now, reason, "storage is in trouble"),
        _ => tracing::warn!(was, now, reason, ?lasted, "storage is in less trouble"),
    }
}
