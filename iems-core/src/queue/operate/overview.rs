//! The queue at a glance: its depth, and its hops with what is known of each.

use std::cmp::Reverse;

use serde::Serialize;

use super::depth::{Depth, each_hop};
use super::waits::Waits;
use super::{HopName, Queue, QueueError, why};
use crate::message::{ChannelId, NextHop};
use crate::queue::key::{self, HopKey, Parked};
use crate::seam::Timestamp;
use crate::storage::{Scan, StoreError};

/// Lanes of a hop that are looked at for its oldest message.
const LANES: usize = 32;

/// Which hops come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HopOrder {
    /// Those that most waits for.
    #[default]
    Depth,
    /// By name.
    Name,
}

/// The queue at a glance.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// When this was so.
    pub at: Timestamp,
    /// Whether an engine works on it.
    pub running: bool,
    /// All that waits.
    pub depth: Depth,
    /// How many hops something waits for.
    pub hops: u64,
    /// When the oldest message that waits arrived.
    pub oldest: Option<Timestamp>,
    /// Attempts under way, by the number of workers.
    pub workers: usize,
    /// The most there may be.
    pub most_workers: usize,
    /// The stop of all hops, if there is one.
    pub paused: Option<super::PausedHop>,
    /// The first of the hops, in the order that was asked for: those that something waits for, and those that are paused.
    pub first: Vec<HopStatus>,
}

/// What is known of one hop.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HopStatus {
    /// Channel or agent.
    pub channel: ChannelId,
    /// The next hop in its words.
    pub hop: NextHop,
    /// The site it leads to; unknown where no engine runs, or before anything was tried.
    pub site: Option<String>,
    /// Groups that wait for it.
    #[serde(flatten)]
    pub depth: Depth,
    /// When the oldest message arrived that waits for it: of all that is deferred or held, and of the first 32 lanes of what
    /// is ready.
    pub oldest: Option<Timestamp>,
    /// Workers of this hop.
    pub workers: usize,
    /// Links to its site that are open, those of other hops included.
    pub links: usize,
    /// How many there may be now.
    pub links_allowed: usize,
    /// What holds it, what holds it first in front; empty if nothing does.
    pub waits: Vec<Waits>,
}

impl HopStatus {
    /// Its name: channel, colon, next hop.
    pub fn name(&self) -> HopName {
        HopName { channel: self.channel.clone(), hop: self.hop.clone() }
    }

    /// One word for how it is: `open`, `paused`, `down`, `resting`, `full` (all links or attempts taken), `limited` (by a rate),
    /// `unknown` (no such channel, or no engine).
    pub fn state(&self) -> &'static str {
        match self.waits.first() {
            None => "open",
            Some(Waits::Paused { .. }) => "paused",
            Some(Waits::SiteDown { .. }) => "down",
            Some(Waits::SiteRests { .. }) => "resting",
            Some(Waits::Links { .. } | Waits::Attempts { .. }) => "full",
            Some(Waits::Rate { .. }) => "limited",
            Some(_) => "unknown",
        }
    }
}

impl Queue {
    /// The queue at a glance, with the first `limit` hops. Costs a row or two for each hop, none for a message.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn overview(&self, order: HopOrder, limit: usize) -> Result<Overview, QueueError> {
        let (mut depth, mut hops) = (Depth::default(), 0);
        let mut chosen: Vec<(HopKey, Depth)> = Vec::new();
        let before = |a: &(HopKey, Depth), b: &(HopKey, Depth)| match order {
            HopOrder::Depth => (Reverse(a.1.all()), &a.0).cmp(&(Reverse(b.1.all()), &b.0)),
            HopOrder::Name => a.0.cmp(&b.0),
        };
        each_hop(&*self.storage.store, |hop, waits| {
            depth.add(&waits);
            hops += 1;
            chosen.push((hop, waits));
            if chosen.len() >= limit.saturating_mul(2).saturating_add(1000) {
                chosen.sort_by(before);
                chosen.truncate(limit);
            }
        })
        .await?;
        for paused in self.paused_hops().await? {
            if !chosen.iter().any(|(hop, _)| *hop == paused) {
                chosen.push((paused, Depth::default()));
            }
        }
        chosen.sort_by(before);
        chosen.truncate(limit);
        let mut first = Vec::with_capacity(chosen.len());
        for (hop, depth) in chosen {
            first.push(self.status(hop, depth).await?);
        }
        let engine = self.engine.as_ref();
        Ok(Overview {
            at: self.clock.now(),
            running: engine.is_some_and(|engine| engine.runner.is_running()),
            depth,
            hops,
            oldest: self.oldest().await?,
            workers: engine.map_or(0, |engine| engine.runner.workers()),
            most_workers: engine.map_or(0, |engine| engine.settings().concurrency),
            paused: self.paused().await?.into_iter().find(|paused| paused.hop.is_none()),
            first,
        })
    }

    async fn status(&self, key: HopKey, depth: Depth) -> Result<HopStatus, QueueError> {
        let oldest = self.oldest_of(&key, &depth).await?;
        let engine = self.engine.as_ref().filter(|engine| engine.runner.is_running());
        let Some(engine) = engine else {
            let pauses = self.paused().await?;
            let name = key.to_string();
            let own =
                pauses.into_iter().rev().find(|paused| paused.hop.as_ref().is_none_or(|hop| *hop == name));
            let paused = own.map(|own| {
                let (since, reason) = (own.pause.since, own.pause.reason);
                Waits::Paused { all: own.hop.is_none(), since, reason }
            });
            let waits = paused.into_iter().chain([Waits::NotRunning]).collect();
            let (channel, hop) = (key.channel, key.hop);
            return Ok(HopStatus {
                channel,
                hop,
                site: None,
                depth,
                oldest,
                workers: 0,
                links: 0,
                links_allowed: 0,
                waits,
            });
        };
        let settings = engine.settings();
        let standing = engine.runner.standing(&key, settings.concurrency);
        let waits = why::of_hop(engine, &settings, &key);
        Ok(HopStatus {
            site: standing.site.map(|site| site.site.to_string()),
            channel: key.channel,
            hop: key.hop,
            depth,
            oldest,
            workers: standing.workers,
            links: standing.links.0,
            links_allowed: standing.links.1,
            waits,
        })
    }

    /// The oldest of what is deferred, held or scheduled, and what is ready in the first lanes.
    async fn oldest_of(&self, hop: &HopKey, depth: &Depth) -> Result<Option<Timestamp>, StoreError> {
        let store = &self.storage.store;
        let arrived = |row: &[u8]| key::parse_group(row).map(|at| at.id.arrived());
        let mut oldest = None;
        let mut see = |when: Option<Timestamp>| oldest = oldest.into_iter().chain(when).min();
        for (some, state) in [
            (depth.deferred, Parked::Deferred),
            (depth.held, Parked::Held),
            (depth.scheduled, Parked::Scheduled),
        ] {
            if some > 0 {
                let first = store.scan(Scan::prefix(&key::parked_of(state, hop), 1)).await?;
                see(first.first().and_then(|(row, _)| arrived(row)));
            }
        }
        let prefix = key::of_hop(key::READY, hop);
        let mut from = prefix.clone();
        for _ in 0..LANES {
            let first = store.scan(Scan::prefix(&prefix, 1).starting_at(&from)).await?;
            let Some((row, _)) = first.first() else { break };
            see(arrived(row));
            let Some((_, lane, _)) = key::parse_ready(row) else { break };
            from = key::behind(&key::lane(hop, lane)).to_vec();
        }
        Ok(oldest)
    }
}
