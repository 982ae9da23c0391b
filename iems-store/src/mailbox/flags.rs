//! System flags (RFC 3501 section 2.3.2), and changing them.

use std::ops::{BitOr, BitOrAssign};

use iems_core::storage::{Batch, StoreError, Template};

use super::append::{change, counted};
use super::schema::{self, AccountId, ChangeKind, MailboxId, Owner, Uid};
use super::{Mailboxes, TRIES, busy};
use crate::rows;

/// A set of system flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// `\Seen`.
    pub const SEEN: Self = Self(1);
    /// `\Answered`.
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`.
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`.
    pub const DELETED: Self = Self(8);
    /// `\Draft`.
    pub const DRAFT: Self = Self(16);

    /// No flags.
    pub const fn empty() -> Self {
        Self(0)
    }

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    /// Bits that mean nothing are dropped.
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x1F)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Mailboxes {
    /// Sets the flags of a message; `false` if there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
        flags: Flags,
    ) -> Result<bool, StoreError> {
        let key = schema::key(account, &schema::of_message(mailbox, uid));
        for _ in 0..TRIES {
            let Some(row) = self.storage.store.get(&key).await? else { return Ok(false) };
            let message = super::query::read(uid, &row)?;
            if message.flags == flags {
                return Ok(true);
            }
            let rest = rows::encode(&message.row_with(flags))?;
            let mut batch = Batch::new();
            batch.require_equals(&key, &row);
            let modseq = batch.allocate(&schema::key(account, b"q"), 1);
            let value = Template::from(&[rows::VERSION]).number(modseq, 0);
            batch.put(key.clone(), value.bytes(&message.object.to_be_bytes()).bytes(&rest[1..]));
            batch.delete(&schema::key(account, &schema::of_change(message.modseq)));
            let entry = change(ChangeKind::Updated, mailbox, uid);
            batch.put(Owner::Known(account).key(b"c").number(modseq, 0), entry);
            let counter = schema::key(account, &schema::of_mailbox(b'p', mailbox));
            batch.add(&counter, counted(flags) - counted(message.flags));
            if self.try_commit(batch).await? {
                return Ok(true);
            }
        }
        Err(busy())
    }
}
