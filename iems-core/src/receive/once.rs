//! Once: a message that has a name of its own is taken one time, however often its channel brings it.
//!
//! A channel that may be interrupted between the acceptance of a message and its own note of that (a file half read, a mailbox of
//! another system) names each message by a [`OnceKey`]. The name is written in the commit that accepts, so a message is
//! never taken twice, and never forgotten. Names expire; what is brought again after that is new.
//!
//! | key goes on | value |
//! |---|---|
//! | `ro`, the name | when it expires, in milliseconds, and the queue id of the message, if there is one |
//! | `rx`, time of expiry in milliseconds (big-endian), the name | nothing |

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Intake;
use crate::engine::Shared;
use crate::message::{QueueId, Reply};
use crate::seam::Timestamp;
use crate::storage::{Batch, CommitError, Scan, StoreError};

const NAMES: &[u8] = b"ro";
const EXPIRY: &[u8] = b"rx";
/// Rows looked at in one go.
const PAGE: usize = 256;

/// The name of a message: octets that no other message has, such as a hash of where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnceKey([u8; 32]);

impl OnceKey {
    /// The name made of parts: their hash, in which each part counts with its length.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    fn row(&self) -> Vec<u8> {
        [NAMES, &self.0].concat()
    }

    fn expiry_row(&self, until: u64) -> Vec<u8> {
        [EXPIRY, &until.to_be_bytes(), &self.0].concat()
    }
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    until: u64,
    pub(super) id: Option<QueueId>,
}

/// A name, and how long it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Once {
    key: OnceKey,
    keep: Duration,
}

impl Once {
    pub(super) const fn new(key: OnceKey, keep: Duration) -> Self {
        Self { key, keep }
    }

    /// Adds the name to the batch that accepts; it fails if the name is known.
    pub(super) fn add(&self, batch: &mut Batch, now: Timestamp, id: QueueId) {
        batch.require_absent(&self.key.row());
        put(batch, self.key, now.after(self.keep).as_millis(), Some(id));
    }

    /// What is known of it.
    pub(super) async fn look(&self, shared: &Shared) -> Result<Option<Known>, StoreError> {
        look(shared, &self.key).await
    }
}

fn put(batch: &mut Batch, key: OnceKey, until: u64, id: Option<QueueId>) {
    let value = postcard::to_stdvec(&Known { until, id }).unwrap_or_default();
    batch.put(key.row(), value);
    batch.put(key.expiry_row(until), Vec::new());
}

async fn look(shared: &Shared, key: &OnceKey) -> Result<Option<Known>, StoreError> {
    let row = shared.storage.store.get(&key.row()).await?;
    row.map(|row| {
        postcard::from_bytes(&row).map_err(|e| StoreError::Corrupt(format!("a name of a message: {e}")))
    })
    .transpose()
}

impl Intake {
    /// Whether a message of this name was taken, or its name remembered, and has not expired.
    ///
    /// # Errors
    /// If storage does not answer: a reply to try again later.
    pub async fn knows(&self, key: &OnceKey) -> Result<bool, Reply> {
        let known = look(self.shared(), key).await.map_err(|e| self.shared().health.failed(e))?;
        Ok(known.is_some())
    }

    /// Keeps a name for `keep` from now, whether it is known or not: a message that shall not be taken at all, or one that is
    /// still to be seen where it came from.
    ///
    /// # Errors
    /// If it cannot be stored: a reply to try again later.
    pub async fn remember(&self, key: &OnceKey, keep: Duration) -> Result<(), Reply> {
        let shared = self.shared();
        let before = look(shared, key).await.map_err(|e| shared.health.failed(e))?;
        let mut batch = Batch::new();
        if let Some(before) = before {
            batch.delete(&key.expiry_row(before.until));
        }
        put(
            &mut batch,
            *key,
            shared.clock.now().after(keep).as_millis(),
            before.and_then(|before| before.id),
        );
        shared.storage.store.commit(batch).await.map(|_| ()).map_err(|e| shared.health.commit(e))
    }
}

/// Removes names that have expired; how many.
pub(crate) async fn forget_names(shared: &Shared) -> Result<usize, CommitError> {
    let (now, mut gone) = (shared.clock.now().as_millis(), 0);
    let end = [EXPIRY, &now.to_be_bytes()].concat();
    loop {
        let rows = shared.storage.store.scan(Scan::prefix(EXPIRY, PAGE).ending_before(&end)).await?;
        let mut batch = Batch::new();
        for (row, _) in &rows {
            batch.delete(row);
            if let Some(name) = row.get(EXPIRY.len() + 8..) {
                batch.delete(&[NAMES, name].concat());
            }
        }
        shared.storage.store.commit(batch).await?;
        gone += rows.len();
        if rows.len() < PAGE {
            return Ok(gone);
        }
    }
}
