//! Bodies that were written a moment ago, still in memory: most mail leaves again within a second, and whoever sends
//! it on need not ask the disk.
//!
//! Bounded by [`super::EmbeddedOptions::recent_bytes`], the oldest goes first; a body leaves with its last owner. What
//! is here is what was hashed when it was written. Memory that is not needed any more serves the next body.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use iems_core::storage::BlobId;

use super::row::ByBlob;

/// Buffers kept for the next bodies, at most.
const SPENT: usize = 32;
/// The least room of a buffer that is worth keeping.
const WORTH: usize = 4096;

/// Small bodies with owners, by age.
#[derive(Debug)]
pub(super) struct Recent {
    bodies: ByBlob<Bytes>,
    /// Oldest first; with some that are gone.
    order: VecDeque<BlobId>,
    bytes: usize,
    most: usize,
    spent: Vec<BytesMut>,
}

impl Recent {
    pub(super) fn new(most: usize) -> Self {
        Self { bodies: ByBlob::default(), order: VecDeque::new(), bytes: 0, most, spent: Vec::new() }
    }

    pub(super) fn get(&self, id: BlobId) -> Option<&Bytes> {
        self.bodies.get(&id)
    }

    /// Keeps a body, and lets the oldest go.
    pub(super) fn keep(&mut self, id: BlobId, body: Bytes) {
        self.bytes += body.len();
        match self.bodies.insert(id, body) {
            Some(same) => self.bytes -= same.len(),
            None => self.order.push_back(id),
        }
        while self.bytes > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
        if self.order.len() > 2 * self.bodies.len() + SPENT {
            self.order.retain(|id| self.bodies.contains_key(id));
        }
    }

    /// The last owner of a body left.
    pub(super) fn forget(&mut self, id: BlobId) {
        if let Some(body) = self.bodies.remove(&id) {
            self.bytes -= body.len();
            if let Ok(buffer) = body.try_into_mut() {
                self.give_back(buffer);
            }
        }
    }

    /// An empty buffer for a new body.
    pub(super) fn buffer(&mut self) -> BytesMut {
        self.spent.pop().unwrap_or_default()
    }

    /// A buffer that nobody needs any more.
    pub(super) fn give_back(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if buffer.capacity() >= WORTH && self.spent.len() < SPENT {
            self.spent.push(buffer);
        }
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> BlobId {
        BlobId([n; 32])
    }

    #[test]
    fn the_oldest_goes_first_and_memory_stays_bounded() {
        let mut recent = Recent::new(10_000);
        for n in 0..200 {
            recent.keep(id(n), Bytes::from(vec![n; 4000]));
        }
        assert_eq!((recent.bytes, recent.bodies.len()), (8000, 2));
        assert!(recent.get(id(198)).is_some() && recent.get(id(197)).is_none());
        assert!(recent.order.len() <= 2 * 2 + SPENT);
        assert!(recent.spent.is_empty(), "small ones are not worth keeping");
    }

    #[test]
    fn what_nobody_reads_any_more_serves_the_next_body() {
        let mut recent = Recent::new(100_000);
        recent.keep(id(1), Bytes::from(vec![1; 5000]));
        recent.keep(id(2), Bytes::from(vec![2; 5000]));
        let reader = recent.get(id(2)).cloned();
        recent.forget(id(1));
        recent.forget(id(2));
        assert_eq!((recent.bytes, recent.spent.len()), (0, 1));
        assert_eq!(reader.unwrap(), vec![2; 5000]);
        assert!(recent.buffer().capacity() >= 5000 && recent.buffer().capacity() == 0);
    }

    #[test]
    fn the_order_does_not_grow_with_bodies_that_are_gone() {
        let mut recent = Recent::new(1 << 20);
        for n in 0..1000_u32 {
            recent.keep(id((n % 250) as u8), Bytes::from_static(b"x"));
            recent.forget(id((n % 250) as u8));
        }
        assert!(recent.order.len() <= SPENT + 1 && recent.bytes == 0);
    }
}
