//! Rows as bytes: where a body is, and the rows of a group of batches as one record.
//!
//! Pure: no I/O. Whatever does not decode is damage, told as `None`; nothing is trusted for its length.

use std::collections::BTreeMap;
use std::collections::HashMap;

use bytes::{Buf, Bytes};
use iems_core::storage::BlobId;
use smallvec::SmallVec;

/// Something for each body. Their ids are hashes already, but of what strangers sent: so they are hashed once more, with a seed
/// that nobody knows, and fast.
pub(super) type ByBlob<T> = HashMap<BlobId, T, foldhash::fast::RandomState>;

/// A piece of a body in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) segment: u64,
    /// Offset of the record.
    pub(super) at: u32,
    /// Length of the payload.
    pub(super) len: u32,
}

/// A body with owners.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct BlobRow {
    pub(super) owners: u64,
    pub(super) size: u64,
    pub(super) extents: SmallVec<[Extent; 1]>,
}

/// How the row of one body changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlobChange {
    pub(super) before: Option<BlobRow>,
    pub(super) after: Option<BlobRow>,
}

/// What a group of batches changes.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) rows: BTreeMap<Bytes, Option<Bytes>>,
    pub(super) blobs: ByBlob<BlobChange>,
    /// Removed rows that are in memory only: nothing below knows them.
    pub(super) unborn_rows: Vec<Bytes>,
    /// The same for bodies.
    pub(super) unborn_blobs: Vec<BlobId>,
}

/// What a record of rows says: the same, without what was before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) rows: Vec<(Bytes, Option<Bytes>)>,
    pub(super) blobs: Vec<(BlobId, Option<BlobRow>)>,
}

impl Delta {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.blobs.is_empty()
    }

    /// An upper bound of the length of [`Delta::encode`]; `new_extents` are still to be filled in.
    pub(super) fn encoded_bound(&self, new_extents: usize) -> usize {
        let rows: usize =
            self.rows.iter().map(|(k, v)| 20 + k.len() + v.as_ref().map_or(0, Bytes::len)).sum();
        let blobs: usize =
            self.blobs.values().map(|c| 62 + c.after.as_ref().map_or(0, |r| 20 * r.extents.len())).sum();
        20 + rows + blobs + 20 * new_extents
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_bound(0));
        put_number(&mut out, self.rows.len() as u64);
        for (key, value) in &self.rows {
            put_number(&mut out, key.len() as u64);
            out.extend_from_slice(key);
            put_number(&mut out, value.as_ref().map_or(0, |v| v.len() as u64 + 1));
            out.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        put_number(&mut out, self.blobs.len() as u64);
        for (id, change) in &self.blobs {
            out.extend_from_slice(&id.0);
            match &change.after {
                Some(row) => row.encode(&mut out),
                None => put_number(&mut out, 0),
            }
        }
        out
    }
}

impl Rows {
    pub(super) fn decode(bytes: &Bytes) -> Option<Self> {
        let mut input = Input { bytes: bytes.clone() };
        let mut rows = Self::default();
        for _ in 0..input.number()? {
            let length = input.number()?;
            let key = input.take(length)?;
            let value = match input.number()? {
                0 => None,
                length => Some(input.take(length - 1)?),
            };
            rows.rows.push((key, value));
        }
        for _ in 0..input.number()? {
            let id = input.take(32)?;
            rows.blobs.push((BlobId(id[..].try_into().ok()?), BlobRow::decode_from(&mut input)?));
        }
        input.bytes.is_empty().then_some(rows)
    }
}

impl BlobRow {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.owners);
        put_number(out, self.size);
        put_number(out, self.extents.len() as u64);
        for extent in &self.extents {
            put_number(out, extent.segment);
            put_number(out, u64::from(extent.at));
            put_number(out, u64::from(extent.len));
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input { bytes: Bytes::copy_from_slice(bytes) };
        let row = Self::decode_from(&mut input)??;
        input.bytes.is_empty().then_some(row)
    }

    /// The outer `None` is damage, the inner one a row that was removed.
    fn decode_from(input: &mut Input) -> Option<Option<Self>> {
        let owners = input.number()?;
        if owners == 0 {
            return Some(None);
        }
        let mut row = Self { owners, size: input.number()?, extents: SmallVec::new() };
        for _ in 0..input.number()? {
            let segment = input.number()?;
            let at = u32::try_from(input.number()?).ok()?;
            let len = u32::try_from(input.number()?).ok()?;
            row.extents.push(Extent { segment, at, len });
        }
        Some(Some(row))
    }

    /// Bytes in the log, by segment.
    pub(super) fn by_segment(row: Option<&Self>) -> impl Iterator<Item = (u64, u64)> {
        row.into_iter()
            .flat_map(|row| &row.extents)
            .map(|e| (e.segment, super::record::size(e.len as usize) as u64))
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Input {
    bytes: Bytes,
}

impl Input {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.first()?;
            self.bytes.advance(1);
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<Bytes> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.bytes.len())?;
        Some(self.bytes.split_to(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_are_read_as_written() {
        let mut delta = Delta::default();
        delta.rows.insert(Bytes::from_static(b"a"), Some(Bytes::from_static(b"")));
        delta.rows.insert(Bytes::from_static(b""), None);
        let extents = (0..3).map(|i| Extent { segment: 1 << 40, at: i * 65_560, len: 65_536 }).collect();
        let row = BlobRow { owners: 300, size: 196_608, extents };
        delta.blobs.insert(BlobId([1; 32]), BlobChange { before: None, after: Some(row.clone()) });
        let encoded = delta.encode();
        assert!(encoded.len() <= delta.encoded_bound(0));
        let rows = Rows::decode(&encoded.clone().into()).unwrap();
        assert_eq!(rows.rows, delta.rows.into_iter().collect::<Vec<_>>());
        assert_eq!(rows.blobs, [(BlobId([1; 32]), Some(row))]);
        for cut in 0..encoded.len() {
            assert_eq!(Rows::decode(&encoded[..cut].to_vec().into()), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Rows::decode(&bytes.clone().into());
            let _ = BlobRow::decode(&bytes);
        }
    }
}
