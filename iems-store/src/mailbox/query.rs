//! Reading: messages of a mailbox, what changed, what the account holds.

use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{Scan, StoreError, counter};

use super::schema::{self, AccountId, ChangeKind, MailboxId, MessageRow, Uid};
use super::{Flags, Mailboxes};
use crate::rows;

/// A message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// When it last changed (RFC 7162).
    pub modseq: u64,
    /// Its name within the account, which never changes.
    pub object: u64,
    /// Its internal date.
    pub received: Timestamp,
    /// Its flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Vec<String>,
    /// Its octets; [`Body::size`] is its RFC822.SIZE.
    pub body: Body,
}

impl Message {
    pub(super) fn row_with(&self, flags: Flags) -> MessageRow {
        let (received, keywords, body) = (self.received, self.keywords.clone(), self.body.clone());
        MessageRow { received, flags: flags.bits(), keywords, body }
    }
}

/// One entry of the change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub modseq: u64,
    /// Where.
    pub mailbox: MailboxId,
    /// Which message.
    pub uid: Uid,
    /// Whether it is gone; otherwise it came in or got other flags.
    pub expunged: bool,
}

/// What an account holds: the quota ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets of all messages.
    pub octets: u64,
    /// Number of messages.
    pub messages: u64,
}

impl Mailboxes {
    /// The messages of a mailbox with UIDs above `after`, in the order of their UIDs, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn messages(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let Some(from) = after.0.checked_add(1) else { return Ok(Vec::new()) };
        let prefix = schema::key(account, &schema::of_mailbox(b'm', mailbox));
        let from = schema::key(account, &schema::of_message(mailbox, Uid(from)));
        let rows = self.storage.store.scan(Scan::prefix(&prefix, limit).starting_at(&from)).await?;
        rows.iter().map(|(key, row)| read(schema::uid(key)?, row)).collect()
    }

    /// One message.
    ///
    /// # Errors
    /// The store's.
    pub async fn message(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Option<Message>, StoreError> {
        let key = schema::key(account, &schema::of_message(mailbox, uid));
        let row = self.storage.store.get(&key).await?;
        row.map(|row| read(uid, &row)).transpose()
    }

    /// What the account holds.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(&self, account: AccountId) -> Result<Usage, StoreError> {
        Ok(Usage {
            octets: self.counter(account, b"o").await?.max(0).unsigned_abs(),
            messages: self.counter(account, b"k").await?.max(0).unsigned_abs(),
        })
    }

    /// How many messages a mailbox holds, and how many of them are unseen.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, account: AccountId, mailbox: MailboxId) -> Result<(u64, u64), StoreError> {
        let both = self.counter(account, &schema::of_mailbox(b'p', mailbox)).await?.max(0).unsigned_abs();
        Ok((both & u64::from(u32::MAX), both >> 32))
    }

    /// The account's last MODSEQ.
    ///
    /// # Errors
    /// The store's.
    pub async fn modseq(&self, account: AccountId) -> Result<u64, StoreError> {
        Ok(self.counter(account, b"q").await?.max(0).unsigned_abs())
    }

    /// What happened after the MODSEQ `since`, in order, at most `limit` entries. Of several changes to a message only
    /// the last is there.
    ///
    /// # Errors
    /// The store's.
    pub async fn changes(
        &self,
        account: AccountId,
        since: u64,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let Some(from) = since.checked_add(1) else { return Ok(Vec::new()) };
        let scan = Scan::prefix(&schema::key(account, b"c"), limit);
        let scan = scan.starting_at(&schema::key(account, &schema::of_change(from)));
        let rows = self.storage.store.scan(scan).await?;
        rows.iter().map(|(key, row)| read_change(key, row)).collect()
    }

    async fn counter(&self, account: AccountId, tail: &[u8]) -> Result<i64, StoreError> {
        counter(self.storage.store.get(&schema::key(account, tail)).await?.as_deref())
    }
}

/// The message of a row.
pub(super) fn read(uid: Uid, row: &[u8]) -> Result<Message, StoreError> {
    let what = "a message";
    let (modseq, rest) = rows::number(rows::versioned(row, what)?, what)?;
    let (object, rest) = rows::number(rest, what)?;
    let row: MessageRow =
        postcard::from_bytes(rest).map_err(|e| StoreError::Corrupt(format!("{what}: {e}")))?;
    let MessageRow { received, flags, keywords, body } = row;
    Ok(Message { uid, modseq, object, received, flags: Flags::from_bits(flags), keywords, body })
}

fn read_change(key: &[u8], row: &[u8]) -> Result<Change, StoreError> {
    let what = "a change";
    let damaged = || StoreError::Corrupt(what.into());
    let (modseq, _) = rows::number(key.last_chunk::<8>().ok_or_else(damaged)?, what)?;
    let (kind, rest) = rows::versioned(row, what)?.split_first().ok_or_else(damaged)?;
    let (mailbox, _) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    let expunged = *kind == ChangeKind::Expunged as u8;
    Ok(Change { modseq, mailbox: schema::mailbox(mailbox)?, uid: schema::uid(rest)?, expunged })
}
