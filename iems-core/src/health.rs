//! Whether storage works: a latch that intake reads before it promises anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::message::{EnhancedStatus, Reply};
use crate::seam::{Clock, Timestamp};
use crate::storage::{CommitError, StoreError};

/// How long intake keeps refusing after the store failed, before the next message tries it again.
const REST: Duration = Duration::from_secs(1);

/// The latch.
pub(crate) struct Health {
    clock: Arc<dyn Clock>,
    trouble: Mutex<Option<(Timestamp, Reply)>>,
}

impl Health {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, trouble: Mutex::new(None) }
    }

    /// The reply to new messages while the store is in trouble. After a rest one is let through as a probe.
    pub(crate) fn trouble(&self) -> Option<Reply> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &*trouble {
            Some((since, reply)) if self.clock.now().since(*since) < REST && self.clock.now() >= *since => {
                Some(reply.clone())
            }
            Some(_) => {
                *trouble = None;
                None
            }
            None => None,
        }
    }

    /// Records that the store failed; the reply for the peer.
    pub(crate) fn storage(&self, error: StoreError) -> Reply {
        let cause = error.to_string();
        let reply = match &error {
            StoreError::NoSpace(_) => Reply::new(
                452,
                EnhancedStatus::new(4, 3, 1),
                "there is no space for mail now; try again later",
            ),
            StoreError::TooLarge(_) => {
                return Reply::new(
                    552,
                    EnhancedStatus::new(5, 3, 4),
                    "the message cannot be stored: too much for one transaction",
                )
                .because(cause);
            }
            _ => Reply::new(451, EnhancedStatus::new(4, 3, 0), "storage does not work now; try again later"),
        };
        let reply = reply.because(cause);
        tracing::error!(cause = reply.cause.as_deref().unwrap_or_default(), "storage failed");
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((self.clock.now(), reply.clone()));
        reply
    }

    /// Records that a commit failed; the reply for the peer.
    pub(crate) fn commit(&self, error: CommitError) -> Reply {
        match error {
            CommitError::Store(error) => self.storage(error),
            CommitError::Conflict => Reply::defer(3, 0, "another transaction was quicker; try again"),
        }
    }
}
