//! Putting a site together from its configuration: the store, the directory, the way out, the judges.

use std::sync::Arc;

use iems_access::net::Memory;
use iems_core::limits::Limits;
use iems_core::message::{ChannelId, Domain};
use iems_core::seam::{Clock, NoResolver, Random, Resolver, SeededRandom, SystemClock};
use iems_core::{Builder, Engine};
use iems_smtp::batch::BatchChannel;
use iems_smtp::client::{ClientSettings, SmtpClient};
use iems_smtp::dialer::TcpDialer;
use iems_smtp::odmr::OdmrChannel;
use iems_smtp::resolver::{DnsResolver, DnsSettings};
use iems_smtp::sts::Sts;
use iems_smtp::tlsrpt::received::{AGENT, COPIES, Receiver, ReceiverSettings, ReportAgent};
use iems_smtp::tlsrpt::{Means, Reporter, Tally};
use iems_store::agent::LocalAgent;
use iems_store::directory::{DirectoryOptions, StoreDirectory};
use iems_store::engine::{Embedded, EmbeddedOptions, OpenError};
use rustls::RootCertStore;

use super::judges;
use crate::config::Config;
use crate::exit::Failure;
use crate::tokens::Tokens;

/// What stands before there is an engine.
pub(crate) struct Foundation {
    pub(crate) store: Arc<Embedded>,
    pub(crate) directory: Arc<StoreDirectory>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The output channels.
    pub(crate) clients: Vec<Arc<SmtpClient>>,
    /// Where mail travels in batches, if it does anywhere.
    pub(crate) batch: Option<Arc<BatchChannel>>,
    /// What domains ask for, if anybody wants to know.
    pub(crate) sts: Option<Arc<Sts>>,
    /// Who tells other systems about TLS with them, if anybody does.
    pub(crate) reporter: Option<Arc<Reporter>>,
    /// Who keeps what others tell about TLS with us.
    pub(crate) receiver: Arc<Receiver>,
    /// Who looks into tokens, if anybody does.
    pub(crate) tokens: Option<Arc<Tokens>>,
    /// What counts for all listeners.
    pub(crate) limits: Arc<Limits>,
    /// What the sessions of each account hold of its mail.
    pub(crate) memory: Arc<Memory>,
    pub(crate) random: Arc<dyn Random>,
    /// The indexes of texts.
    #[cfg(feature = "search")]
    pub(crate) search: iems_store::search::SearchIndex,
    /// Whether they are used.
    #[cfg(feature = "search")]
    pub(crate) searches: bool,
    /// The mailboxes that are usual here.
    pub(crate) usual: Arc<[iems_store::mailbox::UsualMailbox]>,
    /// The domain that `<Postmaster>` means.
    postmaster: Option<Domain>,
}

/// Opens the data folder, and what asks it.
pub(crate) async fn lay(config: &Config) -> Result<Foundation, Failure> {
    let store = open(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let storage = store.storage();
    let mut options = DirectoryOptions::default();
    options.postmaster = config.postmaster.clone();
    options.login_domain = config.login_domain.clone();
    options.quota = config.quota.clone();
    let directory = StoreDirectory::new(storage, clock.clone(), options);
    let tokens = config.oauth.as_ref().map(|wanted| Tokens::new(wanted, clock.clone())).transpose();
    let tokens = tokens.map_err(Failure::config)?.map(Arc::new);
    let directory = match &tokens {
        Some(tokens) => directory.with_tokens(tokens.clone()),
        None => directory,
    };
    let postmaster = postmaster_domain(config, &directory).await?;
    let resolver = resolver(config);
    let random: Arc<dyn Random> = Arc::new(SeededRandom::unpredictable());
    let rows = store.storage().store;
    let means = Means {
        store: rows,
        clock: clock.clone(),
        random: random.clone(),
        resolver: resolver.clone(),
        dialer: Arc::new(TcpDialer),
    };
    let sts = sts(config, &means)?;
    let tally = config.tls_reports.as_ref().map(|_| Arc::new(Tally::new(means.store.clone(), clock.clone())));
    let clients = clients(config, &resolver, random.clone(), (sts.as_ref(), tally.as_ref()))?;
    let mut keeping = ReceiverSettings::default();
    keeping.keep = config.tls_reports_in.keep;
    let receiver = Arc::new(Receiver::new(means.store.clone(), clock.clone(), keeping));
    let reporter = reporter(config, tally, means)?;
    let batch = super::batch::channel(config, &roots(config), &resolver, &clock, &random)?;
    let directory = Arc::new(directory);
    let limits = Limits::new(clock.clone());
    limits.set("", config.rates.clone());
    limits.set_access(config.access.clone());
    let memory = Arc::new(Memory::default());
    memory.allow(config.imap.memory);
    Ok(Foundation {
        store,
        resolver,
        clock,
        clients,
        batch,
        sts,
        reporter,
        receiver,
        tokens,
        limits,
        memory,
        random,
        #[cfg(feature = "search")]
        search: super::search::open(config, directory.mailboxes()),
        #[cfg(feature = "search")]
        searches: config.search.index,
        usual: config.imap.usual.clone(),
        directory,
        postmaster,
    })
}

/// `<Postmaster>` without a domain must reach somebody (RFC 5321 section 4.5.1): at the domain of the configured one,
/// else at our own name if it is one of our domains, else at our first domain.
async fn postmaster_domain(config: &Config, directory: &StoreDirectory) -> Result<Option<Domain>, Failure> {
    if let Some(postmaster) = &config.postmaster {
        return Ok(Some(postmaster.domain().clone()));
    }
    match directory.domain(&config.hostname).await? {
        Some(_) => Ok(None),
        None => Ok(directory.domains(None, 1).await?.pop().map(|info| info.domain)),
    }
}

fn open(config: &Config) -> Result<Arc<Embedded>, Failure> {
    let mut options = EmbeddedOptions::default();
    options.index_cache_bytes = config.cache.unwrap_or_else(crate::machine::index_memory);
    options.verify_index = config.verify;
    let folder = config.data.display();
    private_folder(config)?;
    as_its_user(config)?;
    Embedded::open(&config.data, options).map_err(|error| match error {
        OpenError::InUse(_) => Failure::later(format!(
            "{folder}: another process uses this data folder: {error}. Commands reach a running server through {}",
            config.socket.display()
        )),
        OpenError::Format { .. } => Failure::config(format!("{folder}: {error}")),
        OpenError::Corrupt(_) => {
            Failure::data(format!("{folder}: {error}; take the whole folder from a backup"))
        }
        error => Failure::io(format!("{folder}: {error}")),
    })
}

/// Makes the data folder, for its owner alone.
fn private_folder(config: &Config) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(&config.data);
    made.map_err(|e| {
        Failure::cannot_create(format!("cannot make the data folder {}: {e}", config.data.display()))
    })
}

/// Root may open every folder, and would leave files in it that its user cannot: then the server stands still at its next
/// start, or in the middle of a day.
#[cfg(unix)]
fn as_its_user(config: &Config) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(config.data.join("format")).map(|about| about.uid());
    match owner {
        Ok(owner) if owner != 0 && rustix::process::geteuid().is_root() => {
            let name = crate::mail::login_of(owner).unwrap_or_else(|| owner.to_string());
            let folder = config.data.display();
            Err(Failure::forbidden(format!(
                "{folder} is {name}'s, and root would leave files there that {name} cannot open; run this as {name}: \
                 `runuser -u {name} -- iems ...`"
            )))
        }
        _ => Ok(()),
    }
}

/// There is no root.
#[cfg(not(unix))]
fn as_its_user(_: &Config) -> Result<(), Failure> {
    Ok(())
}

/// The name servers of the configuration, or the system's. Without any, mail by name waits.
fn resolver(config: &Config) -> Arc<dyn Resolver> {
    let mut settings = DnsSettings::default();
    settings.servers = config.dns.servers.clone();
    settings.dnssec = config.dns.dnssec.clone();
    match DnsResolver::new(&settings) {
        Ok(resolver) => Arc::new(resolver),
        Err(error) => {
            tracing::warn!(%error, "no names can be looked up; set [dns] servers");
            Arc::new(NoResolver)
        }
    }
}

impl Foundation {
    /// An engine with all but its input channels.
    pub(crate) fn engine(&self, config: &Config) -> Result<Builder, Failure> {
        let storage = self.store.storage();
        let agent = LocalAgent::new(self.directory.clone()).with_options(config.delivery.clone());
        let directory = super::ends::directory(config, &self.directory);
        let mut builder = Engine::builder(config.hostname.as_str(), storage, directory)
            .clock(self.clock.clone())
            .random(self.random.clone())
            .settings(config.settings.clone())
            .agent(Arc::new(agent));
        if !config.tls_reports_in.addresses.is_empty() {
            let agent = |id| Arc::new(ReportAgent::new(id, self.receiver.clone()));
            builder = builder.agent(agent(AGENT)).agent(agent(COPIES));
        }
        if let Some(domain) = &self.postmaster {
            builder = builder.postmaster_domain(domain.clone());
        }
        for client in &self.clients {
            builder = builder.output(client.clone());
            if let Some(other) = client.for_waived() {
                builder = builder.output(Arc::new(other));
            }
        }
        if let Some(batch) = &self.batch {
            builder = builder.output(batch.clone());
        }
        builder = builder.output(Arc::new(OdmrChannel::new(ChannelId::new(crate::config::ODMR))));
        judges::add(builder, self, config)
    }
}

/// Whom certificates are believed from: Mozilla's roots, and those of the configuration.
fn roots(config: &Config) -> RootCertStore {
    let mut roots = ClientSettings::smtp(config.hostname.as_str()).roots;
    let own = config.client.authorities.iter().flat_map(|own| own.roots().roots.iter().cloned());
    roots.extend(own);
    roots
}

/// Who finds the policies of domains.
fn sts(config: &Config, means: &Means) -> Result<Option<Arc<Sts>>, Failure> {
    if !config.client.mta_sts {
        return Ok(None);
    }
    let Means { store, clock, resolver, dialer, .. } = means;
    let sts = Sts::new(store.clone(), clock.clone(), resolver.clone(), dialer.clone(), &roots(config));
    sts.map(|sts| Some(Arc::new(sts))).map_err(Failure::config)
}

/// Who tells other systems about TLS with them.
fn reporter(
    config: &Config,
    tally: Option<Arc<Tally>>,
    means: Means,
) -> Result<Option<Arc<Reporter>>, Failure> {
    let Some((tally, reporting)) = tally.zip(config.tls_reports.clone()) else { return Ok(None) };
    let reporter = Reporter::new(tally, reporting, means, &roots(config));
    reporter.map(|reporter| Some(Arc::new(reporter))).map_err(Failure::config)
}

/// The channel for mail whose senders waive what its domains ask for (RFC 8689 section 4.2.2).
pub(super) const OPTIONAL: &str = "smtp-tls-optional";

/// The channels that carry mail out.
pub(super) fn clients(
    config: &Config,
    resolver: &Arc<dyn Resolver>,
    random: Arc<dyn Random>,
    (sts, tally): (Option<&Arc<Sts>>, Option<&Arc<Tally>>),
) -> Result<Vec<Arc<SmtpClient>>, Failure> {
    let hostname = config.hostname.as_str();
    let both = [("smtp", ClientSettings::smtp(hostname)), ("lmtp", ClientSettings::lmtp(hostname))];
    let client = |(name, mut settings): (&str, ClientSettings)| {
        settings.tls = config.client.tls;
        settings.tls_origin = config.client.tls_origin.clone();
        settings.tls_minimum = config.client.tls_minimum;
        settings.roots = roots(config);
        settings.sts = sts.filter(|_| name == "smtp").cloned();
        settings.tally = tally.filter(|_| name == "smtp").cloned();
        settings.peers = config.wires.clone();
        settings.logins = config.logins.clone();
        match config.client.source {
            Some(std::net::IpAddr::V4(v4)) => settings.source_v4 = Some(v4),
            Some(std::net::IpAddr::V6(v6)) => settings.source_v6 = Some(v6),
            None => {}
        }
        let (id, dialer) = (ChannelId::new(name), Arc::new(TcpDialer));
        let client = SmtpClient::new(id, settings, resolver.clone(), dialer, random.clone());
        let beside = |client: SmtpClient| match name {
            "smtp" => client.with_waiving(ChannelId::new(OPTIONAL)),
            _ => client,
        };
        client.map(|client| Arc::new(beside(client))).map_err(Failure::config)
    };
    both.into_iter().map(client).collect()
}
