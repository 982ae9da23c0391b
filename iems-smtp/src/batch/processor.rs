//! The processor of RFC 2442: carries out a batch through the door, as a server without a client.
//!
//! No reply is heard, so what a recipient is refused for is told to the sender of its message by a report. Each message has a
//! name made of the batch's and its place in it ([`OnceKey`]): a batch that is carried out again after a crash, or because some of
//! its messages could not be taken for now, does nothing twice.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::message::{ChannelId, ForwardPath, Reply, ReversePath};
use iems_core::receive::{Connection, Intake, OnceKey, Session};
use iems_core::route::Pattern;

use super::open::Open;
use super::{BatchError, BatchLimits, BatchLineEnds, BatchParser, Event};
use crate::proto::Mail;

/// What the mail of a batch may be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// To which domains its messages may go. Default all: whoever makes batches out of nothing but local files is trusted as
    /// local programs are.
    pub domains: Vec<Pattern>,
    /// Of which domains the senders may be; the null sender always may. Default all.
    pub senders: Vec<Pattern>,
    /// Bounds of a batch.
    pub limits: BatchLimits,
    /// How long names of messages are kept. Default 30 days, longer than any batch waits anywhere.
    pub keep: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            domains: vec![Pattern::Any],
            senders: vec![Pattern::Any],
            limits: BatchLimits { recipients: 1000, ..BatchLimits::default() },
            keep: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Terms {
    /// Whether a recipient may be of a batch.
    pub(super) fn may_reach(&self, path: &ForwardPath) -> Result<(), Reply> {
        let ForwardPath::Mailbox(to) = path else { return Ok(()) };
        let listed = self.domains.iter().any(|pattern| pattern.matches(to.domain()));
        // As for relaying: a way beyond a domain may not be named, unless mail may go everywhere.
        let beyond = to.local().as_str().contains(['@', '%', '!']) && !self.domains.contains(&Pattern::Any);
        match listed && !beyond {
            true => Ok(()),
            false => Err(Reply::refuse(
                7,
                1,
                format!("batches of this origin may not go to {}; ask its postmaster", to.domain()),
            )),
        }
    }

    /// Whether a sender may be of a batch.
    pub(super) fn may_come_from(&self, sender: &ReversePath) -> Result<(), Reply> {
        let Some(sender) = sender.mailbox() else { return Ok(()) };
        match self.senders.iter().any(|pattern| pattern.matches(sender.domain())) {
            true => Ok(()),
            false => Err(Reply::refuse(
                7,
                1,
                format!(
                    "batches of this origin may not hold mail from {}; ask its postmaster",
                    sender.domain()
                ),
            )),
        }
    }
}

/// Why a source gives no more octets.
#[derive(Debug)]
pub enum SourceError {
    /// For now; the words are for the log.
    Later(String),
    /// For good.
    Never(Reply),
}

/// Where the octets of a batch come from.
#[async_trait]
pub trait Source: Send {
    /// The next octets, `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError>;
}

/// Hears what a client would have heard.
pub trait Answers: Send {
    /// The reply to the command, or the end of a message, in a line, counted from 1.
    fn answer(&mut self, line: u64, reply: &Reply);
}

/// Nobody listens.
impl Answers for () {
    fn answer(&mut self, _: u64, _: &Reply) {}
}

/// What is to be carried out.
pub struct Job<'a> {
    /// The input channel.
    pub channel: ChannelId,
    /// What the `Received` field calls the origin.
    pub origin: &'a str,
    /// What no other batch is called.
    pub name: &'a [u8],
    /// The line ends.
    pub ends: BatchLineEnds,
    /// What its mail may be.
    pub terms: &'a Terms,
    /// Whether what cannot be taken for now is given up.
    pub last: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Messages that were taken now. One of which some recipients were refused counts.
    pub accepted: u64,
    /// Messages that were taken before.
    pub repeated: u64,
    /// Recipients that were refused.
    pub failed: u64,
    /// Messages that were refused as a whole.
    pub refused: u64,
    /// Messages that can be taken later.
    pub later: u64,
    /// The first reason for later.
    pub why: Option<Reply>,
    /// Why the rest of the batch was not read.
    pub error: Option<BatchError>,
}

impl Report {
    /// Whether all was taken.
    pub fn is_clean(&self) -> bool {
        self.failed + self.refused + self.later == 0 && self.error.is_none()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} messages taken", self.accepted)?;
        let more =
            [(self.repeated, "taken before"), (self.refused, "refused"), (self.later, "left for later")];
        for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        if self.failed > 0 {
            write!(f, "; {} recipients refused", self.failed)?;
        }
        match &self.error {
            Some(error) => write!(f, "; {error}"),
            None => Ok(()),
        }
    }
}

/// Carries a batch out.
///
/// # Errors
/// If nothing can be taken now, or no octets come from the source; what was taken before stays so, and is not taken twice.
pub async fn process(
    intake: &Intake,
    job: &Job<'_>,
    source: &mut dyn Source,
    answers: &mut dyn Answers,
) -> Result<Report, SourceError> {
    let mut connection = Connection::new(job.channel.clone(), None);
    connection.protocol = "BSMTP".into();
    let mut session = intake.open(connection).await.map_err(later)?;
    session.hello(job.origin).await.map_err(later)?;
    let parser = BatchParser::new(job.ends, job.terms.limits);
    let mut run = Run { intake, job, session, open: Open::Nothing, number: 0, report: Report::default() };
    run.all(parser, source, answers).await?;
    Ok(run.report)
}

fn later(reply: Reply) -> SourceError {
    match reply.is_temporary() {
        true => SourceError::Later(reply.to_string()),
        false => SourceError::Never(reply),
    }
}

/// A batch that is being carried out.
pub(super) struct Run<'a> {
    pub(super) intake: &'a Intake,
    pub(super) job: &'a Job<'a>,
    pub(super) session: Session,
    open: Open,
    number: u64,
    pub(super) report: Report,
}

impl Run<'_> {
    async fn all(
        &mut self,
        mut parser: BatchParser,
        source: &mut dyn Source,
        answers: &mut dyn Answers,
    ) -> Result<(), SourceError> {
        loop {
            let octets = source.next().await?;
            let ended = octets.is_none();
            if let Some(octets) = octets {
                parser.push(&octets);
            }
            loop {
                let event = match parser.event() {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(error) => return self.broken(error, answers),
                };
                if let Some(reply) = self.step(event).await {
                    answers.answer(parser.place().1, &reply);
                }
            }
            if ended {
                return match parser.finish() {
                    Ok(()) => Ok(()),
                    Err(error) => self.broken(error, answers),
                };
            }
        }
    }

    /// The message that is open is lost with the rest: nobody knows where it would have ended.
    fn broken(&mut self, error: BatchError, answers: &mut dyn Answers) -> Result<(), SourceError> {
        answers.answer(error.line, &error.fault.reply());
        self.open = Open::Nothing;
        self.report.error = Some(error);
        Ok(())
    }

    /// Does what an event says; gives the reply that a client would have heard.
    async fn step(&mut self, event: Event) -> Option<Reply> {
        match event {
            Event::Mail(mail) => {
                self.number += 1;
                let (open, reply) = self.begin(*mail).await;
                self.open = open;
                Some(reply)
            }
            Event::Rcpt(rcpt) => {
                let mut open = std::mem::replace(&mut self.open, Open::Nothing);
                let reply = self.recipient(&mut open, *rcpt).await;
                self.open = open;
                Some(reply)
            }
            Event::Text => None,
            Event::Octets(octets) => {
                self.open.write(octets).await;
                None
            }
            Event::End => {
                let open = std::mem::replace(&mut self.open, Open::Nothing);
                Some(self.end(open).await)
            }
            Event::Reset | Event::Quit => {
                self.open = Open::Nothing;
                None
            }
        }
    }

    /// The name of the message that is open.
    pub(super) fn key(&self) -> OnceKey {
        OnceKey::of(&[b"batch", self.job.name, &self.number.to_be_bytes()])
    }

    async fn begin(&mut self, mail: Mail) -> (Open, Reply) {
        match self.try_begin(mail).await {
            Ok(open) => (open, ok(1, 0, "sender ok")),
            Err(reply) => (Open::Refused(reply.clone()), reply),
        }
    }

    async fn try_begin(&mut self, mail: Mail) -> Result<Open, Reply> {
        if self.intake.knows(&self.key()).await? {
            return Ok(Open::Known);
        }
        self.job.terms.may_come_from(&mail.envelope.sender)?;
        let mut transaction = self.session.begin(mail.envelope.clone(), 0).await?;
        transaction.once(self.key(), self.job.terms.keep);
        Ok(Open::taking(transaction, mail.envelope))
    }
}

/// A good answer.
pub(super) fn ok(subject: u16, detail: u16, text: &str) -> Reply {
    Reply::new(250, iems_core::message::EnhancedStatus::new(2, subject, detail), text)
}
