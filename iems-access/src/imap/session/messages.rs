//! The messages of a view, by sequence number: in pieces that the views of one mailbox share until one of them changes a
//! message there. So whoever opens a mailbox that is open, or was, copies nothing.

use std::sync::Arc;

use super::view::Seen;

/// Messages in a piece: all have so many, but for the last one.
const PIECE: usize = 1024;

/// Messages, in the order of their UIDs.
#[derive(Debug, Clone, Default)]
pub(super) struct Messages(Vec<Arc<Vec<Seen>>>);

impl Messages {
    pub(super) fn len(&self) -> usize {
        let last = self.0.last().map_or(0, |last| last.len());
        self.0.len().saturating_sub(1) * PIECE + last
    }

    pub(super) fn get(&self, at: usize) -> Option<&Seen> {
        self.0.get(at / PIECE)?.get(at % PIECE)
    }

    /// To be changed: what shares the piece keeps it as it was.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Seen> {
        Arc::make_mut(self.0.get_mut(at / PIECE)?).get_mut(at % PIECE)
    }

    pub(super) fn last(&self) -> Option<&Seen> {
        self.0.last()?.last()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.from(0)
    }

    /// Those from a place on.
    pub(super) fn from(&self, at: usize) -> impl Iterator<Item = &Seen> {
        self.0.iter().skip(at / PIECE).flat_map(|piece| piece.iter()).skip(at % PIECE)
    }

    /// Adds one whose UID is greater than all before.
    pub(super) fn push(&mut self, seen: Seen) {
        match self.0.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => Arc::make_mut(last).push(seen),
            None => self.0.push(Arc::new(vec![seen])),
        }
    }

    /// The place of the first one with a UID of at least this.
    pub(super) fn place(&self, uid: u32) -> usize {
        let piece = self.0.partition_point(|piece| piece.last().is_none_or(|last| last.uid < uid));
        let within = self.0.get(piece).map_or(0, |piece| piece.partition_point(|seen| seen.uid < uid));
        (piece * PIECE + within).min(self.len())
    }

    /// The place of a UID.
    pub(super) fn find(&self, uid: u32) -> Option<usize> {
        let at = self.place(uid);
        self.get(at).filter(|seen| seen.uid == uid).map(|_| at)
    }

    /// All, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Seen> {
        self.0.iter_mut().flat_map(|piece| Arc::make_mut(piece).iter_mut())
    }

    /// Takes those out that are gone. Pieces before the first one stay as they are.
    pub(super) fn without_gone(&self) -> Self {
        let whole = self.0.iter().take_while(|piece| piece.iter().all(|seen| !seen.gone)).count();
        let mut left = Self(self.0.iter().take(whole).cloned().collect());
        self.from(whole * PIECE).filter(|seen| !seen.gone).for_each(|seen| left.push(*seen));
        left
    }
}

#[cfg(test)]
mod tests {
    use iems_store::mailbox::{Flags, KeywordSet, MessageState, Uid};

    use super::super::view::View;
    use super::*;

    /// A view with so many messages, whose UIDs are even.
    fn view(messages: u32) -> View {
        let mut view = View::new(1);
        for n in 1..=messages {
            let keywords = KeywordSet::default();
            let state = MessageState { uid: Uid(2 * n), flags: Flags::empty(), modseq: 1, size: 1, keywords };
            view.take(&state, false);
        }
        view
    }

    #[test]
    fn places_are_right_at_the_ends_of_pieces() {
        for count in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let view = view(count as u32);
            let messages = view.messages();
            assert_eq!(messages.len(), count);
            assert_eq!(messages.iter().count(), count);
            assert_eq!(messages.last().map_or(0, |last| last.uid as usize), 2 * count);
            for at in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 6, 3 * PIECE + 7] {
                let uid = 2 * at as u32 + 2;
                assert_eq!(messages.get(at).map(|seen| seen.uid), (at < count).then_some(uid));
                assert_eq!(messages.place(uid), at.min(count), "of {uid} in {count}");
                assert_eq!(messages.place(uid - 1), at.min(count));
                assert_eq!(messages.find(uid), (at < count).then_some(at));
                assert_eq!(messages.find(uid - 1), None);
                assert_eq!(messages.from(at).map(|seen| seen.uid).next(), (at < count).then_some(uid));
            }
        }
    }

    #[test]
    fn what_one_view_changes_another_keeps() {
        let one = view(3 * PIECE as u32);
        let mut messages = one.messages().clone();
        let shared = |messages: &Messages| {
            let pairs = messages.0.iter().zip(&one.messages().0);
            pairs.map(|(mine, other)| Arc::ptr_eq(mine, other)).collect::<Vec<_>>()
        };
        assert_eq!(shared(&messages), [true; 3]);
        for at in [PIECE, 2 * PIECE - 1] {
            messages.get_mut(at).unwrap().gone = true;
        }
        assert_eq!(shared(&messages), [true, false, true]);
        let gone = |messages: &Messages| messages.iter().filter(|seen| seen.gone).count();
        assert_eq!((gone(&messages), gone(one.messages())), (2, 0));
        let left = messages.without_gone();
        assert_eq!((left.len(), gone(&left)), (3 * PIECE - 2, 0));
        assert_eq!(shared(&left), [true, false, false]);
        assert!(left.0.iter().rev().skip(1).all(|piece| piece.len() == PIECE));
        assert!(left.iter().is_sorted_by_key(|seen| seen.uid));
    }
}
