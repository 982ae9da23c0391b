//! Storage as the engine sees it: an ordered store with one atomic, durable write, and blobs
//! for bodies, bound to it. No engine but the one in memory lives here.

mod batch;
mod blobs;
pub mod conformance;
mod memory;
mod resolve;
mod store;
mod watch;

pub use batch::{Batch, Require, Slot, Template, Write};
pub use blobs::{BlobId, BlobWriter, Blobs, Collected, Room};
pub use memory::{MemoryStats, MemoryStorage};
pub use resolve::{Held, MAX_BATCH, Owners, Resolved, View, counter, resolve};
pub use store::{CommitError, Committed, MAX_KEY, MAX_VALUE, Scan, Store, StoreError, Visitor, after_prefix};
pub use watch::{Watch, Watchers};

use std::sync::Arc;

/// A store and the blobs bound to it.
#[derive(Clone)]
pub struct Storage {
    /// The ordered store.
    pub store: Arc<dyn Store>,
    /// The bodies.
    pub blobs: Arc<dyn Blobs>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Storage")
    }
}
