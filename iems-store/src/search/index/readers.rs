//! Indexes that are open to be asked: a few, those that were asked last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reader::Reader;
use crate::mailbox::AccountId;

/// Open indexes.
pub(super) struct Readers {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    asked: u64,
    readers: HashMap<AccountId, (u64, Arc<Reader>)>,
}

impl Readers {
    /// For at most `most` at once.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of an account, if it is open.
    pub(super) fn get(&self, account: AccountId) -> Option<Arc<Reader>> {
        let mut open = self.open();
        open.asked += 1;
        let now = open.asked;
        let (asked, reader) = open.readers.get_mut(&account)?;
        *asked = now;
        Some(reader.clone())
    }

    /// An index that was opened; the one that was not asked for longest is closed, if there are too many.
    pub(super) fn put(&self, account: AccountId, reader: Arc<Reader>) {
        let mut open = self.open();
        open.asked += 1;
        let now = open.asked;
        open.readers.insert(account, (now, reader));
        if open.readers.len() > self.most {
            let oldest =
                open.readers.iter().min_by_key(|(_, (asked, _))| *asked).map(|(account, _)| *account);
            oldest.map(|account| open.readers.remove(&account));
        }
    }

    /// Closes the index of an account.
    pub(super) fn forget(&self, account: AccountId) {
        self.open().readers.remove(&account);
    }
}
