//! Reading: the messages of a mailbox, its counters, what the account holds.

use bytes::{Buf, Bytes};
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{StoreError, counter};

use super::append::NewMessage;
use super::keyword::KeywordSet;
use super::schema::{self, AccountId, MailboxId, Of, Uid};
use super::spans::EachRow;
use super::sweep::Sweeps;
use super::{Flags, Mailboxes, MessageIdMark, row};
use crate::rows;

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
        let mut states = Vec::with_capacity(uids.len());
        let mut each = |uid: Uid, row: &[u8]| {
            states.push(read_state(uid, row, sweeps)?);
            Ok(true)
        };
        self.visit_rows(Of::State, account, mailbox, uids, &mut each).await?;
        Ok(states)
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
        let mut infos = Vec::with_capacity(uids.len());
        let mut each = |uid: Uid, row: &[u8]| {
            infos.push(row::read_info(uid, row)?);
            Ok(true)
        };
        self.visit_rows(Of::Info, account, mailbox, uids, &mut each).await?;
        Ok(infos)
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
    /// each may have 512 KiB. One of an unknown version is empty: it can be made again of the message.
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
        let rows = rows.into_iter().map(|(uid, mut row)| {
            let length = rows::versioned(&row, "a structure").unwrap_or_default().len();
            row.advance(row.len() - length);
            (uid, row)
        });
        Ok(rows.collect())
    }

    /// Shows the structures of those of `uids` that have one, in the order of their UIDs, to `each`, as they lie in the store:
    /// nothing is copied. One of an unknown version is empty. It says whether it wants more, is to be brief, and asks nothing of the store.
    ///
    /// # Errors
    /// The store's, and those of `each`.
    pub async fn visit_structures(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError> {
        let mut show =
            |uid: Uid, row: &[u8]| each(uid, rows::versioned(row, "a structure").unwrap_or_default());
        self.visit_rows(Of::Structure, account, mailbox, uids, &mut show).await
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
}

/// The state of a message.
fn read_state(uid: Uid, row: &[u8], sweeps: &Sweeps) -> Result<MessageState, StoreError> {
    let mut state = row::read_state(uid, row)?;
    sweeps.apply(&mut state);
    Ok(state)
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
