//! A connection's socket with its read buffer. An idle one owns no buffer.
//!
//! [`Wire::secure`] takes the wire by value and gives back a new one: what was read in the clear cannot outlive the
//! handshake.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use iems_core::seam::sasl::Beneath;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::beneath::{Believed, beneath, watched};
use super::{Protocol, Shared};

/// Shakes hands with the server's certificate, within `patience`; says what exchanges can make use of.
pub(crate) async fn handshake<P: Protocol>(
    shared: &Shared<P>,
    wire: Wire,
    believed: Option<&Believed>,
    patience: Duration,
) -> io::Result<(Wire, Arc<Beneath>)> {
    let config = shared.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?.load_full();
    let secured = tokio::time::timeout(patience, wire.secure(&config, believed));
    secured.await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// How much is read at a time, in octets.
const PIECE: usize = 4096;
/// Least room for a read, in octets.
const LEAST: usize = 512;

enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(crate) struct Wire {
    socket: Socket,
    pub(crate) input: BytesMut,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket: Socket::Tcp(socket), input: BytesMut::new() }
    }

    /// Shakes hands; says what exchanges can make use of.
    pub(crate) async fn secure(
        self,
        config: &rustls::ServerConfig,
        believed: Option<&Believed>,
    ) -> io::Result<(Self, Arc<Beneath>)> {
        let Socket::Tcp(stream) = self.socket else {
            return Err(io::Error::other("TLS is in force already"));
        };
        let (config, chosen) = watched(config);
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let beneath = beneath(stream.get_ref().1, chosen.certificate(), believed);
        let wire = Self { socket: Socket::Tls(Box::new(stream)), input: BytesMut::new() };
        Ok((wire, Arc::new(beneath)))
    }

    /// Reads once; 0 at the end. Cancel-safe.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < LEAST {
            self.input.reserve(PIECE);
        }
        let read = match &mut self.socket {
            Socket::Tcp(stream) => pin!(stream.read_buf(&mut self.input)).poll(cx),
            Socket::Tls(stream) => pin!(stream.read_buf(&mut self.input)).poll(cx),
        };
        if read.is_pending() && self.input.is_empty() {
            self.input = BytesMut::new();
        }
        read
    }

    /// Sends all of it within `patience`.
    pub(crate) async fn send(&mut self, octets: &[u8], patience: Duration) -> io::Result<()> {
        let sent = async {
            match &mut self.socket {
                Socket::Tcp(stream) => stream.write_all(octets).await,
                Socket::Tls(stream) => {
                    stream.write_all(octets).await?;
                    stream.flush().await
                }
            }
        };
        tokio::time::timeout(patience, sent).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// Ends our side, so that the peer sees the last reply and then the end.
    pub(crate) async fn close(mut self, patience: Duration) {
        let ended = async {
            match &mut self.socket {
                Socket::Tcp(stream) => stream.shutdown().await,
                Socket::Tls(stream) => stream.shutdown().await,
            }
        };
        let _ = tokio::time::timeout(patience, ended).await;
    }
}
