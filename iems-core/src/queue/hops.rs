//! The hops as memory knows them: only heads and counts, whatever the length of the queue.
//! Pure book-keeping under one lock; nothing here waits.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::key::{GroupId, HopKey};
use super::submit::Queued;
use crate::message::NextHop;
use crate::seam::{Clock, Timestamp};

/// Heads kept per hop.
pub(super) const HEADS: usize = 256;

/// One hop.
#[derive(Default)]
struct Hop {
    heads: VecDeque<GroupId>,
    /// The store may hold more that is due than `heads`.
    more: bool,
    loading: bool,
    in_flight: HashSet<GroupId>,
    workers: usize,
    idle: usize,
    ready: bool,
    timer: Option<Timestamp>,
    notify: Arc<Notify>,
}

impl Hop {
    fn has_work(&self) -> bool {
        !self.heads.is_empty() || (self.more && !self.loading)
    }
}

#[derive(Default)]
struct Inner {
    hops: HashMap<HopKey, Hop>,
    ready: VecDeque<HopKey>,
    timers: BTreeSet<(Timestamp, HopKey)>,
    workers: usize,
}

/// What a worker does next.
pub(super) enum Take {
    /// Attempt this group; it is marked as in flight.
    Attempt(GroupId),
    /// Load heads from the store, then ask again.
    Load,
    /// Nothing is due: wait for this, or go. The worker counts as idle until it calls [`Runner::busy`].
    Nothing(Arc<Notify>),
}

/// The hops, and the bell of the task that starts workers.
pub(crate) struct Runner {
    inner: Mutex<Inner>,
    pub(super) bell: Notify,
    clock: Arc<dyn Clock>,
}

impl Runner {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { inner: Mutex::default(), bell: Notify::new(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These groups were committed.
    pub(crate) fn queued(&self, groups: Vec<Queued>) {
        if groups.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut inner = self.lock();
        for Queued { hop, due, at } in groups {
            if due > now {
                inner.set_timer(&hop, due);
                continue;
            }
            let entry = inner.hops.entry(hop.clone()).or_default();
            match entry.more || entry.heads.len() >= HEADS {
                true => entry.more = true,
                false if entry.in_flight.contains(&at) || entry.heads.contains(&at) => {}
                false => entry.heads.push_back(at),
            }
            inner.rouse(&hop);
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// A hop may have something due in the store.
    pub(super) fn look_at(&self, hop: &HopKey) {
        let mut inner = self.lock();
        inner.hops.entry(hop.clone()).or_default().more = true;
        inner.rouse(hop);
        drop(inner);
        self.bell.notify_one();
    }

    /// The hops for which workers are to be started now, one entry a worker; they count from now on.
    pub(super) fn start(&self, per_hop: impl Fn(&NextHop) -> usize, in_all: usize) -> Vec<HopKey> {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.ring(now);
        let mut starting = Vec::new();
        while inner.workers < in_all.max(1) {
            let Some(key) = inner.ready.pop_front() else { break };
            let free = in_all.max(1) - inner.workers;
            let Some(hop) = inner.hops.get_mut(&key) else { continue };
            hop.ready = false;
            let wanted = if hop.more { HEADS } else { hop.heads.len() };
            let count = wanted.min(per_hop(&key.hop).max(1).saturating_sub(hop.workers)).min(free);
            hop.workers += count;
            inner.workers += count;
            starting.extend(std::iter::repeat_n(key, count));
        }
        starting
    }

    /// When to call [`Runner::start`] again, if nothing happens before.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        self.lock().timers.first().map(|(at, _)| *at)
    }

    /// What a worker of `hop` does next.
    pub(super) fn take(&self, key: &HopKey) -> Take {
        let mut inner = self.lock();
        let hop = inner.hops.entry(key.clone()).or_default();
        while let Some(at) = hop.heads.pop_front() {
            if hop.in_flight.insert(at) {
                return Take::Attempt(at);
            }
        }
        if hop.more && !hop.loading {
            (hop.more, hop.loading) = (false, true);
            return Take::Load;
        }
        hop.idle += 1;
        Take::Nothing(hop.notify.clone())
    }

    /// A worker that was idle goes on.
    pub(super) fn busy(&self, key: &HopKey) {
        if let Some(hop) = self.lock().hops.get_mut(key) {
            hop.idle = hop.idle.saturating_sub(1);
        }
    }

    /// Heads were loaded: `due` now (at most [`HEADS`], `more` if the store holds others), and the time of the
    /// first that is not due yet.
    pub(super) fn loaded(&self, key: &HopKey, due: Vec<GroupId>, more: bool, next: Option<Timestamp>) {
        let mut inner = self.lock();
        let hop = inner.hops.entry(key.clone()).or_default();
        hop.loading = false;
        hop.more |= more;
        let known: HashSet<GroupId> = hop.heads.iter().copied().collect();
        hop.heads.extend(due.into_iter().filter(|at| !known.contains(at) && !hop.in_flight.contains(at)));
        if let Some(next) = next {
            inner.set_timer(key, next);
        }
        inner.rouse(key);
        drop(inner);
        self.bell.notify_one();
    }

    /// How many groups of a hop are being attempted: a load has to read beyond them.
    pub(super) fn in_flight(&self, key: &HopKey) -> usize {
        self.lock().hops.get(key).map_or(0, |hop| hop.in_flight.len())
    }

    /// The attempt of a group ended, one way or another.
    pub(super) fn landed(&self, key: &HopKey, at: GroupId) {
        if let Some(hop) = self.lock().hops.get_mut(key) {
            hop.in_flight.remove(&at);
        }
    }

    /// Whether a group is being attempted.
    pub(super) fn is_in_flight(&self, key: &HopKey, at: GroupId) -> bool {
        self.lock().hops.get(key).is_some_and(|hop| hop.in_flight.contains(&at))
    }

    /// Whether other hops wait for a worker because all are taken.
    pub(super) fn is_crowded(&self, in_all: usize) -> bool {
        let inner = self.lock();
        inner.workers >= in_all && !inner.ready.is_empty()
    }

    /// A worker ends. `loading`: it had begun to load and did not finish.
    pub(super) fn left(&self, key: &HopKey, loading: bool) {
        let mut inner = self.lock();
        inner.workers = inner.workers.saturating_sub(1);
        if let Some(hop) = inner.hops.get_mut(key) {
            hop.workers = hop.workers.saturating_sub(1);
            if loading {
                (hop.loading, hop.more) = (false, true);
            }
            if hop.has_work() {
                inner.rouse(key);
            } else if hop.workers == 0 && hop.timer.is_none() && hop.in_flight.is_empty() && !hop.ready {
                inner.hops.remove(key);
            }
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// Has the runner look around.
    pub(crate) fn ring_bell(&self) {
        self.bell.notify_one();
    }

    /// Workers now.
    pub(crate) fn workers(&self) -> usize {
        self.lock().workers
    }
}

impl Inner {
    /// Wakes an idle worker of the hop, or has one started.
    fn rouse(&mut self, key: &HopKey) {
        let Some(hop) = self.hops.get_mut(key) else { return };
        if !hop.has_work() {
            return;
        }
        if hop.idle > 0 {
            hop.notify.notify_one();
        }
        if !hop.ready && hop.heads.len() + usize::from(hop.more) > hop.idle {
            hop.ready = true;
            self.ready.push_back(key.clone());
        }
    }

    fn set_timer(&mut self, key: &HopKey, at: Timestamp) {
        let hop = self.hops.entry(key.clone()).or_default();
        if hop.timer.is_some_and(|old| old <= at) {
            return;
        }
        if let Some(old) = hop.timer.replace(at) {
            self.timers.remove(&(old, key.clone()));
        }
        self.timers.insert((at, key.clone()));
    }

    /// Hops whose time has come have something due in the store.
    fn ring(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key.clone()));
            if let Some(hop) = self.hops.get_mut(&key) {
                hop.timer = None;
                hop.more = true;
            }
            self.rouse(&key);
        }
    }
}
