//! What changed in a mailbox since a MODSEQ (RFC 7162), and waiting for changes.

use bytes::Bytes;
use iems_core::storage::{Scan, StoreError, Watch};

use super::acl::Grantee;
use super::schema::{self, AccountId, Count, Log, MailboxId, Uid};
use super::{Mailboxes, MessageState};
use crate::rows;

/// How many log entries are read in one step.
const PAGE: usize = 4096;

/// What changed in a mailbox since a MODSEQ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Messages that came in or got other flags, as they are now, in the order of their UIDs.
    pub updated: Vec<MessageState>,
    /// Messages that left, in the order of their UIDs. Some may never have been seen.
    pub expunged: Vec<Uid>,
    /// Whether `expunged` has all of them. If not, the asked MODSEQ is so old that some are forgotten: compare with all
    /// UIDs that are there.
    pub complete: bool,
    /// All changes up to this MODSEQ are in it; ask from here the next time. Later ones may be in it too.
    pub modseq: u64,
}

/// One entry of the logs of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// When.
    pub modseq: u64,
    /// Which message.
    pub uid: Uid,
    /// Whether it is gone; otherwise it came in or got other flags.
    pub expunged: bool,
}

impl Mailboxes {
    /// The MODSEQ of the last change in a mailbox; 1 where there was none.
    ///
    /// # Errors
    /// The store's.
    pub async fn highest_modseq(&self, account: AccountId, mailbox: MailboxId) -> Result<u64, StoreError> {
        self.mark(account, mailbox, Count::Highest).await.map(|modseq| modseq.unwrap_or(1))
    }

    /// What changed after the MODSEQ `since`: at most one entry for each message that is there, and 11,000 that left.
    ///
    /// # Errors
    /// The store's.
    pub async fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: u64,
    ) -> Result<Changes, StoreError> {
        self.changes_but(account, mailbox, since, None).await
    }

    /// The same without what changed at the MODSEQ `own`, which the caller knows because it did it.
    ///
    /// # Errors
    /// The store's.
    pub async fn changes_but(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: u64,
        own: Option<u64>,
    ) -> Result<Changes, StoreError> {
        let modseq = self.highest_modseq(account, mailbox).await?.max(since);
        if modseq == since {
            let complete = self.remembers(account, mailbox, since).await?;
            return Ok(Changes { complete, modseq, ..Changes::default() });
        }
        // Before the log: what a sweep says that is folded meanwhile is in the log by then.
        let sweeps = self.sweeps(account, mailbox).await?;
        let mut uids: Vec<_> = sweeps.uids_since(since, own).collect();
        let logged = self.log(Log::Changed, account, mailbox, since).await?;
        uids.extend(logged.iter().filter(|(modseq, _)| Some(*modseq) != own).map(|(_, uid)| *uid));
        let updated = match uids.is_empty() {
            true => Vec::new(),
            false => self.states_after(&sweeps, account, mailbox, &uids).await?,
        };
        let mut expunged: Vec<_> =
            self.log(Log::Expunged, account, mailbox, since).await?.into_iter().map(|(_, uid)| uid).collect();
        expunged.sort_unstable();
        // Asked last: what was forgotten while the log was read counts as forgotten.
        let complete = self.remembers(account, mailbox, since).await?;
        Ok(Changes { updated, expunged, complete, modseq })
    }

    /// The same as entries of the logs, in the order in which things happened. Of several changes to a message only the
    /// last is there.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_since(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: u64,
    ) -> Result<Vec<Change>, StoreError> {
        let changed = self.changes(account, mailbox, since).await?.updated;
        let changed = changed.into_iter().map(|MessageState { uid, modseq, .. }| (modseq, uid));
        let mut all: Vec<_> = changed.map(|(modseq, uid)| Change { modseq, uid, expunged: false }).collect();
        let gone = self.log(Log::Expunged, account, mailbox, since).await?;
        all.extend(gone.into_iter().map(|(modseq, uid)| Change { modseq, uid, expunged: true }));
        all.sort_unstable();
        Ok(all)
    }

    /// Whether all messages that left after the MODSEQ `since` are remembered.
    async fn remembers(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: u64,
    ) -> Result<bool, StoreError> {
        let start = self.mark(account, mailbox, Count::LogStart).await?;
        Ok(start.is_none_or(|start| start <= since))
    }

    async fn mark(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        which: Count,
    ) -> Result<Option<u64>, StoreError> {
        let row = self.storage.store.get(&schema::key(account, &schema::of_count(mailbox, which))).await?;
        row.map(|row| Ok(rows::number(&row, "a MODSEQ")?.0)).transpose()
    }

    /// The entries of a log after the MODSEQ `since`.
    pub(super) async fn log(
        &self,
        log: Log,
        account: AccountId,
        mailbox: MailboxId,
        since: u64,
    ) -> Result<Vec<(u64, Uid)>, StoreError> {
        let Some(from) = since.checked_add(1) else { return Ok(Vec::new()) };
        let prefix = schema::key(account, &schema::of_mailbox(log as u8, mailbox));
        let mut from = schema::key(account, &schema::of_log(log, mailbox, from, Uid(0)));
        let mut entries = Vec::new();
        loop {
            let page = self.storage.store.scan(Scan::prefix(&prefix, PAGE).starting_at(&from)).await?;
            for (key, _) in &page {
                entries.push(schema::log_entry(key)?);
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = after(last),
                _ => return Ok(entries),
            }
        }
    }

    /// Wakes when anything changes in the account: mail, names, rights, annotations.
    pub fn watch_account(&self, account: AccountId) -> Watch {
        self.storage.store.watch(&schema::key(account, b""))
    }

    /// Wakes when messages of the mailbox come, change or leave, or when it is deleted and emptied.
    pub fn watch_mailbox(&self, account: AccountId, mailbox: MailboxId) -> Watch {
        self.storage.store.watch(&schema::key(account, &schema::of_mailbox(b'p', mailbox)))
    }

    /// Wakes when messages of any mailbox of the account come, change or leave.
    pub fn watch_messages(&self, account: AccountId) -> Watch {
        self.storage.store.watch(&schema::key(account, b"p"))
    }

    /// Wakes when the account subscribes to a mailbox, or ends a subscription.
    pub fn watch_subscriptions(&self, account: AccountId) -> Watch {
        self.storage.store.watch(&schema::key(account, b"y"))
    }

    /// Wakes when annotations of the account or of its mailboxes change.
    pub fn watch_annotations(&self, account: AccountId) -> Watch {
        self.storage.store.watch(&schema::key(account, b"z"))
    }

    /// Each wakes when others give rights to the account, or take them; the one for itself, the other for anyone.
    pub fn watch_shares(&self, account: AccountId) -> [Watch; 2] {
        [account.0, Grantee::Anyone.number()]
            .map(|grantee| self.storage.store.watch(&schema::shares(grantee)))
    }

    /// Wakes when a mailbox of the account is made, renamed or deleted, or when rights on one change.
    pub fn watch_names(&self, account: AccountId) -> Watch {
        self.storage.store.watch(&schema::key(account, b"t"))
    }
}

/// The first key behind `key`.
fn after(key: &Bytes) -> Vec<u8> {
    [&key[..], &[0]].concat()
}
