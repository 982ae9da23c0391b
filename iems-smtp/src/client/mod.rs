//! The outbound side of SMTP and LMTP: a [`Channel`] that carries messages to other systems.
//!
//! `hop` what a next hop says → `mx` which hosts → `connect` which address, TLS → `link` one message after another:
//! `prepare` what this server can take → `session` the dialogue → `trouble` what it meant. `wire` is the only
//! file that reads and writes, and it does so on a stream it was given.
//!
//! Nothing is retried here and nothing waits: the queue does that. No outcome is guessed: what was
//! not answered is deferred.

mod connect;
mod eight_bit;
mod hop;
mod link;
mod mx;
mod prepare;
mod session;
mod settings;
mod tls;
mod trouble;
mod wire;

pub use hop::{Hop, HopError, LMTP_PORT, SMTP_PORT, Via};
pub use settings::{ClientSettings, Protocol, Timeouts, TlsLevel};

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use iems_core::deliver::{Capabilities, Channel, Link};
use iems_core::message::{ChannelId, NextHop, Reply};
use iems_core::seam::{Dialer, Random, Resolver};

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
}

/// What all links of a channel share.
struct Client {
    settings: ClientSettings,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    random: Arc<dyn Random>,
    tls: Tls,
    bad_chunking: Mutex<HashSet<String>>,
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
        Ok(Self { id, client: Arc::new(Client { settings, resolver, dialer, random, tls, bad_chunking }) })
    }
}

impl std::fmt::Debug for SmtpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpClient({})", self.id)
    }
}

impl Client {
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

    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        let connection = connect::open(&self.client, hop).await?;
        Ok(Box::new(link::SmtpLink::new(self.client.clone(), hop.clone(), connection)))
    }
}
