//! The life of one simulated process: when it is over, whatever belongs to it has ended at that moment.

use tokio_util::sync::CancellationToken;

use crate::storage::StoreError;

/// A life. Cheap to clone; [`super::SimStorage`] and [`super::SimChannel`] of one engine share one.
#[derive(Debug, Clone, Default)]
pub struct Life {
    over: CancellationToken,
}

impl Life {
    /// A new life.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends it, as `kill -9` does. Whoever simulates drops the engine then.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Returns when it is over.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    pub(super) fn lost() -> StoreError {
        StoreError::Io("the process is dead".into())
    }
}
