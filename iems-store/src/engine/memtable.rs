//! Rows that are durable in the log but not yet in the index. Pure: no I/O.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use iems_core::storage::BlobId;

use super::row::{BlobRow, ByBlob, Delta};

/// What one entry costs beside its bytes, about.
const ENTRY: usize = 96;
/// What the row of a body costs, about.
const BLOB: usize = 144;

/// An ordered overlay over the index: `None` stands for what was removed.
#[derive(Debug, Default)]
pub(super) struct Memtable {
    pub(super) rows: BTreeMap<Bytes, Option<Bytes>>,
    pub(super) blobs: ByBlob<Option<BlobRow>>,
    bytes: usize,
    since: Option<Instant>,
}

impl Memtable {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.blobs.is_empty()
    }

    /// Bytes of memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first row came.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn apply(&mut self, delta: Delta) {
        self.since.get_or_insert_with(Instant::now);
        for (key, value) in delta.rows {
            self.put(key, value);
        }
        for (id, change) in delta.blobs {
            if self.blobs.insert(id, change.after).is_none() {
                self.bytes += BLOB;
            }
        }
    }

    /// Drops what `below` does not know: the place of a removed row need not be remembered.
    pub(super) fn forget(&mut self, rows: &[Bytes], blobs: &[BlobId], below: Option<&Self>) {
        for key in rows.iter().filter(|key| below.is_none_or(|below| !below.rows.contains_key(&key[..]))) {
            if let Some(None) = self.rows.get(key) {
                self.rows.remove(key);
                self.bytes -= ENTRY + key.len();
            }
        }
        for id in blobs.iter().filter(|id| below.is_none_or(|below| !below.blobs.contains_key(id))) {
            if let Some(None) = self.blobs.get(id) {
                self.blobs.remove(id);
                self.bytes -= BLOB;
            }
        }
        if self.is_empty() {
            self.since = None;
        }
    }

    fn put(&mut self, key: Bytes, value: Option<Bytes>) {
        let length = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        self.bytes += length(&value);
        let key_length = key.len();
        match self.rows.insert(key, value) {
            Some(old) => self.bytes -= length(&old),
            None => self.bytes += ENTRY + key_length,
        }
    }
}
