//! One attempt: load a group, carry it over a link or hand it to an agent, settle what came out, and learn from it
//! about the site.

use std::sync::Arc;
use std::time::Duration;

use super::Peer;
use super::key::HopKey;
use super::lane::{Head, Lane};
use super::load::{self, Loaded};
use super::settle::{self, End, Taught};
use super::site::Refused;
use super::wake;
use crate::deliver::{Arrival, Attempt, Delivery, Effects, Link, Outcome, Submission};
use crate::engine::Shared;
use crate::message::{EnhancedStatus, Reply};
use crate::route::{self, UNROUTED};
use crate::seam::Timestamp;
use crate::storage::StoreError;

/// For a good-bye.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open link, and how much it has carried.
pub(super) struct Open {
    link: Box<dyn Link>,
    since: Timestamp,
    messages: u32,
    _counted: Counted,
}

impl Open {
    /// Whether another message may go over it.
    fn is_reusable(&self, peer: &Peer, now: Timestamp) -> bool {
        self.messages < peer.messages_per_link
            && now.since(self.since) < peer.link_age
            && self.link.is_reusable()
    }

    /// Says good-bye, for a bounded time.
    pub(super) async fn close(self, shared: &Shared) {
        drop(self._counted); // whoever cannot open another one is not to take this one for alive
        tokio::select! {
            biased;
            () = self.link.close() => {}
            () = shared.clock.sleep(PATIENCE) => {}
        }
    }
}

/// Counts a link of a site as long as it lives, even through a panic.
struct Counted {
    shared: Arc<Shared>,
    hop: HopKey,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.runner.link_closed(&self.hop);
    }
}

/// How an attempt ended, for the book-keeping of heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The group is settled, or gone.
    Settled,
    /// The store could not be read: the group is still ready, and has to be found again once it has landed.
    Unread,
    /// It was not tried: it goes back to its lane, and its lane waits until then.
    NotTried(Timestamp),
    /// It was not tried, as the site takes no further link now: it goes back to its lane, and the worker leaves.
    Barred,
}

/// One attempt for one group, and what follows from it.
pub(super) async fn attempt(
    shared: &Arc<Shared>,
    hop: &HopKey,
    (lane, head): (Lane, Head),
    link: &mut Option<Open>,
) -> Ended {
    let loaded = match load::group(shared, head.at).await {
        // It was sent through another hop since the head was read: it is there now, and perhaps under way.
        Ok(Some(loaded)) if loaded.group.hop_key() != *hop => return Ended::Settled,
        Ok(Some(loaded)) => loaded,
        Ok(None) => return Ended::Settled,
        Err(error) => return trouble(shared, hop, (lane, head), error).await,
    };
    if let Err(until) = keeps_pace(shared, &loaded) {
        return Ended::NotTried(until);
    }
    let attempt = prepare(shared, &loaded);
    if let Some(agent) = shared.agents.get(&hop.channel).cloned() {
        return settle::through_agent(shared, loaded, attempt, &*agent).await;
    }
    if hop.channel.as_str() == UNROUTED {
        let delivery = route_again(shared, &loaded).await;
        settle::settle(shared, loaded, delivery).await;
        return Ended::Settled;
    }
    carry(shared, hop, loaded, &attempt, link).await
}

/// Counts the message against the rates of its sender and tenant; or says when it may go.
fn keeps_pace(shared: &Shared, loaded: &Loaded) -> Result<(), Timestamp> {
    let settings = shared.settings();
    let (flow, tenant) = (loaded.message.flow(), loaded.message.origin.tenant.as_ref());
    let sender = loaded.message.envelope.sender.to_string();
    let rates = settings.sources.rate(&sender, tenant);
    shared.runner.keeps_pace((&flow, rates.sender), (tenant.map(|t| t.as_str()), rates.tenant))
}

async fn trouble(shared: &Shared, hop: &HopKey, (lane, head): (Lane, Head), error: StoreError) -> Ended {
    let id = head.at.id;
    tracing::error!(%id, %error, "a queued message cannot be read");
    let set_aside = match error.is_temporary() {
        true => Err(error.into()),
        false => load::set_aside(shared, hop, lane, head).await,
    };
    if let Err(error) = set_aside {
        tracing::debug!(%id, %error, "tried again soon");
        super::worker::rest(shared).await;
    }
    Ended::Unread
}

pub(super) fn prepare(shared: &Shared, loaded: &Loaded) -> Attempt {
    Attempt {
        id: loaded.at.id,
        number: loaded.group.attempts + 1,
        envelope: Arc::new(loaded.message.envelope.clone()),
        body: loaded.group.body.clone(),
        blobs: shared.storage.blobs.clone(),
        destinations: loaded.group.destinations.clone(),
        verdicts: loaded.message.verdicts.clone().into(),
        upstream: Some(Arc::new(loaded.message.origin.upstream(loaded.at.id))),
        arrived: loaded.message.arrived,
        now: shared.clock.now(),
    }
}

/// Carries an attempt over the link, opening one where needed, and settles it.
async fn carry(
    shared: &Arc<Shared>,
    hop: &HopKey,
    loaded: Loaded,
    attempt: &Attempt,
    link: &mut Option<Open>,
) -> Ended {
    let (settings, now) = (shared.settings(), shared.clock.now());
    let peer = settings.peers.at(&hop.hop);
    let mut was_down = false;
    if link.as_ref().is_none_or(|open| !open.is_reusable(peer, now)) {
        if let Some(old) = link.take() {
            old.close(shared).await;
        }
        match open(shared, hop, settings.attempt_time).await {
            Ok(opened) => {
                was_down = shared.runner.link_opened(hop);
                let counted = Counted { shared: shared.clone(), hop: hop.clone() };
                let since = shared.clock.now();
                *link = Some(Open { link: opened, since, messages: 0, _counted: counted });
            }
            Err(reply) => return refused(shared, hop, loaded, attempt, reply, peer).await,
        }
    }
    let Some(open) = link.as_mut() else { return Ended::Unread };
    open.messages = open.messages.saturating_add(1);
    let outcomes = tokio::select! {
        biased;
        outcomes = open.link.transmit(attempt) => Some(outcomes),
        () = shared.clock.sleep(settings.attempt_time) => None,
    };
    if outcomes.is_none() {
        *link = None; // what is on the wire is unknown: no good-bye
    }
    let outcomes = outcomes.unwrap_or_default();
    let taught = learn(shared, hop, &outcomes, peer).or_else(|| was_down.then(|| up(shared, hop)).flatten());
    let delivery = Delivery { outcomes, ..Delivery::default() };
    settle::end(shared, loaded, &End::Attempt(delivery, taught)).await;
    if was_down {
        wake::deferred(shared, hop).await;
    }
    Ended::Settled
}

async fn open(shared: &Shared, hop: &HopKey, most: Duration) -> Result<Box<dyn Link>, Reply> {
    let Some(channel) = shared.outputs.get(&hop.channel) else {
        let reply = Reply::defer(3, 5, "the channel is not configured now");
        return Err(reply.because(format!("no output channel {}", hop.channel)));
    };
    tokio::select! {
        biased;
        opened = channel.open(&hop.hop) => opened,
        () = shared.clock.sleep(most) => Err(Reply::defer(4, 1, "no connection in time")),
    }
}

/// No link could be opened: the message fails with the hop, is its probe, or waits for whoever is.
async fn refused(
    shared: &Arc<Shared>,
    hop: &HopKey,
    loaded: Loaded,
    attempt: &Attempt,
    reply: Reply,
    peer: &Peer,
) -> Ended {
    let mut taught = None;
    if reply.code / 100 != 5 {
        let told = |site: &mut super::site::SiteBook, now| {
            site.refused(&reply, now, &peer.schedule, &*shared.runner.random)
        };
        match shared.runner.at_site(hop, told) {
            Some(Refused::Known) => return Ended::Barred,
            Some(Refused::Probe(down)) => {
                let (since, probes, next) = (down.since, down.probes, down.next);
                tracing::warn!(channel = %hop.channel, hop = %hop.hop, %reply, cause = reply.cause, %since, probes, %next, "cannot be reached");
                taught = shared.runner.site_of(hop).map(|site| Taught { site, down: Some(down) });
            }
            None => {}
        }
    }
    let delivery = Delivery { outcomes: everybody(attempt, &reply), ..Delivery::default() };
    settle::end(shared, loaded, &End::Attempt(delivery, taught)).await;
    Ended::Settled
}

fn up(shared: &Shared, hop: &HopKey) -> Option<Taught> {
    tracing::info!(channel = %hop.channel, hop = %hop.hop, "can be reached again");
    shared.runner.site_of(hop).map(|site| Taught { site, down: None })
}

/// What the outcomes say about the site, as apart from the message.
fn learn(shared: &Shared, hop: &HopKey, outcomes: &[Outcome], peer: &Peer) -> Option<Taught> {
    let Some(reply) = site_trouble(outcomes) else {
        shared.runner.at_site(hop, |site, _| site.success());
        return None;
    };
    let down = shared
        .runner
        .at_site(hop, |site, now| site.trouble(&reply, now, &peer.schedule, &*shared.runner.random))
        .flatten()?;
    tracing::warn!(channel = %hop.channel, hop = %hop.hop, %reply, next = %down.next, "breaks off again and again");
    shared.runner.site_of(hop).map(|site| Taught { site, down: Some(down) })
}

/// Trouble of the site is no answer at all, a service that closes, or a broken way there (RFC 3463 section 3.5).
fn site_trouble(outcomes: &[Outcome]) -> Option<Reply> {
    let missing = Outcome::deferred(4, 2, "the attempt ended without an answer");
    let troubled = |outcome: &Outcome| match outcome {
        Outcome::Deferred(reply) => reply.code == 421 || reply.enhanced.subject() == 4,
        _ => false,
    };
    match outcomes.first() {
        None => Some(missing.reply().clone()),
        Some(first) => outcomes.iter().all(troubled).then(|| first.reply().clone()),
    }
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
                    kind: loaded.message.kind,
                });
                let reply = Reply::new(250, EnhancedStatus::new(2, 1, 0), "routed now");
                delivery.outcomes.push(Outcome::Done(Arrival::Relayed, reply));
            }
            Err(reply) => delivery.outcomes.push(Outcome::from_reply(Arrival::Relayed, reply)),
        }
    }
    delivery
}
