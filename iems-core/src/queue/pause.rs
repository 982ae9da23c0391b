//! Pauses: an operator's stop of one hop, or of all. Kept in the store, so a restart does not lift them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::key::{self, HopKey};
use super::record::{decode, encode};
use crate::engine::Shared;
use crate::message::{ChannelId, NextHop};
use crate::seam::Timestamp;
use crate::storage::{Batch, CommitError, Scan, Store, StoreError};

/// Why a hop stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// What the operator wrote.
    pub reason: String,
}

/// All pauses.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pauses {
    all: Option<Pause>,
    hops: HashMap<HopKey, Pause>,
}

/// The hop that means all of them.
fn everything() -> HopKey {
    HopKey { channel: ChannelId::new(""), hop: NextHop::new("") }
}

impl Pauses {
    pub(crate) fn covers(&self, hop: &HopKey) -> bool {
        self.all.is_some() || (!self.hops.is_empty() && self.hops.contains_key(hop))
    }

    /// The stop of all hops.
    pub(crate) fn all(&self) -> Option<&Pause> {
        self.all.as_ref()
    }

    pub(crate) fn of(&self, hop: &HopKey) -> Option<&Pause> {
        self.hops.get(hop).or(self.all.as_ref())
    }

    /// Every pause; no hop means all of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&HopKey>, &Pause)> {
        self.all
            .iter()
            .map(|pause| (None, pause))
            .chain(self.hops.iter().map(|(hop, pause)| (Some(hop), pause)))
    }

    pub(crate) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut pauses = Self::default();
        for (row, value) in store.scan(Scan::prefix(key::PAUSES, 100_000)).await? {
            let Some(hop) = key::parse_hop(key::PAUSES, &row) else { continue };
            let pause = decode(&value, "pause of the queue")?;
            match hop == everything() {
                true => pauses.all = Some(pause),
                false => drop(pauses.hops.insert(hop, pause)),
            }
        }
        Ok(pauses)
    }
}

/// Stops a hop, or all, durably; `None` lets it go on.
pub(crate) async fn set(
    store: &dyn Store,
    hop: Option<&HopKey>,
    pause: Option<&Pause>,
) -> Result<(), CommitError> {
    let row = key::of_hop(key::PAUSES, hop.unwrap_or(&everything()));
    let mut batch = Batch::new();
    match pause {
        Some(pause) => batch.put(row, encode(pause)),
        None => batch.delete(&row),
    }
    store.commit(batch).await.map(|_| ())
}

/// Follows what operators stop at other engines on the same store, until shutdown.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let changed = shared.storage.store.watch(key::PAUSES);
    loop {
        tokio::select! {
            () = changed.changed() => {}
            () = shared.shutdown.cancelled() => return,
        }
        match Pauses::read(&*shared.storage.store).await {
            Ok(pauses) => shared.runner.set_pauses(pauses),
            Err(error) => tracing::warn!(%error, "what is paused cannot be read"),
        }
    }
}
