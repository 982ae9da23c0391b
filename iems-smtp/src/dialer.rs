//! Connections to other systems: TCP, and sockets in the file system where the system has them.
//!
//! The only place of this crate that opens a connection; everything else asks for a
//! [`Dialer`]. Sets no time limit: the caller does.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use async_trait::async_trait;
use iems_core::seam::{Dialer, Endpoint, Stream};
use tokio::net::TcpSocket;

/// Dials by TCP and by Unix sockets.
#[derive(Debug, Default, Clone, Copy)]
pub struct TcpDialer;

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, to: &Endpoint, from: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        match to {
            Endpoint::Tcp(address) => tcp(*address, from).await,
            Endpoint::Local(path) => local(path).await,
        }
    }
}

async fn tcp(to: SocketAddr, from: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
    let socket = if to.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    if let Some(ip) = from {
        if ip.is_ipv6() != to.is_ipv6() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "source and target are of different kinds",
            ));
        }
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

#[cfg(unix)]
async fn local(path: &Path) -> io::Result<Box<dyn Stream>> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn local(_: &Path) -> io::Result<Box<dyn Stream>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no sockets in the file system"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn dials_from_the_given_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = Endpoint::Tcp(listener.local_addr().unwrap());
        let from = Some("127.0.0.2".parse().unwrap());
        let (dialed, accepted) = tokio::join!(TcpDialer.dial(&to, from), listener.accept());
        dialed.unwrap();
        assert_eq!(accepted.unwrap().1.ip().to_string(), "127.0.0.2");
    }

    #[tokio::test]
    async fn kinds_of_address_must_agree() {
        let to = Endpoint::Tcp("127.0.0.1:9".parse().unwrap());
        let error = TcpDialer.dial(&to, Some("::1".parse().unwrap())).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn dials_a_socket_in_the_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let endpoint = Endpoint::Local(path);
        let (dialed, accepted) = tokio::join!(TcpDialer.dial(&endpoint, None), listener.accept());
        drop(accepted);
        assert_eq!(dialed.unwrap().read(&mut [0; 1]).await.unwrap(), 0);
    }
}
