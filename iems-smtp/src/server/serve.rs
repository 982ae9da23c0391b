//! The server as a channel: accepts connections, each in a task of its own, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::future::join_all;
use iems_core::deliver::Channel;
use iems_core::limits::{Act, Limits, Ticket, Who};
use iems_core::message::{ChannelId, Reply};
use iems_core::receive::{Intake, Network, Preamble, Step};
use iems_core::seam::{Clock, Directory, Resolver};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::ServerOptions;
use super::beneath::Watches;
use super::connection::{self, Peer};
use super::listener::{Accepting, KnownHosts, Listener, Security};
use super::session::Nonce;
use super::trace::TraceId;
use super::wire::{Socket, Wire};
use crate::client::SmtpClient;

/// Certificates, keys and protocol versions; what is stored into it holds for connections from then on.
pub type TlsConfig = Arc<ArcSwap<rustls::ServerConfig>>;

/// How long accepting rests after an error of the operating system, such as too many open files.
const REST: Duration = Duration::from_millis(100);

/// How long a proxy may take to say whose a connection is.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// A server on one or more listeners: one input channel.
pub struct Server {
    channel: ChannelId,
    /// As it is for connections from now on.
    shared: Arc<ArcSwap<Shared>>,
    addresses: Vec<SocketAddr>,
    /// Taken by `serve`, so that nobody listens any more when it ends.
    listeners: Mutex<Vec<Listener>>,
}

/// What all connections share that began with the same options.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) options: Arc<ServerOptions>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) tls: Option<TlsConfig>,
    pub(super) watches: Arc<Watches>,
    pub(super) nonce: Nonce,
    /// What counts connections, perhaps with others.
    pub(super) limits: Arc<Limits>,
    /// Under which name this server counts there.
    pub(super) scope: Arc<str>,
    /// Who speaks on connections that are turned round.
    pub(super) client: Option<Arc<SmtpClient>>,
}

/// Why there can be no such server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A listener wants TLS from the first octet, or the options want TLS, and there is no certificate.
    #[error("TLS is wanted, and there is no certificate")]
    NoTls,
    /// The operating system gives no random octets.
    #[error("no random octets: {0}")]
    Random(getrandom::Error),
}

impl Server {
    /// A server. `clock` counts the minutes of `Limits::per_address_minute`; without `tls` it offers no TLS.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn new(
        mut options: ServerOptions,
        listeners: Vec<Listener>,
        directory: Arc<dyn Directory>,
        resolver: Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
        tls: Option<TlsConfig>,
    ) -> Result<Self, ServerError> {
        let implicit = listeners.iter().any(|l| l.security == Security::Implicit);
        if tls.is_none() && (implicit || options.require_tls) {
            return Err(ServerError::NoTls);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(ServerError::Random)?;
        options.auth.secret.get_or_insert(secret);
        let limits = Limits::new(clock);
        let options = Arc::new(options);
        let channel = options.channel.clone();
        let shared = Shared {
            options,
            directory,
            resolver,
            tls,
            watches: Arc::default(),
            nonce: nonce(),
            limits,
            scope: "server".into(),
            client: None,
        };
        shared.limits.set(&shared.scope, shared.options.limits.rules());
        let shared = Arc::new(ArcSwap::from_pointee(shared));
        let addresses = listeners.iter().filter_map(Listener::local_addr).collect();
        Ok(Self { channel, shared, addresses, listeners: Mutex::new(listeners) })
    }

    /// The same with counts that others share, under a name of its own there: limits and bans of the site hold here, too. To be
    /// called before it serves.
    #[must_use]
    pub fn sharing(self, limits: Arc<Limits>, scope: impl Into<Arc<str>>) -> Self {
        let shared = Shared { limits, scope: scope.into(), ..(**self.shared.load()).clone() };
        shared.limits.set(&shared.scope, shared.options.limits.rules());
        self.shared.store(Arc::new(shared));
        self
    }

    /// The same, for accounts that collect what waits for their domains (`Mode::Collection`): `client` speaks on their
    /// connections then. To be called before it serves.
    #[must_use]
    pub fn turning(self, client: Arc<SmtpClient>) -> Self {
        let shared = Shared { client: Some(client), ..(**self.shared.load()).clone() };
        self.shared.store(Arc::new(shared));
        self
    }

    /// The addresses it listens on, in the order of the listeners, without Unix sockets.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Changes bounds and times for connections from now on; those that are open keep theirs. The bounds on connections hold
    /// at once, and close none. The kind of server and its channel stay, whatever `change` does to them.
    pub fn adjust(&self, change: impl FnOnce(&mut ServerOptions)) {
        let now = self.shared.load();
        let mut options = (*now.options).clone();
        change(&mut options);
        (options.mode, options.channel) = (now.options.mode, self.channel.clone());
        now.limits.set(&now.scope, options.limits.rules());
        self.shared.store(Arc::new(Shared { options: Arc::new(options), ..(**now).clone() }));
    }

    /// Tells how many connections are open; outlives the server.
    pub fn connections(&self) -> Arc<dyn Fn() -> usize + Send + Sync> {
        let shared = self.shared.load();
        let (limits, scope) = (shared.limits.clone(), shared.scope.clone());
        Arc::new(move || limits.open(&scope))
    }
}

fn nonce() -> Nonce {
    Arc::new(|| {
        let mut octets = [0; 18];
        getrandom::fill(&mut octets).ok().map(|()| octets)
    })
}

#[async_trait]
impl Channel for Server {
    fn id(&self) -> &ChannelId {
        &self.channel
    }

    async fn serve(&self, intake: Intake, shutdown: CancellationToken) -> io::Result<()> {
        let listeners = std::mem::take(&mut *self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        let mut doors = Vec::with_capacity(listeners.len());
        for listener in listeners {
            let accepting = listener.socket.accepting()?;
            doors.push(accept(
                self.shared.clone(),
                accepting,
                (listener.security, listener.known),
                intake.clone(),
                shutdown.clone(),
            ));
        }
        join_all(doors).await;
        Ok(())
    }
}

/// Accepts until `shutdown`, then waits for what is in progress, for at most `Timeouts::drain`.
async fn accept(
    shared: Arc<ArcSwap<Shared>>,
    listener: Accepting,
    (security, known): (Security, KnownHosts),
    intake: Intake,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, address)) => {
                    let trace = TraceId::fresh(&shared.load().nonce);
                    let peer = Peer { address, security, trace, trusted: false, inside: false }.known_by(&known);
                    let (shared, is_proxy) = (shared.load_full(), is_in(&known.proxies, address));
                    start(&mut connections, &shared, &intake, &shutdown, (socket, peer, is_proxy.then(|| known.clone())));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(REST).await;
                }
            },
        }
    }
    drop(listener);
    let rest = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    let _ = tokio::time::timeout(shared.load().options.timeouts.drain, rest).await;
    connections.shutdown().await;
}

impl Peer {
    /// With what it may say, by its address.
    fn known_by(self, known: &KnownHosts) -> Self {
        let is_in = |networks| is_in(networks, self.address);
        Self { trusted: is_in(&known.trusted), inside: is_in(&known.inside), ..self }
    }
}

fn is_in(networks: &[Network], address: Option<SocketAddr>) -> bool {
    address.is_some_and(|address| networks.iter().any(|network| network.contains(address.ip())))
}

fn start(
    connections: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    intake: &Intake,
    shutdown: &CancellationToken,
    (socket, peer, behind): (Socket, Peer, Option<KnownHosts>),
) {
    if let Some(known) = behind {
        // Until it is known whose the connection is, it counts with all, and nobody's in particular.
        let proxy = Peer { address: None, ..peer };
        let Some(ticket) = admit(shared, &socket, proxy) else { return };
        let (shared, intake, shutdown) = (shared.clone(), intake.clone(), shutdown.clone());
        connections.spawn(async move {
            let Some((socket, peer)) = introduced(&shared, socket, peer).await else { return };
            let peer = peer.known_by(&known);
            drop(ticket);
            if let Some(ticket) = admit(&shared, &socket, peer) {
                let span = span(&shared, peer);
                let run = run(shared, intake, Wire::new(socket), peer, ticket, shutdown);
                Box::pin(run.instrument(span)).await;
            }
        });
    } else if let Some(ticket) = admit(shared, &socket, peer) {
        let span = span(shared, peer);
        let (shared, intake, shutdown) = (shared.clone(), intake.clone(), shutdown.clone());
        connections.spawn(run(shared, intake, Wire::new(socket), peer, ticket, shutdown).instrument(span));
    }
}

fn span(shared: &Shared, peer: Peer) -> tracing::Span {
    let channel = &shared.options.channel;
    tracing::info_span!("connection", %channel, peer = %peer, trace = %peer.trace)
}

/// Lets a peer in, and says how late; or turns it away.
fn admit(shared: &Shared, socket: &Socket, peer: Peer) -> Option<(Ticket, Duration)> {
    let address = peer.address.map(|address| address.ip());
    let who = Who { scope: &shared.scope, address, ..Who::default() };
    match shared.limits.enter(Act::Connection, &who) {
        Ok(admitted) => Some(admitted),
        Err(hit) => {
            let reply = hit.reply();
            tracing::info!(%peer, trace = %peer.trace, %reply, "turned away");
            if peer.security == Security::Upgrade {
                turn_away(socket, &reply, &peer.trace);
            }
            None
        }
    }
}

/// Reads what a proxy says of a connection. A proxy that says nothing of the kind is hung up on.
async fn introduced(shared: &Shared, mut socket: Socket, peer: Peer) -> Option<(Socket, Peer)> {
    let preamble = async {
        let (mut preamble, mut octets) = (Preamble::default(), Vec::new());
        loop {
            match preamble.step().map_err(io::Error::other)? {
                Step::Done(source) => return Ok::<_, io::Error>(source),
                Step::Read(count) => {
                    octets.resize(count, 0);
                    socket.read_exact(&mut octets).await?;
                    preamble.push(&octets);
                }
            }
        }
    };
    match tokio::time::timeout(shared.options.timeouts.handshake.min(INTRODUCTION), preamble).await {
        Ok(Ok(source)) => Some((socket, Peer { address: source.or(peer.address), ..peer })),
        Ok(Err(error)) => {
            tracing::warn!(proxy = %peer, %error, "hung up on a proxy");
            None
        }
        Err(_) => {
            tracing::warn!(proxy = %peer, "hung up on a proxy that does not say whose its connection is");
            None
        }
    }
}

async fn run(
    shared: Arc<Shared>,
    intake: Intake,
    wire: Wire,
    peer: Peer,
    (ticket, delay): (Ticket, Duration),
    shutdown: CancellationToken,
) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    connection::run(&shared, intake, wire, peer, shutdown).await;
    drop(ticket);
}

/// Says one line and hangs up; a fresh socket has room for it.
fn turn_away(socket: &Socket, reply: &Reply, trace: &TraceId) {
    let mut line = bytes::BytesMut::new();
    crate::proto::reply::write_traced(&mut line, reply, &trace.to_string());
    socket.try_write(&line);
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a defect");
    }
}
