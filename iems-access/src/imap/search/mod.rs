//! Evaluation of `SEARCH`, `SORT` and `THREAD` (RFC 9051 section 6.4.4, RFC 5256): which messages, in which order.
//!
//! A key is asked of what is cheapest first: flags and numbers that the session holds, then the message's rows, its
//! stored structure, its header, its texts. Only messages that are still undecided are looked at further, and the rows
//! of many are read at once. Texts are read and compared as `iems_store::search` says; an index rules out messages that
//! need not be read. What is read of bodies and
//! what is compared is counted against budgets, and other sessions get their turn in between.
//!
//! `asked` a key asked of many · `query` the key, and its answer to what is known · `facts` what is known of a message · `looked` the texts that are
//! looked for · `sort`, `thread/` the order · `work` what it costs.

mod asked;
mod facts;
mod looked;
mod query;
mod sort;
#[cfg(test)]
mod tests;
mod thread;
mod work;

use std::sync::atomic::{AtomicU64, Ordering};

use iems_core::seam::Timestamp;
use iems_core::storage::StoreError;
use iems_store::mailbox::{AccountId, Flags, KeywordSet, KeywordTable, MailboxId, Mailboxes};
use iems_store::search::TextIndex;

use crate::imap::types::{NumberSet, SearchKey, SortCriterion, ThreadAlgorithm, ThreadNode};
use crate::net::{Budget, Loan};

use asked::Asked;
use facts::{Facts, Level};
use looked::{Looked, Needles};
use query::Query;

/// How many messages are read of at once.
const STEP: usize = 64;
/// From so many messages on, they are sorted beside the sessions.
const ASIDE: usize = 4096;
/// Octets of one text by which messages are sorted; what is behind them makes no difference.
const SORTED: usize = 1000;

/// A message that may be found, as the session sees it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its sequence number.
    pub number: u32,
    /// Its UID.
    pub uid: u32,
    /// Its MODSEQ.
    pub modseq: u64,
    /// Its flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: &'a KeywordSet,
    /// It is recent (RFC 3501 section 2.3.2).
    pub recent: bool,
}

/// Bounds of one command.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SearchLimits {
    /// Octets of headers and bodies that are read; 8 GiB. A command that needs more is refused (RFC 9051 section 7.1,
    /// `LIMIT`).
    pub octets: u64,
    /// Octets of one text that are searched; 16 MiB. What is behind them is not found.
    pub text: u64,
    /// Units of work of about 10 ns, 6,000,000,000: a minute. A row that is read costs 32, a message looked at for a flag one, for a field 128, and
    /// 8 octets of its texts for each text that is looked for one, 2 octets of fields, which may have to be decoded,
    /// and one of what `SORT` and `THREAD` go by. A command that needs more is refused, too.
    pub work: u64,
    /// Octets that `SORT` and `THREAD` hold at once of messages, subjects, names and ids; 256 MiB, enough for about a million messages. A
    /// command that needs more is refused, too.
    pub held: u64,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self { octets: 8 << 30, text: 16 << 20, work: 6_000_000_000, held: 256 << 20 }
    }
}

/// Why nothing was found out.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// More would have to be read than one command may. Ask for fewer messages.
    #[error("searching these messages would read more than one command may")]
    TooCostly,
    /// The account holds as much memory as it may. Ask for fewer messages, or when other commands are done.
    #[error(transparent)]
    Spent(#[from] crate::net::Spent),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is searched.
#[derive(Debug)]
pub struct Searched<'a> {
    /// Where rows and bodies are.
    pub mailboxes: &'a Mailboxes,
    /// What rules out messages without reading them.
    pub index: Option<&'a dyn TextIndex>,
    /// Whose mailbox.
    pub account: AccountId,
    /// Which one.
    pub mailbox: MailboxId,
    /// Its messages, by sequence number.
    pub candidates: &'a [Candidate<'a>],
    /// Names of keywords.
    pub keywords: &'a KeywordTable,
    /// UIDs that `$` stands for.
    pub saved: &'a NumberSet,
    /// The time, for `OLDER` and `YOUNGER`.
    pub now: Timestamp,
    /// Bounds.
    pub limits: SearchLimits,
    /// Whose memory it takes. That of the candidates is the caller's to count.
    pub budget: Budget,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Spent(AtomicU64);

impl Spent {
    /// Counts octets that are about to be read.
    fn take(&self, octets: u64, limits: &SearchLimits) -> Result<(), SearchError> {
        let before = self.0.fetch_add(octets, Ordering::Relaxed);
        match before.saturating_add(octets) <= limits.octets {
            true => Ok(()),
            false => Err(SearchError::TooCostly),
        }
    }
}

impl Searched<'_> {
    /// The messages that `key` holds for: places in the candidates, in their order. Messages that were removed
    /// meanwhile are found only by what the session holds of them.
    ///
    /// # Errors
    /// See [`SearchError`].
    pub async fn find(&self, key: &SearchKey) -> Result<Vec<usize>, SearchError> {
        let mut query = Query::of(key, self);
        let mut needles = Needles::default();
        query.collect(&mut needles);
        let (query, mut fields) = (query, Vec::new());
        query.fields(&mut fields);
        let looked = Looked::up(needles, self).await;
        let mut asked = Asked::new(self, &query, &fields);
        let mut open = Vec::new();
        for (place, candidate) in self.candidates.iter().enumerate() {
            let facts = Facts::new(self, *candidate).looking_for(&looked);
            if !asked.first(place, &facts).await? {
                open.push((place, facts));
            }
            if open.len() == STEP {
                asked.settle(&mut open).await?;
            }
        }
        asked.settle(&mut open).await?;
        let Asked { mut found, missed, .. } = asked;
        found.sort_unstable();
        if let Some(index) = self.index.filter(|_| missed > 0 && looked.is_telling()) {
            index.missed(self.account, missed);
        }
        Ok(found)
    }

    /// The same places, sorted (RFC 5256 section 3).
    ///
    /// # Errors
    /// See [`SearchError`].
    pub async fn sort(
        &self,
        places: Vec<usize>,
        criteria: &[SortCriterion],
    ) -> Result<Vec<usize>, SearchError> {
        sort::sort(self, places, criteria).await
    }

    /// The same places as threads (RFC 5256 section 3), and the memory that they take; numbers are UIDs if `uid`.
    ///
    /// # Errors
    /// See [`SearchError`].
    pub async fn thread(
        &self,
        places: Vec<usize>,
        algorithm: ThreadAlgorithm,
        uid: bool,
    ) -> Result<(Vec<ThreadNode>, Loan), SearchError> {
        thread::thread(self, places, algorithm, uid).await
    }

    /// What is known of the messages at some places, with their structure; `rows` is the memory of it.
    async fn facts(&self, places: &[usize], rows: &mut Loan) -> Result<Vec<Facts<'_>>, SearchError> {
        let candidates = places.iter().filter_map(|place| Some((*place, self.candidates.get(*place)?)));
        let mut facts: Vec<_> =
            candidates.map(|(place, candidate)| (place, Facts::new(self, *candidate))).collect();
        Facts::learn(&mut facts, Level::Info, self).await?;
        Facts::learn(&mut facts, Level::Structure, self).await?;
        rows.resize(facts.iter().map(|(_, facts)| facts.row_octets()).sum())?;
        for (_, facts) in &mut facts {
            there(facts.complete().await)?;
        }
        tokio::task::yield_now().await;
        Ok(facts.into_iter().map(|(_, facts)| facts).collect())
    }

    /// What takes long with many messages, beside the sessions: `act` is all arithmetic.
    async fn aside<T: Send + 'static>(
        messages: usize,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SearchError> {
        if messages < ASIDE {
            return Ok(act());
        }
        let done = tokio::task::spawn_blocking(act).await;
        done.map_err(|error| StoreError::Io(format!("sorting ended early: {error}")).into())
    }
}

/// The beginning of a text by which is sorted.
fn sortable(mut text: String) -> String {
    let end = (0..=SORTED.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    text
}

/// What was read of a message; `None` if it was removed meanwhile, and its octets with it.
fn there<T>(read: Result<T, SearchError>) -> Result<Option<T>, SearchError> {
    match read {
        Err(SearchError::Store(StoreError::NoBlob(_))) => Ok(None),
        read => read.map(Some),
    }
}

/// The EMAILID of a message (RFC 8474 section 4.3), of its number within the account.
pub fn email_id(account: AccountId, email: u64) -> String {
    format!("M{:x}-{email:x}", account.0)
}

/// The THREADID of a message (RFC 8474 section 4.4), of its thread's number within the account.
pub fn thread_id(account: AccountId, thread: u64) -> String {
    format!("T{:x}-{thread:x}", account.0)
}
