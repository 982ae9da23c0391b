//! Which groups an operator means.

use std::time::Duration;

use crate::message::{Domain, Kind, Mailbox, QueueId};
use crate::queue::key::GroupId;
use crate::queue::{Group, Message, State};
use crate::seam::Timestamp;

/// Which groups are meant. Every condition that is set must hold; the default means all.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Filter {
    /// This message.
    pub id: Option<QueueId>,
    /// The sender's address, without case; the empty string means the null sender.
    pub sender: Option<String>,
    /// A recipient's address, without case: as the sender gave it, or as it is at the next hop.
    pub recipient: Option<String>,
    /// The domain of a recipient: as the sender gave it, or as it is at the next hop.
    pub domain: Option<Domain>,
    /// The hop: a channel, a colon and a next hop in the words of the channel, such as `smtp:example.org`; or the next hop alone.
    pub hop: Option<String>,
    /// On whose behalf the message travels: a domain of ours.
    pub tenant: Option<Domain>,
    /// The state.
    pub state: Option<State>,
    /// What the last reply contains, without case: in its text, its codes or its private cause.
    pub reply: Option<String>,
    /// At least this long in the queue.
    pub older_than: Option<Duration>,
    /// Less than this long in the queue.
    pub younger_than: Option<Duration>,
    /// Only reports about messages that were tagged as spam.
    pub spam_reports: bool,
}

impl Filter {
    /// Whether nothing is asked for, so that all groups are meant.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The ids that the ages allow: from the first one, before the second one.
    pub(super) fn ages(&self, now: Timestamp) -> (Option<QueueId>, Option<QueueId>) {
        let ago = |age: Duration| {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            Timestamp::from_millis(now.as_millis().saturating_sub(age).saturating_add(1))
        };
        (
            self.younger_than.map(|age| QueueId::first_at(ago(age))),
            self.older_than.map(|age| QueueId::first_at(ago(age))),
        )
    }

    /// Whether the group is meant, as far as it alone tells.
    pub(super) fn admits(&self, at: GroupId, group: &Group, now: Timestamp) -> bool {
        let (from, before) = self.ages(now);
        self.id.is_none_or(|id| id == at.id)
            && from.is_none_or(|from| at.id >= from)
            && before.is_none_or(|before| at.id < before)
            && self.state.is_none_or(|state| state == group.state)
            && self.hop.as_ref().is_none_or(|name| is_hop(name, group))
            && self
                .recipient
                .as_ref()
                .is_none_or(|name| any(group, |mailbox| same(&mailbox.to_string(), name)))
            && self.domain.as_ref().is_none_or(|domain| any(group, |mailbox| mailbox.domain() == domain))
            && self.reply.as_ref().is_none_or(|part| has_reply(group, part))
    }

    /// Whether the message is meant.
    pub(super) fn admits_message(&self, message: &Message) -> bool {
        self.sender.as_ref().is_none_or(|name| same(&message.envelope.sender.to_string(), name))
            && self.tenant.as_ref().is_none_or(|tenant| message.origin.tenant.as_ref() == Some(tenant))
            && (!self.spam_reports || message.kind == Kind::SpamReport)
    }
}

fn same(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

fn any(group: &Group, is: impl Fn(&Mailbox) -> bool) -> bool {
    group.destinations.iter().any(|d| is(&d.mailbox) || is(&d.recipient.mailbox))
}

fn is_hop(name: &str, group: &Group) -> bool {
    group.hop.as_str() == name || group.hop_key().to_string() == name
}

fn has_reply(group: &Group, part: &str) -> bool {
    let part = part.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&part);
    group
        .last_reply
        .as_ref()
        .is_some_and(|reply| has(&reply.to_string()) || reply.cause.as_deref().is_some_and(has))
}
