//! The store as the engine uses it: the same one, with an eye on its commits. Reading goes straight through.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::gate::Gate;
use super::machine::Held;
use crate::storage::{
    Batch, CommitError, Committed, Scan, Storage, Store, StoreError, Visitor, Watch, Write,
};

/// A store whose commits are timed, and whose failures are noted.
struct WatchedStore {
    inner: Arc<dyn Store>,
    gate: Arc<Gate>,
}

impl Gate {
    /// The storage with an eye on its commits.
    pub(crate) fn watched(self: &Arc<Self>) -> Storage {
        let store = WatchedStore { inner: self.storage.store.clone(), gate: self.clone() };
        Storage { store: Arc::new(store), blobs: self.storage.blobs.clone() }
    }
}

/// What a call to a store comes to.
type Answer<'a, T, E = StoreError> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

// Without the macro of the trait, so that a read is handed on as it is and not boxed twice.
impl Store for WatchedStore {
    fn get<'a: 'c, 'b: 'c, 'c>(&'a self, key: &'b [u8]) -> Answer<'c, Option<Bytes>>
    where
        Self: 'c,
    {
        self.inner.get(key)
    }

    fn scan<'a: 'c, 'c>(&'a self, scan: Scan) -> Answer<'c, Vec<(Bytes, Bytes)>>
    where
        Self: 'c,
    {
        self.inner.scan(scan)
    }

    fn visit<'a: 'c, 'b: 'c, 'd: 'c, 'c>(&'a self, scan: Scan, each: &'b mut Visitor<'d>) -> Answer<'c, ()>
    where
        Self: 'c,
    {
        self.inner.visit(scan, each)
    }

    fn commit<'a: 'c, 'c>(&'a self, batch: Batch) -> Answer<'c, Committed, CommitError>
    where
        Self: 'c,
    {
        Box::pin(async move {
            let links = batch.writes().iter().any(|write| matches!(write, Write::Link(_)));
            let under_way = UnderWay::begin(&self.gate);
            let committed = self.inner.commit(batch).await;
            under_way.end();
            if let Err(CommitError::Store(error)) = &committed {
                self.gate.note(error, if links { Held::Body } else { Held::Rows });
            }
            committed
        })
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.inner.watch(prefix)
    }
}

/// A commit under way. Dropped before it ended, it counts no more.
struct UnderWay<'a> {
    gate: &'a Gate,
    commit: Option<u64>,
}

impl<'a> UnderWay<'a> {
    fn begin(gate: &'a Gate) -> Self {
        Self { gate, commit: Some(gate.begin_commit()) }
    }

    fn end(mut self) {
        if let Some(commit) = self.commit.take() {
            self.gate.end_commit(commit);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(commit) = self.commit {
            self.gate.give_up_commit(commit);
        }
    }
}
