//! The right to end a group without an attempt: what was delivered is not to be reported as failed as well.

use std::sync::Arc;

use super::key::{GroupId, HopKey};
use crate::engine::Shared;

/// A group that no attempt may begin with; ends when dropped.
pub(super) struct Claim<'a> {
    engine: &'a Arc<Shared>,
    hop: HopKey,
    at: GroupId,
    gone: bool,
}

impl<'a> Claim<'a> {
    /// `None` if an attempt is under way.
    pub(super) fn lay(engine: &'a Arc<Shared>, hop: &HopKey, at: GroupId) -> Option<Self> {
        engine.runner.claim(hop, at).then(|| Self { engine, hop: hop.clone(), at, gone: false })
    }

    /// The group is not in the queue any more: nobody has to look for it again.
    pub(super) fn gone(mut self) {
        self.gone = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.engine.runner.disclaim(&self.hop, self.at, self.gone);
    }
}
