//! Expunging: messages leave; ledger, counters and logs follow in the same commit.

use iems_core::storage::{Batch, Scan, StoreError, Template};

use super::append::{Counted, Counts, add_counts};
use super::query::{MessageInfo, MessageState};
use super::row::{self, Number};
use super::schema::{self, AccountId, Count, Log, MailboxId, Of, Owner, Uid};
use super::sweep::Sweeps;
use super::{Flags, Mailboxes, TRIES, busy};
use crate::rows;

/// How many messages leave in one commit at most: others' commits wait for it, some hundredths of a second.
const AT_ONCE: usize = 256;
/// How many states are looked at in one step.
const PAGE: usize = 4096;
/// How many expunged messages a mailbox remembers at least (RFC 7162 section 5.3).
pub const LOG_KEPT: u64 = 10_000;
/// How many more it lets come together before it forgets the oldest.
const LOG_SLACK: u64 = 1000;

/// What left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expunged {
    /// Number of messages; those that were gone before do not count.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Their UIDs, in order.
    pub uids: Vec<Uid>,
    /// The last MODSEQ that was given out for it; `None` if nothing left.
    pub modseq: Option<u64>,
}

impl Expunged {
    fn plus(&mut self, other: Self) {
        self.messages += other.messages;
        self.octets += other.octets;
        self.uids.extend(other.uids);
        self.modseq = other.modseq.or(self.modseq);
    }
}

/// A message that is about to leave.
pub(super) struct Leaving {
    pub(super) state: MessageState,
    /// The MODSEQ under which the log has it.
    logged: u64,
    /// The row of the state, which must still be there.
    pub(super) row: bytes::Bytes,
    pub(super) info: MessageInfo,
}

impl Mailboxes {
    /// Removes messages, whatever their flags: all of them in one commit, as long as they are at most 256. Those that
    /// are gone already are left out.
    ///
    /// # Errors
    /// The store's. After one, the commits before it have taken effect.
    pub async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Expunged, StoreError> {
        self.expunge_all(account, mailbox, uids, false).await
    }

    /// Removes messages that have `\Deleted` when it is done: those of `uids`, or of the whole mailbox (RFC 9051 sections
    /// 6.4.3 and 6.4.9).
    ///
    /// # Errors
    /// The store's. After one, the commits before it have taken effect.
    pub async fn expunge_deleted(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: Option<&[Uid]>,
    ) -> Result<Expunged, StoreError> {
        if self.counter(account, &schema::of_count(mailbox, Count::Deleted)).await? <= 0 {
            return Ok(Expunged::default());
        }
        match uids {
            Some(uids) => self.expunge_all(account, mailbox, uids, true).await,
            None => {
                let uids = self.with_deleted(account, mailbox).await?;
                self.expunge_all(account, mailbox, &uids, true).await
            }
        }
    }

    async fn with_deleted(&self, account: AccountId, mailbox: MailboxId) -> Result<Vec<Uid>, StoreError> {
        let mut uids = Vec::new();
        let mut after = Uid(0);
        loop {
            let page = self.view(account, mailbox, after, PAGE).await?;
            let deleted = page.iter().filter(|state| state.flags.contains(Flags::DELETED));
            uids.extend(deleted.map(|state| state.uid));
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.uid,
                _ => return Ok(uids),
            }
        }
    }

    async fn expunge_all(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        only_deleted: bool,
    ) -> Result<Expunged, StoreError> {
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        uids.dedup();
        let mut all = Expunged::default();
        for uids in uids.chunks(AT_ONCE) {
            all.plus(self.expunge_some(account, mailbox, uids, only_deleted).await?);
        }
        if all.messages > 0 {
            self.forget_expunged(account, mailbox).await?;
        }
        Ok(all)
    }

    async fn expunge_some(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        only_deleted: bool,
    ) -> Result<Expunged, StoreError> {
        for _ in 0..TRIES {
            let sweeps = self.sweeps(account, mailbox).await?;
            let mut leaving = self.leaving(account, mailbox, uids, &sweeps).await?;
            leaving.retain(|one| !only_deleted || one.state.flags.contains(Flags::DELETED));
            let mut gone = Expunged {
                messages: leaving.len() as u64,
                octets: leaving.iter().map(|one| one.state.size).sum(),
                uids: leaving.iter().map(|one| one.state.uid).collect(),
                modseq: None,
            };
            if leaving.is_empty() {
                return Ok(gone);
            }
            let mut batch = Batch::new();
            let modseq = batch.allocate(&schema::key(account, b"q"), 1);
            let all: Vec<_> = leaving.iter().collect();
            leave(&mut batch, account, mailbox, Number::Slot(modseq, 0), &all, &sweeps);
            let counts = Counts::of(leaving.iter().map(|one| Counted::from(&one.state)));
            batch.add(&schema::key(account, b"o"), -counts.octets);
            batch.add(&schema::key(account, b"k"), -(gone.messages as i64));
            leaving.iter().for_each(|one| batch.unlink(one.info.body.blob));
            if let Some(committed) = self.try_commit(batch).await? {
                gone.modseq = committed.firsts.first().copied();
                return Ok(gone);
            }
        }
        Err(busy())
    }

    /// Those of `uids` that are there; the sweeps were read before.
    pub(super) async fn leaving(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        sweeps: &Sweeps,
    ) -> Result<Vec<Leaving>, StoreError> {
        let rows = self.rows_of(Of::State, account, mailbox, uids).await?;
        let there: Vec<_> = rows.iter().map(|(uid, _)| *uid).collect();
        let mut infos = self.infos(account, mailbox, &there).await?.into_iter().peekable();
        let mut leaving = Vec::with_capacity(rows.len());
        for (uid, row) in rows {
            // One that has a state and nothing else has just left.
            if let Some(info) = infos.next_if(|info| info.uid == uid) {
                let mut state = row::read_state(uid, &row)?;
                let logged = state.modseq;
                sweeps.apply(&mut state);
                leaving.push(Leaving { state, logged, row, info });
            }
        }
        Ok(leaving)
    }

    /// Forgets the oldest entries of the expunge log, if there are too many, and remembers that it did.
    async fn forget_expunged(&self, account: AccountId, mailbox: MailboxId) -> Result<(), StoreError> {
        let key = |tail: &[u8]| schema::key(account, tail);
        let length = self.counter(account, &schema::of_count(mailbox, Count::LogLength)).await?;
        let over = length.max(0).unsigned_abs().saturating_sub(LOG_KEPT);
        if over < LOG_SLACK {
            return Ok(());
        }
        let start_key = key(&schema::of_count(mailbox, Count::LogStart));
        let start = self.storage.store.get(&start_key).await?;
        let prefix = key(&schema::of_mailbox(Log::Expunged as u8, mailbox));
        let oldest = over.min(PAGE as u64) as usize;
        let oldest = self.storage.store.scan(Scan::prefix(&prefix, oldest)).await?;
        let Some((last, _)) = oldest.last() else { return Ok(()) };
        let (modseq, _) = schema::log_entry(last)?;
        let mut batch = Batch::new();
        match &start {
            Some(start) => batch.require_equals(&start_key, start),
            None => batch.require_absent(&start_key),
        }
        batch.require_present(last);
        batch.put(start_key, modseq.to_be_bytes().to_vec());
        oldest.iter().for_each(|(key, _)| batch.delete(key));
        batch.add(&key(&schema::of_count(mailbox, Count::LogLength)), -(oldest.len() as i64));
        // If somebody else was quicker, it is done.
        self.try_commit(batch).await.map(|_| ())
    }
}

/// Adds the steps by which messages leave a mailbox, its counters and logs included. Ledger and bodies are the caller's.
pub(super) fn leave(
    batch: &mut Batch,
    account: AccountId,
    mailbox: MailboxId,
    modseq: Number,
    leaving: &[&Leaving],
    sweeps: &Sweeps,
) {
    let key = |tail: &[u8]| schema::key(account, tail);
    sweeps.guard(batch, account, mailbox, modseq);
    for Leaving { state, logged, row, info } in leaving {
        let uid = state.uid;
        let state_key = key(&schema::of_message(Of::State, mailbox, uid));
        batch.require_equals(&state_key, row);
        batch.delete(&state_key);
        batch.delete(&key(&schema::of_message(Of::Info, mailbox, uid)));
        batch.delete(&key(&schema::of_message(Of::Structure, mailbox, uid)));
        batch.delete(&key(&schema::of_log(Log::Changed, mailbox, *logged, uid)));
        let entry = Owner::Known(account).key(&schema::of_mailbox(Log::Expunged as u8, mailbox));
        batch.put(modseq.onto(entry).bytes(&u64::from(uid.0).to_be_bytes()), &[rows::VERSION]);
        if let Some(id) = &info.id {
            batch.delete(&key(&schema::of_thread(&id.0, mailbox, uid)));
        }
    }
    let counts = Counts::of(leaving.iter().map(|one| Counted::from(&one.state)));
    add_counts(batch, account, mailbox, &counts.negative());
    batch.add(&key(&schema::of_count(mailbox, Count::LogLength)), leaving.len() as i64);
    batch.put(key(&schema::of_count(mailbox, Count::Highest)), modseq.onto(Template::default()));
}
