//! Keeps reports: each once, for a time, and never more than there is room for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iems_core::deliver::Attempt;
use iems_core::message::{Body, Domain, Verdict};
use iems_core::seam::{Clock, Timestamp};
use iems_core::storage::{Batch, Blobs, Store, StoreError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::model::{ReceivedReport, SpfSeen, Taken};
use super::read::{self, MESSAGE, Unreadable};
use super::rows::{self, Digest};
use crate::tlsrpt::FailureKind;

/// The most reports that are kept.
const REPORTS: u64 = 100_000;
/// The most octets of them.
const OCTETS: u64 = 256 << 20;
/// How often those whose time is over are removed.
const PRUNE: Duration = Duration::from_secs(3600);
/// How many messages are read at once; each may need some tens of megabytes for a moment.
const AT_ONCE: usize = 2;

/// How reports are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiverSettings {
    /// For how long. Default 90 days: long enough to compare a change of certificates with the one before.
    pub keep: Duration,
}

impl Default for ReceiverSettings {
    fn default() -> Self {
        Self { keep: Duration::from_secs(90 * 86_400) }
    }
}

/// Keeps reports, and counts what they tell.
pub struct Receiver {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: ReceiverSettings,
    /// Reports and octets in the store, as far as is known; never far off, as it is counted anew when it seems full.
    room: Mutex<Option<(u64, u64)>>,
    turns: Semaphore,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    kept: AtomicU64,
    repeated: AtomicU64,
    unreadable: AtomicU64,
    good: AtomicU64,
    bad: [AtomicU64; FailureKind::ALL.len()],
    other: AtomicU64,
}

/// What came since the start. Nothing of it is proven: anybody may write to the address. A message that had to be taken up again may count twice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedCounts {
    /// Reports that were kept.
    pub kept: u64,
    /// Reports that were there before.
    pub repeated: u64,
    /// Messages that were no reports.
    pub unreadable: u64,
    /// Sessions by their result: `successful`, the names of [`FailureKind`], and `other`.
    pub sessions: Vec<(&'static str, u64)>,
}

/// Which reports are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Those that tell of this domain.
    pub domain: Option<Domain>,
    /// Those that were received from then on.
    pub since: Option<Timestamp>,
    /// Those that tell of sessions that were not as they should be.
    pub failed: bool,
    /// At most so many, the latest.
    pub most: usize,
}

impl Receiver {
    /// Keeps reports in `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: ReceiverSettings) -> Self {
        let turns = Semaphore::new(AT_ONCE);
        Self { store, clock, settings, room: Mutex::default(), turns, counts: Counts::default() }
    }

    /// The report in a message, or why there is none.
    pub(super) async fn look(
        &self,
        body: &Body,
        blobs: &dyn Blobs,
    ) -> Result<Result<ReceivedReport, Unreadable>, StoreError> {
        if body.size() > MESSAGE {
            return Ok(Err(Unreadable::TooLarge));
        }
        let _turn = self.turns.acquire().await;
        let message = body.reader(blobs).rest().await?;
        let read = tokio::task::spawn_blocking(move || read::read(&message)).await;
        Ok(read.unwrap_or_else(|error| {
            tracing::error!(%error, "a TLS report could not be read: please report this");
            Err(Unreadable::Json("it cannot be read".into()))
        }))
    }

    /// Takes the report of an attempt: what is to be written goes into `batch`. What came of it, for people.
    pub(super) async fn take(&self, attempt: &Attempt, batch: &mut Batch) -> Result<String, StoreError> {
        let report = match self.look(&attempt.body, &*attempt.blobs).await? {
            Ok(report) => report,
            Err(why) => {
                self.count_unreadable();
                let (id, sender) = (attempt.id, &attempt.envelope.sender);
                tracing::warn!(%id, %sender, cause = %why, "a message for TLS reports holds none that can be read");
                return Ok(format!("Taken, but not as a TLS report: {why}"));
            }
        };
        let taken = Taken {
            received: attempt.arrived,
            message: attempt.id.to_string(),
            sender: attempt.envelope.sender.to_string(),
            spf: spf(&attempt.verdicts),
            report,
        };
        let digest = Digest::of(&taken);
        if rows::knows(&*self.store, digest).await? {
            self.counts.repeated.fetch_add(1, Ordering::Relaxed);
            return Ok("The TLS report was there before".into());
        }
        let row = rows::encode(&taken);
        self.make_room(row.len() as u64, batch).await?;
        rows::add(batch, &taken, digest, row);
        self.count(&taken.report);
        let (good, bad) = taken.report.sessions();
        let (id, organization) = (attempt.id, &taken.report.organization);
        let domain = taken.report.policies.first().map_or("", |of| &of.domain);
        tracing::info!(%id, organization, domain, good, bad, report = taken.report.id, "a TLS report was received");
        Ok(format!("The TLS report was kept: {good} sessions good, {bad} not"))
    }

    /// Removes the oldest where there would be too many.
    async fn make_room(&self, octets: u64, batch: &mut Batch) -> Result<(), StoreError> {
        let known = *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(rows, sum): &(u64, u64)| *rows < REPORTS && sum + octets <= OCTETS;
        let mut room = match known.filter(fits) {
            Some(room) => room,
            None => rows::room(&*self.store).await?,
        };
        if !fits(&room) {
            let (rows, sum) = rows::remove_oldest(&*self.store, None, batch).await?;
            room = (room.0.saturating_sub(rows), room.1.saturating_sub(sum));
        }
        let room = (room.0 + 1, room.1 + octets);
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = Some(room);
        Ok(())
    }

    pub(super) fn count_unreadable(&self) {
        self.counts.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, report: &ReceivedReport) {
        let add = |counter: &AtomicU64, number: u64| {
            counter.fetch_add(number, Ordering::Relaxed);
        };
        let counts = &self.counts;
        add(&counts.kept, 1);
        for of in &report.policies {
            add(&counts.good, of.successes);
            let mut left = of.failures;
            for detail in &of.details {
                let sessions = detail.sessions.min(left);
                left -= sessions;
                let kind = FailureKind::ALL.iter().position(|kind| kind.name() == detail.result);
                add(kind.and_then(|at| counts.bad.get(at)).unwrap_or(&counts.other), sessions);
            }
            add(&counts.other, left);
        }
    }

    /// What came since the start.
    pub fn counts(&self) -> ReceivedCounts {
        let (counts, get) = (&self.counts, |counter: &AtomicU64| counter.load(Ordering::Relaxed));
        let bad = FailureKind::ALL.iter().zip(&counts.bad).map(|(kind, count)| (kind.name(), get(count)));
        let sessions = [("successful", get(&counts.good))].into_iter().chain(bad);
        ReceivedCounts {
            kept: get(&counts.kept),
            repeated: get(&counts.repeated),
            unreadable: get(&counts.unreadable),
            sessions: sessions.chain([("other", get(&counts.other))]).collect(),
        }
    }

    /// Reports that are kept, the latest first.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(&self, wanted: &Selection) -> Result<Vec<Taken>, StoreError> {
        let oldest = self.oldest();
        let since = wanted.since.map_or(oldest, |since| since.max(oldest));
        let tells = |taken: &Taken| {
            let of = |domain: &Domain| taken.report.policies.iter().any(|of| of.domain == domain.as_str());
            wanted.domain.as_ref().is_none_or(of) && (!wanted.failed || taken.report.sessions().1 > 0)
        };
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let (page, more) = rows::page(&*self.store, since, before.as_ref()).await?;
            all.extend(page.into_iter().filter(tells));
            all.truncate(wanted.most);
            match more {
                Some(more) if all.len() < wanted.most => before = Some(more),
                _ => return Ok(all),
            }
        }
    }

    /// When those were received that are about to be removed.
    fn oldest(&self) -> Timestamp {
        let keep = u64::try_from(self.settings.keep.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(self.clock.now().as_millis().saturating_sub(keep))
    }

    /// Removes what was kept long enough, now and then, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        loop {
            if let Err(error) = self.prune().await {
                tracing::warn!(%error, "old TLS reports cannot be removed; tried again");
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.clock.sleep(PRUNE) => {}
            }
        }
    }

    /// Removes what was kept long enough.
    ///
    /// # Errors
    /// The store cannot.
    pub async fn prune(&self) -> Result<(), StoreError> {
        loop {
            let mut batch = Batch::new();
            let (rows, octets) = rows::remove_oldest(&*self.store, Some(self.oldest()), &mut batch).await?;
            if rows == 0 {
                return Ok(());
            }
            self.store.commit(batch).await.map_err(|error| StoreError::Io(error.to_string()))?;
            let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            *room = room.map(|room| (room.0.saturating_sub(rows), room.1.saturating_sub(octets)));
        }
    }
}

/// What SPF found, of the words of its verdict: `pass for ann@example.org: …`.
fn spf(verdicts: &[Verdict]) -> Option<SpfSeen> {
    let verdict = verdicts.iter().find(|verdict| verdict.check == "spf/mail")?;
    let (result, rest) = verdict.evidence.split_once(' ').unwrap_or((&verdict.evidence, ""));
    let identity = rest.strip_prefix("for ").unwrap_or_default().split(": ").next().unwrap_or_default();
    let domain = identity.rsplit('@').next().unwrap_or_default();
    Some(SpfSeen {
        result: result.trim_end_matches(':').to_owned(),
        domain: domain.chars().take(255).collect::<String>().to_ascii_lowercase(),
    })
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("settings", &self.settings).finish_non_exhaustive()
    }
}
