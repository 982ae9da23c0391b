//! Whose mail is shown: the accounts of a directory, and how many sessions each of them has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iems_store::directory::{AccountInfo, StoreDirectory};
use iems_store::mailbox::{AccountId, MailboxId, Mailboxes};
use iems_store::search::TextIndex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::recent::{Recents, Witness};
use super::session::Views;
use crate::net::{Budget, Memory};

/// How many sessions may have messages read ahead at once. Each takes a thread of the runtime's for what blocks, and may need another
/// one: they must never be all there are.
const READERS: usize = 32;

/// The accounts of a directory. All IMAP servers of one process share it: it counts the sessions of each account.
pub struct Accounts {
    directory: Arc<StoreDirectory>,
    index: Option<Arc<dyn TextIndex>>,
    seats: Mutex<HashMap<AccountId, usize>>,
    recents: Recents,
    views: Views,
    memory: Arc<Memory>,
    readers: Arc<Semaphore>,
}

impl Accounts {
    /// The accounts in `directory`.
    pub fn new(directory: Arc<StoreDirectory>) -> Arc<Self> {
        Self::within(Arc::default(), directory, None)
    }

    /// The same; sessions of an account share its part of `memory`, also with those of other protocols, and `index` keeps searches
    /// for texts from reading every message.
    pub fn within(
        memory: Arc<Memory>,
        directory: Arc<StoreDirectory>,
        index: Option<Arc<dyn TextIndex>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            directory,
            index,
            seats: Mutex::default(),
            recents: Recents::default(),
            views: Views::default(),
            memory,
            readers: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// The right to read ahead, if not too many others do.
    pub(crate) fn reader(&self) -> Option<OwnedSemaphorePermit> {
        self.readers.clone().try_acquire_owned().ok()
    }

    /// What the sessions of an account may hold together.
    pub(crate) fn budget(&self, account: AccountId) -> Budget {
        self.memory.of(account)
    }

    pub(crate) fn directory(&self) -> &StoreDirectory {
        &self.directory
    }

    pub(crate) fn mailboxes(&self) -> &Mailboxes {
        self.directory.mailboxes()
    }

    /// What sessions believe of large mailboxes.
    pub(in crate::imap) fn views(&self) -> &Views {
        &self.views
    }

    pub(crate) fn index(&self) -> Option<&dyn TextIndex> {
        self.index.as_deref()
    }

    /// A place for one more session of an account; `None` if it has `most` already.
    pub(crate) fn seat(self: &Arc<Self>, info: &AccountInfo, most: usize) -> Option<Seat> {
        let mut seats = self.seats();
        let taken = seats.entry(info.id).or_default();
        if *taken >= most {
            return None;
        }
        *taken += 1;
        Some(Seat { accounts: self.clone(), account: info.id })
    }

    /// Who shows what is new in a mailbox, for a session that is about to open it.
    pub(crate) fn witness(self: &Arc<Self>, account: AccountId, mailbox: MailboxId) -> Witness {
        Witness::new(self, (account, mailbox))
    }

    pub(crate) fn recents(&self) -> &Recents {
        &self.recents
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

/// The right to one session of an account. Dropping it gives it back.
pub(crate) struct Seat {
    accounts: Arc<Accounts>,
    account: AccountId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.leave()
            && let Some(index) = self.accounts.index()
        {
            index.left(self.account);
        }
    }
}

impl Seat {
    /// Whether it was the last one of its account.
    fn leave(&self) -> bool {
        let mut seats = self.accounts.seats();
        let Some(taken) = seats.get_mut(&self.account) else { return false };
        *taken -= 1;
        let last = *taken == 0;
        if last {
            seats.remove(&self.account);
        }
        last
    }
}
