//! Collecting: what waits for some domains goes over a link that whoever collects it has opened.
//!
//! Here the queue hands mail out without a worker: one group after another, each claimed so that no worker meets it, each
//! settled as any attempt is. What the link says teaches nothing about the site: it is not the site's.

use std::sync::{Arc, PoisonError};

use tokio_util::sync::CancellationToken;

use super::carry;
use super::claim::Claim;
use super::key::{self, GroupId, HopKey, Parked};
use super::lease::Asked;
use super::load;
use super::record::State;
use super::settle::{self, End};
use crate::deliver::{Delivery, Link, Outcome};
use crate::engine::Shared;
use crate::message::{EnhancedStatus, NextHop, Reply};
use crate::storage::{Scan, StoreError, counter};

/// Rows read at a time.
const PAGE: usize = 64;

/// The right to what waits for some hops. Nobody else can collect it meanwhile; ends when dropped.
pub struct Collection {
    shared: Arc<Shared>,
    hops: Vec<HopKey>,
}

/// What came of handing mail over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handed {
    /// Recipients that are done.
    pub done: u64,
    /// Recipients that wait on, or have failed.
    pub other: u64,
}

impl Collection {
    /// Takes what waits for `hops`.
    pub(crate) async fn begin(shared: &Arc<Shared>, hops: Vec<HopKey>) -> Result<Self, Reply> {
        let busy = || {
            Reply::new(
                450,
                EnhancedStatus::new(4, 3, 2),
                "somebody collects that mail already; try again later",
            )
        };
        {
            let mut collecting = shared.collecting.lock().unwrap_or_else(PoisonError::into_inner);
            if hops.iter().any(|hop| collecting.contains(hop)) {
                return Err(busy());
            }
            collecting.extend(hops.iter().cloned());
        }
        let collection = Self { shared: shared.clone(), hops };
        match collection.waiting().await {
            Ok(0) => Err(Reply::new(453, EnhancedStatus::new(4, 2, 0), "you have no mail; come back later")),
            Ok(_) => Ok(collection),
            Err(error) => {
                let reply = Reply::defer(3, 0, "the queue cannot be asked now; try again later");
                Err(reply.because(error.to_string()))
            }
        }
    }

    /// The first next hop, in its words.
    pub fn hop(&self) -> Option<NextHop> {
        self.hops.first().map(|hop| hop.hop.clone())
    }

    /// How many groups wait.
    async fn waiting(&self) -> Result<u64, StoreError> {
        let mut all = 0;
        for hop in &self.hops {
            for state in [State::Waiting, State::Deferred] {
                let row = self.shared.storage.store.get(&key::depth(hop, state)).await?;
                all += u64::try_from(counter(row.as_deref())?).unwrap_or(0);
            }
        }
        Ok(all)
    }

    /// Hands over what waits, each group once, until nothing is left, the link is not reusable, or `stop` is cancelled.
    /// Dropping the future leaves the outcome of the group under way unknown: it is tried again.
    pub async fn hand_over(&self, link: &mut dyn Link, stop: &CancellationToken) -> Handed {
        let mut handed = Handed::default();
        for hop in &self.hops {
            // What is deferred first: what this session defers is behind the walk then.
            for prefix in [key::parked_of(Parked::Deferred, hop), key::of_hop(key::READY, hop)] {
                if !self.walk(hop, &prefix, link, stop, &mut handed).await {
                    return handed;
                }
            }
        }
        handed
    }

    /// Goes through the rows under `prefix`; whether there is more to do.
    async fn walk(
        &self,
        hop: &HopKey,
        prefix: &[u8],
        link: &mut dyn Link,
        stop: &CancellationToken,
        handed: &mut Handed,
    ) -> bool {
        let mut from = prefix.to_vec();
        loop {
            let scan = Scan::prefix(prefix, PAGE).starting_at(&from);
            let rows = match self.shared.storage.store.scan(scan).await {
                Ok(rows) => rows,
                Err(error) => {
                    self.shared.health.storage(error);
                    return false;
                }
            };
            let Some((last, _)) = rows.last() else { return true };
            from = key::after(last);
            for at in rows.iter().filter_map(|(row, _)| key::parse_group(row)) {
                if stop.is_cancelled() || !self.shared.health.delivers() || !link.is_reusable() {
                    return false;
                }
                if !self.one(hop, at, link, handed).await {
                    return false;
                }
            }
        }
    }

    /// One attempt for one group; whether the link is of further use.
    async fn one(&self, hop: &HopKey, at: GroupId, link: &mut dyn Link, handed: &mut Handed) -> bool {
        let shared = &self.shared;
        let Some(_claim) = Claim::lay(shared, hop, at) else { return true };
        if let Some(node) = &shared.node
            && node.ask(shared, hop).await.ok() != Some(Asked::Granted)
        {
            return true; // another engine works for the hop
        }
        let loaded = match load::any(shared, at).await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return true,
            Err(error) => {
                tracing::error!(id = %at.id, %error, "a queued message cannot be read");
                return true;
            }
        };
        let group = &loaded.group;
        if !matches!(group.state, State::Waiting | State::Deferred) || group.hop_key() != *hop {
            return true;
        }
        let (attempt, most) = (carry::prepare(shared, &loaded), shared.settings().attempt_time);
        let outcomes = tokio::select! {
            biased;
            outcomes = link.transmit(&attempt) => Some(outcomes),
            () = shared.clock.sleep(most) => None,
        };
        let usable = outcomes.is_some();
        let outcomes = outcomes.unwrap_or_default();
        let done = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done(..))).count();
        handed.done += done as u64;
        handed.other += attempt.destinations.len().saturating_sub(done) as u64;
        settle::end(shared, loaded, &End::Attempt(Delivery { outcomes, ..Delivery::default() }, None)).await;
        usable
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        let mut collecting = self.shared.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        self.hops.iter().for_each(|hop| {
            collecting.remove(hop);
        });
    }
}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collection({:?})", self.hops)
    }
}
