//! A connection that says exactly what it is told to, octet by octet, in the clear or under TLS.
//! Shared by the raw SMTP and POP3 clients and by dialogues that break the rules.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

/// How long a read waits before the story fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The stream below: replaced when TLS starts.
enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Gone,
}

/// A connection with a buffer of what has arrived.
pub struct Wire {
    stream: Stream,
    arrived: Vec<u8>,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// As the system says.
    pub fn connect(to: SocketAddrV4) -> io::Result<Self> {
        Self::new(TcpStream::connect_timeout(&SocketAddr::V4(to), PATIENCE)?)
    }

    /// Connects from an address of this machine.
    ///
    /// # Errors
    /// As the system says.
    pub fn connect_from(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<Self> {
        let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None)?;
        net::bind(&socket, &SocketAddrV4::new(from, 0))?;
        net::connect(&socket, &to)?;
        Self::new(socket.into())
    }

    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Stream::Clear(stream), arrived: Vec::new() })
    }

    /// Connects and starts TLS at once.
    ///
    /// # Errors
    /// As the system or the TLS library says.
    pub fn connect_tls(to: SocketAddrV4, tls: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let mut wire = Self::connect(to)?;
        wire.start_tls(tls, name)?;
        Ok(wire)
    }

    /// Starts TLS on the open connection; what had arrived before is forgotten.
    ///
    /// # Errors
    /// If the handshake fails.
    pub fn start_tls(&mut self, tls: Arc<ClientConfig>, name: &str) -> io::Result<()> {
        let Stream::Clear(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(io::Error::other("TLS runs already"));
        };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(tls, name).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(session, stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        self.arrived.clear();
        self.stream = Stream::Tls(Box::new(tls));
        Ok(())
    }

    /// Whether TLS went on where an earlier connection had left off.
    pub fn is_resumed(&self) -> bool {
        match &self.stream {
            Stream::Tls(tls) => tls.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            _ => false,
        }
    }

    /// How long reads wait from now on.
    pub fn patience(&self, limit: Duration) {
        self.socket().set_read_timeout(Some(limit)).expect("a timeout can be set");
    }

    /// The socket itself, for stories that cut it.
    ///
    /// # Panics
    /// After a failed handshake.
    pub fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Clear(stream) => stream,
            Stream::Tls(tls) => &tls.sock,
            Stream::Gone => panic!("the handshake failed"),
        }
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// As the system says.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(stream) => stream.write_all(octets),
            Stream::Tls(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The next line without its CRLF; `UnexpectedEof` when the peer has closed.
    ///
    /// # Errors
    /// As the system says; a lone LF is an error too: the server must never send one.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut looked = 0;
        loop {
            if let Some(at) = self.arrived[looked..].iter().position(|&octet| octet == b'\n') {
                let mut line: Vec<u8> = self.arrived.drain(..=looked + at).collect();
                line.pop();
                if line.pop() != Some(b'\r') {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a lone LF"));
                }
                return Ok(line);
            }
            looked = self.arrived.len();
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// So many octets.
    ///
    /// # Errors
    /// As the system says; `UnexpectedEof` when the peer has closed.
    pub fn octets(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.arrived.len() < count {
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.arrived.drain(..count).collect())
    }

    /// Everything until the peer closes, with what had arrived before.
    ///
    /// # Errors
    /// As the system says; a connection reset counts as closed.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more() {
                Ok(0) => return Ok(std::mem::take(&mut self.arrived)),
                Ok(_) => {}
                Err(e) if closed(&e) => return Ok(std::mem::take(&mut self.arrived)),
                Err(e) => return Err(e),
            }
        }
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 65536];
        let n = match &mut self.stream {
            Stream::Clear(stream) => stream.read(&mut chunk)?,
            Stream::Tls(tls) => tls.read(&mut chunk)?,
            Stream::Gone => 0,
        };
        self.arrived.extend_from_slice(&chunk[..n]);
        Ok(n)
    }
}

/// Whether an error means no more than that the peer has closed.
pub fn closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
