//! Changing flags and keywords (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).
//!
//! A commit requires each state to be as it was read, so that of two sessions that change one message neither undoes
//! what the other did.

use std::collections::BTreeSet;

use iems_core::storage::{Batch, StoreError, Template};
use serde::{Deserialize, Serialize};

use super::append::{Counts, add_counts};
use super::keyword::KeywordSet;
use super::row::{self, Number};
use super::schema::{self, AccountId, Count, Log, MailboxId, Of, Owner, Uid};
use super::sweep::Believed;
use super::{Flags, Mailboxes, MessageState, TRIES, busy};
use crate::rows;

/// How many messages change in one commit at most: others' commits wait for it, some hundredths of a second.
const AT_ONCE: usize = 512;

/// What is done with the named flags and keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlagAction {
    /// They are set, others stay.
    Add,
    /// They are cleared, others stay.
    Remove,
    /// They are set, all others are cleared.
    Replace,
}

/// A change of flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagChange {
    /// What is done.
    pub action: FlagAction,
    /// With which flags.
    pub flags: Flags,
    /// With which keywords, numbers of the account.
    pub keywords: KeywordSet,
    /// Messages that changed after this MODSEQ are left alone (UNCHANGEDSINCE).
    pub unchanged_since: Option<u64>,
    /// What stays as it is, whatever is named: for those who may not change all. Such a change is never one row of many
    /// messages, so it is not written.
    #[serde(skip)]
    pub spared: Spared,
}

/// What a change leaves alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spared {
    /// These flags.
    pub flags: Flags,
    /// All keywords.
    pub keywords: bool,
}

impl FlagChange {
    /// A change of system flags, whatever happened meanwhile.
    pub fn new(action: FlagAction, flags: Flags) -> Self {
        let (keywords, spared) = (KeywordSet::default(), Spared::default());
        Self { action, flags, keywords, unchanged_since: None, spared }
    }

    /// What becomes of flags and keywords.
    pub fn applied(&self, flags: Flags, keywords: &KeywordSet) -> (Flags, KeywordSet) {
        let mut keywords = keywords.clone();
        match self.action {
            _ if self.spared.keywords => {}
            FlagAction::Add => self.keywords.iter().for_each(|keyword| keywords.insert(keyword)),
            FlagAction::Remove => self.keywords.iter().for_each(|keyword| keywords.remove(keyword)),
            FlagAction::Replace => keywords = self.keywords.clone(),
        }
        let changed = match self.action {
            FlagAction::Add => flags | self.flags,
            FlagAction::Remove => flags - self.flags,
            FlagAction::Replace => self.flags,
        };
        let spared = self.spared.flags;
        ((changed - spared) | (flags & spared), keywords)
    }

    /// Whether the condition forbids it (RFC 7162 section 3.1.3) for a message that has these flags and keywords since
    /// `modseq`. What a caller knows of it, `believed`, tells whether what changed meanwhile is anything that is named.
    pub(super) fn is_forbidden(
        &self,
        (flags, keywords): (Flags, &KeywordSet),
        modseq: u64,
        believed: Option<&Believed<'_>>,
    ) -> bool {
        let Some(since) = self.unchanged_since.filter(|since| modseq > *since) else { return false };
        if self.action == FlagAction::Replace {
            return true;
        }
        let Some(believed) = believed.filter(|believed| believed.modseq <= since) else {
            // Before everything, keywords that are not there have not changed; a system flag always has.
            let there = self.keywords.iter().any(|keyword| keywords.contains(keyword));
            return since > 0 || !self.flags.is_empty() || there;
        };
        let differs = |keyword| believed.keywords.contains(keyword) != keywords.contains(keyword);
        believed.flags & self.flags != flags & self.flags || self.keywords.iter().any(differs)
    }
}

/// What a change of flags did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The messages that are now as asked, in the order of their UIDs. Those that were so before keep their MODSEQ.
    pub states: Vec<MessageState>,
    /// Messages that changed meanwhile and were left alone.
    pub modified: Vec<Uid>,
    /// The last MODSEQ that was given out for it; `None` if nothing had to change.
    pub modseq: Option<u64>,
}

/// What one commit is to change.
#[derive(Default)]
struct Plan {
    batch: Batch,
    stored: Stored,
    changed: BTreeSet<usize>,
    counts: Counts,
}

impl Mailboxes {
    /// Changes the flags of those of `uids` that are there, with one MODSEQ for each 512 of them.
    ///
    /// # Errors
    /// The store's. After one, the commits before it have taken effect.
    pub async fn store_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        change: &FlagChange,
    ) -> Result<Stored, StoreError> {
        self.store_believed(account, mailbox, uids, &[], change).await
    }

    /// The same for a caller that knows how messages were: `believed`, in the order of their UIDs. Where `unchanged_since`
    /// is no earlier than that, flags that are added or removed may have others beside them changed.
    ///
    /// # Errors
    /// The store's. After one, the commits before it have taken effect.
    pub async fn store_believed(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        believed: &[Believed<'_>],
        change: &FlagChange,
    ) -> Result<Stored, StoreError> {
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        uids.dedup();
        let mut all = Stored::default();
        for uids in uids.chunks(AT_ONCE) {
            let some = self.store_some(account, mailbox, uids, believed, change).await?;
            all.states.extend(some.states);
            all.modified.extend(some.modified);
            all.modseq = some.modseq.or(all.modseq);
        }
        Ok(all)
    }

    /// Sets the flags of a message and keeps its keywords; `false` if there is none.
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
        for _ in 0..TRIES {
            let states = self.states(account, mailbox, &[uid]).await?;
            let Some(state) = states.first() else { return Ok(false) };
            let change = FlagChange {
                keywords: state.keywords.clone(),
                unchanged_since: Some(state.modseq),
                ..FlagChange::new(FlagAction::Replace, flags)
            };
            if self.store_flags(account, mailbox, &[uid], &change).await?.modified.is_empty() {
                return Ok(true);
            }
        }
        Err(busy())
    }

    async fn store_some(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        believed: &[Believed<'_>],
        change: &FlagChange,
    ) -> Result<Stored, StoreError> {
        for _ in 0..TRIES {
            let plan = self.plan(account, mailbox, uids, believed, change).await?;
            let Plan { batch, mut stored, changed, .. } = plan;
            if changed.is_empty() {
                return Ok(stored);
            }
            let Some(committed) = self.try_commit(batch).await? else { continue };
            let modseq = committed.firsts.first().copied().unwrap_or_default();
            for at in changed {
                if let Some(state) = stored.states.get_mut(at) {
                    state.modseq = modseq;
                }
            }
            stored.modseq = Some(modseq);
            return Ok(stored);
        }
        Err(busy())
    }

    async fn plan(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        believed: &[Believed<'_>],
        change: &FlagChange,
    ) -> Result<Plan, StoreError> {
        let key = |tail: &[u8]| schema::key(account, tail);
        let mut plan = Plan::default();
        let modseq = plan.batch.allocate(&key(b"q"), 1);
        let sweeps = self.sweeps(account, mailbox).await?;
        for (uid, row) in self.rows_of(Of::State, account, mailbox, uids).await? {
            let mut state = row::read_state(uid, &row)?;
            let logged = schema::of_log(Log::Changed, mailbox, state.modseq, uid);
            sweeps.apply(&mut state);
            let known = believed.binary_search_by_key(&uid, |known| known.uid).ok();
            let known = known.and_then(|at| believed.get(at));
            if change.is_forbidden((state.flags, &state.keywords), state.modseq, known) {
                plan.stored.modified.push(uid);
                continue;
            }
            let (flags, keywords) = change.applied(state.flags, &state.keywords);
            if (flags, &keywords) != (state.flags, &state.keywords) {
                let at = key(&schema::of_message(Of::State, mailbox, uid));
                plan.batch.require_equals(&at, &row);
                plan.batch.put(at, row::state(Number::Slot(modseq, 0), flags, &keywords, state.size)?);
                plan.batch.delete(&key(&logged));
                let entry = Owner::Known(account).key(&schema::of_mailbox(Log::Changed as u8, mailbox));
                let entry = entry.number(modseq, 0).bytes(&u64::from(uid.0).to_be_bytes());
                plan.batch.put(entry, &[rows::VERSION]);
                plan.counts = plan.counts.sum(Counts::between(state.flags, flags));
                plan.changed.insert(plan.stored.states.len());
                (state.flags, state.keywords) = (flags, keywords);
            }
            plan.stored.states.push(state);
        }
        add_counts(&mut plan.batch, account, mailbox, &plan.counts);
        sweeps.guard(&mut plan.batch, account, mailbox, Number::Slot(modseq, 0));
        let highest = key(&schema::of_count(mailbox, Count::Highest));
        plan.batch.put(highest, Template::default().number(modseq, 0));
        Ok(plan)
    }
}
