//! Keys of the queue in the store. All begin with `q`; numbers are big-endian, so order is order.
//!
//! | key | value |
//! |---|---|
//! | `qm` id | [`super::record::Message`]: what was accepted, immutable |
//! | `qg` id group | [`super::record::Group`]: recipients that share a next hop, while they wait |
//! | `qd` channel 0 hop 0 due id group | empty: the due index |
//! | `qh` id time group kind | [`crate::report::Event`]: what happened since |

use bytes::Bytes;

use crate::message::{ChannelId, NextHop, QueueId};
use crate::seam::Timestamp;

/// Prefix of everything the queue keeps.
pub(crate) const MESSAGES: &[u8] = b"qm";
pub(crate) const GROUPS: &[u8] = b"qg";
pub(crate) const DUE: &[u8] = b"qd";
pub(crate) const HISTORY: &[u8] = b"qh";

/// A message and one of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupId {
    pub(crate) id: QueueId,
    pub(crate) group: u16,
}

/// A virtual queue: a channel or agent, and a next hop in its words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HopKey {
    pub(crate) channel: ChannelId,
    pub(crate) hop: NextHop,
}

pub(crate) fn message(id: QueueId) -> Vec<u8> {
    [MESSAGES, &id.to_bytes()].concat()
}

pub(crate) fn groups_of(id: QueueId) -> Vec<u8> {
    [GROUPS, &id.to_bytes()].concat()
}

pub(crate) fn group(at: GroupId) -> Vec<u8> {
    [GROUPS, &at.id.to_bytes(), &at.group.to_be_bytes()].concat()
}

pub(crate) fn hop_prefix(hop: &HopKey) -> Vec<u8> {
    [DUE, hop.channel.as_str().as_bytes(), &[0], hop.hop.as_str().as_bytes(), &[0]].concat()
}

pub(crate) fn due(hop: &HopKey, due: Timestamp, at: GroupId) -> Vec<u8> {
    let mut key = hop_prefix(hop);
    key.extend_from_slice(&due.as_millis().to_be_bytes());
    key.extend_from_slice(&at.id.to_bytes());
    key.extend_from_slice(&at.group.to_be_bytes());
    key
}

pub(crate) fn history_of(id: QueueId) -> Vec<u8> {
    [HISTORY, &id.to_bytes()].concat()
}

pub(crate) fn history(at: GroupId, when: Timestamp, number: u8) -> Vec<u8> {
    [HISTORY, &at.id.to_bytes(), &when.as_millis().to_be_bytes(), &at.group.to_be_bytes(), &[number]].concat()
}

/// The message of a `qm` key.
pub(crate) fn parse_message(key: &[u8]) -> Option<QueueId> {
    Some(QueueId::from_bytes(key.strip_prefix(MESSAGES)?.try_into().ok()?))
}

/// The group of a `qg` key.
pub(crate) fn parse_group(key: &[u8]) -> Option<GroupId> {
    parse_id_group(key.strip_prefix(GROUPS)?)
}

/// The parts of a `qd` key.
pub(crate) fn parse_due(key: &[u8]) -> Option<(HopKey, Timestamp, GroupId)> {
    let rest = key.strip_prefix(DUE)?;
    let channel_end = memchr::memchr(0, rest)?;
    let channel = std::str::from_utf8(&rest[..channel_end]).ok()?;
    let rest = &rest[channel_end + 1..];
    let hop_end = memchr::memchr(0, rest)?;
    let hop = std::str::from_utf8(&rest[..hop_end]).ok()?;
    let rest = &rest[hop_end + 1..];
    let (due, rest) = rest.split_first_chunk::<8>()?;
    let key = HopKey { channel: ChannelId::new(channel), hop: NextHop::new(hop) };
    Some((key, Timestamp::from_millis(u64::from_be_bytes(*due)), parse_id_group(rest)?))
}

fn parse_id_group(rest: &[u8]) -> Option<GroupId> {
    let (id, group) = rest.split_first_chunk::<16>()?;
    Some(GroupId { id: QueueId::from_bytes(*id), group: u16::from_be_bytes(group.try_into().ok()?) })
}

/// The first key behind all of one hop.
pub(crate) fn behind_hop(hop: &HopKey) -> Bytes {
    crate::storage::after_prefix(&hop_prefix(hop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_keys_sort_by_hop_then_time() {
        let hop = |name: &str| HopKey { channel: ChannelId::new("smtp"), hop: NextHop::new(name) };
        let at = GroupId { id: QueueId::from_bytes([7; 16]), group: 3 };
        let early = due(&hop("a.example"), Timestamp::from_millis(5), at);
        let late = due(&hop("a.example"), Timestamp::from_millis(256), at);
        let other = due(&hop("a.example.org"), Timestamp::from_millis(1), at);
        assert!(early < late && late < other);
        assert_eq!(parse_due(&late), Some((hop("a.example"), Timestamp::from_millis(256), at)));
        assert!(behind_hop(&hop("a.example")) > late && behind_hop(&hop("a.example")) < other);
    }
}
