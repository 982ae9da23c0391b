//! What STATUS asks of a mailbox (RFC 9051 section 6.3.11): counters, read with one scan.

use std::collections::BTreeMap;

use bytes::Bytes;
use iems_core::storage::{Scan, StoreError, counter};

use super::schema::{self, AccountId, Count, MailboxId};
use super::{Mailboxes, folders};
use crate::rows;

/// How many counters a mailbox has at most.
pub(super) const COUNTERS: usize = 11;

/// The counters of a mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Number of messages.
    pub messages: u64,
    /// Messages without `\Seen`.
    pub unseen: u64,
    /// Messages with `\Deleted`.
    pub deleted: u64,
    /// Octets of all messages (RFC 8438).
    pub octets: u64,
    /// The UID that the next message will have at least. Above 32 bits where there are no more.
    pub uid_next: u64,
    /// The MODSEQ of the last change (RFC 7162 section 3.1.2.1); 1 where there was none.
    pub highest_modseq: u64,
    /// The UID up to which messages were shown to somebody as recent, see [`Mailboxes::set_shown`].
    pub shown: u32,
}

impl Status {
    /// That of a mailbox that never had a message.
    pub fn empty() -> Self {
        Self { uid_next: 1, highest_modseq: 1, ..Self::default() }
    }

    fn take(&mut self, which: Option<&u8>, row: &Bytes) -> Result<(), StoreError> {
        let number = || Ok::<_, StoreError>(counter(Some(row))?.max(0).unsigned_abs());
        match which {
            Some(w) if *w == Count::LastUid as u8 => self.uid_next = number()?.saturating_add(1),
            Some(w) if *w == Count::Messages as u8 => {
                let both = number()?;
                (self.messages, self.unseen) = (both & u64::from(u32::MAX), both >> 32);
            }
            Some(w) if *w == Count::Deleted as u8 => self.deleted = number()?,
            Some(w) if *w == Count::Octets as u8 => self.octets = number()?,
            Some(w) if *w == Count::Highest as u8 => {
                (self.highest_modseq, _) = rows::number(row, "a MODSEQ")?
            }
            Some(w) if *w == Count::Shown as u8 => self.shown = u32::try_from(number()?).unwrap_or(u32::MAX),
            _ => {}
        }
        Ok(())
    }
}

impl Mailboxes {
    /// The counters of a mailbox.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self, account: AccountId, mailbox: MailboxId) -> Result<Status, StoreError> {
        let prefix = schema::key(account, &schema::of_mailbox(b'p', mailbox));
        let mut status = Status::empty();
        for (key, row) in self.storage.store.scan(Scan::prefix(&prefix, COUNTERS)).await? {
            status.take(key.last(), &row)?;
        }
        Ok(status)
    }

    /// The counters of all mailboxes that ever had a message. What is not in it has none: [`Status`] of an empty mailbox.
    ///
    /// # Errors
    /// The store's.
    pub async fn statuses(&self, account: AccountId) -> Result<BTreeMap<MailboxId, Status>, StoreError> {
        let prefix = schema::key(account, b"p");
        let mut all = BTreeMap::new();
        for (key, row) in self.storage.store.scan(Scan::prefix(&prefix, COUNTERS * folders::LISTED)).await? {
            let (which, head) = key.split_last().map_or((None, &[][..]), |(which, head)| (Some(which), head));
            all.entry(schema::mailbox(head)?).or_insert_with(Status::empty).take(which, &row)?;
        }
        Ok(all)
    }

    /// How many messages a mailbox holds, and how many of them are unseen.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, account: AccountId, mailbox: MailboxId) -> Result<(u64, u64), StoreError> {
        let both = self.counter(account, &schema::of_count(mailbox, Count::Messages)).await?;
        let both = both.max(0).unsigned_abs();
        Ok((both & u64::from(u32::MAX), both >> 32))
    }
}
