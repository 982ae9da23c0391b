//! A connection's socket with its read buffer. An idle one owns no buffer, unless it is compressed.
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

use super::beneath::{Believed, Watches, beneath};
use super::deflate::Deflate;
use super::{Protocol, Shared};

/// Shakes hands with the server's certificate, within `patience`; says what exchanges can make use of.
pub(crate) async fn handshake<P: Protocol>(
    shared: &Shared<P>,
    wire: Wire,
    believed: Option<&Believed>,
    patience: Duration,
) -> io::Result<(Wire, Arc<Beneath>)> {
    let config = shared.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?.load_full();
    let secured = tokio::time::timeout(patience, wire.secure(&config, &shared.watches, believed));
    secured.await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// How much is read at a time, in octets.
const PIECE: usize = 4096;
/// And of what was announced, at most.
const ANNOUNCED: usize = 32 << 10;
/// How much is read away at the end, in octets.
const AWAY: usize = 8 << 20;
/// Least room for a read, in octets.
const LEAST: usize = 512;

enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Reads once into `input`, about `wanted` octets; it is no buffer any more when there is nothing.
    fn poll_read(
        &mut self,
        input: &mut BytesMut,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = input.capacity() - input.len();
        if room < LEAST || (input.is_empty() && room < wanted) {
            input.reserve(PIECE.max(wanted));
        }
        let read = match self {
            Self::Tcp(stream) => pin!(stream.read_buf(input)).poll(cx),
            Self::Tls(stream) => pin!(stream.read_buf(input)).poll(cx),
        };
        if read.is_pending() && input.is_empty() {
            *input = BytesMut::new();
        }
        read
    }
}

pub(crate) struct Wire {
    socket: Socket,
    deflate: Option<Box<Deflate>>,
    pub(crate) input: BytesMut,
    wanted: usize,
    /// A read found nothing there, since it was last asked.
    waited: bool,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket: Socket::Tcp(socket), deflate: None, input: BytesMut::new(), wanted: 0, waited: false }
    }

    /// Shakes hands; says what exchanges can make use of.
    pub(crate) async fn secure(
        self,
        config: &Arc<rustls::ServerConfig>,
        watches: &Watches,
        believed: Option<&Believed>,
    ) -> io::Result<(Self, Arc<Beneath>)> {
        let Socket::Tcp(stream) = self.socket else {
            return Err(io::Error::other("TLS is in force already"));
        };
        let watch = watches.take(config);
        let stream = TlsAcceptor::from(watch.config()).accept(stream).await?;
        let beneath = beneath(stream.get_ref().1, watch.certificate().as_deref(), believed);
        watches.give(watch);
        let socket = Socket::Tls(Box::new(stream));
        let wire = Self { socket, deflate: None, input: BytesMut::new(), wanted: 0, waited: false };
        Ok((wire, Arc::new(beneath)))
    }

    /// From now on, both sides pack what they send (RFC 4978). What was read and not taken is packed already.
    pub(crate) fn compress(&mut self) {
        let packed = std::mem::take(&mut self.input);
        self.deflate = Some(Box::new(Deflate::new(packed)));
    }

    /// Says how many octets are sure to come, and are given away as they come: they are read at once, as far as they are there.
    pub(crate) fn expect(&mut self, octets: u64) {
        self.wanted = usize::try_from(octets).unwrap_or(ANNOUNCED).min(ANNOUNCED);
    }

    /// Reads once; 0 at the end. Cancel-safe.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        if self.deflate.is_some() {
            // What was packed small takes no waiting for the socket: others get their turn all the same.
            tokio::task::coop::consume_budget().await;
        }
        poll_fn(|cx| {
            let filled = self.poll_fill(cx);
            self.waited |= filled.is_pending();
            filled
        })
        .await
    }

    /// Whether a read had to be waited for since this was last asked: others had their turn.
    pub(crate) fn take_waited(&mut self) -> bool {
        std::mem::take(&mut self.waited)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(deflate) = &mut self.deflate else {
            return self.socket.poll_read(&mut self.input, self.wanted, cx);
        };
        let before = self.input.len();
        loop {
            if deflate.unpack(&mut self.input)? {
                return Poll::Ready(Ok(self.input.len() - before));
            }
            match std::task::ready!(self.socket.poll_read(deflate.packed(), 0, cx))? {
                0 => return Poll::Ready(Ok(0)),
                _ => continue,
            }
        }
    }

    /// Sends all of it within `patience`.
    pub(crate) async fn send(&mut self, octets: &[u8], patience: Duration) -> io::Result<()> {
        let packed = self.deflate.as_mut().map(|deflate| deflate.pack(octets)).transpose()?;
        self.write(packed.as_deref().unwrap_or(octets), patience).await
    }

    /// The same; packed, it takes no fewer octets than there are to say.
    pub(crate) async fn send_in_full(&mut self, octets: &[u8], patience: Duration) -> io::Result<()> {
        let packed = self.deflate.as_mut().map(|deflate| deflate.pack_in_full(octets)).transpose()?;
        self.write(packed.as_deref().unwrap_or(octets), patience).await
    }

    async fn write(&mut self, octets: &[u8], patience: Duration) -> io::Result<()> {
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

    /// Ends our side, so that the peer sees the last reply and then the end, within `patience`. What it may still be sending is
    /// read away first: closing over unread octets would reset the connection, and the reply could be lost.
    pub(crate) async fn close(mut self, patience: Duration) {
        let ended = async {
            match &mut self.socket {
                Socket::Tcp(stream) => stream.shutdown().await,
                Socket::Tls(stream) => stream.shutdown().await,
            }?;
            let mut octets = 0;
            while octets < AWAY {
                self.input.clear();
                match poll_fn(|cx| self.socket.poll_read(&mut self.input, 0, cx)).await? {
                    0 => break,
                    more => octets += more,
                }
            }
            io::Result::Ok(())
        };
        let _ = tokio::time::timeout(patience, ended).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Wire, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap());
        let (one, other) = tokio::join!(one, listener.accept());
        (Wire::new(one.unwrap()), Wire::new(other.unwrap().0))
    }

    #[tokio::test]
    async fn compressed_wires_carry_the_same_octets() {
        let (mut one, mut other) = pair().await;
        let patience = Duration::from_secs(5);
        one.send(b"in the clear", patience).await.unwrap();
        while other.input.len() < 12 {
            assert!(other.fill().await.unwrap() > 0);
        }
        other.input.clear();
        one.compress();
        other.compress();
        let long = vec![b'x'; 100_000];
        for piece in [&b"a NOOP\r\n"[..], &long, b"end"] {
            one.send(piece, patience).await.unwrap();
            let mut came = Vec::new();
            while came.len() < piece.len() {
                let filled = other.fill().await.unwrap();
                assert!(filled > 0 && filled <= PIECE);
                came.extend_from_slice(&other.input.split());
            }
            assert_eq!(came, piece);
        }
        let heard = async {
            let end = other.fill().await.unwrap();
            drop(other);
            end
        };
        assert_eq!(tokio::join!(one.close(patience), heard), ((), 0));
    }

    #[tokio::test]
    async fn the_last_reply_arrives_though_the_peer_still_talks() {
        let (mut one, mut other) = pair().await;
        let patience = Duration::from_secs(5);
        let talk = async {
            // More than the buffers between them hold: it ends only if it is read.
            other.send(&vec![b'x'; 6 << 20], 4 * patience).await.unwrap();
            let mut heard = Vec::new();
            while other.fill().await.unwrap() > 0 {
                heard.extend_from_slice(&other.input.split());
            }
            drop(other);
            heard
        };
        let farewell = async {
            one.send(b"* BYE\r\n", patience).await.unwrap();
            one.close(4 * patience).await;
        };
        assert_eq!(tokio::join!(farewell, talk).1, b"* BYE\r\n");
    }

    #[tokio::test]
    async fn others_have_their_turn_while_a_bomb_goes_off() {
        let mut packer = Deflate::new(BytesMut::new());
        let bomb = packer.pack(&vec![b'\n'; 32 << 20]).unwrap();
        let (_one, mut other) = pair().await;
        other.input.extend_from_slice(&bomb);
        other.compress();
        let turns = std::cell::Cell::new(0);
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let unpacked = async {
            for _ in 0..(32 << 20) / PIECE {
                other.fill().await.unwrap();
                other.input.clear();
            }
        };
        tokio::select! {
            biased;
            () = unpacked => {}
            () = others => {}
        }
        assert!(turns.get() > 10, "{}", turns.get());
    }

    #[tokio::test]
    async fn what_came_packed_before_is_unpacked() {
        let (mut one, mut other) = pair().await;
        one.compress();
        one.send(b"early", Duration::from_secs(5)).await.unwrap();
        assert!(other.fill().await.unwrap() > 0);
        other.compress();
        assert_eq!(other.fill().await.unwrap(), 5);
        assert_eq!(&other.input[..], b"early");
    }
}
