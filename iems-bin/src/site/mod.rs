//! One site: the store opened, the directory, the engine on them. The same for the server and for a command that runs
//! while no server does; only the server starts the engine.

mod app_passwords;
mod assemble;
mod batch;
mod ends;
mod explain;
mod hops;
mod judges;
mod limits;
mod people;
mod queue;
mod quota;
#[cfg(test)]
mod relay_proof;
mod route;
#[cfg(feature = "search")]
mod search;
mod status;
mod submit;
mod tls_reports;
mod transfer;

use std::sync::Arc;

use async_trait::async_trait;
use iems_access::net::Memory;
use iems_core::Engine;
use iems_core::limits::Limits;
use iems_core::storage::StoreError;
use iems_smtp::client::{Sessions, SmtpClient};
use iems_smtp::tlsrpt::Reporter;
use iems_smtp::tlsrpt::received::{Receiver, Selection};
use iems_store::directory::{ChangeError, StoreDirectory};
use iems_store::engine::Embedded;
use iems_store::mailbox::UsualMailbox;
#[cfg(feature = "search")]
use iems_store::search::SearchIndex;
use serde::Serialize;
use serde_json::Value;

use crate::admin::certificates::CertificateAnswer;
use crate::admin::office::{Office, Submission};
use crate::admin::request::{Letter, Request};
use crate::config::Config;
use crate::exit::Failure;
use crate::tokens::Tokens;
use people::proof;

pub(crate) use assemble::{Foundation, lay};
pub(crate) use status::{Door, Running, stopped};

/// A site.
pub(crate) struct Site {
    pub(crate) store: Arc<Embedded>,
    pub(crate) directory: Arc<StoreDirectory>,
    pub(crate) engine: Engine,
    clients: Vec<Arc<SmtpClient>>,
    reporter: Option<Arc<Reporter>>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) limits: Arc<Limits>,
    /// What the sessions of each account hold of its mail.
    pub(crate) memory: Arc<Memory>,
    /// The indexes of texts.
    #[cfg(feature = "search")]
    pub(crate) search: SearchIndex,
    /// Whether they are used.
    #[cfg(feature = "search")]
    pub(crate) searches: bool,
    /// The mailboxes that are usual here.
    usual: Arc<[UsualMailbox]>,
    transfers: transfer::Transfers,
    running: Option<Running>,
}

impl Site {
    /// Opens the data folder for a command; nothing is delivered meanwhile.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let foundation = lay(config).await?;
        let engine = foundation.engine(config)?.build().map_err(Failure::config)?;
        Ok(Self::new(foundation, engine, None))
    }

    /// A site of parts that the server has put together.
    pub(crate) fn new(foundation: Foundation, engine: Engine, running: Option<Running>) -> Self {
        let Foundation { store, directory, clients, reporter, receiver, tokens, limits, memory, .. } =
            foundation;
        Self {
            store,
            directory,
            engine,
            clients,
            reporter,
            receiver,
            tokens,
            limits,
            memory,
            #[cfg(feature = "search")]
            search: foundation.search,
            #[cfg(feature = "search")]
            searches: foundation.searches,
            usual: foundation.usual,
            transfers: transfer::Transfers::default(),
            running,
        }
    }

    /// How connections to other systems were protected, in all channels together.
    pub(crate) fn sessions(&self) -> Sessions {
        let mut all = Sessions::default();
        for one in self.clients.iter().map(|client| client.sessions()) {
            all.clear += one.clear;
            all.unverified += one.unverified;
            all.pkix += one.pkix;
            all.dane += one.dane;
            all.pinned += one.pinned;
            all.failed += one.failed;
        }
        all
    }

    /// The certificates that a running server shows.
    pub(crate) fn shown_certificates(&self) -> Result<Vec<CertificateAnswer>, Failure> {
        let running = self.running.as_ref().ok_or_else(|| Failure::unavailable("no server runs"))?;
        Ok(running.certificates.show())
    }

    /// Takes over what may change while it runs.
    pub(crate) fn replace(&self, config: &Config) {
        for client in &self.clients {
            client.replace_peers(config.wires.clone());
            client.replace_logins(config.logins.clone());
        }
        self.limits.set("", config.rates.clone());
        self.limits.set_access(config.access.clone());
        self.engine.replace(config.settings.clone());
        if let Some(tokens) = &self.tokens {
            tokens.refresh();
        }
    }
}

#[async_trait]
impl Office for Site {
    async fn answer(&self, request: Request) -> Result<Value, Failure> {
        use Request as R;
        match request {
            R::DomainAdd { name } => value(self.add_domain(&name).await?),
            R::DomainRemove { name } => value(self.remove_domain(&name).await?),
            R::DomainList => value(self.domains().await?),
            R::DomainShow { name } => value(self.domain(&name).await?),
            R::DomainSet { name, change } => value(self.set_domain(&name, change).await?),
            R::AccountAdd { address, password, hashed, quota } => {
                value(self.add_account(address, proof(password, hashed), quota).await?)
            }
            R::AccountRemove { address } => value(self.remove_account(&address).await?),
            R::AccountList { domain } => value(self.accounts(domain).await?),
            R::AccountShow { address } => value(self.account(&address).await?),
            R::AccountSet { address, change } => value(self.set_account(&address, change).await?),
            R::AccountPassword { address, password, hashed } => {
                value(self.set_password(&address, proof(password, hashed)).await?)
            }
            R::AccountCertificate { address, mark, add } => {
                value(self.bind_certificate(&address, mark.0, add).await?)
            }
            R::AccountCertificates { address } => value(self.certificates(&address).await?),
            R::AppPasswordAdd { address, name, scopes, expires } => {
                value(self.add_app_password(&address, name, scopes, expires).await?)
            }
            R::AppPasswordRemove { address, name } => value(self.remove_app_password(&address, &name).await?),
            R::AppPasswordList { address } => value(self.app_passwords(&address).await?),
            R::AliasAdd { from, to } => value(self.add_alias(&from, to).await?),
            R::AliasRemove { from, to } => value(self.remove_alias(&from, &to).await?),
            R::AliasList { domain } => value(self.aliases(domain).await?),
            R::PolicySet { owner, rules } => value(self.set_rules(owner, rules).await?),
            R::PolicyList { owner } => value(self.rules(owner).await?),
            R::QuotaList { domain } => value(self.quotas(domain).await?),
            R::QuotaShow { owner } => value(self.quota(owner).await?),
            R::QuotaSet { owner, change } => value(self.set_quota(owner, change).await?),
            R::QuotaRecount { address } => value(self.recount(address).await?),
            #[cfg(feature = "search")]
            R::SearchStatus { addresses } => value(self.search_status(addresses).await?),
            #[cfg(feature = "search")]
            R::SearchBuild { addresses } => value(self.search_build(addresses).await?),
            #[cfg(feature = "search")]
            R::SearchDrop { addresses } => value(self.search_drop(addresses).await?),
            R::StoreTransfer { order } => value(self.transfer(order).await?),
            R::StoreTransferred { id, told } => value(self.transferred(id, told)?),
            R::QueueList { filter } => value(self.queue_list(filter).await?),
            R::QueueShow { id } => value(self.queue_show(id).await?),
            R::QueueOrder { filter, order, extent } => value(self.queue_order(filter, order, extent).await?),
            R::QueuePause { hop, reason } => value(self.queue_pause(hop, &reason).await?),
            R::QueueResume { hop } => value(self.queue_resume(hop).await?),
            R::QueueHops { by_name, limit } => value(self.queue_hops(by_name, limit).await?),
            R::Route { address } => value(self.route(&address).await),
            R::Verify { address } => value(self.engine.route(&address).await.err().map(|mut reply| {
                reply.cause = None;
                reply
            })),
            R::Explain { id } => value(self.explain(id).await?),
            R::TlsReportsList { domain } => value(self.tls_reports(domain).await?),
            R::TlsReportsSend { today } => value(self.send_tls_reports(today).await?),
            R::TlsReportsReceived { domain, since, failed, most } => {
                value(self.received_tls_reports(Selection { domain, since, failed, most }).await?)
            }
            R::LimitsList => value(self.limits().await),
            R::LimitsBan { who, span, reason } => {
                self.ban(who, span, &reason).await;
                value(true)
            }
            R::LimitsClear { who } => value(self.clear_limits(who).await?),
            R::TlsShow => value(self.shown_certificates()?),
            R::Status => value(self.status().await),
            R::Sendmail { .. } => Err(Failure::data("a submission is no question")),
        }
    }

    async fn submit(&self, letter: Letter) -> Result<Box<dyn Submission>, Failure> {
        submit::open(&self.engine, letter).await
    }

    async fn close(self: Box<Self>) {
        #[cfg(feature = "search")]
        self.search.stop().await;
        let Site { store, engine, .. } = *self;
        drop(engine);
        close_store(store).await;
    }
}

/// Ends the store after a last checkpoint. All that was acknowledged is safe whatever happens here.
pub(crate) async fn close_store(store: Arc<Embedded>) {
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    if let Ok(Err(error)) = closed {
        tracing::warn!(%error, "the last checkpoint failed; the next start will take longer");
    }
}

fn value<T: Serialize>(answer: T) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(Failure::data)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_temporary() { Self::later(error) } else { Self::io(error) }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => error.into(),
            ChangeError::NoSuchDomain { nearest: None, .. } => {
                Self::no_host(format!("{error}: create it with `iems domain add`"))
            }
            ChangeError::NoSuchDomain { .. } => Self::no_host(error),
            ChangeError::NoSuchAccount { .. } | ChangeError::NoSuchAlias { .. } => Self::no_user(error),
            error if error.is_temporary() => Self::later(error),
            error => Self::data(error),
        }
    }
}
