//! The beginning and the end of an account's mail, as steps of the directory's batches.

use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, Slot, StoreError};

use super::row::{MailboxRow, TreeRow};
use super::schema::{self, AccountId, MailboxId, Owner};
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
    // A mailbox without changes says 1, so the first change is 2.
    batch.put(owner.key(b"q"), 1i64.to_le_bytes().to_vec());
    batch.put(owner.key(b"t"), rows::encode(&TreeRow { changes: 0, names: 1 })?);
    batch.put(owner.key(b"l"), 0i64.to_le_bytes().to_vec());
    let row = MailboxRow { name: "INBOX".into(), parent: None, special: None };
    put_mailbox(batch, owner, inbox, &row)?;
    batch.put(owner.key(&schema::of_subscription("INBOX")), &[rows::VERSION]);
    Ok(inbox)
}

/// Adds the rows of a mailbox.
pub(super) fn put_mailbox(
    batch: &mut Batch,
    owner: Owner,
    mailbox: MailboxId,
    row: &MailboxRow,
) -> Result<(), StoreError> {
    put_node(batch, owner, mailbox, row, true)?;
    if let Some(special) = row.special {
        batch.put(owner.key(&schema::of_special(special)), mailbox.0.to_be_bytes().to_vec());
    }
    Ok(())
}

/// Adds the row of a mailbox, or of a name without one, and its entry in the index of names.
pub(super) fn put_node(
    batch: &mut Batch,
    owner: Owner,
    mailbox: MailboxId,
    row: &MailboxRow,
    selectable: bool,
) -> Result<(), StoreError> {
    let tag = if selectable { b'b' } else { b'd' };
    batch.put(owner.key(&schema::of_mailbox(tag, mailbox)), rows::encode(row)?);
    let entry = [&[u8::from(selectable)][..], &mailbox.0.to_be_bytes()].concat();
    batch.put(owner.key(&schema::of_name(row.parent, &row.name)), entry);
    Ok(())
}

/// Adds the steps after which nothing can be delivered to the account and its mail waits for
/// `Mailboxes::purge_removed`.
pub(crate) fn remove_account(batch: &mut Batch, account: AccountId) {
    batch.delete(&schema::key(account, b"v"));
    batch.delete(&schema::key(account, b"t"));
    batch.put(schema::removed(account), vec![rows::VERSION]);
}

/// The number of a mailbox made `now`, if there was none before.
pub(super) fn first_number(now: Timestamp) -> MailboxId {
    MailboxId(u32::try_from(now.as_secs()).unwrap_or(u32::MAX).max(1))
}
