//! Garbage: segments in which nothing lives are written over or removed; those in which little lives
//! are emptied first, by copying what lives to the end of the log.
//!
//! Safe at every step of a crash: a body's row changes place in one durable group with the copy, and a
//! segment is given up only when the index, on disk, no longer needs it. Bounded work per call.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use iems_core::storage::{BlobId, Collected, StoreError};
use tokio::sync::oneshot;

use super::Shared;
use super::queue::Work;
use super::row::Extent;
use super::segment::Segment;
use super::stats::add;

/// Bytes copied in one call, about.
const MOVED_AT_ONCE: u64 = 8 << 20;
/// Bodies looked up at once.
const LOOKED_UP_AT_ONCE: usize = 256;

impl Shared {
    /// One pass. Blocks the thread.
    pub(super) fn collect(&self) -> Result<Collected, StoreError> {
        let mut collected =
            Collected { blobs: self.garbage.swap(0, Ordering::Relaxed), ..Collected::default() };
        self.recent().clear();
        let expired = self.pending().expire(self.options.clock.now());
        for id in expired {
            collected.blobs += u64::from(self.state().blob(id)?.is_none());
        }
        self.retire();
        if let Some(segment) = self.worst() {
            collected.moved = self.empty(&segment)?;
            drop(segment);
            if collected.moved > 0 {
                self.checkpoint()?;
            }
            self.retire();
        }
        collected.bytes = self.given_back.swap(0, Ordering::Relaxed);
        Ok(collected)
    }

    /// The segment from which most is to be gained, if any is worth the work.
    fn worst(&self) -> Option<Arc<Segment>> {
        let applied = self.state().base.as_ref()?.applied.segment;
        let most_live = 100 - u64::from(self.options.compact_percent.min(100));
        let worth = |segment: &Arc<Segment>| {
            segment.number < applied
                && segment.live() > 0
                && segment.live() * 100 <= u64::from(segment.end()) * most_live
                && !segment.damaged.load(Ordering::Relaxed)
        };
        self.segments.list().into_iter().filter(worth).min_by_key(|segment| segment.live())
    }

    /// Copies what lives in a segment to the end of the log, at most so much. Returns bytes moved.
    fn empty(&self, segment: &Arc<Segment>) -> Result<u64, StoreError> {
        let mut moved = 0;
        let mut after = None;
        loop {
            let base = self.state().base()?.clone();
            let ids = base.pieces(segment.number, after, LOOKED_UP_AT_ONCE)?;
            let Some(last) = ids.last() else { return Ok(moved) };
            after = Some(*last);
            for id in ids {
                moved += self.relocate(segment, id)?;
                if moved >= MOVED_AT_ONCE {
                    return Ok(moved);
                }
            }
        }
    }

    /// Copies one body's pieces in a segment. A piece that cannot be read stays where it is, and the
    /// segment with it.
    fn relocate(&self, segment: &Arc<Segment>, id: BlobId) -> Result<u64, StoreError> {
        let Some(Some(body)) = self.owned(id)? else { return Ok(0) };
        let mut pieces: Vec<(Extent, Bytes)> = Vec::new();
        let mut hash = blake3::Hasher::new();
        for extent in &body.extents {
            let Some(pin) = body.pins.iter().find(|pin| pin.number == extent.segment) else { return Ok(0) };
            let bytes = match pin.read(*extent) {
                Ok(bytes) => bytes,
                Err(e) => return self.leave(segment, e),
            };
            hash.update(&bytes);
            if extent.segment == segment.number {
                pieces.push((*extent, bytes));
            }
        }
        if hash.finalize().as_bytes() != &id.0 {
            return self.leave(segment, StoreError::Corrupt(format!("blob {id} has other content")));
        }
        let bytes = pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        if bytes == 0 {
            return Ok(0);
        }
        let (reply, answer) = oneshot::channel();
        if !self.queue.push(Work::Move { id, pieces, reply }) {
            return Err(StoreError::Closed);
        }
        answer.blocking_recv().unwrap_or_else(|_| Err(super::unanswered()))?;
        add(&self.counters.bytes_moved, bytes);
        Ok(bytes)
    }

    fn leave(&self, segment: &Segment, error: StoreError) -> Result<u64, StoreError> {
        self.note_damage(&error);
        match error {
            StoreError::Corrupt(_) => {
                segment.damaged.store(true, Ordering::Relaxed);
                Ok(0)
            }
            other => Err(other),
        }
    }
}
