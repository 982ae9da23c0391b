//! Mailboxes of an account: find, make, list.

use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, Scan, StoreError, counter};

use super::Mailboxes;
use super::account::{first_number, put_mailbox};
use super::schema::{self, AccountId, MailboxId, MailboxRow, Owner, SpecialUse};
use crate::rows;

/// The most mailboxes of one account that are listed.
const LISTED: usize = 10_000;

/// A mailbox of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Its number, which is its UIDVALIDITY.
    pub id: MailboxId,
    /// Its name below its parent.
    pub name: String,
    /// The mailbox it is in.
    pub parent: Option<MailboxId>,
    /// Whether the user subscribed to it.
    pub subscribed: bool,
    /// Its special use.
    pub special: Option<SpecialUse>,
}

impl Mailboxes {
    /// The mailbox called `name` in no other mailbox.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, account: AccountId, name: &str) -> Result<Option<MailboxId>, StoreError> {
        self.index(account, &schema::of_name(None, name)).await
    }

    /// The mailbox called `name`, whatever its case, in no other mailbox. Only the first 10,000 are looked at.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_in_any_case(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<MailboxId>, StoreError> {
        let prefix = schema::key(account, &schema::of_name(None, ""));
        let rows = self.storage.store.scan(Scan::prefix(&prefix, LISTED)).await?;
        let wanted = name.to_lowercase();
        let found = rows.iter().find(|(key, _)| {
            let name = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
            name.is_some_and(|name| name.to_lowercase() == wanted)
        });
        found.map(|(_, row)| schema::mailbox(row)).transpose()
    }

    /// The mailbox with a special use.
    ///
    /// # Errors
    /// The store's.
    pub async fn special(
        &self,
        account: AccountId,
        special: SpecialUse,
    ) -> Result<Option<MailboxId>, StoreError> {
        self.index(account, &schema::of_special(special)).await
    }

    async fn index(&self, account: AccountId, tail: &[u8]) -> Result<Option<MailboxId>, StoreError> {
        let row = self.storage.store.get(&schema::key(account, tail)).await?;
        row.map(|row| schema::mailbox(&row)).transpose()
    }

    /// Adds the steps that make a mailbox, under the condition that nobody makes one meanwhile. Its number is good
    /// for further steps of the same batch.
    ///
    /// # Errors
    /// The store's. If the account is gone, the batch will conflict.
    pub async fn create(
        &self,
        batch: &mut Batch,
        account: AccountId,
        name: &str,
        special: Option<SpecialUse>,
        now: Timestamp,
    ) -> Result<MailboxId, StoreError> {
        let last_key = schema::key(account, b"v");
        let last = self.storage.store.get(&last_key).await?;
        let number = counter(last.as_deref())?;
        let number = u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
        let mailbox = MailboxId(number.max(first_number(now).0));
        batch.require_equals(&last_key, last.as_deref().unwrap_or_default());
        batch.require_absent(&schema::key(account, &schema::of_name(None, name)));
        batch.put(last_key, i64::from(mailbox.0).to_le_bytes().to_vec());
        let row = MailboxRow { name: name.to_owned(), parent: None, subscribed: true, special };
        put_mailbox(batch, Owner::Known(account), mailbox, &row)?;
        Ok(mailbox)
    }

    /// All mailboxes of an account, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, account: AccountId) -> Result<Vec<MailboxInfo>, StoreError> {
        let prefix = schema::key(account, b"b");
        let rows = self.storage.store.scan(Scan::prefix(&prefix, LISTED)).await?;
        rows.iter()
            .map(|(key, row)| {
                let MailboxRow { name, parent, subscribed, special } = rows::decode(row, "a mailbox")?;
                Ok(MailboxInfo { id: schema::mailbox(key)?, name, parent, subscribed, special })
            })
            .collect()
    }
}
