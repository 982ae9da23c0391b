//! Storage in memory: for tests, simulation, and servers that may forget.
//!
//! Exact in meaning, nothing durable. Tests can make it fail at the n-th operation and count what
//! a path through the engine costs. A batch that fails wrote nothing.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{
    Batch, BlobId, BlobWriter, Blobs, Collected, CommitError, Committed, Held, Room, Scan, Storage, Store,
    StoreError, View, Watch, Watchers, resolve,
};
use crate::seam::{Clock, SystemClock, Timestamp};

/// How long a finished blob waits for its first owner.
const RESERVATION: Duration = Duration::from_secs(3600);
/// The largest number of blobs removed by one `collect`.
const COLLECT_AT_ONCE: usize = 1024;

/// A store and blobs in memory.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use iems_core::storage::{Batch, MemoryStorage};
/// let storage = MemoryStorage::new().storage();
/// let mut writer = storage.blobs.create().await?;
/// writer.write("Subject: hi\r\n\r\n".into()).await?;
/// let body = writer.finish().await?;
/// let mut batch = Batch::new();
/// batch.require_absent(b"message/1");
/// batch.put(b"message/1", body.0.to_vec());
/// batch.link(body);
/// storage.store.commit(batch).await.expect("no other writer");
/// assert_eq!(storage.blobs.size(body).await?, 15);
/// # Ok::<(), iems_core::storage::StoreError>(()) }).unwrap();
/// ```
pub struct MemoryStorage {
    shared: Arc<Shared>,
    watchers: Watchers,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// What the storage was asked to do, and did. For tests that count costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Batches that took effect (an empty one included).
    pub commits: u64,
    /// Batches refused by a condition.
    pub conflicts: u64,
    /// Keys looked up.
    pub gets: u64,
    /// Scans.
    pub scans: u64,
    /// Bodies finished.
    pub blobs_written: u64,
    /// Bytes of bodies finished.
    pub blob_bytes_written: u64,
    /// Pieces of bodies read.
    pub blob_reads: u64,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Bytes, Bytes>,
    blobs: HashMap<BlobId, Body>,
    stats: MemoryStats,
    fault: Option<Fault>,
    capacity: Option<u64>,
}

impl State {
    /// Bytes of all bodies, and of those that nobody owns.
    fn used(&self) -> (u64, u64) {
        self.blobs.values().fold((0, 0), |(all, dead), body| {
            let size = body.bytes.len() as u64;
            (all + size, if body.owners == 0 { dead + size } else { dead })
        })
    }
}

struct Body {
    bytes: Bytes,
    owners: u64,
    /// When each reservation was made. The first link of an unowned blob uses one up.
    reserved: Vec<Timestamp>,
}

struct Fault {
    left: u64,
    error: StoreError,
}

impl MemoryStorage {
    /// An empty storage on the clock of the system.
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> Arc<Self> {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty storage whose reservations expire by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Arc<Self> {
        let shared = Arc::new(Shared { clock, state: Mutex::default() });
        Arc::new(Self { shared, watchers: Watchers::default() })
    }

    /// Both sides, as the engine takes them.
    pub fn storage(self: &Arc<Self>) -> Storage {
        Storage { store: self.clone(), blobs: self.clone() }
    }

    /// What was done so far.
    pub fn stats(&self) -> MemoryStats {
        self.shared.lock().stats
    }

    /// Lets `operations` further operations (reads, commits, blob writes) pass, and fails every one
    /// after that with `error`, until [`MemoryStorage::heal`]. What fails has no effect.
    pub fn fail_after(&self, operations: u64, error: StoreError) {
        self.shared.lock().fault = Some(Fault { left: operations, error });
    }

    /// Ends what [`MemoryStorage::fail_after`] began.
    pub fn heal(&self) {
        self.shared.lock().fault = None;
    }

    /// Bounds the bytes of all bodies together, from now on: what does not fit fails with [`StoreError::NoSpace`].
    /// `None`, as at first: no bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.lock().capacity = bytes;
    }

    /// What a restart of the process does to an engine on a disk: bodies that nobody owns are gone.
    pub fn restart(&self) {
        self.shared.lock().blobs.retain(|_, body| {
            body.reserved.clear();
            body.owners > 0
        });
    }

    /// How many blobs are kept, owned or not.
    pub fn blob_count(&self) -> usize {
        self.shared.lock().blobs.len()
    }

    /// The owners of a blob; zero if there is no such blob.
    pub fn owners(&self, blob: BlobId) -> u64 {
        self.shared.lock().blobs.get(&blob).map_or(0, |body| body.owners)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless this operation is to fail.
    fn operation(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.lock();
        match &mut state.fault {
            Some(fault) if fault.left == 0 => Err(fault.error.clone()),
            Some(fault) => {
                fault.left -= 1;
                Ok(state)
            }
            None => Ok(state),
        }
    }
}

impl std::fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStorage").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStorage {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let mut state = self.shared.operation()?;
        state.stats.gets += 1;
        Ok(state.rows.get(key).cloned())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut state = self.shared.operation()?;
        state.stats.scans += 1;
        if !scan.to.is_empty() && scan.from >= scan.to {
            return Ok(Vec::new());
        }
        let to = if scan.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(scan.to) };
        let range = state.rows.range((Bound::Included(scan.from), to)).map(|(k, v)| (k.clone(), v.clone()));
        Ok(match scan.reverse {
            false => range.take(scan.limit).collect(),
            true => range.rev().take(scan.limit).collect(),
        })
    }

    async fn commit(&self, mut batch: Batch) -> Result<Committed, CommitError> {
        let mut state = self.shared.operation()?;
        let resolved = match resolve(&mut batch, &*state) {
            Ok(resolved) => resolved,
            Err(e) => {
                state.stats.conflicts += u64::from(matches!(e, CommitError::Conflict));
                return Err(e);
            }
        };
        state.stats.commits += 1;
        for (key, value) in &resolved.rows {
            match value {
                Some(value) => state.rows.insert(key.clone(), value.clone()),
                None => state.rows.remove(key),
            };
        }
        for change in &resolved.owners {
            if let Some(body) = state.blobs.get_mut(&change.blob) {
                body.owners = change.after;
                if change.before == 0 && change.after > 0 {
                    body.reserved.pop();
                }
            }
        }
        drop(state);
        resolved.rows.iter().for_each(|(key, _)| self.watchers.wrote(key));
        Ok(resolved.committed)
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.watchers.watch(prefix)
    }
}

impl View for State {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn held(&self, blob: BlobId) -> Result<Option<Held>, StoreError> {
        let held = self.blobs.get(&blob).filter(|body| body.owners > 0 || !body.reserved.is_empty());
        Ok(held.map(|body| Held { owners: body.owners }))
    }
}

#[async_trait]
impl Blobs for MemoryStorage {
    async fn create(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        drop(self.shared.operation()?);
        Ok(Box::new(MemoryWriter { shared: self.shared.clone(), bytes: BytesMut::new() }))
    }

    async fn read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        let mut state = self.shared.operation()?;
        state.stats.blob_reads += 1;
        let bytes = &state.blobs.get(&id).ok_or(StoreError::NoBlob(id))?.bytes;
        let end = range.end.min(bytes.len() as u64) as usize;
        Ok(bytes.slice((range.start as usize).min(end)..end))
    }

    async fn size(&self, id: BlobId) -> Result<u64, StoreError> {
        let state = self.shared.operation()?;
        Ok(state.blobs.get(&id).ok_or(StoreError::NoBlob(id))?.bytes.len() as u64)
    }

    async fn collect(&self) -> Result<Collected, StoreError> {
        let now = self.shared.clock.now();
        let mut state = self.shared.operation()?;
        for body in state.blobs.values_mut() {
            body.reserved.retain(|made| now.since(*made) < RESERVATION);
        }
        let garbage = state.blobs.iter().filter(|(_, body)| body.owners == 0 && body.reserved.is_empty());
        let garbage: Vec<_> = garbage.map(|(id, _)| *id).take(COLLECT_AT_ONCE).collect();
        let mut collected = Collected::default();
        for body in garbage.iter().filter_map(|id| state.blobs.remove(id)) {
            collected.blobs += 1;
            collected.bytes += body.bytes.len() as u64;
        }
        Ok(collected)
    }

    async fn room(&self) -> Result<Option<Room>, StoreError> {
        let state = self.shared.lock();
        let (used, dead) = state.used();
        Ok(state.capacity.map(|total| Room { free: total.saturating_sub(used), total, dead }))
    }
}

struct MemoryWriter {
    shared: Arc<Shared>,
    bytes: BytesMut,
}

#[async_trait]
impl BlobWriter for MemoryWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        drop(self.shared.operation()?);
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<BlobId, StoreError> {
        let MemoryWriter { shared, bytes } = *self;
        let id = BlobId(*blake3::hash(&bytes).as_bytes());
        let mut state = shared.operation()?;
        if let Some(capacity) = state.capacity
            && !state.blobs.contains_key(&id)
            && state.used().0 + bytes.len() as u64 > capacity
        {
            return Err(StoreError::NoSpace(format!("a body of {} bytes", bytes.len())));
        }
        state.stats.blobs_written += 1;
        state.stats.blob_bytes_written += bytes.len() as u64;
        let fresh = || Body { bytes: bytes.freeze(), owners: 0, reserved: Vec::new() };
        state.blobs.entry(id).or_insert_with(fresh).reserved.push(shared.clock.now());
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn faults_begin_after_the_given_operations_and_end_when_healed() {
        let memory = MemoryStorage::new();
        memory.fail_after(1, StoreError::NoSpace("tests".into()));
        let mut batch = Batch::new();
        batch.add(b"counter", 1);
        assert!(memory.commit(batch.clone()).await.is_ok());
        let failed = memory.commit(batch.clone()).await;
        assert!(matches!(failed, Err(CommitError::Store(StoreError::NoSpace(_)))));
        memory.heal();
        assert!(memory.commit(batch).await.is_ok());
        assert_eq!(memory.get(b"counter").await.unwrap(), Some(Bytes::copy_from_slice(&2i64.to_le_bytes())));
        assert_eq!(memory.stats().commits, 2);
    }
}
