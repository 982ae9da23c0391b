//! Reading from the queue: the ready lanes of a hop, and one group with its message.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::hops::{Loaded as Lanes, Plan};
use super::key::{self, GroupId, HopKey};
use super::lane::{Head, Lane, MOST_HEADS, MOST_LANES};
use super::record::{Group, Message, State, decode};
use crate::engine::Shared;
use crate::seam::Timestamp;
use crate::storage::{Batch, CommitError, Scan, StoreError};

/// A group ready for an attempt, and its row as it was read.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) at: GroupId,
    pub(super) row: Bytes,
    pub(super) group: Group,
    pub(super) message: Message,
    /// When it was read: where it is for an attempt, that began then.
    pub(super) read: Timestamp,
}

/// Rows that a walk reads before it goes on behind the lane it has come to.
const WALK_HEADS: usize = 32;
/// Heads that a walk gathers before it stops.
const WALK_STOP: usize = 256;

/// Loads what was planned for a hop into the runner.
pub(super) async fn heads(shared: &Shared, hop: &HopKey, plan: Plan) -> Result<(), StoreError> {
    let beyond = shared.runner.in_flight(hop);
    let mut loaded = Lanes::default();
    match plan {
        Plan::Lanes(lanes) => {
            let each = (MOST_HEADS / lanes.len().max(1)).max(WALK_HEADS);
            for (lane, from) in lanes {
                let (heads, next) = read_lane(shared, hop, (lane, from), each + beyond).await?;
                loaded.lanes.push((lane, heads, next));
            }
        }
        Plan::Walk(from) => loaded = walk(shared, hop, from, beyond).await?,
    }
    shared.runner.loaded(hop, loaded);
    Ok(())
}

async fn read_lane(
    shared: &Shared,
    hop: &HopKey,
    (lane, from): (Lane, Option<GroupId>),
    limit: usize,
) -> Result<(VecDeque<Head>, Option<GroupId>), StoreError> {
    let scan = Scan::prefix(&key::lane(hop, lane), limit);
    let scan = match from {
        Some(from) => scan.starting_at(&key::ready(hop, lane, from)),
        None => scan,
    };
    let rows = shared.storage.store.scan(scan).await?;
    let heads: VecDeque<Head> =
        rows.iter().filter_map(|(row, value)| head(row, value)).map(|(_, head)| head).collect();
    let next = heads.back().filter(|_| rows.len() == limit).map(|last| last.at.next());
    Ok((heads, next))
}

/// Goes through the lanes of a hop from `from` on, until it has gathered enough.
async fn walk(shared: &Shared, hop: &HopKey, from: Option<Lane>, beyond: usize) -> Result<Lanes, StoreError> {
    let prefix = key::of_hop(key::READY, hop);
    let mut start = from.map_or_else(|| prefix.clone(), |lane| key::behind(&key::lane(hop, lane)).to_vec());
    let (mut loaded, mut gathered) = (Lanes::default(), 0);
    let limit = WALK_HEADS + beyond;
    loop {
        let rows = shared.storage.store.scan(Scan::prefix(&prefix, limit).starting_at(&start)).await?;
        gathered += rows.len();
        for (lane, head) in rows.iter().filter_map(|(row, value)| head(row, value)) {
            match loaded.lanes.last_mut() {
                Some((last, heads, _)) if *last == lane => heads.push_back(head),
                _ => loaded.lanes.push((lane, [head].into(), None)),
            }
        }
        let lanes = loaded.lanes.len();
        let Some((lane, heads, next)) = loaded.lanes.last_mut().filter(|_| rows.len() == limit) else {
            return Ok(loaded);
        };
        *next = heads.back().map(|last| last.at.next()); // perhaps: the page ended inside this lane
        let lane = *lane;
        if gathered >= WALK_STOP || lanes >= MOST_LANES {
            loaded.cursor = Some(lane);
            return Ok(loaded);
        }
        start = key::behind(&key::lane(hop, lane)).to_vec();
    }
}

fn head(row: &[u8], value: &[u8]) -> Option<(Lane, Head)> {
    let Some((_, lane, at)) = key::parse_ready(row) else {
        tracing::error!(key = ?row, "a ready entry cannot be read");
        return None;
    };
    Some((lane, Head { at, size: value.try_into().map_or(1, u32::from_be_bytes) }))
}

/// Loads one group. `None` if it is gone, held, or deferred.
pub(super) async fn group(shared: &Shared, at: GroupId) -> Result<Option<Loaded>, StoreError> {
    let Some(loaded) = any(shared, at).await? else { return Ok(None) };
    let ready = match loaded.group.state {
        State::Waiting => true,
        State::Held => false,
        // A clock that was set back must not hide what its time had come for.
        State::Deferred | State::Scheduled if loaded.group.due > shared.clock.now() => {
            shared.storage.store.get(&key::timed(loaded.group.due, at)).await?.is_none()
        }
        State::Deferred | State::Scheduled => true,
    };
    Ok(ready.then_some(loaded))
}

/// Loads one group, whatever its state. `None` if it is gone.
pub(super) async fn any(shared: &Shared, at: GroupId) -> Result<Option<Loaded>, StoreError> {
    let store = &shared.storage.store;
    let Some(row) = store.get(&key::group(at)).await? else { return Ok(None) };
    let group: Group = decode(&row, "queue group")?;
    let Some(message) = store.get(&key::message(at.id)).await? else {
        return Err(StoreError::Corrupt(format!("the record of message {} is missing", at.id)));
    };
    let message = decode(&message, "queue message")?;
    Ok(Some(Loaded { at, row, group, message, read: shared.clock.now() }))
}

/// Puts a group that cannot be read off for an hour, so that it neither blocks the others nor is lost.
pub(super) async fn set_aside(
    shared: &Shared,
    hop: &HopKey,
    lane: Lane,
    head: Head,
) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    let ready = key::ready(hop, lane, head.at);
    batch.delete(&ready);
    let later = shared.clock.now().after(Duration::from_secs(3600));
    batch.put(key::timed(later, head.at), [&head.size.to_be_bytes(), &ready[..]].concat());
    shared.storage.store.commit(batch).await?;
    shared.runner.alarm.expect(later);
    Ok(())
}
