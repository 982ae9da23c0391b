//! The rows: all of them in memory, and every batch in a journal before anybody sees it.
//!
//! A record is its length, a checksum, and what the batch resolved to. A crash can only tear the last record, which
//! nobody was told about; reading stops there. After a failed write nothing is accepted until the journal
//! is opened anew: what the disk holds is unknown.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::storage::{
    Batch, BlobId, CommitError, Committed, Held, Resolved, Scan, Store, StoreError, View, Watch, Watchers,
    resolve,
};

/// Rows written, and blobs with their number of owners after the batch.
type Record = (Vec<(Bytes, Option<Bytes>)>, Vec<(BlobId, u64)>);

/// Octets in front of a record: a length and a checksum.
const HEAD: usize = 4 + 32;

/// The store.
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    watchers: Watchers,
}

/// What is true now.
pub(crate) struct State {
    file: File,
    /// Set by a failed write; from then on every commit fails.
    broken: Option<StoreError>,
    rows: BTreeMap<Bytes, Bytes>,
    pub(crate) owners: HashMap<BlobId, u64>,
    /// Blobs that were finished, each as often as it may still be linked by who wrote it.
    pub(crate) reserved: HashMap<BlobId, u64>,
}

impl Journal {
    /// Reads the journal in `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(io)?;
        let path = folder.join("journal");
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (rows, owners, reserved) = Default::default();
        let mut state = State { file, broken: None, rows, owners, reserved };
        let mut rest = &bytes[..];
        while let Some((record, behind)) = next_record(rest) {
            state.apply(record);
            rest = behind;
        }
        state.file.set_len((bytes.len() - rest.len()) as u64).map_err(io)?;
        let watchers = Watchers::default();
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(state), watchers }) })
    }

    /// The state, for whoever keeps the bodies.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(&self, mut batch: Batch) -> Result<Committed, CommitError> {
        let mut state = self.state();
        let Resolved { rows, owners, committed } = resolve(&mut batch, &*state)?;
        let keys: Vec<Bytes> = rows.iter().map(|(key, _)| key.clone()).collect();
        let record = (rows, owners.iter().map(|change| (change.blob, change.after)).collect());
        state.append(&record)?;
        for first in owners.iter().filter(|change| change.before == 0 && change.after > 0) {
            state.use_reservation(first.blob);
        }
        state.apply(record);
        drop(state);
        keys.iter().for_each(|key| self.watchers.wrote(key));
        Ok(committed)
    }
}

impl State {
    /// Writes a record so that it survives a power cut.
    fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let body = postcard::to_stdvec(record).map_err(|e| StoreError::Io(e.to_string()))?;
        let length = u32::try_from(body.len()).map_err(|_| StoreError::TooLarge("the batch".into()))?;
        let bytes = [&length.to_le_bytes()[..], blake3::hash(&body).as_bytes(), &body].concat();
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data()).map_err(io);
        self.broken = written.clone().err();
        written
    }

    fn apply(&mut self, (rows, owners): Record) {
        for (key, value) in rows {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
        for (blob, count) in owners {
            match count {
                0 => self.owners.remove(&blob),
                count => self.owners.insert(blob, count),
            };
        }
    }

    fn use_reservation(&mut self, blob: BlobId) {
        if let Some(count) = self.reserved.get_mut(&blob) {
            *count -= 1;
            if *count == 0 {
                self.reserved.remove(&blob);
            }
        }
    }

    /// Whether anybody still needs a body.
    pub(crate) fn is_held(&self, blob: BlobId) -> bool {
        self.owners.contains_key(&blob) || self.reserved.contains_key(&blob)
    }
}

impl View for State {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn held(&self, blob: BlobId) -> Result<Option<Held>, StoreError> {
        let owners = self.owners.get(&blob).copied().unwrap_or(0);
        Ok(self.is_held(blob).then_some(Held { owners }))
    }
}

#[async_trait]
impl Store for Journal {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        View::get(&*self.state(), key)
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if !scan.to.is_empty() && scan.from >= scan.to {
            return Ok(Vec::new());
        }
        let to = if scan.to.is_empty() { Bound::Unbounded } else { Bound::Excluded(scan.to) };
        let state = self.state();
        let range = state.rows.range((Bound::Included(scan.from), to));
        let range = range.map(|(key, value)| (key.clone(), value.clone()));
        Ok(match scan.reverse {
            false => range.take(scan.limit).collect(),
            true => range.rev().take(scan.limit).collect(),
        })
    }

    /// Runs on a thread of its own: a sync blocks. Dropping the future does not stop it.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || shared.commit(batch)).await;
        done.unwrap_or_else(|e| Err(StoreError::Io(e.to_string()).into()))
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.shared.watchers.watch(prefix)
    }
}

/// The first record and what is behind it; `None` at the end, or at a torn record.
fn next_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let body = bytes.get(HEAD..HEAD.checked_add(length)?)?;
    let whole = blake3::hash(body).as_bytes() == &bytes[4..HEAD];
    let record = whole.then(|| postcard::from_bytes(body).ok()).flatten()?;
    Some((record, &bytes[HEAD + length..]))
}

/// Trouble with the disk, in the words of the contract.
pub(crate) fn io(e: std::io::Error) -> StoreError {
    match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::NoSpace(e.to_string())
        }
        _ => StoreError::Io(e.to_string()),
    }
}
