//! The rows of a group beside its record: where it waits, when its time is over, and how an operator finds it.
//!
//! They follow from the message and the group alone, so whoever changes a group writes the difference of two sets, and
//! no row is ever forgotten.

use super::key::{self, GroupId, HopKey, Parked};
use super::lane::hash;
use super::record::{Group, Message, State, encode};
use super::submit::Queued;
use crate::message::{Kind, Mailbox};
use crate::seam::Timestamp;
use crate::storage::Batch;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

impl Group {
    /// The virtual queue it waits in.
    pub(crate) fn hop_key(&self) -> HopKey {
        HopKey { channel: self.channel.clone(), hop: self.hop.clone() }
    }

    /// When something is due that needs no attempt: the warning, or the end.
    fn deadline(&self) -> Timestamp {
        self.warn.map_or(self.expires, |warn| warn.min(self.expires))
    }
}

/// Adds a new group and its rows, and its link to the body.
pub(crate) fn insert(batch: &mut Batch, message: &Message, at: GroupId, group: &Group) -> Queued {
    batch.put(key::group(at), encode(group));
    for (row, value) in rows(message, at, group) {
        batch.put(row, value);
    }
    batch.add(&key::depth(&group.hop_key(), group.state), 1);
    batch.link(group.body.blob);
    queued(message, at, group)
}

/// Replaces a group by what is left of it, or by nothing; what to tell the runner.
pub(crate) fn replace(
    batch: &mut Batch,
    message: &Message,
    at: GroupId,
    (row, old): (&[u8], &Group),
    left: Option<&Group>,
) -> Option<Queued> {
    batch.require_equals(&key::group(at), row);
    let before = stored(message, at, old);
    let after = left.map(|left| rows(message, at, left)).unwrap_or_default();
    for (gone, _) in before.iter().filter(|(row, _)| after.iter().all(|(kept, _)| kept != row)) {
        batch.delete(gone);
    }
    // A row that is there already may still have to be written: it is not known whether a deferred group is ready.
    let place = |row: &[u8]| row.starts_with(key::READY) || row.starts_with(key::TIMED);
    for (row, value) in after {
        if place(&row) || before.iter().all(|(old, _)| *old != row) {
            batch.put(row, value);
        }
    }
    let depth = |group: &Group| key::depth(&group.hop_key(), group.state);
    let Some(left) = left else {
        batch.delete(&key::group(at));
        batch.add(&depth(old), -1);
        batch.unlink(old.body.blob);
        return None;
    };
    batch.put(key::group(at), encode(left));
    if depth(left) != depth(old) {
        batch.add(&depth(old), -1);
        batch.add(&depth(left), 1);
    }
    Some(queued(message, at, left))
}

/// What the runner is told of a group after the commit.
fn queued(message: &Message, at: GroupId, group: &Group) -> Queued {
    Queued {
        hop: group.hop_key(),
        lane: group.lane,
        state: group.state,
        due: group.due,
        deadline: group.deadline(),
        at,
        size: kib(message),
    }
}

fn kib(message: &Message) -> u32 {
    u32::try_from(message.size.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// The rows that a group has as it stands.
fn rows(message: &Message, at: GroupId, group: &Group) -> Rows {
    let hop = group.hop_key();
    let ready = key::ready(&hop, group.lane, at);
    let size = kib(message).to_be_bytes();
    let mut rows = match group.state {
        State::Waiting => vec![(ready, size.to_vec())],
        State::Deferred => vec![
            (key::timed(group.due, at), [&size, &ready[..]].concat()),
            (key::parked(Parked::Deferred, &hop, at), Vec::new()),
        ],
        State::Held => vec![(key::parked(Parked::Held, &hop, at), Vec::new())],
        State::Scheduled => vec![
            (key::timed(group.due, at), [&size, &ready[..]].concat()),
            (key::parked(Parked::Scheduled, &hop, at), Vec::new()),
        ],
    };
    rows.push((key::deadline(group.deadline(), at), Vec::new()));
    rows.extend(found_by(message, group).into_iter().map(|found| (key::found(&found, at), Vec::new())));
    rows
}

/// The rows that a group may have in the store: one that waits for its time is also ready once that has come.
fn stored(message: &Message, at: GroupId, group: &Group) -> Rows {
    let mut rows = rows(message, at, group);
    if matches!(group.state, State::Deferred | State::Scheduled) {
        rows.push((key::ready(&group.hop_key(), group.lane, at), Vec::new()));
    }
    rows
}

/// Takes a `qt` row apart: the ready key that the group moves to, and its value.
pub(super) fn ripe(value: &[u8]) -> Option<(&[u8], [u8; 4])> {
    let (size, ready) = value.split_first_chunk::<4>()?;
    Some((ready, *size))
}

/// What an operator may look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// An envelope sender, without case; empty for the null sender.
    Sender(String),
    /// Any recipient at a domain.
    Domain(String),
    /// A recipient, without case.
    Recipient(String),
    /// A tenant.
    Tenant(String),
    /// Reports on messages tagged as spam.
    SpamReports,
}

impl Found {
    /// What stands behind the table's name in a key.
    pub(super) fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Sender(name) => [&b"s"[..], &hash(name)].concat(),
            Self::Domain(name) => [&b"r"[..], &hash(name)].concat(),
            Self::Recipient(name) => {
                let domain = name.rsplit_once('@').map_or("", |(_, domain)| domain);
                [&b"r"[..], &hash(domain), &hash(name)[..4]].concat()
            }
            Self::Tenant(name) => [&b"t"[..], &hash(name)].concat(),
            Self::SpamReports => b"x".to_vec(),
        }
    }
}

/// Everything by which a group is found. A recipient is found by the address at the next hop and by the one the sender gave.
pub(super) fn found_by(message: &Message, group: &Group) -> Vec<Found> {
    let mut found = vec![Found::Sender(message.envelope.sender.to_string().to_lowercase())];
    let name = |mailbox: &Mailbox| Found::Recipient(mailbox.to_string().to_lowercase());
    for destination in &group.destinations {
        for one in [name(&destination.mailbox), name(&destination.recipient.mailbox)] {
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    if message.kind == Kind::SpamReport {
        found.push(Found::SpamReports);
    }
    found.extend(message.origin.tenant.as_ref().map(|tenant| Found::Tenant(tenant.to_string())));
    found
}
