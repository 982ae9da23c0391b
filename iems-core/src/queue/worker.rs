//! A worker: carries what is ready for one hop over one link, then lingers a little, then goes.

use std::sync::Arc;
use std::time::Duration;

use super::carry::{self, Ended, Open};
use super::hops::{Plan, Take};
use super::key::{GroupId, HopKey};
use super::load;
use super::runner::Leave;
use crate::engine::Shared;
use crate::seam::Timestamp;

/// After how many messages a worker makes room, if others wait.
const TURN: usize = 100;

/// Works for a hop until nothing is ready.
pub(super) async fn work(shared: Arc<Shared>, hop: HopKey) {
    let mut leave = Leave { shared: shared.clone(), hop: hop.clone(), loading: false };
    let mut link: Option<Open> = None;
    let mut carried = 0;
    while may_go_on(&shared, &mut link).await && is_ours(&shared, &hop) {
        let goes_on = match shared.runner.take(&hop) {
            Take::Attempt(lane, head) => {
                carried += 1;
                let landing = Landing { shared: &shared, hop: &hop, at: head.at };
                let ended = carry::attempt(&shared, &hop, (lane, head), &mut link).await;
                drop(landing);
                match ended {
                    Ended::Settled => {}
                    Ended::Unread => shared.runner.look_at(&hop),
                    Ended::NotTried(until) => shared.runner.put_back(&hop, lane, head, until),
                    Ended::Barred => shared.runner.put_back(&hop, lane, head, Timestamp::default()),
                }
                let in_all = shared.settings().concurrency;
                ended != Ended::Barred && (carried % TURN != 0 || !shared.runner.is_crowded(&hop, in_all))
            }
            Take::Load(plan) => load(&shared, &hop, plan, &mut leave).await,
            Take::Nothing(bell) => linger(&shared, &hop, &bell, link.is_some()).await,
            Take::Leave => false,
        };
        if !goes_on {
            break;
        }
    }
    drop(leave);
    if let Some(open) = link {
        open.close(&shared).await;
    }
}

/// Whether this engine works for the hop; it says so if not.
fn is_ours(shared: &Shared, hop: &HopKey) -> bool {
    let Some(node) = &shared.node else { return true };
    let ours = node.may_begin(hop);
    if !ours {
        node.give_up(hop);
        shared.runner.foreign(hop, false);
    }
    ours
}

async fn load(shared: &Shared, hop: &HopKey, plan: Plan, leave: &mut Leave) -> bool {
    leave.loading = true;
    match load::heads(shared, hop, plan).await {
        Ok(()) => {
            leave.loading = false;
            true
        }
        Err(error) => {
            tracing::error!(%error, "the queue cannot be read");
            rest(shared).await;
            false
        }
    }
}

/// Keeps an open link for a while; whether there is more to do.
async fn linger(shared: &Shared, hop: &HopKey, bell: &tokio::sync::Notify, has_link: bool) -> bool {
    let settings = shared.settings();
    let (idle, in_all) = (settings.peers.at(&hop.hop).link_idle, settings.concurrency);
    let more = has_link
        && !shared.runner.is_crowded(hop, in_all)
        && tokio::select! {
            biased;
            () = bell.notified() => true,
            () = shared.runner.make_room.notified() => false,
            () = shared.clock.sleep(idle) => false,
            () = shared.shutdown.cancelled() => false,
        };
    shared.runner.busy(hop);
    more
}

/// Ends the mark of a group as in flight, even by a panic.
struct Landing<'a> {
    shared: &'a Shared,
    hop: &'a HopKey,
    at: GroupId,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.shared.runner.landed(self.hop, self.at);
    }
}

/// Waits while no outcome could be recorded; the other side need not hold the link for us meanwhile. `false` at shutdown.
async fn may_go_on(shared: &Shared, link: &mut Option<Open>) -> bool {
    if !shared.health.delivers() {
        if let Some(open) = link.take() {
            open.close(shared).await;
        }
        shared.health.may_deliver(&shared.shutdown).await;
    }
    !shared.shutdown.is_cancelled()
}

/// Waits a second after the store failed.
pub(super) async fn rest(shared: &Shared) {
    tokio::select! {
        biased;
        () = shared.clock.sleep(Duration::from_secs(1)) => {}
        () = shared.shutdown.cancelled() => {}
    }
}
