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

/// How much a client reads at once, in octets.
const ROOM: usize = 64 << 10;

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
    /// What came and is not used yet: from `at` to `end`.
    arrived: Box<[u8]>,
    at: usize,
    end: usize,
    /// Room for the next line.
    spare: Vec<u8>,
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
        let mut imap =
            Self { stream, arrived: vec![0; ROOM].into(), at: 0, end: 0, spare: Vec::new(), tag: 0 };
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
        let (mut line, mut within) = (std::mem::take(&mut self.spare), false);
        loop {
            self.line_into(&mut line)?;
            brought.octets += line.len() + 2;
            if !within
                && let Some(end) = line.strip_prefix(tag.as_bytes()).and_then(|rest| rest.strip_prefix(b" "))
            {
                return match end.starts_with(b"OK") {
                    true => {
                        self.spare = line;
                        Ok(brought)
                    }
                    false => Err(io::Error::other(format!("{command}: {}", String::from_utf8_lossy(end)))),
                };
            }
            brought.lines += usize::from(!within);
            if line.starts_with(b"* SEARCH") || line.starts_with(b"* ESEARCH") {
                brought.kept.push(String::from_utf8_lossy(&line).into_owned());
            }
            let literal = literal(&line);
            within = literal.is_some();
            if let Some(octets) = literal {
                self.skip(octets)?;
                brought.octets += octets;
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
        let mut line = Vec::new();
        self.line_into(&mut line)?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn line_into(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        line.clear();
        loop {
            let arrived = &self.arrived[self.at..self.end];
            let end = memchr(b'\n', arrived);
            line.extend_from_slice(&arrived[..end.unwrap_or(arrived.len())]);
            self.at += end.map_or(arrived.len(), |end| end + 1);
            if end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(());
            }
            self.more()?;
        }
    }

    fn skip(&mut self, mut octets: usize) -> io::Result<()> {
        loop {
            let here = octets.min(self.end - self.at);
            self.at += here;
            octets -= here;
            if octets == 0 {
                return Ok(());
            }
            self.more()?;
        }
    }

    /// Reads once more, when all that came before is used.
    fn more(&mut self) -> io::Result<()> {
        let n = match &mut self.stream {
            Stream::Clear(stream) => stream.read(&mut self.arrived)?,
            Stream::Tls(tls) => tls.read(&mut self.arrived)?,
        };
        (self.at, self.end) = (0, n);
        match n {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The size of the literal that a line announces at its end.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}")?;
    let at = memchr::memrchr(b'{', line)?;
    std::str::from_utf8(&line[at + 1..]).ok()?.parse().ok()
}
