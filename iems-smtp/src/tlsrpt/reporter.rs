//! Once a day: each domain that wants to know is told what was counted about it (RFC 8460 section 5).
//!
//! A count is removed when somebody took the report; what cannot be sent now is tried again for three days. A report that is sent
//! twice, after a crash in between, has the same id. Reports by mail have no sender, so nothing comes back; and a domain with which
//! there is no good session for a week, which may be that of the reports alone, hears no more by mail until there is one.

use std::sync::Arc;
use std::time::Duration;

use iems_core::message::{BodyType, ChannelId, Envelope, ForwardPath, Mailbox, Reply, ReversePath};
use iems_core::receive::{Connection, Intake};
use iems_core::seam::{Clock, Dialer, Random, ResolveError, Resolver, Timestamp};
use iems_core::storage::{Batch, Store, StoreError};
use rustls::RootCertStore;
use tokio_util::sync::CancellationToken;

use super::record::{Place, places};
use super::report::{Report, Reporting};
use super::rows::{self, Counted, Day};
use super::tally::Tally;
use crate::https::{Https, Request};

/// How often what was counted goes to the store.
const FLUSH: Duration = Duration::from_secs(60);
/// After a start, what earlier days have left waits so long: a server that is restarted in a circle sends nothing.
const AFTER_START: Duration = Duration::from_secs(600);
/// Over how long after midnight reports are spread (RFC 8460 section 4.1).
const SPREAD: u64 = 4 * 3600;
/// How long until what could not be sent is tried again.
const AGAIN: Duration = Duration::from_secs(3600);
/// For how many days that is done.
const PATIENCE: u32 = 3;
/// So many days in a row without one good session, and there is no more mail.
const SILENT: u32 = 7;
/// The most domains and days that are shown.
const MOST_SHOWN: usize = 1000;
/// How long an upload may take.
const UPLOAD: Duration = Duration::from_secs(60);

/// Sends reports.
pub struct Reporter {
    tally: Arc<Tally>,
    reporting: Reporting,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    resolver: Arc<dyn Resolver>,
    https: Https,
}

/// What a reporter works with.
pub struct Means {
    /// Where counts are kept: that of the tally.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// When within the night.
    pub random: Arc<dyn Random>,
    /// Where domains want their reports.
    pub resolver: Arc<dyn Resolver>,
    /// The way to those who want them by HTTPS.
    pub dialer: Arc<dyn Dialer>,
}

impl Reporter {
    /// Reports what `tally` counts; believes servers with certificates of `roots`.
    ///
    /// # Errors
    /// The TLS library refuses the settings.
    pub fn new(
        tally: Arc<Tally>,
        reporting: Reporting,
        means: Means,
        roots: &RootCertStore,
    ) -> Result<Self, rustls::Error> {
        let Means { store, clock, random, resolver, dialer } = means;
        let https = Https::new(roots, resolver.clone(), dialer)?;
        Ok(Self { tally, reporting, store, clock, random, resolver, https })
    }

    /// Counts and reports until `shutdown`.
    pub async fn run(&self, intake: Intake, shutdown: CancellationToken) {
        let mut due = self.clock.now().after(AFTER_START);
        loop {
            let ended = tokio::select! {
                biased;
                () = shutdown.cancelled() => true,
                () = self.clock.sleep(FLUSH) => false,
            };
            if let Err(error) = self.tally.flush().await {
                tracing::warn!(%error, "counts of TLS sessions cannot be stored; tried again");
            }
            if ended {
                return;
            }
            let now = self.clock.now();
            if now >= due {
                let left = tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    left = self.send(&intake, false) => left,
                };
                due = if left { now.after(AGAIN) } else { self.next_night(now) };
            }
        }
    }

    /// A moment after the next midnight.
    fn next_night(&self, now: Timestamp) -> Timestamp {
        let midnight = Day(Day::of(now).0 + 1).start();
        midnight.after(Duration::from_secs(self.random.next_u64() % SPREAD))
    }

    /// What was counted and is not reported yet, that of today included; of 1000 domains and days at most.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn waiting(&self) -> Result<Vec<Counted>, StoreError> {
        if let Err(error) = self.tally.flush().await {
            return Err(StoreError::Io(error.to_string()));
        }
        let (mut all, end) = (Vec::new(), Day(self.tally.today().0 + 1));
        while all.len() < MOST_SHOWN {
            let last: Option<&Counted> = all.last();
            let after = last.map(|counted| (counted.day, counted.domain.as_str()));
            let Some((day, domain)) = rows::next(&*self.store, after, end).await? else { break };
            all.push(rows::read(&*self.store, day, &domain).await?);
        }
        Ok(all)
    }

    /// Sends what earlier days have left and, where it is asked for, what was counted today until now. Whether something is left
    /// for later.
    pub async fn send(&self, intake: &Intake, with_today: bool) -> bool {
        let now = self.tally.today();
        let today = if with_today { Day(now.0 + 1) } else { now };
        if let Err(error) = self.tally.flush().await {
            tracing::warn!(%error, "counts of TLS sessions cannot be stored; tried again");
        }
        let (mut after, mut left) = (None, false);
        loop {
            let place = after.as_ref().map(|(day, domain): &(Day, String)| (*day, domain.as_str()));
            let (day, domain) = match rows::next(&*self.store, place, today).await {
                Ok(Some(next)) => next,
                Ok(None) => return left,
                Err(error) => {
                    tracing::warn!(%error, "counts of TLS sessions cannot be read; tried again");
                    return true;
                }
            };
            match self.send_one(intake, day, &domain, today).await {
                Ok(done) => left |= !done,
                Err(error) => {
                    tracing::warn!(domain, %error, "a TLS report cannot be finished; tried again");
                    left = true;
                }
            }
            after = Some((day, domain));
        }
    }

    /// Whether there is nothing more to do about this domain and day.
    async fn send_one(
        &self,
        intake: &Intake,
        day: Day,
        domain: &str,
        today: Day,
    ) -> Result<bool, StoreError> {
        let counted = rows::read(&*self.store, day, domain).await?;
        let wanted = match self.resolver.txt(&format!("_smtp._tls.{domain}")).await {
            Ok(answer) => places(&answer.records),
            Err(ResolveError::NoName | ResolveError::NoRecords) => None,
            Err(_) if today.0.saturating_sub(day.0) <= PATIENCE => return Ok(false),
            Err(_) => None,
        };
        let mut batch = Batch::new();
        if let Some(places) = wanted.filter(|_| !counted.policies.is_empty()) {
            let silent = self.silence(&counted, &mut batch).await?;
            let sent = self.tell(intake, &counted, &places, silent).await;
            if !sent && today.0.saturating_sub(day.0) <= PATIENCE {
                return Ok(false);
            }
        }
        rows::remove(&*self.store, day, domain, &mut batch).await?;
        let done = self.store.commit(batch).await;
        done.map(|_| true).map_err(|error| StoreError::Io(error.to_string()))
    }

    /// Whether mail would tell only of itself.
    async fn silence(&self, counted: &Counted, batch: &mut Batch) -> Result<bool, StoreError> {
        let days = rows::bad_days(&*self.store, &counted.domain).await?;
        let good = counted.policies.iter().any(|of| of.successes > 0);
        let days = if good { 0 } else { days.saturating_add(1) };
        rows::put_bad_days(batch, &counted.domain, days);
        Ok(days > SILENT)
    }

    /// Tells all places; whether one of them took it, or none is left to be told.
    async fn tell(&self, intake: &Intake, counted: &Counted, places: &[Place], silent: bool) -> bool {
        let hostname = intake.hostname();
        let report = Report::new(counted, &self.reporting, hostname);
        let (mut taken, mut refused) = (false, false);
        for place in places {
            let done = match place {
                Place::Mail(_) if silent => Ok(()),
                Place::Mail(to) => {
                    let message = report.message(&self.reporting, hostname, to, self.clock.now());
                    self.mail(intake, to, message).await.map_err(|reply| reply.to_string())
                }
                Place::Https(url) => {
                    let body = Some(("application/tlsrpt+gzip", &report.packed[..]));
                    let request = Request { url, body, limit: UPLOAD, largest: 64 * 1024 };
                    match self.https.ask(&request).await {
                        Ok(answer) if answer.status / 100 == 2 => Ok(()),
                        Ok(answer) => Err(format!("{} answers {}", url.host, answer.status)),
                        Err(error) => Err(error.to_string()),
                    }
                }
            };
            match done {
                Ok(()) => taken = true,
                Err(why) => {
                    tracing::info!(domain = counted.domain, cause = why, "a TLS report was not taken");
                    refused = true;
                }
            }
        }
        if taken {
            tracing::info!(domain = counted.domain, id = report.id, "a TLS report was sent");
        }
        taken || !refused
    }

    /// Sends a message through the door, without a sender.
    async fn mail(&self, intake: &Intake, to: &Mailbox, message: Vec<u8>) -> Result<(), Reply> {
        let mut connection = Connection::new(ChannelId::new("tls-reports"), None);
        connection.protocol = "local".into();
        let mut session = intake.open(connection).await?;
        session.hello("localhost").await?;
        let mut envelope = Envelope::new(ReversePath::Null);
        envelope.body = BodyType::SevenBit;
        let mut transaction = session.begin(envelope, message.len() as u64).await?;
        transaction.recipient(ForwardPath::Mailbox(to.clone()), None, None).await?;
        transaction.write(message.into()).await?;
        transaction.commit().await.map(drop)
    }
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reporter")
    }
}
