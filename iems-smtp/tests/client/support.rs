//! A world for the client: servers that follow a script, names from a table, messages from memory.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::deliver::{Attempt, Channel, Destination, Link, Outcome};
use iems_core::message::{
    Body, ChannelId, Domain, Envelope, Mailbox, NextHop, QueueId, Recipient, Reply, ReversePath,
};
use iems_core::preprocess::Policy;
use iems_core::seam::{
    Answer, Association, Dialer, Endpoint, Mx, ResolveError, Resolver, SeededRandom, Stream, Timestamp,
};
use iems_core::storage::MemoryStorage;
use iems_smtp::client::{ClientSettings, SmtpClient};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;

/// Octets between the two sides that nobody has read yet.
pub(crate) const ROOMY: usize = 1 << 20;

/// Servers behind endpoints: each connection to one takes its next script.
///
/// A script has one step a line. `S: text` says it. `C: text` wants exactly this line; `C* text` one that begins so.
/// `TEXT: body` wants mail data up to its dot, stuffed; `OCTETS: body` exactly these octets (`\n` stands for CRLF).
/// `TLS` does the handshake; `GARBAGE` answers it with something else; `CLOSE` hangs up; `SILENCE` says nothing more.
#[derive(Default)]
pub(crate) struct World {
    scripts: Mutex<HashMap<String, VecDeque<String>>>,
    complaints: Arc<Mutex<Vec<String>>>,
    dialed: Mutex<Vec<String>>,
    sources: Mutex<Vec<Option<IpAddr>>>,
    tls: Option<TlsAcceptor>,
    room: usize,
    mx: HashMap<String, Result<Vec<(u16, String)>, ResolveError>>,
    hosts: HashMap<String, Result<Vec<IpAddr>, ResolveError>>,
    /// Whether DNSSEC proves all of it.
    signed: bool,
    tlsa: HashMap<String, Result<Vec<Association>, ResolveError>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { room: ROOMY, ..Self::default() }
    }

    pub(crate) fn room(mut self, room: usize) -> Self {
        self.room = room;
        self
    }

    pub(crate) fn tls(mut self, acceptor: TlsAcceptor) -> Self {
        self.tls = Some(acceptor);
        self
    }

    pub(crate) fn server(self, endpoint: &str, script: &str) -> Self {
        self.scripts.lock().unwrap().entry(endpoint.into()).or_default().push_back(script.into());
        self
    }

    pub(crate) fn mx(mut self, domain: &str, records: &[(u16, &str)]) -> Self {
        let records = records.iter().map(|(preference, host)| (*preference, host.to_string())).collect();
        self.mx.insert(domain.into(), Ok(records));
        self
    }

    pub(crate) fn mx_error(mut self, domain: &str, error: ResolveError) -> Self {
        self.mx.insert(domain.into(), Err(error));
        self
    }

    pub(crate) fn host(mut self, host: &str, addresses: &[&str]) -> Self {
        self.hosts.insert(host.into(), Ok(addresses.iter().map(|ip| ip.parse().unwrap()).collect()));
        self
    }

    pub(crate) fn host_error(mut self, host: &str, error: ResolveError) -> Self {
        self.hosts.insert(host.into(), Err(error));
        self
    }

    /// All answers of the DNS are proven.
    pub(crate) fn signed(mut self) -> Self {
        self.signed = true;
        self
    }

    pub(crate) fn tlsa(mut self, name: &str, records: Result<Vec<Association>, ResolveError>) -> Self {
        self.tlsa.insert(name.into(), records);
        self
    }

    fn answer<T>(&self, records: Vec<T>) -> Answer<T> {
        Answer { records, secure: self.signed, ttl: Duration::from_secs(60) }
    }

    /// The endpoints that were dialed, in order.
    pub(crate) fn dialed(&self) -> Vec<String> {
        self.dialed.lock().unwrap().clone()
    }

    /// The addresses from which they were dialed.
    pub(crate) fn sources(&self) -> Vec<String> {
        let shown = |from: &Option<IpAddr>| from.map_or("any".to_owned(), |ip| ip.to_string());
        self.sources.lock().unwrap().iter().map(shown).collect()
    }

    /// Fails if a server heard what its script does not have, or was left waiting.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let complaints = self.complaints.lock().unwrap().clone();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        let scripts = self.scripts.lock().unwrap();
        let left: Vec<_> = scripts.iter().filter(|(_, scripts)| !scripts.is_empty()).collect();
        assert!(left.is_empty(), "nobody came: {left:?}");
    }
}

#[async_trait]
impl Dialer for World {
    async fn dial(&self, to: &Endpoint, from: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let name = to.to_string();
        self.sources.lock().unwrap().push(from);
        self.dialed.lock().unwrap().push(name.clone());
        let script = self.scripts.lock().unwrap().get_mut(&name).and_then(VecDeque::pop_front);
        let Some(script) = script else { return Err(io::ErrorKind::ConnectionRefused.into()) };
        let (ours, theirs) = duplex(self.room);
        let (tls, complaints) = (self.tls.clone(), self.complaints.clone());
        tokio::spawn(async move {
            if let Err(complaint) = play(&script, Box::new(theirs), tls).await {
                complaints.lock().unwrap().push(format!("{name}: {complaint}"));
            }
        });
        Ok(Box::new(ours))
    }
}

async fn play(script: &str, mut stream: Box<dyn Stream>, tls: Option<TlsAcceptor>) -> Result<(), String> {
    for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let heard = match verb {
            "S:" => {
                let text = rest.replace("\\n", "\r\n") + "\r\n";
                stream.write_all(text.as_bytes()).await.map_err(|e| format!("at {step}: {e}"))?;
                continue;
            }
            "TLS" => {
                let acceptor = tls.clone().expect("a certificate");
                stream = Box::new(acceptor.accept(stream).await.map_err(|e| format!("handshake: {e}"))?);
                continue;
            }
            "GARBAGE" => {
                let _ = stream.read(&mut [0; 100]).await;
                let _ = stream.write_all(b"what is this\r\n").await;
                return Ok(());
            }
            "CLOSE" => return Ok(()),
            "SILENCE" => return std::future::pending().await,
            "C:" | "C*" => until(&mut stream, b"\r\n").await,
            "TEXT:" => until(&mut stream, b"\r\n.\r\n").await,
            "OCTETS:" => {
                let mut octets = vec![0; rest.replace("\\n", "\r\n").len()];
                stream.read_exact(&mut octets).await.map(|_| octets)
            }
            other => panic!("unknown step {other}"),
        };
        let heard = String::from_utf8_lossy(&heard.map_err(|e| format!("at {step}: {e}"))?).into_owned();
        let wanted = rest.replace("\\n", "\r\n");
        let right = match verb {
            "C:" => heard == wanted + "\r\n",
            "C*" => heard.starts_with(&wanted),
            "TEXT:" => heard == wanted + ".\r\n",
            _ => heard == wanted,
        };
        if !right {
            return Err(format!("at {step}: heard {heard:?}"));
        }
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    match rest.is_empty() {
        true => Ok(()),
        false => Err(format!("after the end: heard {:?}", String::from_utf8_lossy(&rest))),
    }
}

async fn until(stream: &mut Box<dyn Stream>, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while !all.ends_with(end) {
        all.push(stream.read_u8().await?);
    }
    Ok(all)
}

#[async_trait]
impl Resolver for World {
    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, ResolveError> {
        let records = self.mx.get(domain).cloned().unwrap_or(Err(ResolveError::NoRecords))?;
        Ok(self.answer(records.into_iter().map(|(preference, host)| Mx { preference, host }).collect()))
    }

    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, ResolveError> {
        self.hosts.get(host).cloned().unwrap_or(Err(ResolveError::NoName)).map(|all| self.answer(all))
    }

    async fn txt(&self, _: &str) -> Result<Answer<String>, ResolveError> {
        Err(ResolveError::NoRecords)
    }

    async fn associations(&self, name: &str) -> Result<Answer<Association>, ResolveError> {
        self.tlsa.get(name).cloned().unwrap_or(Err(ResolveError::NoName)).map(|all| self.answer(all))
    }

    async fn names(&self, _: IpAddr) -> Result<Answer<String>, ResolveError> {
        Err(ResolveError::NoRecords)
    }
}

pub(crate) fn channel(world: &Arc<World>, settings: ClientSettings) -> SmtpClient {
    let random = Arc::new(SeededRandom::new(1));
    SmtpClient::new(ChannelId::new("out"), settings, world.clone(), world.clone(), random).unwrap()
}

pub(crate) fn mailbox(text: &str) -> Mailbox {
    text.parse().unwrap()
}

/// A message to these recipients.
pub(crate) async fn message(body: &[u8], to: &[&str]) -> Attempt {
    let blobs = MemoryStorage::new().storage().blobs;
    let mut writer = blobs.create().await.unwrap();
    writer.write(body.to_vec().into()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let header = body.windows(4).position(|w| w == b"\r\n\r\n").map_or(body.len(), |at| at + 4);
    Attempt {
        id: QueueId::from_bytes([7; 16]),
        number: 1,
        envelope: Arc::new(Envelope::new(ReversePath::Mailbox(mailbox("s@us.example")))),
        body: Body {
            prefix: Default::default(),
            blob,
            blob_size: body.len() as u64,
            header_size: header as u64,
        },
        blobs,
        destinations: to.iter().map(|address| destination(address)).collect(),
        verdicts: Arc::new([]),
        upstream: None,
        arrived: Timestamp::from_millis(0),
        now: Timestamp::from_millis(0),
    }
}

pub(crate) fn destination(address: &str) -> Destination {
    Destination {
        mailbox: mailbox(address),
        detail: None,
        recipient: Recipient::new(mailbox(address)),
        decision: Policy::new().decide(&[]),
    }
}

pub(crate) async fn open(
    world: &Arc<World>,
    settings: ClientSettings,
    hop: &str,
) -> Result<Box<dyn Link>, Reply> {
    channel(world, settings).open(&NextHop::new(hop)).await
}

/// Sends one message to `hop` and says good-bye.
pub(crate) async fn send(
    world: &Arc<World>,
    settings: ClientSettings,
    hop: &str,
    attempt: &Attempt,
) -> Vec<Outcome> {
    let mut link = open(world, settings, hop).await.expect("a link");
    let outcomes = link.transmit(attempt).await;
    link.close().await;
    assert_eq!(outcomes.len(), attempt.destinations.len());
    outcomes
}

/// Outcomes in short: `done 250 2.0.0`, `deferred 451 4.4.2`, `failed 550 5.1.1`.
pub(crate) fn short(outcomes: &[Outcome]) -> Vec<String> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Done(..) => "done",
        Outcome::Deferred(_) => "deferred",
        Outcome::Failed(_) => "failed",
    };
    outcomes.iter().map(|o| format!("{} {} {}", word(o), o.reply().code, o.reply().enhanced)).collect()
}

pub(crate) fn smtp() -> ClientSettings {
    ClientSettings::smtp("us.example")
}

pub(crate) fn lmtp() -> ClientSettings {
    ClientSettings::lmtp("us.example")
}

pub(crate) fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}
