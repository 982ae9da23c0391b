//! An index of texts on disk, for each account that is searched: which triples of octets are in which message.
//!
//! It is made in the background, one account at a time, from the mail alone; deliveries and sessions do nothing for it.
//! What is in it, is not in it, or is damaged changes how long a search takes, and nothing else: see
//! [`TextIndex`](super::TextIndex). Documents are found by EMAILID, which copies share and which moving keeps, so a message
//! is taken in once wherever it goes.
//!
//! `block` and `files` what is on the disk · `schema` and `entry` what is in an index · `read` and `grams` what is taken in
//! of a message · `writer` and `run` how an index comes about · `queue` when · `reader` and `readers` how it is asked ·
//! `shelf` and `room` where it is.

mod block;
mod entry;
mod error;
mod files;
mod grams;
mod queue;
mod read;
mod reader;
mod readers;
mod room;
mod run;
mod schema;
mod shelf;
mod status;
#[cfg(test)]
mod tests;
mod work;
mod writer;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use super::{KnownTexts, Needle, TextIndex};
use crate::mailbox::{AccountId, Mailboxes};
pub use error::IndexError;
use files::FilesLock;
use queue::{Queue, Why};
use reader::{Known, Reader};
use readers::Readers;
use run::Going;
use shelf::Shelf;
use status::Counters;
pub use status::{IndexState, IndexStatus, SearchCounters};

/// The least memory that the library works with, in octets.
pub const LEAST_MEMORY: usize = 15_000_000;
/// The most.
pub const MOST_MEMORY: usize = 2_000_000_000;

/// How indexes are made and kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SearchOptions {
    /// Memory while one account is being indexed, in octets. 32 MiB: more makes fewer and larger files at first, and the
    /// same in the end. What is outside of [`LEAST_MEMORY`] and [`MOST_MEMORY`] is brought there.
    pub memory: usize,
    /// How many indexes are kept open to be asked. 16: each takes some ten open files for every 10,000 messages, and 20
    /// octets of memory a message.
    pub open: usize,
    /// How many messages a search has to read for want of an index before one is made. 200: reading so many takes less
    /// than a tenth of a second.
    pub missed: u64,
    /// How long after the last session of an account its index is brought up to date. 30 s: clients come back.
    pub settle: Duration,
    /// How long indexing rests, in percent of the time that it works. 100: half of one processor, at most.
    pub rest: u32,
    /// How long an account is left alone whose index could not be made. 10 min: the cause is outside, a full disk mostly.
    pub pause: Duration,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            memory: 32 << 20,
            open: 16,
            missed: 200,
            settle: Duration::from_secs(30),
            rest: 100,
            pause: Duration::from_secs(600),
        }
    }
}

/// The indexes of all accounts. Cheap to clone.
#[derive(Clone)]
pub struct SearchIndex {
    shared: Arc<Shared>,
}

struct Shared {
    mailboxes: Mailboxes,
    shelf: Shelf,
    options: SearchOptions,
    lock: FilesLock,
    readers: Readers,
    queue: Queue,
    counters: Counters,
    state: Mutex<State>,
    /// Whoever changes an index has it.
    turn: tokio::sync::Mutex<()>,
    stopped: AtomicBool,
    stop: Notify,
}

#[derive(Default)]
struct State {
    /// The account that is being indexed.
    running: Option<(AccountId, Arc<Going>)>,
    /// Accounts whose index is where the mail was at this MODSEQ, and whether all mail was looked through for that.
    fresh: HashMap<AccountId, (u64, bool)>,
    /// Accounts whose index is to be made anew.
    damaged: HashSet<AccountId>,
    /// The background was started.
    started: bool,
}

impl SearchIndex {
    /// The indexes in `folder`, of the mail in `mailboxes`. Nothing happens before [`Self::start`] but asking what is there.
    pub fn open(mailboxes: Mailboxes, folder: PathBuf, options: SearchOptions) -> Self {
        let memory = options.memory.clamp(LEAST_MEMORY, MOST_MEMORY);
        let options = SearchOptions { memory, ..options };
        let shared = Shared {
            mailboxes,
            shelf: Shelf::open(folder),
            lock: FilesLock::default(),
            readers: Readers::new(options.open),
            queue: Queue::default(),
            counters: Counters::default(),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
            options,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Where the indexes are.
    pub fn folder(&self) -> &std::path::Path {
        self.shared.shelf.folder()
    }

    /// An account is to be indexed now, whatever else waits. Takes effect when the background runs.
    pub fn want(&self, account: AccountId) {
        self.shared.queue.want(account, Duration::ZERO, Why::Asked);
    }

    /// Removes the index of an account; `false` if there was none. It is made again when it is wanted.
    ///
    /// # Errors
    /// [`IndexError::Io`].
    pub async fn remove(&self, account: AccountId) -> Result<bool, IndexError> {
        let shared = self.shared.clone();
        shared.queue.forget(account);
        if let Some((_, going)) = shared.state().running.as_ref().filter(|(running, _)| *running == account) {
            going.cancelled.store(true, Ordering::Relaxed);
        }
        let _turn = shared.turn.lock().await;
        shared.queue.forget(account);
        shared.state().fresh.remove(&account);
        shared.state().damaged.remove(&account);
        shared.readers.forget(account);
        let there = self.shared.clone();
        let removed = spawn_blocking(move || there.shelf.remove(account)).await;
        Ok(removed.map_err(IndexError::panicked)??)
    }

    /// Accounts that have an index.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.shared.shelf.all()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The index of an account, opened if need be. Blocks.
    fn reader(&self, account: AccountId) -> Result<Option<Arc<Reader>>, IndexError> {
        if let Some(reader) = self.readers.get(account) {
            return Ok(Some(reader));
        }
        let Some(opened) = writer::open(&self.shelf.of(account), &self.lock)? else { return Ok(None) };
        let reader = Arc::new(Reader::open(&opened.index, opened.fields)?);
        self.readers.put(account, reader.clone());
        Ok(Some(reader))
    }

    fn known(&self, account: AccountId, needles: &[Needle]) -> Result<Option<Known>, IndexError> {
        self.reader(account)?.map(|reader| reader.ask(needles)).transpose()
    }

    /// An index cannot be used.
    fn failed(&self, account: AccountId, error: &IndexError) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        self.readers.forget(account);
        match error.is_damage() {
            true => {
                tracing::warn!(account = account.0, %error, "the index of an account's texts is made anew");
                self.state().damaged.insert(account);
                self.queue.want(account, Duration::ZERO, Why::Missed);
            }
            false => {
                tracing::warn!(account = account.0, %error, "an account's texts cannot be indexed for now")
            }
        }
    }
}

#[async_trait]
impl TextIndex for SearchIndex {
    async fn ask(&self, account: AccountId, needles: &[Needle]) -> Option<Box<dyn KnownTexts>> {
        let shared = self.shared.clone();
        if !shared.shelf.has(account) || shared.state().damaged.contains(&account) {
            return None;
        }
        let needles = needles.to_vec();
        let asked = spawn_blocking(move || shared.known(account, &needles)).await;
        match asked.map_err(IndexError::panicked).and_then(|known| known) {
            Ok(known) => {
                self.shared.counters.asked.fetch_add(1, Ordering::Relaxed);
                known.map(|known| Box::new(known) as Box<dyn KnownTexts>)
            }
            Err(error) => {
                self.shared.failed(account, &error);
                None
            }
        }
    }

    fn missed(&self, account: AccountId, messages: u64) {
        if messages >= self.shared.options.missed {
            self.shared.queue.want(account, Duration::ZERO, Why::Missed);
        }
    }

    fn left(&self, account: AccountId) {
        if self.shared.shelf.has(account) {
            self.shared.queue.want(account, self.shared.options.settle, Why::Left);
        }
    }
}

impl fmt::Debug for SearchIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchIndex").field("folder", &self.folder()).finish_non_exhaustive()
    }
}
