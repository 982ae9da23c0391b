//! Leases: which of several engines on one store works for a hop.
//!
//! | row | says |
//! |---|---|
//! | `ql` hop | the node that works for the hop, and its fencing token |
//! | `qv` node | counter: its heartbeats |
//!
//! Every commit that ends an attempt requires that the lease is still the one under which the attempt began: a node that was
//! taken for dead and comes back cannot settle anything. A node begins no attempt unless its last heartbeat, counted
//! from before it was sent, is younger than [`FRESH`]; the others take its hops when they saw none for [`DEAD`]. Nobody
//! compares clocks of two machines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::key::{self, HopKey};
use super::runner;
use crate::engine::Shared;
use crate::message::QueueId;
use crate::storage::{Batch, CommitError, Scan, StoreError, Template};

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(1);
/// After its last heartbeat a node begins attempts for so long.
const FRESH: Duration = Duration::from_millis(2500);
/// After so long without a heartbeat the others take a node for dead. Longer than [`FRESH`], so that it has stopped by then.
const DEAD: Duration = Duration::from_millis(3500);
/// The counter of fencing tokens.
const TOKENS: &[u8] = b"qf";
/// Every so many heartbeats a node looks for hops that nobody works for.
const ROUND: u64 = 3;

/// This engine, among others on the same store.
pub(crate) struct Node {
    /// Its name, and a part that differs each time it starts.
    id: String,
    state: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When the last heartbeat that succeeded was begun.
    beat: Option<Instant>,
    /// When the others were last looked at: what this node did not see while it stood still says nothing about them.
    looked: Option<Instant>,
    /// Since when heartbeats succeed again, after so long without one that others may have taken this node for dead.
    back: Option<Instant>,
    /// Heartbeats of the others, and when they were last seen to grow.
    others: HashMap<String, (Bytes, Instant)>,
    /// The leases this node holds: hop, and the row as it stands.
    held: HashMap<HopKey, Bytes>,
    /// Hops with work that others hold.
    foreign: HashMap<HopKey, String>,
}

impl Seen {
    /// Whether another node gave a sign of life within its time, as far as this one looked.
    fn sees_alive(&self, node: &str) -> bool {
        let silent =
            |at: &Instant| self.looked.map_or(Duration::ZERO, |looked| looked.saturating_duration_since(*at));
        self.others.get(node).is_some_and(|(_, at)| silent(at) < DEAD)
    }
}

/// What came of asking for a lease.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Granted,
    /// Another node works for the hop.
    Taken,
}

impl Node {
    pub(crate) fn new(name: &str, start: QueueId) -> Self {
        Self { id: format!("{name}/{start}"), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an attempt for the hop may begin now.
    pub(super) fn may_begin(&self, hop: &HopKey) -> bool {
        let seen = self.lock();
        let known = seen.back.is_none() && seen.beat.is_some_and(|beat| beat.elapsed() < FRESH);
        known && seen.held.contains_key(hop)
    }

    /// Has the batch fail unless this node holds the lease of the hop.
    pub(super) fn fence(&self, batch: &mut Batch, hop: &HopKey) {
        match self.lock().held.get(hop) {
            Some(row) => batch.require_equals(&key::of_hop(key::LEASES, hop), row),
            // Nothing has this value: a lease that was lost stays lost.
            None => batch.require_equals(&key::of_hop(key::LEASES, hop), &[]),
        }
    }

    /// Whether the lease that the batch was fenced by is gone; forgets it then.
    pub(super) async fn has_lost(&self, shared: &Shared, hop: &HopKey) -> Result<bool, StoreError> {
        let row = shared.storage.store.get(&key::of_hop(key::LEASES, hop)).await?;
        let mut seen = self.lock();
        let lost = row.is_none() || seen.held.get(hop) != row.as_ref();
        if lost {
            seen.held.remove(hop);
        }
        Ok(lost)
    }

    /// Whether the others can still see this node alive.
    fn is_fresh(&self) -> bool {
        self.lock().beat.is_some_and(|beat| beat.elapsed() < FRESH)
    }

    fn is_alive(&self, node: &str) -> bool {
        node == self.id || self.lock().sees_alive(node)
    }

    /// Takes notice of a node that was not seen before: it may have started since the others were last looked at.
    async fn meet(&self, shared: &Shared, node: &str) -> Result<(), StoreError> {
        if node == self.id || self.lock().others.contains_key(node) {
            return Ok(());
        }
        if let Some(count) = shared.storage.store.get(&[key::NODES, node.as_bytes()].concat()).await? {
            self.lock().others.insert(node.to_owned(), (count, Instant::now()));
        }
        Ok(())
    }

    /// Asks for the lease of a hop.
    pub(super) async fn ask(&self, shared: &Shared, hop: &HopKey) -> Result<Asked, StoreError> {
        let row_key = key::of_hop(key::LEASES, hop);
        if !self.is_fresh() {
            return Ok(self.refused(hop, ""));
        }
        let row = shared.storage.store.get(&row_key).await?;
        let mut batch = Batch::new();
        match &row {
            Some(row) if self.lock().held.get(hop) == Some(row) => return Ok(Asked::Granted),
            Some(row) => {
                let owner = owner(row).unwrap_or_default();
                self.meet(shared, &owner).await?;
                if owner != self.id && self.is_alive(&owner) {
                    return Ok(self.refused(hop, &owner));
                }
                batch.require_equals(&row_key, row);
            }
            None => batch.require_absent(&row_key),
        }
        let token = batch.allocate(TOKENS, 1);
        batch.put(row_key, Template::default().number(token, 0).bytes(self.id.as_bytes()));
        match shared.storage.store.commit(batch).await {
            Ok(committed) => {
                let token = committed.firsts.first().copied().unwrap_or_default();
                let row = [&token.to_be_bytes()[..], self.id.as_bytes()].concat();
                let mut seen = self.lock();
                seen.foreign.remove(hop);
                seen.held.insert(hop.clone(), row.into());
                tracing::debug!(channel = %hop.channel, hop = %hop.hop, token, "lease taken");
                Ok(Asked::Granted)
            }
            Err(CommitError::Conflict) => Ok(self.refused(hop, "")),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    fn refused(&self, hop: &HopKey, owner: &str) -> Asked {
        self.lock().foreign.insert(hop.clone(), owner.to_owned());
        Asked::Taken
    }

    /// This node does not work for the hop now, and may ask again with its next heartbeat.
    pub(super) fn give_up(&self, hop: &HopKey) {
        self.refused(hop, "");
    }

    /// The name of another node that works for the hop.
    pub(super) async fn elsewhere(
        &self,
        shared: &Shared,
        hop: &HopKey,
    ) -> Result<Option<String>, StoreError> {
        let row = shared.storage.store.get(&key::of_hop(key::LEASES, hop)).await?;
        let owner = row.and_then(|row| owner(&row)).filter(|owner| *owner != self.id && self.is_alive(owner));
        Ok(owner.map(|owner| owner.rsplit_once('/').map_or(owner.clone(), |(name, _)| name.to_owned())))
    }

    /// One heartbeat, and a look at those of the others.
    async fn beat(&self, shared: &Shared) -> Result<(), CommitError> {
        let begun = Instant::now();
        let mut batch = Batch::new();
        batch.add(&[key::NODES, self.id.as_bytes()].concat(), 1);
        shared.storage.store.commit(batch).await?;
        let rows = shared.storage.store.scan(Scan::prefix(key::NODES, 1000)).await?;
        let now = Instant::now();
        let mut seen = self.lock();
        if seen.beat.is_some_and(|last| last.elapsed() >= FRESH) {
            seen.back = Some(now);
        }
        (seen.beat, seen.looked) = (Some(begun), Some(now));
        for (row, count) in rows {
            let Ok(node) = std::str::from_utf8(&row[key::NODES.len()..]) else { continue };
            match seen.others.get_mut(node) {
                Some((known, _)) if *known == count => {}
                _ => drop(seen.others.insert(node.to_owned(), (count, now))),
            }
        }
        Ok(())
    }

    /// After a silence: once every other node has seen this one again, the leases that it still holds stand.
    async fn recollect(&self, shared: &Shared) -> Result<(), StoreError> {
        if self.lock().back.is_none_or(|back| back.elapsed() < FRESH) {
            return Ok(());
        }
        for hop in self.held() {
            if self.has_lost(shared, &hop).await? {
                self.give_up(&hop);
            }
        }
        self.lock().back = None;
        self.held().iter().for_each(|hop| shared.runner.look_at(hop));
        Ok(())
    }

    /// Foreign hops that may be asked for again: their owner is dead, or unknown.
    fn orphans(&self) -> Vec<HopKey> {
        let seen = self.lock();
        seen.foreign.iter().filter(|(_, owner)| !seen.sees_alive(owner)).map(|(hop, _)| hop.clone()).collect()
    }

    fn held(&self) -> Vec<HopKey> {
        self.lock().held.keys().cloned().collect()
    }

    /// Gives all leases back, so that the others need not wait for this node's death.
    async fn release(&self, shared: &Shared) {
        let held = std::mem::take(&mut self.lock().held);
        for (hop, row) in held {
            let row_key = key::of_hop(key::LEASES, &hop);
            let mut batch = Batch::new();
            batch.require_equals(&row_key, &row);
            batch.delete(&row_key);
            if shared.storage.store.commit(batch).await.is_err() {
                return; // whatever is left is taken over in time
            }
        }
        let mut batch = Batch::new();
        batch.delete(&[key::NODES, self.id.as_bytes()].concat());
        let _ = shared.storage.store.commit(batch).await;
    }
}

fn owner(row: &[u8]) -> Option<String> {
    std::str::from_utf8(row.get(8..)?).ok().map(str::to_owned)
}

/// Keeps this node known to the others, and its eyes on them, until shutdown.
pub(crate) async fn keep(shared: Arc<Shared>, node: Arc<Node>) {
    let changed = shared.storage.store.watch(key::READY);
    let mut beats = 0_u64;
    let mut next = Instant::now();
    while !shared.shutdown.is_cancelled() {
        if Instant::now() >= next {
            next = Instant::now() + BEAT;
            beats += 1;
            match node.beat(&shared).await {
                Ok(()) => look(&shared, &node, beats).await,
                Err(error) => tracing::warn!(%error, "a heartbeat failed"),
            }
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(next) => {}
            () = changed.changed() => {
                // Others may have queued something for the hops of this node.
                node.held().iter().for_each(|hop| shared.runner.look_at(hop));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            () = shared.shutdown.cancelled() => {}
        }
    }
    // What is under way is this node's until it has ended.
    while shared.runner.workers() > 0 && !shared.killed.is_cancelled() {
        if Instant::now() >= next {
            next = Instant::now() + BEAT;
            if let Err(error) = node.beat(&shared).await {
                tracing::warn!(%error, "a heartbeat failed");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.release(&shared).await;
}

async fn look(shared: &Arc<Shared>, node: &Node, beats: u64) {
    if let Err(error) = node.recollect(shared).await {
        tracing::warn!(%error, "the leases of this node could not be looked up");
    }
    for hop in node.orphans() {
        node.lock().foreign.remove(&hop);
        shared.runner.look_at(&hop);
    }
    if beats % ROUND == 1
        && let Err(error) = runner::find_hops(shared).await
    {
        tracing::warn!(%error, "the queue could not be looked through");
    }
}
