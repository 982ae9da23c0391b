//! Lanes: the share of one sender, or tenant, in a hop, and the turns that lanes take.
//!
//! Deficit round-robin: a lane whose turn it is may spend its quantum, which its priority gives, then the next one has
//! its turn; what a large message overdraws is missing in the lane's next turn. Pure book-keeping, no I/O.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::key::GroupId;
use crate::seam::Timestamp;

/// A lane of a hop: a priority, and whose messages these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lane {
    /// Sorted so that urgent comes first: 9 minus the priority of RFC 6710 section 3.
    rank: u8,
    flow: [u8; 8],
}

impl Lane {
    /// The length in a key.
    pub(crate) const LEN: usize = 9;

    /// The lane of `flow` (a sender or tenant) at a priority from -9 to 9.
    pub(crate) fn new(priority: i8, flow: &str) -> Self {
        Self { rank: (9 - priority.clamp(-9, 9)) as u8, flow: hash(flow) }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [self.rank; Self::LEN];
        bytes[1..].copy_from_slice(&self.flow);
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [rank, flow @ ..] = bytes;
        Self { rank, flow }
    }

    pub(crate) fn priority(self) -> i8 {
        9 - self.rank.min(18) as i8
    }

    /// What it may spend in a turn. Never zero: nobody starves.
    fn quantum(self) -> u32 {
        match self.priority() {
            4..=9 => 64,
            1..=3 => 32,
            0 => 16,
            -3..=-1 => 8,
            _ => 4,
        }
    }
}

impl Serialize for Lane {
    /// The priority for people (JSON), all of it for records.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_i8(self.priority()),
            false => (self.rank, self.flow).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Lane {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => Ok(Self::new(i8::deserialize(deserializer)?, "")),
            false => {
                let (rank, flow) = Deserialize::deserialize(deserializer)?;
                Ok(Self { rank, flow })
            }
        }
    }
}

/// Eight octets that stand for a name in keys.
pub(crate) fn hash(name: &str) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..8]);
    short
}

/// A group that is ready, as memory knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) at: GroupId,
    /// The size of the message in KiB.
    pub(crate) size: u32,
}

impl Head {
    /// What it costs its lane: one for being a message, and one for every 64 KiB of the first 16 MiB.
    fn cost(self) -> u32 {
        1 + (self.size / 64).min(255)
    }
}

#[derive(Debug)]
struct Active {
    lane: Lane,
    heads: VecDeque<Head>,
    credit: i64,
    /// The store holds more of this lane, from `next` on if that is known. What went before is not walked over again: a
    /// store may still have to pass by rows that are gone.
    more: bool,
    next: Option<GroupId>,
    /// Over the rate of its source until then.
    blocked: Timestamp,
}

impl Active {
    fn new(lane: Lane, heads: VecDeque<Head>, more: bool) -> Self {
        Self {
            lane,
            heads,
            credit: i64::from(lane.quantum()),
            more,
            next: None,
            blocked: Timestamp::default(),
        }
    }

    fn may_go(&self, now: Timestamp) -> bool {
        !self.heads.is_empty() && self.blocked <= now
    }
}

/// The lanes of one hop that have heads in memory, in the order of their turns.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    active: VecDeque<Active>,
    heads: usize,
}

/// The most lanes of one hop in memory.
pub(crate) const MOST_LANES: usize = 256;
/// The most heads of one lane in memory.
pub(crate) const MOST_HEADS: usize = 256;
/// Room for what arrives, of all hops together, as long as a hop's share is not below [`LEAST_ROOM`].
const MOST_IN_ALL: usize = 128 * 1024;
/// Room that every hop has: a worker begins with it while it reads what the store has.
const LEAST_ROOM: usize = 8;

/// How many heads, and how many lanes, arrivals may bring into the memory of one of so many hops. What is over is read when
/// it is wanted: mail for many hops that all stand still must not fill memory.
pub(crate) fn room(hops: usize) -> usize {
    (MOST_IN_ALL / hops.max(1)).max(LEAST_ROOM)
}

impl Lanes {
    /// Adds a head at the end of its lane, unless the hop has as many as it has room for; a lane that is new may still
    /// enter, so that nobody who comes late waits for a walk. `false` if a walk through the store has to find it.
    pub(crate) fn push(&mut self, lane: Lane, head: Head, room: usize) -> bool {
        let (lanes, full) = (self.active.len(), self.heads >= room);
        match self.active.iter_mut().find(|active| active.lane == lane) {
            Some(active) if full || active.more || active.heads.len() >= MOST_HEADS => {
                active.more = true;
                active.next = active.next.map(|next| next.min(head.at));
                return true; // it is read when the lane is
            }
            Some(active) => active.heads.push_back(head),
            None if lanes >= MOST_LANES.min(room) => return false,
            None => self.active.push_back(Active::new(lane, [head].into(), false)),
        }
        self.heads += 1;
        true
    }

    /// Puts a head back in front of its lane, which waits until then.
    pub(crate) fn put_back(&mut self, lane: Lane, head: Head, until: Timestamp) {
        self.heads += 1;
        match self.active.iter_mut().find(|active| active.lane == lane) {
            Some(active) => {
                active.heads.push_front(head);
                active.credit += i64::from(head.cost());
                active.blocked = active.blocked.max(until);
            }
            None => {
                self.active.push_front(Active { blocked: until, ..Active::new(lane, [head].into(), false) })
            }
        }
    }

    /// Replaces what is known of a lane by what the store held a moment ago; `next` is where it goes on, if it does.
    pub(crate) fn refill(&mut self, lane: Lane, heads: VecDeque<Head>, next: Option<GroupId>) {
        let more = next.is_some();
        let Some(at) = self.active.iter().position(|active| active.lane == lane) else {
            if !heads.is_empty() {
                self.heads += heads.len();
                self.active.push_back(Active { next, ..Active::new(lane, heads, more) });
            }
            return;
        };
        let active = &mut self.active[at];
        // What was pushed meanwhile may not have been in the store when it was read.
        let missed = active.heads.iter().any(|head| !heads.contains(head));
        self.heads = self.heads - active.heads.len() + heads.len();
        // Where a reading that began in the middle comes to the end, one from the beginning has the last word.
        let again = missed || (!more && active.next.is_some());
        let next = if again { None } else { next };
        (active.heads, active.more, active.next) = (heads, more || again, next);
        if active.heads.is_empty() && !active.more {
            self.active.remove(at);
        }
    }

    /// The head whose turn it is.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<(Lane, Head)> {
        if !self.active.iter().any(|active| active.may_go(now)) {
            return None;
        }
        loop {
            let front = self.active.front_mut()?;
            if !front.may_go(now) || front.credit <= 0 {
                if front.may_go(now) {
                    front.credit += i64::from(front.lane.quantum());
                }
                self.active.rotate_left(1);
                continue;
            }
            let head = front.heads.pop_front()?;
            front.credit -= i64::from(head.cost());
            let lane = front.lane;
            self.heads -= 1;
            if front.heads.is_empty() && !front.more {
                self.active.pop_front();
            }
            return Some((lane, head));
        }
    }

    /// Lanes without a head in memory of which the store holds more, and from where on.
    pub(crate) fn starving(&self) -> impl Iterator<Item = (Lane, Option<GroupId>)> {
        let starving = self.active.iter().filter(|active| active.more && active.heads.is_empty());
        starving.map(|active| (active.lane, active.next))
    }

    /// Forgets lanes without a head in memory, to make room for others: a walk through the store finds them again.
    /// Says whether there were any.
    pub(crate) fn forget_starving(&mut self) -> bool {
        let before = self.active.len();
        self.active.retain(|active| !active.heads.is_empty());
        self.active.len() < before
    }

    /// No lane waits for a rate any more: each asks again.
    pub(crate) fn unblock(&mut self) {
        for active in &mut self.active {
            active.blocked = Timestamp::default();
        }
    }

    /// When the first blocked lane may go.
    pub(crate) fn unblocked_at(&self) -> Option<Timestamp> {
        self.active.iter().filter(|active| !active.heads.is_empty()).map(|active| active.blocked).min()
    }

    /// Until when a lane is kept back by the rate of its source.
    pub(crate) fn blocked(&self, lane: Lane) -> Option<Timestamp> {
        self.active.iter().find(|active| active.lane == lane).map(|active| active.blocked)
    }

    pub(crate) fn heads(&self) -> usize {
        self.heads
    }

    #[cfg(test)]
    pub(crate) fn lanes(&self) -> usize {
        self.active.len()
    }

    /// How many heads come before this one at most, if it is in memory.
    pub(crate) fn turns_before(&self, lane: Lane, at: GroupId) -> Option<usize> {
        let own = self.active.iter().find(|active| active.lane == lane)?;
        let before = own.heads.iter().position(|head| head.at == at)?;
        let rounds = before as u64 / u64::from(lane.quantum()) + 1;
        let others = self.active.iter().filter(|active| active.lane != lane);
        let share =
            |active: &Active| (rounds * u64::from(active.lane.quantum())).min(active.heads.len() as u64);
        Some(before + others.map(share).sum::<u64>() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::QueueId;

    const ALL: usize = usize::MAX;

    fn head(n: u8, size: u32) -> Head {
        Head { at: GroupId { id: QueueId::from_bytes([n; 16]), group: 0 }, size }
    }

    fn order(lanes: &mut Lanes, most: usize) -> Vec<Lane> {
        std::iter::from_fn(|| lanes.pop(Timestamp::default())).take(most).map(|(lane, _)| lane).collect()
    }

    #[test]
    fn a_lane_is_written_and_read_back() {
        for priority in [-9, -1, 0, 4, 9] {
            let lane = Lane::new(priority, "ann@here.example");
            assert_eq!((Lane::from_bytes(lane.to_bytes()), lane.priority()), (lane, priority));
        }
        assert!(Lane::new(4, "z") < Lane::new(0, "a"));
    }

    #[test]
    fn a_single_message_waits_for_one_turn_of_the_others() {
        let (busy, single) = (Lane::new(0, "busy"), Lane::new(0, "single"));
        let mut lanes = Lanes::default();
        (0..200).for_each(|n| assert!(lanes.push(busy, head(n, 1), ALL)));
        assert!(lanes.push(single, head(250, 1), ALL));
        let at = order(&mut lanes, 200).iter().position(|lane| *lane == single).unwrap();
        assert!(at <= 16, "after {at} others");
    }

    #[test]
    fn shares_follow_priority_and_size() {
        let (urgent, plain, bulk) = (Lane::new(6, "u"), Lane::new(0, "p"), Lane::new(-6, "b"));
        let mut lanes = Lanes::default();
        for n in 0..=255 {
            for (lane, size) in [(urgent, 1), (plain, 1), (bulk, 1)] {
                lanes.push(lane, head(n, size), ALL);
            }
        }
        let first = order(&mut lanes, 252);
        let count = |lane| first.iter().filter(|other| **other == lane).count();
        assert_eq!((count(urgent), count(plain), count(bulk)), (192, 48, 12));
        let (large, small) = (Lane::new(0, "large"), Lane::new(0, "small"));
        let mut lanes = Lanes::default();
        for n in 0..=255 {
            lanes.push(large, head(n, 15 * 64), ALL);
            lanes.push(small, head(n, 1), ALL);
        }
        let first = order(&mut lanes, 170);
        let larges = first.iter().filter(|lane| **lane == large).count();
        assert!((9..=12).contains(&larges), "{larges} large ones among 170");
    }

    #[test]
    fn a_lane_of_which_the_store_has_more_takes_no_later_one() {
        let lane = Lane::new(0, "a");
        let mut lanes = Lanes::default();
        lanes.refill(lane, (0..3).map(|n| head(n, 1)).collect(), Some(head(3, 1).at));
        lanes.push(lane, head(9, 1), ALL);
        assert_eq!(order(&mut lanes, 9).len(), 3, "it would come before those in the store");
        assert_eq!(lanes.starving().next(), Some((lane, Some(head(3, 1).at))));
        lanes.push(lane, head(2, 1), ALL);
        assert_eq!(
            lanes.starving().next(),
            Some((lane, Some(head(2, 1).at))),
            "an earlier one is not passed by"
        );
        lanes.refill(lane, VecDeque::new(), None);
        assert_eq!(lanes.starving().next(), Some((lane, None)), "once more from the beginning");
        lanes.refill(lane, VecDeque::new(), None);
        assert_eq!((lanes.starving().next(), lanes.lanes(), lanes.heads()), (None, 0, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut lanes = Lanes::default();
        for n in 0..10_000_u32 {
            lanes.push(Lane::new(0, &n.to_string()), head(1, 1), ALL);
            lanes.push(
                Lane::new(0, "one"),
                Head { at: GroupId { id: QueueId::from_bytes([2; 16]), group: n as u16 }, size: 1 },
                ALL,
            );
        }
        assert!(lanes.lanes() <= MOST_LANES && lanes.heads() <= MOST_LANES + MOST_HEADS);
    }

    #[test]
    fn a_hop_without_room_leaves_to_the_store_what_arrives() {
        let (old, new) = (Lane::new(0, "old"), Lane::new(0, "new"));
        let mut lanes = Lanes::default();
        (0..5).for_each(|n| assert!(lanes.push(old, head(n, 1), 3)));
        assert!(lanes.push(new, head(9, 1), 3) && lanes.push(new, head(10, 1), 3));
        assert_eq!(lanes.heads(), 4, "who is new has a turn at once");
        assert_eq!(order(&mut lanes, 9), [old, old, old, new]);
        assert_eq!(lanes.starving().count(), 2, "the others are read when it is their turn");
        let taken = |lanes: &mut Lanes, n: u8| lanes.push(Lane::new(0, &n.to_string()), head(n, 1), 3);
        assert!(taken(&mut lanes, 20) && !taken(&mut lanes, 21), "a walk has to find the last one");
    }

    #[test]
    fn all_hops_together_stay_within_memory() {
        assert!(room(1) > MOST_HEADS && room(100) > MOST_HEADS, "few hops do not feel it");
        for hops in [0, 1, 3, 1000, 16_000, 16_384] {
            assert!(hops * room(hops) <= MOST_IN_ALL, "{hops} hops");
        }
        assert_eq!(room(100_000), LEAST_ROOM);
    }

    #[test]
    fn what_is_pushed_while_the_store_is_read_is_not_lost() {
        let lane = Lane::new(0, "a");
        let mut lanes = Lanes::default();
        lanes.push(lane, head(7, 1), ALL);
        lanes.refill(lane, [head(1, 1)].into(), None);
        assert_eq!(order(&mut lanes, 9).len(), 1);
        assert_eq!(lanes.starving().next(), Some((lane, None)), "7 has to be read again");
    }

    #[test]
    fn a_blocked_lane_waits_and_keeps_its_place() {
        let (slow, other) = (Lane::new(0, "slow"), Lane::new(0, "other"));
        let at = |secs: u64| Timestamp::from_millis(secs * 1000);
        let mut lanes = Lanes::default();
        lanes.push(slow, head(1, 1), ALL);
        lanes.push(slow, head(2, 1), ALL);
        let (lane, first) = lanes.pop(at(0)).unwrap();
        lanes.put_back(lane, first, at(10));
        assert_eq!((lanes.pop(at(9)), lanes.unblocked_at()), (None, Some(at(10))));
        lanes.push(other, head(3, 1), ALL);
        assert_eq!(lanes.pop(at(9)), Some((other, head(3, 1))));
        assert_eq!(lanes.pop(at(10)), Some((slow, head(1, 1))));
    }
}
