//! Memory that all sessions of one account share: what they hold is counted, and what would be too much is refused before
//! it is taken. Others feel nothing of it.
//!
//! Counted are octets as the allocator has them, or a little more. Not counted is what every connection costs anyway, which is
//! some KiB, and bounded by the number of connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use iems_store::mailbox::AccountId;

/// What one account may hold unless something else is said, in octets.
const DEFAULT: usize = 512 << 20;

/// The memory of all accounts, each of which may hold the same. Servers that share it count their sessions together.
#[derive(Debug)]
pub struct Memory {
    rules: Arc<Rules>,
    accounts: Mutex<HashMap<AccountId, Weak<Account>>>,
}

/// What holds for all accounts, and what they have together.
#[derive(Debug)]
struct Rules {
    most: AtomicUsize,
    held: AtomicUsize,
    refused: AtomicU64,
}

/// The memory of one account.
#[derive(Debug)]
struct Account {
    rules: Arc<Rules>,
    held: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        let rules =
            Rules { most: AtomicUsize::new(DEFAULT), held: AtomicUsize::new(0), refused: AtomicU64::new(0) };
        Self { rules: Arc::new(rules), accounts: Mutex::default() }
    }
}

impl Memory {
    /// Each account may hold so many octets from now on. What is held already stays.
    pub fn allow(&self, octets: u64) {
        self.rules.most.store(usize::try_from(octets).unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// Octets that all accounts hold.
    pub fn held(&self) -> u64 {
        self.rules.held.load(Ordering::Relaxed) as u64
    }

    /// How often something was refused because its account would have held too much.
    pub fn refused(&self) -> u64 {
        self.rules.refused.load(Ordering::Relaxed)
    }

    /// What one account may hold.
    pub(crate) fn of(&self, account: AccountId) -> Budget {
        let mut accounts = self.accounts();
        if let Some(known) = accounts.get(&account).and_then(Weak::upgrade) {
            return Budget(Some(known));
        }
        if accounts.len() >= accounts.capacity() {
            // Before it grows: those whose last session is gone.
            accounts.retain(|_, account| account.strong_count() > 0);
        }
        let (rules, held) = (self.rules.clone(), AtomicUsize::new(0));
        let new = Arc::new(Account { rules, held });
        accounts.insert(account, Arc::downgrade(&new));
        Budget(Some(new))
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<AccountId, Weak<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account holds as much as it may, and cannot hold more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sessions of this account hold as much memory as they may")]
pub struct Spent;

/// What an account may hold; that of nobody has no end.
#[derive(Debug, Clone, Default)]
pub struct Budget(Option<Arc<Account>>);

impl Budget {
    /// Takes octets, which are given back when the loan is dropped.
    ///
    /// # Errors
    /// It would be too much.
    pub fn take(&self, octets: usize) -> Result<Loan, Spent> {
        let mut loan = self.loan();
        loan.resize(octets)?;
        Ok(loan)
    }

    /// The same for what can be done without: then nobody was refused anything.
    pub(crate) fn spare(&self, octets: usize) -> Option<Loan> {
        let mut loan = self.loan();
        self.take_if_there(octets).then(|| {
            loan.octets = octets;
            loan
        })
    }

    /// A loan of nothing yet.
    pub fn loan(&self) -> Loan {
        Loan { budget: self.clone(), octets: 0 }
    }

    /// Whether there is nothing left.
    pub fn is_spent(&self) -> bool {
        let spent = |account: &Account| {
            account.held.load(Ordering::Relaxed) >= account.rules.most.load(Ordering::Relaxed)
        };
        self.0.as_deref().is_some_and(spent)
    }

    fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    fn take_more(&self, octets: usize) -> Result<(), Spent> {
        if self.take_if_there(octets) {
            return Ok(());
        }
        if let Some(account) = &self.0 {
            account.rules.refused.fetch_add(1, Ordering::Relaxed);
        }
        Err(Spent)
    }

    fn take_if_there(&self, octets: usize) -> bool {
        let Some(account) = &self.0 else { return true };
        let most = account.rules.most.load(Ordering::Relaxed);
        let more = |held: usize| held.checked_add(octets).filter(|held| *held <= most);
        let taken = account.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if taken {
            account.rules.held.fetch_add(octets, Ordering::Relaxed);
        }
        taken
    }

    fn owe_more(&self, octets: usize) {
        if let Some(account) = &self.0 {
            account.held.fetch_add(octets, Ordering::Relaxed);
            account.rules.held.fetch_add(octets, Ordering::Relaxed);
        }
    }

    fn give_back(&self, octets: usize) {
        if let Some(account) = &self.0
            && octets > 0
        {
            account.held.fetch_sub(octets, Ordering::Relaxed);
            account.rules.held.fetch_sub(octets, Ordering::Relaxed);
        }
    }
}

/// Octets that are held. Dropping it gives them back.
#[derive(Debug, Default)]
pub struct Loan {
    budget: Budget,
    octets: usize,
}

impl Loan {
    /// How many they are.
    pub const fn octets(&self) -> usize {
        self.octets
    }

    /// Whether it is of this account.
    pub(crate) fn is_from(&self, budget: &Budget) -> bool {
        self.budget.is(budget)
    }

    /// Whether some are held, and by this account.
    pub(crate) fn is_of(&self, budget: &Budget) -> bool {
        self.octets > 0 && self.budget.is(budget)
    }

    /// Holds so many more.
    ///
    /// # Errors
    /// It would be too much; then nothing changes.
    pub fn grow(&mut self, octets: usize) -> Result<(), Spent> {
        self.budget.take_more(octets)?;
        self.octets += octets;
        Ok(())
    }

    /// Holds so many from now on.
    ///
    /// # Errors
    /// It would be too much; then nothing changes.
    pub fn resize(&mut self, octets: usize) -> Result<(), Spent> {
        match octets.checked_sub(self.octets) {
            Some(more) => self.grow(more),
            None => {
                self.budget.give_back(self.octets - octets);
                self.octets = octets;
                Ok(())
            }
        }
    }

    /// Holds so many from now on, even if that is too much: for what is there and cannot be refused.
    pub(crate) fn owe(&mut self, octets: usize) {
        match octets.checked_sub(self.octets) {
            Some(more) => self.budget.owe_more(more),
            None => self.budget.give_back(self.octets - octets),
        }
        self.octets = octets;
    }

    /// A part of it, as a loan of its own; what it lacks is owed.
    pub(crate) fn split(&mut self, octets: usize) -> Self {
        let there = octets.min(self.octets);
        self.octets -= there;
        let mut part = Self { budget: self.budget.clone(), octets: there };
        part.owe(octets);
        part
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.budget.give_back(self.octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_one_account_share_what_it_may_hold() {
        let memory = Memory::default();
        memory.allow(100);
        let (one, same, other) = (memory.of(AccountId(1)), memory.of(AccountId(1)), memory.of(AccountId(2)));
        let first = one.take(60).unwrap();
        assert_eq!(same.take(41).unwrap_err(), Spent);
        let mut second = same.take(40).unwrap();
        assert!(one.is_spent() && !other.is_spent());
        assert_eq!((second.grow(1), second.octets()), (Err(Spent), 40));
        assert!(other.take(100).is_ok(), "another account feels nothing of it");
        drop(first);
        second.resize(100).unwrap();
        second.resize(10).unwrap();
        assert_eq!((memory.held(), memory.refused()), (10, 2));
        drop(second);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_cannot_be_refused_is_owed() {
        let memory = Memory::default();
        memory.allow(100);
        let budget = memory.of(AccountId(1));
        let mut reserve = budget.take(70).unwrap();
        let (part, more) = (reserve.split(50), reserve.split(90));
        assert_eq!((part.octets(), more.octets(), reserve.octets(), memory.held()), (50, 90, 0, 140));
        assert!(budget.is_spent() && budget.take(1).is_err());
        drop((part, more));
        assert_eq!(memory.held(), 0);
        assert!(part_is_of(&budget));
    }

    fn part_is_of(budget: &Budget) -> bool {
        let (mine, nobodys) = (budget.take(1).unwrap(), Budget::default().take(usize::MAX).unwrap());
        mine.is_of(budget) && !nobodys.is_of(budget) && !budget.loan().is_of(budget)
    }

    #[test]
    fn accounts_without_sessions_are_forgotten() {
        let memory = Memory::default();
        for account in 0..10_000 {
            drop(memory.of(AccountId(account)).take(1));
        }
        assert!(memory.accounts().len() < 100);
    }
}
