//! How the indexes are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::spawn_blocking;

use super::{IndexError, SearchIndex, Shared, writer};
use crate::mailbox::AccountId;

/// What an index is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexState {
    /// It is where the mail is.
    Current,
    /// There is mail that it does not hold, or mail left that it holds.
    Behind,
    /// It will be brought up to date.
    Waiting,
    /// It is being brought up to date.
    Running {
        /// Messages that were looked at.
        done: u64,
        /// Messages that there are to look at, about.
        total: u64,
    },
    /// It cannot be read, and is made anew the next time.
    Damaged,
}

/// How the index of an account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexStatus {
    /// Whose.
    pub account: AccountId,
    /// Messages that it holds; copies count once.
    pub messages: u64,
    /// Octets on the medium.
    pub octets: u64,
    /// What it is doing.
    pub state: IndexState,
}

/// What happened since the indexes were opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchCounters {
    /// Messages that were taken in.
    pub messages: u64,
    /// Octets of headers and texts that were read for that.
    pub octets: u64,
    /// Messages that were removed because they left.
    pub removed: u64,
    /// How often an index was brought up to date.
    pub runs: u64,
    /// How often an index could not be used or made.
    pub failures: u64,
    /// Searches that asked an index.
    pub asked: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) messages: AtomicU64,
    pub(super) octets: AtomicU64,
    pub(super) removed: AtomicU64,
    pub(super) runs: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) asked: AtomicU64,
}

impl SearchIndex {
    /// What happened since they were opened.
    pub fn counters(&self) -> SearchCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { messages, octets, removed, runs, failures, asked } = &self.shared.counters;
        SearchCounters {
            messages: read(messages),
            octets: read(octets),
            removed: read(removed),
            runs: read(runs),
            failures: read(failures),
            asked: read(asked),
        }
    }

    /// How the index of an account is; `None` if it has none and none is made.
    ///
    /// # Errors
    /// [`IndexError::Store`].
    pub async fn status(&self, account: AccountId) -> Result<Option<IndexStatus>, IndexError> {
        let shared = self.shared.clone();
        let doing = shared.doing(account);
        if !shared.shelf.has(account) && doing.is_none() {
            return Ok(None);
        }
        let modseq = shared.mailboxes.modseq(account).await?;
        let read = spawn_blocking(move || shared.held(account)).await.map_err(IndexError::panicked)?;
        let (messages, octets, state) = match read {
            (Ok((messages, at)), octets) => {
                let state = if at == Some(modseq) { IndexState::Current } else { IndexState::Behind };
                (messages, octets, state)
            }
            (Err(_), octets) => (0, octets, IndexState::Damaged),
        };
        Ok(Some(IndexStatus { account, messages, octets, state: doing.unwrap_or(state) }))
    }
}

impl Shared {
    /// Whether an index is being worked on, or will be soon.
    fn doing(&self, account: AccountId) -> Option<IndexState> {
        if let Some((_, going)) = self.state().running.as_ref().filter(|(running, _)| *running == account) {
            let (done, total) = (going.done.load(Ordering::Relaxed), going.total.load(Ordering::Relaxed));
            return Some(IndexState::Running { done, total: total.max(done) });
        }
        self.queue.has(account).then_some(IndexState::Waiting)
    }

    /// How many messages an index holds, the MODSEQ it is at, and its octets. Blocks.
    #[allow(clippy::type_complexity)]
    fn held(self: &Arc<Self>, account: AccountId) -> (Result<(u64, Option<u64>), IndexError>, u64) {
        let held = || {
            let Some(opened) = writer::open(&self.shelf.of(account), &self.lock)? else {
                return Ok((0, None));
            };
            let segments = opened.index.searchable_segment_metas()?;
            Ok((segments.iter().map(|one| u64::from(one.num_docs())).sum(), opened.progress.modseq))
        };
        (held(), self.shelf.octets(account))
    }
}
