//! One group in a listing.

use serde::Serialize;

use super::{Mark, Queue, QueueError, Waits};
use crate::message::{ChannelId, Domain, Kind, NextHop, QueueId, Reply};
use crate::queue::State;
use crate::queue::load::Loaded;
use crate::seam::Timestamp;

/// One group in a listing.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The message.
    pub id: QueueId,
    /// The number of the group inside the message.
    pub group: u16,
    /// What the message is.
    pub kind: Kind,
    /// The reverse-path; empty for the null sender.
    pub sender: String,
    /// On whose behalf it travels.
    pub tenant: Option<Domain>,
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
    /// Its priority, from -9 (last) to 9 (first), as in RFC 6710.
    pub priority: i8,
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
    /// All that holds it, what holds it first in front. Never empty.
    pub waits: Vec<Waits>,
    /// Where a listing goes on behind this entry.
    pub mark: Mark,
}

impl Queue {
    pub(super) async fn entry(&self, loaded: Loaded, mark: Mark) -> Result<Entry, QueueError> {
        let Loaded { at, group, message, .. } = loaded;
        let (hop, waits) = (group.hop_key(), self.waits(at, &group, &message).await?);
        Ok(Entry {
            id: at.id,
            group: at.group,
            kind: message.kind,
            sender: message.envelope.sender.to_string(),
            tenant: message.origin.tenant,
            recipients: group.destinations.iter().map(|d| d.mailbox.to_string()).collect(),
            in_flight: self.engine.as_ref().is_some_and(|engine| engine.runner.is_in_flight(&hop, at)),
            channel: group.channel,
            hop: group.hop,
            state: group.state,
            priority: group.lane.priority(),
            attempts: group.attempts,
            arrived: message.arrived,
            next_attempt: group.due,
            expires: group.expires,
            last_reply: group.last_reply.as_ref().map(Reply::to_string),
            size: message.size,
            waits,
            mark,
        })
    }
}
