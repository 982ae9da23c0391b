//! What waits for the committer: batches, and pieces of large bodies.
//!
//! Callers push and await their reply; one thread takes. While it writes one group, the next forms.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iems_core::storage::{Batch, BlobId, CommitError, Committed, StoreError};
use tokio::sync::oneshot;

use super::row::Extent;
use super::segment::Segment;

/// What became of a batch, and what is left of it: who made it throws it away, because the allocator of a thread is locked
/// when another one frees its memory.
pub(super) type Answer = (Result<Committed, CommitError>, Batch);

/// Something for the committer to do.
pub(super) enum Work {
    /// A batch of a caller.
    Commit { batch: Batch, reply: oneshot::Sender<Answer> },
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
    /// The committer waits until so much is there; 0 while it works.
    wanted: usize,
}

impl Queue {
    /// Adds work; `false` if the engine is closed.
    pub(super) fn push(&self, work: Work) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        inner.waiting.push_back(work);
        let wake = inner.wanted > 0 && inner.waiting.len() >= inner.wanted;
        if wake {
            inner.wanted = 0;
        }
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// Takes everything that waits; waits if there is nothing, but no longer than `most`: then it takes nothing. `false` when
    /// closed and empty.
    pub(super) fn take(&self, into: &mut VecDeque<Work>, most: Duration) -> bool {
        let mut inner = self.lock();
        if inner.waiting.is_empty() && !inner.closed {
            inner.wanted = 1;
            let nothing = |inner: &mut Inner| inner.waiting.is_empty() && !inner.closed;
            inner =
                self.wake.wait_timeout_while(inner, most, nothing).unwrap_or_else(PoisonError::into_inner).0;
            inner.wanted = 0;
        }
        std::mem::swap(&mut inner.waiting, into);
        !(into.is_empty() && inner.closed)
    }

    /// How much waits.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether nothing waits, and the committer waits for that.
    pub(super) fn is_idle(&self) -> bool {
        let inner = self.lock();
        inner.waiting.is_empty() && inner.wanted > 0 && !inner.closed
    }

    /// Adds what came since, and what comes within `patience`, until there are `enough` in all.
    pub(super) fn take_more(&self, into: &mut VecDeque<Work>, enough: usize, patience: Duration) {
        let mut inner = self.lock();
        let until = Instant::now() + patience;
        while into.len() + inner.waiting.len() < enough && !inner.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inner.wanted = enough - into.len();
            inner = self.wake.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
            inner.wanted = 0;
        }
        into.append(&mut inner.waiting);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> Work {
        Work::Commit { batch: Batch::new(), reply: oneshot::channel().0 }
    }

    #[test]
    fn a_group_waits_until_enough_have_come() {
        let queue = Arc::new(Queue::default());
        queue.push(commit());
        let mut taken = VecDeque::new();
        assert!(queue.take(&mut taken, Duration::MAX));
        let pushing = queue.clone();
        let pusher = std::thread::spawn(move || (0..3).for_each(|_| assert!(pushing.push(commit()))));
        queue.take_more(&mut taken, 4, Duration::from_secs(60));
        assert_eq!(taken.len(), 4);
        pusher.join().unwrap();
    }

    #[test]
    fn a_group_waits_no_longer_than_it_may_and_not_at_all_once_the_queue_is_closed() {
        let queue = Queue::default();
        let mut taken = VecDeque::from([commit()]);
        let begun = Instant::now();
        queue.take_more(&mut taken, 2, Duration::from_millis(20));
        assert!(taken.len() == 1 && begun.elapsed() >= Duration::from_millis(20));
        queue.push(commit());
        queue.close();
        queue.take_more(&mut taken, 9, Duration::from_secs(60));
        assert_eq!(taken.len(), 2);
        taken.clear();
        assert!(!queue.take(&mut taken, Duration::MAX));
    }

    #[test]
    fn who_waits_for_work_looks_around_now_and_then() {
        let queue = Queue::default();
        let mut taken = VecDeque::new();
        assert!(queue.take(&mut taken, Duration::from_millis(5)) && taken.is_empty());
        assert!(!queue.is_idle(), "nobody waits for work");
    }
}
