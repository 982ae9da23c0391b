//! The beginning and the end of an account's mail, as steps of the directory's batches.

use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, Slot, StoreError};

use super::schema::{self, AccountId, MailboxId, MailboxRow, Owner};
use crate::rows;

/// Adds the steps that give a new account its INBOX; returns the INBOX's number.
pub(crate) fn create_account(
    batch: &mut Batch,
    account: Slot,
    now: Timestamp,
) -> Result<MailboxId, StoreError> {
    let inbox = first_number(now);
    let owner = Owner::New(account);
    batch.put(owner.key(b"v"), i64::from(inbox.0).to_le_bytes().to_vec());
    let row = MailboxRow { name: "INBOX".into(), parent: None, subscribed: true, special: None };
    put_mailbox(batch, owner, inbox, &row)?;
    Ok(inbox)
}

/// Adds the rows of a mailbox.
pub(crate) fn put_mailbox(
    batch: &mut Batch,
    owner: Owner,
    mailbox: MailboxId,
    row: &MailboxRow,
) -> Result<(), StoreError> {
    batch.put(owner.key(&schema::of_mailbox(b'b', mailbox)), rows::encode(row)?);
    let number = mailbox.0.to_be_bytes();
    batch.put(owner.key(&schema::of_name(row.parent, &row.name)), number.to_vec());
    if let Some(special) = row.special {
        batch.put(owner.key(&schema::of_special(special)), number.to_vec());
    }
    Ok(())
}

/// Adds the steps after which nothing can be delivered to the account and its mail waits for
/// `Mailboxes::purge_removed`.
pub(crate) fn remove_account(batch: &mut Batch, account: AccountId) {
    batch.delete(&schema::key(account, b"v"));
    batch.put(schema::removed(account), vec![rows::VERSION]);
}

/// The number of a mailbox made `now`, if there was none before.
pub(crate) fn first_number(now: Timestamp) -> MailboxId {
    MailboxId(u32::try_from(now.as_secs()).unwrap_or(u32::MAX).max(1))
}
