//! What judges remember in the store: rows that end by themselves.
//!
//! | key | value |
//! |---|---|
//! | `F` kind key | when the row ends, in ms since 1970 (8 octets, big-endian), then the judge's own |
//!
//! A row that has ended counts as absent. Such rows are removed while others are written, a few each time, so that
//! there is no task of its own and no long pause.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use iems_core::seam::{Clock, Timestamp};
use iems_core::storage::{Batch, CommitError, MAX_KEY, Scan, Store, StoreError, after_prefix};

/// The namespace of the judges in the key space.
const NAMESPACE: u8 = b'F';
/// After so many writes, rows are looked through.
const WRITES: u32 = 16;
/// So many of them: four for each write, so that all are looked at before the table has grown by a quarter.
const LOOKED_AT: usize = 64;

/// The rows of one kind.
pub(crate) struct Notes {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    kind: u8,
    sweep: Mutex<Sweep>,
}

#[derive(Default)]
struct Sweep {
    writes: u32,
    /// Where to go on.
    next: Vec<u8>,
}

impl Notes {
    /// The rows of `kind`, a letter that no other judge uses.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, kind: u8) -> Self {
        Self { store, clock, kind, sweep: Mutex::default() }
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        let mut whole = vec![NAMESPACE, self.kind];
        whole.extend_from_slice(&key[..key.len().min(MAX_KEY - whole.len())]);
        whole
    }

    /// The value of a row that has not ended.
    pub(crate) async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let row = self.store.get(&self.key(key)).await?;
        Ok(row
            .filter(|row| ends(row) > self.clock.now())
            .and_then(|row| row.get(8..).map(|v| row.slice_ref(v))))
    }

    /// Writes a row that ends at `until`. Durable when it returns.
    pub(crate) async fn put(&self, key: &[u8], until: Timestamp, value: &[u8]) -> Result<(), StoreError> {
        let mut row = until.as_millis().to_be_bytes().to_vec();
        row.extend_from_slice(value);
        let mut batch = Batch::new();
        batch.put(self.key(key), row);
        self.commit(batch).await?;
        if self.is_due() {
            self.sweep().await?;
        }
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        match self.store.commit(batch).await {
            // Somebody has written a row anew that was to be removed.
            Ok(_) | Err(CommitError::Conflict) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    fn is_due(&self) -> bool {
        let mut sweep = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        sweep.writes = (sweep.writes + 1) % WRITES;
        sweep.writes == 0
    }

    /// Removes what has ended among the next few rows.
    async fn sweep(&self) -> Result<(), StoreError> {
        let prefix = self.key(&[]);
        let from = self.sweep.lock().unwrap_or_else(PoisonError::into_inner).next.clone();
        let mut scan = Scan::prefix(&prefix, LOOKED_AT);
        if from.starts_with(&prefix) {
            scan = scan.starting_at(&from);
        }
        let rows = self.store.scan(scan).await?;
        let now = self.clock.now();
        let mut batch = Batch::new();
        for (key, row) in rows.iter().filter(|(_, row)| ends(row) <= now) {
            batch.require_equals(key, row);
            batch.delete(key);
        }
        let next = match rows.last() {
            Some((last, _)) if rows.len() == LOOKED_AT => after_prefix(last).to_vec(),
            _ => Vec::new(),
        };
        self.sweep.lock().unwrap_or_else(PoisonError::into_inner).next = next;
        self.commit(batch).await
    }
}

fn ends(row: &[u8]) -> Timestamp {
    let octets = row.first_chunk::<8>().copied().unwrap_or_default();
    Timestamp::from_millis(u64::from_be_bytes(octets))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iems_core::storage::MemoryStorage;

    use super::*;
    use crate::testing::Hands;

    #[tokio::test]
    async fn rows_end_and_are_removed_while_others_are_written() {
        let (memory, clock) = (MemoryStorage::new(), Arc::new(Hands::default()));
        let notes = Notes::new(memory.clone(), clock.clone(), b'x');
        let other = Notes::new(memory.clone(), clock.clone(), b'y');
        let soon = clock.now().after(Duration::from_secs(60));
        for n in 0..100_u8 {
            notes.put(&[n], soon, b"value").await.unwrap();
        }
        other.put(b"kept", soon, b"other").await.unwrap();
        assert_eq!(notes.get(&[7]).await.unwrap().as_deref(), Some(&b"value"[..]));
        clock.forward(Duration::from_secs(61));
        assert_eq!(notes.get(&[7]).await.unwrap(), None);
        let later = clock.now().after(Duration::from_secs(60));
        for n in 0..50_u8 {
            notes.put(&[200, n], later, b"").await.unwrap();
        }
        let left = memory.scan(Scan::prefix(b"Fx", 1000)).await.unwrap();
        assert_eq!(left.len(), 50, "the ended ones are gone");
        assert_eq!(memory.scan(Scan::prefix(b"Fy", 10)).await.unwrap().len(), 1);
    }
}
