//! The outbound side of SMTP and LMTP: a [`Channel`] that carries messages to other systems.
//!
//! `hop` what a next hop says → `peer` what it is owed → `mx` which hosts → `target` one address, and what its TLS must prove (`tls`) →
//! `connect` TLS and login → `link` one message after another:
//! `prepare` what this server can take → `session` the dialogue → `trouble` what it meant. `wire` is the only
//! file that reads and writes, and it does so on a stream it was given.
//!
//! Nothing is retried here and nothing waits: the queue does that. No outcome is guessed: what was
//! not answered is deferred.

mod connect;
mod hop;
mod link;
mod logins;
mod mx;
mod outlook;
mod parts;
mod peer;
mod prepare;
mod probe;
mod session;
mod sessions;
mod settings;
mod site;
mod target;
mod tls;
mod trouble;
mod wire;

pub use hop::{Hop, HopError, LMTP_PORT, SMTP_PORT, Via};
pub use iems_core::seam::sasl::client::Login;
pub use logins::Logins;
pub use outlook::HostOutlook;
pub use peer::{PeerWire, PeerWires};
pub use sessions::Sessions;
pub use settings::{ClientSettings, Protocol, Timeouts, TlsLevel};
pub use tls::{
    Authorities, CertificateName, CertificateNameError, Fingerprint, FingerprintError, TlsVersion,
};

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use iems_core::deliver::{Capabilities, Channel, Link, Site};
use iems_core::message::{ChannelId, NextHop, Reply, Secrecy};
use iems_core::seam::{Dialer, Random, Resolver, Stream};

use self::peer::Terms;
use self::tls::Tls;
use self::trouble::Peer;

/// The most recipients of one transaction: what every server takes (RFC 5321 section 4.5.3.1.8).
const RECIPIENTS: usize = 100;
/// The most servers remembered as unable to do what they offer.
const REMEMBERED: usize = 1024;

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct ClientError(#[from] rustls::Error);

/// The outbound channel: SMTP or LMTP, as its settings say.
///
/// ```
/// # use std::sync::Arc;
/// # use iems_core::{message::ChannelId, seam::{NoResolver, SeededRandom}};
/// use iems_smtp::client::{ClientSettings, SmtpClient};
/// use iems_smtp::dialer::TcpDialer;
/// let channel = SmtpClient::new(
///     ChannelId::new("smtp"),
///     ClientSettings::smtp("mx.example.org"),
///     Arc::new(NoResolver), // iems_smtp::resolver::DnsResolver, outside examples
///     Arc::new(TcpDialer),
///     Arc::new(SeededRandom::unpredictable()),
/// )?;
/// # Ok::<(), iems_smtp::client::ClientError>(())
/// ```
pub struct SmtpClient {
    id: ChannelId,
    client: Arc<Client>,
    /// The channel for what senders would rather have go unprotected than not at all.
    waiving: Option<ChannelId>,
    /// As what its links are opened.
    secrecy: Secrecy,
}

/// What all links of a channel share.
struct Client {
    settings: ClientSettings,
    /// Those of the settings, or what has replaced them.
    peers: RwLock<Arc<PeerWires>>,
    logins: RwLock<Arc<Logins>>,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    random: Arc<dyn Random>,
    tls: Tls,
    bad_chunking: Mutex<HashSet<String>>,
    sessions: sessions::Counters,
}

impl SmtpClient {
    /// A channel of this name.
    ///
    /// # Errors
    /// The TLS library refuses the settings.
    pub fn new(
        id: ChannelId,
        settings: ClientSettings,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
        random: Arc<dyn Random>,
    ) -> Result<Self, ClientError> {
        let tls = Tls::new(&settings.roots)?;
        let bad_chunking = Mutex::default();
        let peers = RwLock::new(Arc::new(settings.peers.clone()));
        let logins = RwLock::new(Arc::new(settings.logins.clone()));
        let sessions = sessions::Counters::default();
        let client =
            Client { settings, peers, logins, resolver, dialer, random, tls, bad_chunking, sessions };
        Ok(Self { id, client: Arc::new(client), waiving: None, secrecy: Secrecy::Usual })
    }

    /// The same, with a channel of this name beside it ([`SmtpClient::for_waived`]) for messages whose senders waive protection.
    #[must_use]
    pub fn with_waiving(self, id: ChannelId) -> Self {
        Self { waiving: Some(id), ..self }
    }

    /// The channel beside it, with the same settings, for messages whose senders waive protection (`TLS-Required: No`, RFC 8689 section
    /// 4.2.2): what a domain publishes (DANE, MTA-STS) is followed as far as it goes, and stops none of them. Rules of the settings
    /// hold for both.
    pub fn for_waived(&self) -> Option<Self> {
        let (id, client) = (self.waiving.clone()?, self.client.clone());
        Some(Self { id, client, waiving: None, secrecy: Secrecy::Waived })
    }

    /// Replaces who is spoken to in another way. A message under way goes on; a link to a hop whose terms have changed is not
    /// reusable any more.
    pub fn replace_peers(&self, peers: PeerWires) {
        *self.client.peers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(peers);
    }

    /// What the hosts of a next hop are owed now, in the order in which they are tried. Asks the DNS; connects to none of them.
    pub async fn outlook(&self, hop: &NextHop) -> Vec<HostOutlook> {
        outlook::outlook(&self.client, hop).await
    }

    /// How connections were protected until now.
    pub fn sessions(&self) -> Sessions {
        self.client.sessions.read()
    }

    /// A link over a connection that the peer, called `name`, has opened to us, and on which it takes mail for `hop` now. There is no
    /// other: once it is broken, it is not reusable.
    ///
    /// # Errors
    /// As [`Channel::open`].
    pub async fn turn(
        &self,
        hop: &NextHop,
        stream: Box<dyn Stream>,
        name: &str,
    ) -> Result<Box<dyn Link>, Reply> {
        let connection = connect::turned(&self.client, hop, stream, name.to_owned()).await?;
        Ok(Box::new(link::SmtpLink::turned(self.client.clone(), hop.clone(), connection)))
    }

    /// Replaces as whom we log in where. A link that was opened as somebody else is not reusable any more.
    pub fn replace_logins(&self, logins: Logins) {
        *self.client.logins.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(logins);
    }
}

impl std::fmt::Debug for SmtpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpClient({})", self.id)
    }
}

impl Client {
    /// The peers as they are now.
    fn peers(&self) -> Arc<PeerWires> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_lmtp(&self) -> bool {
        self.settings.protocol == Protocol::Lmtp
    }

    /// The port of hosts that a hop names without one.
    fn port(&self) -> u16 {
        if self.is_lmtp() { LMTP_PORT } else { self.settings.port }
    }

    fn terms(&self, hop: &NextHop) -> Terms {
        let mut terms = Terms::new(&self.settings, &self.peers(), hop);
        if !self.is_lmtp() {
            terms.login = self.logins.read().unwrap_or_else(PoisonError::into_inner).at(hop).cloned();
        }
        terms
    }

    /// Whether `host` is a name of ours.
    fn is_own(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.settings.is_own(host) || self.peers().names().any(|name| name.eq_ignore_ascii_case(host))
    }

    fn breaks_chunking(&self, peer: &Peer) -> bool {
        self.bad_chunking.lock().unwrap_or_else(PoisonError::into_inner).contains(&peer.name)
    }

    fn remember_bad_chunking(&self, peer: &Peer) {
        let mut known = self.bad_chunking.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(peer.name.clone());
    }
}

#[async_trait]
impl Channel for SmtpClient {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_recipients(RECIPIENTS)
    }

    /// Domains with the same exchangers are one site; every other hop is its own.
    async fn site(&self, hop: &NextHop) -> Site {
        site::site(&self.client, hop).await
    }

    fn waiving(&self) -> Option<&ChannelId> {
        self.waiving.as_ref()
    }

    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        let connection = connect::open_for(&self.client, hop, self.secrecy).await?;
        Ok(Box::new(link::SmtpLink::new(self.client.clone(), hop.clone(), connection, self.secrecy)))
    }
}
