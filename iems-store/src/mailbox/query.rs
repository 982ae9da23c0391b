//! Reading: the messages of a mailbox, its counters, what the account holds.

use bytes::{Buf, Bytes};
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{Scan, StoreError, counter};

use super::append::NewMessage;
use super::keyword::KeywordSet;
use super::schema::{self, AccountId, MailboxId, Of, Uid};
use super::sweep::Sweeps;
use super::{Flags, Mailboxes, MessageIdMark, row};
use crate::rows;

/// How far UIDs may be apart, on average, to be read with one scan.
const SPARSE: usize = 4;
/// The most rows of one scan for given UIDs.
const SPAN: usize = 4096;

/// What a session holds of each message: small, and read by the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageState {
    /// Its UID.
    pub uid: Uid,
    /// Its flags.
    pub flags: Flags,
    /// When it last changed (RFC 7162).
    pub modseq: u64,
    /// Its RFC822.SIZE, in octets.
    pub size: u64,
    /// Its keywords.
    pub keywords: KeywordSet,
}

/// What never changes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its UID.
    pub uid: Uid,
    /// Its EMAILID within the account (RFC 8474): copies have the same.
    pub email: u64,
    /// Its THREADID within the account (RFC 8474).
    pub thread: u64,
    /// Its internal date.
    pub received: Timestamp,
    /// When it came into this mailbox (RFC 8514).
    pub saved: Timestamp,
    /// Its Message-ID.
    pub id: Option<MessageIdMark>,
    /// Its octets; [`Body::size`] is its RFC822.SIZE.
    pub body: Body,
}

impl MessageInfo {
    /// Numbers are not known before the commit.
    pub(super) fn of_new(new: &NewMessage) -> Self {
        let NewMessage { received, saved, id, .. } = *new;
        Self { uid: Uid(0), email: 0, thread: 0, received, saved, id, body: new.body.clone() }
    }
}

/// A message of a mailbox, whole but for its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// When it last changed (RFC 7162).
    pub modseq: u64,
    /// Its EMAILID within the account, which never changes.
    pub object: u64,
    /// Its internal date.
    pub received: Timestamp,
    /// Its flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: KeywordSet,
    /// Its octets; [`Body::size`] is its RFC822.SIZE.
    pub body: Body,
}

impl Message {
    fn of(state: MessageState, info: MessageInfo) -> Self {
        let MessageState { uid, modseq, flags, keywords, .. } = state;
        Self { uid, modseq, object: info.email, received: info.received, flags, keywords, body: info.body }
    }
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
    /// The states of the messages with UIDs above `after`, in the order of their UIDs, at most `limit`. To load a whole
    /// mailbox, ask [`Self::status`] for its MODSEQ first, then page by page, then [`Self::changes`] since that MODSEQ.
    ///
    /// # Errors
    /// The store's.
    pub async fn view(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<MessageState>, StoreError> {
        let sweeps = self.sweeps(account, mailbox).await?;
        let rows = self.page(Of::State, account, mailbox, after, limit).await?;
        rows.iter().map(|(key, row)| read_state(schema::uid(key)?, row, &sweeps)).collect()
    }

    /// The states of those of `uids` that are there, in the order of their UIDs.
    ///
    /// # Errors
    /// The store's.
    pub async fn states(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<MessageState>, StoreError> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let sweeps = self.sweeps(account, mailbox).await?;
        self.states_after(&sweeps, account, mailbox, uids).await
    }

    /// The same where sweeps were read before.
    pub(super) async fn states_after(
        &self,
        sweeps: &Sweeps,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<MessageState>, StoreError> {
        let rows = self.rows_of(Of::State, account, mailbox, uids).await?;
        rows.iter().map(|(uid, row)| read_state(*uid, row, sweeps)).collect()
    }

    /// What never changes of those of `uids` that are there, in the order of their UIDs.
    ///
    /// # Errors
    /// The store's.
    pub async fn infos(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<MessageInfo>, StoreError> {
        let rows = self.rows_of(Of::Info, account, mailbox, uids).await?;
        rows.iter().map(|(uid, row)| row::read_info(*uid, row)).collect()
    }

    /// What never changes of the messages with UIDs above `after`, in the order of their UIDs, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn infos_after(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<MessageInfo>, StoreError> {
        let rows = self.page(Of::Info, account, mailbox, after, limit).await?;
        rows.iter().map(|(key, row)| row::read_info(schema::uid(key)?, row)).collect()
    }

    /// The structures of those of `uids` that have one, in the order of their UIDs. Ask for a number that memory can hold:
    /// each may have 512 KiB.
    ///
    /// # Errors
    /// The store's.
    pub async fn structures(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<(Uid, Bytes)>, StoreError> {
        let rows = self.rows_of(Of::Structure, account, mailbox, uids).await?;
        rows.into_iter()
            .map(|(uid, mut row)| {
                let length = rows::versioned(&row, "a structure")?.len();
                row.advance(row.len() - length);
                Ok((uid, row))
            })
            .collect()
    }

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
        let states = self.view(account, mailbox, after, limit).await?;
        let uids: Vec<_> = states.iter().map(|state| state.uid).collect();
        let infos = self.infos(account, mailbox, &uids).await?;
        Ok(joined(states, infos))
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
        let states = self.states(account, mailbox, &[uid]).await?;
        if states.is_empty() {
            return Ok(None);
        }
        let infos = self.infos(account, mailbox, &[uid]).await?;
        Ok(joined(states, infos).pop())
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

    /// The account's last MODSEQ.
    ///
    /// # Errors
    /// The store's.
    pub async fn modseq(&self, account: AccountId) -> Result<u64, StoreError> {
        Ok(self.counter(account, b"q").await?.max(0).unsigned_abs())
    }

    pub(super) async fn counter(&self, account: AccountId, tail: &[u8]) -> Result<i64, StoreError> {
        counter(self.storage.store.get(&schema::key(account, tail)).await?.as_deref())
    }

    /// The rows of one kind with UIDs above `after`.
    pub(super) async fn page(
        &self,
        of: Of,
        account: AccountId,
        mailbox: MailboxId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let Some(from) = after.0.checked_add(1) else { return Ok(Vec::new()) };
        let prefix = schema::key(account, &schema::of_mailbox(of as u8, mailbox));
        let from = schema::key(account, &schema::of_message(of, mailbox, Uid(from)));
        self.storage.store.scan(Scan::prefix(&prefix, limit).starting_at(&from)).await
    }

    /// The rows of one kind of those of `uids` that are there, in the order of their UIDs, each once.
    pub(super) async fn rows_of(
        &self,
        of: Of,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<(Uid, Bytes)>, StoreError> {
        let mut uids = std::borrow::Cow::Borrowed(uids);
        if !uids.is_sorted_by(|one, next| one < next) {
            let uids = uids.to_mut();
            uids.sort_unstable();
            uids.dedup();
        }
        let mut found = Vec::with_capacity(uids.len());
        let mut rest = &uids[..];
        while let Some(first) = rest.first() {
            let run = dense(rest);
            let (these, later) = rest.split_at(run);
            rest = later;
            if let [one] = these {
                let key = schema::key(account, &schema::of_message(of, mailbox, *one));
                found.extend(self.storage.store.get(&key).await?.map(|row| (*one, row)));
                continue;
            }
            let span = these.last().map_or(0, |last| last.0 - first.0) as usize + 1;
            let rows = self.page(of, account, mailbox, Uid(first.0.saturating_sub(1)), span).await?;
            let mut these = these.iter().peekable();
            for (key, row) in rows {
                let uid = schema::uid(&key)?;
                while these.next_if(|wanted| **wanted < uid).is_some() {}
                if these.next_if_eq(&&uid).is_some() {
                    found.push((uid, row));
                }
            }
        }
        Ok(found)
    }
}

/// The state of a message.
fn read_state(uid: Uid, row: &[u8], sweeps: &Sweeps) -> Result<MessageState, StoreError> {
    let mut state = row::read_state(uid, row)?;
    sweeps.apply(&mut state);
    Ok(state)
}

/// How many of `uids`, which are in order, are near enough to each other to be read with one scan; at least one.
fn dense(uids: &[Uid]) -> usize {
    let Some(first) = uids.first() else { return 0 };
    let near = |(nth, uid): &(usize, &Uid)| {
        let span = (uid.0 - first.0) as usize + 1;
        span <= SPARSE * (nth + 1) && span <= SPAN
    };
    uids.iter().enumerate().take_while(near).count().max(1)
}

/// States and what never changes, for messages that have both.
fn joined(states: Vec<MessageState>, infos: Vec<MessageInfo>) -> Vec<Message> {
    let mut infos = infos.into_iter().peekable();
    let both = states.into_iter().filter_map(|state| {
        while infos.next_if(|info| info.uid < state.uid).is_some() {}
        let info = infos.next_if(|info| info.uid == state.uid)?;
        Some(Message::of(state, info))
    });
    both.collect()
}
