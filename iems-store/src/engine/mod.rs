//! The embedded engine: a log that makes replies durable, and an index that it flows into.
//!
//! ```text
//! commit ──► queue ──► committer ──► log/00000042.seg      one write, one sync for a group
//!                          │
//!                          ▼ publish
//!                       memtable ──► checkpoint ──► index.redb    seconds later, in the background
//! ```
//!
//! Bodies are written once, into the log, beside the rows of the batch that links them. The reasons,
//! the file formats and the argument why no crash loses what was acknowledged are in `docs/store.md`.
//! Everything on disk goes through [`Disk`], so that tests can take it away.

mod alone;
mod blobs;
mod checkpoint;
mod collect;
mod committer;
mod crowd;
mod disk;
mod held;
mod index;
mod log;
mod memtable;
mod open;
mod options;
mod pending;
mod queue;
mod recent;
mod record;
mod replay;
mod room;
mod row;
mod segment;
mod spares;
mod state;
mod stats;
#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskFile, FILLED, Fault, Locked, RealDisk, SimDisk};
pub use options::{EmbeddedOptions, OpenError};
pub use stats::EngineStats;

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::storage::{
    Batch, CommitError, Committed, Scan, Storage, Store, StoreError, Visitor, Watch, Watchers,
};
use tokio::sync::oneshot;

use alone::Alone;
use checkpoint::Checkpoints;
use committer::Committer;
use held::Held;
use index::Snapshot;
use pending::Pending;
use queue::{Queue, Work};
use recent::Recent;
use row::Delta;
use segment::{Position, Segments};
use spares::Spares;
use state::State;
use stats::Counters;

/// The embedded engine: [`Store`] and [`iems_core::storage::Blobs`] in one folder.
///
/// Two threads work for it: one writes, one moves rows to the index. Dropping it ends both, after what waits was written;
/// [`Embedded::close`] does the same at a moment of the caller's choice.
pub struct Embedded {
    shared: Arc<Shared>,
    committer: Arc<Mutex<Committer>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

/// What the threads and the callers share.
///
/// Locks are taken in this order, never back: the committer, index (`checkpoints`), `state`, `pending`, `segments`;
/// the others alone.
struct Shared {
    options: EmbeddedOptions,
    disk: Arc<dyn Disk>,
    queue: Queue,
    alone: Alone,
    state: RwLock<State>,
    segments: Arc<Segments>,
    spares: Arc<Spares>,
    pending: Mutex<Pending>,
    held: Arc<Held>,
    recent: Mutex<Recent>,
    checkpoints: Checkpoints,
    watchers: Watchers,
    counters: Arc<Counters>,
    /// Bodies whose last owner left since the last collection.
    garbage: AtomicU64,
    /// Bytes of segments given back since the last collection.
    given_back: AtomicU64,
}

impl Embedded {
    /// Both sides, as the engine takes them.
    pub fn storage(self: &Arc<Self>) -> Storage {
        Storage { store: self.clone(), blobs: self.clone() }
    }

    /// What was done since it was opened.
    pub fn stats(&self) -> EngineStats {
        self.shared.counters.read()
    }

    /// Moves everything in memory to the index, durably. Blocks the thread. Done by itself in the
    /// background; of use before a copy of the folder is made, and in tests.
    ///
    /// # Errors
    /// Those of writing; nothing is lost then, and it will be tried again.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.shared.checkpoint()
    }

    /// Writes what waits, makes a last checkpoint, and ends. Blocks the thread. Whatever is asked
    /// after that fails with [`StoreError::Closed`].
    ///
    /// # Errors
    /// Those of the checkpoint. All that was acknowledged is in the log whatever this returns.
    pub fn close(&self) -> Result<(), StoreError> {
        self.shared.queue.close();
        self.shared.checkpoints.stop();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let running: Vec<JoinHandle<()>> = threads.drain(..).collect();
        if running.is_empty() {
            return Ok(());
        }
        for thread in running {
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
        let last = self.shared.checkpoint();
        self.shared.recent().clear();
        self.shared.checkpoints.close_index(&self.shared);
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        last
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the last checkpoint failed; the next start will replay more of the log");
        }
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Embedded {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let base = {
            let state = self.shared.state();
            match state.known(key) {
                Some(known) => return Ok(known),
                None => state.base()?.clone(),
            }
        };
        self.shared.heed(base.get(key), &base)
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let scanning = self.shared.state().begin_scan(scan)?;
        let base = scanning.base().clone();
        let rows = self.shared.heed(scanning.finish(), &base)?;
        turn(rows.len(), rows.iter().map(|(_, row)| row.len()).sum()).await;
        Ok(rows)
    }

    async fn visit(&self, scan: Scan, each: &mut Visitor<'_>) -> Result<(), StoreError> {
        let scanning = self.shared.state().begin_scan(scan)?;
        let base = scanning.base().clone();
        let (mut rows, mut octets) = (0, 0);
        let mut counted = |key: &[u8], row: &[u8]| {
            (rows, octets) = (rows + 1, octets + row.len());
            each(key, row)
        };
        self.shared.heed(scanning.visit(&mut counted), &base)?;
        turn(rows, octets).await;
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let result = self.committed(batch).await;
        if let Err(CommitError::Store(error)) = &result
            && index::has_failed(error)
        {
            self.shared.heal();
        }
        result
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.shared.watchers.watch(prefix)
    }
}

impl Shared {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everybody see a group that is durable up to `position`.
    fn publish(&self, delta: Delta, position: Position, base: Option<&Arc<Snapshot>>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let first = state.active.is_empty();
        state.publish(delta, position, base);
        let due = self.is_due(&state);
        drop(state);
        if due {
            self.checkpoints.request();
        } else if first {
            self.checkpoints.tell();
        }
    }
}

impl Embedded {
    /// Writes a batch, alone or with others.
    async fn committed(&self, batch: Batch) -> Result<Committed, CommitError> {
        let batch = match self.commit_alone(batch) {
            Ok(result) => return result,
            Err(batch) => batch,
        };
        let (reply, answer) = oneshot::channel();
        if !self.shared.queue.push(Work::Commit { batch, reply }) {
            return Err(StoreError::Closed.into());
        }
        answer.await.map_or_else(|_| Err(unanswered().into()), |(result, _)| result)
    }
}

/// To be called when rows were read, which takes no waiting: whoever reads very many, at once or one after the other, lets others have
/// their turn now and then. Tokio counts it with what a task reads from sockets: 8,000 rows, or 8 MiB of them, are a turn, and
/// however much was read is no more than one: a turn may cost a switch of threads.
async fn turn(rows: usize, octets: usize) {
    // What tokio gives a task in one turn.
    const TURN: usize = 128;
    for _ in 0..=(rows / 64 + octets / (64 << 10)).min(TURN) {
        tokio::task::coop::consume_budget().await;
    }
}

/// What a caller hears whose work ended by a defect: as after a failed sync, nobody knows what became of it.
fn unanswered() -> StoreError {
    StoreError::Io("writing ended by a defect, which the log tells of".into())
}

/// What an error of the system means for a caller.
fn store_error(error: io::Error) -> StoreError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, UnexpectedEof};
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => StoreError::NoSpace(format!("the store ({error})")),
        UnexpectedEof => StoreError::Corrupt("a file is shorter than it was".into()),
        _ => StoreError::Io(error.to_string()),
    }
}
