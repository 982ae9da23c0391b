//! A batch: the one way to write. Built without I/O, committed whole or not at all.

use bytes::Bytes;
use smallvec::SmallVec;

use super::BlobId;

/// Numbers that the commit will hand out, usable inside the same batch before they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub(super) u16);

/// Bytes of a key or value with places that the commit fills with allocated numbers.
///
/// ```
/// use iems_core::storage::{Batch, Template};
/// let mut batch = Batch::new();
/// let uid = batch.allocate(b"next-uid", 1);
/// batch.put(Template::from(b"mail/").number(uid, 0), &b"hello"[..]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Template {
    bytes: Vec<u8>,
    places: SmallVec<[Place; 2]>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    at: u32,
    slot: u16,
    plus: u64,
}

impl Template {
    /// Appends literal bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends the first number of `slot` plus `plus`, as eight bytes, big-endian.
    #[must_use]
    pub fn number(mut self, slot: Slot, plus: u64) -> Self {
        self.places.push(Place { at: self.bytes.len() as u32, slot: slot.0, plus });
        self.bytes.extend_from_slice(&[0; 8]);
        self
    }

    /// The length in bytes once filled.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was appended.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes with every place filled from `firsts`, the first number of each slot.
    ///
    /// For engines. A slot that `firsts` lacks is filled as zero: batches made through
    /// [`Batch::allocate`] cannot hold one.
    pub fn fill(self, firsts: &[u64]) -> Bytes {
        let mut bytes = self.bytes;
        for place in &self.places {
            let number =
                firsts.get(usize::from(place.slot)).map_or(0, |first| first.wrapping_add(place.plus));
            let at = place.at as usize;
            bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
        }
        bytes.into()
    }
}

impl From<&[u8]> for Template {
    fn from(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), places: SmallVec::new() }
    }
}

impl<const N: usize> From<&[u8; N]> for Template {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

impl From<Vec<u8>> for Template {
    fn from(mut bytes: Vec<u8>) -> Self {
        // An engine may keep them for long; a little room costs less than to move them.
        if bytes.capacity() > 2 * bytes.len() + 64 {
            bytes.shrink_to_fit();
        }
        Self { bytes, places: SmallVec::new() }
    }
}

/// One condition on the state before the batch.
#[derive(Debug, Clone)]
pub enum Require {
    /// The key has no value.
    Absent(Bytes),
    /// The key has some value.
    Present(Bytes),
    /// The key has exactly this value.
    Equals(Bytes, Bytes),
}

/// One step of a batch. Steps apply in the order in which they were added.
#[derive(Debug, Clone)]
pub enum Write {
    /// Sets the value of a key.
    Put(Template, Template),
    /// Removes a key; no error if it is absent.
    Delete(Bytes),
    /// Adds to the counter at the key: an `i64`, eight bytes little-endian, absent meaning zero.
    /// A sum of zero removes the key. Saturates.
    Add(Bytes, i64),
    /// Takes the next `count` numbers of the counter at the key into the slot with this index.
    Allocate(Bytes, u32),
    /// One more owner for a blob. The commit fails if nobody holds the blob.
    Link(BlobId),
    /// One owner less for a blob; without owners it is garbage.
    Unlink(BlobId),
}

/// Conditions and steps that take effect together, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    requires: Vec<Require>,
    writes: Vec<Write>,
    slots: u16,
}

impl Batch {
    /// An empty batch. Committing it is allowed and does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The batch fails unless `key` has no value.
    pub fn require_absent(&mut self, key: &[u8]) {
        self.requires.push(Require::Absent(Bytes::copy_from_slice(key)));
    }

    /// The batch fails unless `key` has a value.
    pub fn require_present(&mut self, key: &[u8]) {
        self.requires.push(Require::Present(Bytes::copy_from_slice(key)));
    }

    /// The batch fails unless `key` has exactly `value`.
    pub fn require_equals(&mut self, key: &[u8], value: &[u8]) {
        self.requires.push(Require::Equals(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: impl Into<Template>, value: impl Into<Template>) {
        self.writes.push(Write::Put(key.into(), value.into()));
    }

    /// Removes a key.
    pub fn delete(&mut self, key: &[u8]) {
        self.writes.push(Write::Delete(Bytes::copy_from_slice(key)));
    }

    /// Adds `delta` to the counter at `key`.
    pub fn add(&mut self, key: &[u8], delta: i64) {
        self.writes.push(Write::Add(Bytes::copy_from_slice(key), delta));
    }

    /// Takes the next `count` numbers of the counter at `key`. Numbers start at 1, have no gaps
    /// and follow commit order. The counter's own value is the last number taken.
    pub fn allocate(&mut self, key: &[u8], count: u32) -> Slot {
        let slot = Slot(self.slots);
        self.slots += 1;
        self.writes.push(Write::Allocate(Bytes::copy_from_slice(key), count));
        slot
    }

    /// One more owner for a blob.
    pub fn link(&mut self, blob: BlobId) {
        self.writes.push(Write::Link(blob));
    }

    /// One owner less for a blob.
    pub fn unlink(&mut self, blob: BlobId) {
        self.writes.push(Write::Unlink(blob));
    }

    /// Appends another batch: its slots stay valid only inside it, so `other` is moved in whole.
    pub fn merge(&mut self, other: Batch) {
        let shift = self.slots;
        self.slots += other.slots;
        self.requires.extend(other.requires);
        self.writes.extend(other.writes.into_iter().map(|write| match write {
            Write::Put(key, value) => Write::Put(key.shift(shift), value.shift(shift)),
            write => write,
        }));
    }

    /// The conditions. For engines.
    pub fn requires(&self) -> &[Require] {
        &self.requires
    }

    /// The steps, in order. For engines.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Takes the steps out, in order. For engines.
    pub fn drain(&mut self) -> impl Iterator<Item = Write> {
        self.writes.drain(..)
    }

    /// Whether there is nothing to check and nothing to do.
    pub fn is_empty(&self) -> bool {
        self.requires.is_empty() && self.writes.is_empty()
    }
}

impl Template {
    fn shift(mut self, by: u16) -> Self {
        for place in &mut self.places {
            place.slot += by;
        }
        self
    }
}
