//! What waits for the committer: batches, and pieces of large bodies.
//!
//! Callers push and await their reply; one thread takes. While it writes one group, the next forms.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use iems_core::storage::{Batch, BlobId, CommitError, Committed, StoreError};
use tokio::sync::oneshot;

use super::row::Extent;
use super::segment::Segment;

/// Something for the committer to do.
pub(super) enum Work {
    /// A batch of a caller.
    Commit { batch: Batch, reply: oneshot::Sender<Result<Committed, CommitError>> },
    /// A piece of a body that is still being written.
    Spill { bytes: Bytes, reply: oneshot::Sender<Result<Spilled, StoreError>> },
    /// New places for pieces of a body that has owners. Nothing happens if they are elsewhere by now.
    Move { id: BlobId, pieces: Vec<(Extent, Bytes)>, reply: oneshot::Sender<Result<(), StoreError>> },
}

/// Where a piece went, and what keeps it there.
pub(super) struct Spilled {
    pub(super) extent: Extent,
    pub(super) segment: Arc<Segment>,
}

/// The queue before the committer.
#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Work>,
    closed: bool,
    /// The committer waits for work.
    idle: bool,
}

impl Queue {
    /// Adds work; `false` if the engine is closed.
    pub(super) fn push(&self, work: Work) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        inner.waiting.push_back(work);
        let wake = std::mem::take(&mut inner.idle);
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// Takes everything that waits; waits if there is nothing. `false` when closed and empty.
    pub(super) fn take(&self, into: &mut VecDeque<Work>) -> bool {
        let mut inner = self.lock();
        while inner.waiting.is_empty() {
            if inner.closed {
                return false;
            }
            inner.idle = true;
            inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.idle = false;
        }
        std::mem::swap(&mut inner.waiting, into);
        true
    }

    /// Adds what came since, without waiting.
    pub(super) fn take_more(&self, into: &mut VecDeque<Work>) {
        into.append(&mut self.lock().waiting);
    }

    /// Lets nothing more in. What waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
