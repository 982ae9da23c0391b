//! A worker: carries what is due for one hop over one link, then lingers a little, then goes.

use std::sync::Arc;

use super::Peer;
use super::hops::Take;
use super::key::{GroupId, HopKey};
use super::load::{self, Loaded};
use super::runner::Leave;
use super::settle::{self, Settled};
use crate::deliver::{Arrival, Attempt, Delivery, Effects, Link, Outcome, Submission};
use crate::engine::Shared;
use crate::message::{EnhancedStatus, Reply};
use crate::route::{self, UNROUTED};
use crate::seam::Timestamp;
use crate::storage::StoreError;

/// After how many messages a worker makes room, if other hops wait.
const TURN: usize = 100;

/// Works for a hop until nothing is due.
pub(super) async fn work(shared: Arc<Shared>, hop: HopKey) {
    let mut leave = Leave { shared: shared.clone(), hop: hop.clone(), loading: false };
    let mut link: Option<Open> = None;
    let mut carried = 0;
    while !shared.shutdown.is_cancelled() {
        match shared.runner.take(&hop) {
            Take::Attempt(at) => {
                let landing = Landing { shared: &shared, hop: &hop, at };
                let ended = attempt(&shared, &hop, at, &mut link).await;
                drop(landing);
                if ended == Ended::Unread {
                    shared.runner.look_at(&hop);
                }
                carried += 1;
                if carried % TURN == 0 && shared.runner.is_crowded(shared.settings().concurrency) {
                    break;
                }
            }
            Take::Load => {
                leave.loading = true;
                match load::heads(&shared, &hop).await {
                    Ok(()) => leave.loading = false,
                    Err(error) => {
                        tracing::error!(%error, "the queue cannot be read");
                        rest(&shared).await;
                        break;
                    }
                }
            }
            Take::Nothing(bell) => {
                let idle = shared.clock.now().after(shared.settings().peers.at(&hop.hop).link_idle);
                let more = match link {
                    Some(_) => tokio::select! {
                        () = bell.notified() => true,
                        () = shared.clock.sleep_until(idle) => false,
                        () = shared.shutdown.cancelled() => false,
                    },
                    None => false,
                };
                shared.runner.busy(&hop);
                if !more {
                    break;
                }
            }
        }
    }
    drop(leave);
    if let Some(open) = link {
        close(&shared, open.link).await;
    }
}

/// An open link, and how much it has carried.
struct Open {
    link: Box<dyn Link>,
    since: Timestamp,
    messages: u32,
}

impl Open {
    /// Whether another message may go over it.
    fn is_reusable(&self, peer: &Peer, now: Timestamp) -> bool {
        self.messages < peer.messages_per_link
            && now.since(self.since) < peer.link_age
            && self.link.is_reusable()
    }
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

async fn rest(shared: &Shared) {
    let at = shared.clock.now().after(std::time::Duration::from_secs(1));
    tokio::select! {
        () = shared.clock.sleep_until(at) => {}
        () = shared.shutdown.cancelled() => {}
    }
}

async fn close(shared: &Shared, link: Box<dyn Link>) {
    let patience = shared.clock.now().after(std::time::Duration::from_secs(5));
    tokio::select! {
        () = link.close() => {}
        () = shared.clock.sleep_until(patience) => {}
    }
}

/// How an attempt ended, for the book-keeping of heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The group is settled, or gone.
    Settled,
    /// The store could not be read: the group is still due, and has to be found again once it has landed.
    Unread,
}

/// One attempt for one group, and what follows from it.
async fn attempt(shared: &Arc<Shared>, hop: &HopKey, at: GroupId, link: &mut Option<Open>) -> Ended {
    let loaded = match load::group(shared, at, shared.clock.now()).await {
        Ok(Some(loaded)) => loaded,
        Ok(None) => return Ended::Settled,
        Err(error) => return trouble(shared, hop, at, error).await,
    };
    let attempt = prepare(shared, &loaded);
    if let Some(agent) = shared.agents.get(&hop.channel).cloned() {
        return settle::through_agent(shared, loaded, attempt, &*agent).await;
    }
    if hop.channel.as_str() == UNROUTED {
        let delivery = route_again(shared, &loaded).await;
        settle::settle(shared, loaded, delivery).await;
        return Ended::Settled;
    }
    let (outcomes, unreachable) = carry(shared, hop, &attempt, link).await;
    let delivery = Delivery { outcomes, ..Delivery::default() };
    let settled = settle::settle(shared, loaded, delivery).await;
    if let (Some(reply), Settled::Done) = (unreachable, settled) {
        settle::defer_rest(shared, hop, &reply).await;
    }
    Ended::Settled
}

async fn trouble(shared: &Shared, hop: &HopKey, at: GroupId, error: StoreError) -> Ended {
    tracing::error!(id = %at.id, %error, "a queued message cannot be read");
    let set_aside = match error.is_temporary() {
        true => Err(error.into()),
        false => load::set_aside(shared, hop, at).await,
    };
    if let Err(error) = set_aside {
        tracing::debug!(id = %at.id, %error, "tried again soon");
        rest(shared).await;
    }
    Ended::Unread
}

fn prepare(shared: &Shared, loaded: &Loaded) -> Attempt {
    Attempt {
        id: loaded.at.id,
        number: loaded.group.attempts + 1,
        envelope: Arc::new(loaded.message.envelope.clone()),
        body: loaded.group.body.clone(),
        blobs: shared.storage.blobs.clone(),
        destinations: loaded.group.destinations.clone(),
        verdicts: loaded.message.verdicts.clone().into(),
        arrived: loaded.message.arrived,
        now: shared.clock.now(),
    }
}

/// Carries an attempt over the link, opening one where needed. The reply comes along if the hop cannot be reached.
async fn carry(
    shared: &Shared,
    hop: &HopKey,
    attempt: &Attempt,
    link: &mut Option<Open>,
) -> (Vec<Outcome>, Option<Reply>) {
    let Some(channel) = shared.outputs.get(&hop.channel) else {
        let reply = Reply::defer(3, 5, "the channel is not configured now")
            .because(format!("no output channel {}", hop.channel));
        return (everybody(attempt, &reply), Some(reply));
    };
    let (settings, now) = (shared.settings(), shared.clock.now());
    let deadline = now.after(settings.attempt_time);
    if link.as_ref().is_none_or(|open| !open.is_reusable(settings.peers.at(&hop.hop), now)) {
        if let Some(old) = link.take() {
            close(shared, old.link).await;
        }
        let opened = tokio::select! {
            opened = channel.open(&hop.hop) => opened,
            () = shared.clock.sleep_until(deadline) => Err(Reply::defer(4, 1, "no connection in time")),
        };
        match opened {
            Ok(opened) => *link = Some(Open { link: opened, since: shared.clock.now(), messages: 0 }),
            Err(reply) => {
                let unreachable = (!reply.is_success() && reply.code / 100 != 5).then(|| reply.clone());
                return (everybody(attempt, &reply), unreachable);
            }
        }
    }
    let Some(open) = link.as_mut() else { return (Vec::new(), None) };
    open.messages = open.messages.saturating_add(1);
    let outcomes = tokio::select! {
        outcomes = open.link.transmit(attempt) => Some(outcomes),
        () = shared.clock.sleep_until(deadline) => None,
    };
    if outcomes.is_none() {
        *link = None; // what is on the wire is unknown: no good-bye
    }
    (outcomes.unwrap_or_default(), None)
}

fn everybody(attempt: &Attempt, reply: &Reply) -> Vec<Outcome> {
    let outcome = Outcome::from_reply(
        Arrival::Relayed,
        match reply.is_success() {
            true => Reply::new(451, reply.enhanced, &reply.text),
            false => reply.clone(),
        },
    );
    vec![outcome; attempt.destinations.len()]
}

/// Routes recipients that could not be routed when their message was made.
async fn route_again(shared: &Shared, loaded: &Loaded) -> Delivery {
    let settings = shared.settings();
    let mut delivery = Delivery { effects: Effects::default(), ..Delivery::default() };
    for destination in &loaded.group.destinations {
        match route::route(shared, &settings, &destination.recipient.mailbox).await {
            Ok(_) => {
                delivery.effects.submissions.push(Submission {
                    envelope: loaded.message.envelope.clone(),
                    recipients: vec![destination.recipient.clone()],
                    body: loaded.group.body.clone(),
                });
                let reply = Reply::new(250, EnhancedStatus::new(2, 1, 0), "routed now");
                delivery.outcomes.push(Outcome::Done(Arrival::Relayed, reply));
            }
            Err(reply) => delivery.outcomes.push(Outcome::from_reply(Arrival::Relayed, reply)),
        }
    }
    delivery
}
