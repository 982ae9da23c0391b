//! Checking an account: what can be worked out from its messages and mailboxes must be what is written. Mending it.
//!
//! Counters, indexes and logs follow from the rows of messages and mailboxes. What they should be is worked out, and each
//! difference is a finding. To be used while nobody else changes the account.

mod messages;
mod names;

use std::collections::BTreeMap;

use bytes::Bytes;
use iems_core::storage::{Batch, Scan, StoreError, counter};

use super::Mailboxes;
use super::schema::{self, AccountId, Count, MailboxId, Of};
use crate::rows;

/// How many rows are read, or mended in one commit.
const PAGE: usize = 4096;
/// The tags of rows that belong to a mailbox.
const TAGS: [u8; 7] = [b'm', b'i', b'x', b'c', b'e', b'f', b'p'];

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of row or fact it is about, in a few words.
    pub kind: &'static str,
    /// The mailbox, where it is about one.
    pub mailbox: Option<MailboxId>,
    /// What is wrong, for people.
    pub detail: String,
    /// Whether it can be mended. Damage to bodies cannot.
    pub mendable: bool,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many mailboxes there are.
    pub mailboxes: u64,
    /// How many messages.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Findings, and the steps that mend them.
struct Work<'a> {
    checked: Checked,
    steps: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Hears how many messages were checked.
    progress: &'a mut (dyn FnMut(u64) + Send),
}

impl Work<'_> {
    fn find(&mut self, kind: &'static str, mailbox: Option<MailboxId>, detail: String) {
        self.checked.findings.push(Finding { kind, mailbox, detail, mendable: true });
    }

    /// A finding, and the row as it should be.
    fn mend(
        &mut self,
        kind: &'static str,
        mailbox: Option<MailboxId>,
        detail: String,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) {
        self.find(kind, mailbox, detail);
        self.steps.push((key, value));
    }

    /// Compares rows that follow from others with what they should be.
    fn compare(
        &mut self,
        kind: &'static str,
        mailbox: Option<MailboxId>,
        mut expected: BTreeMap<Vec<u8>, Vec<u8>>,
        found: Vec<(Bytes, Bytes)>,
    ) {
        for (key, value) in found {
            match expected.remove(&key[..]) {
                Some(right) if right == value[..] => {}
                Some(right) => self.mend(kind, mailbox, "it is wrong".into(), key.to_vec(), Some(right)),
                None => self.mend(kind, mailbox, "it should not be there".into(), key.to_vec(), None),
            }
        }
        for (key, value) in expected {
            self.mend(kind, mailbox, "it is missing".into(), key, Some(value));
        }
    }

    /// Compares a counter with what it should be.
    fn count(
        &mut self,
        kind: &'static str,
        mailbox: Option<MailboxId>,
        key: Vec<u8>,
        right: i64,
        found: Option<&Bytes>,
    ) {
        let said = counter(found.map(|row| &row[..])).ok();
        if said != Some(right) {
            let said = said.map_or("nothing readable".into(), |said| said.to_string());
            let value = (right != 0).then(|| right.to_le_bytes().to_vec());
            self.mend(kind, mailbox, format!("it says {said}, and should say {right}"), key, value);
        }
    }
}

impl Mailboxes {
    /// Checks an account, and mends what can be mended if `mend` says so. With `bodies`, each body is read and compared
    /// with its length as well. `progress` hears how many messages were checked so far: after each mailbox, and
    /// with `bodies` after each thousand.
    ///
    /// # Errors
    /// The store's; rows that cannot be read at all are [`StoreError::Corrupt`].
    pub async fn check(
        &self,
        account: AccountId,
        mend: bool,
        bodies: bool,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Checked, StoreError> {
        let mut work = Work { checked: Checked::default(), steps: Vec::new(), progress };
        let mut last_modseq = 1;
        let known = self.check_names(account, &mut work).await?;
        for mailbox in known {
            work.checked.mailboxes += 1;
            let highest = self.check_messages(account, mailbox, bodies, &mut work).await?;
            last_modseq = last_modseq.max(highest);
            (work.progress)(work.checked.messages);
        }
        self.check_threads(account, &mut work).await?;
        self.check_ledger(account, last_modseq, &mut work).await?;
        if mend {
            self.mend(std::mem::take(&mut work.steps)).await?;
        }
        Ok(work.checked)
    }

    async fn mend(&self, steps: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<(), StoreError> {
        for steps in steps.chunks(PAGE) {
            let mut batch = Batch::new();
            for (key, value) in steps {
                match value {
                    Some(value) => batch.put(key.clone(), value.clone()),
                    None => batch.delete(key),
                }
            }
            self.try_commit(batch).await?;
        }
        Ok(())
    }

    /// Octets and messages of the account. Mail of mailboxes that are being purged still counts.
    async fn check_ledger(
        &self,
        account: AccountId,
        last_modseq: u64,
        work: &mut Work<'_>,
    ) -> Result<(), StoreError> {
        let (mut octets, mut messages) = (work.checked.octets, work.checked.messages);
        let purging = schema::deleted(account, MailboxId(0));
        for (key, _) in self.every(&purging[..10]).await? {
            let mailbox = schema::mailbox(&key)?;
            let prefix = schema::key(account, &schema::of_mailbox(Of::Info as u8, mailbox));
            for (key, row) in self.every(&prefix).await? {
                octets += super::row::read_info(schema::uid(&key)?, &row)?.body.size();
                messages += 1;
            }
        }
        for (kind, tag, right) in
            [("octets of the ledger", b"o", octets), ("messages of the ledger", b"k", messages)]
        {
            let key = schema::key(account, tag);
            let found = self.storage.store.get(&key).await?;
            work.count(kind, None, key, i64::try_from(right).unwrap_or(i64::MAX), found.as_ref());
        }
        let modseq = self.modseq(account).await?;
        if modseq < last_modseq {
            let detail = format!("the last one is {last_modseq}, but {modseq} was given out");
            let value = i64::try_from(last_modseq).unwrap_or(i64::MAX).to_le_bytes().to_vec();
            work.mend("MODSEQ of the account", None, detail, schema::key(account, b"q"), Some(value));
        }
        Ok(())
    }

    /// Every row that begins with `prefix`, read page by page.
    async fn every(&self, prefix: &[u8]) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut all: Vec<(Bytes, Bytes)> = Vec::new();
        let mut from = prefix.to_vec();
        loop {
            let page = self.storage.store.scan(Scan::prefix(prefix, PAGE).starting_at(&from)).await?;
            let full = page.len() == PAGE;
            all.extend(page);
            match all.last().filter(|_| full) {
                Some((last, _)) => from = [&last[..], &[0]].concat(),
                None => return Ok(all),
            }
        }
    }

    /// The mailboxes that have rows under `tag`.
    async fn mailboxes_under(&self, account: AccountId, tag: u8) -> Result<Vec<MailboxId>, StoreError> {
        let prefix = schema::key(account, &[tag]);
        let mut from = prefix.clone();
        let mut all = Vec::new();
        loop {
            let page = self.storage.store.scan(Scan::prefix(&prefix, 1).starting_at(&from)).await?;
            let Some((key, _)) = page.first() else { return Ok(all) };
            let number = key.get(prefix.len()..prefix.len() + 4).unwrap_or_default();
            let mailbox = schema::mailbox(number)?;
            all.push(mailbox);
            let Some(next) = mailbox.0.checked_add(1) else { return Ok(all) };
            from = schema::key(account, &schema::of_mailbox(tag, MailboxId(next)));
        }
    }
}

/// The key of a counter of a mailbox.
fn count_key(account: AccountId, mailbox: MailboxId, which: Count) -> Vec<u8> {
    schema::key(account, &schema::of_count(mailbox, which))
}

/// A row that says nothing but that it is there.
fn present() -> Vec<u8> {
    vec![rows::VERSION]
}
