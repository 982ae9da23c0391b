//! A caller who is alone writes by himself.
//!
//! To hand a batch to the thread that writes and to be woken with its answer takes as long as a fast device does. So where
//! nobody else commits, the batch is small, and the device was quick lately, the group of one is written where the caller is.
//! Whoever comes meanwhile goes the usual way, and so does everybody as soon as there are several, or the device is slow.
//!
//! The caller's thread is one of the runtime's, and stands still for the time of a sync: some 0.1 ms. Another one is there
//! for everybody else, but it may sleep; should the device not answer, the thread that usually writes sees to it that it
//! wakes, and takes over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iems_core::storage::{Batch, CommitError, Committed, Write};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::Embedded;
use super::Shared;
use super::committer::Committer;
use super::queue::Work;
use super::stats::add;

/// The most steps of a batch that is written so.
const STEPS: usize = 256;
/// And the most bodies.
const BODIES: usize = 4;
/// And the most bytes of rows.
const BYTES: usize = 256 << 10;
/// What such a batch takes in the log at most, with bodies that wait in memory.
const ROOM: usize = if cfg!(test) { 64 << 10 } else { 1 << 20 };
/// How often it is looked after those who write by themselves.
const LOOK: Duration = Duration::from_millis(100);
/// How long nobody has to have written by himself before nobody looks any more.
const REST: u32 = 10;

/// Whether callers may write by themselves, and who does.
#[derive(Default)]
pub(super) struct Alone {
    allowed: AtomicBool,
    /// How many did.
    count: AtomicU64,
    /// Since when one does, and the runtime whose thread that is.
    now: Mutex<Option<(Instant, Option<Handle>)>>,
}

impl Alone {
    pub(super) fn allow(&self, allowed: bool) {
        self.allowed.store(allowed, Ordering::SeqCst);
    }

    fn is_allowed(&self) -> bool {
        self.allowed.load(Ordering::SeqCst)
    }

    fn is_busy(&self) -> bool {
        self.now().is_some()
    }

    /// A thread that waits long for the device may be the one that heard of everything: another one is woken in its place.
    fn look(&self) {
        if let Some((since, Some(runtime))) = &*self.now()
            && since.elapsed() >= LOOK / 2
        {
            drop(runtime.spawn(async {}));
        }
    }

    fn now(&self) -> MutexGuard<'_, Option<(Instant, Option<Handle>)>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Embedded {
    /// Writes a batch here and now, or gives it back: then it goes the usual way.
    pub(super) fn commit_alone(&self, batch: Batch) -> Result<Result<Committed, CommitError>, Batch> {
        let alone = &self.shared.alone;
        let handle = runtime();
        if !alone.is_allowed() || (handle.is_none() && !cfg!(test)) || !is_small(&batch) {
            return Err(batch);
        }
        let Ok(mut committer) = self.committer.try_lock() else { return Err(batch) };
        *alone.now() = Some((Instant::now(), handle));
        let _done = Done(alone);
        // Once more: from now on it is looked after.
        match alone.is_allowed() && self.shared.queue.is_idle() {
            true => committer.write_alone(batch),
            false => Err(batch),
        }
    }
}

/// Nobody has to be looked after any more once it is dropped.
struct Done<'a>(&'a Alone);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        *self.0.now() = None;
    }
}

/// The runtime, if it has another thread for everybody else.
fn runtime() -> Option<Handle> {
    let several = |handle: &Handle| {
        handle.runtime_flavor() == RuntimeFlavor::MultiThread && handle.metrics().num_workers() > 1
    };
    Handle::try_current().ok().filter(several)
}

fn is_small(batch: &Batch) -> bool {
    let steps = batch.writes();
    let bodies = steps.iter().filter(|step| matches!(step, Write::Link(_))).count();
    let bytes: usize =
        steps.iter().map(|step| if let Write::Put(k, v) = step { k.len() + v.len() } else { 0 }).sum();
    steps.len() <= STEPS && batch.requires().len() <= STEPS && bodies <= BODIES && bytes <= BYTES
}

impl Committer {
    fn write_alone(&mut self, mut batch: Batch) -> Result<Result<Committed, CommitError>, Batch> {
        if self.trouble.is_some() || !self.log.has_place(ROOM) {
            return Err(batch);
        }
        let begun = Instant::now();
        let mut group = self.group();
        let result = {
            let state = self.shared.state();
            if self.shared.is_full(&state) {
                return Err(batch);
            }
            let result = group.commit(&self.shared.pending(), &state, &mut batch);
            group.look_below(&state);
            result
        };
        let result = match self.write(&mut group) {
            Ok(()) => {
                self.publish(group);
                result
            }
            Err(error) => Err(result.err().unwrap_or_else(|| error.into())),
        };
        self.shared.count(&result);
        add(&self.shared.counters.groups_alone, 1);
        self.shared.alone.count.fetch_add(1, Ordering::Relaxed);
        self.wrote(1, begun.elapsed());
        Ok(result)
    }
}

impl Shared {
    /// Waits for work. Looks after those who write by themselves while there are such; when there were none for a while, the
    /// next one goes the usual way again, so that whoever does so is always looked after.
    pub(super) fn take(&self, work: &mut VecDeque<Work>) -> bool {
        let (mut count, mut quiet) = (self.alone.count.load(Ordering::Relaxed), 0);
        loop {
            let most = if self.alone.is_allowed() || self.alone.is_busy() { LOOK } else { Duration::MAX };
            if !self.queue.take(work, most) {
                return false;
            }
            if !work.is_empty() {
                return true;
            }
            self.alone.look();
            let before = std::mem::replace(&mut count, self.alone.count.load(Ordering::Relaxed));
            quiet = if before == count { quiet + 1 } else { 0 };
            if quiet >= REST {
                self.alone.allow(false);
            }
        }
    }
}
