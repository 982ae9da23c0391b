//! Expunging: messages leave, the ledger and the change log follow in the same commit.

use iems_core::storage::{Batch, StoreError};

use super::append::{change, counted, octets};
use super::schema::{self, AccountId, ChangeKind, MailboxId, Owner, Uid};
use super::{Mailboxes, TRIES, busy};

/// How many messages leave in one commit at most: the batch stays below its limit even with long fields in front of
/// each body.
const AT_ONCE: usize = 2000;

/// What left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expunged {
    /// Number of messages; those that were gone before do not count.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
}

impl Mailboxes {
    /// Removes messages: all of them in one commit, as long as they are at most 2000. Those that are gone already are
    /// left out.
    ///
    /// # Errors
    /// The store's. After one, the commits before it have taken effect.
    pub async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Expunged, StoreError> {
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        uids.dedup();
        let mut all = Expunged::default();
        for uids in uids.chunks(AT_ONCE) {
            let some = self.expunge_some(account, mailbox, uids).await?;
            all.messages += some.messages;
            all.octets += some.octets;
        }
        Ok(all)
    }

    async fn expunge_some(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Expunged, StoreError> {
        for _ in 0..TRIES {
            let (batch, gone) = self.expunging(account, mailbox, uids).await?;
            if gone.messages == 0 || self.try_commit(batch).await? {
                return Ok(gone);
            }
        }
        Err(busy())
    }

    /// The batch by which those of `uids` leave that are there now.
    async fn expunging(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<(Batch, Expunged), StoreError> {
        let key = |tail: &[u8]| schema::key(account, tail);
        let mut batch = Batch::new();
        let mut gone = Expunged::default();
        let (mut size, mut count) = (0i64, 0i64);
        for uid in uids {
            let row_key = key(&schema::of_message(mailbox, *uid));
            let Some(row) = self.storage.store.get(&row_key).await? else { continue };
            let message = super::query::read(*uid, &row)?;
            batch.require_equals(&row_key, &row);
            batch.delete(&row_key);
            batch.delete(&key(&schema::of_change(message.modseq)));
            let modseq = batch.allocate(&key(b"q"), 1);
            let entry = change(ChangeKind::Expunged, mailbox, *uid);
            batch.put(Owner::Known(account).key(b"c").number(modseq, 0), entry);
            batch.unlink(message.body.blob);
            size += octets(&message.body);
            count += counted(message.flags);
            gone.messages += 1;
            gone.octets += message.body.size();
        }
        batch.add(&key(b"o"), -size);
        batch.add(&key(b"k"), -(gone.messages as i64));
        batch.add(&key(&schema::of_mailbox(b'p', mailbox)), -count);
        Ok((batch, gone))
    }
}
