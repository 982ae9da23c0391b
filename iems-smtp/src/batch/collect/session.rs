//! The driver of a POP3 session: connection, TLS, patience.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use iems_core::seam::sasl::client::Failure;
use iems_core::seam::{Dialer, Endpoint, ResolveError, Resolver, Stream};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::talk::{Ask, NoPop3, Said, Talk};

/// How long an answer, or the next octets of a message, may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to connect, and to agree on TLS.
const CONNECT: Duration = Duration::from_secs(30);
/// The most addresses of a host that are tried.
const TRIES: usize = 4;
/// Octets read at a time.
const PIECE: usize = 64 * 1024;
/// The largest list that is read, in octets: some hundred thousand messages.
const LIST: usize = 16 << 20;

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("the address of {0} cannot be found: {1}")]
    Names(String, ResolveError),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    NoPop3(#[from] NoPop3),
    #[error("no answer within {PATIENCE:?}")]
    Late,
    #[error("the server refuses {0}: {1}")]
    Refused(&'static str, String),
    #[error("the server offers no TLS: set `tls` to \"none\" if a password may be told without it")]
    NoTls,
    #[error("the list of messages is larger than {LIST} octets")]
    TooMany,
    #[error(
        "the server gives messages no names (UIDL), so that what was taken would be taken again: this mailbox cannot be collected; it says: {0}"
    )]
    NoNames(String),
    #[error("the login goes wrong: {0}")]
    Login(#[from] Failure),
    #[error("the server says yes to the login before it could know; the password was not told")]
    TooEarly,
}

/// Who opens sessions.
pub(super) struct Opener {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) dialer: Arc<dyn Dialer>,
    pub(super) tls: Arc<ClientConfig>,
}

/// A session.
pub(super) struct Session {
    stream: Box<dyn Stream>,
    input: BytesMut,
    talk: Talk,
}

impl Opener {
    /// Connects; with `implicit` TLS comes before the greeting.
    pub(super) async fn open(&self, host: &str, port: u16, implicit: bool) -> Result<Session, SessionError> {
        let stream = self.dial(host, port).await?;
        let stream = if implicit { self.secure(stream, host).await? } else { stream };
        let mut session = Session { stream, input: BytesMut::new(), talk: Talk::new() };
        session.status("the connection").await?;
        Ok(session)
    }

    /// Goes on under TLS (RFC 2595). What the server said in the clear does not count: somebody else may have.
    pub(super) async fn upgrade(&self, mut session: Session, host: &str) -> Result<Session, SessionError> {
        match session.ask("STLS", &Ask::Stls).await {
            Err(SessionError::Refused(..)) => return Err(SessionError::NoTls),
            other => other?,
        };
        if !session.input.is_empty() {
            return Err(
                io::Error::new(io::ErrorKind::InvalidData, "something was said before TLS began").into()
            );
        }
        let stream = self.secure(session.stream, host).await?;
        Ok(Session { stream, input: BytesMut::new(), talk: Talk::new() })
    }

    async fn secure(&self, stream: Box<dyn Stream>, host: &str) -> Result<Box<dyn Stream>, SessionError> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connected = timeout(CONNECT, TlsConnector::from(self.tls.clone()).connect(name, stream)).await;
        let stream = connected.map_err(|_| SessionError::Late)??;
        Ok(Box::new(stream))
    }

    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, SessionError> {
        let addresses = match host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => {
                let found = self.resolver.addresses(host).await;
                found.map_err(|error| SessionError::Names(host.to_owned(), error))?.records
            }
        };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for ip in addresses.into_iter().take(TRIES) {
            let endpoint = Endpoint::Tcp(SocketAddr::new(ip, port));
            match timeout(CONNECT, self.dialer.dial(&endpoint, None)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last.into())
    }
}

impl Session {
    /// Says a command and reads the line of its answer.
    pub(super) async fn ask(&mut self, what: &'static str, ask: &Ask) -> Result<String, SessionError> {
        self.say(ask).await?;
        self.status(what).await
    }

    async fn say(&mut self, ask: &Ask) -> Result<(), SessionError> {
        let octets = self.talk.ask(ask);
        let sent = async {
            self.stream.write_all(&octets).await?;
            self.stream.flush().await
        };
        Ok(timeout(PATIENCE, sent).await.map_err(|_| SessionError::Late)??)
    }

    /// Says a command, or an answer within it; gives what the server says to that, one line.
    pub(super) async fn exchange(&mut self, ask: &Ask) -> Result<Said, SessionError> {
        self.say(ask).await?;
        self.said().await
    }

    async fn status(&mut self, what: &'static str) -> Result<String, SessionError> {
        match self.said().await? {
            Said::Ok(text) => Ok(text),
            Said::No(text) => Err(SessionError::Refused(what, text.chars().take(200).collect())),
            Said::Challenge(_) | Said::Octets(_) | Said::End { .. } => Err(NoPop3.into()),
        }
    }

    async fn said(&mut self) -> Result<Said, SessionError> {
        loop {
            if let Some(said) = self.talk.next(&mut self.input)? {
                return Ok(said);
            }
            self.input.reserve(PIECE);
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await;
            if read.map_err(|_| SessionError::Late)?? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// The next octets behind an answer; `None` at their end. The error tells of bare CR and LF, and comes at the end, too.
    pub(super) async fn more(&mut self) -> Result<Result<Option<Bytes>, Broken>, SessionError> {
        Ok(match self.said().await? {
            Said::Octets(octets) => Ok(Some(octets)),
            Said::End { broken: false } => Ok(None),
            Said::End { broken: true } => Err(Broken),
            Said::Ok(_) | Said::No(_) | Said::Challenge(_) => return Err(NoPop3.into()),
        })
    }

    /// All that follows an answer.
    pub(super) async fn list(&mut self) -> Result<Vec<u8>, SessionError> {
        let mut all = Vec::new();
        while let Ok(Some(octets)) = self.more().await? {
            all.extend_from_slice(&octets);
            if all.len() > LIST {
                return Err(SessionError::TooMany);
            }
        }
        Ok(all)
    }
}

/// What was sent holds a bare CR or LF.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broken;
