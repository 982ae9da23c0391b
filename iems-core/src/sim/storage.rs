//! Storage with faults: a wrapper that fails, stalls or kills where it is told to. What is durable stays in the
//! storage below.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Dice, Life};
use crate::storage::{
    Batch, BlobId, BlobWriter, Blobs, Collected, CommitError, Committed, Scan, Storage, Store, StoreError,
    Watch,
};

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A write fails for want of space, without effect. Reads succeed.
    NoSpace,
    /// It fails without effect.
    Passing,
    /// It has its effect, and reports an error: the outcome is unknown.
    Unknown,
    /// It takes so long.
    Slow(Duration),
    /// The process dies before the effect.
    Death,
    /// The process dies between the effect and the answer.
    LateDeath,
}

/// Storage with faults. Cheap to clone.
#[derive(Clone)]
pub struct SimStorage {
    inner: Arc<Inner>,
}

struct Inner {
    below: Storage,
    life: Life,
    dice: Dice,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    done: u64,
    unknown: u64,
    plan: Vec<(Range<u64>, Fault)>,
    latency: Duration,
    last_fault: Option<Instant>,
}

/// Kinds of operations: they fail in different ways.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    /// A part of a body: it does not count before a commit links it.
    Spool,
    Commit,
}

/// What follows the effect of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Answer,
    Deny,
    Die,
}

impl SimStorage {
    /// A wrapper around `below` for the engine of one `life`.
    pub fn new(below: Storage, life: Life, dice: Dice) -> Self {
        Self { inner: Arc::new(Inner { below, life, dice, book: Mutex::default() }) }
    }

    /// Both sides, as the engine takes them.
    pub fn storage(&self) -> Storage {
        Storage { store: Arc::new(self.clone()), blobs: Arc::new(self.clone()) }
    }

    /// Plans `fault` for `count` operations, after `after` further ones (0: from the next on).
    pub fn plan(&self, after: u64, count: u64, fault: Fault) {
        let mut book = self.book();
        let from = book.done + after;
        book.plan.push((from..from.saturating_add(count), fault));
    }

    /// Every commit takes up to so long from now on. Default: none.
    pub fn set_latency(&self, latency: Duration) {
        self.book().latency = latency;
    }

    /// Ends all planned faults.
    pub fn heal(&self) {
        self.book().plan.clear();
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.book().done
    }

    /// Writes so far that took effect and reported an error.
    pub fn unknown(&self) -> u64 {
        self.book().unknown
    }

    /// Whether a planned fault is still to come or under way.
    pub fn is_faulty(&self) -> bool {
        let book = self.book();
        book.plan.iter().any(|(when, _)| when.end > book.done)
    }

    /// When a fault struck last; of one that takes time, when it was over, or began if it is not.
    pub fn last_fault(&self) -> Option<Instant> {
        self.book().last_fault
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.inner.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation: it fails now, or goes on, with what follows its effect.
    async fn begin(&self, kind: Kind) -> Result<Then, StoreError> {
        let commit = kind == Kind::Commit;
        let (fault, latency) = {
            let mut book = self.book();
            let number = book.done;
            book.done += 1;
            let fault = book.plan.iter().find(|(when, _)| when.contains(&number)).map(|(_, fault)| *fault);
            book.unknown += u64::from(commit && matches!(fault, Some(Fault::Unknown | Fault::LateDeath)));
            (fault, if commit { book.latency } else { Duration::ZERO })
        };
        self.pass(self.inner.dice.span(Duration::ZERO, latency)).await?;
        if fault.is_some() {
            self.book().last_fault = Some(Instant::now());
        }
        if let Some(Fault::Slow(span)) = fault {
            self.pass(span).await?;
            self.book().last_fault = Some(Instant::now());
        }
        match fault {
            None | Some(Fault::Slow(_)) => Ok(Then::Answer),
            Some(Fault::NoSpace) if kind != Kind::Read => Err(StoreError::NoSpace("the simulation".into())),
            Some(Fault::NoSpace) => Ok(Then::Answer),
            Some(Fault::Unknown) if commit => Ok(Then::Deny),
            Some(Fault::Passing | Fault::Unknown) => Err(StoreError::Io("as the simulation wants it".into())),
            Some(Fault::LateDeath) if commit => Ok(Then::Die),
            Some(Fault::Death | Fault::LateDeath) => {
                self.inner.life.end();
                Err(Life::lost())
            }
        }
    }

    /// Lets `span` pass; fails if the life ends meanwhile, or is over.
    async fn pass(&self, span: Duration) -> Result<(), StoreError> {
        if !span.is_zero() && !self.inner.life.is_over() {
            tokio::select! {
                biased;
                () = self.inner.life.over() => {}
                () = tokio::time::sleep(span) => {}
            }
        }
        if self.inner.life.is_over() { Err(Life::lost()) } else { Ok(()) }
    }

    fn end(&self, then: Then) -> Result<(), StoreError> {
        match then {
            Then::Answer => Ok(()),
            Then::Deny => Err(StoreError::Io("nobody knows whether it took effect".into())),
            Then::Die => {
                self.inner.life.end();
                Err(Life::lost())
            }
        }
    }
}

#[async_trait]
impl Store for SimStorage {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.begin(Kind::Read).await?;
        self.inner.below.store.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.begin(Kind::Read).await?;
        self.inner.below.store.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let then = self.begin(Kind::Commit).await?;
        let committed = self.inner.below.store.commit(batch).await;
        self.end(then)?;
        committed
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.inner.below.store.watch(prefix)
    }
}

#[async_trait]
impl Blobs for SimStorage {
    async fn create(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.begin(Kind::Spool).await?;
        let below = self.inner.below.blobs.create().await?;
        Ok(Box::new(Writer { storage: self.clone(), below }))
    }

    async fn read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.begin(Kind::Read).await?;
        self.inner.below.blobs.read(id, range).await
    }

    async fn size(&self, id: BlobId) -> Result<u64, StoreError> {
        self.begin(Kind::Read).await?;
        self.inner.below.blobs.size(id).await
    }

    async fn collect(&self) -> Result<Collected, StoreError> {
        self.begin(Kind::Read).await?;
        self.inner.below.blobs.collect().await
    }
}

struct Writer {
    storage: SimStorage,
    below: Box<dyn BlobWriter>,
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.storage.begin(Kind::Spool).await?;
        self.below.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<BlobId, StoreError> {
        self.storage.begin(Kind::Spool).await?;
        self.below.finish().await
    }
}
