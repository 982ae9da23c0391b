//! Replacing (RFC 8508): a message comes and another one leaves, in one commit.

use iems_core::storage::Batch;

use super::append::{self, Appended, NewMessage, append_some};
use super::expunge::leave;
use super::row::Number;
use super::schema::{self, AccountId, MailboxId, Uid};
use super::{MailboxError, Mailboxes, TRIES};

impl Mailboxes {
    /// Puts `message` into the mailbox `to`, and takes the message `uid` out of `from`, a mailbox of the same account.
    /// Nobody sees both or neither. `None`, and nothing is changed, if there is no message `uid` any more.
    ///
    /// # Errors
    /// [`MailboxError::NoMailbox`], [`MailboxError::NoAccount`], [`MailboxError::Busy`]; the store's.
    pub async fn replace(
        &self,
        account: AccountId,
        (from, uid): (MailboxId, Uid),
        to: MailboxId,
        message: &NewMessage,
    ) -> Result<Option<Appended>, MailboxError> {
        let key = |tail: &[u8]| schema::key(account, tail);
        for _ in 0..TRIES {
            let sweeps = self.sweeps(account, from).await?;
            let leaving = self.leaving(account, from, &[uid], &sweeps).await?;
            let Some(old) = leaving.first() else { return Ok(None) };
            let mut batch = Batch::new();
            batch.require_present(&key(&schema::of_mailbox(b'b', to)));
            append_some(&mut batch, account, to, std::slice::from_ref(message))?;
            let left = batch.allocate(&key(b"q"), 1);
            leave(&mut batch, account, from, Number::Slot(left, 0), &[old], &sweeps);
            batch.add(&key(b"o"), -append::octets(old.state.size));
            batch.add(&key(b"k"), -1);
            batch.unlink(old.info.body.blob);
            if let Some(committed) = self.try_commit(batch).await? {
                let first = append::first_uid(&committed.firsts)?;
                let modseq = committed.firsts.last().copied().unwrap_or_default();
                return Ok(Some(Appended { first, messages: 1, modseq }));
            }
            self.require_mailbox(account, to).await?;
        }
        Err(MailboxError::Busy)
    }
}
