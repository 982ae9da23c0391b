//! The queue: listings, one entry a message, and orders.

use std::collections::HashSet;
use std::time::Duration;

use iems_core::message::QueueId;
use iems_core::queue::{self, Entry, QueueError, State};
use iems_core::route::Via;
use iems_core::seam::{Clock, SystemClock, Timestamp};

use super::Site;
use super::hops::canonical;
use crate::admin::queue::{Extent, Filter, Order, OrderAnswer, QueueAnswer, Waiting, WaitsAnswer};
use crate::config;
use crate::exit::Failure;

/// The most messages in a listing.
const MOST: usize = 100_000;

impl Site {
    pub(super) async fn queue_list(&self, filter: Filter) -> Result<Vec<QueueAnswer>, Failure> {
        let limit = filter.limit.unwrap_or(MOST).min(MOST);
        let after = mark(filter.after.as_deref())?;
        let mut entries = Vec::new();
        for filter in filters(filter)? {
            entries.extend(self.engine.queue().page(&filter, after.as_ref(), limit).await?);
        }
        let mut messages = merge(entries);
        messages.truncate(limit);
        Ok(messages)
    }

    pub(super) async fn queue_show(&self, id: QueueId) -> Result<QueueAnswer, Failure> {
        let filter = Filter { ids: vec![id], ..Filter::default() };
        self.queue_list(filter).await?.pop().ok_or_else(|| {
            Failure::data(format!(
                "{id} does not wait in the queue; `iems explain {id}` tells what became of it"
            ))
        })
    }

    pub(super) async fn queue_order(
        &self,
        filter: Filter,
        order: Order,
        extent: Extent,
    ) -> Result<OrderAnswer, Failure> {
        let (order, named) = (meant(order)?, !filter.ids.is_empty());
        let mut limits = queue::Extent::default();
        (limits.trial, limits.show) = (extent.trial, extent.show);
        limits.after = mark(filter.after.as_deref())?;
        // Named messages are few, and go in one go.
        limits.most = extent.most.filter(|_| !named).unwrap_or(usize::MAX);
        let (mut answer, mut first) =
            (OrderAnswer { dry_run: extent.trial, ..OrderAnswer::default() }, Vec::new());
        for filter in filters(filter)? {
            let done = self.engine.queue().carry_out(&order, &filter, &limits).await?;
            answer.changed += done.changed;
            answer.unchanged += done.unchanged;
            answer.under_way += done.under_way;
            answer.next = done.next.map(|next| next.to_string());
            first.extend(done.first);
        }
        first.truncate(extent.show);
        answer.first = merge(first);
        match answer.changed + answer.unchanged + answer.under_way == 0 && named {
            true => Err(Failure::data("none of these messages waits in the queue")),
            false => Ok(answer),
        }
    }
}

/// The order in the engine's words.
fn meant(order: Order) -> Result<queue::Order, Failure> {
    Ok(match order {
        Order::Hold => queue::Order::Hold,
        Order::Release => queue::Order::Release,
        Order::Retry => queue::Order::Retry,
        Order::Purge => queue::Order::Purge,
        Order::Bounce(text) => queue::Order::Bounce(text),
        Order::Redirect(to) => queue::Order::Redirect(to),
        Order::Via(way) => match config::way(&way) {
            Some(Via::Channel { channel, hop: Some(hop) }) => queue::Order::Via(channel, hop),
            _ => {
                return Err(Failure::usage(format!(
                    "{way:?} is no way: expected smtp:host, smtp:host:port, lmtp:host:port, lmtp:/path or batch:name"
                )));
            }
        },
    })
}

fn mark(after: Option<&str>) -> Result<Option<queue::Mark>, Failure> {
    after.map(str::parse).transpose().map_err(Failure::usage)
}

/// The filter in the engine's words, once for each message that is named.
fn filters(filter: Filter) -> Result<Vec<queue::Filter>, Failure> {
    let mut common = queue::Filter::default();
    common.sender = filter.sender.map(|sender| sender.trim_matches(['<', '>']).to_owned());
    common.recipient = filter.recipient.map(|recipient| recipient.to_string());
    common.domain = filter.domain;
    common.hop = filter.hop.as_deref().map(canonical);
    common.tenant = filter.tenant;
    common.reply = filter.reply;
    common.older_than = filter.older.map(Duration::from_secs);
    common.younger_than = filter.younger.map(Duration::from_secs);
    common.spam_reports = filter.spam_reports;
    common.state = match filter.state.as_deref() {
        None => None,
        Some("waiting") => Some(State::Waiting),
        Some("deferred") => Some(State::Deferred),
        Some("held") => Some(State::Held),
        Some("scheduled") => Some(State::Scheduled),
        Some(other) => {
            return Err(Failure::usage(format!(
                "{other:?} is not a state: waiting, deferred, held or scheduled"
            )));
        }
    };
    let mut seen = HashSet::new();
    let one = |id: &QueueId| {
        let mut one = common.clone();
        one.id = Some(*id);
        one
    };
    match filter.ids.is_empty() {
        true => Ok(vec![common]),
        false => Ok(filter.ids.iter().filter(|id| seen.insert(**id)).map(one).collect()),
    }
}

/// Groups of one message that stand one behind the other become one entry.
fn merge(entries: Vec<Entry>) -> Vec<QueueAnswer> {
    let (mut messages, now) = (Vec::<QueueAnswer>::new(), SystemClock.now());
    for entry in entries {
        let next = answer(&entry, now);
        match messages.last_mut().filter(|last| last.id == next.id) {
            Some(message) => join(message, next),
            None => messages.push(next),
        }
    }
    messages
}

fn answer(entry: &Entry, now: Timestamp) -> QueueAnswer {
    let waiting = |address: &String| Waiting {
        address: address.clone(),
        channel: entry.channel.to_string(),
        hop: entry.hop.to_string(),
    };
    // What is behind a site that is down is put off as much as what found it out.
    let down = entry.waits.iter().find_map(|why| match why {
        queue::Waits::SiteDown { next, reply, .. } if !entry.in_flight => Some((*next, reply.clone())),
        _ => None,
    });
    let next_attempt = down.as_ref().map_or(entry.next_attempt, |(next, _)| entry.next_attempt.max(*next));
    let state = match (entry.in_flight, entry.state) {
        (true, _) => "active",
        (false, State::Waiting) if down.is_some() => "deferred",
        (false, State::Waiting) => "waiting",
        (false, State::Deferred) => "deferred",
        (false, State::Held) => "held",
        (false, State::Scheduled) => "scheduled",
    };
    QueueAnswer {
        id: entry.id.to_string(),
        kind: entry.kind.to_string(),
        sender: entry.sender.clone(),
        tenant: entry.tenant.as_ref().map(ToString::to_string),
        recipients: entry.recipients.iter().map(waiting).collect(),
        state: state.into(),
        waits: waits(&entry.waits, now),
        priority: entry.priority,
        size: entry.size,
        arrived: entry.arrived.to_string(),
        age: now.since(entry.arrived).as_secs(),
        attempts: entry.attempts,
        next_attempt: next_attempt.to_string(),
        expires: entry.expires.to_string(),
        last_reply: entry.last_reply.clone().or_else(|| down.map(|(_, reply)| reply)),
        after: entry.mark.to_string(),
    }
}

/// Reasons for people and for programs.
pub(super) fn waits(waits: &[queue::Waits], now: Timestamp) -> Vec<WaitsAnswer> {
    let answer = |why: &queue::Waits| WaitsAnswer {
        text: why.to_string(),
        brief: why.brief(now),
        reason: match serde_json::to_value(why) {
            Ok(serde_json::Value::Object(reason)) => reason,
            _ => serde_json::Map::new(),
        },
    };
    waits.iter().map(answer).collect()
}

fn join(message: &mut QueueAnswer, next: QueueAnswer) {
    message.recipients.extend(next.recipients);
    message.attempts = message.attempts.max(next.attempts);
    message.priority = message.priority.max(next.priority);
    if next.next_attempt < message.next_attempt {
        message.next_attempt = next.next_attempt;
    }
    if message.state != "active" && next.state != "waiting" {
        message.state = next.state;
    }
    for why in next.waits {
        if !message.waits.contains(&why) {
            message.waits.push(why);
        }
    }
    message.last_reply = message.last_reply.take().or(next.last_reply);
    message.after = next.after;
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Store(error) => error.into(),
            QueueError::NoChannel { .. } => Self::usage(error),
            error if error.is_temporary() => Self::later(error),
            error => Self::unavailable(error),
        }
    }
}
