//! What a search costs the processor: counted, bounded, and given up from time to time so that others get their turn.

use super::{SearchError, Searched};
use crate::net::Loan;

/// How much is done in one turn: some milliseconds.
const TURN: u64 = 500_000;
/// Octets of text in which one text is looked for, for one unit.
const OCTETS: u64 = 8;
/// The same where they may be encoded words, which are decoded for it.
const DECODED: u64 = 2;
/// How much memory is taken at a time.
const PIECE: usize = 64 << 10;

/// What was done so far, in units of about 10 ns: a look at a flag.
#[derive(Debug)]
pub(super) struct Work {
    done: u64,
    turn: u64,
    most: u64,
    /// Octets that may still be held.
    room: u64,
    /// Octets that are held.
    held: usize,
    /// Memory for them.
    loan: Loan,
}

impl Work {
    pub(super) fn new(searched: &Searched<'_>) -> Self {
        let (limits, loan) = (&searched.limits, searched.budget.loan());
        Self { done: 0, turn: 0, most: limits.work, room: limits.held, held: 0, loan }
    }

    /// Counts what is about to be done.
    pub(super) async fn take(&mut self, units: u64) -> Result<(), SearchError> {
        self.done = self.done.saturating_add(units);
        self.turn = self.turn.saturating_add(units);
        if self.done > self.most {
            return Err(SearchError::TooCostly);
        }
        if self.turn > TURN {
            self.turn = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Counts octets that are held until the end.
    pub(super) fn hold(&mut self, octets: usize) -> Result<(), SearchError> {
        self.room = self.room.checked_sub(octets as u64).ok_or(SearchError::TooCostly)?;
        self.held += octets;
        if let Some(more) = self.held.checked_sub(self.loan.octets()) {
            self.loan.grow(more.max(PIECE))?;
        }
        Ok(())
    }

    /// The memory of what is held, for as long as that is there.
    pub(super) fn into_loan(self) -> Loan {
        self.loan
    }

    /// Counts octets in which one text is about to be looked for.
    pub(super) async fn look(&mut self, octets: usize) -> Result<(), SearchError> {
        self.take(1 + octets as u64 / OCTETS).await
    }

    /// The same for a field, which may have to be decoded first, and of which so much is counted already.
    pub(super) async fn look_on(&mut self, octets: usize, counted: u64) -> Result<(), SearchError> {
        self.take((octets as u64 / DECODED).saturating_sub(counted)).await
    }

    /// Counts octets of fields that are about to be decoded, and made ready to be compared.
    pub(super) async fn decode(&mut self, octets: usize) -> Result<(), SearchError> {
        self.take(1 + octets as u64).await
    }
}
