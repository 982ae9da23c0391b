//! The near end of a tunnel: where mail to its address goes.
//!
//! A message is read twice: once to look at its seal, once to carry the batch out. Nothing is done before the seal is seen to
//! hold for all of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::deliver::{Arrival, Attempt, Link, Outcome};
use iems_core::message::{Body, BodyReader, ChannelId, CheckResult, EnhancedStatus, Mailbox, Reply, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::receive::{Intake, OnceKey};
use iems_core::seam::{Clock, Timestamp};
use iems_core::storage::Blobs;

use super::decode::{Broken, Decoder, Encoding};
use super::object::{HEADER, Object};
use super::seal::{Key, Seal, SealError, Sealer};
use crate::batch::processor::{Job, Report, Source, SourceError, Terms, process};
use crate::batch::{BatchLineEnds, CHANNEL};

/// The extensions that a batch may need: all that the door knows.
const KNOWN: [&str; 7] =
    ["8BITMIME", "SMTPUTF8", "DSN", "MT-PRIORITY", "SIZE", "PIPELINING", "ENHANCEDSTATUSCODES"];
/// How far the clock of the other end may be ahead.
const AHEAD: Duration = Duration::from_secs(15 * 60);

/// What there is to know of an end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelInSettings {
    /// What people call it, and its next hop.
    pub name: String,
    /// Its address.
    pub address: Mailbox,
    /// The keys of those who may send batches to it; several while a key is changed.
    pub keys: Vec<Key>,
    /// How long a seal holds. Default 7 days: longer than mail waits on its way.
    pub window: Duration,
    /// After which time what cannot be taken for now is refused. Default 1 day.
    pub expire: Duration,
    /// What their mail may be. To no domain unless set.
    pub terms: Terms,
}

impl TunnelInSettings {
    /// With defaults.
    pub fn new(name: &str, address: Mailbox, keys: Vec<Key>) -> Self {
        let (window, expire) = (Duration::from_secs(7 * 86_400), Duration::from_secs(86_400));
        let terms = Terms { domains: Vec::new(), ..Terms::default() };
        Self { name: name.to_owned(), address, keys, window, expire, terms }
    }
}

/// The near end of a tunnel.
#[derive(Debug)]
pub struct TunnelIn {
    settings: TunnelInSettings,
}

/// Looks at batches while their sender still hears the reply: the judge `batch`.
pub(crate) struct BatchObject {
    tunnels: Vec<Arc<TunnelIn>>,
    clock: Arc<dyn Clock>,
}

impl BatchObject {
    pub(crate) fn new(tunnels: Vec<Arc<TunnelIn>>, clock: Arc<dyn Clock>) -> Self {
        Self { tunnels, clock }
    }
}

#[async_trait]
impl Preprocessor for BatchObject {
    fn id(&self) -> &str {
        CHANNEL
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Body]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let mut findings = Findings::default();
        let Some((body, blobs)) = subject.body else { return findings };
        for tunnel in &self.tunnels {
            let address = tunnel.settings.address.folded();
            // Without keys nothing can be seen here: the end itself will look.
            if tunnel.settings.keys.is_empty() || !subject.recipients.iter().any(|to| to.folded() == address)
            {
                continue;
            }
            let (result, evidence) = match tunnel.look(body, &**blobs, self.clock.now()).await {
                Ok(seal) => (CheckResult::Pass, format!("signed with the key {}", seal.1.key)),
                Err(reply) if reply.is_temporary() => (CheckResult::TempError, reply.text),
                Err(reply) => (CheckResult::Fail, reply.text),
            };
            findings.verdicts.push(Verdict { check: CHANNEL.into(), result, score: 0.0, evidence });
        }
        findings
    }
}

impl TunnelIn {
    /// An end with these settings.
    pub fn new(settings: TunnelInSettings) -> Self {
        Self { settings }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its address.
    pub fn address(&self) -> &Mailbox {
        &self.settings.address
    }

    /// Whether a message is a batch of somebody who may send one, complete and unchanged.
    async fn look(
        &self,
        body: &Body,
        blobs: &dyn Blobs,
        arrived: Timestamp,
    ) -> Result<(Encoding, Seal), Reply> {
        let header = body.header(blobs, HEADER).await.map_err(unreadable)?;
        let Some(object) = Object::read(&header) else {
            let text =
                "this address takes batches (application/batch-SMTP) only; write to the postmaster instead";
            return Err(Reply::refuse(6, 1, text));
        };
        let strange = object.required.iter().find(|word| !KNOWN.contains(&word.as_str()));
        if let Some(word) = strange {
            let word: String = word.chars().take(32).collect();
            let text =
                format!("the batch needs the extension {word:?}, which is not known here; send it without");
            return Err(Reply::new(554, EnhancedStatus::new(5, 6, 3), text));
        }
        let encoding = object.encoding.ok_or_else(|| broken(Broken))?;
        let seal = object.seal.map_err(|error| not_sealed(&error))?;
        let key = self.settings.keys.iter().find(|key| key.id == seal.key);
        let key = key.ok_or_else(|| not_sealed(&SealError::UnknownKey))?;
        let mut sealer = Sealer::again(key, &self.settings.address, &seal);
        let mut content = Content::new(body, blobs, encoding);
        while let Some(octets) = content.read().await? {
            sealer.feed(&octets);
        }
        sealer.verify(&seal).map_err(|error| not_sealed(&error))?;
        let (now, age) = (arrived.as_secs(), self.settings.window.as_secs());
        if seal.time.saturating_add(age) < now || seal.time > now.saturating_add(AHEAD.as_secs()) {
            return Err(not_sealed(&SealError::Time));
        }
        Ok((encoding, seal))
    }

    async fn carry_out(&self, intake: &Intake, attempt: &Attempt) -> Result<Reply, Reply> {
        let (encoding, seal) = self.look(&attempt.body, &*attempt.blobs, attempt.arrived).await?;
        let name = [seal.key.as_bytes(), b" ", &seal.nonce].concat();
        let whole = OnceKey::of(&[b"tunnel", &name]);
        if intake.knows(&whole).await? {
            tracing::warn!(tunnel = self.settings.name, id = %attempt.id, "a batch came again; nothing was done");
            let text = "this batch was taken before; nothing was done again";
            return Ok(Reply::new(250, EnhancedStatus::new(2, 0, 0), text));
        }
        let last = attempt.now.since(attempt.arrived) >= self.settings.expire;
        let job = Job {
            channel: ChannelId::new(CHANNEL),
            origin: &self.settings.name,
            name: &name,
            ends: BatchLineEnds::Crlf,
            terms: &self.settings.terms,
            last,
        };
        let mut content = Content::new(&attempt.body, &*attempt.blobs, encoding);
        let report = match process(intake, &job, &mut content, &mut ()).await {
            Ok(report) => report,
            Err(SourceError::Later(why)) => {
                return Err(Reply::defer(3, 0, "the batch cannot be taken now; try again later").because(why));
            }
            Err(SourceError::Never(reply)) => return Err(reply),
        };
        tracing::info!(tunnel = self.settings.name, id = %attempt.id, %report, "a batch was carried out");
        if report.later > 0 {
            let text = format!("{report}; try again later");
            let why = report.why.map_or_else(String::new, |reply| reply.to_string());
            return Err(Reply::defer(3, 0, text).because(why));
        }
        intake.remember(&whole, self.settings.terms.keep).await?;
        ended(&report)
    }
}

/// What the other end is told. Those whose recipients were refused know of it by reports.
fn ended(report: &Report) -> Result<Reply, Reply> {
    match &report.error {
        Some(error) => {
            let reply = error.fault.reply();
            Err(Reply::new(
                reply.code,
                reply.enhanced,
                format!("{} (line {}); {report}; mend it and send it again", reply.text, error.line),
            ))
        }
        None if report.refused > 0 => {
            let text = format!(
                "the policy of this site refuses messages of the batch: {report}; ask its postmaster"
            );
            Err(Reply::new(554, EnhancedStatus::new(5, 7, 1), text))
        }
        None => Ok(Reply::new(250, EnhancedStatus::new(2, 0, 0), report.to_string())),
    }
}

fn not_sealed(error: &SealError) -> Reply {
    let detail = if *error == SealError::Wrong { 7 } else { 1 };
    Reply::refuse(7, detail, error.to_string())
}

fn broken(_: Broken) -> Reply {
    let text = "the encoding of the batch is broken or unknown; send it in base64";
    Reply::new(554, EnhancedStatus::new(5, 6, 1), text)
}

fn unreadable(error: iems_core::storage::StoreError) -> Reply {
    Reply::defer(3, 0, "the batch cannot be read now; try again later").because(error.to_string())
}

/// The way to an end: batches are carried out one after the other.
pub(crate) struct TunnelLink {
    pub(crate) tunnel: Arc<TunnelIn>,
    pub(crate) intake: Intake,
}

#[async_trait]
impl Link for TunnelLink {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let outcome = match self.tunnel.carry_out(&self.intake, attempt).await {
            Ok(reply) => Outcome::Done(Arrival::Delivered, reply),
            Err(reply) => Outcome::from_reply(Arrival::Delivered, reply),
        };
        vec![outcome; attempt.destinations.len()]
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}

/// The octets of the batch in a message.
struct Content<'a> {
    reader: BodyReader<'a>,
    /// Octets of the header section that are still to be passed over.
    skip: u64,
    decoder: Decoder,
    ended: bool,
}

impl<'a> Content<'a> {
    fn new(body: &Body, blobs: &'a dyn Blobs, encoding: Encoding) -> Self {
        let skip = body.prefix.len() as u64 + body.header_size;
        Self { reader: body.reader(blobs), skip, decoder: Decoder::new(encoding), ended: false }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Reply> {
        if self.ended {
            return Ok(None);
        }
        let Some(mut octets) = self.reader.next().await.map_err(unreadable)? else {
            self.ended = true;
            return self.decoder.finish().map(Some).map_err(broken);
        };
        let skipped = self.skip.min(octets.len() as u64);
        self.skip -= skipped;
        let octets = octets.split_off(skipped as usize);
        self.decoder.push(&octets).map(Some).map_err(broken)
    }
}

#[async_trait]
impl Source for Content<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        self.read().await.map_err(|reply| match reply.is_temporary() {
            true => SourceError::Later(reply.to_string()),
            false => SourceError::Never(reply),
        })
    }
}
