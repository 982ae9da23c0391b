//! How much waits: the counters of each hop, and sums of them. Costs one row a hop and state, none a message.

use serde::Serialize;

use super::{Queue, QueueError};
use crate::queue::State;
use crate::queue::key::{self, HopKey};
use crate::seam::Timestamp;
use crate::storage::{Scan, Store, StoreError, counter};

/// Counters read at a time.
const PAGE: usize = 1000;

/// Groups by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Depth {
    /// Not tried yet, or asked for by an operator.
    pub waiting: u64,
    /// Tried, and to be tried again.
    pub deferred: u64,
    /// Held by an operator.
    pub held: u64,
    /// Not to go yet, as the sender wishes.
    pub scheduled: u64,
}

impl Depth {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.waiting + self.deferred + self.held + self.scheduled
    }

    fn set(&mut self, state: State, groups: i64) {
        let groups = u64::try_from(groups).unwrap_or(0);
        match state {
            State::Waiting => self.waiting = groups,
            State::Deferred => self.deferred = groups,
            State::Held => self.held = groups,
            State::Scheduled => self.scheduled = groups,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.deferred += other.deferred;
        self.held += other.held;
        self.scheduled += other.scheduled;
    }
}

impl Queue {
    /// How much waits, and since when the oldest does.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn depth(&self) -> Result<(Depth, Option<Timestamp>), QueueError> {
        let mut sum = Depth::default();
        each_hop(&*self.storage.store, |_, depth| sum.add(&depth)).await?;
        Ok((sum, self.oldest().await?))
    }

    /// When the oldest message that waits arrived.
    pub(super) async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let first = self.storage.store.scan(Scan::prefix(key::GROUPS, 1)).await?;
        Ok(first.first().and_then(|(row, _)| key::parse_group(row)).map(|at| at.id.arrived()))
    }
}

/// Goes through all hops that something waits for, in the order of their keys.
pub(super) async fn each_hop(
    store: &dyn Store,
    mut see: impl FnMut(HopKey, Depth),
) -> Result<(), StoreError> {
    let (mut from, mut last) = (key::DEPTHS.to_vec(), None::<(HopKey, Depth)>);
    loop {
        let rows = store.scan(Scan::prefix(key::DEPTHS, PAGE).starting_at(&from)).await?;
        for (row, value) in &rows {
            let Some((hop, state)) = key::parse_depth(row) else { continue };
            let groups = counter(Some(value))?;
            match &mut last {
                Some((same, depth)) if *same == hop => depth.set(state, groups),
                _ => {
                    let mut depth = Depth::default();
                    depth.set(state, groups);
                    if let Some((hop, depth)) = last.replace((hop, depth)) {
                        see(hop, depth);
                    }
                }
            }
        }
        match rows.last() {
            Some((row, _)) if rows.len() == PAGE => from = key::after(row),
            _ => break,
        }
    }
    if let Some((hop, depth)) = last {
        see(hop, depth);
    }
    Ok(())
}

/// The hops that a name may mean: `channel:hop`, or a next hop of any channel. Only those that something waits for.
pub(super) async fn hops_named(store: &dyn Store, name: &str) -> Result<Vec<HopKey>, StoreError> {
    let (mut hops, mut from) = (Vec::new(), key::DEPTHS.to_vec());
    loop {
        let rows = store.scan(Scan::prefix(key::DEPTHS, 1).starting_at(&from)).await?;
        let Some((row, _)) = rows.first() else { return Ok(hops) };
        let Some((HopKey { channel, .. }, _)) = key::parse_depth(row) else {
            from = key::after(row);
            continue;
        };
        let own = name.strip_prefix(channel.as_str()).and_then(|rest| rest.strip_prefix(':'));
        for hop in [Some(name), own].into_iter().flatten() {
            let hop = HopKey { channel: channel.clone(), hop: crate::message::NextHop::new(hop) };
            if !store.scan(Scan::prefix(&key::of_hop(key::DEPTHS, &hop), 1)).await?.is_empty() {
                hops.push(hop);
            }
        }
        from = key::behind(&key::channel(key::DEPTHS, &channel)).to_vec();
    }
}
