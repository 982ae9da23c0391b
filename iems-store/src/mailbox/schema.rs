//! The mailbox schema: every key under the namespace `M`. No I/O. The rows are in `row.rs`.
//!
//! Numbers in keys are big-endian, so that order of keys is order of numbers. `A` is an account (8 bytes),
//! `B` a mailbox of it (4 bytes), `U` a UID (8 bytes), `Q` a MODSEQ (8 bytes), `H` the mark of a Message-ID (16 bytes).
//!
//! | key | value |
//! |---|---|
//! | `Ma A v` | counter: the last mailbox number given out; there exactly while the account exists |
//! | `Ma A t` | the tree: how often names changed, how many there are; whatever changes names requires it |
//! | `Ma A b B` | the mailbox: name, parent, special use; there exactly while mail can be put into it |
//! | `Ma A d B` | a name without a mailbox, kept for what is below it: name and parent |
//! | `Ma A n B-of-parent name` | whether it is a mailbox, and the number of what has this name (`INBOX` in upper case) |
//! | `Ma A s use` | the number of the mailbox with this special use |
//! | `Ma A y name` | a subscription, by the whole name; it outlives the mailbox |
//! | `Ma A w` | the keywords of the account, in the order of their numbers |
//! | `Ma A l` | the greatest number of a mailbox with messages that is gone |
//! | `Ma A r B` | there where this was the number of a mailbox that made room for another |
//! | `Ma A u B` | a mailbox that is staged, see `staging.rs`: what it will be called; its number is reserved |
//! | `Ma A p B u` | counter: the last UID |
//! | `Ma A p B k` | the last UID that was given elsewhere, where the mailbox came in with its UIDs |
//! | `Ma A p B c` | counter: messages in the low half, unseen messages in the high half |
//! | `Ma A p B d`, `Ma A p B o` | counters: messages with `\Deleted`, octets of all messages |
//! | `Ma A p B h` | the MODSEQ of the last change |
//! | `Ma A p B r` | the UID up to which messages were shown to somebody as recent; may be behind |
//! | `Ma A p B s`, `Ma A p B t` | the MODSEQ of the last sweep, if there is one that is not folded; the MODSEQ of the last change of a message's own row |
//! | `Ma A p B x`, `Ma A p B l` | counter: entries of the expunge log; the MODSEQ up to which it was forgotten |
//! | `Ma A m B U` | the state of a message: MODSEQ, then flags, keywords, size |
//! | `Ma A i B U` | what never changes: EMAILID, THREADID, then dates, Message-ID, body |
//! | `Ma A x B U` | the structure of the message, opaque here |
//! | `Ma A f B Q` | a sweep: a change of flags, and the messages that it was made to at this MODSEQ |
//! | `Ma A c B Q U` | change log: one entry for each message, at the MODSEQ of its state's row |
//! | `Ma A e B Q U` | expunge log: this message left at this MODSEQ |
//! | `Ma A g H B U` | the thread of the message with this Message-ID |
//! | `Ma A q` | counter: the last MODSEQ |
//! | `Ma A o`, `Ma A k` | counters, the quota ledger: octets and messages |
//! | `Ma A j` | whether the owner was warned about the quota, and since when it is passed |
//! | `Ma A a B` | the access control list of a mailbox |
//! | `Ma A z B p G entry`, `Ma A z B s entry` | annotations, private to account `G` and shared; of the account where `B` is 0 |
//! | `Ms G A B` | this mailbox has an entry for account `G` (8 bytes; 0 for anyone) in its list |
//! | `Mr A B` | a mailbox that was deleted and whose mail is yet to be |
//! | `Mi A` | an INBOX that was renamed and some of whose messages are yet to move |
//! | `Mx A` | an account that was removed and whose mail is yet to be |
//!
//! A mailbox's number is its UIDVALIDITY: seconds since the epoch, or one more than the last of the account if that is
//! greater; or the one that it had elsewhere, if none with messages had that here. So it only grows. Account and number together are its stable object id; a message's is its
//! account and the MODSEQ at which it came in.

use iems_core::storage::{Slot, StoreError, Template};
use serde::{Deserialize, Serialize};

use crate::rows;

/// The namespace of mailboxes in the key space.
pub const NAMESPACE: u8 = b'M';

/// An account, by a number that is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId(pub u64);

/// A mailbox of an account, by its UIDVALIDITY (RFC 9051 section 2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MailboxId(pub u32);

/// A message of a mailbox (RFC 9051 section 2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uid(pub u32);

/// A special use of a mailbox (RFC 6154). `\All` and `\Flagged` are not among them: they are for mailboxes that show what
/// is in others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// `\Important` (RFC 8457).
    Important,
}

/// The kinds of keys that end with a mailbox and a UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Of {
    State = b'm',
    Info = b'i',
    Structure = b'x',
}

/// The counters of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Count {
    LastUid = b'u',
    Messages = b'c',
    Deleted = b'd',
    Octets = b'o',
    Highest = b'h',
    LogLength = b'x',
    LogStart = b'l',
    Shown = b'r',
    Swept = b's',
    Touched = b't',
    Kept = b'k',
}

/// The two logs of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Log {
    Changed = b'c',
    Expunged = b'e',
}

/// Where an account's number in a key comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    Known(AccountId),
    /// Handed out by the commit.
    New(Slot),
}

impl Owner {
    /// The key `Ma A tail`.
    pub(super) fn key(self, tail: &[u8]) -> Template {
        match self {
            Self::Known(account) => Template::from(key(account, tail)),
            Self::New(slot) => Template::from(&[NAMESPACE, b'a']).number(slot, 0).bytes(tail),
        }
    }
}

/// The key `Ma A tail`.
pub(super) fn key(account: AccountId, tail: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(10 + tail.len());
    key.extend_from_slice(&[NAMESPACE, b'a']);
    key.extend_from_slice(&account.0.to_be_bytes());
    key.extend_from_slice(tail);
    key
}

/// The key `Mx A`.
pub(super) fn removed(account: AccountId) -> Vec<u8> {
    [&[NAMESPACE, b'x'][..], &account.0.to_be_bytes()].concat()
}

/// The account of a key `Mx A`, `Mi A` or `Mr A B`.
pub(super) fn account_of(key: &[u8]) -> Result<AccountId, StoreError> {
    let (account, _) = rows::number(key.get(2..).unwrap_or_default(), "a removed account")?;
    Ok(AccountId(account))
}

/// The key `Mi A`.
pub(super) fn renaming(account: AccountId) -> Vec<u8> {
    [&[NAMESPACE, b'i'][..], &account.0.to_be_bytes()].concat()
}

/// The key `Mr A B`.
pub(super) fn deleted(account: AccountId, mailbox: MailboxId) -> Vec<u8> {
    [&[NAMESPACE, b'r'][..], &account.0.to_be_bytes(), &mailbox.0.to_be_bytes()].concat()
}

/// The prefix `Ms G`.
pub(super) fn shares(grantee: u64) -> Vec<u8> {
    [&[NAMESPACE, b's'][..], &grantee.to_be_bytes()].concat()
}

/// The key `Ms G A B`.
pub(super) fn share(grantee: u64, owner: AccountId, mailbox: MailboxId) -> Vec<u8> {
    [&shares(grantee)[..], &owner.0.to_be_bytes(), &mailbox.0.to_be_bytes()].concat()
}

/// Owner and mailbox of a key `Ms G A B`.
pub(super) fn share_of(key: &[u8]) -> Result<(AccountId, MailboxId), StoreError> {
    let (owner, rest) = rows::number(key.get(10..).unwrap_or_default(), "a shared mailbox")?;
    Ok((AccountId(owner), mailbox(rest)?))
}

/// `tag B`.
pub(super) fn of_mailbox(tag: u8, mailbox: MailboxId) -> [u8; 5] {
    let [a, b, c, d] = mailbox.0.to_be_bytes();
    [tag, a, b, c, d]
}

/// `p B which`.
pub(super) fn of_count(mailbox: MailboxId, which: Count) -> [u8; 6] {
    let [p, a, b, c, d] = of_mailbox(b'p', mailbox);
    [p, a, b, c, d, which as u8]
}

/// `m B U`, `i B U` or `x B U`.
pub(super) fn of_message(of: Of, mailbox: MailboxId, uid: Uid) -> [u8; 13] {
    let mut tail = [0; 13];
    tail[..5].copy_from_slice(&of_mailbox(of as u8, mailbox));
    tail[5..].copy_from_slice(&u64::from(uid.0).to_be_bytes());
    tail
}

/// `c B Q U` or `e B Q U`.
pub(super) fn of_log(log: Log, mailbox: MailboxId, modseq: u64, uid: Uid) -> [u8; 21] {
    let mut tail = [0; 21];
    tail[..5].copy_from_slice(&of_mailbox(log as u8, mailbox));
    tail[5..13].copy_from_slice(&modseq.to_be_bytes());
    tail[13..].copy_from_slice(&u64::from(uid.0).to_be_bytes());
    tail
}

/// `f B Q`.
pub(super) fn of_sweep(mailbox: MailboxId, modseq: u64) -> [u8; 13] {
    let mut tail = [0; 13];
    tail[..5].copy_from_slice(&of_mailbox(b'f', mailbox));
    tail[5..].copy_from_slice(&modseq.to_be_bytes());
    tail
}

/// `n B name`. Names meet whatever their case only for `INBOX` (RFC 9051 section 5.1).
pub(super) fn of_name(parent: Option<MailboxId>, name: &str) -> Vec<u8> {
    let mut tail = of_mailbox(b'n', parent.unwrap_or(MailboxId(0))).to_vec();
    match parent.is_none() && name.eq_ignore_ascii_case("INBOX") {
        true => tail.extend_from_slice(b"INBOX"),
        false => tail.extend_from_slice(name.as_bytes()),
    }
    tail
}

/// `s use`.
pub(super) fn of_special(special: SpecialUse) -> [u8; 2] {
    [b's', special as u8]
}

/// `y name`.
pub(super) fn of_subscription(name: &str) -> Vec<u8> {
    [b"y", name.as_bytes()].concat()
}

/// `g H`.
pub(super) fn of_message_id(mark: &[u8; 16]) -> [u8; 17] {
    let mut tail = [b'g'; 17];
    tail[1..].copy_from_slice(mark);
    tail
}

/// `g H B U`.
pub(super) fn of_thread(mark: &[u8; 16], mailbox: MailboxId, uid: Uid) -> Vec<u8> {
    [&of_message_id(mark)[..], &mailbox.0.to_be_bytes(), &u64::from(uid.0).to_be_bytes()].concat()
}

/// The UID at the end of a key.
pub(super) fn uid(key: &[u8]) -> Result<Uid, StoreError> {
    let tail = key.last_chunk::<8>().map(|tail| u64::from_be_bytes(*tail)).unwrap_or_default();
    u32::try_from(tail).map(Uid).map_err(|_| StoreError::Corrupt(format!("the UID {tail} is over 32 bits")))
}

/// MODSEQ and UID at the end of a log's key.
pub(super) fn log_entry(key: &[u8]) -> Result<(u64, Uid), StoreError> {
    let damaged = || StoreError::Corrupt("a key of a change log".into());
    let tail = key.last_chunk::<16>().ok_or_else(damaged)?;
    let (modseq, _) = rows::number(tail, "a change")?;
    Ok((modseq, uid(tail)?))
}

/// The number of the mailbox at the end of a mailbox's key, or of the value of an index row.
pub(super) fn mailbox(bytes: &[u8]) -> Result<MailboxId, StoreError> {
    let four = bytes.last_chunk::<4>().ok_or_else(|| StoreError::Corrupt("a mailbox's number".into()))?;
    Ok(MailboxId(u32::from_be_bytes(*four)))
}
