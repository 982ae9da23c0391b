//! The queue: listings and orders, one entry a message.

use std::collections::HashSet;
use std::time::Duration;

use iems_core::message::QueueId;
use iems_core::queue::{self, Entry, QueueError, State};
use iems_core::seam::{Clock, SystemClock};

use super::Site;
use crate::admin::answer::{Count, QueueAnswer, Waiting};
use crate::admin::request::Filter;
use crate::exit::Failure;

/// The most messages in a listing.
const MOST: usize = 100_000;

impl Site {
    pub(super) async fn queue_list(&self, filter: Filter) -> Result<Vec<QueueAnswer>, Failure> {
        let limit = filter.limit.unwrap_or(MOST).min(MOST);
        let mut entries = Vec::new();
        for filter in filters(filter)? {
            // One more than asked for: the last message may have more groups, and is then whole or left out.
            entries.extend(self.engine.queue().list(&filter, limit.saturating_mul(2).max(1000)).await?);
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

    pub(super) async fn queue_retry(&self, filter: Filter) -> Result<Count, Failure> {
        let (mut entries, named) = (0, !filter.ids.is_empty());
        for filter in filters(filter)? {
            entries += self.engine.queue().retry(&filter).await? as u64;
        }
        found(entries, named)
    }

    pub(super) async fn queue_purge(&self, filter: Filter) -> Result<Count, Failure> {
        let (mut entries, named) = (0, !filter.ids.is_empty());
        for filter in filters(filter)? {
            entries += self.engine.queue().purge(&filter).await? as u64;
        }
        found(entries, named)
    }
}

/// An order about named messages that met none of them was not carried out.
fn found(entries: u64, named: bool) -> Result<Count, Failure> {
    match entries == 0 && named {
        true => Err(Failure::data("none of these messages waits in the queue")),
        false => Ok(Count { entries }),
    }
}

/// The filter in the engine's words, once for each message that is named.
fn filters(filter: Filter) -> Result<Vec<queue::Filter>, Failure> {
    let mut common = queue::Filter::default();
    common.sender = filter.sender.map(|sender| sender.trim_matches(['<', '>']).to_owned());
    common.recipient = filter.recipient.map(|recipient| recipient.to_string());
    common.domain = filter.domain;
    common.older_than = filter.older.map(Duration::from_secs);
    common.spam_reports = filter.spam_reports;
    common.state = match filter.state.as_deref() {
        None => None,
        Some("waiting") => Some(State::Waiting),
        Some("deferred") => Some(State::Deferred),
        Some(other) => return Err(Failure::usage(format!("{other:?} is not a state: waiting or deferred"))),
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

/// Groups of one message become one entry. They stand one behind the other.
fn merge(entries: Vec<Entry>) -> Vec<QueueAnswer> {
    let mut messages: Vec<QueueAnswer> = Vec::new();
    for entry in entries {
        let next = answer(&entry);
        match messages.last_mut().filter(|last| last.id == next.id) {
            Some(message) => join(message, next),
            None => messages.push(next),
        }
    }
    messages
}

fn answer(entry: &Entry) -> QueueAnswer {
    let waiting = |address: &String| Waiting {
        address: address.clone(),
        channel: entry.channel.to_string(),
        hop: entry.hop.to_string(),
    };
    let state = match (entry.in_flight, entry.state) {
        (true, _) => "active",
        (false, State::Waiting) => "waiting",
        (false, State::Deferred) => "deferred",
        (false, State::Held) => "held",
    };
    QueueAnswer {
        id: entry.id.to_string(),
        kind: entry.kind.to_string(),
        sender: entry.sender.clone(),
        recipients: entry.recipients.iter().map(waiting).collect(),
        state: state.into(),
        size: entry.size,
        arrived: entry.arrived.to_string(),
        age: SystemClock.now().since(entry.arrived).as_secs(),
        attempts: entry.attempts,
        next_attempt: entry.next_attempt.to_string(),
        expires: entry.expires.to_string(),
        last_reply: entry.last_reply.clone(),
    }
}

fn join(message: &mut QueueAnswer, next: QueueAnswer) {
    message.recipients.extend(next.recipients);
    message.attempts = message.attempts.max(next.attempts);
    if next.next_attempt < message.next_attempt {
        message.next_attempt = next.next_attempt;
    }
    if message.state != "active" && next.state != "waiting" {
        message.state = next.state;
    }
    message.last_reply = message.last_reply.take().or(next.last_reply);
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Store(error) => error.into(),
            other => Self::later(other),
        }
    }
}
