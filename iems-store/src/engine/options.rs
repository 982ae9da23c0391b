//! How the engine is set up, and why it may refuse to open.

use std::sync::Arc;
use std::time::Duration;

use iems_core::seam::{Clock, SystemClock};
use iems_core::storage::StoreError;

/// How the engine is set up.
#[derive(Clone)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// Bytes after which a segment of the log is full. 64 MiB: large enough that rolling over costs
    /// nothing, small enough that one living body does not hold much room. At most 1 GiB.
    pub segment_bytes: u32,
    /// Dead segments kept for writing over, which is about twice as fast as growing new ones. 4: what
    /// a busy relay goes through between two checkpoints.
    pub spare_segments: usize,
    /// Bytes of rows in memory after which they go to the index. 16 MiB: some 25,000 messages that stay;
    /// the more at once, the fewer pages of the index are written for each.
    pub memtable_bytes: usize,
    /// Age of rows in memory after which they go to the index. 30 s: most mail is gone by then, and
    /// its queue records never reach the index.
    pub memtable_age: Duration,
    /// Bytes of log after which a checkpoint is made whatever the rows' size, because a restart reads
    /// them all. 256 MiB: about a second.
    pub replay_bytes: u64,
    /// Bytes of the index kept in memory, at most. 16 MiB; the system caches the rest, from where a page takes some
    /// microseconds. Where the index is looked through again and again, it pays if what is looked through fits in.
    pub index_cache_bytes: usize,
    /// Whether the checksums of the whole index are compared when it is opened, which reads all of it. Off: damage is found
    /// when something leads to it. For checks.
    pub verify_index: bool,
    /// Whether a thread makes checkpoints by the three limits above. Without it, only
    /// [`super::Embedded::checkpoint`] does. On; tests that count every operation turn it off.
    pub background: bool,
    /// Bytes of finished, unlinked bodies kept in memory, together. 8 MiB; what is over goes to the log.
    pub pending_bytes: usize,
    /// Bytes of small bodies kept in memory after they were written, for whoever sends them on at once. 4 MiB: some hundred
    /// messages on their way; collection lets go of them.
    pub recent_bytes: usize,
    /// Where a commit takes no longer than this on average, a caller who is alone writes his small batch by himself, in a runtime
    /// that has other threads; zero for never. 0.4 ms: what is gained is some 0.03 ms, so a slow device need not be waited for so.
    pub quick: Duration,
    /// The part of a segment that must be dead before its living bodies are moved away, in percent.
    /// 50: moving then costs at most as much as it gives back.
    pub compact_percent: u8,
    /// The clock by which reservations expire.
    pub clock: Arc<dyn Clock>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            spare_segments: 4,
            memtable_bytes: 16 << 20,
            memtable_age: Duration::from_secs(30),
            replay_bytes: 256 << 20,
            index_cache_bytes: 16 << 20,
            verify_index: false,
            background: true,
            pending_bytes: 8 << 20,
            recent_bytes: 4 << 20,
            quick: Duration::from_micros(400),
            compact_percent: 50,
            clock: Arc::new(SystemClock),
        }
    }
}

impl EmbeddedOptions {
    /// Bytes of disk that new bodies may not take: a segment for the rows of deletions, and a checkpoint.
    pub(super) fn reserve(&self) -> u64 {
        u64::from(self.segment_bytes) + Self::index_room(self.memtable_bytes)
    }

    /// Bytes of disk that moving so many bytes of rows to the index may take, about.
    pub(super) fn index_room(rows: usize) -> u64 {
        4 * rows as u64 + (4 << 20)
    }
}

impl std::fmt::Debug for EmbeddedOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedOptions").field("segment_bytes", &self.segment_bytes).finish_non_exhaustive()
    }
}

/// Why the store's folder could not be opened. Nothing in it was changed, except for
/// [`OpenError::Io`], after which it is as after a crash.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process uses it.
    #[error("the store is in use by {}", holder(*.0))]
    InUse(Option<u32>),
    /// It was written by a newer version, or by something else.
    #[error(
        "the store has format {found:?}; this version reads {known:?}: use the version that wrote it, or a newer one"
    )]
    Format {
        /// What its `format` file says.
        found: String,
        /// What this version writes.
        known: &'static str,
    },
    /// It is damaged in a way that would lose what was acknowledged. Restore it, or ask for help.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The system refused.
    #[error("the store cannot be opened: {0}")]
    Io(#[from] std::io::Error),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl From<StoreError> for OpenError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Corrupt(what) => Self::Corrupt(what),
            other => Self::Io(std::io::Error::other(other)),
        }
    }
}
