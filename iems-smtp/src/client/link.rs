//! A link: one connection, many messages. The driver of [`Transaction`].
//!
//! A connection that the server closed while it was idle is noticed before it is used, and replaced without
//! a word; one that breaks within a message is not, because nobody knows what became of the message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use iems_core::deliver::{Arrival, Attempt, Destination, Link, Outcome};
use iems_core::message::{DeliverBy, EnhancedStatus, NextHop, Reply, ReversePath, Secrecy};
use iems_core::seam::Timestamp;
use iems_core::storage::StoreError;
use tokio::time::Instant;

use super::Client;
use super::connect::{self, Connected};
use super::parts;
use super::prepare::{Bounds, Payload, Prepared, prepare, unreadable};
use super::session::{Manner, Step, Transaction};
use super::settings::Protocol;
use super::trouble::Phase;
use super::wire::WireError;
use crate::proto::{Command, DataEncoder, Extensions, Forward};

/// The largest body that goes along with the commands unasked, in octets; also the size of a piece.
const AT_ONCE: u64 = 64 * 1024;
/// How long an attempt goes on with more transactions. Its time may end within one, and then nobody knows who has the message.
const MORE: Duration = Duration::from_secs(20 * 60);

/// An open way to a server.
pub(super) struct SmtpLink {
    client: Arc<Client>,
    hop: NextHop,
    connection: Connected,
    /// As what other connections are opened.
    secrecy: Secrecy,
    reset: bool,
    broken: bool,
    /// Whether the peer has opened the connection: there is no other then.
    turned: bool,
    /// Transactions begun over this connection.
    begun: u32,
    /// Domains of recipients over this connection, where the server limits how many.
    domains: Vec<String>,
    /// When the body must have been taken.
    deadline: Option<Instant>,
}

/// Why the body did not get to its end.
enum BodyError {
    Storage(StoreError),
    Wire,
}

impl From<WireError> for BodyError {
    /// The peer's reason, if it gave one, is still to be read.
    fn from(_: WireError) -> Self {
        Self::Wire
    }
}

impl From<StoreError> for BodyError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error)
    }
}

impl SmtpLink {
    pub(super) fn new(client: Arc<Client>, hop: NextHop, connection: Connected, secrecy: Secrecy) -> Self {
        let (reset, broken, turned, domains) = (false, false, false, Vec::new());
        Self { client, hop, connection, secrecy, reset, broken, turned, begun: 0, domains, deadline: None }
    }

    /// Goes on over another connection.
    fn replace(&mut self, connection: Connected) {
        self.connection = connection;
        (self.reset, self.broken, self.begun) = (false, false, 0);
        self.domains.clear();
    }

    /// A link over a connection that the peer has opened.
    pub(super) fn turned(client: Arc<Client>, hop: NextHop, connection: Connected) -> Self {
        Self { turned: true, ..Self::new(client, hop, connection, Secrecy::Usual) }
    }

    /// Why there is no other connection to a peer that has opened this one.
    fn no_other(&self) -> Result<(), Reply> {
        match self.turned {
            true => Err(self.connection.peer.failed(
                451,
                EnhancedStatus::new(4, 4, 2),
                "it does not take this message over the connection that it has opened",
            )),
            false => Ok(()),
        }
    }

    /// Whether the server takes no more messages over this connection (`MAILMAX`, RFC 9422).
    fn is_spent(&self) -> bool {
        self.connection.extensions.limits.mail_max.is_some_and(|most| self.begun >= most)
    }

    /// Whether the server takes any of these recipients over this connection (`RCPTDOMAINMAX`, RFC 9422).
    fn has_room<'a>(&self, mut left: impl Iterator<Item = &'a Destination>) -> bool {
        match self.connection.extensions.limits.rcpt_domain_max {
            Some(most) => left.any(|next| parts::has_room(&self.domains, &parts::domain_of(next), most)),
            None => true,
        }
    }

    /// Replaces a connection that ended while nobody used it, or has carried what it may. `left` are the recipients that it is
    /// wanted for.
    async fn refresh<'a>(&mut self, left: impl Iterator<Item = &'a Destination>) -> Result<(), Reply> {
        if self.is_spent() || !self.has_room(left) {
            self.quit().await;
            self.broken = true;
        }
        if self.broken || !self.connection.wire.is_quiet() {
            // If none can be had, the next message wants to know it from the start, with its whole site.
            self.broken = true;
            self.no_other()?;
            let connection = connect::open_for(&self.client, &self.hop, self.secrecy).await?;
            self.replace(connection);
        }
        Ok(())
    }

    /// Looks for a server that will do for a message that must be protected all the way. A report about such a message goes as it can
    /// where there is none (RFC 8689 section 5).
    async fn protect(&mut self, attempt: &Attempt) -> Result<(), Reply> {
        let envelope = &attempt.envelope;
        let must = envelope.secrecy == Secrecy::Required && envelope.sender != ReversePath::Null;
        if !must || self.connection.keeps_secrets() {
            return Ok(());
        }
        self.no_other()?;
        self.quit().await;
        self.broken = true;
        let connection = connect::open_for(&self.client, &self.hop, Secrecy::Required).await?;
        self.replace(connection);
        Ok(())
    }

    /// Says good-bye, unless nobody listens.
    async fn quit(&mut self) {
        if !self.broken {
            let limit = self.client.settings.timeouts.quit;
            let line = format!("{}\r\n", Command::Quit);
            if self.connection.wire.write([line.into()].into(), limit).await.is_ok() {
                // RFC 5321 section 4.1.1.10 wants the reply awaited; it changes nothing any more.
                let _ = self.connection.wire.read(limit).await;
            }
        }
    }

    /// What the server offers, less what we do not use.
    fn extensions(&self) -> Extensions {
        let mut extensions = self.connection.extensions.clone();
        extensions.chunking &=
            self.client.settings.chunking && !self.client.breaks_chunking(&self.connection.peer);
        extensions
    }

    fn manner(
        &self,
        extensions: &Extensions,
        size: u64,
        (by, now): (Option<DeliverBy>, Timestamp),
    ) -> Manner {
        let protocol = self.client.settings.protocol;
        // RFC 2852 section 4.1.4.2: who does not watch the time gets it before it is over only if that is told.
        let told = by.is_some_and(|by| by.trace || (extensions.deliver_by.is_none() && by.at > now));
        let arrival = match (extensions.dsn, protocol) {
            (_, Protocol::Smtp) if told => Arrival::RelayedAndTold,
            (true, _) => Arrival::Relayed,
            (false, Protocol::Smtp) => Arrival::RelayedWithoutDsn,
            (false, Protocol::Lmtp) => Arrival::Delivered,
        };
        Manner {
            protocol,
            pipelining: extensions.pipelining,
            chunk: extensions.chunking.then_some(size),
            at_once: size <= AT_ONCE,
            reset: self.reset,
            arrival,
        }
    }

    /// One transaction, or as many as the server's limits make of it.
    async fn carry(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let mut outcomes = vec![None; attempt.destinations.len()];
        let enough = Instant::now() + MORE;
        while outcomes.iter().any(Option::is_none) {
            if Instant::now() >= enough {
                let why =
                    "it takes few recipients at a time, and slowly; the others go with the next attempt";
                fill(&mut outcomes, &Outcome::deferred(5, 3, why));
                break;
            }
            if let Err(reply) = self.part(attempt, &mut outcomes).await {
                fill(&mut outcomes, &Outcome::from_reply(Arrival::Relayed, reply));
            } else if self.broken {
                fill(&mut outcomes, &Outcome::deferred(4, 2, "the connection ended before these recipients"));
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    /// A transaction for the first of those who have no outcome yet.
    async fn part(&mut self, attempt: &Attempt, outcomes: &mut [Option<Outcome>]) -> Result<(), Reply> {
        let all = attempt.destinations.iter().zip(outcomes.iter());
        let left = all.filter(|(_, outcome)| outcome.is_none()).map(|(destination, _)| destination);
        self.refresh(left).await?;
        self.protect(attempt).await?;
        let extensions = self.extensions();
        let conversion = self.client.settings.largest_conversion;
        let delivers = self.client.settings.protocol == Protocol::Lmtp;
        let (size, known) = (self.connection.terms.size, self.connection.is_known());
        let bounds = Bounds { conversion, size, delivers, known };
        let prepared = prepare(attempt, &extensions, bounds, &self.connection.peer).await?;
        let Prepared { mail, mut rcpts, outcomes: decided, payload } = prepared;
        rcpts.retain(|(at, _)| outcomes[*at].is_none());
        parts::first(&mut rcpts, &attempt.destinations, extensions.limits, &mut self.domains);
        let settled: Vec<_> = rcpts.iter().map(|(at, _)| *at).collect();
        if !settled.is_empty() {
            self.tell_upstream(attempt, &extensions.forward).await?;
        }
        let manner = self.manner(&extensions, payload.size(), (attempt.envelope.by, attempt.now));
        let mut transaction = Transaction::new(manner, mail, rcpts, decided.clone());
        if !settled.is_empty() {
            self.begun = self.begun.saturating_add(1);
            self.run(&mut transaction, &payload, attempt).await;
        }
        let said = transaction.into_outcomes();
        for (at, (outcome, said)) in outcomes.iter_mut().zip(said).enumerate() {
            if outcome.is_none() && (settled.contains(&at) || decided[at].is_some()) {
                *outcome = Some(said);
            }
        }
        Ok(())
    }

    /// Tells a host of the site where the message first came in. What it makes of that is its business: mail goes on.
    async fn tell_upstream(&mut self, attempt: &Attempt, wanted: &[String]) -> Result<(), Reply> {
        let Some(upstream) = attempt.upstream.as_deref().filter(|_| self.connection.terms.inside) else {
            return Ok(());
        };
        let lines = Forward::lines(upstream, wanted);
        if lines.is_empty() {
            return Ok(());
        }
        // A transaction that is still open must not be taken back behind it, for what it tells would go as well.
        let reset = std::mem::take(&mut self.reset);
        let lines = reset.then(|| Command::Rset.to_string()).into_iter().chain(lines);
        self.broken = true;
        for line in lines {
            let limit = self.client.settings.timeouts.mail;
            let (wire, peer) = (&mut self.connection.wire, &self.connection.peer);
            let written = wire.write([format!("{line}\r\n").into()].into(), limit).await;
            written.map_err(|error| peer.lost(&error, Phase::Mail))?;
            let said = wire.read(limit).await.map_err(|error| peer.lost(&error, Phase::Mail))?;
            if said.code == 421 {
                return Err(peer.said(&said, Phase::Mail));
            }
            tracing::debug!(%line, code = said.code, "told where it came in");
        }
        self.broken = false;
        Ok(())
    }

    async fn run(&mut self, transaction: &mut Transaction, payload: &Payload, attempt: &Attempt) {
        // Until the end is reached in order, the connection counts as lost: a dropped future leaves it so.
        self.broken = true;
        self.deadline = None;
        loop {
            let step = transaction.step();
            let done = match step {
                Step::End => break,
                Step::Read(phase) => {
                    self.hear(transaction, phase).await;
                    continue;
                }
                Step::Write(lines) => self.write([lines.into()].into()).await.map_err(BodyError::from),
                Step::WriteWithBody(lines) => self.chunk(lines, payload, attempt).await,
                Step::WriteText => self.text(payload, attempt).await,
            };
            match done {
                Ok(()) => {}
                // Perhaps it said why; whoever reads next finds out.
                Err(BodyError::Wire) => transaction.cut_short(),
                Err(BodyError::Storage(error)) => transaction.give_up(unreadable(error)),
            }
        }
        if transaction.has_bad_chunking() {
            self.client.remember_bad_chunking(&self.connection.peer);
        }
        self.reset = !transaction.is_clean();
        self.broken = transaction.is_broken() || self.connection.wire.has_unread();
    }

    async fn hear(&mut self, transaction: &mut Transaction, phase: Phase) {
        let timeouts = &self.client.settings.timeouts;
        let limit = match transaction.is_cut_short() {
            // Why it takes no more it has said by now, if it has anything to say.
            true => timeouts.quit,
            false => phase.limit(timeouts),
        };
        match self.connection.wire.read(limit).await {
            Ok(response) if phase == Phase::End && self.connection.wire.was_early() => {
                transaction.early(&response, &self.connection.peer);
            }
            Ok(response) => transaction.reply(&response, &self.connection.peer),
            Err(error) => transaction.give_up(self.connection.peer.lost(&error, phase)),
        }
    }

    async fn write(&mut self, pieces: VecDeque<Bytes>) -> Result<(), WireError> {
        let block = self.client.settings.timeouts.block;
        let left = self.deadline.map_or(block, |deadline| deadline.saturating_duration_since(Instant::now()));
        self.connection.wire.write(pieces, block.min(left)).await
    }

    /// A body of this size begins.
    fn set_deadline(&mut self, size: u64) {
        let settings = &self.client.settings;
        let slow = Duration::from_secs(size / u64::from(settings.min_rate.max(1)));
        self.deadline = Some(Instant::now() + settings.timeouts.block + slow);
    }

    /// The body as it is, behind `lines`; a small one in the same write.
    async fn chunk(&mut self, lines: String, payload: &Payload, attempt: &Attempt) -> Result<(), BodyError> {
        self.set_deadline(payload.size());
        let mut pieces = VecDeque::from([Bytes::from(lines)]);
        let (mut held, mut large) = (0, false);
        let mut source = Source::new(payload, attempt);
        while let Some(piece) = source.next().await? {
            held += piece.len() as u64;
            pieces.push_back(piece);
            if held >= AT_ONCE {
                self.write(std::mem::take(&mut pieces)).await?;
                (held, large) = (0, true);
            }
        }
        self.connection.wire.mark(large);
        Ok(self.write(pieces).await?)
    }

    /// The body with dots stuffed, and its end.
    async fn text(&mut self, payload: &Payload, attempt: &Attempt) -> Result<(), BodyError> {
        self.set_deadline(payload.size());
        let (mut encoder, mut out) = (DataEncoder::default(), BytesMut::new());
        let mut source = Source::new(payload, attempt);
        while let Some(piece) = source.next().await? {
            if out.len() as u64 + piece.len() as u64 > AT_ONCE {
                self.write([out.split().freeze()].into()).await?;
            }
            encoder.encode(&piece, &mut out);
        }
        encoder.finish(&mut out);
        self.connection.wire.mark(true);
        Ok(self.write([out.freeze()].into()).await?)
    }
}

/// What holds for all who have no outcome yet.
fn fill(outcomes: &mut [Option<Outcome>], with: &Outcome) {
    outcomes.iter_mut().filter(|outcome| outcome.is_none()).for_each(|outcome| *outcome = Some(with.clone()));
}

/// Where the octets of the body come from.
enum Source<'a> {
    Stored(iems_core::message::BodyReader<'a>),
    Converted(Option<Bytes>),
}

impl<'a> Source<'a> {
    fn new(payload: &Payload, attempt: &'a Attempt) -> Self {
        match payload {
            Payload::Stored(body) => Self::Stored(body.reader(&*attempt.blobs)),
            Payload::Converted(bytes) => Self::Converted(Some(bytes.clone())),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self {
            Self::Stored(reader) => reader.next().await,
            Self::Converted(bytes) => Ok(bytes.take()),
        }
    }
}

#[async_trait]
impl Link for SmtpLink {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        self.carry(attempt).await
    }

    /// A connection that was opened on other terms than hold now, such as without TLS, takes no more messages.
    fn is_reusable(&self) -> bool {
        !self.broken
            && !self.is_spent()
            && (self.turned || self.connection.terms == self.client.terms(&self.hop))
    }

    async fn close(mut self: Box<Self>) {
        self.quit().await;
    }
}
