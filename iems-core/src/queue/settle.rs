//! Settling: the commit that ends an attempt. It is repeated until the store takes it, so that what is known
//! is never forgotten; meanwhile this worker carries nothing, and outbound pauses by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::carry::Ended;
use super::key;
use super::load::{self, Loaded};
use super::record::{Group, decode, encode};
use super::rows;
use super::site::{Down, SiteKey};
use super::state::{self, Next};
use super::submit::{Maker, Queued};
use crate::deliver::{Attempt, Delivery, DeliveryAgent, Outcome, Submission};
use crate::engine::Shared;
use crate::message::{Late, Mailbox, OriginalRecipient, Recipient, Reply};
use crate::report::{self, Event, Reported, What};
use crate::seam::Timestamp;
use crate::settings::Settings;
use crate::storage::{Batch, CommitError, StoreError};

/// How settling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is committed.
    Done,
    /// The group is gone: an administrator removed it meanwhile.
    Gone,
    /// A condition of the effects did not hold: prepare the delivery again.
    Again,
}

/// How often an agent prepares a delivery anew after a conflict, before it counts as deferred.
const CONFLICTS: u32 = 8;

/// Delivers through an agent, anew after each conflict.
pub(super) async fn through_agent(
    shared: &Arc<Shared>,
    mut loaded: Loaded,
    attempt: Attempt,
    agent: &dyn DeliveryAgent,
) -> Ended {
    let at = loaded.at;
    for _ in 0..CONFLICTS {
        let delivery = agent.deliver(&attempt).await;
        match settle(shared, loaded, delivery).await {
            Settled::Done | Settled::Gone => return Ended::Settled,
            Settled::Again => match load::group(shared, at).await {
                Ok(Some(again)) => loaded = again,
                Ok(None) => return Ended::Settled,
                Err(_) => return Ended::Unread,
            },
        }
    }
    let outcomes =
        vec![Outcome::deferred(3, 0, "the mailbox is changing too fast"); attempt.destinations.len()];
    settle(shared, loaded, Delivery { outcomes, ..Delivery::default() }).await;
    Ended::Settled
}

/// Commits what an attempt brought.
pub(super) async fn settle(shared: &Arc<Shared>, loaded: Loaded, delivery: Delivery) -> Settled {
    end(shared, loaded, &End::Attempt(delivery, None)).await
}

/// What a group is settled for.
pub(super) enum End {
    /// An attempt, and what it taught about the site.
    Attempt(Delivery, Option<Taught>),
    /// Its warning or its end is due; the answer to tell of.
    Lapse(Reply),
    /// An operator gives it up; what its recipients' reports say.
    Bounced(Reply),
    /// An operator sends the message to this address instead.
    Redirected(Mailbox),
}

/// What an attempt taught about a site, recorded with it.
pub(super) struct Taught {
    pub(super) site: SiteKey,
    /// `None`: it is up again.
    pub(super) down: Option<Down>,
}

/// Commits the end of an attempt, or of patience.
pub(super) async fn end(shared: &Arc<Shared>, mut loaded: Loaded, end: &End) -> Settled {
    let nothing = Delivery::default();
    let delivery = match end {
        End::Attempt(delivery, _) => delivery,
        End::Lapse(_) | End::Bounced(_) | End::Redirected(_) => &nothing,
    };
    let effects = !delivery.effects.batch.is_empty();
    let mut pause = Duration::from_millis(100);
    let mut uncertain: Vec<After> = Vec::new();
    loop {
        let settings = shared.settings();
        let mut after = After::default();
        let committed = match prepare(shared, &settings, &loaded, end, &mut after).await {
            Ok(batch) => shared.storage.store.commit(batch).await,
            Err(error) => Err(error.into()),
        };
        match committed {
            Ok(_) => return done(shared, &loaded, end, after),
            Err(CommitError::Conflict) if is_fenced_off(shared, &loaded).await => return Settled::Gone,
            Err(CommitError::Conflict) => match shared.storage.store.get(&key::group(loaded.at)).await {
                Ok(row) if uncertain.iter().any(|after| after.left.as_deref() == row.as_deref()) => {
                    let after = uncertain.into_iter().find(|after| after.left.as_deref() == row.as_deref());
                    return done(shared, &loaded, end, after.unwrap_or_default());
                }
                Ok(None) => return Settled::Gone,
                Ok(Some(_)) if effects => return Settled::Again,
                Ok(Some(row)) => match decode(&row, "queue group") {
                    Ok(group) => (loaded.row, loaded.group) = (row, group),
                    Err(error) => {
                        tracing::error!(id = %loaded.at.id, %error, "a queued message cannot be read");
                        return Settled::Gone;
                    }
                },
                Err(error) => {
                    shared.health.storage(error);
                }
            },
            Err(CommitError::Store(error)) => {
                let lasting = !error.is_temporary();
                shared.health.storage(error);
                uncertain.push(after);
                if lasting && effects {
                    return Settled::Again;
                }
            }
        }
        tokio::select! {
            biased;
            () = shared.clock.sleep(pause) => {}
            () = shared.killed.cancelled() => return Settled::Gone,
        }
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

/// Whether another node works for the hop by now: what this one knows of the attempt counts no more.
async fn is_fenced_off(shared: &Shared, loaded: &Loaded) -> bool {
    let Some(node) = &shared.node else { return false };
    let hop = loaded.group.hop_key();
    let lost = node.has_lost(shared, &hop).await.unwrap_or(false);
    if lost {
        tracing::warn!(id = %loaded.at.id, channel = %hop.channel, hop = %hop.hop, "another node took the hop over: the attempt is not recorded");
        shared.runner.foreign(&hop, false);
    }
    lost
}

/// The same for an operator, who hears of trouble instead of waiting for its end.
pub(super) async fn once(shared: &Arc<Shared>, loaded: &Loaded, end: &End) -> Result<(), CommitError> {
    let (settings, mut after) = (shared.settings(), After::default());
    let batch = prepare(shared, &settings, loaded, end, &mut after).await?;
    match shared.storage.store.commit(batch).await {
        Ok(_) => done(shared, loaded, end, after),
        Err(error) => {
            shared.runner.queued(after.queued); // it is not known whether it took effect
            return Err(error);
        }
    };
    Ok(())
}

/// What follows once a batch has taken effect; kept while that is not known.
#[derive(Default)]
struct After {
    queued: Vec<Queued>,
    /// What it tells.
    told: Reported,
    /// The row that the batch leaves in the place of the group's.
    left: Option<Vec<u8>>,
}

fn done(shared: &Shared, loaded: &Loaded, end: &End, after: After) -> Settled {
    match end {
        End::Attempt(delivery, _) => count(shared, loaded, &delivery.outcomes),
        End::Lapse(reply) if after.left.is_none() => lapsed(shared, loaded, reply),
        End::Bounced(reply) => bounced(shared, loaded, reply),
        End::Lapse(_) | End::Redirected(_) => {}
    }
    shared.metrics.told(after.told);
    shared.runner.queued(after.queued);
    Settled::Done
}

/// The batch that ends the attempt, or the patience.
async fn prepare(
    shared: &Shared,
    settings: &Settings,
    loaded: &Loaded,
    end: &End,
    after: &mut After,
) -> Result<Batch, StoreError> {
    let now = shared.clock.now();
    let nothing = Delivery::default();
    let (delivery, next) = match end {
        End::Attempt(delivery, _) => {
            let schedule = &settings.peers.at(&loaded.group.hop).schedule;
            // Asked about every attempt: a time that is written down must not escape whoever watches the clock.
            let over = shared.runner.alarm.believes(now);
            (delivery, state::settle(&loaded.group, &delivery.outcomes, now, over, schedule, &*shared.random))
        }
        End::Lapse(reply) => (&nothing, state::lapse(&loaded.group, now, reply)),
        End::Bounced(reply) => (&nothing, state::bounce(&loaded.group, reply)),
        End::Redirected(_) => (&nothing, Next::default()),
    };
    let next = with_late(next, &loaded.message);
    let mut batch = delivery.effects.batch.clone();
    if let (Some(node), End::Attempt(..) | End::Lapse(_)) = (&shared.node, end) {
        node.fence(&mut batch, &loaded.group.hop_key());
    }
    after.left = next.group.as_ref().map(encode);
    let queued = &mut after.queued;
    let moved = replace(&mut batch, loaded, next.group.as_ref());
    queued.extend(moved);
    let mut events = Vec::new();
    if let End::Attempt(_, taught) = end {
        let (number, due) = (loaded.group.attempts + 1, next.group.as_ref().map(|group| group.due));
        events.push(attempt_event(&loaded.group, &delivery.outcomes, number, due, now));
        if let Some(Taught { site, down }) = taught {
            let row = key::down(&site.channel, site.site.as_str());
            match down {
                Some(down) => batch.put(row, encode(down)),
                None => batch.delete(&row),
            }
        }
    }
    match end {
        End::Bounced(reply) => {
            let what = What::Bounced { mailboxes: mailboxes(&loaded.group), reply: reply.clone() };
            events.push(Event { at: now, what });
        }
        End::Redirected(to) => {
            let tenant = loaded.message.origin.tenant.as_ref();
            let maker = Maker { channel: "redirect", tenant };
            let (message, more) =
                super::put_submission(shared, settings, &mut batch, redirected(loaded, to), maker).await;
            queued.extend(more);
            let (to, message) = (to.clone(), message.to_string());
            let what = What::Redirected { mailboxes: mailboxes(&loaded.group), to, message };
            events.push(Event { at: now, what });
        }
        End::Attempt(..) | End::Lapse(_) => {}
    }
    events.extend(told(loaded, delivery, &next, now));
    let tenant = loaded.group.destinations.first().map(|destination| destination.mailbox.domain());
    let maker = Maker { channel: loaded.group.channel.as_str(), tenant };
    for submission in delivery.effects.submissions.clone() {
        queued.extend(super::put_submission(shared, settings, &mut batch, submission, maker).await.1);
    }
    let (id, body) = (loaded.at.id, &loaded.group.body);
    match report::add(shared, settings, &mut batch, id, &loaded.message, body, &next.reports).await {
        Ok(issued) => {
            events.extend(issued.events);
            queued.extend(issued.queued);
            after.told = issued.told;
        }
        Err(error) if error.is_temporary() => return Err(error),
        Err(error) => tracing::error!(%id, %error, "the message cannot be read; its sender is not told"),
    }
    for (number, event) in events.iter().enumerate() {
        batch.put(key::history(loaded.at, now, number as u8), encode(event));
    }
    Ok(batch)
}

/// A sender that set a time and is told that it is over is told just that (RFC 2852 section 4.1).
fn with_late(mut next: Next, message: &super::Message) -> Next {
    if message.envelope.by.is_some_and(|by| by.late == Late::Notify) {
        for told in next.reports.iter_mut().filter(|told| told.action == report::Action::Delayed) {
            let text = format!(
                "not delivered by the time that its sender set, and tried on; the last answer was: {}",
                told.reply
            );
            let late = Reply::defer(4, 7, text).because(told.reply.to_string());
            told.reply = Reply { remote: told.reply.remote.take(), ..late };
        }
    }
    next
}

/// Replaces the rows of a group by those of what is left of it.
pub(super) fn replace(batch: &mut Batch, loaded: &Loaded, left: Option<&Group>) -> Option<Queued> {
    rows::replace(batch, &loaded.message, loaded.at, (&loaded.row, &loaded.group), left)
}

fn mailboxes(group: &Group) -> Vec<Mailbox> {
    group.destinations.iter().map(|destination| destination.mailbox.clone()).collect()
}

/// The message for another address: what the sender wanted to hear of, and about whom, stays (RFC 3461 section 5.2.7).
fn redirected(loaded: &Loaded, to: &Mailbox) -> Submission {
    let mut recipient = Recipient::new(to.clone());
    if let Some(first) = loaded.group.destinations.first() {
        let given = &first.recipient;
        let kind = if given.mailbox.is_ascii() { "rfc822" } else { "utf-8" };
        let own = || OriginalRecipient { kind: kind.into(), address: given.mailbox.to_string() };
        recipient.original = Some(given.original.clone().unwrap_or_else(own));
        recipient.notify = given.notify;
    }
    Submission {
        envelope: loaded.message.envelope.clone(),
        recipients: vec![recipient],
        body: loaded.group.body.clone(),
        kind: loaded.message.kind,
    }
}

fn told(loaded: &Loaded, delivery: &Delivery, next: &Next, now: Timestamp) -> Vec<Event> {
    let decided =
        loaded.group.destinations.iter().zip(&delivery.decisions).filter_map(|(destination, decision)| {
            let (mailbox, decision) = (destination.mailbox.clone(), decision.clone()?);
            Some(Event { at: now, what: What::Decided { mailbox, decision } })
        });
    let expired = next.expired.iter().map(|destination| {
        let what = What::Expired { mailbox: destination.mailbox.clone() };
        Event { at: now, what }
    });
    decided.chain(expired).collect()
}

/// The event of an attempt.
pub(crate) fn attempt_event(
    group: &Group,
    outcomes: &[Outcome],
    number: u32,
    next: Option<Timestamp>,
    at: Timestamp,
) -> Event {
    let outcomes = group.destinations.iter().enumerate().map(|(n, destination)| {
        let outcome = outcomes.get(n).cloned();
        let outcome =
            outcome.unwrap_or_else(|| Outcome::deferred(4, 2, "the attempt ended without an answer"));
        (destination.mailbox.clone(), outcome)
    });
    let (channel, hop) = (group.channel.clone(), group.hop.clone());
    Event { at, what: What::Attempt { channel, hop, number, outcomes: outcomes.collect(), next } }
}

/// Logs those that an operator gave up.
fn bounced(shared: &Shared, loaded: &Loaded, reply: &Reply) {
    for destination in &loaded.group.destinations {
        let (id, to, hop) = (loaded.at.id, &destination.mailbox, &loaded.group.hop);
        shared.metrics.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%id, %to, channel = %loaded.group.channel, %hop, %reply, "given up by an operator");
    }
}

/// Logs those whose time was over while they waited.
fn lapsed(shared: &Shared, loaded: &Loaded, reply: &Reply) {
    for destination in &loaded.group.destinations {
        let (id, to, hop) = (loaded.at.id, &destination.mailbox, &loaded.group.hop);
        shared.metrics.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%id, %to, channel = %loaded.group.channel, %hop, %reply, "given up: its time was over");
    }
}

fn count(shared: &Shared, loaded: &Loaded, outcomes: &[Outcome]) {
    let (now, group) = (shared.clock.now(), &loaded.group);
    let (age, took) = (now.since(loaded.message.arrived), now.since(loaded.read));
    let hop = Some(&group.hop).filter(|_| shared.outputs.contains_key(&group.channel));
    let outcome = (outcomes, group.destinations.len());
    shared.metrics.traffic.count(&group.channel, hop, outcome, (age, took));
    let (attempt, age) = (group.attempts + 1, age.as_secs());
    for (at, destination) in loaded.group.destinations.iter().enumerate() {
        let (id, to, hop) = (loaded.at.id, &destination.mailbox, &loaded.group.hop);
        match outcomes.get(at) {
            Some(Outcome::Done(_, reply)) => {
                shared.metrics.delivered.fetch_add(1, Ordering::Relaxed);
                tracing::info!(%id, %to, channel = %loaded.group.channel, %hop, attempt, age, %reply, "delivered");
            }
            Some(Outcome::Failed(reply)) => {
                shared.metrics.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%id, %to, channel = %loaded.group.channel, %hop, attempt, age, %reply, cause = reply.cause, "failed");
            }
            Some(Outcome::Deferred(reply)) => {
                shared.metrics.deferred.fetch_add(1, Ordering::Relaxed);
                tracing::info!(%id, %to, channel = %loaded.group.channel, %hop, attempt, age, %reply, cause = reply.cause, "deferred");
            }
            None => {
                shared.metrics.deferred.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%id, %to, channel = %loaded.group.channel, %hop, attempt, age, "no answer");
            }
        }
    }
}
