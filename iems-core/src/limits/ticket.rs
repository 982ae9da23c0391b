//! The right to one of so many at once.

use std::sync::Arc;

use super::counts::{Counted, Limits};

/// What somebody has who was let in. Dropping it gives it back.
#[must_use]
pub struct Ticket {
    pub(super) limits: Arc<Limits>,
    pub(super) scope: Arc<str>,
    /// The counts that it stands in.
    pub(super) counted: Counted,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.limits.give_back(&self.scope, &self.counted);
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("scope", &self.scope).field("counted", &self.counted).finish()
    }
}
