//! Appending: the steps that put messages into a mailbox. Nothing is read that depends on what is there.
//!
//! UID and MODSEQ are taken inside the commit, so deliveries never conflict and never stand out of order.

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, Slot, StoreError, Template};

use super::keyword::KeywordSet;
use super::row::{self, Number};
use super::schema::{self, AccountId, Count, Log, MailboxId, Of, Owner, Uid};
use super::{Flags, MailboxError, Mailboxes, MessageIdMark, MessageIds, MessageInfo, MessageState, TRIES};
use crate::rows;

/// One unseen message in the counter of a mailbox, see `schema.rs`.
pub(super) const UNSEEN: i64 = 1 << 32;
/// How many messages [`Mailboxes::append_all`] takes at once.
pub const MAX_APPENDED: usize = 1000;

/// A message to be appended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewMessage {
    /// Its internal date (RFC 9051 section 2.3.3).
    pub received: Timestamp,
    /// When it comes into this mailbox (RFC 8514).
    pub saved: Timestamp,
    /// Its flags.
    pub flags: Flags,
    /// Its keywords, numbers of the account it goes to.
    pub keywords: KeywordSet,
    /// Its octets. The blob is linked once more.
    pub body: Body,
    /// Its structure, opaque here, at most 512 KiB.
    pub structure: Option<Bytes>,
    /// Its Message-ID, by which answers find the thread.
    pub id: Option<MessageIdMark>,
    /// The thread it is in; `None` begins one.
    pub thread: Option<u64>,
    /// Its EMAILID, where it is a copy.
    pub(super) email: Option<u64>,
}

impl NewMessage {
    /// A message without flags, saved when it was received.
    pub fn new(received: Timestamp, body: Body) -> Self {
        let (flags, keywords, saved) = (Flags::empty(), KeywordSet::default(), received);
        let (structure, id, thread, email) = (None, None, None, None);
        Self { received, saved, flags, keywords, body, structure, id, thread, email }
    }

    /// The same with flags.
    #[must_use]
    pub fn with_flags(self, flags: Flags) -> Self {
        Self { flags, ..self }
    }

    /// The same with its Message-ID, in the thread that [`Mailboxes::thread_of`] found for it.
    #[must_use]
    pub fn in_thread(self, ids: &MessageIds, thread: Option<u64>) -> Self {
        Self { id: ids.own, thread, ..self }
    }
}

/// What an append put where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The UID of the first message; the others follow without gaps.
    pub first: Uid,
    /// How many there are.
    pub messages: u32,
    /// The MODSEQ of the last one.
    pub modseq: u64,
}

/// Where a message of a batch gets its numbers from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    pub(super) uid: Number,
    pub(super) modseq: Slot,
    /// Added to the first MODSEQ.
    pub(super) later: u64,
}

impl Mailboxes {
    /// Adds the steps that append `message`. The batch conflicts if account or mailbox are gone when it is committed.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] if the message's row cannot be expressed.
    pub fn append(
        batch: &mut Batch,
        account: AccountId,
        mailbox: MailboxId,
        message: &NewMessage,
    ) -> Result<(), StoreError> {
        batch.require_present(&schema::key(account, &schema::of_mailbox(b'b', mailbox)));
        append_some(batch, account, mailbox, std::slice::from_ref(message))
    }

    /// Appends messages, all of them or none (RFC 3502), at most 1000. None of them is seen before all are.
    ///
    /// # Errors
    /// [`MailboxError::NoMailbox`], [`MailboxError::TooMany`]; the store's.
    pub async fn append_all(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: &[NewMessage],
    ) -> Result<Appended, MailboxError> {
        if messages.len() > MAX_APPENDED {
            return Err(MailboxError::TooMany("messages at once", MAX_APPENDED));
        }
        for _ in 0..TRIES {
            let mut batch = Batch::new();
            batch.require_present(&schema::key(account, &schema::of_mailbox(b'b', mailbox)));
            append_some(&mut batch, account, mailbox, messages)?;
            if let Some(committed) = self.try_commit(batch).await? {
                let count = messages.len() as u64;
                let modseq = second(&committed.firsts) + count.saturating_sub(1);
                let first = first_uid(&committed.firsts)?;
                return Ok(Appended { first, messages: count as u32, modseq });
            }
            self.require_mailbox(account, mailbox).await?;
        }
        Err(MailboxError::Busy)
    }
}

/// The first UID that a batch of [`append_some`] was given: it takes UIDs before anything else.
pub(super) fn first_uid(firsts: &[u64]) -> Result<Uid, StoreError> {
    let first = firsts.first().copied().unwrap_or_default();
    u32::try_from(first)
        .map(Uid)
        .map_err(|_| StoreError::TooLarge(format!("the UID {first} is over 32 bits")))
}

fn second(firsts: &[u64]) -> u64 {
    firsts.get(1).copied().unwrap_or_default()
}

/// Adds the steps that append messages; UIDs are taken first, then MODSEQs.
pub(super) fn append_some(
    batch: &mut Batch,
    account: AccountId,
    mailbox: MailboxId,
    messages: &[NewMessage],
) -> Result<(), StoreError> {
    let key = |tail: &[u8]| schema::key(account, tail);
    let count = messages.len() as u32;
    batch.require_present(&key(b"v"));
    let uid = batch.allocate(&key(&schema::of_count(mailbox, Count::LastUid)), count);
    let modseq = batch.allocate(&key(b"q"), count);
    for (nth, message) in (0..).zip(messages) {
        let uid = Number::Slot(uid, nth);
        put_message(batch, Place { account, mailbox, uid, modseq, later: nth }, message)?;
        batch.link(message.body.blob);
    }
    add_counts(batch, account, mailbox, &Counts::of(messages.iter().map(Counted::from)));
    let last = Template::default().number(modseq, u64::from(count.saturating_sub(1)));
    batch.put(key(&schema::of_count(mailbox, Count::Highest)), last);
    batch.add(&key(b"o"), messages.iter().map(|message| octets(message.body.size())).sum());
    batch.add(&key(b"k"), i64::from(count));
    Ok(())
}

/// Adds the rows of one message. Counters, ledger and blob are the caller's.
pub(super) fn put_message(batch: &mut Batch, at: Place, message: &NewMessage) -> Result<(), StoreError> {
    let Place { mailbox, uid, modseq, later, .. } = at;
    let owner = Owner::Known(at.account);
    let key = |of: Of| uid.onto(owner.key(&schema::of_mailbox(of as u8, mailbox)));
    let changed = Number::Slot(modseq, later);
    batch.put(key(Of::State), row::state(changed, message.flags, &message.keywords, message.body.size())?);
    let email = message.email.map_or(changed, Number::Known);
    let thread = message.thread.map_or(email, Number::Known);
    batch.put(key(Of::Info), row::info(email, thread, &MessageInfo::of_new(message))?);
    if let Some(structure) = &message.structure {
        batch.put(key(Of::Structure), [&[rows::VERSION][..], structure].concat());
    }
    let entry = owner.key(&schema::of_mailbox(Log::Changed as u8, mailbox));
    batch.put(uid.onto(entry.number(modseq, later)), &[rows::VERSION]);
    if let Some(id) = &message.id {
        let entry = owner.key(&schema::of_message_id(&id.0)).bytes(&mailbox.0.to_be_bytes());
        batch.put(uid.onto(entry), thread.onto(Template::from(&[rows::VERSION])));
    }
    Ok(())
}

/// What of a message its mailbox counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) flags: Flags,
    pub(super) size: u64,
}

impl From<&NewMessage> for Counted {
    fn from(message: &NewMessage) -> Self {
        Self { flags: message.flags, size: message.body.size() }
    }
}

impl From<&MessageState> for Counted {
    fn from(state: &MessageState) -> Self {
        Self { flags: state.flags, size: state.size }
    }
}

/// Sums for the counters of a mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Messages, and unseen ones in the high half.
    pub(super) messages: i64,
    pub(super) deleted: i64,
    pub(super) octets: i64,
}

impl Counts {
    pub(super) fn of(messages: impl Iterator<Item = Counted>) -> Self {
        messages.fold(Self::default(), |sum, message| sum.plus(message))
    }

    fn plus(self, message: Counted) -> Self {
        Self {
            messages: self.messages + 1 + unseen(message.flags),
            deleted: self.deleted + i64::from(message.flags.contains(Flags::DELETED)),
            octets: self.octets.saturating_add(octets(message.size)),
        }
    }

    pub(super) fn negative(self) -> Self {
        Self { messages: -self.messages, deleted: -self.deleted, octets: -self.octets }
    }

    /// How the counters change when flags do.
    pub(super) fn between(before: Flags, after: Flags) -> Self {
        let deleted = |flags: Flags| i64::from(flags.contains(Flags::DELETED));
        Self {
            messages: unseen(after) - unseen(before),
            deleted: deleted(after) - deleted(before),
            octets: 0,
        }
    }

    pub(super) fn sum(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            deleted: self.deleted + other.deleted,
            octets: self.octets.saturating_add(other.octets),
        }
    }
}

/// Adds to the counters of a mailbox what is not zero.
pub(super) fn add_counts(batch: &mut Batch, account: AccountId, mailbox: MailboxId, counts: &Counts) {
    let Counts { messages, deleted, octets } = *counts;
    let all = [(Count::Messages, messages), (Count::Deleted, deleted), (Count::Octets, octets)];
    for (count, delta) in all.into_iter().filter(|(_, delta)| *delta != 0) {
        batch.add(&schema::key(account, &schema::of_count(mailbox, count)), delta);
    }
}

/// A message's part in the quota ledger, in octets.
pub(super) fn octets(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn unseen(flags: Flags) -> i64 {
    if flags.contains(Flags::SEEN) { 0 } else { UNSEEN }
}
