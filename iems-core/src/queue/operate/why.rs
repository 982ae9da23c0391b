//! Finding out why a group waits: from its record, what the runner knows of its hop and site, and the settings.

use super::waits::{RateOf, Waits};
use super::{Queue, QueueError};
use crate::engine::Shared;
use crate::queue::hops::Runner;
use crate::queue::key::{self, GroupId, HopKey};
use crate::queue::lane::Lane;
use crate::queue::pause::{Pause, Pauses};
use crate::queue::site::{Bar, SiteKey};
use crate::queue::{Group, Message, Peer, State};
use crate::route::UNROUTED;
use crate::seam::Timestamp;
use crate::settings::Settings;
use crate::storage::StoreError;

/// What stands between a hop and its next attempt, as memory knows it.
pub(super) struct Standing {
    pub(super) pause: Option<(Pause, bool)>,
    pub(super) site: Option<SiteKey>,
    pub(super) bars: Vec<Bar>,
    /// Links open, and how many there may be.
    pub(super) links: (usize, usize),
    pub(super) workers: usize,
    /// Workers of all hops.
    pub(super) in_all: usize,
}

impl Runner {
    pub(super) fn standing(&self, key: &HopKey, most: usize) -> Standing {
        let now = self.now();
        let inner = self.lock();
        let hop = inner.hops.get(key);
        let site = hop.and_then(|hop| hop.site.clone());
        let book = site.as_ref().and_then(|site| inner.sites.get(site));
        let free = most.saturating_sub(inner.workers);
        let pause = inner.pauses.of(key).map(|pause| (pause.clone(), inner.pauses.all() == Some(pause)));
        Standing {
            pause,
            bars: book.map(|book| book.bars(now, free)).unwrap_or_default(),
            links: book.map_or((0, 0), |book| book.load()),
            site,
            workers: hop.map_or(0, |hop| hop.workers),
            in_all: inner.workers,
        }
    }

    /// Whether the group is being attempted; until when its lane is kept back; how many come before it, if it is in memory.
    fn place(&self, key: &HopKey, lane: Lane, at: GroupId) -> (bool, Option<Timestamp>, Option<usize>) {
        let now = self.now();
        let inner = self.lock();
        let Some(hop) = inner.hops.get(key) else { return (false, None, None) };
        let blocked = hop.lanes.blocked(lane).filter(|until| *until > now);
        (hop.in_flight.contains(&at), blocked, hop.lanes.turns_before(lane, at))
    }
}

impl Queue {
    /// Why a group waits: all that holds it, what holds it first in front. Never empty.
    pub(super) async fn waits(
        &self,
        at: GroupId,
        group: &Group,
        message: &Message,
    ) -> Result<Vec<Waits>, QueueError> {
        let hop = group.hop_key();
        let engine = self.engine.as_ref().filter(|engine| engine.runner.is_running());
        let (under_way, blocked, before) =
            engine.map_or((false, None, None), |engine| engine.runner.place(&hop, group.lane, at));
        if under_way {
            return Ok(vec![Waits::UnderWay]);
        }
        let mut waits = Vec::new();
        if engine.is_none() {
            waits.push(Waits::NotRunning);
        }
        match group.state {
            State::Held => waits.push(Waits::Held),
            State::Deferred if group.due > self.clock.now() => waits.push(Waits::NotDue {
                until: group.due,
                attempts: group.attempts,
                origin: self.origin(&hop),
            }),
            State::Scheduled if group.due > self.clock.now() => {
                waits.push(Waits::Scheduled { until: group.due });
            }
            State::Deferred | State::Scheduled | State::Waiting => {}
        }
        match engine {
            None => waits.extend(Pauses::read(&*self.storage.store).await?.of(&hop).map(paused)),
            Some(engine) => {
                let settings = engine.settings();
                waits.extend(self.elsewhere(&hop).await?.map(|node| Waits::Elsewhere { node }));
                waits.extend(of_hop(engine, &settings, &hop));
                waits.extend(of_source(engine, &settings, message, blocked));
                if waits.is_empty() {
                    waits.push(self.turn(&hop, group.lane, at, before).await?);
                }
            }
        }
        Ok(waits)
    }

    /// The engine on the same store, but not this one, that works for a hop.
    pub(super) async fn elsewhere(&self, hop: &HopKey) -> Result<Option<String>, StoreError> {
        match self.engine.as_ref().and_then(|engine| Some((engine, engine.node.as_ref()?))) {
            Some((engine, node)) => node.elsewhere(engine, hop).await,
            None => Ok(None),
        }
    }

    fn origin(&self, hop: &HopKey) -> String {
        let settings = self.engine.as_ref().map(|engine| engine.settings());
        settings.map_or_else(|| "default".into(), |settings| settings.peers.at(&hop.hop).origin.clone())
    }
}

/// What holds every group of a hop.
pub(super) fn of_hop(engine: &Shared, settings: &Settings, hop: &HopKey) -> Vec<Waits> {
    let standing = engine.runner.standing(hop, settings.concurrency);
    let mut waits = Vec::new();
    if let Some((pause, all)) = &standing.pause {
        waits.push(Waits::Paused { all: *all, since: pause.since, reason: pause.reason.clone() });
    }
    if !engine.health.delivers() {
        let health = engine.health.read();
        let trouble = health.troubles.first().map_or_else(String::new, |worst| worst.reason.clone());
        waits.push(Waits::Storage { trouble });
    }
    let known = engine.outputs.contains_key(&hop.channel)
        || engine.agents.contains_key(&hop.channel)
        || hop.channel.as_str() == UNROUTED;
    if !known {
        waits.push(Waits::NoChannel { channel: hop.channel.clone() });
    }
    let peer = settings.peers.at(&hop.hop);
    let name = standing.site.as_ref().map_or_else(String::new, |site| site.site.to_string());
    waits.extend(standing.bars.iter().map(|bar| barred(bar, &name, &standing, settings, peer)));
    if standing.bars.is_empty() && standing.workers == 0 && standing.in_all >= settings.concurrency {
        waits.push(attempts(&standing, settings));
    }
    waits
}

fn attempts(standing: &Standing, settings: &Settings) -> Waits {
    let (under_way, most) = (standing.in_all, settings.concurrency);
    Waits::Attempts { under_way, most, origin: settings.concurrency_origin.clone() }
}

fn barred(bar: &Bar, site: &str, standing: &Standing, settings: &Settings, peer: &Peer) -> Waits {
    let site = site.to_owned();
    match bar {
        Bar::Down(down) => Waits::SiteDown {
            site,
            since: down.since,
            next: down.next,
            probes: down.probes,
            reply: down.reply.to_string(),
        },
        Bar::Rest(until) => Waits::SiteRests { site, until: *until },
        Bar::Links(most) if *most < standing.links.1 => attempts(standing, settings),
        Bar::Links(most) => Waits::Links {
            site,
            taken: standing.links.0.max(*most),
            allowed: standing.links.1,
            most: peer.concurrency,
            origin: peer.origin.clone(),
        },
        Bar::Rate(rate, until) => Waits::rate(RateOf::Site, &site, rate, *until, &peer.origin),
    }
}

/// The rates of the message's source that hold it.
fn of_source(
    engine: &Shared,
    settings: &Settings,
    message: &Message,
    blocked: Option<Timestamp>,
) -> Vec<Waits> {
    let (sender, tenant) = (message.envelope.sender.to_string(), message.origin.tenant.as_ref());
    let rates = settings.sources.rate(&sender, tenant);
    let (now, flow) = (engine.clock.now(), message.flow());
    let inner = engine.runner.lock();
    let mut waits = Vec::new();
    if let Some(rate) = rates.sender
        && let Some(until) = inner.senders.peek(&flow, &rate, now)
    {
        let until = blocked.map_or(until, |blocked| blocked.max(until));
        waits.push(Waits::rate(RateOf::Sender, &flow, &rate, until, settings.sources.sender_origin(&sender)));
    }
    if let (Some(tenant), Some(rate)) = (tenant, rates.tenant)
        && let Some(until) = inner.tenants.peek(tenant.as_str(), &rate, now)
    {
        waits.push(Waits::rate(
            RateOf::Tenant,
            tenant.as_str(),
            &rate,
            until,
            settings.sources.tenant_origin(tenant),
        ));
    }
    waits
}

fn paused(pause: &Pause) -> Waits {
    Waits::Paused { all: false, since: pause.since, reason: pause.reason.clone() }
}

impl Queue {
    /// What stands before a group that nothing holds.
    async fn turn(
        &self,
        hop: &HopKey,
        lane: Lane,
        at: GroupId,
        before: Option<usize>,
    ) -> Result<Waits, QueueError> {
        if let Some(before) = before {
            return Ok(if before == 0 { Waits::Ready } else { Waits::Turn { before: Some(before) } });
        }
        // It is not among the heads in memory: others of its lane, or of other lanes, come before it.
        let ready = key::ready(hop, lane, at);
        let scan = crate::storage::Scan::prefix(&key::lane(hop, lane), 1).ending_before(&ready);
        let first = self.storage.store.scan(scan).await?;
        Ok(if first.is_empty() { Waits::Ready } else { Waits::Turn { before: None } })
    }
}
