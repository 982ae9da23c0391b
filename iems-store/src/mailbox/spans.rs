//! Rows of messages of one kind, by UIDs: with one scan where they are near each other.

use std::borrow::Cow;

use bytes::Bytes;
use iems_core::storage::{Scan, StoreError};

use super::Mailboxes;
use super::schema::{self, AccountId, MailboxId, Of, Uid};

/// How far UIDs may be apart, on average, to be read with one scan.
const SPARSE: usize = 4;
/// The most rows of one scan for given UIDs.
const SPAN: usize = 4096;

/// Is shown the rows of messages; says whether it wants more.
pub type EachRow<'a> = dyn FnMut(Uid, &[u8]) -> Result<bool, StoreError> + Send + 'a;

impl Mailboxes {
    /// The rows of one kind with UIDs above `after`.
    pub(super) async fn page(
        &self,
        of: Of,
        account: AccountId,
        mailbox: MailboxId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        match from(of, account, mailbox, after, limit) {
            Some(scan) => self.storage.store.scan(scan).await,
            None => Ok(Vec::new()),
        }
    }

    /// The rows of one kind of those of `uids` that are there, in the order of their UIDs, each once.
    pub(super) async fn rows_of(
        &self,
        of: Of,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<(Uid, Bytes)>, StoreError> {
        let uids = in_order(uids);
        let mut found = Vec::with_capacity(uids.len());
        for these in runs(&uids) {
            if let [one] = these {
                found.extend(self.row_of(of, account, mailbox, *one).await?.map(|row| (*one, row)));
                continue;
            }
            let Some(scan) = span(of, account, mailbox, these) else { continue };
            let mut these = these.iter().peekable();
            for (key, row) in self.storage.store.scan(scan).await? {
                let uid = schema::uid(&key)?;
                while these.next_if(|wanted| **wanted < uid).is_some() {}
                if these.next_if_eq(&&uid).is_some() {
                    found.push((uid, row));
                }
            }
        }
        Ok(found)
    }

    /// Shows the same rows as they lie in the store.
    pub(super) async fn visit_rows(
        &self,
        of: Of,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError> {
        let mut wants = Ok(true);
        for these in runs(&in_order(uids)) {
            if let [one] = these {
                if let Some(row) = self.row_of(of, account, mailbox, *one).await? {
                    wants = each(*one, &row);
                }
            } else if let Some(scan) = span(of, account, mailbox, these) {
                let mut these = these.iter().peekable();
                let mut show = |key: &[u8], row: &[u8]| {
                    wants = schema::uid(key).and_then(|uid| {
                        while these.next_if(|wanted| **wanted < uid).is_some() {}
                        match these.next_if_eq(&&uid) {
                            Some(_) => each(uid, row),
                            None => Ok(true),
                        }
                    });
                    matches!(wants, Ok(true))
                };
                self.storage.store.visit(scan, &mut show).await?;
            }
            if !matches!(wants, Ok(true)) {
                break;
            }
        }
        wants.map(|_| ())
    }

    async fn row_of(
        &self,
        of: Of,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Option<Bytes>, StoreError> {
        self.storage.store.get(&schema::key(account, &schema::of_message(of, mailbox, uid))).await
    }
}

/// The scan for rows of one kind with UIDs above `after`; `None` if there is no greater one.
fn from(of: Of, account: AccountId, mailbox: MailboxId, after: Uid, limit: usize) -> Option<Scan> {
    let from = Uid(after.0.checked_add(1)?);
    let prefix = schema::key(account, &schema::of_mailbox(of as u8, mailbox));
    let from = schema::key(account, &schema::of_message(of, mailbox, from));
    Some(Scan::prefix(&prefix, limit).starting_at(&from))
}

/// The scan for the rows of `uids`, which are in order, and of those between.
fn span(of: Of, account: AccountId, mailbox: MailboxId, uids: &[Uid]) -> Option<Scan> {
    let (first, last) = (uids.first()?.0, uids.last()?.0);
    let scan = from(of, account, mailbox, Uid(first.saturating_sub(1)), (last - first) as usize + 1)?;
    Some(match last.checked_add(1) {
        Some(next) => scan.ending_before(&schema::key(account, &schema::of_message(of, mailbox, Uid(next)))),
        None => scan,
    })
}

/// UIDs in order, each once.
fn in_order(uids: &[Uid]) -> Cow<'_, [Uid]> {
    let mut uids = Cow::Borrowed(uids);
    if !uids.is_sorted_by(|one, next| one < next) {
        let uids = uids.to_mut();
        uids.sort_unstable();
        uids.dedup();
    }
    uids
}

/// UIDs, which are in order, in pieces that are each read with one scan, or stand alone.
fn runs(uids: &[Uid]) -> impl Iterator<Item = &[Uid]> {
    let mut rest = uids;
    std::iter::from_fn(move || {
        let (these, later) = rest.split_at(dense(rest));
        rest = later;
        (!these.is_empty()).then_some(these)
    })
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
