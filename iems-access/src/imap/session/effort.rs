//! What a command does with octets that it does not send: counted, bounded, and given up from time to time so that others get
//! their turn.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::imap::types::{Code, Status};

/// Octets that are read, decoded or looked through in one turn: some milliseconds.
const TURN: u64 = 1 << 20;
/// Octets of one command: as many as `SEARCH` may read.
const MOST: u64 = 8 << 30;

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Effort {
    done: AtomicU64,
    turn: AtomicU64,
}

impl Effort {
    /// Counts octets that were worked on.
    pub(super) async fn work(&self, octets: u64) {
        self.done.fetch_add(octets, Ordering::Relaxed);
        if self.turn.fetch_add(octets, Ordering::Relaxed).saturating_add(octets) > TURN {
            self.turn.store(0, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    /// Octets were sent: who takes them pays for them.
    pub(super) fn sent(&self, octets: u64) {
        let less = |done: u64| Some(done.saturating_sub(octets));
        let _ = self.done.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// # Errors
    /// It was too much; to be asked between messages, when nothing is half said.
    pub(super) fn check(&self) -> Result<(), Status> {
        match self.done.load(Ordering::Relaxed) <= MOST {
            true => Ok(()),
            false => Err(Status::no(
                "This takes too much reading for what it tells; ask for fewer messages or parts",
            )
            .with(Code::Limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_does_not_count() {
        let effort = Effort::default();
        for _ in 0..100 {
            effort.work(MOST).await;
            assert!(effort.check().is_ok());
            effort.sent(MOST);
        }
        effort.work(MOST).await;
        effort.work(1).await;
        assert_eq!(effort.check().unwrap_err().code, Some(Code::Limit));
        effort.sent(u64::MAX);
        assert!(effort.check().is_ok());
    }

    #[tokio::test]
    async fn others_get_their_turn() {
        let turns = std::cell::Cell::new(0);
        let other = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let effort = Effort::default();
        let work = async {
            for _ in 0..100 {
                effort.work(TURN / 4).await;
            }
        };
        tokio::select! {
            biased;
            () = work => {}
            () = other => {}
        }
        assert!((15..30).contains(&turns.get()), "{}", turns.get());
    }
}
