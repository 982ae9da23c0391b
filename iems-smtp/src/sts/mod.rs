//! MTA-STS, the sender's side: what a domain asks for, found, kept and refreshed (RFC 8461).
//!
//! `policy` the text → `rows` the store. A policy that is kept holds until it ends, whatever the DNS says meanwhile: whoever blocks the
//! DNS or the policy's host cannot switch the protection off. Errors of the store are logged; the policy counts all the same.

mod policy;
mod rows;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iems_core::seam::{Clock, Dialer, ResolveError, Resolver, Timestamp};
use iems_core::storage::Store;
use rustls::RootCertStore;
use tokio_util::sync::CancellationToken;

pub use policy::{Mode, Policy};
pub use rows::Known;

use crate::https::{Https, HttpsError, Request, Url};
use crate::tlsrpt::FailureKind;

/// The largest policy, in octets (RFC 8461 section 3.3 suggests 64 KiB).
const LARGEST: usize = 64 * 1024;
/// How long a fetch may take (section 3.3).
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the DNS is asked whether there is a new policy, and how long a failed fetch is not repeated (section 3.3).
const RECHECK: Duration = Duration::from_secs(300);
/// How often all policies are looked through.
const ROUND: Duration = Duration::from_secs(3600);
/// The age at which a policy is fetched again though nothing has changed, so that it does not end (section 3.3).
const REFRESH: Duration = Duration::from_secs(86_400);
/// Without mail for so long, it is left to end.
const UNUSED: Duration = Duration::from_secs(30 * 86_400);
/// The most domains held in memory.
const MOST: usize = 10_000;

/// What is known of a domain.
#[derive(Debug, Clone)]
pub enum Found {
    /// It asks for nothing.
    Nothing,
    /// It asks for this.
    Policy(Arc<Known>),
    /// It says that it asks for something, and what cannot be had; nothing is asked then (section 3.3).
    Broken(FailureKind, String),
}

/// What one domain is held as.
#[derive(Default)]
struct Held {
    /// Whether the store was asked.
    loaded: bool,
    known: Option<Arc<Known>>,
    broken: Option<(FailureKind, String)>,
    checked: Option<Timestamp>,
}

impl Held {
    fn found(&self, now: Timestamp) -> Found {
        match (&self.known, &self.broken) {
            (Some(known), _) if known.holds(now) => Found::Policy(known.clone()),
            (_, Some((kind, text))) => Found::Broken(*kind, text.clone()),
            _ => Found::Nothing,
        }
    }
}

/// Finds and keeps policies.
pub struct Sts {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn Resolver>,
    https: Https,
    held: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Held>>>>,
}

impl std::fmt::Debug for Sts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sts")
    }
}

impl Sts {
    /// Keeps policies in `store`, and believes policy hosts with certificates of `roots`.
    ///
    /// # Errors
    /// The TLS library refuses the settings.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
        roots: &RootCertStore,
    ) -> Result<Self, rustls::Error> {
        let https = Https::new(roots, resolver.clone(), dialer)?;
        Ok(Self { store, clock, resolver, https, held: Mutex::default() })
    }

    /// What `domain` asks for. May take a minute, where a new policy has to be fetched.
    pub async fn find(&self, domain: &str) -> Found {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let entry = self.entry(&domain);
        let mut held = entry.lock().await;
        let now = self.clock.now();
        if held.checked.is_none_or(|checked| now.since(checked) >= RECHECK || now < checked) {
            self.load(&domain, &mut held).await;
            self.check(&domain, &mut held, now).await;
            held.checked = Some(now);
        }
        let found = held.found(now);
        if matches!(found, Found::Policy(_)) {
            self.note_use(&domain, &mut held, now).await;
        }
        found
    }

    fn entry(&self, domain: &str) -> Arc<tokio::sync::Mutex<Held>> {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(domain) {
            // What somebody waits for stays; the rest is in the store.
            all.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        all.entry(domain.to_owned()).or_default().clone()
    }

    async fn load(&self, domain: &str, held: &mut Held) {
        if held.loaded {
            return;
        }
        match rows::load(&*self.store, domain).await {
            Ok(known) => (held.loaded, held.known) = (true, known.map(Arc::new)),
            Err(error) => tracing::warn!(domain, %error, "the MTA-STS policy cannot be read from the store"),
        }
    }

    /// Asks the DNS, and fetches what is new (section 3.3).
    async fn check(&self, domain: &str, held: &mut Held, now: Timestamp) {
        held.broken = None;
        let id = match self.resolver.txt(&format!("_mta-sts.{domain}")).await {
            Ok(answer) => policy::id(&answer.records),
            Err(ResolveError::NoName | ResolveError::NoRecords) => None,
            Err(error) => {
                tracing::debug!(domain, %error, "whether there is an MTA-STS policy cannot be found out");
                None
            }
        };
        let Some(id) = id else { return };
        if held.known.as_ref().is_some_and(|known| known.holds(now) && known.id == id) {
            return;
        }
        match self.fetch(domain).await {
            Ok(policy) => {
                let known = Known { policy, id, fetched: now, used: Timestamp::default() };
                self.keep_one(domain, held, known).await;
            }
            Err((kind, text)) => {
                tracing::info!(domain, result = %kind, cause = text, "the MTA-STS policy cannot be had");
                held.broken = Some((kind, text));
            }
        }
    }

    async fn keep_one(&self, domain: &str, held: &mut Held, known: Known) {
        if let Err(error) = rows::save(&*self.store, domain, &known).await {
            tracing::warn!(domain, %error, "an MTA-STS policy cannot be stored");
        }
        held.known = Some(Arc::new(known));
    }

    /// Whoever is used is refreshed; to know that to the day is enough.
    async fn note_use(&self, domain: &str, held: &mut Held, now: Timestamp) {
        let Some(known) = held.known.clone() else { return };
        if now.since(known.used) >= REFRESH {
            let used = Known { used: now, ..(*known).clone() };
            self.keep_one(domain, held, used).await;
        }
    }

    async fn fetch(&self, domain: &str) -> Result<Policy, (FailureKind, String)> {
        let failed = |error: &HttpsError| match error {
            HttpsError::Certificate(_) => (FailureKind::StsWebpkiInvalid, error.to_string()),
            _ => (FailureKind::StsPolicyFetchError, error.to_string()),
        };
        let url: Url = format!("https://mta-sts.{domain}/.well-known/mta-sts.txt")
            .parse()
            .map_err(|()| (FailureKind::StsPolicyFetchError, "its host has no name".to_owned()))?;
        let request = Request { url: &url, body: None, limit: PATIENCE, largest: LARGEST };
        let answer = self.https.ask(&request).await.map_err(|error| failed(&error))?;
        // Section 3.3: redirects are not followed, and nothing but 200 counts.
        if answer.status != 200 {
            return Err((FailureKind::StsPolicyFetchError, format!("it answers {}", answer.status)));
        }
        if answer.kind != "text/plain" {
            let text = format!("its type is {:?}, not text/plain", answer.kind);
            return Err((FailureKind::StsPolicyInvalid, text));
        }
        Policy::parse(&answer.body).map_err(|why| (FailureKind::StsPolicyInvalid, why))
    }

    /// Refreshes policies before they end, and forgets those that have ended, until `shutdown`.
    pub async fn keep(&self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.clock.sleep(ROUND) => {}
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.look_through() => {}
            }
        }
    }

    /// One round of [`Self::keep`].
    pub async fn look_through(&self) {
        let mut last = String::new();
        loop {
            let page = match rows::after(&*self.store, &last).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "MTA-STS policies cannot be looked through");
                    return;
                }
            };
            let Some((end, _)) = page.last() else { return };
            last = end.clone();
            for (domain, known) in page {
                self.look_after(&domain, known).await;
            }
        }
    }

    async fn look_after(&self, domain: &str, known: Option<Known>) {
        let now = self.clock.now();
        match known {
            Some(known) if known.holds(now) => {
                if now.since(known.fetched) >= REFRESH && now.since(known.used) < UNUSED {
                    self.refresh(domain, now).await;
                }
            }
            _ => {
                if let Err(error) = rows::remove(&*self.store, domain).await {
                    tracing::warn!(domain, %error, "an MTA-STS policy that has ended cannot be removed");
                }
            }
        }
    }

    /// Fetches a policy again. What cannot be had changes nothing.
    async fn refresh(&self, domain: &str, now: Timestamp) {
        let entry = self.entry(domain);
        let mut held = entry.lock().await;
        self.load(domain, &mut held).await;
        let Some(old) = held.known.clone() else { return };
        let id = match self.resolver.txt(&format!("_mta-sts.{domain}")).await {
            Ok(answer) => policy::id(&answer.records),
            Err(_) => None,
        };
        match self.fetch(domain).await {
            Ok(policy) => {
                let id = id.unwrap_or_else(|| old.id.clone());
                let known = Known { policy, id, fetched: now, used: old.used };
                self.keep_one(domain, &mut held, known).await;
            }
            Err((kind, text)) => {
                tracing::info!(domain, result = %kind, cause = text, "the MTA-STS policy cannot be refreshed");
            }
        }
    }
}
