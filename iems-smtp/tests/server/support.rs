//! An engine in memory with servers in front, and a peer that says lines.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use iems_core::Engine;
use iems_core::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Outcome};
use iems_core::message::{ChannelId, Domain, EnhancedStatus, Mailbox, Reply};
use iems_core::preprocess::{Findings, Matrix, Policy, Preprocessor, Stage, Subject};
use iems_core::seam::sasl::derive_verifier;
use iems_core::seam::{
    Account, Directory, DirectoryError, NoResolver, Resolution, ScramVerifier, SystemClock, Target,
};
use iems_core::storage::{MemoryStorage, Storage};
use iems_smtp::server::{Listener, Mode, Server, ServerOptions, TlsConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Long enough for a busy machine, short enough for a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everybody at `test.example` but `nobody`; the login `user` has the password `pencil`.
struct Everybody;

fn user() -> Account {
    Account::new("user@test.example".parse().unwrap())
}

#[async_trait]
impl Directory for Everybody {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        Ok(match (mailbox.domain().as_str(), mailbox.local().as_str()) {
            ("test.example", "nobody") => Resolution::Unknown,
            ("test.example", _) => {
                let agent = ChannelId::new("shelf");
                Resolution::Targets(vec![Target::Agent { agent, mailbox: mailbox.clone(), detail: None }])
            }
            _ => Resolution::Foreign,
        })
    }
    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        Ok(domain.as_str() == "test.example")
    }
    async fn may_send_as(&self, account: &Account, sender: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(account.mailbox == *sender)
    }
    async fn check_password(&self, login: &str, password: &str) -> Result<Option<Account>, DirectoryError> {
        match login {
            "away" => Err(DirectoryError::Unavailable("test".into())),
            _ => Ok((login == "user" && password == "pencil").then(user)),
        }
    }
    async fn scram(&self, login: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok((login == "user").then(|| (user(), derive_verifier("pencil", b"salt", 16))))
    }
    async fn policy(&self, _: &Mailbox) -> Result<Policy, DirectoryError> {
        Ok(Policy::new())
    }
}

/// Keeps what it is given.
struct Shelf {
    id: ChannelId,
    storage: Storage,
    kept: Arc<Mutex<Vec<(String, String)>>>,
}

#[async_trait]
impl DeliveryAgent for Shelf {
    fn id(&self) -> &ChannelId {
        &self.id
    }
    async fn accepts(&self, _: &Mailbox, _: u64) -> Result<(), Reply> {
        Ok(())
    }
    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        let octets = attempt.body.reader(&*self.storage.blobs).rest().await.unwrap();
        for destination in &attempt.destinations {
            let message = String::from_utf8_lossy(&octets).into_owned();
            self.kept.lock().unwrap().push((destination.mailbox.to_string(), message));
            let reply = Reply::new(250, EnhancedStatus::new(2, 0, 0), "kept");
            delivery.outcomes.push(Outcome::Done(Arrival::Delivered, reply));
            delivery.decisions.push(None);
        }
        delivery
    }
}

/// Panics where a peer calls itself `panic.example`.
struct Fragile;

#[async_trait]
impl Preprocessor for Fragile {
    fn id(&self) -> &str {
        "fragile"
    }
    fn stages(&self) -> &[Stage] {
        &[Stage::Hello]
    }
    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        assert_ne!(subject.connection.helo, "panic.example");
        Findings::default()
    }
}

/// An engine with one server.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) server: Arc<Server>,
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Vec<(String, String)>>>,
    roots: rustls::RootCertStore,
}

/// Options with times for tests.
pub(crate) fn options(mode: Mode) -> ServerOptions {
    let name = match mode {
        Mode::Relay => "smtp",
        Mode::Submission => "submission",
        Mode::Lmtp => "lmtp",
        Mode::Collection => "odmr",
    };
    let mut options = ServerOptions::new(mode, ChannelId::new(name), "mx.test.example");
    options.auth.failure_delay = Duration::from_millis(1);
    options.limits.error_delay = Duration::from_millis(1);
    options
}

impl House {
    pub(crate) fn new(options: ServerOptions) -> Self {
        Self::with(options, Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap())
    }

    pub(crate) fn with(options: ServerOptions, listener: Listener) -> Self {
        let (tls, roots) = certificate();
        let address = listener.local_addr().unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let directory: Arc<dyn Directory> = Arc::new(Everybody);
        let (resolver, clock) = (Arc::new(NoResolver), Arc::new(SystemClock));
        let server = Server::new(options, vec![listener], directory.clone(), resolver, clock, Some(tls));
        let server = Arc::new(server.unwrap());
        let storage = MemoryStorage::new().storage();
        let kept = Arc::new(Mutex::default());
        let shelf = Shelf { id: ChannelId::new("shelf"), storage: storage.clone(), kept: Arc::clone(&kept) };
        let engine = Engine::builder("mx.test.example", storage, directory)
            .input(server.clone())
            .agent(Arc::new(shelf))
            .preprocessor(Arc::new(Fragile), Matrix::everywhere())
            .build()
            .unwrap();
        engine.start();
        Self { engine, server, address, kept, roots }
    }

    pub(crate) async fn connect(&self) -> Peer<TcpStream> {
        Peer::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// Shakes hands over a connection.
    pub(crate) async fn handshake(
        &self,
        peer: Peer<TcpStream>,
    ) -> std::io::Result<Peer<TlsStream<TcpStream>>> {
        assert_eq!(peer.buffer, b"", "nothing may be left over");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let name = ServerName::try_from("mx.test.example").unwrap();
        Ok(Peer::new(TlsConnector::from(Arc::new(config)).connect(name, peer.stream).await?))
    }

    /// The messages delivered so far, once there are `count` of them.
    pub(crate) async fn delivered(&self, count: usize) -> Vec<(String, String)> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.kept.lock().unwrap().len() < count && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.kept.lock().unwrap().clone()
    }
}

fn certificate() -> (TlsConfig, rustls::RootCertStore) {
    let made = rcgen::generate_simple_self_signed(vec!["mx.test.example".into()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (Arc::new(ArcSwap::from_pointee(config)), roots)
}

/// The other end of a connection.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next reply: its last line, without CRLF. Empty at the end.
    pub(crate) async fn reply(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = String::from_utf8(self.buffer.drain(..end + 2).collect()).unwrap();
                if line.as_bytes().get(3) != Some(&b'-') {
                    return line.trim_end().into();
                }
                continue;
            }
            let mut piece = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("an answer");
            match read {
                Ok(0) | Err(_) => return String::new(),
                Ok(octets) => self.buffer.extend_from_slice(&piece[..octets]),
            }
        }
    }

    /// All octets up to the end.
    pub(crate) async fn reply_octets(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut octets)).await.expect("an end");
        octets
    }

    /// Says a line, and gives the reply.
    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.reply().await
    }

    /// Says a line, and wants a reply that begins so.
    pub(crate) async fn expect(&mut self, line: &str, wanted: &str) {
        let reply = self.ask(line).await;
        assert!(reply.starts_with(wanted), "{line:?}: {reply:?}, wanted {wanted:?}");
    }
}
