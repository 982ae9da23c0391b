//! Forgetting: stories of finished messages are kept for a while, then removed, oldest first.

use super::key;
use crate::engine::Shared;
use crate::message::QueueId;
use crate::seam::Timestamp;
use crate::storage::{Batch, CommitError, Scan};

/// Messages looked at, and rows removed, in one go.
const PAGE: usize = 256;

/// Removes what is older than the settings say and has no group any more; how many messages. While the clock is in doubt
/// nothing is.
pub(crate) async fn forget_old(shared: &Shared) -> Result<usize, CommitError> {
    let (now, history) = (shared.clock.now(), shared.settings().history);
    if !shared.runner.alarm.believes(now) {
        return Ok(0);
    }
    let history = history.as_millis().min(u128::from(u64::MAX)) as u64;
    let until = Timestamp::from_millis(now.as_millis().saturating_sub(history));
    let end = key::message(QueueId::first_at(until));
    let (mut forgotten, mut from) = (0, key::MESSAGES.to_vec());
    loop {
        let scan = Scan::prefix(key::MESSAGES, PAGE).starting_at(&from).ending_before(&end);
        let rows = shared.storage.store.scan(scan).await?;
        let mut gone = Gone::default();
        for id in rows.iter().filter_map(|(row, _)| key::parse_message(row)) {
            if shared.storage.store.scan(Scan::prefix(&key::groups_of(id), 1)).await?.is_empty() {
                forget(shared, id, &mut gone).await?;
                forgotten += 1;
            }
        }
        gone.commit(shared).await?;
        match rows.last() {
            Some((last, _)) if rows.len() == PAGE => from = [last, &[0][..]].concat(),
            _ => return Ok(forgotten),
        }
    }
}

/// Rows to be removed, a bounded number at a time.
#[derive(Default)]
struct Gone {
    batch: Batch,
    rows: usize,
}

impl Gone {
    async fn row(&mut self, shared: &Shared, key: &[u8]) -> Result<(), CommitError> {
        self.batch.delete(key);
        self.rows += 1;
        if self.rows >= PAGE { self.commit(shared).await } else { Ok(()) }
    }

    async fn commit(&mut self, shared: &Shared) -> Result<(), CommitError> {
        self.rows = 0;
        match std::mem::take(&mut self.batch) {
            batch if batch.is_empty() => Ok(()),
            batch => shared.storage.store.commit(batch).await.map(|_| ()),
        }
    }
}

/// The events first, the record last: a crash between leaves something that is found again.
async fn forget(shared: &Shared, id: QueueId, gone: &mut Gone) -> Result<(), CommitError> {
    let history = key::history_of(id);
    let mut from = history.clone();
    loop {
        let events = shared.storage.store.scan(Scan::prefix(&history, PAGE).starting_at(&from)).await?;
        for (event, _) in &events {
            gone.row(shared, event).await?;
        }
        match events.last() {
            Some((last, _)) if events.len() == PAGE => from = [last, &[0][..]].concat(),
            _ => return gone.row(shared, &key::message(id)).await,
        }
    }
}
