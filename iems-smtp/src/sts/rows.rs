//! Policies in the store, so that a restart forgets none: under `Ts` and the domain.

use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, CommitError, Scan, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::policy::Policy;

const PREFIX: &[u8] = b"Ts";
/// The form of a row, in front of it.
const FORM: u8 = 1;

/// A policy, and when it was had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The policy.
    pub policy: Policy,
    /// The id of its record when it was fetched.
    pub id: String,
    /// When it was fetched.
    pub fetched: Timestamp,
    /// When mail last went by it; to the day.
    pub(super) used: Timestamp,
}

impl Known {
    /// When it ends.
    pub fn expires(&self) -> Timestamp {
        self.fetched.after(std::time::Duration::from_secs(self.policy.max_age))
    }

    /// Whether it holds.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        now < self.expires()
    }
}

fn key(domain: &str) -> Vec<u8> {
    [PREFIX, domain.as_bytes()].concat()
}

/// The row of a domain. One that cannot be read is none: it is fetched again.
pub(super) async fn load(store: &dyn Store, domain: &str) -> Result<Option<Known>, StoreError> {
    Ok(store.get(&key(domain)).await?.and_then(|row| read(&row)))
}

fn read(row: &[u8]) -> Option<Known> {
    row.strip_prefix(&[FORM]).and_then(|row| postcard::from_bytes(row).ok())
}

/// Writes the row of a domain.
pub(super) async fn save(store: &dyn Store, domain: &str, known: &Known) -> Result<(), CommitError> {
    let row = postcard::to_stdvec(known).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let mut batch = Batch::new();
    batch.put(key(domain), [&[FORM], &row[..]].concat());
    store.commit(batch).await.map(drop)
}

/// Removes the row of a domain.
pub(super) async fn remove(store: &dyn Store, domain: &str) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    batch.delete(&key(domain));
    store.commit(batch).await.map(drop)
}

/// Some rows behind that of `after`, in order, with their domains.
pub(super) async fn after(
    store: &dyn Store,
    after: &str,
) -> Result<Vec<(String, Option<Known>)>, StoreError> {
    let from = [&key(after)[..], &[0]].concat();
    let scan = Scan::prefix(PREFIX, 256);
    let rows = store.scan(if after.is_empty() { scan } else { scan.starting_at(&from) }).await?;
    let row = |(key, row): &(bytes::Bytes, bytes::Bytes)| {
        (String::from_utf8_lossy(&key[PREFIX.len()..]).into_owned(), read(row))
    };
    Ok(rows.iter().map(row).collect())
}
