//! The runner: starts workers for hops that have something due. The one file of the queue that spawns.

use std::sync::Arc;
use std::time::Duration;

use super::alarm;
use super::hops::Start;
use super::key::{self, HopKey};
use super::lease::Asked;
use super::pause::Pauses;
use super::record::decode;
use super::site::{Down, SiteKey};
use super::worker;
use crate::deliver::Site;
use crate::engine::Shared;
use crate::storage::{Scan, StoreError};

/// Runs the queue until shutdown. Workers it started may outlive it; see [`super::Runner::workers`].
pub(crate) async fn run(shared: Arc<Shared>) {
    shared.runner.runs(true);
    recover(&shared).await;
    while !shared.shutdown.is_cancelled() {
        for start in shared.runner.start(shared.settings().concurrency) {
            match start {
                Start::Work(hop) => drop(tokio::spawn(worker::work(shared.clone(), hop))),
                Start::Scout(hop) => drop(tokio::spawn(scout(shared.clone(), hop))),
            }
        }
        if shared.runner.has_room_again()
            && let Err(error) = find_hops(&shared).await
        {
            tracing::warn!(%error, "the queue could not be looked through");
        }
        let bell = shared.runner.bell.notified();
        tokio::select! {
            biased;
            () = bell => {}
            () = timer(&shared) => {}
            () = shared.shutdown.cancelled() => {}
        }
    }
    shared.runner.runs(false);
}

/// The longest single wait for a timer.
const NAP: Duration = Duration::from_secs(10);

async fn timer(shared: &Shared) {
    match shared.runner.next_timer() {
        // Not for longer than a nap, so that a clock that was set back is noticed.
        Some(at) => shared.clock.sleep(at.since(shared.clock.now()).min(NAP)).await,
        None => std::future::pending().await,
    }
}

/// Finds the hops that have something in the store: one look-up a hop, none a message.
async fn recover(shared: &Shared) {
    loop {
        let found = match remember(shared).await {
            Ok(()) => find_hops(shared).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(hops) => {
                tracing::debug!(hops, "queue recovered");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the queue cannot be read; trying again");
                tokio::select! {
                    biased;
                    () = shared.clock.sleep(Duration::from_secs(1)) => {}
                    () = shared.shutdown.cancelled() => return,
                }
            }
        }
    }
}

/// Has the runner look at every hop that has something ready in the store; how many.
pub(crate) async fn find_hops(shared: &Shared) -> Result<usize, StoreError> {
    let (mut scan, mut hops) = (Scan::prefix(key::READY, 1), 0);
    loop {
        let Some((found, _)) = shared.storage.store.scan(scan.clone()).await?.pop() else { return Ok(hops) };
        let Some((hop, ..)) = key::parse_ready(&found) else {
            return Err(StoreError::Corrupt(format!("ready entry {found:?}")));
        };
        shared.runner.look_at(&hop);
        scan = scan.starting_at(&key::behind(&key::of_hop(key::READY, &hop)));
        hops += 1;
    }
}

/// What operators stopped, and which sites were down, when the process ended.
async fn remember(shared: &Shared) -> Result<(), StoreError> {
    shared.runner.set_pauses(Pauses::read(&*shared.storage.store).await?);
    let (now, mut from) = (shared.clock.now(), key::DOWN.to_vec());
    let horizon = alarm::horizon(shared, now);
    loop {
        let rows = shared.storage.store.scan(Scan::prefix(key::DOWN, 1000).starting_at(&from)).await?;
        for (row, value) in &rows {
            match (key::parse_down(row), decode::<Down>(value, "state of a site")) {
                (Some((channel, site)), Ok(mut down)) => {
                    if down.next > horizon {
                        down.next = now; // written by a clock that has been set back
                    }
                    shared.runner.was_down(SiteKey { channel, site: Site::new(&site) }, down);
                }
                _ => tracing::warn!(key = ?row, "the state of a site cannot be read"),
            }
        }
        match rows.last() {
            Some((last, _)) if rows.len() == 1000 => from = key::after(last),
            _ => return Ok(()),
        }
    }
}

/// For finding out a site.
const SITE_TIME: Duration = Duration::from_secs(30);

/// Finds out which site a hop leads to, and whether this engine may work for it.
async fn scout(shared: Arc<Shared>, hop: HopKey) {
    if let Some(node) = &shared.node {
        match node.ask(&shared, &hop).await {
            Ok(Asked::Granted) => {}
            Ok(Asked::Taken) => return shared.runner.foreign(&hop, true),
            Err(error) => {
                tracing::warn!(%error, channel = %hop.channel, hop = %hop.hop, "no lease could be had");
                node.give_up(&hop);
                return shared.runner.foreign(&hop, true);
            }
        }
    }
    let own = Site::new(hop.hop.as_str());
    let site = match shared.outputs.get(&hop.channel) {
        Some(channel) => tokio::select! {
            biased;
            site = channel.site(&hop.hop) => site,
            () = shared.clock.sleep(SITE_TIME) => own,
        },
        None => own,
    };
    let site = SiteKey { channel: hop.channel.clone(), site };
    shared.runner.sited(&hop, site, shared.settings().peers.at(&hop.hop));
}

/// Gives the hop back when the worker ends, even by a panic.
pub(super) struct Leave {
    pub(super) shared: Arc<Shared>,
    pub(super) hop: HopKey,
    pub(super) loading: bool,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.shared.runner.left(&self.hop, self.loading);
    }
}
