//! Where the indexes are: a folder, and in it one for each account, called by the account's number.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::mailbox::AccountId;

/// The folder of all indexes.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    there: Mutex<BTreeSet<AccountId>>,
}

impl Shelf {
    /// The indexes in `folder`, which need not be there.
    pub(super) fn open(folder: PathBuf) -> Self {
        let there = Mutex::new(found(&folder));
        Self { folder, there }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of an account's index.
    pub(super) fn of(&self, account: AccountId) -> PathBuf {
        self.folder.join(account.0.to_string())
    }

    fn there(&self) -> MutexGuard<'_, BTreeSet<AccountId>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an account has an index.
    pub(super) fn has(&self, account: AccountId) -> bool {
        self.there().contains(&account)
    }

    /// Accounts that have one.
    pub(super) fn all(&self) -> Vec<AccountId> {
        self.there().iter().copied().collect()
    }

    /// There is one now.
    pub(super) fn add(&self, account: AccountId) {
        self.there().insert(account);
    }

    /// Removes an index; `false` if there was none.
    pub(super) fn remove(&self, account: AccountId) -> io::Result<bool> {
        self.there().remove(&account);
        match std::fs::remove_dir_all(self.of(account)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => {
                self.add(account);
                Err(error)
            }
        }
    }

    /// Octets of an index on the medium.
    pub(super) fn octets(&self, account: AccountId) -> u64 {
        let Ok(files) = std::fs::read_dir(self.of(account)) else { return 0 };
        files.flatten().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
    }
}

/// The accounts that have a folder.
fn found(folder: &Path) -> BTreeSet<AccountId> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok().map(AccountId);
    entries.flatten().filter_map(number).collect()
}
