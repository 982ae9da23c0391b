//! Purging: the mail of accounts that were removed and of mailboxes that were deleted, in pieces of bounded size.

use iems_core::storage::{Batch, Scan, StoreError};

use super::append::octets;
use super::schema::{self, AccountId, MailboxId, NAMESPACE, Of, Uid};
use super::{MailboxError, Mailboxes, acl, row};

/// How many rows leave in one commit.
const AT_ONCE: usize = 256;

impl Mailboxes {
    /// Removes what is left of accounts that were removed and mailboxes that were deleted, and moves what is left in an INBOX that was
    /// renamed. To be called when a server starts: a removal may have been cut short. Returns how many were removed.
    ///
    /// # Errors
    /// The store's.
    pub async fn purge_removed(&self) -> Result<usize, StoreError> {
        let mut purged = 0;
        for (key, _) in self.storage.store.scan(Scan::prefix(&[NAMESPACE, b'i'], usize::MAX)).await? {
            let finished = self.finish_renaming(schema::account_of(&key)?).await;
            finished.map_err(|error| match error {
                MailboxError::Store(error) => error,
                error => StoreError::Io(error.to_string()),
            })?;
        }
        loop {
            let removed = self.storage.store.scan(Scan::prefix(&[NAMESPACE, b'x'], 1)).await?;
            let Some((key, _)) = removed.first() else { break };
            self.purge(schema::account_of(key)?).await?;
            purged += 1;
        }
        loop {
            let deleted = self.storage.store.scan(Scan::prefix(&[NAMESPACE, b'r'], 1)).await?;
            let Some((key, _)) = deleted.first() else { return Ok(purged) };
            self.purge_mailbox(schema::account_of(key)?, schema::mailbox(key)?).await?;
            purged += 1;
        }
    }

    /// Removes all rows of an account that was removed, and its claims on bodies.
    pub(crate) async fn purge(&self, account: AccountId) -> Result<(), StoreError> {
        self.forget_grantee(account).await?;
        let messages = schema::key(account, &[Of::Info as u8]);
        let lists = schema::key(account, b"a");
        let all = schema::key(account, b"");
        let deleted = schema::deleted(account, MailboxId(0));
        let deleted = deleted.strip_suffix(&[0; 4]).unwrap_or(&deleted).to_vec();
        loop {
            let mut rows = self.storage.store.scan(Scan::prefix(&all, AT_ONCE)).await?;
            rows.extend(self.storage.store.scan(Scan::prefix(&deleted, AT_ONCE)).await?);
            let mut batch = Batch::new();
            for (key, row) in &rows {
                if key.starts_with(&messages) {
                    batch.require_equals(key, row);
                    batch.unlink(row::read_info(schema::uid(key)?, row)?.body.blob);
                }
                if key.starts_with(&lists) {
                    for entry in acl::read(Some(row))? {
                        batch.delete(&schema::share(entry.grantee.number(), account, schema::mailbox(key)?));
                    }
                }
                batch.delete(key);
            }
            if rows.is_empty() {
                batch.delete(&schema::removed(account));
            }
            if self.try_commit(batch).await?.is_some() && rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// Removes all rows of a mailbox that was deleted, its claims on bodies, and its part of the ledger.
    pub(super) async fn purge_mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<(), StoreError> {
        while !self.purge_messages(account, mailbox).await? {}
        for tag in [b'p', b'f', b'c', b'e', b'x', b'z'] {
            let prefix = schema::key(account, &schema::of_mailbox(tag, mailbox));
            loop {
                let rows = self.storage.store.scan(Scan::prefix(&prefix, AT_ONCE)).await?;
                if rows.is_empty() {
                    break;
                }
                let mut batch = Batch::new();
                rows.iter().for_each(|(key, _)| batch.delete(key));
                self.try_commit(batch).await?;
            }
        }
        let mut batch = Batch::new();
        batch.delete(&schema::deleted(account, mailbox));
        self.try_commit(batch).await.map(|_| ())
    }

    /// Removes some messages; `true` when there are none.
    async fn purge_messages(&self, account: AccountId, mailbox: MailboxId) -> Result<bool, StoreError> {
        let key = |tail: &[u8]| schema::key(account, tail);
        let infos = self.page(Of::Info, account, mailbox, Uid(0), AT_ONCE).await?;
        if infos.is_empty() {
            return Ok(true);
        }
        let (mut batch, mut size) = (Batch::new(), 0i64);
        for (info_key, info) in &infos {
            let uid = schema::uid(info_key)?;
            let read = row::read_info(uid, info)?;
            batch.require_equals(info_key, info);
            batch.delete(info_key);
            batch.delete(&key(&schema::of_message(Of::State, mailbox, uid)));
            batch.delete(&key(&schema::of_message(Of::Structure, mailbox, uid)));
            if let Some(id) = &read.id {
                batch.delete(&key(&schema::of_thread(&id.0, mailbox, uid)));
            }
            batch.unlink(read.body.blob);
            size = size.saturating_add(octets(read.body.size()));
        }
        batch.add(&key(b"o"), -size);
        batch.add(&key(b"k"), -(infos.len() as i64));
        self.try_commit(batch).await?;
        Ok(false)
    }
}
