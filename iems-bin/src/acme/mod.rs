//! Certificates from an authority, by ACME (RFC 8555): ordered, proven by `http-01`, written to their files, and renewed when two thirds
//! of their life are over. Listeners take them from the files.
//!
//! What fails is told, and tried again after a while that grows: authorities count failures. The certificate in use stays meanwhile.

mod answer;
mod http;

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use answer::Answers;
use http::Https;
use iems_core::seam::{Random, Resolver};
use iems_smtp::client::ClientSettings;
use iems_smtp::dialer::TcpDialer;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Acme, NamedCertificate};
use crate::exit::Failure;
use crate::tls::{self, Kept};

/// How long after a failure an order is tried again, first and at most.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// How often it is looked whether something is to be done.
const LOOK: Duration = Duration::from_secs(5);

/// Gets certificates.
pub(crate) struct Orders {
    wanted: Acme,
    folder: PathBuf,
    kept: Arc<Kept>,
    https: Https,
    random: Arc<dyn Random>,
    answers: Answers,
    account: Option<Account>,
    /// Failures in a row of a file, and when it is tried again.
    failed: HashMap<PathBuf, (u32, Instant)>,
}

impl Orders {
    /// Whoever orders what `wanted` says, for the files of `kept`.
    pub(crate) fn new(
        wanted: &Acme,
        data: &Path,
        kept: Arc<Kept>,
        (resolver, random): (Arc<dyn Resolver>, Arc<dyn Random>),
    ) -> Result<Self, Failure> {
        let mut roots = ClientSettings::smtp("").roots;
        roots.extend(wanted.authorities.iter().flat_map(|own| own.roots().roots.iter().cloned()));
        let https = Https::new(roots, resolver, Arc::new(TcpDialer)).map_err(Failure::config)?;
        let (wanted, folder, answers) = (wanted.clone(), data.join("acme"), Answers::default());
        Ok(Self { wanted, folder, kept, https, random, answers, account: None, failed: HashMap::new() })
    }

    /// Orders and renews until `shutdown`; `socket` is where the authority looks.
    pub(crate) async fn run(mut self, socket: TcpListener, shutdown: CancellationToken) {
        let serving = tokio::spawn(self.answers.clone().serve(socket, shutdown.clone()));
        loop {
            for certificate in self.kept.managed() {
                if self.is_due(&certificate) {
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => return,
                        () = self.attempt(&certificate) => {}
                    }
                }
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        let _ = serving.await;
    }

    fn is_due(&self, certificate: &NamedCertificate) -> bool {
        let file = &certificate.files.certificate;
        let waits = self.failed.get(file).is_some_and(|(_, again)| Instant::now() < *again);
        !waits && self.kept.is_due(certificate)
    }

    /// Orders one certificate; notes what came of it.
    async fn attempt(&mut self, certificate: &NamedCertificate) {
        let (file, names) = (&certificate.files.certificate, certificate.names.join(", "));
        let ordered = self.order(certificate).await;
        self.answers.clear();
        match ordered {
            Ok(()) => {
                self.failed.remove(file);
                self.kept.note(file, None);
                tracing::info!(names, authority = self.wanted.directory, "a certificate was issued");
                self.kept.refresh();
            }
            Err(why) => {
                // The account may be gone at the authority: it is asked for again.
                self.account = None;
                let failures = self.failed.get(file).map_or(0, |(failures, _)| *failures);
                let wait = (FIRST * (1 << failures.min(10))).min(LONGEST);
                // Not all servers of a site at once.
                let wait = wait + wait.mul_f64((self.random.next_u64() % 1000) as f64 / 4000.0);
                self.failed.insert(file.clone(), (failures.saturating_add(1), Instant::now() + wait));
                let text = format!("no certificate for {names} from {}: {why}", self.wanted.directory);
                tracing::error!("{text}; tried again in {} minutes", wait.as_secs().div_ceil(60));
                self.kept.note(file, Some(text));
            }
        }
    }

    async fn order(&mut self, certificate: &NamedCertificate) -> Result<(), String> {
        let account = self.account().await?;
        let names: Vec<_> = certificate.names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(said)?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(said)?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                other => {
                    return Err(format!("the authority has {} as {other:?}", authorization.identifier()));
                }
            }
            let mut challenge = authorization
                .challenge(ChallengeType::Http01)
                .ok_or("the authority does not offer http-01, the only proof that we know")?;
            let token = challenge.token.clone();
            self.answers.add(&token, challenge.key_authorization().as_str());
            challenge.set_ready().await.map_err(said)?;
        }
        let policy = RetryPolicy::new().timeout(Duration::from_secs(90));
        match order.poll_ready(&policy).await.map_err(said)? {
            OrderStatus::Ready | OrderStatus::Valid => {}
            other => {
                return Err(format!(
                    "the authority calls the order {other:?}: {}",
                    reasons(&mut order).await
                ));
            }
        }
        let key = order.finalize().await.map_err(said)?;
        let chain = order.poll_certificate(&policy).await.map_err(said)?;
        store(certificate, &chain, &key)
    }

    /// The account, with its key from the data folder; made where there is none.
    async fn account(&mut self) -> Result<Account, String> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let builder = Account::builder_with_http(Box::new(self.https.clone()));
        let file = self.folder.join(format!("account-{}.json", self.wanted.short()));
        let account = match fs::read(&file) {
            Ok(text) => {
                let unreadable = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
                let credentials = serde_json::from_slice(&text).map_err(|why| unreadable(&why))?;
                builder.from_credentials(credentials).await.map_err(said)?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let contact = self.wanted.email.as_ref().map(|email| format!("mailto:{email}"));
                let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
                let new = NewAccount {
                    contact: &contact,
                    terms_of_service_agreed: true,
                    only_return_existing: false,
                };
                let made = builder.create(&new, self.wanted.directory.clone(), None).await;
                let (account, credentials) = made.map_err(said)?;
                let text = serde_json::to_vec(&credentials).map_err(|why| why.to_string())?;
                tls::private_file(&file, &text).map_err(|failure| failure.to_string())?;
                tracing::info!(id = account.id(), "an account at the authority was made");
                account
            }
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        self.account = Some(account.clone());
        Ok(account)
    }
}

/// Why an authority does not believe that hosts are ours.
async fn reasons(order: &mut instant_acme::Order) -> String {
    let mut all = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        for challenge in &authorization.challenges {
            if let Some(problem) = &challenge.error {
                all.push(format!("{}: {problem}", authorization.identifier()));
            }
        }
    }
    match all.is_empty() {
        true => "it does not say why".into(),
        false => all.join("; "),
    }
}

fn said(error: instant_acme::Error) -> String {
    error.to_string()
}

/// Writes both files beside where they belong, and then in their place: whoever reads sees whole files.
fn store(certificate: &NamedCertificate, chain: &str, key: &str) -> Result<(), String> {
    let files = &certificate.files;
    let fresh = |file: &Path| file.with_extension("new");
    let (new_chain, new_key) = (fresh(&files.certificate), files.key.with_extension("key-new"));
    tls::private_file(&new_key, key.as_bytes()).map_err(|failure| failure.to_string())?;
    tls::private_file(&new_chain, chain.as_bytes()).map_err(|failure| failure.to_string())?;
    let moved = fs::rename(&new_key, &files.key).and_then(|()| fs::rename(&new_chain, &files.certificate));
    moved.map_err(|error| format!("{}: {error}", files.certificate.display()))
}
