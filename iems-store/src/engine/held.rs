//! Bodies that somebody reads piece by piece: they can be read to the end, also if their last owner leaves in between.
//!
//! What is held is where the pieces are, and by that the segments: the file of a segment is not written over while somebody
//! holds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iems_core::storage::BlobId;

use super::pending::Body;
use super::row::ByBlob;

/// Bodies that are held, and how often.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<ByBlob<(usize, Body)>>);

impl Held {
    /// Holds a body until the guard is dropped.
    pub(super) fn hold(self: &Arc<Self>, id: BlobId, body: Body) -> Guard {
        self.bodies().entry(id).or_insert((0, body)).0 += 1;
        Guard { held: self.clone(), id }
    }

    /// A body that is held.
    pub(super) fn get(&self, id: BlobId) -> Option<Body> {
        self.bodies().get(&id).map(|(_, body)| body.clone())
    }

    fn bodies(&self) -> MutexGuard<'_, ByBlob<(usize, Body)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds a body.
#[derive(Debug)]
pub(super) struct Guard {
    held: Arc<Held>,
    id: BlobId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut bodies = self.held.bodies();
        if let Some((count, _)) = bodies.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                bodies.remove(&self.id);
            }
        }
    }
}
