//! What a server has to know of a protocol.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use iems_core::limits::{Act, Bound, Limit, Limits, Per};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::beneath::Watches;
use super::{AuthOptions, Nonce, TlsConfig};

/// A protocol: how one connection is served.
pub trait Protocol: Sized + Send + Sync + 'static {
    /// Its options.
    type Options: Settings;
    /// What it gives access to.
    type Mail: Send + Sync + 'static;

    /// The name of a connection in the log.
    fn span(peer: SocketAddr) -> tracing::Span;

    /// The line that turns a peer away before anything was said.
    fn refusal(for_good: bool, why: &str) -> String;

    /// Serves one peer to the end.
    fn run(
        shared: Arc<Shared<Self>>,
        guest: Guest,
        shutdown: CancellationToken,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

/// The options that servers look at themselves.
pub trait Settings: Clone + Send + Sync + 'static {
    /// Who may authenticate, and how.
    fn auth(&mut self) -> &mut AuthOptions;

    /// The most connections at once, and the most from one address.
    fn connections(&self) -> (usize, usize);

    /// How long replies in progress may take when the server shuts down.
    fn drain(&self) -> Duration;

    /// The same bounds, as the one place that counts wants them.
    fn rules(&self) -> Vec<Limit> {
        let (all, each) = self.connections();
        let (all, each) = (Bound::AtOnce(all as u64), Bound::AtOnce(each as u64));
        vec![
            Limit::new("limits.connections", Act::Connection, Per::All, all),
            Limit::new("limits.connections_per_address", Act::Connection, Per::Address, each),
        ]
    }
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Guest {
    /// Its socket.
    pub socket: TcpStream,
    /// Whose it is.
    pub peer: IpAddr,
    /// Whether it begins with a TLS handshake.
    pub implicit_tls: bool,
}

/// What all connections share that began with the same options.
pub struct Shared<P: Protocol> {
    pub(crate) options: Arc<P::Options>,
    pub(crate) mail: Arc<P::Mail>,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) watches: Arc<Watches>,
    pub(crate) nonce: Nonce,
    pub(crate) limits: Arc<Limits>,
    pub(crate) scope: Arc<str>,
}

impl<P: Protocol> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            mail: self.mail.clone(),
            tls: self.tls.clone(),
            watches: self.watches.clone(),
            nonce: self.nonce.clone(),
            limits: self.limits.clone(),
            scope: self.scope.clone(),
        }
    }
}

impl<P: Protocol> std::fmt::Debug for Shared<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("scope", &self.scope).finish_non_exhaustive()
    }
}
