//! One run: the index of one account is brought to where its mail is.
//!
//! Mailboxes are looked through from where the last run was; what the index does not hold is added. What left is seen by
//! the counters of mailboxes; only then all EMAILIDs are read, and those that are not there any more are removed. Every
//! commit says how far it is, so a run that was cut short goes on from there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{Instant, sleep};

use super::Shared;
use super::error::IndexError;
use super::queue::Why;
use super::read::{self, Raw};
use super::room;
use super::schema::{Progress, Seen, mark_of};
use super::writer::Writer;
use crate::mailbox::{AccountId, MailboxId, MessageInfo, Status, Uid};

/// How many messages are read of at once.
const STEP: usize = 32;
/// Octets that are given to the index at once, if the messages are not larger.
const BATCH: usize = 2 << 20;
/// How many EMAILIDs are read at once.
const PAGE: usize = 2048;
/// After so many messages, searches see them.
const COMMITTED: u64 = 10_000;
/// Or after this time.
const COMMIT_AFTER: Duration = Duration::from_secs(60);

/// How often is looked whether the server stops.
const LOOK: Duration = Duration::from_millis(100);

/// How a run is going.
#[derive(Debug, Default)]
pub(super) struct Going {
    /// Messages that were looked at.
    pub(super) done: AtomicU64,
    /// Messages that there are to look at, about.
    pub(super) total: AtomicU64,
    /// It is to end early.
    pub(super) cancelled: AtomicBool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The index is where the mail was when the run began, at this MODSEQ.
    Whole(u64),
    /// It was told to stop.
    Stopped,
    /// There is no such account; the index was removed.
    NoAccount,
}

/// One run.
pub(super) struct Run<'a> {
    pub(super) shared: &'a Shared,
    pub(super) account: AccountId,
    pub(super) going: &'a Going,
    pub(super) why: Why,
    writer: Option<Writer>,
    raws: Vec<Raw>,
    fresh: u64,
    committed: Instant,
}

impl<'a> Run<'a> {
    pub(super) fn new(shared: &'a Shared, account: AccountId, going: &'a Going, why: Why) -> Self {
        let (writer, raws) = (None, Vec::new());
        Self { shared, account, going, why, writer, raws, fresh: 0, committed: Instant::now() }
    }

    /// Runs to the end, or until it is over.
    pub(super) async fn run(&mut self) -> Result<Ended, IndexError> {
        let shared = self.shared;
        let Shared { mailboxes, shelf, options, .. } = shared;
        if !mailboxes.has_account(self.account).await? {
            shelf.remove(self.account)?;
            return Ok(Ended::NoAccount);
        }
        let modseq = mailboxes.modseq(self.account).await?;
        room::check(shelf.folder())?;
        let (folder, lock, memory) = (shelf.of(self.account), shared.lock.clone(), options.memory);
        let opened = spawn_blocking(move || Writer::open(&folder, &lock, memory)).await;
        self.writer = Some(opened.map_err(IndexError::panicked)??);
        shelf.add(self.account);
        if self.why == Why::Left && self.writer()?.progress.modseq == Some(modseq) {
            return Ok(Ended::Whole(modseq));
        }
        let whole = self.look_through().await?;
        self.give().await?;
        if whole {
            self.progress()?.modseq = Some(modseq);
        }
        self.commit().await?;
        match (whole, self.writer.take()) {
            (true, Some(writer)) => {
                self.end(writer).await?;
                self.shared.readers.forget(self.account);
                Ok(Ended::Whole(modseq))
            }
            _ => Ok(Ended::Stopped),
        }
    }

    /// Waits until files are put together that are to be. A server that stops does not wait for it: nothing has come to
    /// depend on the new file yet, so it is made again.
    async fn end(&self, writer: Writer) -> Result<(), IndexError> {
        let (told, mut ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("iems-index".into());
        // A thread of its own, since the runtime waits for those that it has.
        thread.spawn(move || told.send(writer.end()))?;
        loop {
            tokio::select! {
                biased;
                ended = &mut ended => return ended.map_err(|_| no_writer())?,
                () = sleep(LOOK) => if self.shared.is_stopped() {
                    return Ok(());
                }
            }
        }
    }

    /// Adds what is new and removes what is gone; `false` if it was over before.
    async fn look_through(&mut self) -> Result<bool, IndexError> {
        let statuses = self.shared.mailboxes.statuses(self.account).await?;
        let before = match self.why {
            Why::Left => self.progress()?.mailboxes.clone(),
            Why::Missed | Why::Asked => BTreeMap::new(),
        };
        self.going.total.store(ahead(&statuses, &before), Ordering::Relaxed);
        let gone = |mailbox: &u32| !statuses.contains_key(&MailboxId(*mailbox));
        let mut left = self.why > Why::Left || before.keys().any(gone);
        for (mailbox, status) in &statuses {
            let seen = before.get(&mailbox.0).copied().unwrap_or(Seen { uid: 0, messages: Some(0) });
            let Some(new) = self.mailbox(*mailbox, status, seen).await? else { return Ok(false) };
            left |= seen.messages.map(|there| there + new) != Some(status.messages);
        }
        if left {
            self.progress()?.mailboxes.retain(|mailbox, _| !gone(mailbox));
            self.remove_what_left().await?;
        }
        Ok(true)
    }

    /// Looks through what is new in a mailbox, and tells how many messages that were; `None` if it was over before.
    async fn mailbox(
        &mut self,
        mailbox: MailboxId,
        status: &Status,
        seen: Seen,
    ) -> Result<Option<u64>, IndexError> {
        let end = u32::try_from(status.uid_next.saturating_sub(1)).unwrap_or(u32::MAX);
        let (mut after, mut new) = (Uid(seen.uid), 0);
        while after.0 < end {
            if self.is_over() {
                return Ok(None);
            }
            let infos = self.shared.mailboxes.infos_after(self.account, mailbox, after, STEP).await?;
            let infos: Vec<_> = infos.into_iter().filter(|info| info.uid.0 <= end).collect();
            let Some(last) = infos.last().map(|info| info.uid) else { break };
            (after, new) = (last, new + infos.len() as u64);
            self.step(mailbox, &infos).await?;
            self.going.done.fetch_add(infos.len() as u64, Ordering::Relaxed);
            self.progress()?.mailboxes.insert(mailbox.0, Seen { uid: last.0, messages: None });
            if self.fresh >= COMMITTED || self.committed.elapsed() >= COMMIT_AFTER {
                self.give().await?;
                self.commit().await?;
                room::check(self.shared.shelf.folder())?;
            }
        }
        let seen = Seen { uid: end.max(seen.uid), messages: Some(status.messages) };
        self.progress()?.mailboxes.insert(mailbox.0, seen);
        Ok(Some(new))
    }

    /// Reads those of some messages that the index does not hold.
    async fn step(&mut self, mailbox: MailboxId, infos: &[MessageInfo]) -> Result<(), IndexError> {
        let held = &self.writer()?.held;
        let lacks = |info: &&MessageInfo| held.get(&info.email) != Some(&mark_of(&info.body));
        let waiting: HashSet<u64> = self.raws.iter().map(|raw| raw.email).collect();
        let mut new: Vec<_> = infos.iter().filter(lacks).cloned().collect();
        new.retain(|info| !waiting.contains(&info.email));
        let began = Instant::now();
        let (mailboxes, counters) = (&self.shared.mailboxes, &self.shared.counters);
        let mut structures = read::structures(mailboxes, self.account, mailbox, &new).await?;
        for info in &new {
            match read::read(mailboxes, info, structures.remove(&info.uid)).await {
                Ok(raw) => {
                    counters.octets.fetch_add(raw.size() as u64, Ordering::Relaxed);
                    self.raws.push(raw);
                }
                // It left meanwhile, or it cannot be read: a search will see.
                Err(error) if !error.is_temporary() => {
                    tracing::debug!(account = self.account.0, mailbox = mailbox.0, uid = info.uid.0, %error, "not indexed");
                }
                Err(error) => return Err(error.into()),
            }
            if self.raws.iter().map(Raw::size).sum::<usize>() >= BATCH {
                self.give().await?;
            }
        }
        self.rest(began).await;
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.shared.is_stopped() || self.going.cancelled.load(Ordering::Relaxed)
    }

    /// Lets others work.
    async fn rest(&self, began: Instant) {
        match self.why {
            Why::Asked => yield_now().await,
            _ => sleep(began.elapsed() * self.shared.options.rest / 100).await,
        }
    }

    /// Gives to the index what was read.
    async fn give(&mut self) -> Result<(), IndexError> {
        let raws = std::mem::take(&mut self.raws);
        if raws.is_empty() {
            return Ok(());
        }
        self.fresh += raws.len() as u64;
        self.shared.counters.messages.fetch_add(raws.len() as u64, Ordering::Relaxed);
        self.with_writer(move |writer| raws.iter().try_for_each(|raw| writer.add(raw))).await
    }

    /// Lets searches see it.
    async fn commit(&mut self) -> Result<(), IndexError> {
        (self.fresh, self.committed) = (0, Instant::now());
        let reader = self.with_writer(|writer| {
            writer.commit()?;
            writer.reader()
        });
        let reader = reader.await?;
        self.shared.readers.put(self.account, Arc::new(reader));
        Ok(())
    }

    /// Removes messages that are not in any mailbox.
    async fn remove_what_left(&mut self) -> Result<(), IndexError> {
        let mailboxes = &self.shared.mailboxes;
        let mut there = HashSet::new();
        for mailbox in mailboxes.statuses(self.account).await?.into_keys() {
            let mut after = Uid(0);
            loop {
                let page = mailboxes.infos_after(self.account, mailbox, after, PAGE).await?;
                there.extend(page.iter().map(|info| info.email));
                match page.last() {
                    Some(last) if page.len() == PAGE => after = last.uid,
                    _ => break,
                }
                yield_now().await;
            }
        }
        self.give().await?;
        let gone: Vec<u64> =
            self.writer()?.held.keys().copied().filter(|email| !there.contains(email)).collect();
        self.shared.counters.removed.fetch_add(gone.len() as u64, Ordering::Relaxed);
        self.with_writer(move |writer| {
            gone.into_iter().for_each(|email| writer.remove(email));
            Ok(())
        })
        .await
    }

    /// Does something that blocks.
    async fn with_writer<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Writer) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, IndexError> {
        let began = Instant::now();
        let mut writer = self.writer.take().ok_or_else(no_writer)?;
        let done = spawn_blocking(move || {
            let done = job(&mut writer).map_err(|e| writer.judged(e));
            (writer, done)
        });
        let (writer, done) = done.await.map_err(IndexError::panicked)?;
        self.writer = Some(writer);
        self.rest(began).await;
        done
    }

    fn writer(&self) -> Result<&Writer, IndexError> {
        self.writer.as_ref().ok_or_else(no_writer)
    }

    fn progress(&mut self) -> Result<&mut Progress, IndexError> {
        Ok(&mut self.writer.as_mut().ok_or_else(no_writer)?.progress)
    }
}

/// The library waits for its threads when it is dropped.
impl Drop for Run<'_> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            spawn_blocking(move || drop(writer));
        }
    }
}

/// A job that ended by itself took the writer along.
fn no_writer() -> IndexError {
    IndexError::damage("what changes it was lost")
}

/// How many messages are still to be looked at.
fn ahead(statuses: &BTreeMap<MailboxId, Status>, before: &BTreeMap<u32, Seen>) -> u64 {
    let of = |(mailbox, status): (&MailboxId, &Status)| match before.get(&mailbox.0) {
        None => status.messages,
        Some(Seen { uid, .. }) => {
            status.messages.min(status.uid_next.saturating_sub(1).saturating_sub(u64::from(*uid)))
        }
    };
    statuses.iter().map(of).sum()
}
