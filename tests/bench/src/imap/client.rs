//! An IMAP client that says lines and counts what comes back: as little as a client can do, so that the server is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use memchr::memchr;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

/// How long a client waits: the first search of a large mailbox takes some servers long.
const PATIENCE: Duration = Duration::from_secs(300);

enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What a command brought.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Untagged lines.
    pub(super) lines: usize,
    /// Octets, literals included.
    pub(super) octets: usize,
    /// The untagged lines that began with one of these words were kept, without their literals.
    pub(super) kept: Vec<String>,
}

/// A connection.
pub(super) struct Imap {
    stream: Stream,
    arrived: Vec<u8>,
    at: usize,
    tag: u32,
}

impl Imap {
    /// Connects and hears the greeting.
    pub(super) fn connect(to: SocketAddrV4, tls: Option<(&Arc<ClientConfig>, &str)>) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::V4(to), Duration::from_secs(20))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let stream = match tls {
            None => Stream::Clear(stream),
            Some((config, name)) => {
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                Stream::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        let mut imap = Self { stream, arrived: Vec::new(), at: 0, tag: 0 };
        let greeting = imap.line()?;
        if !greeting.starts_with("* OK") {
            return Err(io::Error::other(greeting));
        }
        Ok(imap)
    }

    /// Connects, and logs in as `user` with the password that all have.
    pub(super) fn login(
        to: SocketAddrV4,
        tls: Option<(&Arc<ClientConfig>, &str)>,
        user: &str,
    ) -> io::Result<Self> {
        let mut imap = Self::connect(to, tls)?;
        imap.command(&format!("LOGIN {user} secret"))?;
        Ok(imap)
    }

    /// Says a command; what it brought, if it ended well.
    pub(super) fn command(&mut self, command: &str) -> io::Result<Brought> {
        let tag = self.say(command)?;
        self.hear(&tag, command)
    }

    /// Appends messages in one command, without waiting for leave.
    pub(super) fn append(&mut self, mailbox: &str, messages: &[Vec<u8>]) -> io::Result<()> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        let mut octets = format!("{tag} APPEND {mailbox}").into_bytes();
        for message in messages {
            let _ = write!(octets, " {{{}+}}\r\n", message.len());
            octets.extend_from_slice(message);
        }
        octets.extend_from_slice(b"\r\n");
        self.send(&octets)?;
        self.hear(&tag, "APPEND").map(drop)
    }

    /// Says a command and waits for the continuation only: IDLE.
    pub(super) fn idle(&mut self) -> io::Result<()> {
        self.say("IDLE")?;
        loop {
            let line = self.line()?;
            if line.starts_with('+') {
                return Ok(());
            }
            if !line.starts_with("* ") {
                return Err(io::Error::other(line));
            }
        }
    }

    /// Reads until a line that ends so has come.
    pub(super) fn until(&mut self, end: &str) -> io::Result<()> {
        while !self.line()?.ends_with(end) {}
        Ok(())
    }

    fn say(&mut self, command: &str) -> io::Result<String> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.send(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    fn hear(&mut self, tag: &str, command: &str) -> io::Result<Brought> {
        let mut brought = Brought::default();
        loop {
            let line = self.line()?;
            brought.octets += line.len() + 2;
            if let Some(end) = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                return match end.starts_with("OK") {
                    true => Ok(brought),
                    false => Err(io::Error::other(format!("{command}: {end}"))),
                };
            }
            brought.lines += 1;
            if line.starts_with("* SEARCH") || line.starts_with("* ESEARCH") {
                brought.kept.push(line.clone());
            }
            let mut line = line;
            while let Some(octets) = literal(&line) {
                self.skip(octets)?;
                line = self.line()?;
                brought.octets += octets + line.len() + 2;
            }
        }
    }

    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(stream) => stream.write_all(octets),
            Stream::Tls(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
        }
    }

    /// The next line without its CRLF.
    fn line(&mut self) -> io::Result<String> {
        let mut looked = self.at;
        loop {
            if let Some(end) = memchr(b'\n', &self.arrived[looked..]) {
                let line = &self.arrived[self.at..looked + end];
                let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
                self.at = looked + end + 1;
                return Ok(line);
            }
            let unread = self.arrived.len() - self.at;
            self.more()?;
            looked = self.at + unread;
        }
    }

    fn skip(&mut self, mut octets: usize) -> io::Result<()> {
        loop {
            let here = octets.min(self.arrived.len() - self.at);
            self.at += here;
            octets -= here;
            if octets == 0 {
                return Ok(());
            }
            self.more()?;
        }
    }

    /// Reads once more; what was used goes.
    fn more(&mut self) -> io::Result<()> {
        self.arrived.drain(..self.at);
        self.at = 0;
        let before = self.arrived.len();
        self.arrived.resize(before + 65536, 0);
        let room = &mut self.arrived[before..];
        let n = match &mut self.stream {
            Stream::Clear(stream) => stream.read(room),
            Stream::Tls(tls) => tls.read(room),
        };
        let n = n.inspect_err(|_| ()).unwrap_or(0);
        self.arrived.truncate(before + n);
        match n {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The size of the literal that a line announces at its end.
fn literal(line: &str) -> Option<usize> {
    let (_, size) = line.strip_suffix('}')?.rsplit_once('{')?;
    size.parse().ok()
}
