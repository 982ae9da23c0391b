//! Up to where messages were shown to somebody as recent (RFC 3501 section 2.3.2). The mark may be behind what sessions
//! showed: who is told twice of new mail loses nothing, so nobody waits for it.

use iems_core::storage::{Batch, StoreError};

use super::schema::{self, AccountId, Count, MailboxId, Uid};
use super::{Mailboxes, TRIES, busy};

/// How many states are counted in one step.
const PAGE: usize = 4096;

impl Mailboxes {
    /// Writes down that messages up to `uid` were shown to somebody as recent. Of two marks, the greater one stays; of a
    /// mailbox that is gone, nothing is written.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_shown(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<(), StoreError> {
        let key = schema::key(account, &schema::of_count(mailbox, Count::Shown));
        for _ in 0..TRIES {
            let before = self.storage.store.get(&key).await?;
            let shown = iems_core::storage::counter(before.as_deref())?;
            if shown >= i64::from(uid.0) || !self.exists(account, mailbox).await? {
                return Ok(());
            }
            let mut batch = Batch::new();
            batch.require_present(&schema::key(account, &schema::of_mailbox(b'b', mailbox)));
            match &before {
                Some(before) => batch.require_equals(&key, before),
                None => batch.require_absent(&key),
            }
            batch.put(key.clone(), i64::from(uid.0).to_le_bytes().to_vec());
            if self.try_commit(batch).await?.is_some() {
                return Ok(());
            }
        }
        Err(busy())
    }

    /// How many messages have a UID above `after`. Costs as much as there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn count_after(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        after: Uid,
    ) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, after);
        loop {
            let page = self.page(schema::Of::State, account, mailbox, after, PAGE).await?;
            count += page.len() as u64;
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = schema::uid(last)?,
                _ => return Ok(count),
            }
        }
    }
}
