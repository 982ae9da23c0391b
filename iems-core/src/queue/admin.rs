//! The operator's view of the queue. Works on a bare store as well, when no engine runs on it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::hops::Runner;
use super::key::{self, GroupId, HopKey};
use super::load::Loaded;
use super::record::{Group, Message, State, decode, encode};
use super::settle;
use crate::message::{ChannelId, Domain, Kind, NextHop, QueueId, Reply};
use crate::report::{Event, Story, What};
use crate::seam::{Clock, Timestamp};
use crate::storage::{Batch, CommitError, Scan, Storage, StoreError};

/// The queue as an operator sees it. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    storage: Storage,
    clock: Arc<dyn Clock>,
    runner: Option<Arc<Runner>>,
}

/// Which groups are meant. Every condition that is set must hold; the default means all.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Filter {
    /// This message.
    pub id: Option<QueueId>,
    /// The sender's address, without case; the empty string means the null sender.
    pub sender: Option<String>,
    /// A recipient's address, without case.
    pub recipient: Option<String>,
    /// The domain of a recipient.
    pub domain: Option<Domain>,
    /// The state.
    pub state: Option<State>,
    /// At least this long in the queue.
    pub older_than: Option<Duration>,
    /// Only reports about messages that were tagged as spam.
    pub spam_reports: bool,
}

/// One group in a listing.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The message.
    pub id: QueueId,
    /// The number of the group inside the message.
    pub group: u16,
    /// What the message is.
    pub kind: Kind,
    /// The reverse-path; empty for the null sender.
    pub sender: String,
    /// Recipients that still wait.
    pub recipients: Vec<String>,
    /// Channel or agent.
    pub channel: ChannelId,
    /// The next hop in its words.
    pub hop: NextHop,
    /// The state.
    pub state: State,
    /// Whether an attempt is under way now. Always false where no engine runs on the store.
    pub in_flight: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// When the message arrived.
    pub arrived: Timestamp,
    /// When it is tried next.
    pub next_attempt: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// What the last attempt got.
    pub last_reply: Option<String>,
    /// Size in octets.
    pub size: u64,
}

/// Why the queue could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not take the change.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Groups read at a time.
const PAGE: usize = 256;

impl Queue {
    /// The queue in a store on which no engine runs.
    pub fn at_rest(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, runner: None }
    }

    pub(crate) fn running(storage: Storage, clock: Arc<dyn Clock>, runner: Arc<Runner>) -> Self {
        Self { storage, clock, runner: Some(runner) }
    }

    /// The groups that `filter` means, oldest message first, at most `limit`.
    pub async fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Entry>, QueueError> {
        let mut entries = Vec::new();
        let mut walk = Walk::new(filter);
        while entries.len() < limit
            && let Some((loaded, _)) = walk.next(self).await?
        {
            entries.push(self.entry(loaded));
        }
        Ok(entries)
    }

    /// The whole story of a message; `None` if it is not known (any more).
    pub async fn explain(&self, id: QueueId) -> Result<Option<Story>, QueueError> {
        let store = &self.storage.store;
        let Some(row) = store.get(&key::message(id)).await? else { return Ok(None) };
        let message: Message = decode(&row, "queue message")?;
        let mut waiting = Vec::new();
        for (_, row) in store.scan(Scan::prefix(&key::groups_of(id), 10_000)).await? {
            waiting.push(decode::<Group>(&row, "queue group")?);
        }
        let mut events = message.events.clone();
        for (_, row) in store.scan(Scan::prefix(&key::history_of(id), 10_000)).await? {
            events.push(decode(&row, "queue history")?);
        }
        Ok(Some(Story { id, message, waiting, events }))
    }

    /// Makes the groups that `filter` means due now; how many. Expiry stays.
    pub async fn retry(&self, filter: &Filter) -> Result<usize, QueueError> {
        self.change(filter, "retry", |group, now| {
            Some(Group { due: now.min(group.expires), state: State::Waiting, ..group.clone() })
        })
        .await
    }

    /// Removes the groups that `filter` means, without a report to anybody; how many. An attempt under way may still
    /// reach its recipient.
    pub async fn purge(&self, filter: &Filter) -> Result<usize, QueueError> {
        self.change(filter, "purge", |_, _| None).await
    }

    async fn change(
        &self,
        filter: &Filter,
        action: &str,
        to: impl Fn(&Group, Timestamp) -> Option<Group>,
    ) -> Result<usize, QueueError> {
        let (mut changed, mut walk) = (0, Walk::new(filter));
        while let Some((loaded, hop)) = walk.next(self).await? {
            let now = self.clock.now();
            let mut batch = Batch::new();
            let queued = settle::replace(&mut batch, &loaded, to(&loaded.group, now).as_ref());
            let event = Event { at: now, what: What::Administered { action: action.into() } };
            batch.put(key::history(loaded.at, now, u8::MAX), encode(&event));
            match self.storage.store.commit(batch).await {
                Ok(_) => changed += 1,
                Err(CommitError::Conflict) => continue, // an attempt ended meanwhile: what it left is newer than the request
                Err(error) => return Err(error.into()),
            }
            if let (Some(runner), Some(queued)) = (&self.runner, queued) {
                runner.queued(vec![queued]);
                runner.wake(&hop);
            }
        }
        Ok(changed)
    }

    fn entry(&self, loaded: Loaded) -> Entry {
        let Loaded { at, group, message, .. } = loaded;
        let hop = HopKey { channel: group.channel.clone(), hop: group.hop.clone() };
        Entry {
            id: at.id,
            group: at.group,
            kind: message.kind,
            sender: message.envelope.sender.to_string(),
            recipients: group.destinations.iter().map(|d| d.mailbox.to_string()).collect(),
            in_flight: self.runner.as_ref().is_some_and(|runner| runner.is_in_flight(&hop, at)),
            channel: group.channel,
            hop: group.hop,
            state: group.state,
            attempts: group.attempts,
            arrived: message.arrived,
            next_attempt: group.due,
            expires: group.expires,
            last_reply: group.last_reply.as_ref().map(Reply::to_string),
            size: message.size,
        }
    }
}

/// Walks over the groups that a filter means, a page at a time.
struct Walk<'a> {
    filter: &'a Filter,
    page: std::vec::IntoIter<(bytes::Bytes, bytes::Bytes)>,
    from: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    fn new(filter: &'a Filter) -> Self {
        Self { filter, page: Vec::new().into_iter(), from: Some(Vec::new()) }
    }

    async fn next(&mut self, queue: &Queue) -> Result<Option<(Loaded, HopKey)>, QueueError> {
        loop {
            while let Some((row_key, row)) = self.page.next() {
                let Some(at) = key::parse_group(&row_key) else { continue };
                if let Some(loaded) = self.load(queue, at, row).await? {
                    let hop = HopKey { channel: loaded.group.channel.clone(), hop: loaded.group.hop.clone() };
                    return Ok(Some((loaded, hop)));
                }
            }
            let Some(from) = self.from.take() else { return Ok(None) };
            let prefix = self.filter.id.map_or_else(|| key::GROUPS.to_vec(), key::groups_of);
            let start = from.max(prefix.clone());
            let page = queue.storage.store.scan(Scan::prefix(&prefix, PAGE).starting_at(&start)).await?;
            self.from = page.last().filter(|_| page.len() == PAGE).map(|(last, _)| [last, &[0][..]].concat());
            self.page = page.into_iter();
        }
    }

    async fn load(
        &self,
        queue: &Queue,
        at: GroupId,
        row: bytes::Bytes,
    ) -> Result<Option<Loaded>, QueueError> {
        let group: Group = decode(&row, "queue group")?;
        let old_enough = |age: Duration| queue.clock.now().since(at.id.arrived()) >= age;
        if self.filter.state.is_some_and(|state| state != group.state)
            || !self.filter.older_than.is_none_or(old_enough)
        {
            return Ok(None);
        }
        let to = |name: &String| {
            group.destinations.iter().any(|d| d.mailbox.to_string().eq_ignore_ascii_case(name))
        };
        let within = |domain: &Domain| group.destinations.iter().any(|d| d.mailbox.domain() == domain);
        if !self.filter.recipient.as_ref().is_none_or(to) || !self.filter.domain.as_ref().is_none_or(within) {
            return Ok(None);
        }
        let Some(message) = queue.storage.store.get(&key::message(at.id)).await? else { return Ok(None) };
        let message: Message = decode(&message, "queue message")?;
        if self.filter.spam_reports && message.kind != Kind::SpamReport {
            return Ok(None);
        }
        let from = |name: &String| message.envelope.sender.to_string().eq_ignore_ascii_case(name);
        Ok(self.filter.sender.as_ref().is_none_or(from).then_some(Loaded { at, row, group, message }))
    }
}
