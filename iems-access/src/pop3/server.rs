//! The server: accepts connections, each in a task of its own, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use iems_core::limits::{Act, Decision, Host, Limits, Who};
use iems_core::seam::SystemClock;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::session::Nonce;
use super::{Listener, Maildrops, ServerOptions, connection};

/// Certificates, keys and protocol versions; what is stored into it holds for connections from then on.
pub type TlsConfig = Arc<ArcSwap<rustls::ServerConfig>>;

/// How long accepting rests after an error of the operating system, such as too many open files.
const REST: Duration = Duration::from_millis(100);

/// A server on one or more listeners.
pub struct Server {
    /// As it is for connections from now on.
    shared: Arc<ArcSwap<Shared>>,
    listeners: Vec<Listener>,
}

/// What all connections share that began with the same options.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) options: Arc<ServerOptions>,
    pub(super) maildrops: Arc<Maildrops>,
    pub(super) tls: Option<TlsConfig>,
    pub(super) nonce: Nonce,
    limits: Arc<Limits>,
    scope: Arc<str>,
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

impl Server {
    /// A server for the accounts of `maildrops`; without `tls` it offers no TLS.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn new(
        mut options: ServerOptions,
        listeners: Vec<Listener>,
        maildrops: Arc<Maildrops>,
        tls: Option<TlsConfig>,
    ) -> Result<Self, ServerError> {
        if tls.is_none() && listeners.iter().any(|listener| listener.implicit_tls) {
            return Err(ServerError::NoTls);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(ServerError::Random)?;
        options.auth.secret.get_or_insert(secret);
        let (limits, scope) = (Limits::new(Arc::new(SystemClock)), Arc::from("server"));
        let shared = Shared { options: Arc::new(options), maildrops, tls, nonce: nonce(), limits, scope };
        shared.limits.set(&shared.scope, shared.options.limits.rules());
        Ok(Self { shared: Arc::new(ArcSwap::from_pointee(shared)), listeners })
    }

    /// The same with counts that others share, under a name of its own there: limits and bans of the site hold here, too. To be
    /// called before it serves.
    pub fn sharing(self, limits: Arc<Limits>, scope: impl Into<Arc<str>>) -> Self {
        let shared = Shared { limits, scope: scope.into(), ..(**self.shared.load()).clone() };
        shared.limits.set(&shared.scope, shared.options.limits.rules());
        self.shared.store(Arc::new(shared));
        self
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.load_full()
    }

    /// The addresses it listens on, in the order of the listeners.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Changes bounds and times for connections from now on; those that are open keep theirs. The bounds on connections hold
    /// at once, and close none.
    pub fn adjust(&self, change: impl FnOnce(&mut ServerOptions)) {
        let now = self.shared.load();
        let mut options = (*now.options).clone();
        change(&mut options);
        now.limits.set(&now.scope, options.limits.rules());
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
            doors.spawn(accept(shared, accepting, listener.implicit_tls, shutdown.clone()));
        }
        while let Some(ended) = doors.join_next().await {
            report(ended);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Server {
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

async fn accept(shared: Arc<ArcSwap<Shared>>, listener: TcpListener, tls: bool, shutdown: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    start(&mut connections, &shared.load_full(), socket, peer, tls, &shutdown);
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
    let _ = tokio::time::timeout(shared.load().options.timeouts.drain, rest).await;
    connections.shutdown().await;
}

fn start(
    connections: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    socket: TcpStream,
    peer: SocketAddr,
    tls: bool,
    shutdown: &CancellationToken,
) {
    let who = Who { scope: &shared.scope, address: Some(peer.ip()), ..Who::default() };
    // Names of peers are not looked up here, so that no rule about names lets in or turns away.
    if let Decision::Rule(rule) = shared.limits.access(&who, Host::None)
        && let Some(reply) = rule.reply()
    {
        tracing::info!(%peer, %reply, "turned away");
        if !tls {
            let _ = socket.try_write(format!("-ERR [SYS/PERM] {}\r\n", reply.text).as_bytes());
        }
        return;
    }
    let ticket = match shared.limits.enter(Act::Connection, &who) {
        Ok((ticket, _)) => ticket,
        Err(hit) => {
            let why = hit.text();
            tracing::info!(%peer, why, "turned away");
            if !tls {
                // A fresh socket has room for one line.
                let _ = socket.try_write(format!("-ERR [SYS/TEMP] {why}\r\n").as_bytes());
            }
            return;
        }
    };
    // Replies are small and waited for.
    let _ = socket.set_nodelay(true);
    let span = tracing::info_span!("pop3", %peer);
    let run = connection::run(shared.clone(), socket, peer.ip(), tls, shutdown.clone());
    let task = async move {
        if let Err(error) = run.await {
            tracing::debug!(%error, "the connection broke");
        }
        drop(ticket);
    };
    connections.spawn(task.instrument(span));
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a defect");
    }
}
