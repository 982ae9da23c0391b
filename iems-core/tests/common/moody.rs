//! Storage whose mood a test sets, and that says what it was asked meanwhile.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::storage::*;

/// How writing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Every write fails.
    Broken,
    /// There is no space for bodies; rows can be written.
    Full,
    /// There is no space for anything.
    Stuffed,
    /// Every commit takes so long.
    Slow(Duration),
    /// Commits do not return until the mood changes.
    Hung,
}

/// Storage with a mood.
pub(crate) struct Moody {
    inner: Storage,
    mood: Mutex<Mood>,
    changed: tokio::sync::Notify,
}

impl Moody {
    pub(crate) fn new(inner: Storage) -> Arc<Self> {
        Arc::new(Self { inner, mood: Mutex::new(Mood::Well), changed: tokio::sync::Notify::new() })
    }

    pub(crate) fn storage(self: &Arc<Self>) -> Storage {
        Storage { store: self.clone(), blobs: self.clone() }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.changed.notify_waiters();
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }
}

fn broken() -> StoreError {
    StoreError::Io("as the test wants it".into())
}

fn no_space() -> StoreError {
    StoreError::NoSpace("the test".into())
}

#[async_trait]
impl Store for Moody {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.store.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.inner.store.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let links = batch.writes().iter().any(|write| matches!(write, Write::Link(_)));
        match self.mood() {
            Mood::Broken => return Err(broken().into()),
            Mood::Stuffed => return Err(no_space().into()),
            Mood::Full if links => return Err(no_space().into()),
            Mood::Slow(time) => tokio::time::sleep(time).await,
            Mood::Hung => {
                let changed = self.changed.notified();
                if self.mood() == Mood::Hung {
                    changed.await;
                }
            }
            Mood::Well | Mood::Full => {}
        }
        self.inner.store.commit(batch).await
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.inner.store.watch(prefix)
    }
}

#[async_trait]
impl Blobs for Moody {
    async fn create(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        match self.mood() {
            Mood::Broken => Err(broken()),
            Mood::Full | Mood::Stuffed => Err(no_space()),
            _ => self.inner.blobs.create().await,
        }
    }

    async fn read(&self, id: BlobId, range: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.blobs.read(id, range).await
    }

    async fn size(&self, id: BlobId) -> Result<u64, StoreError> {
        self.inner.blobs.size(id).await
    }

    async fn collect(&self) -> Result<Collected, StoreError> {
        self.inner.blobs.collect().await
    }

    async fn room(&self) -> Result<Option<Room>, StoreError> {
        self.inner.blobs.room().await
    }
}
