//! The door itself: who is let in, and who may begin a message.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::judge::Seen;
use super::transaction::Transaction;
use super::{Connection, judge, senders};
use crate::engine::Shared;
use crate::message::{Domain, EnhancedStatus, Envelope, Mailbox, Reply, ReversePath};
use crate::preprocess::{Found, Stage};
use crate::queue::{Extent, Filter, Order, Queue};
use crate::route;
use crate::seam::Timestamp;
use crate::settings::Settings;

/// The door. Cheap to clone; every input channel gets one.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

/// A peer that was let in.
pub struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Connection,
    pub(super) found: Vec<Found>,
}

impl Intake {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The name of this system, as replies and trace fields give it.
    pub fn hostname(&self) -> &str {
        &self.shared.hostname
    }

    /// The largest message taken, in octets: what `SIZE` announces (RFC 1870).
    pub fn message_size(&self) -> u64 {
        self.shared.settings().limits.message_size
    }

    /// A peer connects. Refused where the policy demands it, and with 421 while the engine shuts down
    /// or cannot store anything.
    pub async fn open(&self, connection: Connection) -> Result<Session, Reply> {
        if self.shared.shutdown.is_cancelled() {
            return Err(Reply::new(
                421,
                EnhancedStatus::new(4, 3, 2),
                "the system is shutting down; try again later",
            ));
        }
        if let Some(trouble) = self.shared.health.at_connect(connection.peer.is_some()) {
            return Err(trouble);
        }
        let mut session = Session { shared: self.shared.clone(), connection, found: Vec::new() };
        session.look(Stage::Connect).await?;
        Ok(session)
    }
}

impl Session {
    /// What is known of the peer; the channel fills in `helo`, `protocol`, `tls` and `account` as they become known.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// What is known of the peer.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What time it is here.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The peer said its name (EHLO, HELO, LHLO).
    pub async fn hello(&mut self, helo: &str) -> Result<(), Reply> {
        self.connection.helo = helo.chars().take(255).collect();
        self.look(Stage::Hello).await
    }

    /// A reverse-path. `size` is the size the peer announced, in octets, 0 if it did not.
    ///
    /// A priority above normal counts only if an account or a trusted network vouches for it (RFC 6710 section 4.1).
    pub async fn begin(&mut self, mut envelope: Envelope, size: u64) -> Result<Transaction, Reply> {
        let settings = self.shared.settings();
        if self.connection.account.is_none() && !settings.relay.trusts(&self.connection) {
            envelope.priority = envelope.priority.map(|wish| wish.min(0));
        }
        self.may_begin(&settings, &envelope, size).await?;
        envelope.submitter = Some(self.submitter(envelope.submitter.take()).await);
        let mut found = self.found.clone();
        if self.shared.chain.wants(Stage::Mail) {
            let seen = Seen::peer(Stage::Mail, Some(&envelope));
            let seen = judge::look(&self.shared, &settings, &self.connection, seen, &found).await;
            found.extend(seen);
            judge::at_the_door(&self.shared, &settings, &found)?;
        }
        Ok(Transaction::new(self, settings, envelope, size, found))
    }

    /// Who submitted the message first: the account, or whom it may name in its place; nobody that is known if there is no account, or it
    /// says so (RFC 4954 section 5).
    async fn submitter(&self, said: Option<ReversePath>) -> ReversePath {
        let Some(account) = &self.connection.account else { return ReversePath::Null };
        match said {
            None => ReversePath::Mailbox(account.mailbox.clone()),
            Some(ReversePath::Null) => ReversePath::Null,
            Some(ReversePath::Mailbox(mailbox)) => {
                match self.shared.directory.may_send_as(account, &mailbox).await.unwrap_or(false) {
                    true => ReversePath::Mailbox(mailbox),
                    false => ReversePath::Null,
                }
            }
        }
    }

    /// Sends what waits for recipients in `domain` now, and says how many groups of recipients that are. Only for peers that
    /// an account or a trusted network vouches for.
    pub async fn send_waiting(&self, domain: &Domain) -> Result<u64, Reply> {
        let settings = self.shared.settings();
        if self.connection.account.is_none() && !settings.relay.trusts(&self.connection) {
            return Err(Reply::new(459, EnhancedStatus::new(4, 7, 1), "not for you: log in first"));
        }
        let filter = Filter { domain: Some(domain.clone()), ..Filter::default() };
        let (queue, extent) = (Queue::of_engine(self.shared.clone()), Extent::default());
        let done = queue.carry_out(&Order::Retry, &filter, &extent).await;
        let done = done.map_err(|error| {
            Reply::new(458, EnhancedStatus::new(4, 3, 0), "the queue cannot be asked now; try again later")
                .because(error.to_string())
        })?;
        Ok(done.changed)
    }

    /// Whether `mailbox` is one of ours, as a recipient would be told; `false` for addresses of others.
    ///
    /// # Errors
    /// The reply that a recipient would get: there is no such mailbox, or it cannot be said now.
    pub async fn verify(&self, mailbox: &Mailbox) -> Result<bool, Reply> {
        let away = |e: crate::seam::DirectoryError| {
            Reply::defer(3, 0, "the directory does not answer; try again later").because(e.to_string())
        };
        if !self.shared.directory.is_local(mailbox.domain()).await.map_err(away)? {
            return Ok(false);
        }
        route::route(&self.shared, &self.shared.settings(), mailbox).await.map(|route| route.local)
    }

    async fn may_begin(&self, settings: &Settings, envelope: &Envelope, size: u64) -> Result<(), Reply> {
        if size > settings.limits.message_size {
            let text = format!(
                "the message is too large; send one of at most {} octets",
                settings.limits.message_size
            );
            return Err(Reply::new(552, EnhancedStatus::new(5, 3, 4), text));
        }
        if let Some(trouble) = self.shared.health.at_begin(self.connection.peer.is_some()) {
            return Err(trouble);
        }
        if self.connection.account.is_none() && self.connection.submission {
            return Err(Reply::new(
                530,
                EnhancedStatus::new(5, 7, 0),
                "authentication required: log in first",
            ));
        }
        senders::may_send(&self.shared, settings, &self.connection, envelope.sender.mailbox()).await
    }

    async fn look(&mut self, stage: Stage) -> Result<(), Reply> {
        if !self.shared.chain.wants(stage) {
            return Ok(());
        }
        let settings = self.shared.settings();
        let seen = Seen::peer(stage, None);
        let seen = judge::look(&self.shared, &settings, &self.connection, seen, &self.found).await;
        self.found.extend(seen);
        judge::at_the_door(&self.shared, &settings, &self.found).inspect_err(|_| {
            self.shared.metrics.refused.fetch_add(1, Ordering::Relaxed);
        })
    }
}
