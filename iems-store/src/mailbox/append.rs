//! Appending: the steps that put one message into one mailbox. No I/O, nothing read.
//!
//! UID and MODSEQ are taken inside the commit, so deliveries never conflict and never stand out of order.

use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, StoreError, Template};

use super::schema::{self, AccountId, ChangeKind, MailboxId, MessageRow, Owner, Uid};
use super::{Flags, Mailboxes};
use crate::rows;

/// One unseen message in the counter of a mailbox, see `schema.rs`.
pub(super) const UNSEEN: i64 = 1 << 32;

/// A message to be appended.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its internal date (RFC 3501 section 2.3.3).
    pub received: Timestamp,
    /// Its flags.
    pub flags: Flags,
    /// Its octets. The blob is linked once more.
    pub body: Body,
}

impl Mailboxes {
    /// Adds the steps that append `message`. The batch conflicts if the account is gone when it is committed.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] if the message's row cannot be expressed.
    pub fn append(
        batch: &mut Batch,
        account: AccountId,
        mailbox: MailboxId,
        message: &NewMessage,
    ) -> Result<(), StoreError> {
        let key = |tail: &[u8]| schema::key(account, tail);
        batch.require_present(&key(b"v"));
        let uid = batch.allocate(&key(&schema::of_mailbox(b'u', mailbox)), 1);
        let modseq = batch.allocate(&key(b"q"), 1);
        let row = MessageRow {
            received: message.received,
            flags: message.flags.bits(),
            keywords: Vec::new(),
            body: message.body.clone(),
        };
        let rest = rows::encode(&row)?;
        let value = Template::from(&[rows::VERSION]).number(modseq, 0).number(modseq, 0);
        let owner = Owner::Known(account);
        batch.put(owner.key(&schema::of_mailbox(b'm', mailbox)).number(uid, 0), value.bytes(&rest[1..]));
        let change = Template::from(&[rows::VERSION, ChangeKind::Updated as u8]);
        let change = change.bytes(&mailbox.0.to_be_bytes()).number(uid, 0);
        batch.put(owner.key(b"c").number(modseq, 0), change);
        batch.add(&key(b"o"), octets(&message.body));
        batch.add(&key(b"k"), 1);
        batch.add(&key(&schema::of_mailbox(b'p', mailbox)), counted(message.flags));
        batch.link(message.body.blob);
        Ok(())
    }
}

/// A message's part in the quota ledger, in octets.
pub(super) fn octets(body: &Body) -> i64 {
    i64::try_from(body.size()).unwrap_or(i64::MAX)
}

/// A message's part in the counter of its mailbox.
pub(super) fn counted(flags: Flags) -> i64 {
    if flags.contains(Flags::SEEN) { 1 } else { 1 + UNSEEN }
}

/// A change-log entry whose UID is known.
pub(super) fn change(kind: ChangeKind, mailbox: MailboxId, uid: Uid) -> Vec<u8> {
    let uid = u64::from(uid.0).to_be_bytes();
    [&[rows::VERSION, kind as u8], &mailbox.0.to_be_bytes()[..], &uid].concat()
}
