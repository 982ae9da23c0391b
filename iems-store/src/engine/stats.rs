//! Counters of the engine, for metrics and for tests that count costs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What the engine did since it was opened.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct EngineStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> EngineStats {
                EngineStats { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Batches that took effect.
    commits,
    /// Batches refused by a condition.
    conflicts,
    /// Batches that failed for another reason.
    failures,
    /// Groups of batches written together.
    groups,
    /// Groups of one batch that were written by whoever brought it.
    groups_alone,
    /// Syncs of the log.
    syncs,
    /// Bytes written to the log.
    log_bytes,
    /// Bytes written to the index.
    index_bytes,
    /// Syncs of the index.
    index_syncs,
    /// Checkpoints made.
    checkpoints,
    /// Checkpoints that failed.
    checkpoint_failures,
    /// Bodies finished.
    blobs,
    /// Bytes of bodies finished.
    blob_bytes,
    /// Segments begun by writing over a dead one.
    segments_recycled,
    /// Segments begun with a new file.
    segments_created,
    /// Zeros written to the log ahead of its end.
    bytes_filled,
    /// Segments given back to the system.
    segments_removed,
    /// Bytes of living bodies moved by compaction.
    bytes_moved,
    /// Pieces of bodies that were not what had been written.
    damaged,
}

pub(super) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}
