//! Bodies that are finished but have no owner yet, and what holds them until they have.
//!
//! The first link of a body without owners uses one reservation up; every `finish` makes one. So two
//! writers of the same content can each link it, whatever the other's owners do meanwhile.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iems_core::seam::Timestamp;
use iems_core::storage::{BlobId, StoreError};
use smallvec::SmallVec;

use super::row::{BlobRow, ByBlob, Extent};
use super::segment::{Position, Segment};

/// How long a finished body waits for its first owner.
pub(super) const RESERVATION: Duration = Duration::from_secs(3600);

/// Bodies without owners.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bodies: ByBlob<Body>,
    bytes: usize,
    /// Ends of segments that a failed write or sync has lost: from here on.
    lost: Vec<Position>,
}

/// A finished body: its pieces in the log, and the rest in memory.
#[derive(Debug, Default, Clone)]
pub(super) struct Body {
    pub(super) size: u64,
    pub(super) extents: SmallVec<[Extent; 1]>,
    pub(super) pins: Vec<Arc<Segment>>,
    pub(super) tail: Bytes,
    reserved: Vec<Timestamp>,
    lost: bool,
}

impl Body {
    /// A body that is in the log whole.
    pub(super) fn stored(row: BlobRow, pins: Vec<Arc<Segment>>) -> Self {
        Self { size: row.size, extents: row.extents, pins, ..Self::default() }
    }
}

impl Pending {
    /// Bytes of bodies in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, id: BlobId) -> Option<&Body> {
        self.bodies.get(&id)
    }

    /// Adds a reservation; the body is kept if it was not there.
    ///
    /// # Errors
    /// [`StoreError::Io`] if a piece of it was lost with a failed write.
    pub(super) fn finish(&mut self, id: BlobId, body: Body, now: Timestamp) -> Result<(), StoreError> {
        if body.extents.iter().any(|extent| self.is_lost(extent)) {
            return Err(lost());
        }
        let known = self.bodies.get(&id).is_some_and(|known| !known.lost);
        if !known {
            self.bytes += body.tail.len();
            let old = self.bodies.insert(id, body);
            self.bytes -= old.map_or(0, |old| old.tail.len());
        }
        if let Some(body) = self.bodies.get_mut(&id) {
            body.reserved.push(now);
        }
        Ok(())
    }

    /// Whether somebody holds a body by a reservation, beyond `used` ones.
    ///
    /// # Errors
    /// [`StoreError::Io`] if its bytes were lost with a failed write.
    pub(super) fn holds(&self, id: BlobId, used: usize) -> Result<bool, StoreError> {
        match self.bodies.get(&id) {
            Some(body) if body.lost => Err(lost()),
            body => Ok(body.is_some_and(|body| body.reserved.len() > used)),
        }
    }

    /// Uses up `used` reservations; what is still held is now where `row` says. Gives a small body back that nobody
    /// reserves any more.
    pub(super) fn linked(
        &mut self,
        id: BlobId,
        used: usize,
        row: Option<&BlobRow>,
        pin: Option<&Arc<Segment>>,
    ) -> Option<Bytes> {
        let body = self.bodies.get_mut(&id)?;
        body.reserved.truncate(body.reserved.len().saturating_sub(used));
        if body.reserved.is_empty() {
            let body = self.forget(id)?;
            return (body.extents.is_empty() && !body.tail.is_empty()).then_some(body.tail);
        }
        if let (Some(row), Some(pin)) = (row, pin)
            && !body.tail.is_empty()
        {
            self.bytes -= body.tail.len();
            body.tail = Bytes::new();
            body.extents = row.extents.clone();
            body.pins.push(pin.clone());
        }
        None
    }

    /// Ends reservations that are too old; returns the bodies that nobody reserves any more.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<BlobId> {
        for body in self.bodies.values_mut() {
            body.reserved.retain(|made| now.since(*made) < RESERVATION);
        }
        let dead = self.bodies.iter().filter(|(_, body)| body.reserved.is_empty()).map(|(id, _)| *id);
        let dead: Vec<BlobId> = dead.collect();
        for id in &dead {
            self.forget(*id);
        }
        dead
    }

    /// Remembers that a segment is lost from `from` on, and every body that reaches into it.
    pub(super) fn lose(&mut self, from: Position) {
        self.lost.push(from);
        let lost = std::mem::take(&mut self.lost);
        for body in self.bodies.values_mut() {
            body.lost |= body.extents.iter().any(|extent| reaches(&lost, extent));
        }
        self.lost = lost;
    }

    fn is_lost(&self, extent: &Extent) -> bool {
        reaches(&self.lost, extent)
    }

    fn forget(&mut self, id: BlobId) -> Option<Body> {
        let body = self.bodies.remove(&id)?;
        self.bytes -= body.tail.len();
        Some(body)
    }
}

fn reaches(lost: &[Position], extent: &Extent) -> bool {
    lost.iter().any(|from| from.segment == extent.segment && extent.at >= from.at)
}

fn lost() -> StoreError {
    StoreError::Io("the body was lost with a failed write".into())
}
