//! Changing the flags of many messages with one row.
//!
//! A *sweep* says which change was made to which messages, and its key at which MODSEQ. The state of a message is what its
//! row says, with all later sweeps applied to it. So `STORE 1:*` writes some dozen octets, and whoever reads states reads
//! the sweeps of the mailbox first: there are few, because they are folded into the rows before there are many.
//!
//! Whoever writes the row of a message requires that there was no sweep since it was read, and leaves a mark that a sweep
//! requires in turn: neither undoes what the other did, and the counters of the mailbox stay exact.

use bytes::Bytes;
use iems_core::storage::{Batch, Scan, StoreError, Template};
use serde::{Deserialize, Serialize};

use super::append::{Counts, add_counts};
use super::keyword::KeywordSet;
use super::row::{self, Number};
use super::schema::{self, AccountId, Count, Log, MailboxId, Of, Uid};
use super::status::COUNTERS;
use super::{FlagChange, Flags, Mailboxes, MessageState, Spared, TRIES, busy};
use crate::rows;

/// From how many messages on a change is a sweep.
const LEAST: usize = if cfg!(test) { 2 } else { 128 };
/// How many sweeps a mailbox has at most.
const MOST: usize = if cfg!(test) { 3 } else { 16 };
/// How many runs of UIDs one has at most.
const RUNS: usize = 4096;
/// How many rows are looked at in one step of folding.
const PAGE: usize = 512;

/// A message as a caller believes it to be.
#[derive(Debug, Clone, Copy)]
pub struct Believed<'a> {
    /// Its UID.
    pub uid: Uid,
    /// Its flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: &'a KeywordSet,
    /// Its MODSEQ.
    pub modseq: u64,
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// The messages that were changed, in order. Those that were as asked before keep their MODSEQ.
    pub changed: Vec<Uid>,
    /// Messages that changed after the MODSEQ of the condition, and were left alone.
    pub modified: Vec<Uid>,
    /// The MODSEQ that was given out.
    pub modseq: u64,
}

/// The row of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sweep {
    change: FlagChange,
    /// Of the messages: first and last of each run, in order.
    runs: Vec<(u32, u32)>,
}

impl Sweep {
    fn has(&self, uid: Uid) -> bool {
        let at = self.runs.partition_point(|(_, last)| *last < uid.0);
        self.runs.get(at).is_some_and(|(first, _)| *first <= uid.0)
    }
}

/// The sweeps of a mailbox, as they were read: before any row that they are about.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    /// The MODSEQ of the last one; absent if there is none.
    mark: Option<Bytes>,
    /// By MODSEQ.
    all: Vec<(u64, Sweep)>,
}

impl Sweeps {
    /// Brings what the row of a message says up to date; whether that was necessary.
    pub(super) fn apply(&self, state: &mut MessageState) -> bool {
        let before = state.modseq;
        for (modseq, sweep) in &self.all {
            if *modseq > state.modseq && sweep.has(state.uid) {
                (state.flags, state.keywords) = sweep.change.applied(state.flags, &state.keywords);
                state.modseq = *modseq;
            }
        }
        state.modseq != before
    }

    /// The messages of those after the MODSEQ `since`, but for the one at `own`.
    pub(super) fn uids_since(&self, since: u64, own: Option<u64>) -> impl Iterator<Item = Uid> + '_ {
        let later = self.all.iter().filter(move |(modseq, _)| *modseq > since && Some(*modseq) != own);
        later.flat_map(|(_, sweep)| &sweep.runs).flat_map(|(first, last)| (*first..=*last).map(Uid))
    }

    /// The MODSEQ of the last one.
    pub(super) fn last(&self) -> Option<u64> {
        self.all.last().map(|(modseq, _)| *modseq)
    }

    /// A batch that writes rows of messages: it fails if there was a sweep meanwhile, and so does a sweep that began before
    /// it. `modseq` is the batch's.
    pub(super) fn guard(&self, batch: &mut Batch, account: AccountId, mailbox: MailboxId, modseq: Number) {
        self.require(batch, account, mailbox);
        let touched = schema::key(account, &schema::of_count(mailbox, Count::Touched));
        batch.put(touched, modseq.onto(Template::default()));
    }

    /// A batch that fails if there was a sweep meanwhile.
    pub(super) fn require(&self, batch: &mut Batch, account: AccountId, mailbox: MailboxId) {
        let mark = schema::key(account, &schema::of_count(mailbox, Count::Swept));
        require(batch, &mark, self.mark.as_ref());
    }
}

fn require(batch: &mut Batch, key: &[u8], row: Option<&Bytes>) {
    match row {
        Some(row) => batch.require_equals(key, row),
        None => batch.require_absent(key),
    }
}

impl Mailboxes {
    /// The sweeps of a mailbox.
    pub(super) async fn sweeps(&self, account: AccountId, mailbox: MailboxId) -> Result<Sweeps, StoreError> {
        let mark = schema::key(account, &schema::of_count(mailbox, Count::Swept));
        match self.storage.store.get(&mark).await? {
            Some(mark) => Ok(Sweeps { mark: Some(mark), ..self.every_sweep(account, mailbox).await? }),
            None => Ok(Sweeps::default()),
        }
    }

    /// The same whether there is a mark or not.
    pub(super) async fn every_sweep(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Sweeps, StoreError> {
        let prefix = schema::key(account, &schema::of_mailbox(b'f', mailbox));
        let mut sweeps = Sweeps::default();
        for (key, row) in self.storage.store.scan(Scan::prefix(&prefix, 2 * MOST)).await? {
            let (modseq, _) = rows::number(key.get(prefix.len()..).unwrap_or_default(), "a sweep")?;
            sweeps.all.push((modseq, rows::decode(&row, "a sweep")?));
        }
        Ok(sweeps)
    }

    /// Changes the flags of messages with one row and one MODSEQ, without reading theirs: `believed` (in the order of their
    /// UIDs) has to be how they are at the MODSEQ `at` of the mailbox. `None`, and nothing is changed, where that is no
    /// longer so, or where it is not worth while: then it is done by [`Self::store_flags`].
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        at: u64,
        believed: &[Believed<'_>],
        change: &FlagChange,
    ) -> Result<Option<Swept>, StoreError> {
        if believed.len() < LEAST || change.spared != Spared::default() {
            return Ok(None);
        }
        let mut sweeps = self.sweeps(account, mailbox).await?;
        if sweeps.all.len() >= MOST {
            self.fold(account, mailbox, &sweeps).await?;
            sweeps = self.sweeps(account, mailbox).await?;
        }
        let counters = schema::key(account, &schema::of_mailbox(b'p', mailbox));
        let counters = self.storage.store.scan(Scan::prefix(&counters, COUNTERS)).await?;
        let count = |which: Count| {
            counters.iter().find(|(key, _)| key.last() == Some(&(which as u8))).map(|(_, row)| row)
        };
        let highest = count(Count::Highest).map(|row| rows::number(row, "a MODSEQ")).transpose()?;
        let others = count(Count::Swept) != sweeps.mark.as_ref() || sweeps.all.len() >= MOST;
        if others || highest.map(|(highest, _)| highest) != Some(at) {
            return Ok(None);
        }
        let (mut swept, counts) = changing(believed, change);
        let runs = runs(&swept.changed);
        if swept.changed.len() < LEAST || runs.len() > RUNS {
            return Ok(None);
        }
        let key = |tail: &[u8]| schema::key(account, tail);
        let mut batch = Batch::new();
        let modseq = batch.allocate(&key(b"q"), 1);
        batch.require_present(&key(b"v"));
        batch.require_present(&key(&schema::of_mailbox(b'b', mailbox)));
        for which in [Count::Swept, Count::Touched] {
            require(&mut batch, &key(&schema::of_count(mailbox, which)), count(which));
        }
        let change = FlagChange { unchanged_since: None, ..change.clone() };
        let row = Template::from(key(&schema::of_mailbox(b'f', mailbox))).number(modseq, 0);
        batch.put(row, rows::encode(&Sweep { change, runs })?);
        for which in [Count::Swept, Count::Highest] {
            batch.put(key(&schema::of_count(mailbox, which)), Template::default().number(modseq, 0));
        }
        add_counts(&mut batch, account, mailbox, &counts);
        Ok(self.try_commit(batch).await?.map(|committed| {
            swept.modseq = committed.firsts.first().copied().unwrap_or_default();
            swept
        }))
    }

    /// Writes into the rows of messages what the sweeps say of them, and forgets the sweeps. Nothing changes by that.
    async fn fold(&self, account: AccountId, mailbox: MailboxId, sweeps: &Sweeps) -> Result<(), StoreError> {
        let key = |tail: &[u8]| schema::key(account, tail);
        let (mut after, mut tries) = (Uid(0), 0);
        loop {
            let page = self.page(Of::State, account, mailbox, after, PAGE).await?;
            let mut batch = Batch::new();
            let mut last = None;
            for (at, row) in &page {
                let mut state = row::read_state(schema::uid(at)?, row)?;
                let logged = schema::of_log(Log::Changed, mailbox, state.modseq, state.uid);
                last = Some(state.uid);
                if !sweeps.apply(&mut state) {
                    continue;
                }
                batch.require_equals(at, row);
                let modseq = Number::Known(state.modseq);
                batch.put(at.to_vec(), row::state(modseq, state.flags, &state.keywords, state.size)?);
                batch.delete(&key(&logged));
                let logged = schema::of_log(Log::Changed, mailbox, state.modseq, state.uid);
                batch.put(key(&logged), &[rows::VERSION]);
            }
            if self.try_commit(batch).await?.is_none() {
                tries += 1;
                match tries < TRIES {
                    true => continue,
                    false => return Err(busy()),
                }
            }
            match last {
                Some(last) if page.len() == PAGE => after = last,
                _ => break,
            }
        }
        let mut batch = Batch::new();
        sweeps.require(&mut batch, account, mailbox);
        batch.delete(&key(&schema::of_count(mailbox, Count::Swept)));
        for (modseq, _) in &sweeps.all {
            batch.delete(&key(&schema::of_sweep(mailbox, *modseq)));
        }
        // If there is a new one, the next sweep sees to it.
        self.try_commit(batch).await.map(|_| ())
    }
}

/// Which messages a change changes, and by how much the counters of their mailbox.
fn changing(believed: &[Believed<'_>], change: &FlagChange) -> (Swept, Counts) {
    let (mut swept, mut counts) = (Swept::default(), Counts::default());
    // Most messages are as the one before.
    let mut last: Option<(Flags, &KeywordSet, Option<Counts>)> = None;
    for Believed { uid, flags, keywords, modseq } in believed.iter().copied() {
        if change.is_forbidden((flags, keywords), modseq, None) {
            swept.modified.push(uid);
            continue;
        }
        let differs = match last {
            Some((same, set, differs)) if same == flags && std::ptr::eq(set, keywords) => differs,
            _ => {
                let (after, kept) = change.applied(flags, keywords);
                ((after, &kept) != (flags, keywords)).then(|| Counts::between(flags, after))
            }
        };
        last = Some((flags, keywords, differs));
        if let Some(more) = differs {
            counts = counts.sum(more);
            swept.changed.push(uid);
        }
    }
    (swept, counts)
}

/// UIDs, which are in order, as runs.
fn runs(uids: &[Uid]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for uid in uids {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid.0) => *last = uid.0,
            _ => runs.push((uid.0, uid.0)),
        }
    }
    runs
}
