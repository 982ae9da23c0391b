//! The mailbox schema: every key and row under the namespace `M`. No I/O.
//!
//! Numbers in keys are big-endian, so that order of keys is order of numbers. `A` is an account (8 bytes),
//! `B` a mailbox of it (4 bytes), `U` a UID (8 bytes), `Q` a MODSEQ (8 bytes).
//!
//! | key | value |
//! |---|---|
//! | `Ma A v` | counter: the last mailbox number given out; there exactly while the account exists |
//! | `Ma A b B` | the mailbox: name, parent, subscription, special use |
//! | `Ma A n B-of-parent name` | the number of the mailbox with this name (`INBOX` in upper case) |
//! | `Ma A s use` | the number of the mailbox with this special use |
//! | `Ma A u B` | counter: the last UID |
//! | `Ma A p B` | counter: messages in the low half, unseen messages in the high half |
//! | `Ma A m B U` | the message: MODSEQ, object, then internal date, flags, keywords, body |
//! | `Ma A q` | counter: the last MODSEQ |
//! | `Ma A c Q` | change log: what happened at this MODSEQ; one live entry per message |
//! | `Ma A o`, `Ma A k` | counters, the quota ledger: octets and messages |
//! | `Mx A` | an account that was removed and whose mail is yet to be |
//!
//! A mailbox's number is its UIDVALIDITY: seconds since the epoch, or one more than the last of the account if that is
//! greater. So it only grows. Account and number together are its stable object id; a message's is its
//! account and the MODSEQ at which it came in.

use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{Slot, StoreError, Template};
use serde::{Deserialize, Serialize};

use crate::rows;

/// The namespace of mailboxes in the key space.
pub const NAMESPACE: u8 = b'M';

/// An account, by a number that is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId(pub u64);

/// A mailbox of an account, by its UIDVALIDITY (RFC 3501 section 2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MailboxId(pub u32);

/// A message of a mailbox (RFC 3501 section 2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uid(pub u32);

/// A special use of a mailbox (RFC 6154).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SpecialUse {
    /// `\Junk`.
    Junk,
    /// `\Trash`.
    Trash,
    /// `\Sent`.
    Sent,
    /// `\Drafts`.
    Drafts,
    /// `\Archive`.
    Archive,
}

/// A mailbox's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MailboxRow {
    pub(crate) name: String,
    pub(crate) parent: Option<MailboxId>,
    pub(crate) subscribed: bool,
    pub(crate) special: Option<SpecialUse>,
}

/// What a message's row holds behind MODSEQ and object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRow {
    pub(crate) received: Timestamp,
    pub(crate) flags: u8,
    pub(crate) keywords: Vec<String>,
    pub(crate) body: Body,
}

/// What a change-log entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ChangeKind {
    Updated = 1,
    Expunged = 2,
}

/// Where an account's number in a key comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    Known(AccountId),
    /// Handed out by the commit.
    New(Slot),
}

impl Owner {
    /// The key `Ma A tail`.
    pub(crate) fn key(self, tail: &[u8]) -> Template {
        match self {
            Self::Known(account) => Template::from(key(account, tail)),
            Self::New(slot) => Template::from(&[NAMESPACE, b'a']).number(slot, 0).bytes(tail),
        }
    }
}

/// The key `Ma A tail`.
pub(crate) fn key(account: AccountId, tail: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(10 + tail.len());
    key.extend_from_slice(&[NAMESPACE, b'a']);
    key.extend_from_slice(&account.0.to_be_bytes());
    key.extend_from_slice(tail);
    key
}

/// The key `Mx A`.
pub(crate) fn removed(account: AccountId) -> Vec<u8> {
    let mut key = vec![NAMESPACE, b'x'];
    key.extend_from_slice(&account.0.to_be_bytes());
    key
}

/// The account of a key `Mx A`.
pub(crate) fn removed_account(key: &[u8]) -> Result<AccountId, StoreError> {
    let (account, _) = rows::number(key.get(2..).unwrap_or_default(), "a removed account")?;
    Ok(AccountId(account))
}

/// `tag B`.
pub(crate) fn of_mailbox(tag: u8, mailbox: MailboxId) -> [u8; 5] {
    let [a, b, c, d] = mailbox.0.to_be_bytes();
    [tag, a, b, c, d]
}

/// `m B U`.
pub(crate) fn of_message(mailbox: MailboxId, uid: Uid) -> [u8; 13] {
    let mut tail = [0; 13];
    tail[..5].copy_from_slice(&of_mailbox(b'm', mailbox));
    tail[5..].copy_from_slice(&u64::from(uid.0).to_be_bytes());
    tail
}

/// `c Q`.
pub(crate) fn of_change(modseq: u64) -> [u8; 9] {
    let mut tail = [b'c'; 9];
    tail[1..].copy_from_slice(&modseq.to_be_bytes());
    tail
}

/// `n B name`. Names meet whatever their case only for `INBOX` (RFC 3501 section 5.1).
pub(crate) fn of_name(parent: Option<MailboxId>, name: &str) -> Vec<u8> {
    let mut tail = of_mailbox(b'n', parent.unwrap_or(MailboxId(0))).to_vec();
    match parent.is_none() && name.eq_ignore_ascii_case("INBOX") {
        true => tail.extend_from_slice(b"INBOX"),
        false => tail.extend_from_slice(name.as_bytes()),
    }
    tail
}

/// `s use`.
pub(crate) fn of_special(special: SpecialUse) -> [u8; 2] {
    [b's', special as u8]
}

/// The UID at the end of a message's key.
pub(crate) fn uid(key: &[u8]) -> Result<Uid, StoreError> {
    let tail = key.len().checked_sub(8).and_then(|at| key.get(at..)).unwrap_or_default();
    let (uid, _) = rows::number(tail, "a message's key")?;
    u32::try_from(uid).map(Uid).map_err(|_| StoreError::Corrupt(format!("the UID {uid} is over 32 bits")))
}

/// The number of the mailbox at the end of a mailbox's key, or the whole value of an index row.
pub(crate) fn mailbox(bytes: &[u8]) -> Result<MailboxId, StoreError> {
    let four = bytes.last_chunk::<4>().ok_or_else(|| StoreError::Corrupt("a mailbox's number".into()))?;
    Ok(MailboxId(u32::from_be_bytes(*four)))
}
