//! The runner: starts workers for hops that have something due. The one file of the queue that spawns.

use std::sync::Arc;

use super::key::{self, HopKey};
use super::worker;
use crate::engine::Shared;
use crate::storage::{Scan, StoreError};

/// Runs the queue until shutdown. Workers it started may outlive it; see [`super::Runner::workers`].
pub(crate) async fn run(shared: Arc<Shared>) {
    recover(&shared).await;
    while !shared.shutdown.is_cancelled() {
        let settings = shared.settings();
        for hop in shared.runner.start(|hop| settings.peers.at(hop).concurrency, settings.concurrency) {
            tokio::spawn(worker::work(shared.clone(), hop));
        }
        let bell = shared.runner.bell.notified();
        tokio::select! {
            () = bell => {}
            () = timer(&shared) => {}
            () = shared.shutdown.cancelled() => {}
        }
    }
}

async fn timer(shared: &Shared) {
    match shared.runner.next_timer() {
        Some(at) => shared.clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Finds the hops that have something in the store: one look-up a hop, none a message.
async fn recover(shared: &Shared) {
    loop {
        match find_hops(shared).await {
            Ok(hops) => {
                tracing::debug!(hops, "queue recovered");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the queue cannot be read; trying again");
                let at = shared.clock.now().after(std::time::Duration::from_secs(1));
                tokio::select! {
                    () = shared.clock.sleep_until(at) => {}
                    () = shared.shutdown.cancelled() => return,
                }
            }
        }
    }
}

/// Has the runner look at every hop that has something in the store; how many.
pub(crate) async fn find_hops(shared: &Shared) -> Result<usize, StoreError> {
    let (mut scan, mut hops) = (Scan::prefix(key::DUE, 1), 0);
    loop {
        let Some((found, _)) = shared.storage.store.scan(scan.clone()).await?.pop() else { return Ok(hops) };
        let Some((hop, ..)) = key::parse_due(&found) else {
            return Err(StoreError::Corrupt(format!("due entry {found:?}")));
        };
        shared.runner.look_at(&hop);
        scan = scan.starting_at(&key::behind_hop(&hop));
        hops += 1;
    }
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
