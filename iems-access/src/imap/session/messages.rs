//! The messages of a view, by sequence number: in pieces that the views of one mailbox share until one of them changes a
//! message there. So whoever opens a mailbox that is open, or was, copies nothing.

use std::sync::Arc;

use super::view::Seen;
use crate::net::{Budget, Loan, Spent};

/// Messages in a piece: all have so many, but for the last one.
const PIECE: usize = 1024;
/// What a piece takes besides its messages, in octets.
const AROUND: usize = 96;

/// Messages, in the order of their UIDs.
#[derive(Debug, Clone, Default)]
pub(super) struct Messages {
    pieces: Vec<Arc<Piece>>,
    /// Whose memory the pieces take that are made here. What was set aside for them is in `reserve`.
    budget: Budget,
    reserve: Reserve,
}

/// Some messages, and the memory that they take: that of whoever made the piece, as long as anybody shares it.
#[derive(Debug, Default)]
struct Piece {
    seen: Vec<Seen>,
    loan: Loan,
}

impl Clone for Piece {
    /// Whose memory a copy takes is for who makes it to say.
    fn clone(&self) -> Self {
        Self { seen: self.seen.clone(), loan: Loan::default() }
    }
}

impl Piece {
    /// To be changed: what shares the piece keeps it as it was.
    fn own<'a>(piece: &'a mut Arc<Self>, budget: &Budget, reserve: &mut Reserve) -> &'a mut Vec<Seen> {
        let piece = Arc::make_mut(piece);
        if !piece.loan.is_of(budget) {
            piece.loan = reserve.take(budget, size_of::<Seen>() * piece.seen.capacity() + AROUND);
        }
        &mut piece.seen
    }
}

/// Memory that was set aside for pieces that are about to be made. No copy has it, too.
#[derive(Debug, Default)]
struct Reserve(Option<Loan>);

impl Clone for Reserve {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl Reserve {
    /// A loan of so much, from the reserve as far as it goes.
    fn take(&mut self, budget: &Budget, octets: usize) -> Loan {
        match self.0.as_mut() {
            Some(reserve) if reserve.is_of(budget) => reserve.split(octets),
            _ => {
                let mut loan = budget.loan();
                loan.owe(octets);
                loan
            }
        }
    }
}

impl Messages {
    /// From now on, what is made takes the memory of `budget`.
    pub(super) fn charge(&mut self, budget: &Budget) {
        self.budget = budget.clone();
    }

    /// Sets memory aside for so many new messages and so many that change, wherever they are.
    pub(super) fn reserve(&mut self, new: usize, changed: usize) -> Result<(), Spent> {
        let pieces = (new / PIECE + 2).saturating_add(changed.min(self.pieces.len()));
        let octets = pieces.saturating_mul(PIECE * size_of::<Seen>() + AROUND);
        self.reserve = Reserve(None);
        self.reserve = Reserve(Some(self.budget.take(octets)?));
        Ok(())
    }

    /// Gives back what was set aside and is not needed.
    pub(super) fn settle(&mut self) {
        self.reserve = Reserve(None);
    }

    pub(super) fn len(&self) -> usize {
        let last = self.pieces.last().map_or(0, |last| last.seen.len());
        self.pieces.len().saturating_sub(1) * PIECE + last
    }

    pub(super) fn get(&self, at: usize) -> Option<&Seen> {
        self.pieces.get(at / PIECE)?.seen.get(at % PIECE)
    }

    /// To be changed: what shares the piece keeps it as it was.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Seen> {
        let piece = self.pieces.get_mut(at / PIECE)?;
        Piece::own(piece, &self.budget, &mut self.reserve).get_mut(at % PIECE)
    }

    pub(super) fn last(&self) -> Option<&Seen> {
        self.pieces.last()?.seen.last()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.from(0)
    }

    /// Those from a place on.
    pub(super) fn from(&self, at: usize) -> impl Iterator<Item = &Seen> {
        self.pieces.iter().skip(at / PIECE).flat_map(|piece| piece.seen.iter()).skip(at % PIECE)
    }

    /// Adds one whose UID is greater than all before.
    pub(super) fn push(&mut self, seen: Seen) {
        match self.pieces.last_mut().filter(|last| last.seen.len() < PIECE) {
            Some(last) => {
                let last = Arc::make_mut(last);
                last.seen.push(seen);
                let octets = size_of::<Seen>() * last.seen.capacity() + AROUND;
                if !last.loan.is_of(&self.budget) || last.loan.octets() < octets {
                    last.loan = Loan::default();
                    last.loan = self.reserve.take(&self.budget, octets);
                }
            }
            None => {
                let seen = vec![seen];
                let octets = size_of::<Seen>() * seen.capacity() + AROUND;
                let loan = self.reserve.take(&self.budget, octets);
                self.pieces.push(Arc::new(Piece { seen, loan }));
            }
        }
    }

    /// The place of the first one with a UID of at least this.
    pub(super) fn place(&self, uid: u32) -> usize {
        let piece = self.pieces.partition_point(|piece| piece.seen.last().is_none_or(|last| last.uid < uid));
        let within =
            self.pieces.get(piece).map_or(0, |piece| piece.seen.partition_point(|seen| seen.uid < uid));
        (piece * PIECE + within).min(self.len())
    }

    /// The place of a UID.
    pub(super) fn find(&self, uid: u32) -> Option<usize> {
        let at = self.place(uid);
        self.get(at).filter(|seen| seen.uid == uid).map(|_| at)
    }

    /// All, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Seen> {
        let (budget, reserve) = (&self.budget, &mut self.reserve);
        self.pieces.iter_mut().flat_map(move |piece| Piece::own(piece, budget, reserve).iter_mut())
    }

    /// Changes those with these UIDs, which are in order. Pieces without any stay as they are.
    pub(super) fn change(&mut self, uids: impl IntoIterator<Item = u32>, mut change: impl FnMut(&mut Seen)) {
        let mut uids = uids.into_iter().peekable();
        for piece in &mut self.pieces {
            let last = piece.seen.last().map_or(0, |seen| seen.uid);
            if uids.peek().is_none_or(|uid| *uid > last) {
                continue;
            }
            let mut seen = Piece::own(piece, &self.budget, &mut self.reserve).iter_mut().peekable();
            while let Some(uid) = uids.next_if(|uid| *uid <= last) {
                while seen.next_if(|seen| seen.uid < uid).is_some() {}
                if let Some(seen) = seen.next_if(|seen| seen.uid == uid) {
                    change(seen);
                }
            }
        }
    }

    /// Takes those out that are gone. Pieces before the first one stay as they are.
    pub(super) fn without_gone(&self) -> Self {
        let whole = self.pieces.iter().take_while(|piece| piece.seen.iter().all(|seen| !seen.gone)).count();
        let pieces = self.pieces.iter().take(whole).cloned().collect();
        let mut left = Self { pieces, budget: self.budget.clone(), reserve: Reserve(None) };
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
    fn those_that_are_named_are_changed_and_no_others() {
        let view = view(3 * PIECE as u32);
        let last = 6 * PIECE as u32;
        for uids in [&[][..], &[1], &[2], &[1, 2, 3, 4, last, last + 2], &[2 * PIECE as u32 + 2], &[last + 1]]
        {
            let mut messages = view.messages().clone();
            messages.change(uids.iter().copied(), |seen| seen.gone = true);
            let changed: Vec<_> = messages.iter().filter(|seen| seen.gone).map(|seen| seen.uid).collect();
            let there: Vec<_> = uids.iter().copied().filter(|uid| uid % 2 == 0 && *uid <= last).collect();
            assert_eq!(changed, there, "of {uids:?}");
            let pieces = messages
                .pieces
                .iter()
                .zip(&view.messages().pieces)
                .filter(|(one, other)| !Arc::ptr_eq(one, other));
            assert!(pieces.count() <= uids.len(), "of {uids:?}");
        }
    }

    #[test]
    fn what_one_view_changes_another_keeps() {
        let one = view(3 * PIECE as u32);
        let mut messages = one.messages().clone();
        let shared = |messages: &Messages| {
            let pairs = messages.pieces.iter().zip(&one.messages().pieces);
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
        assert!(left.pieces.iter().rev().skip(1).all(|piece| piece.seen.len() == PIECE));
        assert!(left.iter().is_sorted_by_key(|seen| seen.uid));
    }
}
