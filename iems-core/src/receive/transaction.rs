//! One message on its way in: recipients, then the body as it arrives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::intake::Session;
use super::judge::Seen;
use super::once::{Once, OnceKey};
use super::{Connection, Upstream, judge};
use crate::engine::Shared;
use crate::message::{
    BodyType, EnhancedStatus, Envelope, ForwardPath, LineEnds, LocalPart, Mailbox, Notify, OriginalRecipient,
    QueueId, Received, Recipient, Reply, TraceScan,
};
use crate::preprocess::{Found, Stage};
use crate::route::{self, Route};
use crate::settings::Settings;
use crate::storage::{BlobWriter, StoreError};

/// One message on its way in. Dropping it before `commit` returned gives it up: nothing is kept.
pub struct Transaction {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<Settings>,
    pub(super) connection: Connection,
    pub(super) id: QueueId,
    pub(super) envelope: Envelope,
    pub(super) announced: u64,
    pub(super) recipients: Vec<(Recipient, Route)>,
    /// Who will not get the message, and why; the sender is told in the commit that accepts.
    pub(super) failed: Vec<(Recipient, Reply)>,
    pub(super) once: Option<Once>,
    pub(super) found: Vec<Found>,
    pub(super) spool: Spool,
}

/// The body so far.
pub(super) struct Spool {
    pub(super) writer: Option<Box<dyn BlobWriter>>,
    pub(super) scan: TraceScan,
    ends: LineEnds,
    pub(super) front: u64,
    pub(super) size: u64,
    /// Whether the last octets so far were CRLF.
    pub(super) ended: bool,
    half_ended: bool,
    pub(super) trouble: Option<Reply>,
}

/// The proof that a message is ours now: it survives a power cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its queue id.
    pub id: QueueId,
    /// For each recipient accepted by [`Transaction::recipient`], in order: `Err` if the message was refused for this one
    /// after the body was seen. Always all `Ok` unless [`Connection::answers_each`].
    pub recipients: Vec<Result<(), Reply>>,
}

impl Transaction {
    pub(super) fn new(
        session: &Session,
        settings: Arc<Settings>,
        envelope: Envelope,
        announced: u64,
        found: Vec<Found>,
    ) -> Self {
        let shared = session.shared.clone();
        let id = QueueId::new(shared.clock.now(), &*shared.random);
        let spool = Spool {
            writer: None,
            scan: TraceScan::default(),
            ends: LineEnds::default(),
            front: 0,
            size: 0,
            ended: true,
            half_ended: false,
            trouble: None,
        };
        let connection = session.connection.clone();
        Self {
            shared,
            settings,
            connection,
            id,
            envelope,
            announced,
            recipients: Vec::new(),
            failed: Vec::new(),
            once: None,
            found,
            spool,
        }
    }

    /// Names the message: it is taken only if no message of this name was taken before, or the name has expired. The name is kept
    /// for `keep` and becomes durable with the message. If it is known, `commit` does nothing, and its receipt has the id of
    /// the message that was taken.
    pub fn once(&mut self, key: OnceKey, keep: Duration) {
        self.once = Some(Once::new(key, keep));
    }

    /// A recipient that will not get the message, for channels whose peer cannot hear a reply: the sender is told of `reply`
    /// by a report, as far as it wants to hear of failures, in the commit that accepts the message for the others. A message with
    /// no other recipients is taken for the sake of the report.
    ///
    /// # Errors
    /// If there are too many of them.
    pub fn fail(
        &mut self,
        path: ForwardPath,
        notify: Option<Notify>,
        original: Option<OriginalRecipient>,
        reply: Reply,
    ) -> Result<(), Reply> {
        if self.recipients.len() + self.failed.len() >= self.settings.limits.recipients {
            return Err(too_many());
        }
        let mailbox = self.mailbox_of(path)?;
        self.failed.push((Recipient { mailbox, notify, original }, reply));
        Ok(())
    }

    /// The queue id the message will have.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// The reverse-path and what was said with it.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Number of recipients accepted so far.
    pub fn recipients(&self) -> usize {
        self.recipients.len()
    }

    /// A recipient. Routed now: unknown ones, full mailboxes and relaying that is not allowed are refused here.
    pub async fn recipient(
        &mut self,
        path: ForwardPath,
        notify: Option<Notify>,
        original: Option<OriginalRecipient>,
    ) -> Result<(), Reply> {
        let outcome = self.take_recipient(path, notify, original).await;
        if outcome.is_err() {
            self.shared.metrics.refused.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    async fn take_recipient(
        &mut self,
        path: ForwardPath,
        notify: Option<Notify>,
        original: Option<OriginalRecipient>,
    ) -> Result<(), Reply> {
        if let Some(trouble) = self.shared.health.under_way() {
            return Err(trouble);
        }
        if self.recipients.len() >= self.settings.limits.recipients {
            return Err(too_many());
        }
        let mailbox = self.mailbox_of(path)?;
        let route = route::route(&self.shared, &self.settings, &mailbox).await?;
        if !route.local && !self.settings.relay.allows(&self.connection, &mailbox) {
            let text = format!(
                "relaying to {} is not allowed: log in, or use a server that knows you",
                mailbox.domain()
            );
            return Err(Reply::refuse(7, 1, text));
        }
        for way in route.ways.iter().filter(|way| way.agent) {
            match self.shared.agents.get(&way.channel) {
                Some(agent) => agent.accepts(&way.mailbox, self.announced).await?,
                None => {
                    return Err(Reply::defer(3, 5, "the mailbox is not reachable now; try again later")
                        .because(format!("no agent {}", way.channel)));
                }
            }
        }
        self.look_at_recipient(&mailbox, &route).await?;
        let recipient = Recipient { mailbox, notify, original };
        if !self.recipients.iter().any(|(known, _)| known.mailbox == recipient.mailbox)
            || self.connection.answers_each
        {
            self.recipients.push((recipient, route));
        }
        Ok(())
    }

    /// `<Postmaster>` without a domain is ours (RFC 5321 section 4.5.1).
    fn mailbox_of(&self, path: ForwardPath) -> Result<Mailbox, Reply> {
        match path {
            ForwardPath::Mailbox(mailbox) => Ok(mailbox),
            ForwardPath::Postmaster => {
                let unknown =
                    |_| Reply::refuse(1, 3, "there is no postmaster address here; write to a whole address");
                let domain = self.shared.postmaster_domain.as_str().parse().map_err(unknown)?;
                Ok(Mailbox::new(LocalPart::from_content("postmaster").map_err(unknown)?, domain))
            }
        }
    }

    async fn look_at_recipient(&mut self, mailbox: &Mailbox, route: &Route) -> Result<(), Reply> {
        if !self.shared.chain.wants(Stage::Recipient) {
            return Ok(());
        }
        let (recipients, ways) = (std::slice::from_ref(mailbox), &route.ways[..]);
        let seen = Seen { stage: Stage::Recipient, envelope: Some(&self.envelope), recipients, ways };
        let seen = judge::look(&self.shared, &self.settings, &self.connection, seen, &self.found).await;
        judge::at_the_door(&self.shared, &self.settings, &seen)?;
        self.found.extend(seen);
        Ok(())
    }

    /// The next octets of the body: an RFC 5322 message with CRLF line ends, dot-stuffing removed.
    /// After an error the transaction stays refused; the channel reads on to the end of the body and then sends the reply.
    pub async fn write(&mut self, octets: Bytes) -> Result<(), Reply> {
        if let Some(trouble) = &self.spool.trouble {
            return Err(trouble.clone());
        }
        let outcome = self.spool_octets(octets).await;
        if let Err(trouble) = &outcome {
            self.spool.writer = None;
            self.spool.trouble = Some(trouble.clone());
        }
        outcome
    }

    async fn spool_octets(&mut self, octets: Bytes) -> Result<(), Reply> {
        let limit = self.settings.limits.message_size;
        if self.spool.size + octets.len() as u64 > limit {
            let text = format!("the message is too large; send one of at most {limit} octets");
            return Err(Reply::new(552, EnhancedStatus::new(5, 3, 4), text));
        }
        let is_binary = self.envelope.body == BodyType::BinaryMime;
        if !is_binary {
            self.look_at_line_ends(&octets, false)?;
        }
        if self.spool.writer.is_none() {
            self.open_spool().await?;
        }
        let before = self.spool.front + self.spool.size;
        self.spool.scan.feed(&octets, &self.shared.hostname);
        if is_binary {
            let header = match self.spool.scan.header_size() {
                0 => octets.len(),
                size => usize::try_from(size.saturating_sub(before))
                    .map_or(octets.len(), |at| at.min(octets.len())),
            };
            self.look_at_line_ends(&octets[..header], false)?;
        }
        self.spool.ended = octets.ends_with(b"\r\n") || (octets[..] == *b"\n" && self.spool.half_ended);
        self.spool.half_ended = octets.ends_with(b"\r");
        self.spool.size += octets.len() as u64;
        match &mut self.spool.writer {
            Some(writer) => writer.write(octets).await.map_err(|e| self.shared.health.failed(e)),
            None => Ok(()),
        }
    }

    /// RFC 5321 section 2.3.8; only binary messages (RFC 3030) may hold CR and LF apart, and those only behind the header
    /// section.
    pub(super) fn look_at_line_ends(&mut self, octets: &[u8], at_end: bool) -> Result<(), Reply> {
        self.spool.ends.feed(octets);
        if self.spool.ends.is_broken(at_end) {
            let text = "the message holds a bare CR or LF; end every line with CRLF and send it again";
            return Err(Reply::refuse(6, 0, text));
        }
        Ok(())
    }

    /// Opens the blob and writes our `Received` field in front.
    pub(super) async fn open_spool(&mut self) -> Result<(), Reply> {
        if let Some(trouble) = self.shared.health.under_way() {
            return Err(trouble);
        }
        let received = Received {
            helo: &self.connection.helo,
            ip: self.connection.ip(),
            host: self.connection.host.as_deref(),
            upstream: self.connection.upstream.as_ref().map(Upstream::named),
            by: &self.shared.hostname,
            with: &self.connection.protocol,
            id: self.id,
            recipient: match self.recipients.as_slice() {
                [(only, _)] => Some(&only.mailbox),
                _ => None,
            },
            priority: self.envelope.priority,
            at: self.id.arrived(),
        };
        let field = Bytes::from(received.to_field());
        let opened: Result<_, StoreError> = async {
            let mut writer = self.shared.storage.blobs.create().await?;
            writer.write(field.clone()).await?;
            Ok(writer)
        }
        .await;
        let writer = opened.map_err(|e| self.shared.health.failed(e))?;
        self.spool.front = field.len() as u64;
        self.spool.scan.feed(&field, "");
        self.spool.scan.begin();
        self.spool.writer = Some(writer);
        Ok(())
    }
}

fn too_many() -> Reply {
    let text = "too many recipients: send the rest in another message";
    Reply::new(452, EnhancedStatus::new(4, 5, 3), text)
}
