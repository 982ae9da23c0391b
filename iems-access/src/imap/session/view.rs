//! What a session believes of the mailbox that it has selected: which messages, in which order, with which flags.
//!
//! 16 octets for each message, or less where others believe the same. Sequence numbers change only in [`View::remove`],
//! which the session calls where an `EXPUNGE` may be told (RFC 9051 section 7.5.1).

use iems_store::mailbox::{FlagChange, Flags, KeywordSet, KeywordTable, MessageState, Swept, Uid};

use super::messages::Messages;
use super::sets::Sets;
use crate::imap::types::{Flag, NumberSet, SequenceSet};
use crate::net::{Budget, Loan, Spent};

/// A message as it was last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) uid: u32,
    /// Where its set is in [`View::sets`].
    keywords: u16,
    pub(super) flags: Flags,
    /// It left, and the peer does not know yet.
    pub(super) gone: bool,
    pub(super) modseq: u64,
}

/// The messages of a mailbox, by sequence number.
#[derive(Debug, Default)]
pub(super) struct View {
    messages: Messages,
    /// The different sets of keywords.
    sets: Sets,
    /// The memory that they take.
    loan: Loan,
    /// Up to which MODSEQ it is true.
    pub(super) modseq: u64,
    /// The MODSEQ of a change that the session made after that, and took over itself.
    pub(super) own: Option<u64>,
    /// The greatest UID it ever had.
    last_uid: u32,
    /// How many the peer was told of; those behind them left unheard of, if they leave before.
    announced: usize,
    /// How many left that the peer does not know of.
    gone: usize,
    /// Where the view stood before the first of them left: of all changes up to that MODSEQ, the peer was told.
    held: u64,
    /// Messages were told to be gone, and the peer cannot know yet up to which MODSEQ it is told of all.
    advanced: bool,
    /// Ranges of UIDs that are `\Recent` here, in order.
    recent: Vec<(u32, u32)>,
    /// How many of them the peer was told of.
    told_recent: u32,
}

impl View {
    /// An empty one, true at a MODSEQ.
    pub(super) fn new(modseq: u64) -> Self {
        Self { modseq, ..Self::default() }
    }

    /// From now on, it takes the memory of `budget`: what it shares with others is theirs.
    pub(super) fn charge(&mut self, budget: &Budget) {
        self.messages.charge(budget);
        self.loan = budget.loan();
        self.settle();
    }

    /// Sets memory aside for so many new messages and so many that change; to be followed by [`Self::settle`].
    pub(super) fn reserve(&mut self, new: usize, changed: usize) -> Result<(), Spent> {
        self.messages.reserve(new, changed)
    }

    /// Gives back what was set aside and is not needed.
    pub(super) fn settle(&mut self) {
        self.messages.settle();
        self.loan.owe(self.sets.octets());
    }

    /// What it costs to keep it, in messages.
    pub(super) fn weight(&self) -> usize {
        self.messages.len() + self.sets.octets() / size_of::<Seen>()
    }

    /// All messages, in order.
    pub(super) fn messages(&self) -> &Messages {
        &self.messages
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.messages.len()).unwrap_or(u32::MAX)
    }

    /// The greatest UID that is there.
    pub(super) fn greatest(&self) -> u32 {
        self.messages.last().map_or(0, |seen| seen.uid)
    }

    /// The greatest UID that it ever had.
    pub(super) fn last_uid(&self) -> u32 {
        self.last_uid
    }

    /// Messages with UIDs above `shown` are recent, and those that were so before.
    pub(super) fn recent_above(&mut self, shown: u32) {
        let before = self.recent.last().map_or(0, |(_, last)| *last);
        let first = before.max(shown).saturating_add(1);
        if first > self.last_uid {
            return;
        }
        match self.recent.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(first) => *last = self.last_uid,
            _ => self.recent.push((first, self.last_uid)),
        }
    }

    /// Nothing is recent any more.
    pub(super) fn forget_recent(&mut self) {
        self.recent = Vec::new();
    }

    /// Whether a message is recent.
    pub(super) fn is_recent(&self, uid: u32) -> bool {
        let at = self.recent.partition_point(|(_, last)| *last < uid);
        self.recent.get(at).is_some_and(|(first, _)| *first <= uid)
    }

    /// How many messages are recent.
    pub(super) fn recent(&self) -> u32 {
        let sum = self.recent.iter().map(|range| self.between(*range)).sum::<usize>();
        u32::try_from(sum).unwrap_or(u32::MAX)
    }

    /// How many messages are recent, if the peer was told of more or fewer.
    pub(super) fn announce_recent(&mut self) -> Option<u32> {
        let recent = self.recent();
        (std::mem::replace(&mut self.told_recent, recent) != recent).then_some(recent)
    }

    /// How many messages have UIDs in a range.
    fn between(&self, (first, last): (u32, u32)) -> usize {
        let to = self.behind(last);
        to - self.messages.place(first).min(to)
    }

    /// The place behind a UID, whether it is there or not.
    fn behind(&self, uid: u32) -> usize {
        uid.checked_add(1).map_or(self.messages.len(), |next| self.messages.place(next))
    }

    /// The message with a sequence number.
    pub(super) fn get(&self, number: u32) -> Option<&Seen> {
        self.messages.get((number as usize).checked_sub(1)?)
    }

    /// The sequence number of a UID.
    pub(super) fn number_of(&self, uid: u32) -> Option<u32> {
        u32::try_from(self.messages.find(uid)? + 1).ok()
    }

    /// The sequence numbers that a set names, of messages that are there.
    pub(super) fn numbers(&self, set: &SequenceSet, uid: bool, saved: &NumberSet) -> Vec<u32> {
        let by_uid = uid || *set == SequenceSet::Saved;
        if !by_uid {
            return set.resolve(self.count(), saved).within(1, self.count()).iter().collect();
        }
        let wanted = set.resolve(self.greatest(), saved);
        let mut numbers = Vec::new();
        for &(first, last) in wanted.ranges() {
            numbers.extend(
                (self.messages.place(first)..self.behind(last)).filter_map(|at| u32::try_from(at + 1).ok()),
            );
        }
        numbers
    }

    /// The keywords of a message.
    pub(super) fn keywords(&self, seen: &Seen) -> &KeywordSet {
        self.sets.of(seen.keywords, seen.uid)
    }

    /// The flags of a message, as they are told.
    pub(super) fn flags(&self, seen: &Seen, table: &KeywordTable) -> Vec<Flag> {
        let mut flags = system_flags(seen.flags);
        if self.is_recent(seen.uid) {
            flags.push(Flag::Recent);
        }
        let names = self.keywords(seen).iter().filter_map(|keyword| table.name(keyword));
        flags.extend(names.map(|name| Flag::Keyword(name.to_owned())));
        flags
    }

    /// Takes the state of a message over. `Some(true)` if it is new, `Some(false)` if the peer does not know of it: of its
    /// flags, or with `condstore` of its MODSEQ, which also grows where flags come and go in between.
    pub(super) fn take(&mut self, state: &MessageState, condstore: bool) -> Option<bool> {
        let uid = state.uid.0;
        if uid > self.last_uid {
            let seen = self.seen(state);
            self.messages.push(seen);
            self.last_uid = uid;
            return Some(true);
        }
        let at = self.messages.find(uid)?;
        let known = self.messages.get(at).filter(|known| !known.gone && known.modseq < state.modseq)?;
        let told = known.flags == state.flags && *self.keywords(known) == state.keywords;
        let seen = self.seen(state);
        if let Some(known) = self.messages.get_mut(at) {
            *known = seen;
        }
        (condstore || !told).then_some(false)
    }

    /// Whether a message is otherwise than a change alone made it of what is known here.
    pub(super) fn is_surprising(&self, state: &MessageState, change: &FlagChange) -> bool {
        let known = self.messages.find(state.uid.0).and_then(|at| self.messages.get(at));
        known.filter(|known| !known.gone && known.modseq < state.modseq).is_some_and(|known| {
            let (flags, keywords) = change.applied(known.flags, self.keywords(known));
            flags != state.flags || keywords != state.keywords
        })
    }

    fn seen(&mut self, state: &MessageState) -> Seen {
        let uid = state.uid.0;
        let keywords = self.interned(uid, &state.keywords);
        Seen { uid, keywords, flags: state.flags, gone: false, modseq: state.modseq }
    }

    /// Takes over a change that the session made to messages.
    pub(super) fn sweep(&mut self, swept: &Swept, change: &FlagChange) {
        if self.sets.is_full() {
            self.keep_sets();
        }
        let sets = &mut self.sets;
        // Most messages are as the one before: before, and so afterwards.
        let mut last = None;
        self.messages.change(swept.changed.iter().map(|uid| uid.0), |seen| {
            let before = (seen.flags, seen.keywords);
            let after = match last {
                Some((same, after)) if same == before => after,
                _ => {
                    let (flags, keywords) = change.applied(seen.flags, sets.of(seen.keywords, seen.uid));
                    (flags, sets.place(seen.uid, &keywords))
                }
            };
            // What stands apart is each message's own.
            last = Some((before, after)).filter(|_| !Sets::is_apart(before.1) && !Sets::is_apart(after.1));
            (seen.flags, seen.keywords) = after;
            seen.modseq = swept.modseq;
        });
        self.own = Some(swept.modseq);
    }

    /// The same for another session, to which nothing was told yet.
    pub(super) fn afresh(&self) -> Self {
        Self {
            messages: if self.gone > 0 { self.messages.without_gone() } else { self.messages.clone() },
            sets: self.sets.clone(),
            modseq: self.modseq,
            last_uid: self.last_uid,
            ..Self::default()
        }
    }

    /// Notes that messages left.
    pub(super) fn leave(&mut self, uids: &[Uid]) {
        for uid in uids {
            let Some(at) = self.messages.find(uid.0) else { continue };
            if self.messages.get(at).is_some_and(|seen| !seen.gone)
                && let Some(seen) = self.messages.get_mut(at)
            {
                seen.gone = true;
                if self.gone == 0 {
                    self.held = self.modseq;
                }
                self.gone += 1;
            }
        }
    }

    /// Whether there are some that left, and the peer does not know.
    pub(super) fn is_missing_some(&self) -> bool {
        self.gone > 0
    }

    /// The MODSEQ up to which the peer was told of all, while there are some that left, and it does not know (RFC 7162
    /// section 3.2).
    pub(super) fn held(&self) -> Option<u64> {
        self.is_missing_some().then_some(self.held)
    }

    /// The MODSEQ up to which the peer was told of all, if messages were told to be gone since it was asked for (RFC 7162
    /// section 3.2.7).
    pub(super) fn advanced(&mut self) -> Option<u64> {
        (!self.is_missing_some() && std::mem::take(&mut self.advanced)).then_some(self.modseq)
    }

    /// How many there are, if the peer is to be told because there are more than it knows of.
    pub(super) fn announce(&mut self) -> Option<u32> {
        let more = self.messages.len() > self.announced;
        self.announced = self.messages.len();
        more.then(|| self.count())
    }

    /// Takes those out that left: sequence numbers and UIDs of those that the peer knows, greatest first.
    pub(super) fn remove(&mut self) -> Vec<(u32, u32)> {
        if self.gone == 0 {
            return Vec::new();
        }
        let numbered = self.messages.iter().take(self.announced).zip(1u32..);
        let mut gone: Vec<_> =
            numbered.filter(|(seen, _)| seen.gone).map(|(seen, number)| (number, seen.uid)).collect();
        gone.reverse();
        gone.iter().for_each(|(_, uid)| self.sets.forget(*uid));
        self.messages = self.messages.without_gone();
        self.announced -= gone.len();
        self.gone = 0;
        self.advanced |= !gone.is_empty();
        if self.recent.len() > 1 {
            let mut recent = std::mem::take(&mut self.recent);
            recent.retain(|range| self.between(*range) > 0);
            self.recent = recent;
        }
        if self.sets.is_full() {
            self.keep_sets();
        }
        gone
    }

    /// The place of a message's set.
    fn interned(&mut self, uid: u32, keywords: &KeywordSet) -> u16 {
        if self.sets.is_full() {
            self.keep_sets();
        }
        self.sets.place(uid, keywords)
    }

    /// Drops sets that no message has any more.
    fn keep_sets(&mut self) {
        self.sets.keep(&mut self.messages.iter_mut().map(|seen| (seen.uid, &mut seen.keywords)));
    }
}

/// System flags, as they are told.
pub(super) fn system_flags(flags: Flags) -> Vec<Flag> {
    let all = [
        (Flags::ANSWERED, Flag::Answered),
        (Flags::FLAGGED, Flag::Flagged),
        (Flags::DELETED, Flag::Deleted),
        (Flags::SEEN, Flag::Seen),
        (Flags::DRAFT, Flag::Draft),
    ];
    all.into_iter().filter(|(bit, _)| flags.contains(*bit)).map(|(_, flag)| flag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(uid: u32, modseq: u64, flags: Flags) -> MessageState {
        MessageState { uid: Uid(uid), flags, modseq, size: 1, keywords: KeywordSet::default() }
    }

    #[test]
    fn a_message_takes_sixteen_octets() {
        assert_eq!(size_of::<Seen>(), 16);
    }

    #[test]
    fn numbers_stay_until_they_may_change() {
        let mut view = View::new(1);
        for uid in [3, 5, 9] {
            assert_eq!(view.take(&state(uid, 2, Flags::empty()), false), Some(true));
        }
        assert_eq!((view.announce(), view.announce()), (Some(3), None));
        assert_eq!(view.take(&state(5, 3, Flags::SEEN), false), Some(false));
        assert_eq!(view.take(&state(5, 3, Flags::SEEN), false), None, "it is known");
        assert_eq!(view.take(&state(5, 4, Flags::SEEN), false), None, "it looks as it did");
        assert_eq!(view.take(&state(5, 5, Flags::SEEN), true), Some(false), "its MODSEQ grew");
        assert_eq!(view.take(&state(4, 3, Flags::SEEN), false), None, "no message comes in between");
        assert_eq!((view.held(), view.advanced()), (None, None));
        view.leave(&[Uid(3), Uid(77)]);
        view.modseq = 6;
        view.leave(&[Uid(9)]);
        assert_eq!((view.held(), view.advanced()), (Some(1), None));
        assert_eq!((view.count(), view.number_of(5)), (3, Some(2)));
        assert_eq!(view.remove(), [(3, 9), (1, 3)]);
        assert_eq!((view.held(), view.advanced(), view.advanced()), (None, Some(6), None));
        assert_eq!((view.count(), view.number_of(5)), (1, Some(1)));
        assert_eq!(view.take(&state(9, 4, Flags::empty()), false), None, "no UID comes twice");
        // What comes and goes before the peer hears of it was never there.
        for uid in [10, 11] {
            view.take(&state(uid, 5, Flags::empty()), false);
        }
        view.leave(&[Uid(5), Uid(10)]);
        assert_eq!(view.remove(), [(1, 5)]);
        assert_eq!((view.announce(), view.number_of(11)), (Some(1), Some(1)));
    }

    #[test]
    fn what_was_not_shown_before_is_recent() {
        let mut view = View::new(1);
        for uid in [3, 5, 9] {
            view.take(&state(uid, 2, Flags::SEEN), false);
        }
        view.recent_above(4);
        assert_eq!([3, 5, 6, 9, 10].map(|uid| view.is_recent(uid)), [false, true, true, true, false]);
        assert_eq!((view.recent(), view.announce_recent(), view.announce_recent()), (2, Some(2), None));
        let table = KeywordTable::default();
        assert_eq!(view.flags(view.get(2).unwrap(), &table), [Flag::Seen, Flag::Recent]);
        view.recent_above(9);
        for uid in [11, 12] {
            view.take(&state(uid, 3, Flags::empty()), false);
        }
        // Another session was the first to see 11.
        view.recent_above(11);
        assert_eq!((view.recent(), view.is_recent(11)), (3, false));
        view.leave(&[Uid(5), Uid(9)]);
        assert_eq!(view.recent(), 3, "they are not told to be gone yet");
        view.remove();
        assert_eq!((view.recent(), view.is_recent(12), view.is_recent(9)), (1, true, false));
        view.forget_recent();
        assert_eq!(view.recent(), 0);
    }

    #[test]
    fn sets_name_messages_that_are_there() {
        use crate::imap::types::{Bound, SequenceRange};
        let mut view = View::new(1);
        for uid in [3, 5, 9] {
            view.take(&state(uid, 2, Flags::empty()), false);
        }
        let set = |start, end| SequenceSet::Ranges(vec![SequenceRange { start, end }]);
        let none = NumberSet::default();
        assert_eq!(view.numbers(&set(Bound::Number(2), Bound::Number(u32::MAX)), false, &none), [2, 3]);
        assert_eq!(view.numbers(&set(Bound::Number(4), Bound::Last), true, &none), [2, 3]);
        assert_eq!(view.numbers(&set(Bound::Number(99), Bound::Last), true, &none), [3]);
        assert_eq!(view.numbers(&SequenceSet::Saved, false, &NumberSet::from_iter([5, 6])), [2]);
    }
}
