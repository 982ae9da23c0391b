//! Keys of the queue in the store. All begin with `q`; numbers are big-endian, so order is order.
//!
//! | key | value |
//! |---|---|
//! | `qm` id | [`super::record::Message`]: what was accepted, immutable |
//! | `qg` id group | [`super::record::Group`]: recipients that share a next hop, while they wait |
//! | `qr` hop lane id group | size in KiB: ready to be tried, lane by lane |
//! | `qt` due id group | the `qr` key it moves to: deferred, in the order of time, for all hops |
//! | `qx` deadline id group | nothing: when a warning is due or time is over, for all groups |
//! | `qw` state hop id group | nothing: deferred, held or scheduled, by hop |
//! | `qi` kind hash id group | nothing: what an operator looks for |
//! | `qn` hop state | counter: groups of the hop in this state |
//! | `qh` id time group number | [`crate::report::Event`]: what happened since |
//! | `qp` hop | [`super::pause::Pause`]: an operator's stop |
//! | `qs` channel site | [`super::site::Down`]: a site that cannot be reached |
//! | `ql` hop | [`super::lease::Lease`]: who works for the hop, where several nodes share the store |
//! | `qv` node | counter of heartbeats |
//! | `qf` | counter of fencing tokens |
//! | `qbn`, `qbs` | double bounces not told yet: how many, since when (`crate::report`) |
//!
//! `hop` is channel, 0, next hop, 0.

use bytes::Bytes;

use super::lane::Lane;
use super::record::State;
use super::rows::Found;
use crate::message::{ChannelId, NextHop, QueueId};
use crate::seam::Timestamp;

pub(crate) const MESSAGES: &[u8] = b"qm";
pub(crate) const GROUPS: &[u8] = b"qg";
pub(crate) const READY: &[u8] = b"qr";
pub(crate) const TIMED: &[u8] = b"qt";
pub(crate) const DEADLINES: &[u8] = b"qx";
pub(crate) const PARKED: &[u8] = b"qw";
pub(crate) const INDEX: &[u8] = b"qi";
pub(crate) const DEPTHS: &[u8] = b"qn";
pub(crate) const HISTORY: &[u8] = b"qh";
pub(crate) const PAUSES: &[u8] = b"qp";
pub(crate) const DOWN: &[u8] = b"qs";
pub(crate) const LEASES: &[u8] = b"ql";
pub(crate) const NODES: &[u8] = b"qv";

/// A message and one of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupId {
    pub(crate) id: QueueId,
    pub(crate) group: u16,
}

impl GroupId {
    /// Before every other.
    pub(crate) const FIRST: Self = Self { id: QueueId::from_bytes([0; 16]), group: 0 };
    /// The length in a key.
    const LEN: usize = 18;

    /// The first that can come after this one.
    pub(crate) fn next(self) -> Self {
        match self.group.checked_add(1) {
            Some(group) => Self { group, ..self },
            None => self, // read once more, and known by then
        }
    }

    fn write(self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.id.to_bytes());
        key.extend_from_slice(&self.group.to_be_bytes());
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (id, group) = bytes.split_first_chunk::<16>()?;
        Some(Self { id: QueueId::from_bytes(*id), group: u16::from_be_bytes(group.try_into().ok()?) })
    }
}

/// A virtual queue: a channel or agent, and a next hop in its words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HopKey {
    pub(crate) channel: ChannelId,
    pub(crate) hop: NextHop,
}

impl HopKey {
    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.channel.as_str().as_bytes());
        key.push(0);
        key.extend_from_slice(self.hop.as_str().as_bytes());
        key.push(0);
    }

    /// Reads a hop from the front of `rest`; gives what follows.
    fn parse(rest: &[u8]) -> Option<(Self, &[u8])> {
        let end = memchr::memchr(0, rest)?;
        let (channel, rest) = (std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..]);
        let end = memchr::memchr(0, rest)?;
        let (hop, rest) = (std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..]);
        Some((Self { channel: ChannelId::new(channel), hop: NextHop::new(hop) }, rest))
    }
}

impl std::fmt::Display for HopKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.channel, self.hop)
    }
}

/// In which of the parked states a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parked {
    Deferred,
    Held,
    Scheduled,
}

impl Parked {
    fn byte(self) -> u8 {
        match self {
            Self::Deferred => b'd',
            Self::Held => b'h',
            Self::Scheduled => b's',
        }
    }
}

pub(crate) fn message(id: QueueId) -> Vec<u8> {
    [MESSAGES, &id.to_bytes()].concat()
}

pub(crate) fn groups_of(id: QueueId) -> Vec<u8> {
    [GROUPS, &id.to_bytes()].concat()
}

pub(crate) fn group(at: GroupId) -> Vec<u8> {
    let mut key = GROUPS.to_vec();
    at.write(&mut key);
    key
}

/// Everything of one hop under a prefix of the hop tables: ready, pauses, leases, depths.
pub(crate) fn of_hop(table: &[u8], hop: &HopKey) -> Vec<u8> {
    let mut key = table.to_vec();
    hop.write(&mut key);
    key
}

/// Everything of one channel under a prefix of the hop tables.
pub(crate) fn channel(table: &[u8], channel: &ChannelId) -> Vec<u8> {
    [table, channel.as_str().as_bytes(), &[0]].concat()
}

/// The counter of a hop's groups in a state.
pub(crate) fn depth(hop: &HopKey, state: State) -> Vec<u8> {
    let mut key = of_hop(DEPTHS, hop);
    key.push(match state {
        State::Waiting => b'w',
        State::Deferred => b'd',
        State::Held => b'h',
        State::Scheduled => b's',
    });
    key
}

pub(crate) fn lane(hop: &HopKey, lane: Lane) -> Vec<u8> {
    let mut key = of_hop(READY, hop);
    key.extend_from_slice(&lane.to_bytes());
    key
}

pub(crate) fn ready(hop: &HopKey, in_lane: Lane, at: GroupId) -> Vec<u8> {
    let mut key = lane(hop, in_lane);
    at.write(&mut key);
    key
}

pub(crate) fn timed(due: Timestamp, at: GroupId) -> Vec<u8> {
    in_time(TIMED, due, at)
}

pub(crate) fn deadline(when: Timestamp, at: GroupId) -> Vec<u8> {
    in_time(DEADLINES, when, at)
}

fn in_time(table: &[u8], when: Timestamp, at: GroupId) -> Vec<u8> {
    let mut key = table.to_vec();
    key.extend_from_slice(&when.as_millis().to_be_bytes());
    at.write(&mut key);
    key
}

pub(crate) fn parked_in(state: Parked) -> Vec<u8> {
    [PARKED, &[state.byte()]].concat()
}

pub(crate) fn parked_of(state: Parked, hop: &HopKey) -> Vec<u8> {
    of_hop(&parked_in(state), hop)
}

pub(crate) fn parked(state: Parked, hop: &HopKey, at: GroupId) -> Vec<u8> {
    let mut key = parked_of(state, hop);
    at.write(&mut key);
    key
}

/// An entry of the operator's index.
pub(crate) fn found(what: &Found, at: GroupId) -> Vec<u8> {
    let mut key = found_prefix(what);
    at.write(&mut key);
    key
}

pub(crate) fn found_prefix(what: &Found) -> Vec<u8> {
    [INDEX, &what.prefix()].concat()
}

pub(crate) fn history_of(id: QueueId) -> Vec<u8> {
    [HISTORY, &id.to_bytes()].concat()
}

pub(crate) fn history(at: GroupId, when: Timestamp, number: u8) -> Vec<u8> {
    [HISTORY, &at.id.to_bytes(), &when.as_millis().to_be_bytes(), &at.group.to_be_bytes(), &[number]].concat()
}

pub(crate) fn down(channel: &ChannelId, site: &str) -> Vec<u8> {
    [DOWN, channel.as_str().as_bytes(), &[0], site.as_bytes()].concat()
}

/// The message of a `qm` key.
pub(crate) fn parse_message(key: &[u8]) -> Option<QueueId> {
    Some(QueueId::from_bytes(key.strip_prefix(MESSAGES)?.try_into().ok()?))
}

/// The group at the end of a key of any table that ends in one.
pub(crate) fn parse_group(key: &[u8]) -> Option<GroupId> {
    GroupId::parse(key.get(key.len().checked_sub(GroupId::LEN)?..)?)
}

/// The parts of a `qr` key.
pub(crate) fn parse_ready(key: &[u8]) -> Option<(HopKey, Lane, GroupId)> {
    let (hop, rest) = HopKey::parse(key.strip_prefix(READY)?)?;
    let (lane, rest) = rest.split_first_chunk::<{ Lane::LEN }>()?;
    Some((hop, Lane::from_bytes(*lane), GroupId::parse(rest)?))
}

/// The parts of a `qt` or `qx` key.
pub(crate) fn parse_time(key: &[u8]) -> Option<(Timestamp, GroupId)> {
    let (when, rest) = key.get(2..)?.split_first_chunk::<8>()?;
    Some((Timestamp::from_millis(u64::from_be_bytes(*when)), GroupId::parse(rest)?))
}

/// The parts of a `qs` key.
pub(crate) fn parse_down(key: &[u8]) -> Option<(ChannelId, String)> {
    let rest = key.strip_prefix(DOWN)?;
    let end = memchr::memchr(0, rest)?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok();
    Some((ChannelId::new(&text(&rest[..end])?), text(&rest[end + 1..])?))
}

/// The parts of a `qn` key.
pub(crate) fn parse_depth(key: &[u8]) -> Option<(HopKey, State)> {
    let (hop, rest) = HopKey::parse(key.strip_prefix(DEPTHS)?)?;
    let state = match rest {
        b"w" => State::Waiting,
        b"d" => State::Deferred,
        b"h" => State::Held,
        b"s" => State::Scheduled,
        _ => return None,
    };
    Some((hop, state))
}

/// The hop of a key that is nothing but a table and a hop.
pub(crate) fn parse_hop(table: &[u8], key: &[u8]) -> Option<HopKey> {
    HopKey::parse(key.strip_prefix(table)?).map(|(hop, _)| hop)
}

/// The first key behind all that begin with `prefix`.
pub(crate) fn behind(prefix: &[u8]) -> Bytes {
    crate::storage::after_prefix(prefix)
}

/// The first key behind `key` itself.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(name: &str) -> HopKey {
        HopKey { channel: ChannelId::new("smtp"), hop: NextHop::new(name) }
    }

    #[test]
    fn ready_keys_sort_by_hop_lane_and_arrival() {
        let at = |n| GroupId { id: QueueId::from_bytes([n; 16]), group: 3 };
        let (first, second) = (Lane::new(0, "a"), Lane::new(0, "b"));
        let (first, second) = (first.min(second), first.max(second));
        let keys = [
            ready(&hop("a.example"), Lane::new(5, "z"), at(9)),
            ready(&hop("a.example"), first, at(7)),
            ready(&hop("a.example"), first, at(8)),
            ready(&hop("a.example"), second, at(1)),
            ready(&hop("a.example.org"), first, at(1)),
        ];
        assert!(keys.is_sorted());
        assert_eq!(parse_ready(&keys[2]), Some((hop("a.example"), first, at(8))));
        assert_eq!(parse_group(&keys[2]), Some(at(8)));
        assert!(behind(&of_hop(READY, &hop("a.example"))) > keys[3]);
        assert!(behind(&of_hop(READY, &hop("a.example"))) < keys[4]);
    }

    #[test]
    fn times_and_hops_are_read_back() {
        let at = GroupId { id: QueueId::from_bytes([7; 16]), group: 3 };
        let when = Timestamp::from_millis(256);
        assert_eq!(parse_time(&timed(when, at)), Some((when, at)));
        assert_eq!(parse_group(&deadline(when, at)), Some(at));
        assert_eq!(parse_hop(PAUSES, &of_hop(PAUSES, &hop("x.example"))), Some(hop("x.example")));
        assert_eq!(parse_hop(PAUSES, b"qpsmtp"), None);
        let depth = depth(&hop("x.example"), State::Held);
        assert_eq!(parse_depth(&depth), Some((hop("x.example"), State::Held)));
    }
}
