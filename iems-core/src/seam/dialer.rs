//! Connections as an argument: the engine opens no socket but through this.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection: bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An address and port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Local(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Local(path) => path.display().fmt(f),
        }
    }
}

/// Opens connections.
///
/// - **Role**: the only way out to the network.
/// - **Called when**: a channel opens a link, or a judge asks a scanner.
/// - **Ordering**: none. **Idempotency**: each call is a new connection.
/// - **Cancellation**: dropping the future gives up connecting. The caller sets the time limit.
/// - **Concurrency**: any number of calls.
/// - **Errors**: those of the operating system.
/// - **Example**: `TcpDialer` of `iems-smtp`.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// Connects to `to`, from the local address `from` if given.
    async fn dial(&self, to: &Endpoint, from: Option<IpAddr>) -> io::Result<Box<dyn Stream>>;
}
