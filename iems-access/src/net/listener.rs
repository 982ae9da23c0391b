//! Where a server listens: addresses, bound before it runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use iems_core::receive::Network;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    pub(crate) implicit_tls: bool,
    pub(crate) proxies: Arc<[Network]>,
}

impl Listener {
    /// Binds an address with `SO_REUSEADDR`. An IPv6 address takes IPv6 only, so that both families can be bound.
    ///
    /// # Errors
    /// Those of the operating system: the port is taken, or privileged.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self::tcp(socket.into()))
    }

    /// A listener that is bound and listens already.
    pub fn tcp(socket: std::net::TcpListener) -> Self {
        Self { socket, implicit_tls: false, proxies: [].into() }
    }

    /// The same, with TLS from the first octet (RFC 8314).
    #[must_use]
    pub fn implicit_tls(mut self) -> Self {
        self.implicit_tls = true;
        self
    }

    /// The same behind proxies: connections from these networks begin with a PROXY header, which says whose they are, before TLS
    /// and everything else. A header from anybody else is not obeyed.
    #[must_use]
    pub fn behind(mut self, proxies: impl Into<Arc<[Network]>>) -> Self {
        self.proxies = proxies.into();
        self
    }

    /// The address, with the port that was chosen if 0 was asked for.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A copy for the runtime; must be called within one.
    pub(crate) fn accepting(&self) -> io::Result<tokio::net::TcpListener> {
        let socket = self.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(socket)
    }
}
