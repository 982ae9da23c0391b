//! Operating the queue: what an administrator sees of it, and does to it.
//!
//! Reading and simple orders work on a bare store as well, while no engine runs on it. Everything costs in proportion to
//! what it finds, not to the length of the queue: see [`find`] for the indexes.

mod change;
mod depth;
mod entry;
mod filter;
mod find;
mod mark;
mod order;
mod overview;
mod paused;
mod waits;
mod why;

use std::sync::Arc;

pub use depth::Depth;
pub use entry::Entry;
pub use filter::Filter;
pub use mark::{Mark, MarkError};
pub use order::{Done, Extent, Order};
pub use overview::{HopOrder, HopStatus, Overview};
pub use paused::{HopName, HopNameError, PausedHop};
pub use waits::{RateOf, Waits};

use super::key::{self, GroupId};
use super::load::Loaded;
use super::record::{Group, Message, decode};
use crate::engine::Shared;
use crate::message::QueueId;
use crate::report::Story;
use crate::seam::Clock;
use crate::storage::{CommitError, Scan, Storage, StoreError};
use find::Walk;

/// The queue as an operator sees it. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    storage: Storage,
    clock: Arc<dyn Clock>,
    /// `None` on a bare store.
    engine: Option<Arc<Shared>>,
}

/// Why the queue could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not take the change.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The order needs an engine: it writes reports, or asks for routes.
    #[error("this needs an engine on the store: it writes reports, or asks for routes")]
    NoEngine,
    /// No channel or agent has this name.
    #[error("there is no channel {name}; there are {known}")]
    NoChannel {
        /// What was asked for.
        name: String,
        /// What there is, with commas.
        known: String,
    },
}

impl QueueError {
    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store(error) => error.is_temporary(),
            Self::Commit(error) => error.is_temporary(),
            Self::NoEngine | Self::NoChannel { .. } => false,
        }
    }
}

impl Queue {
    /// The queue in a store on which no engine runs.
    pub fn at_rest(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, engine: None }
    }

    pub(crate) fn of_engine(engine: Arc<Shared>) -> Self {
        Self { storage: engine.storage.clone(), clock: engine.clock.clone(), engine: Some(engine) }
    }

    /// The groups that `filter` means, at most `limit`. Their order is that of [`Queue::page`].
    pub async fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Entry>, QueueError> {
        let (mut entries, mut walk) = (Vec::new(), Walk::new(self, filter, None).await?);
        while entries.len() < limit
            && let Some((loaded, mark)) = walk.next().await?
        {
            entries.push(self.entry(loaded, mark).await?);
        }
        Ok(entries)
    }

    /// The groups of at most `messages` messages that `filter` means, behind `after`.
    ///
    /// The oldest message comes first, unless the filter names neither a message nor a recipient nor a sender, but one of
    /// these: a domain (the order is that of its addresses, by a hash), a hop or a state (first what is ready, lane by lane,
    /// then what is deferred, then what is held; by hop, and there by age). The order is the same each time, so a listing
    /// goes on behind the mark of the last entry; what arrives or moves meanwhile may be missed, or seen twice.
    pub async fn page(
        &self,
        filter: &Filter,
        after: Option<&Mark>,
        messages: usize,
    ) -> Result<Vec<Entry>, QueueError> {
        let (mut entries, mut walk) = (Vec::<Entry>::new(), Walk::new(self, filter, after).await?);
        let mut seen = 0;
        while let Some((loaded, mark)) = walk.next().await? {
            if entries.last().is_none_or(|last| last.id != loaded.at.id) {
                seen += 1;
                if seen > messages {
                    break;
                }
            }
            entries.push(self.entry(loaded, mark.behind_message()).await?);
        }
        Ok(entries)
    }

    /// The whole story of a message; `None` if it is not known (any more).
    pub async fn explain(&self, id: QueueId) -> Result<Option<Story>, QueueError> {
        let store = &self.storage.store;
        let Some(row) = store.get(&key::message(id)).await? else { return Ok(None) };
        let message: Message = decode(&row, "queue message")?;
        let (mut waiting, mut waits) = (Vec::new(), Vec::new());
        for (row_key, row) in store.scan(Scan::prefix(&key::groups_of(id), 10_000)).await? {
            let Some(at) = key::parse_group(&row_key) else { continue };
            let group = decode::<Group>(&row, "queue group")?;
            waits.push(self.waits(at, &group, &message).await?);
            waiting.push(group);
        }
        let mut events = message.events.clone();
        for (_, row) in store.scan(Scan::prefix(&key::history_of(id), 10_000)).await? {
            events.push(decode(&row, "queue history")?);
        }
        Ok(Some(Story { id, message, waiting, waits, events }))
    }

    /// A group as it is now; `None` if it is gone.
    async fn load(&self, at: GroupId) -> Result<Option<Loaded>, StoreError> {
        let store = &self.storage.store;
        let Some(row) = store.get(&key::group(at)).await? else { return Ok(None) };
        self.load_row(at, row).await
    }

    /// A group whose row was read already.
    async fn load_row(&self, at: GroupId, row: bytes::Bytes) -> Result<Option<Loaded>, StoreError> {
        let group = decode(&row, "queue group")?;
        let Some(message) = self.storage.store.get(&key::message(at.id)).await? else {
            return Err(StoreError::Corrupt(format!("the record of message {} is missing", at.id)));
        };
        let message = decode(&message, "queue message")?;
        Ok(Some(Loaded { at, row, group, message, read: self.clock.now() }))
    }
}
