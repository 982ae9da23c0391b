//! Reading from the queue: due heads of a hop, and one group with its message.

use std::time::Duration;

use bytes::Bytes;

use super::hops::HEADS;
use super::key::{self, GroupId, HopKey};
use super::record::{Group, Message, decode};
use crate::engine::Shared;
use crate::seam::Timestamp;
use crate::storage::{Batch, CommitError, Scan, StoreError};

/// A group ready for an attempt, and its row as it was read.
pub(super) struct Loaded {
    pub(super) at: GroupId,
    pub(super) row: Bytes,
    pub(super) group: Group,
    pub(super) message: Message,
}

/// Loads the heads of a hop into the runner.
pub(super) async fn heads(shared: &Shared, hop: &HopKey) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let limit = HEADS + shared.runner.in_flight(hop) + 1;
    let rows = shared.storage.store.scan(Scan::prefix(&key::hop_prefix(hop), limit)).await?;
    let full = rows.len() == limit;
    let (mut due, mut next) = (Vec::new(), None);
    for (row, _) in rows {
        match key::parse_due(&row) {
            Some((_, at, group)) if at <= now => due.push(group),
            Some((_, at, _)) => {
                next = Some(at);
                break;
            }
            None => tracing::error!(key = ?row, "a due entry cannot be read"),
        }
    }
    shared.runner.loaded(hop, due, full && next.is_none(), next);
    Ok(())
}

/// Loads one group. `None` if it is gone, or not due any more.
pub(super) async fn group(
    shared: &Shared,
    at: GroupId,
    now: Timestamp,
) -> Result<Option<Loaded>, StoreError> {
    let store = &shared.storage.store;
    let Some(row) = store.get(&key::group(at)).await? else { return Ok(None) };
    let group: Group = decode(&row, "queue group")?;
    if group.due > now {
        return Ok(None);
    }
    let Some(message) = store.get(&key::message(at.id)).await? else {
        return Err(StoreError::Corrupt(format!("the record of message {} is missing", at.id)));
    };
    let message = decode(&message, "queue message")?;
    Ok(Some(Loaded { at, row, group, message }))
}

/// Puts a group that cannot be read off for an hour, so that it neither blocks the others nor is lost.
pub(super) async fn set_aside(shared: &Shared, hop: &HopKey, at: GroupId) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    let rows = shared.storage.store.scan(Scan::prefix(&key::hop_prefix(hop), HEADS * 2)).await?;
    for (row, _) in
        rows.iter().filter(|(row, _)| key::parse_due(row).is_some_and(|(_, _, found)| found == at))
    {
        batch.delete(row);
    }
    let later = shared.clock.now().after(Duration::from_secs(3600));
    batch.put(key::due(hop, later, at), Vec::new());
    shared.storage.store.commit(batch).await.map(|_| ())
}
