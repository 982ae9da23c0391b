//! The store: an ordered map of bytes with one write operation.

use async_trait::async_trait;
use bytes::Bytes;

use super::{Batch, Watch};

/// The longest key, in bytes. Longer ones fail the commit with [`StoreError::TooLarge`].
pub const MAX_KEY: usize = 1024;
/// The longest value, in bytes. Bodies belong into [`super::Blobs`].
pub const MAX_VALUE: usize = 1 << 20;

/// What a commit handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// For each [`super::Slot`] of the batch, in order, the first number it received.
    pub firsts: Vec<u64>,
}

/// A part of the key space, in order.
#[derive(Debug, Clone)]
pub struct Scan {
    /// First key that may be returned.
    pub from: Bytes,
    /// First key that may not be returned; empty means the end of the key space.
    pub to: Bytes,
    /// The largest number of pairs to return.
    pub limit: usize,
    /// Greatest key first.
    pub reverse: bool,
}

impl Scan {
    /// Every key that begins with `prefix`, at most `limit` of them, smallest first.
    pub fn prefix(prefix: &[u8], limit: usize) -> Self {
        Self { from: Bytes::copy_from_slice(prefix), to: after_prefix(prefix), limit, reverse: false }
    }

    /// Only keys from `from` on (inclusive).
    #[must_use]
    pub fn starting_at(mut self, from: &[u8]) -> Self {
        self.from = Bytes::copy_from_slice(from);
        self
    }

    /// Only keys before `to` (exclusive).
    #[must_use]
    pub fn ending_before(mut self, to: &[u8]) -> Self {
        self.to = Bytes::copy_from_slice(to);
        self
    }

    /// Greatest key first.
    #[must_use]
    pub fn backwards(mut self) -> Self {
        self.reverse = true;
        self
    }
}

/// Takes the pairs of a scan, key and value; whether it wants more.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> bool + Send + 'a;

/// The first key after every key that begins with `prefix`; empty if there is none.
pub fn after_prefix(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xFF {
            end.push(last + 1);
            break;
        }
    }
    end.into()
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space, quota or file-size limit: nothing was written.
    #[error("no space left for {0}")]
    NoSpace(String),
    /// The device failed. Whether a commit under way took effect is unknown until the store
    /// was reopened; it is whole or absent.
    #[error("storage failed: {0}")]
    Io(String),
    /// What was read is not what was written.
    #[error("storage is damaged: {0}")]
    Corrupt(String),
    /// A key, value or batch is over its limit.
    #[error("too large for the store: {0}")]
    TooLarge(String),
    /// The store was shut down.
    #[error("the store is closed")]
    Closed,
    /// No blob with this id.
    #[error("no such blob: {0}")]
    NoBlob(super::BlobId),
}

impl StoreError {
    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::NoSpace(_) | Self::Io(_) | Self::Closed)
    }
}

/// Why a batch did not take effect.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold: read again and decide anew. Nothing was written.
    #[error("a condition of the batch did not hold")]
    Conflict,
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitError {
    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Conflict => true,
            Self::Store(e) => e.is_temporary(),
        }
    }
}

/// An ordered key-value store.
///
/// - **Role**: keeps everything that must outlive the process, except bodies.
/// - **Called when**: always; every part of the engine reads and commits here.
/// - **Ordering**: commits take effect one after the other. A read that starts after `commit`
///   returned sees it; `scan` sees one moment. Steps inside a batch see the steps before them.
/// - **Cancellation**: dropping the future of `commit` after its first poll leaves it open whether the batch takes
///   effect; it is still whole or absent. Dropping a read has no effect.
/// - **Idempotency**: a batch commits twice if asked twice, unless its conditions prevent it.
/// - **Concurrency**: any number of callers. Concurrent commits are grouped into one durable write;
///   an idle store commits at once.
/// - **Errors**: [`CommitError::Conflict`] and [`StoreError::TooLarge`] wrote nothing, and so did
///   [`StoreError::NoSpace`]. After [`StoreError::Io`] the outcome is unknown.
/// - **Example**: [`super::MemoryStorage`]; [`super::conformance`] checks any engine.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The value of `key`.
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The pairs in a part of the key space, in order, at most `scan.limit`.
    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError>;

    /// Shows the pairs that [`Self::scan`] would return to `each`, in order, until it wants no more. For whoever keeps nothing
    /// of them: an engine need not copy what it shows. `each` may be called while others wait, so it is to be brief, and
    /// asks nothing of the store.
    async fn visit(&self, scan: Scan, each: &mut Visitor<'_>) -> Result<(), StoreError> {
        for (key, value) in self.scan(scan).await? {
            if !each(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    /// Applies `batch` whole or not at all. *Durable when it returns*: it survives a power cut,
    /// and so does every blob that the batch links.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;

    /// Wakes when a commit has written a key that begins with `prefix`.
    fn watch(&self, prefix: &[u8]) -> Watch;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_where_the_next_begins() {
        assert_eq!(after_prefix(b"ab"), Bytes::from_static(b"ac"));
        assert_eq!(after_prefix(&[1, 0xFF]), Bytes::from_static(&[2]));
        assert!(after_prefix(&[0xFF]).is_empty());
    }
}
