//! Putting messages into the queue: the rows of a message and its groups, added to a batch.

use std::collections::BTreeMap;

use super::key::{self, GroupId, HopKey};
use super::lane::Lane;
use super::record::{Accepted, Group, Message, Origin, State, encode};
use super::{Priority, rows};
use crate::deliver::{Destination, Submission};
use crate::engine::Shared;
use crate::message::{Body, ChannelId, Domain, Kind, Late, NextHop, QueueId, Secrecy};
use crate::preprocess::Policy;
use crate::route::{self, Route, UNROUTED, Way};
use crate::seam::Timestamp;
use crate::settings::Settings;
use crate::storage::Batch;

/// A group that a batch puts into the queue, or leaves there: told to the runner after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) hop: HopKey,
    pub(crate) lane: Lane,
    pub(crate) state: State,
    pub(crate) due: Timestamp,
    pub(crate) deadline: Timestamp,
    pub(crate) at: GroupId,
    /// In KiB.
    pub(crate) size: u32,
}

/// The hop by which a message travels a way: where its sender waives protection, that of the channel for such messages.
pub(crate) fn hop_of(shared: &Shared, secrecy: Secrecy, channel: ChannelId, hop: NextHop) -> HopKey {
    let waiving =
        |channel| shared.outputs.get(channel)?.waiving().filter(|id| shared.outputs.contains_key(*id));
    let other = (secrecy == Secrecy::Waived).then(|| waiving(&channel).cloned()).flatten();
    HopKey { channel: other.unwrap_or(channel), hop }
}

/// A fresh group of a message. Nobody is told that a notice of ours is late; one about spam lives short.
pub(crate) fn group(
    settings: &Settings,
    now: Timestamp,
    message: &Message,
    hop: HopKey,
    destinations: Vec<Destination>,
    body: Body,
) -> Group {
    let schedule = &settings.peers.at(&hop.hop).schedule;
    let priority = priority(settings, message, &destinations);
    let life = match message.kind {
        Kind::SpamReport => settings.reports.spam_expire.min(schedule.expire),
        _ => schedule.expire,
    };
    // How long it is tried counts from when it may go; until when it may, from when it came.
    let from = message.envelope.release.map_or(now, |release| release.at.max(now));
    let mut expires = from.after(life);
    let mut warn = schedule.warn.filter(|_| message.kind == Kind::Ordinary).map(|warn| from.after(warn));
    match message.envelope.by {
        Some(by) if by.late == Late::Return => expires = expires.min(by.at),
        Some(by) => warn = Some(by.at),
        None => {}
    }
    Group {
        channel: hop.channel,
        hop: hop.hop,
        destinations,
        body,
        state: if from > now { State::Scheduled } else { State::Waiting },
        lane: Lane::new(priority.get(), &message.flow()),
        attempts: 0,
        due: from,
        expires,
        warn,
        last_reply: None,
    }
}

/// The highest that any of its recipients gives it; where no rule speaks about it, what its sender wishes.
fn priority(settings: &Settings, message: &Message, destinations: &[Destination]) -> Priority {
    let (sender, tenant) = (message.envelope.sender.to_string(), message.origin.tenant.as_ref());
    let of = |d: &Destination| settings.sources.priority(&sender, tenant, &d.recipient.mailbox);
    let ruled = destinations.iter().map(of).max().unwrap_or_default();
    let wish = message.envelope.priority.and_then(|wish| Priority::try_from(i64::from(wish)).ok());
    if ruled == Priority::NORMAL { wish.unwrap_or_default() } else { ruled }
}

/// Adds the rows of a message.
pub(crate) fn put_message(batch: &mut Batch, id: QueueId, message: &Message) {
    let key = key::message(id);
    batch.require_absent(&key);
    batch.put(key, encode(message));
}

/// Who makes a message inside the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker<'a> {
    /// An agent, or what else stands for an input channel.
    pub(crate) channel: &'a str,
    /// On whose behalf.
    pub(crate) tenant: Option<&'a Domain>,
}

/// Adds a new message of our own making: a report, a list copy, a redirect. Recipients that cannot be routed now
/// wait in the queue like any other: nothing is refused here, as nobody is there to hear it.
pub(crate) async fn put_submission(
    shared: &Shared,
    settings: &Settings,
    batch: &mut Batch,
    submission: Submission,
    maker: Maker<'_>,
) -> (QueueId, Vec<Queued>) {
    let now = shared.clock.now();
    let id = QueueId::new(now, &*shared.random);
    let mut accepted = Vec::new();
    let mut by_hop: BTreeMap<HopKey, Vec<Destination>> = BTreeMap::new();
    for recipient in submission.recipients {
        let routed = route::route(shared, settings, &recipient.mailbox).await;
        let route = routed.unwrap_or_else(|reply| unrouted(&recipient.mailbox, &reply.to_string()));
        let decision = Policy::new().decide(&[]);
        accepted.push(Accepted {
            recipient: recipient.clone(),
            targets: route.ways.iter().map(target).collect(),
            reason: route.reason,
            decision: decision.clone(),
        });
        for way in route.ways {
            let hop = hop_of(shared, submission.envelope.secrecy, way.channel, way.hop);
            let (mailbox, detail, recipient) = (way.mailbox, way.detail, recipient.clone());
            by_hop.entry(hop).or_default().push(Destination {
                mailbox,
                detail,
                recipient,
                decision: decision.clone(),
            });
        }
    }
    let message = Message {
        kind: submission.kind,
        envelope: submission.envelope,
        size: submission.body.size(),
        arrived: now,
        origin: own_origin(maker),
        recipients: accepted,
        verdicts: Vec::new(),
        events: Vec::new(),
    };
    put_message(batch, id, &message);
    let mut queued = Vec::new();
    for (number, (hop, destinations)) in by_hop.into_iter().enumerate() {
        let group = group(settings, now, &message, hop, destinations, submission.body.clone());
        queued.push(rows::insert(batch, &message, GroupId { id, group: number as u16 }, &group));
    }
    (id, queued)
}

/// Where a way leads, for the record.
pub(crate) fn target(way: &Way) -> (ChannelId, NextHop, String) {
    (way.channel.clone(), way.hop.clone(), way.mailbox.to_string())
}

fn unrouted(mailbox: &crate::message::Mailbox, why: &str) -> Route {
    let way = Way {
        channel: ChannelId::new(UNROUTED),
        hop: NextHop::new(mailbox.domain().as_str()),
        mailbox: mailbox.clone(),
        detail: None,
        agent: false,
    };
    Route { ways: vec![way], reason: format!("not routed yet: {why}"), local: false }
}

fn own_origin(maker: Maker<'_>) -> Origin {
    Origin {
        channel: ChannelId::new(maker.channel),
        peer: None,
        host: None,
        helo: String::new(),
        protocol: "local".into(),
        tls: None,
        account: None,
        credential: None,
        upstream: None,
        tenant: maker.tenant.cloned(),
    }
}
