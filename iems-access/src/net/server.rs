//! The server: accepts connections, each in a task of its own, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use iems_core::limits::{Act, Decision, Host, Limits, Ticket, Who};
use iems_core::receive::{Network, Preamble, Step};
use iems_core::seam::SystemClock;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Guest, Listener, Nonce, Protocol, Settings, Shared};

/// Certificates, keys and protocol versions; what is stored into it holds for connections from then on.
pub type TlsConfig = Arc<ArcSwap<rustls::ServerConfig>>;

/// How long accepting rests after an error of the operating system, such as too many open files.
const REST: Duration = Duration::from_millis(100);

/// How long a proxy may take to say whose a connection is.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// A server on one or more listeners.
pub struct Server<P: Protocol> {
    /// As it is for connections from now on.
    shared: Arc<ArcSwap<Shared<P>>>,
    listeners: Vec<Listener>,
}

/// Why there can be no such server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A listener wants TLS from the first octet, and there is no certificate.
    #[error("TLS is wanted, and there is no certificate")]
    NoTls,
    /// The operating system gives no random octets.
    #[error("no random octets: {0}")]
    Random(getrandom::Error),
}

impl<P: Protocol> Server<P> {
    /// A server that gives access to `mail`; without `tls` it offers no TLS.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn new(
        mut options: P::Options,
        listeners: Vec<Listener>,
        mail: Arc<P::Mail>,
        tls: Option<TlsConfig>,
    ) -> Result<Self, ServerError> {
        if tls.is_none() && listeners.iter().any(|listener| listener.implicit_tls) {
            return Err(ServerError::NoTls);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(ServerError::Random)?;
        options.auth().secret.get_or_insert(secret);
        let (limits, scope) = (Limits::new(Arc::new(SystemClock)), Arc::from("server"));
        let shared: Shared<P> = Shared {
            options: Arc::new(options),
            mail,
            tls,
            watches: Arc::default(),
            nonce: nonce(),
            limits,
            scope,
        };
        shared.limits.set(&shared.scope, shared.options.rules());
        Ok(Self { shared: Arc::new(ArcSwap::from_pointee(shared)), listeners })
    }

    /// The same with counts that others share, under a name of its own there: limits and bans of the site hold here, too. To be
    /// called before it serves.
    #[must_use]
    pub fn sharing(self, limits: Arc<Limits>, scope: impl Into<Arc<str>>) -> Self {
        let shared: Shared<P> = Shared { limits, scope: scope.into(), ..(**self.shared.load()).clone() };
        shared.limits.set(&shared.scope, shared.options.rules());
        self.shared.store(Arc::new(shared));
        self
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> Arc<Shared<P>> {
        self.shared.load_full()
    }

    /// The addresses it listens on, in the order of the listeners.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Changes bounds and times for connections from now on; those that are open keep theirs. The bounds on connections hold
    /// at once, and close none.
    pub fn adjust(&self, change: impl FnOnce(&mut P::Options)) {
        let now = self.shared.load();
        let mut options = (*now.options).clone();
        change(&mut options);
        now.limits.set(&now.scope, options.rules());
        self.shared.store(Arc::new(Shared { options: Arc::new(options), ..(**now).clone() }));
    }

    /// Tells how many connections are open; outlives the server.
    pub fn connections(&self) -> Arc<dyn Fn() -> usize + Send + Sync> {
        let shared = self.shared.load();
        let (limits, scope) = (shared.limits.clone(), shared.scope.clone());
        Arc::new(move || limits.open(&scope))
    }

    /// Serves until `shutdown`; then tells idle peers, and waits for replies in progress, for at most `Timeouts::drain`.
    /// Dropping the future closes all connections at once; nothing is removed by that.
    ///
    /// # Errors
    /// Those of the operating system, before anything was accepted.
    pub async fn serve(&self, shutdown: CancellationToken) -> io::Result<()> {
        let mut doors = JoinSet::new();
        for listener in &self.listeners {
            let (shared, accepting) = (self.shared.clone(), listener.accepting()?);
            let kind = (listener.implicit_tls, listener.proxies.clone());
            doors.spawn(accept(shared, accepting, kind, shutdown.clone()));
        }
        while let Some(ended) = doors.join_next().await {
            report(ended);
        }
        Ok(())
    }
}

impl<P: Protocol> std::fmt::Debug for Server<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

fn nonce() -> Nonce {
    Arc::new(|| {
        let mut octets = [0; 18];
        getrandom::fill(&mut octets).ok().map(|()| octets)
    })
}

async fn accept<P: Protocol>(
    shared: Arc<ArcSwap<Shared<P>>>,
    listener: TcpListener,
    (tls, proxies): (bool, Arc<[Network]>),
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let is_proxy = proxies.iter().any(|proxy| proxy.contains(peer.ip()));
                    start(&mut connections, &shared.load_full(), (socket, peer, is_proxy), tls, &shutdown);
                },
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
    let _ = tokio::time::timeout(shared.load().options.drain(), rest).await;
    connections.shutdown().await;
}

fn start<P: Protocol>(
    connections: &mut JoinSet<()>,
    shared: &Arc<Shared<P>>,
    (socket, peer, is_proxy): (TcpStream, SocketAddr, bool),
    tls: bool,
    shutdown: &CancellationToken,
) {
    // Replies are small and waited for.
    let _ = socket.set_nodelay(true);
    let (shared, shutdown) = (shared.clone(), shutdown.clone());
    if is_proxy {
        // Until it is known whose the connection is, it counts with all, and nobody's in particular.
        let Some(ticket) = admit(&shared, &socket, None, tls) else { return };
        connections.spawn(async move {
            let Some((socket, peer)) = introduced(socket, peer).await else { return };
            drop(ticket);
            if let Some(admitted) = admit(&shared, &socket, Some(peer), tls) {
                let span = P::span(peer);
                Box::pin(run(shared, (socket, peer), tls, admitted, shutdown).instrument(span)).await;
            }
        });
    } else if let Some(admitted) = admit(&shared, &socket, Some(peer), tls) {
        let span = P::span(peer);
        connections.spawn(run(shared, (socket, peer), tls, admitted, shutdown).instrument(span));
    }
}

/// Lets a peer in, and says how late; or turns it away.
fn admit<P: Protocol>(
    shared: &Shared<P>,
    socket: &TcpStream,
    peer: Option<SocketAddr>,
    tls: bool,
) -> Option<(Ticket, Duration)> {
    let who = Who { scope: &shared.scope, address: peer.map(|peer| peer.ip()), ..Who::default() };
    let turn_away = |for_good: bool, why: &str| {
        tracing::info!(peer = peer.map(tracing::field::display), why, "turned away");
        if !tls {
            // A fresh socket has room for one line.
            let _ = socket.try_write(P::refusal(for_good, why).as_bytes());
        }
    };
    // Names of peers are not looked up here, so that no rule about names lets in or turns away.
    if let Decision::Rule(rule) = shared.limits.access(&who, Host::None)
        && let Some(reply) = rule.reply()
    {
        turn_away(reply.code >= 500, &reply.text);
        return None;
    }
    shared.limits.enter(Act::Connection, &who).map_err(|hit| turn_away(false, &hit.text())).ok()
}

/// Reads what a proxy says of a connection. A proxy that says nothing of the kind is hung up on.
async fn introduced(mut socket: TcpStream, proxy: SocketAddr) -> Option<(TcpStream, SocketAddr)> {
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
    match tokio::time::timeout(INTRODUCTION, preamble).await {
        Ok(Ok(source)) => Some((socket, source.unwrap_or(proxy))),
        Ok(Err(error)) => {
            tracing::warn!(%proxy, %error, "hung up on a proxy");
            None
        }
        Err(_) => {
            tracing::warn!(%proxy, "hung up on a proxy that does not say whose its connection is");
            None
        }
    }
}

async fn run<P: Protocol>(
    shared: Arc<Shared<P>>,
    (socket, peer): (TcpStream, SocketAddr),
    tls: bool,
    (ticket, delay): (Ticket, Duration),
    shutdown: CancellationToken,
) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let guest = Guest { socket, peer: peer.ip(), implicit_tls: tls };
    if let Err(error) = P::run(shared, guest, shutdown).await {
        tracing::debug!(%error, "the connection broke");
    }
    drop(ticket);
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a defect");
    }
}
