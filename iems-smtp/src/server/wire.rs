//! A connection's socket with its read buffer. An idle one owns no buffer.
//!
//! [`Wire::secure`] takes the wire by value and gives back a new one: what was read in the clear cannot outlive the
//! handshake.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use iems_core::seam::Stream;
use iems_core::seam::sasl::Beneath;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::beneath::{Believed, Watches, beneath};

/// What a handshake gave.
pub(super) struct Secured {
    /// Version and cipher suite, for people.
    pub(super) agreed: String,
    /// What exchanges can make use of.
    pub(super) beneath: Arc<Beneath>,
}

/// The socket under a dialogue.
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(super) struct Wire {
    socket: Socket,
    pub(super) input: BytesMut,
}

/// Least room for a read, in octets.
const LEAST: usize = 512;
/// What is read by way of the stack, in octets.
const LITTLE: usize = 2048;
/// Octets read away at most from a peer that is cut off.
const AWAY: usize = 1 << 20;

impl Wire {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, input: BytesMut::new() }
    }

    /// Shakes hands; says what came of it. `believed` tells whether a certificate of the peer is to be believed.
    pub(super) async fn secure(
        self,
        config: &Arc<rustls::ServerConfig>,
        watches: &Watches,
        believed: Option<&Believed>,
    ) -> io::Result<(Self, Secured)> {
        let Socket::Tcp(stream) = self.socket else {
            return Err(io::Error::other("TLS starts on a plain TCP connection only"));
        };
        let watch = watches.take(config);
        let stream = tokio_rustls::TlsAcceptor::from(watch.config()).accept(stream).await?;
        let connection = stream.get_ref().1;
        let beneath = beneath(connection, watch.certificate().as_deref(), believed);
        watches.give(watch);
        let facts = Secured { agreed: describe(connection), beneath: Arc::new(beneath) };
        Ok((Self::new(Socket::Tls(Box::new(stream))), facts))
    }

    /// Reads once, up to about `size` octets; 0 at the end. While there is nothing to read there is no buffer.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, size: usize) -> Poll<io::Result<usize>> {
        let read = match self.socket.poll_readable(cx) {
            Poll::Ready(Ok(())) if size <= LITTLE => self.read_little(cx),
            Poll::Ready(Ok(())) => {
                if self.input.capacity() - self.input.len() < LEAST {
                    self.input.reserve(size);
                }
                pin!(self.socket.read_buf(&mut self.input)).poll(cx)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        if read.is_pending() && self.input.is_empty() {
            self.input = BytesMut::new();
        }
        read
    }

    /// Reads a few octets by way of the stack, so that a command line costs no buffer much larger than itself.
    fn read_little(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); LITTLE];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut space))?;
        self.input.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    }

    /// The socket. What was read and not worked off is lost, on purpose: it was said to somebody else.
    pub(super) fn into_stream(self) -> Box<dyn Stream> {
        Box::new(self.socket)
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.socket.write_all(octets).await?;
        match self.socket {
            // Plain sockets hold nothing back.
            Socket::Tls(_) => self.socket.flush().await,
            _ => Ok(()),
        }
    }

    /// Ends our side, so that the peer sees the last reply and then the end. If it may still be sending, that is read
    /// away first: closing over unread octets would reset the connection, and the reply could be lost.
    pub(super) async fn close(mut self, unread: bool) {
        let _ = self.socket.shutdown().await;
        let mut octets = 0;
        while unread && octets < AWAY {
            self.input.clear();
            match poll_fn(|cx| self.poll_fill(cx, LEAST)).await {
                Ok(0) | Err(_) => return,
                Ok(more) => octets += more,
            }
        }
    }
}

impl Socket {
    /// Whether there may be something to read. Under TLS only a read can tell.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    /// Writes what fits at once, and does not care about the rest.
    pub(super) fn try_write(&self, octets: &[u8]) {
        let _ = match self {
            Self::Tcp(stream) => stream.try_write(octets),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(octets),
            Self::Tls(_) => Ok(0),
        };
    }
}

fn describe(tls: &rustls::ServerConnection) -> String {
    let version = tls.protocol_version().map(|v| format!("{v:?}")).unwrap_or_default();
    let suite = tls.negotiated_cipher_suite().map(|s| format!("{:?}", s.suite())).unwrap_or_default();
    format!("{version} {suite}")
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
