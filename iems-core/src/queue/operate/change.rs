//! Carrying out an order: one commit a group, many of them at a time, so that the store can write them together.
//!
//! Every commit requires that the group is still as it was read; if an attempt ended meanwhile, it is read again.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::find::Walk;
use super::{Done, Extent, Filter, Order, Queue, QueueError};
use crate::engine::Shared;
use crate::message::{ChannelId, EnhancedStatus, Reply};
use crate::queue::claim::Claim;
use crate::queue::key::{self, HopKey};
use crate::queue::load::Loaded;
use crate::queue::record::encode;
use crate::queue::settle::{self, End};
use crate::queue::{Group, State};
use crate::report::{Event, What};
use crate::route::UNROUTED;
use crate::seam::Timestamp;
use crate::storage::{Batch, CommitError};

/// Groups changed at a time.
const TOGETHER: usize = 64;
/// How often a group that changes meanwhile is read again.
const TRIES: usize = 8;

/// What became of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Changed,
    Unchanged,
    UnderWay,
}

impl Queue {
    /// Does to the groups that `filter` means what `order` says. Costs in proportion to what is found. Dropping the future
    /// leaves some groups changed and others not; doing it again completes it.
    ///
    /// # Errors
    /// The first one; groups before it are changed. [`QueueError::NoEngine`] for what a bare store cannot do.
    pub async fn carry_out(
        &self,
        order: &Order,
        filter: &Filter,
        extent: &Extent,
    ) -> Result<Done, QueueError> {
        self.check(order)?;
        let (mut done, mut looked_at) = (Done::default(), 0);
        let mut walk = Walk::new(self, filter, extent.after.as_ref()).await?;
        let (mut together, mut place, mut ended) = (Vec::new(), None, false);
        while !ended {
            match walk.next().await? {
                Some((loaded, mark)) => {
                    looked_at += 1;
                    if done.first.len() < extent.show && self.fate(order, &loaded) == Fate::Changed {
                        done.first.push(self.entry(loaded.clone(), mark.clone()).await?);
                    }
                    together.push(loaded);
                    place = Some(mark);
                    ended = looked_at >= extent.most;
                }
                None => (place, ended) = (None, true),
            }
            if together.len() >= TOGETHER || ended {
                self.all_of(order, std::mem::take(&mut together), extent.trial, &mut done).await?;
            }
        }
        done.next = place;
        Ok(done)
    }

    /// Makes the groups that `filter` means due now; how many. See [`Order::Retry`].
    pub async fn retry(&self, filter: &Filter) -> Result<usize, QueueError> {
        let done = self.carry_out(&Order::Retry, filter, &Extent::default()).await?;
        Ok(usize::try_from(done.changed).unwrap_or(usize::MAX))
    }

    /// Removes the groups that `filter` means, without a report to anybody; how many. See [`Order::Purge`].
    pub async fn purge(&self, filter: &Filter) -> Result<usize, QueueError> {
        let done = self.carry_out(&Order::Purge, filter, &Extent::default()).await?;
        Ok(usize::try_from(done.changed).unwrap_or(usize::MAX))
    }

    /// Whether the order can be carried out here at all.
    fn check(&self, order: &Order) -> Result<(), QueueError> {
        match (order, &self.engine) {
            (Order::Bounce(_) | Order::Redirect(_), None) => Err(QueueError::NoEngine),
            (Order::Via(channel, _), Some(engine)) => {
                let outputs: Vec<_> = engine.outputs.keys().collect();
                known(channel, &outputs)
            }
            _ => Ok(()),
        }
    }

    async fn all_of(
        &self,
        order: &Order,
        together: Vec<Loaded>,
        trial: bool,
        done: &mut Done,
    ) -> Result<(), QueueError> {
        let hops: BTreeSet<HopKey> = together.iter().map(|loaded| loaded.group.hop_key()).collect();
        let fates: Vec<Result<Fate, QueueError>> = match trial {
            true => together.iter().map(|loaded| Ok(self.fate(order, loaded))).collect(),
            false => join_all(together.into_iter().map(|loaded| self.one(order, loaded))).await,
        };
        for fate in fates {
            match fate? {
                Fate::Changed => done.changed += 1,
                Fate::Unchanged => done.unchanged += 1,
                Fate::UnderWay => done.under_way += 1,
            }
        }
        if let (Order::Retry | Order::Release, false, Some(engine)) = (order, trial, &self.engine) {
            hops.iter().for_each(|hop| engine.runner.wake(hop));
        }
        Ok(())
    }

    /// What the order would do to a group as it is.
    fn fate(&self, order: &Order, loaded: &Loaded) -> Fate {
        let (held, scheduled) = (loaded.group.state == State::Held, loaded.group.state == State::Scheduled);
        let flies = || {
            let runner = self.engine.as_ref().map(|engine| &engine.runner);
            runner.is_some_and(|runner| runner.is_in_flight(&loaded.group.hop_key(), loaded.at))
        };
        match order {
            Order::Hold if held => Fate::Unchanged,
            Order::Release if !held && !scheduled => Fate::Unchanged,
            Order::Retry if held || scheduled => Fate::Unchanged,
            Order::Via(channel, hop) if loaded.group.channel == *channel && loaded.group.hop == *hop => {
                Fate::Unchanged
            }
            order if order.is_exclusive() && flies() => Fate::UnderWay,
            _ => Fate::Changed,
        }
    }

    async fn one(&self, order: &Order, mut loaded: Loaded) -> Result<Fate, QueueError> {
        for _ in 0..TRIES {
            match self.fate(order, &loaded) {
                Fate::Changed => {}
                other => return Ok(other),
            }
            let at = loaded.at;
            match self.attempt(order, &loaded).await {
                Ok(true) => {
                    let hop = loaded.group.hop_key();
                    tracing::info!(id = %at.id, group = at.group, channel = %hop.channel, hop = %hop.hop, order = order.name(), "ordered by an operator");
                    return Ok(Fate::Changed);
                }
                Ok(false) => return Ok(Fate::UnderWay),
                Err(CommitError::Conflict) => match self.load(at).await? {
                    Some(again) => loaded = again,
                    None => return Ok(Fate::Unchanged),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict.into())
    }

    /// One commit for one group; `false` if an attempt is under way that must not be met, or may be in another process.
    async fn attempt(&self, order: &Order, loaded: &Loaded) -> Result<bool, CommitError> {
        let hop = loaded.group.hop_key();
        if order.is_exclusive() && self.elsewhere(&hop).await?.is_some() {
            return Ok(false);
        }
        let _claim = match &self.engine {
            Some(engine) if order.is_exclusive() => match Claim::lay(engine, &hop, loaded.at) {
                Some(claim) => Some(claim),
                None => return Ok(false),
            },
            _ => None,
        };
        match (&self.engine, order) {
            (Some(engine), Order::Bounce(text)) => {
                settle::once(engine, loaded, &End::Bounced(refusal(text.as_deref()))).await?;
            }
            (Some(engine), Order::Redirect(to)) => {
                settle::once(engine, loaded, &End::Redirected(to.clone())).await?;
            }
            _ => self.simply(order, loaded).await?,
        }
        Ok(true)
    }

    /// What changes nothing but the group.
    async fn simply(&self, order: &Order, loaded: &Loaded) -> Result<(), CommitError> {
        let now = self.clock.now();
        let mut batch = Batch::new();
        let queued = settle::replace(&mut batch, loaded, left(order, loaded, now).as_ref());
        let event = Event { at: now, what: told(order, &loaded.group) };
        batch.put(key::history(loaded.at, now, u8::MAX), encode(&event));
        let committed = self.storage.store.commit(batch).await;
        if let (Some(engine), Some(queued)) = (&self.engine, queued) {
            engine.runner.queued(vec![queued]); // also if it is not known whether it took effect
        }
        committed.map(|_| ())
    }
}

impl Shared {
    /// Whether a channel or agent has this name.
    pub(super) fn channel_named(&self, name: &ChannelId) -> Result<(), QueueError> {
        let unrouted = ChannelId::new(UNROUTED);
        let all: Vec<_> = self.outputs.keys().chain(self.agents.keys()).chain([&unrouted]).collect();
        known(name, &all)
    }
}

fn known(name: &ChannelId, all: &[&ChannelId]) -> Result<(), QueueError> {
    if all.contains(&name) {
        return Ok(());
    }
    let mut all: Vec<&str> = all.iter().map(|name| name.as_str()).collect();
    all.sort_unstable();
    Err(QueueError::NoChannel { name: name.to_string(), known: all.join(", ") })
}

/// The group as a simple order leaves it.
fn left(order: &Order, loaded: &Loaded, now: Timestamp) -> Option<Group> {
    let group = &loaded.group;
    // What its sender wants to go later goes then, whoever held or rerouted it; only its own release is for now.
    let later = loaded.message.envelope.release.map(|release| release.at);
    let later = later.filter(|release| *release > now && group.attempts == 0);
    let later = later.filter(|_| !(group.state == State::Scheduled && *order == Order::Release));
    let (due, state) = match later {
        Some(release) => (release.min(group.expires), State::Scheduled),
        None => (now.min(group.expires), State::Waiting),
    };
    match order {
        Order::Hold => Some(Group { state: State::Held, ..group.clone() }),
        Order::Via(channel, hop) => {
            let (channel, hop) = (channel.clone(), hop.clone());
            Some(Group { channel, hop, due, state, ..group.clone() })
        }
        Order::Release | Order::Retry => Some(Group { due, state, ..group.clone() }),
        Order::Purge | Order::Bounce(_) | Order::Redirect(_) => None,
    }
}

fn told(order: &Order, group: &Group) -> What {
    match order {
        Order::Via(channel, hop) => What::Rerouted {
            from: (group.channel.clone(), group.hop.clone()),
            to: (channel.clone(), hop.clone()),
        },
        order => What::Administered { action: order.name().into() },
    }
}

/// What the sender of a bounced message is told (RFC 3463: 5.3.0, other mail system status).
fn refusal(text: Option<&str>) -> Reply {
    let text = text.unwrap_or("the administrator of this system gave the message up");
    Reply::new(554, EnhancedStatus::new(5, 3, 0), text)
}
