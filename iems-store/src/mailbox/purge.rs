//! Purging: the mail of accounts that were removed, in pieces of bounded size.

use iems_core::storage::{Batch, Scan, StoreError};

use super::Mailboxes;
use super::schema::{self, AccountId, NAMESPACE};

/// How many rows leave in one commit.
const AT_ONCE: usize = 2000;

impl Mailboxes {
    /// Removes what is left of accounts that were removed. To be called when a server starts: a removal may have been cut
    /// short. Returns how many accounts there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn purge_removed(&self) -> Result<usize, StoreError> {
        let mut accounts = 0;
        loop {
            let removed = self.storage.store.scan(Scan::prefix(&[NAMESPACE, b'x'], 1)).await?;
            let Some((key, _)) = removed.first() else { return Ok(accounts) };
            self.purge(schema::removed_account(key)?).await?;
            accounts += 1;
        }
    }

    /// Removes all rows of an account that was removed, and its claims on bodies.
    pub(crate) async fn purge(&self, account: AccountId) -> Result<(), StoreError> {
        let messages = schema::key(account, b"m");
        let all = schema::key(account, b"");
        loop {
            let rows = self.storage.store.scan(Scan::prefix(&all, AT_ONCE)).await?;
            let mut batch = Batch::new();
            for (key, row) in &rows {
                if key.starts_with(&messages) {
                    batch.require_equals(key, row);
                    batch.unlink(super::query::read(schema::uid(key)?, row)?.body.blob);
                }
                batch.delete(key);
            }
            if rows.is_empty() {
                batch.delete(&schema::removed(account));
            }
            if self.try_commit(batch).await? && rows.is_empty() {
                return Ok(());
            }
        }
    }
}
