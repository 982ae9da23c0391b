//! Where a server listens: addresses and sockets in the file system, bound before it runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use iems_core::receive::Network;
use socket2::{Domain, Protocol, Socket as Raw, Type};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// When TLS begins on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// With `STARTTLS`, if the server has a certificate.
    Upgrade,
    /// At once (RFC 8314).
    Implicit,
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Bound,
    pub(super) security: Security,
    pub(super) known: KnownHosts,
}

/// Hosts of the site, and what they may say of a connection or a message.
#[derive(Debug, Clone)]
pub(super) struct KnownHosts {
    /// Whose a connection is, before it begins.
    pub(super) proxies: Arc<[Network]>,
    /// For whom they speak.
    pub(super) trusted: Arc<[Network]>,
    /// Where a message first came in.
    pub(super) inside: Arc<[Network]>,
}

impl Default for KnownHosts {
    fn default() -> Self {
        Self { proxies: [].into(), trusted: [].into(), inside: [].into() }
    }
}

#[derive(Debug)]
pub(super) enum Bound {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl Listener {
    /// Binds an address with `SO_REUSEADDR`. An IPv6 address takes IPv6 only, so that both families can be bound.
    ///
    /// # Errors
    /// Those of the operating system: the port is taken, or privileged.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Raw::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self::tcp(socket.into()))
    }

    /// Binds a socket in the file system. One that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// Those of the operating system; `AddrInUse` if somebody listens there.
    #[cfg(unix)]
    pub fn bind_unix(path: &std::path::Path) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
        if is_socket {
            match std::os::unix::net::UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
                _ => return Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        Ok(Self::unix(std::os::unix::net::UnixListener::bind(path)?))
    }

    /// A listener that is bound and listens already.
    pub fn tcp(listener: std::net::TcpListener) -> Self {
        Self { socket: Bound::Tcp(listener), security: Security::Upgrade, known: KnownHosts::default() }
    }

    /// A listener that is bound and listens already.
    #[cfg(unix)]
    pub fn unix(listener: std::os::unix::net::UnixListener) -> Self {
        Self { socket: Bound::Unix(listener), security: Security::Upgrade, known: KnownHosts::default() }
    }

    /// The same, with TLS from the first octet.
    #[must_use]
    pub fn implicit_tls(mut self) -> Self {
        self.security = Security::Implicit;
        self
    }

    /// The same behind proxies: connections from these networks begin with a PROXY header, which says whose they are, before TLS
    /// and everything else. A header from anybody else is not obeyed.
    #[must_use]
    pub fn behind(mut self, proxies: impl Into<Arc<[Network]>>) -> Self {
        self.known.proxies = proxies.into();
        self
    }

    /// The same with hosts that may say for whom they speak (`XCLIENT`).
    #[must_use]
    pub fn trusting(mut self, hosts: impl Into<Arc<[Network]>>) -> Self {
        self.known.trusted = hosts.into();
        self
    }

    /// The same with hosts of the site that may say where messages first came in (`XFORWARD`).
    #[must_use]
    pub fn forwarding_from(mut self, hosts: impl Into<Arc<[Network]>>) -> Self {
        self.known.inside = hosts.into();
        self
    }

    /// The address, with the port that was chosen if 0 was asked for; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Bound::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Bound::Unix(_) => None,
        }
    }
}

/// The same inside the runtime.
pub(super) enum Accepting {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

impl Bound {
    /// The same for the runtime; must be called within one.
    pub(super) fn accepting(self) -> io::Result<Accepting> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(listener).map(Accepting::Tcp)
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::UnixListener::from_std(listener).map(Accepting::Unix)
            }
        }
    }
}

impl Accepting {
    /// The next connection and its peer. Dropping the future loses none.
    pub(super) async fn accept(&self) -> io::Result<(super::wire::Socket, Option<SocketAddr>)> {
        use super::wire::Socket;
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Replies are small and waited for.
                stream.set_nodelay(true)?;
                Ok((Socket::Tcp(stream), Some(peer)))
            }
            #[cfg(unix)]
            Self::Unix(listener) => Ok((Socket::Unix(listener.accept().await?.0), None)),
        }
    }
}
