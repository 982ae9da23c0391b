//! What the judges' tests share: a DNS of a few names, a clock with hands, peers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::message::{Body, ChannelId, EnhancedStatus, Envelope, Mailbox, NextHop, Reply, Verdict};
use iems_core::preprocess::{Findings, Policy, Preprocessor, Stage, Subject};
use iems_core::receive::Connection;
use iems_core::route::Way;
use iems_core::seam::{
    Account, Answer, Clock, Directory, DirectoryError, Mx, Probe, Prober, Resolution, ResolveError, Resolver,
    ScramVerifier, Timestamp,
};
use iems_core::storage::{Blobs, MemoryStorage};

/// A DNS: name and kind to values; the value `!` is trouble, `-` a name without such records. Remembers what it was asked.
#[derive(Default)]
pub(crate) struct Zone {
    records: HashMap<(String, &'static str), Vec<String>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Zone {
    pub(crate) fn with(mut self, name: &str, kind: &'static str, values: &[&str]) -> Self {
        self.records.insert((name.into(), kind), values.iter().map(ToString::to_string).collect());
        self
    }

    fn find(&self, name: &str, kind: &'static str) -> Result<Vec<String>, ResolveError> {
        self.asked.lock().unwrap().push(format!("{name} {kind}"));
        match self.records.get(&(name.to_owned(), kind)).map(Vec::as_slice) {
            Some([one]) if one == "!" => Err(ResolveError::Temporary("SERVFAIL".into())),
            Some([one]) if one == "-" => Err(ResolveError::NoRecords),
            Some(values) => Ok(values.to_vec()),
            None if self.records.keys().any(|(known, _)| known == name) => Err(ResolveError::NoRecords),
            None => Err(ResolveError::NoName),
        }
    }
}

fn answer<T>(records: Vec<T>) -> Result<Answer<T>, ResolveError> {
    Ok(Answer { records, secure: false, ttl: Duration::from_secs(60) })
}

#[async_trait]
impl Resolver for Zone {
    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, ResolveError> {
        let hosts = self.find(domain, "MX")?;
        let host = |(at, host): (usize, String)| Mx { preference: at as u16, host };
        answer(hosts.into_iter().enumerate().map(host).collect())
    }

    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, ResolveError> {
        answer(self.find(host, "A")?.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    async fn txt(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        answer(self.find(name, "TXT")?)
    }

    async fn names(&self, ip: IpAddr) -> Result<Answer<String>, ResolveError> {
        answer(self.find(&ip.to_string(), "PTR")?)
    }
}

/// A clock that stands until it is moved. Spans end at once for whoever waits for them alone.
pub(crate) struct Hands(AtomicU64);

impl Default for Hands {
    fn default() -> Self {
        Self(AtomicU64::new(1_790_000_000_000))
    }
}

impl Hands {
    pub(crate) fn forward(&self, span: Duration) {
        self.0.fetch_add(span.as_millis() as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.forward(at.since(self.now()));
    }

    async fn sleep(&self, span: Duration) {
        self.forward(span);
    }
}

/// A directory whose only domain is `our.example`.
pub(crate) struct Ours;

#[async_trait]
impl Directory for Ours {
    async fn resolve(&self, _: &Mailbox) -> Result<Resolution, DirectoryError> {
        Ok(Resolution::Foreign)
    }

    async fn is_local(&self, domain: &iems_core::message::Domain) -> Result<bool, DirectoryError> {
        match domain.as_str() {
            "trouble.example" => Err(DirectoryError::Unavailable("gone".into())),
            name => Ok(name == "our.example"),
        }
    }

    async fn may_send_as(&self, _: &Account, _: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(false)
    }

    async fn check_password(&self, _: &str, _: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    async fn scram(&self, _: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok(None)
    }

    async fn policy(&self, _: &Mailbox) -> Result<Policy, DirectoryError> {
        Ok(Policy::new())
    }
}

/// A peer that sends a message.
pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) envelope: Envelope,
    pub(crate) recipients: Vec<Mailbox>,
    pub(crate) ways: Vec<Way>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) trusted: bool,
    pub(crate) body: Option<(Body, Arc<dyn Blobs>)>,
}

impl Peer {
    /// `192.0.2.7`, which calls itself `mail.far.example` and sends as `bob@far.example` to Ann.
    pub(crate) fn new() -> Self {
        let mut connection = Connection::new(ChannelId::new("smtp"), Some("192.0.2.7:25".parse().unwrap()));
        connection.helo = "mail.far.example".into();
        Self {
            connection,
            envelope: Envelope::new("<bob@far.example>".parse().unwrap()),
            recipients: vec!["ann@our.example".parse().unwrap()],
            ways: Vec::new(),
            verdicts: Vec::new(),
            trusted: false,
            body: None,
        }
    }

    /// With a message.
    pub(crate) async fn saying(mut self, message: &'static str) -> Self {
        let memory = MemoryStorage::new();
        let mut writer = memory.create().await.unwrap();
        writer.write(message.into()).await.unwrap();
        let header_size = message.find("\r\n\r\n").map_or(message.len(), |at| at + 4) as u64;
        let blob = writer.finish().await.unwrap();
        let body = Body { prefix: Default::default(), blob, blob_size: message.len() as u64, header_size };
        self.body = Some((body, memory));
        self
    }

    /// From another address.
    pub(crate) fn at(mut self, ip: &str) -> Self {
        self.connection.peer = Some((ip.parse::<IpAddr>().unwrap(), 25).into());
        self
    }

    /// With another name.
    pub(crate) fn hello(mut self, helo: &str) -> Self {
        self.connection.helo = helo.into();
        self
    }

    /// With another reverse-path.
    pub(crate) fn from(mut self, path: &str) -> Self {
        self.envelope = Envelope::new(path.parse().unwrap());
        self
    }

    /// What `judge` finds at `stage`.
    pub(crate) async fn seen(&self, judge: &dyn Preprocessor, stage: Stage) -> Findings {
        judge
            .inspect(&Subject {
                stage,
                connection: &self.connection,
                envelope: Some(&self.envelope),
                recipients: &self.recipients,
                body: self.body.as_ref().map(|(body, blobs)| (body, blobs)),
                verdicts: &self.verdicts,
                trusted: self.trusted,
                ways: &self.ways,
            })
            .await
    }

    /// The same, as `check=result score evidence` a line.
    pub(crate) async fn judged(&self, judge: &dyn Preprocessor, stage: Stage) -> String {
        let lines: Vec<String> = self
            .seen(judge, stage)
            .await
            .verdicts
            .iter()
            .map(|v| format!("{}={} {} {}", v.check, v.result, v.score, v.evidence))
            .collect();
        lines.join("\n")
    }
}

/// Other systems: what they answer, by `reach DOMAIN` and `ask HOP ADDRESS`. Whoever is not named cannot be reached.
#[derive(Default)]
pub(crate) struct Answers {
    answers: Mutex<HashMap<String, Probe>>,
    asked: Mutex<Vec<String>>,
}

impl Answers {
    pub(crate) fn reachable(hop: &str) -> Self {
        Self::default().with(&format!("reach {hop}"), Probe::Takes(said(250, "yes")))
    }

    pub(crate) fn with(self, question: &str, probe: Probe) -> Self {
        self.set(question, probe);
        self
    }

    pub(crate) fn set(&self, question: &str, probe: Probe) {
        self.answers.lock().unwrap().insert(question.to_owned(), probe);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn find(&self, question: String) -> Probe {
        let answer = self.answers.lock().unwrap().get(&question).cloned();
        self.asked.lock().unwrap().push(question);
        answer.unwrap_or_else(|| Probe::Unknown(said(451, "cannot connect")))
    }
}

#[async_trait]
impl Prober for Answers {
    async fn reach(&self, hop: &NextHop) -> Result<(), Reply> {
        match self.find(format!("reach {hop}")) {
            Probe::Takes(_) => Ok(()),
            Probe::Refuses(reply) | Probe::Unknown(reply) => Err(reply),
        }
    }

    async fn ask(&self, hop: &NextHop, mailbox: &Mailbox) -> Probe {
        self.find(format!("ask {hop} {mailbox}"))
    }
}

/// Yes, in the words of another system.
pub(crate) fn takes() -> Probe {
    Probe::Takes(said(250, "yes"))
}

/// No.
pub(crate) fn refuses() -> Probe {
    Probe::Refuses(said(550, "no such user"))
}

/// The words of another system.
fn said(code: u16, words: &str) -> Reply {
    Reply::new(code, EnhancedStatus::new((code / 100) as u8, 1, 1), words)
}
