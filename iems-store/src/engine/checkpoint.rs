//! Checkpoints: rows move from memory to the index, and the log before them is needed for bodies only.
//!
//! Off the path of any reply. If one fails, its rows stay in memory and in the log, the index is
//! opened anew for readers, and it is tried again; only when memory is full do commits fail too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iems_core::storage::StoreError;

use super::Shared;
use super::index::{Index, Snapshot, has_failed};
use super::options::EmbeddedOptions;
use super::segment::{self, Position};
use super::state::State;
use super::stats::add;

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// How much more than its limit memory may hold while a checkpoint is under way.
const OVERFLOW: usize = 4;
/// How long whoever reads waits for the index to be opened anew.
const MOMENT: Duration = Duration::from_millis(200);
/// How long a group waits for a checkpoint before its callers are told to come again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What checkpoints need beside the shared state.
pub(super) struct Checkpoints {
    signal: Mutex<Signal>,
    wake: Condvar,
    /// The index. Holding it is the right to make a checkpoint.
    index: Mutex<Option<Index>>,
}

#[derive(Default)]
struct Signal {
    requested: bool,
    stop: bool,
    /// The index answers nothing any more: it is to be opened anew.
    sick: bool,
    /// The last one failed, with this error.
    failed: Option<StoreError>,
}

impl Checkpoints {
    pub(super) fn new(index: Index) -> Self {
        Self { signal: Mutex::default(), wake: Condvar::new(), index: Mutex::new(Some(index)) }
    }

    /// Asks for a checkpoint soon.
    pub(super) fn request(&self) {
        self.signal().requested = true;
        self.wake.notify_all();
    }

    /// Says that there is something that will be due.
    pub(super) fn tell(&self) {
        self.wake.notify_all();
    }

    pub(super) fn stop(&self) {
        self.signal().stop = true;
        self.wake.notify_all();
    }

    /// Closes the index for good. Readers are told so.
    pub(super) fn close_index(&self, shared: &Shared) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
        (state.base, state.closed) = (None, true);
        drop(state);
        *index = None;
    }

    fn signal(&self) -> MutexGuard<'_, Signal> {
        self.signal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    pub(super) fn request_checkpoint(&self) {
        self.checkpoints.request();
    }

    /// Whether there is enough for a checkpoint now.
    pub(super) fn is_due(&self, state: &State) -> bool {
        let applied = state.base.as_ref().map_or(state.position, |base| base.applied);
        let segments = state.position.segment.saturating_sub(applied.segment);
        state.active.bytes() >= self.options.memtable_bytes
            || segments.saturating_mul(u64::from(self.options.segment_bytes)) >= self.options.replay_bytes
    }

    /// Makes checkpoints until told to stop.
    pub(super) fn keep_checkpoints(&self) {
        while self.wait_until_due() {
            // Readers and the log go on whatever happens here.
            let made = catch_unwind(AssertUnwindSafe(|| self.checkpoint()));
            if let Err(error) = made.unwrap_or_else(|_| Err(StoreError::Io("a defect".into()))) {
                tracing::error!(%error, "a checkpoint failed; it will be tried again");
                let mut signal = self.checkpoints.signal();
                // Readers wait for it.
                signal.requested |= self.state().base.is_none();
                let _ = self.checkpoints.wake.wait_timeout_while(signal, RETRY, |signal| !signal.stop);
            }
        }
    }

    /// Waits for a request, or for rows to be old enough. `false` when told to stop.
    fn wait_until_due(&self) -> bool {
        loop {
            let age = self.state().active.since().map(|since| since.elapsed());
            let mut signal = self.checkpoints.signal();
            if signal.stop {
                return false;
            }
            if std::mem::take(&mut signal.requested)
                || age.is_some_and(|age| age >= self.options.memtable_age)
            {
                return true;
            }
            let pause = age.map_or(Duration::from_secs(3600), |age| self.options.memtable_age - age);
            let waited = self.checkpoints.wake.wait_timeout(signal, pause);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Makes a checkpoint now, unless there is nothing to move.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        let mut index = self.checkpoints.index.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.checkpoint_with(&mut index);
        drop(index);
        self.checkpoints.signal().failed = result.as_ref().err().cloned();
        self.checkpoints.wake.notify_all();
        add(if result.is_ok() { &self.counters.checkpoints } else { &self.counters.checkpoint_failures }, 1);
        result
    }

    fn checkpoint_with(&self, index: &mut Option<Index>) -> Result<(), StoreError> {
        if std::mem::take(&mut self.checkpoints.signal().sick) || index.is_none() {
            self.reopen(index)?;
        }
        if index.as_ref().is_some_and(Index::is_broken) {
            // Readers have what the last good one left, and the log has the rest.
            return Err(StoreError::Corrupt(
                "the index cannot be written until the server is started anew".into(),
            ));
        }
        // What a failed one left behind goes first.
        while let Some((frozen, position)) = self.freeze() {
            self.check_space(frozen.bytes())?;
            let Some(open) = index.as_ref() else { return Err(StoreError::Closed) };
            let applied = open.apply(&frozen, position).and_then(|()| open.snapshot());
            match applied {
                Ok(snapshot) => {
                    let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                    state.base = Some(Arc::new(snapshot));
                    state.frozen = None;
                }
                Err(e) if open.is_broken() => return Err(e),
                Err(e) => {
                    self.reopen(index)?;
                    return Err(e);
                }
            }
            self.retire();
        }
        Ok(())
    }

    /// What was read of the index as `base`. After a read that failed, redb answers nothing more, to anybody: the index is opened
    /// anew at once, and whoever else asks has to wait for a moment. Callers hold no lock.
    pub(super) fn heed<T>(&self, read: Result<T, StoreError>, base: &Arc<Snapshot>) -> Result<T, StoreError> {
        if let Err(error) = &read
            && has_failed(error)
            && self.state().base.as_ref().is_some_and(|now| Arc::ptr_eq(now, base))
        {
            self.heal();
        }
        read
    }

    /// Sees to it that the index is opened anew, and waits for that, for a moment at most.
    pub(super) fn heal(&self) {
        let mut signal = self.checkpoints.signal();
        if !std::mem::replace(&mut signal.sick, true) {
            tracing::error!(
                "the index failed, and is opened anew; should it fail again, look after the device, and run `iems store check`"
            );
        }
        if !self.options.background {
            drop(signal);
            let _ = self.checkpoint();
            return;
        }
        signal.requested = true;
        self.checkpoints.wake.notify_all();
        let waiting = |signal: &mut Signal| signal.sick && !signal.stop;
        drop(self.checkpoints.wake.wait_timeout_while(signal, MOMENT, waiting));
    }

    /// The rows to move: those of a failed attempt, or those in memory.
    fn freeze(&self) -> Option<(Arc<super::memtable::Memtable>, Position)> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // Without rows there may still be log that is not needed any more.
        let applied = state.base.as_ref().map_or(state.position, |base| base.applied);
        if state.frozen.is_none() && (!state.active.is_empty() || state.position > applied) {
            let active = std::mem::take(&mut state.active);
            state.frozen = Some(Arc::new(active));
            state.frozen_at = state.position;
        }
        let at = state.frozen_at;
        state.frozen.clone().map(|frozen| (frozen, at))
    }

    /// Running out of space inside the index would take it away from readers for a moment.
    fn check_space(&self, bytes: usize) -> Result<(), StoreError> {
        let need = EmbeddedOptions::index_room(bytes);
        loop {
            let free = match self.disk.free() {
                Ok(Some(free)) if free < need => free,
                _ => return Ok(()),
            };
            match self.spares.take() {
                Some(dead) => self.remove_file(&segment::path(dead)),
                None => {
                    return Err(StoreError::NoSpace(format!("the index ({need} bytes needed, {free} left)")));
                }
            }
        }
    }

    fn remove_file(&self, path: &str) {
        add(&self.counters.segments_removed, 1);
        if let Err(error) = self.disk.remove(path) {
            tracing::warn!(%error, path, "a dead segment could not be removed");
        }
    }

    /// Opens the index anew: after an error it answers nothing.
    fn reopen(&self, index: &mut Option<Index>) -> Result<(), StoreError> {
        self.state.write().unwrap_or_else(PoisonError::into_inner).base = None;
        *index = None;
        let open = Index::open(&*self.disk, self.options.index_cache_bytes, &self.counters)?;
        let snapshot = open.snapshot()?;
        *index = Some(open);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // A commit of the index that failed may have taken effect. Its rows come again: they are the same.
        state.base = Some(Arc::new(snapshot));
        Ok(())
    }

    /// Gives back the segments that hold nothing any more.
    pub(super) fn retire(&self) {
        let applied = match &self.state().base {
            Some(base) => base.applied.segment,
            None => return,
        };
        for number in self.segments.take_dead(applied) {
            self.given_back.fetch_add(u64::from(self.options.segment_bytes), Ordering::Relaxed);
            if !self.spares.offer(number) {
                self.remove_file(&segment::path(number));
            }
        }
    }

    /// Whether memory is too full for another group.
    pub(super) fn is_full(&self, state: &State) -> bool {
        let most = self.options.memtable_bytes.saturating_mul(OVERFLOW);
        self.options.background && state.active.bytes() >= most
    }

    /// Waits while memory is too full for another group.
    pub(super) fn wait_for_room(&self) -> Result<(), StoreError> {
        if !self.is_full(&self.state()) {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        self.checkpoints.request();
        while self.is_full(&self.state()) {
            let signal = self.checkpoints.signal();
            if let Some(error) = &signal.failed {
                return Err(error.clone());
            }
            if signal.stop || Instant::now() >= deadline {
                return Err(StoreError::Io("the index does not keep up".into()));
            }
            let waited = self.checkpoints.wake.wait_timeout(signal, Duration::from_millis(100));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        Ok(())
    }
}
