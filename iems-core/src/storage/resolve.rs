//! What a batch means: conditions, slots, counters and owners worked out against one moment.
//!
//! For engines: every engine resolves a batch with [`resolve`], one batch after the other, so that
//! they cannot differ in meaning. No I/O here but what the [`View`] does. An error means that
//! nothing is to be written.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Batch, BlobId, CommitError, Committed, MAX_KEY, MAX_VALUE, Require, StoreError, Write};

/// The largest batch, in bytes of keys and values. Larger ones fail with [`StoreError::TooLarge`].
pub const MAX_BATCH: usize = 16 << 20;

/// The state before the batch.
pub trait View {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Who holds a blob; `None` if nobody does, neither as an owner nor by a reservation.
    fn held(&self, blob: BlobId) -> Result<Option<Held>, StoreError>;
}

/// Who holds a blob before the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How often it is linked.
    pub owners: u64,
}

/// A batch worked out: what to store, with nothing left to look up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Every key written, in order, with its last value; `None` removes it.
    pub rows: Vec<(Bytes, Option<Bytes>)>,
    /// Every blob linked or unlinked, in order.
    pub owners: Vec<Owners>,
    /// What to tell the caller.
    pub committed: Committed,
}

/// How the owners of one blob change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owners {
    /// The blob.
    pub blob: BlobId,
    /// How many it had.
    pub before: u64,
    /// How many it has now; zero makes it garbage.
    pub after: u64,
}

/// Works `batch` out against `view`, and takes its steps out if the conditions hold.
///
/// # Errors
/// [`CommitError::Conflict`] if a condition does not hold; [`StoreError::TooLarge`],
/// [`StoreError::NoBlob`], [`StoreError::Corrupt`] (a counter that is none), and what `view` returns.
pub fn resolve(batch: &mut Batch, view: &impl View) -> Result<Resolved, CommitError> {
    check_sizes(batch)?;
    for require in batch.requires() {
        let holds = match require {
            Require::Absent(key) => view.get(key)?.is_none(),
            Require::Present(key) => view.get(key)?.is_some(),
            Require::Equals(key, value) => view.get(key)?.as_ref() == Some(value),
        };
        if !holds {
            return Err(CommitError::Conflict);
        }
    }
    let mut work = Work { view, rows: BTreeMap::new(), owners: BTreeMap::new(), firsts: Vec::new() };
    for write in batch.drain() {
        work.step(write)?;
    }
    Ok(Resolved {
        rows: work.rows.into_iter().collect(),
        owners: work.owners.into_values().collect(),
        committed: Committed { firsts: work.firsts },
    })
}

/// A counter's value: absent means zero.
///
/// # Errors
/// [`StoreError::Corrupt`] unless `value` has eight bytes.
pub fn counter(value: Option<&[u8]>) -> Result<i64, StoreError> {
    let Some(value) = value else { return Ok(0) };
    let bytes =
        value.try_into().map_err(|_| StoreError::Corrupt("a counter is not eight bytes long".into()))?;
    Ok(i64::from_le_bytes(bytes))
}

fn check_sizes(batch: &Batch) -> Result<(), StoreError> {
    let mut total = 0;
    let mut check = |key: usize, value: usize| {
        total += key + value;
        match () {
            () if key > MAX_KEY => Err(StoreError::TooLarge(format!("a key of {key} bytes"))),
            () if value > MAX_VALUE => Err(StoreError::TooLarge(format!("a value of {value} bytes"))),
            () if total > MAX_BATCH => {
                Err(StoreError::TooLarge(format!("a batch of over {MAX_BATCH} bytes")))
            }
            () => Ok(()),
        }
    };
    for require in batch.requires() {
        match require {
            Require::Absent(key) | Require::Present(key) => check(key.len(), 0)?,
            Require::Equals(key, value) => check(key.len(), value.len())?,
        }
    }
    for write in batch.writes() {
        match write {
            Write::Put(key, value) => check(key.len(), value.len())?,
            Write::Delete(key) => check(key.len(), 0)?,
            Write::Add(key, _) | Write::Allocate(key, _) => check(key.len(), 8)?,
            Write::Link(_) | Write::Unlink(_) => check(32, 8)?,
        }
    }
    Ok(())
}

struct Work<'a, V> {
    view: &'a V,
    rows: BTreeMap<Bytes, Option<Bytes>>,
    owners: BTreeMap<BlobId, Owners>,
    firsts: Vec<u64>,
}

impl<V: View> Work<'_, V> {
    fn step(&mut self, write: Write) -> Result<(), StoreError> {
        match write {
            Write::Put(key, value) => {
                self.rows.insert(key.fill(&self.firsts), Some(value.fill(&self.firsts)));
            }
            Write::Delete(key) => {
                self.rows.insert(key, None);
            }
            Write::Add(key, delta) => {
                let sum = self.counter(&key)?.saturating_add(delta);
                self.set_counter(key, sum);
            }
            Write::Allocate(key, count) => self.allocate(key, count)?,
            Write::Link(blob) => {
                let owners = self.owners(blob)?;
                owners.after = owners.after.saturating_add(1);
            }
            Write::Unlink(blob) => {
                let owners = self.owners(blob)?;
                owners.after = owners.after.checked_sub(1).ok_or(StoreError::NoBlob(blob))?;
            }
        }
        Ok(())
    }

    fn allocate(&mut self, key: Bytes, count: u32) -> Result<(), StoreError> {
        let last = self.counter(&key)?;
        let first = u64::try_from(last)
            .map_err(|_| StoreError::Corrupt("numbers are taken from a negative counter".into()))?
            .saturating_add(1);
        let taken = last
            .checked_add(i64::from(count))
            .ok_or_else(|| StoreError::TooLarge("a counter that has reached its end".into()))?;
        self.firsts.push(first);
        self.set_counter(key, taken);
        Ok(())
    }

    fn counter(&self, key: &Bytes) -> Result<i64, StoreError> {
        match self.rows.get(key) {
            Some(written) => counter(written.as_deref()),
            None => counter(self.view.get(key)?.as_deref()),
        }
    }

    fn set_counter(&mut self, key: Bytes, value: i64) {
        let value = (value != 0).then(|| Bytes::copy_from_slice(&value.to_le_bytes()));
        self.rows.insert(key, value);
    }

    /// The change of one blob's owners so far. Whether it is held counts before the batch, so that
    /// a batch may hand a blob from one owner to another in either order.
    fn owners(&mut self, blob: BlobId) -> Result<&mut Owners, StoreError> {
        if !self.owners.contains_key(&blob) {
            let before = self.view.held(blob)?.ok_or(StoreError::NoBlob(blob))?.owners;
            self.owners.insert(blob, Owners { blob, before, after: before });
        }
        self.owners.get_mut(&blob).ok_or(StoreError::NoBlob(blob))
    }
}
