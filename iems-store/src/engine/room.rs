//! Room: how much more the disk takes before new bodies have to be refused (`Log::is_tight`).

use iems_core::storage::{Room, StoreError};

use super::{Shared, store_error};

impl Shared {
    /// What is free, with the files that wait to be written over, but without what is kept for emptying a full store:
    /// the reserve, and the segment that a new body would begin. What is left of the segment in use comes on top.
    /// Blocks the thread.
    pub(super) fn room(&self) -> Result<Option<Room>, StoreError> {
        let (Some(free), Some(total)) =
            (self.disk.free().map_err(store_error)?, self.disk.total().map_err(store_error)?)
        else {
            return Ok(None);
        };
        let segment = u64::from(self.options.segment_bytes);
        let free = free.saturating_add(self.spares.len() as u64 * segment);
        let free = free.saturating_sub(self.options.reserve() + segment).min(total);
        let dead =
            |segment: &super::segment::Segment| u64::from(segment.end()).saturating_sub(segment.live());
        let dead = self.segments.list().iter().map(|segment| dead(segment)).sum();
        Ok(Some(Room { free, total, dead }))
    }
}
