//! Forgetting: stories of finished messages are kept for a while, then removed, oldest first.

use super::key;
use crate::engine::Shared;
use crate::message::QueueId;
use crate::storage::{Batch, CommitError, Scan};

/// Messages looked at in one go.
const PAGE: usize = 256;

/// Removes what is older than the settings say and has no group any more; how many messages.
pub(crate) async fn forget_old(shared: &Shared) -> Result<usize, CommitError> {
    let history = shared.settings().history.as_millis().min(u128::from(u64::MAX)) as u64;
    let until = crate::seam::Timestamp::from_millis(shared.clock.now().as_millis().saturating_sub(history));
    let end = key::message(QueueId::first_at(until));
    let (mut forgotten, mut from) = (0, key::MESSAGES.to_vec());
    loop {
        let scan = Scan::prefix(key::MESSAGES, PAGE).starting_at(&from).ending_before(&end);
        let rows = shared.storage.store.scan(scan).await?;
        let mut batch = Batch::new();
        for (row, _) in &rows {
            let Some(id) = key::parse_message(row) else { continue };
            if shared.storage.store.scan(Scan::prefix(&key::groups_of(id), 1)).await?.is_empty() {
                batch.delete(row);
                for (event, _) in
                    shared.storage.store.scan(Scan::prefix(&key::history_of(id), 10_000)).await?
                {
                    batch.delete(&event);
                }
                forgotten += 1;
            }
        }
        if !batch.is_empty() {
            shared.storage.store.commit(batch).await?;
        }
        match rows.last() {
            Some((last, _)) if rows.len() == PAGE => from = [last, &[0][..]].concat(),
            _ => return Ok(forgotten),
        }
    }
}
