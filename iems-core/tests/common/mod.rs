//! A small world around an engine: a directory, an agent, a channel whose far side follows a script,
//! simulated time, and storage that fails where it is told to.

#![allow(dead_code)] // each test binary uses its own part

pub(crate) mod moody;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::deliver::*;
use iems_core::message::*;
use iems_core::preprocess::Policy;
use iems_core::receive::{Connection, Receipt};
use iems_core::route::{RouteTable, Via};
use iems_core::seam::*;
use iems_core::storage::*;
use iems_core::{Builder, Engine, Settings};

/// The paused clock of tokio as a wall clock: a week passes in a moment.
pub(crate) struct PausedClock(tokio::time::Instant);

impl PausedClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(tokio::time::Instant::now()))
    }
}

#[async_trait]
impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000).after(self.0.elapsed())
    }

    async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep(at.since(self.now())).await;
    }
}

/// `here.example` is ours: `a`, `b`, `c`; `team` is `a` and `b`; `also` is `a`; `out` goes to `x@there.example`.
pub(crate) struct Names;

fn agent(name: &str) -> Target {
    Target::Agent {
        agent: ChannelId::new("local"),
        mailbox: format!("{name}@here.example").parse().unwrap(),
        detail: None,
    }
}

#[async_trait]
impl Directory for Names {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        if mailbox.domain().as_str() != "here.example" {
            return Ok(Resolution::Foreign);
        }
        Ok(Resolution::Targets(match mailbox.local().as_str() {
            name @ ("a" | "b" | "c" | "postmaster") => vec![agent(name)],
            "also" => vec![agent("a")],
            "team" => vec![agent("a"), agent("b")],
            "out" => vec![Target::Forward("x@there.example".parse().unwrap())],
            "round" => vec![Target::Forward("about@here.example".parse().unwrap())],
            "about" => vec![Target::Forward("round@here.example".parse().unwrap())],
            _ => return Ok(Resolution::Unknown),
        }))
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        Ok(domain.as_str() == "here.example")
    }

    async fn may_send_as(&self, account: &Account, sender: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(account.mailbox == *sender)
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

/// Keeps a row per delivery: key `M` mailbox `/` number, value the text of the message.
pub(crate) struct Boxes {
    id: ChannelId,
    pub(crate) defer_first: AtomicU64,
}

impl Boxes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { id: ChannelId::new("local"), defer_first: AtomicU64::new(0) })
    }
}

#[async_trait]
impl DeliveryAgent for Boxes {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn accepts(&self, mailbox: &Mailbox, _: u64) -> Result<(), Reply> {
        match mailbox.local().as_str() {
            "full" => Err(Reply::new(552, EnhancedStatus::new(5, 2, 2), "mailbox full")),
            _ => Ok(()),
        }
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        let wait = self.defer_first.load(Ordering::SeqCst);
        if wait > 0 {
            self.defer_first.store(wait - 1, Ordering::SeqCst);
            delivery.outcomes = vec![Outcome::deferred(2, 0, "not now"); attempt.destinations.len()];
            return delivery;
        }
        for destination in &attempt.destinations {
            let counter = format!("N{}", destination.mailbox);
            let uid = delivery.effects.batch.allocate(counter.as_bytes(), 1);
            let key = Template::from(format!("M{}/", destination.mailbox).into_bytes()).number(uid, 0);
            let text = match attempt.body.reader(&*attempt.blobs).rest().await {
                Ok(text) => text,
                Err(_) => {
                    delivery.outcomes =
                        vec![Outcome::deferred(3, 0, "unreadable"); attempt.destinations.len()];
                    delivery.effects = Effects::default();
                    return delivery;
                }
            };
            delivery.effects.batch.put(key, text);
            delivery.outcomes.push(Outcome::Done(
                Arrival::Delivered,
                Reply::new(250, EnhancedStatus::new(2, 1, 5), "delivered"),
            ));
            delivery.decisions.push(None);
        }
        delivery
    }
}

/// What a far address answers, attempt by attempt; the last answer repeats.
pub(crate) type Script = HashMap<String, Vec<Outcome>>;

pub(crate) fn ok() -> Outcome {
    Outcome::Done(Arrival::Relayed, Reply::new(250, EnhancedStatus::new(2, 0, 0), "taken"))
}

pub(crate) fn later() -> Outcome {
    Outcome::deferred(4, 1, "not now")
}

pub(crate) fn never() -> Outcome {
    Outcome::Failed(Reply::refuse(1, 1, "nobody of that name"))
}

/// What arrived on the far side: address and text.
pub(crate) type Arrived = Arc<Mutex<Vec<(String, String)>>>;

/// A channel whose far side follows a script.
pub(crate) struct Far {
    id: ChannelId,
    script: Script,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    pub(crate) arrived: Arrived,
    pub(crate) opened: AtomicU64,
    pub(crate) down: Mutex<Option<Reply>>,
}

impl Far {
    pub(crate) fn new(script: &[(&str, Vec<Outcome>)]) -> Arc<Self> {
        Arc::new(Self {
            id: ChannelId::new("smtp"),
            script: script.iter().map(|(name, answers)| (name.to_string(), answers.clone())).collect(),
            asked: Arc::default(),
            arrived: Arc::default(),
            opened: AtomicU64::new(0),
            down: Mutex::new(None),
        })
    }

    pub(crate) fn copies(&self, name: &str) -> usize {
        self.arrived.lock().unwrap().iter().filter(|(to, _)| to == name).count()
    }

    pub(crate) fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Channel for Far {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn open(&self, _: &NextHop) -> Result<Box<dyn Link>, Reply> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        if let Some(reply) = &*self.down.lock().unwrap() {
            return Err(reply.clone());
        }
        Ok(Box::new(Wire {
            script: self.script.clone(),
            asked: self.asked.clone(),
            arrived: self.arrived.clone(),
        }))
    }
}

struct Wire {
    script: Script,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    arrived: Arrived,
}

#[async_trait]
impl Link for Wire {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Ok(text) = attempt.body.reader(&*attempt.blobs).rest().await else { return Vec::new() };
        let text = String::from_utf8(text).unwrap();
        let mut outcomes = Vec::new();
        for destination in &attempt.destinations {
            let name = destination.mailbox.to_string();
            let mut asked = self.asked.lock().unwrap();
            let turn = asked.entry(name.clone()).or_default();
            let answers = self.script.get(&name).cloned().unwrap_or_else(|| vec![ok()]);
            let answer = answers[(*turn).min(answers.len() - 1)].clone();
            *turn += 1;
            if matches!(answer, Outcome::Done(..)) {
                self.arrived.lock().unwrap().push((name, text.clone()));
            }
            outcomes.push(answer);
        }
        outcomes
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}

/// How the operation fails at which storage is told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It and every later one fails without effect: the process is about to die.
    Dies,
    /// It fails without effect, as do the next two; then all is well again.
    Passes,
    /// It has its effect, and yet reports an error: the outcome is unknown. Then all is well again.
    Unknown,
    /// Like `Passes`, for want of space.
    Full,
}

/// Storage that fails at its n-th operation.
pub(crate) struct Faulty {
    inner: Storage,
    count: AtomicU64,
    at: u64,
    fault: Fault,
}

impl Faulty {
    pub(crate) fn new(inner: &Storage, at: u64, fault: Fault) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), count: AtomicU64::new(0), at, fault })
    }

    pub(crate) fn storage(self: &Arc<Self>) -> Storage {
        Storage { store: self.clone(), blobs: self.clone() }
    }

    pub(crate) fn operations(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// `Ok(true)`: do it. `Ok(false)`: do it and then report an error.
    fn step(&self) -> Result<bool, StoreError> {
        let now = self.count.fetch_add(1, Ordering::SeqCst);
        let broken = match self.fault {
            Fault::Dies => now >= self.at,
            Fault::Passes | Fault::Full => (self.at..self.at + 3).contains(&now),
            Fault::Unknown => return Ok(now != self.at),
        };
        match (broken, self.fault) {
            (false, _) => Ok(true),
            (true, Fault::Full) => Err(StoreError::NoSpace("the test".into())),
            (true, _) => Err(lost()),
        }
    }
}

fn lost() -> StoreError {
    StoreError::Io("as the test wants it".into())
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.step()?;
        self.inner.store.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.step()?;
        self.inner.store.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let honest = self.step()?;
        let committed = self.inner.store.commit(batch).await;
        if honest { committed } else { Err(lost().into()) }
    }

    fn watch(&self, prefix: &[u8]) -> Watch {
        self.inner.store.watch(prefix)
    }
}

#[async_trait]
impl Blobs for Faulty {
    async fn create(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.step()?;
        self.inner.blobs.create().await
    }

    async fn read(&self, id: BlobId, range: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
        self.step()?;
        self.inner.blobs.read(id, range).await
    }

    async fn size(&self, id: BlobId) -> Result<u64, StoreError> {
        self.inner.blobs.size(id).await
    }

    async fn collect(&self) -> Result<Collected, StoreError> {
        self.inner.blobs.collect().await
    }

    async fn room(&self) -> Result<Option<Room>, StoreError> {
        self.inner.blobs.room().await
    }
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    let via = Via::Channel { channel: ChannelId::new("smtp"), hop: None };
    settings.routes = RouteTable::new().with("*".parse().unwrap(), via);
    settings
}

pub(crate) fn builder(
    storage: Storage,
    clock: Arc<dyn Clock>,
    far: &Arc<Far>,
    boxes: &Arc<Boxes>,
) -> Builder {
    Engine::builder("mx.here.example", storage, Arc::new(Names))
        .clock(clock)
        .random(Arc::new(SeededRandom::new(7)))
        .output(far.clone())
        .agent(boxes.clone())
        .settings(settings())
}

pub(crate) const TEXT: &str = "From: a@here.example\r\nSubject: a story\r\n\r\nOnce upon a time.\r\n";

/// Sends a message as a local program would.
pub(crate) async fn send(engine: &Engine, from: &str, to: &[&str]) -> Result<Receipt, Reply> {
    send_text(engine, from, to, TEXT).await
}

pub(crate) async fn send_text(
    engine: &Engine,
    from: &str,
    to: &[&str],
    text: &str,
) -> Result<Receipt, Reply> {
    let sender: ReversePath = format!("<{from}>").parse().unwrap();
    send_envelope(engine, Envelope::new(sender), to, text).await
}

pub(crate) async fn send_envelope(
    engine: &Engine,
    envelope: Envelope,
    to: &[&str],
    text: &str,
) -> Result<Receipt, Reply> {
    let mut session = engine.intake().open(Connection::new(ChannelId::new("sendmail"), None)).await?;
    let mut transaction = session.begin(envelope, 0).await?;
    for to in to {
        transaction.recipient(format!("<{to}>").parse().unwrap(), None, None).await?;
    }
    transaction.write(Bytes::copy_from_slice(text.as_bytes())).await?;
    transaction.commit().await
}

/// The messages in a mailbox.
pub(crate) async fn mailbox(storage: &Storage, name: &str) -> Vec<String> {
    let rows =
        storage.store.scan(Scan::prefix(format!("M{name}@here.example/").as_bytes(), 1000)).await.unwrap();
    rows.into_iter().map(|(_, text)| String::from_utf8(text.to_vec()).unwrap()).collect()
}

/// Lets simulated time pass until the queue is empty; `false` if it is not after a month.
pub(crate) async fn drained(engine: &Engine) -> bool {
    for _ in 0..30 * 24 * 60 {
        if engine.queue().list(&Default::default(), 1).await.is_ok_and(|left| left.is_empty()) {
            return true;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    false
}
