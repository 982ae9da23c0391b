//! A mailbox of another system, and what becomes of the mail in it.

use std::sync::Arc;
use std::time::Duration;

use iems_core::message::{
    BodyType, ChannelId, EnhancedStatus, Envelope, ForwardPath, Mailbox, Reply, ReversePath,
};
use iems_core::receive::{Connection, Intake, OnceKey, Transaction};
use iems_core::route::Pattern;
use iems_core::seam::{Clock, Dialer, Resolver};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::session::{Opener, Session, SessionError};
use super::talk::{Ask, listed};
use crate::batch::CHANNEL;
use crate::batch::tunnel::{fields, is_object};

/// How much of a message is held back until it is known what it is, in octets.
const HEAD: usize = 256 * 1024;
/// How long the name of a message is kept after it was last seen.
const KEEP: Duration = Duration::from_secs(60 * 86_400);
/// Names that are still seen are kept for longer when they are looked at; one in so many times.
const RENEW: u64 = 64;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// TLS from the first octet; port 995.
    Implicit,
    /// `STLS` before anything else; port 110.
    Upgrade,
    /// Not at all: for servers on this machine.
    None,
}

/// To whom the mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To this address, all of it.
    To(Mailbox),
    /// To the addresses in the first of these fields that a message has, as far as their domains are listed; if there are none,
    /// to the address behind.
    Fields {
        /// Names of fields, such as `Delivered-To`.
        names: Vec<String>,
        /// Domains.
        domains: Vec<Pattern>,
        /// Who gets what has no such field.
        otherwise: Mailbox,
    },
}

/// What there is to know of a mailbox.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountSettings {
    /// What people call it.
    pub name: String,
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub protection: Protection,
    /// The login.
    pub user: String,
    /// Its password. Never shown.
    pub password: String,
    /// How often it is looked at. Default 5 min.
    pub interval: Duration,
    /// Whether what is taken is deleted there. Default yes.
    pub delete: bool,
    /// Whether only batches are taken (`application/batch-SMTP`). Default not.
    pub batches: bool,
    /// The most messages taken in one session. Default 500: what is marked as deleted goes only at the end of one.
    pub messages: usize,
    /// To whom the mail goes.
    pub destination: Destination,
}

impl std::fmt::Debug for AccountSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountSettings({} {}@{}:{})", self.name, self.user, self.host, self.port)
    }
}

impl AccountSettings {
    /// With defaults.
    pub fn new(name: &str, host: &str, user: &str, password: &str, destination: Destination) -> Self {
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            port: 995,
            protection: Protection::Implicit,
            user: user.to_owned(),
            password: password.to_owned(),
            interval: Duration::from_secs(300),
            delete: true,
            batches: false,
            messages: 500,
            destination,
        }
    }
}

/// A mailbox that mail is collected from.
pub struct Account {
    settings: AccountSettings,
    opener: Opener,
    clock: Arc<dyn Clock>,
}

/// What became of a message.
enum Fate {
    /// It is ours, now or before.
    Taken,
    /// It stays there, and is not looked at again.
    Left,
    /// Later.
    Later(Reply),
}

impl Account {
    /// A mailbox; certificates of its server are believed from `roots`.
    ///
    /// # Errors
    /// If there is no TLS of this kind.
    pub fn new(
        settings: AccountSettings,
        roots: &RootCertStore,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = Arc::new(builder.with_root_certificates(roots.clone()).with_no_client_auth());
        Ok(Self { settings, opener: Opener { resolver, dialer, tls }, clock })
    }

    /// Collects until `shutdown`.
    pub(crate) async fn run(&self, intake: &Intake, shutdown: &CancellationToken) {
        let name = &self.settings.name;
        while !shutdown.is_cancelled() {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                collected = self.collect(intake) => match collected {
                    // There may be more than one session takes.
                    Ok(count) if count >= self.settings.messages => continue,
                    Ok(0) => tracing::debug!(name, "no new mail to collect"),
                    Ok(count) => tracing::info!(name, count, "mail was collected"),
                    Err(error) => tracing::warn!(name, %error, "mail could not be collected; tried again"),
                },
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.clock.sleep(self.settings.interval) => {}
            }
        }
    }

    /// One session; how many messages were taken.
    async fn collect(&self, intake: &Intake) -> Result<usize, SessionError> {
        let AccountSettings { host, port, protection, user, password, .. } = &self.settings;
        let mut session = self.opener.open(host, *port, *protection == Protection::Implicit).await?;
        if *protection == Protection::Upgrade {
            session = self.opener.upgrade(session, host).await?;
        }
        session.login(user, password).await?;
        session.ask("UIDL", &Ask::Uidl).await.map_err(|error| match error {
            SessionError::Refused(_, text) => SessionError::NoNames(text),
            error => error,
        })?;
        let all = listed(&session.list().await?);
        let mut taken = 0;
        for (number, unique) in all {
            if taken >= self.settings.messages {
                break;
            }
            taken += usize::from(self.one(intake, &mut session, number, &unique).await?);
        }
        session.ask("QUIT", &Ask::Quit).await?;
        Ok(taken)
    }

    fn key(&self, unique: &str) -> OnceKey {
        let AccountSettings { host, user, .. } = &self.settings;
        OnceKey::of(&[b"pop3", host.as_bytes(), user.as_bytes(), unique.as_bytes()])
    }

    /// A message that is left where it is.
    fn left(&self, unique: &str) -> OnceKey {
        let AccountSettings { host, user, .. } = &self.settings;
        OnceKey::of(&[b"pop3 left", host.as_bytes(), user.as_bytes(), unique.as_bytes()])
    }

    /// Takes a message, unless it was taken before; whether it was taken now.
    async fn one(
        &self,
        intake: &Intake,
        session: &mut Session,
        number: u32,
        unique: &str,
    ) -> Result<bool, SessionError> {
        let (key, left) = (self.key(unique), self.left(unique));
        let known = async { Ok::<_, Reply>((intake.knows(&key).await?, intake.knows(&left).await?)) };
        let (known, is_left) = known.await.map_err(later)?;
        let fate = match (known, is_left) {
            (_, true) => {
                self.renew(intake, &left, number).await?;
                return Ok(false);
            }
            (true, _) => {
                if !self.settings.delete {
                    self.renew(intake, &key, number).await?;
                }
                Fate::Taken
            }
            _ => self.take(intake, session, number, key).await?,
        };
        match fate {
            Fate::Taken if self.settings.delete => {
                session.ask("DELE", &Ask::Dele(number)).await?;
            }
            Fate::Taken => {}
            Fate::Left => intake.remember(&left, KEEP).await.map_err(later)?,
            Fate::Later(reply) => {
                tracing::info!(name = self.settings.name, unique, %reply, "a message waits where it is");
                return Ok(false);
            }
        }
        Ok(!known)
    }

    /// Names of messages that are still there must not expire.
    async fn renew(&self, intake: &Intake, key: &OnceKey, number: u32) -> Result<(), SessionError> {
        let turn = self.clock.now().as_secs() / self.settings.interval.as_secs().max(1);
        match (turn + u64::from(number)) % RENEW {
            0 => intake.remember(key, KEEP).await.map_err(later),
            _ => Ok(()),
        }
    }

    async fn take(
        &self,
        intake: &Intake,
        session: &mut Session,
        number: u32,
        key: OnceKey,
    ) -> Result<Fate, SessionError> {
        session.ask("RETR", &Ask::Retr(number)).await?;
        let mut head: Vec<u8> = Vec::new();
        let mut ended = None;
        while !is_headed(&head) && head.len() < HEAD {
            match session.more().await? {
                Ok(Some(octets)) => head.extend_from_slice(&octets),
                end => {
                    ended = Some(end.is_err());
                    break;
                }
            }
        }
        let wanted = !self.settings.batches || is_object(&head);
        let begun = if wanted { Some(self.begin(intake, &head, key).await) } else { None };
        let (mut transaction, mut refused) = match begun {
            Some(Ok(transaction)) => (Some(transaction), None),
            Some(Err(reply)) => (None, Some(reply)),
            None => (None, None),
        };
        if let Some(open) = &mut transaction {
            refused = open.write(head.into()).await.err();
        }
        // Whatever became of it, the message is read to its end: the session goes on.
        let broken = loop {
            if let Some(broken) = ended {
                break broken;
            }
            match session.more().await? {
                Ok(Some(octets)) => {
                    if let (Some(open), None) = (&mut transaction, &refused) {
                        refused = open.write(octets).await.err();
                    }
                }
                end => ended = Some(end.is_err()),
            }
        };
        if broken {
            let text = "the message holds a bare CR or LF; end every line with CRLF and send it again";
            refused.get_or_insert_with(|| Reply::refuse(6, 0, text));
        }
        let reply = match (refused, transaction) {
            (Some(reply), _) => reply,
            (None, Some(transaction)) => match transaction.commit().await {
                Ok(_) => return Ok(Fate::Taken),
                Err(reply) => reply,
            },
            (None, None) => return Ok(Fate::Left),
        };
        if reply.is_temporary() {
            return Ok(Fate::Later(reply));
        }
        tracing::warn!(name = self.settings.name, number, %reply, "a message is refused, and stays where it is");
        Ok(Fate::Left)
    }

    async fn begin(&self, intake: &Intake, head: &[u8], key: OnceKey) -> Result<Transaction, Reply> {
        let mut connection = Connection::new(ChannelId::new(CHANNEL), None);
        connection.protocol = "POP3".into();
        let mut session = intake.open(connection).await?;
        session.hello(&self.settings.host).await?;
        let fields = fields(head);
        let field = |name: &str| fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        let sender = field("return-path").map_or(Ok(ReversePath::Null), |(_, path)| path.parse());
        let mut envelope = Envelope::new(sender.unwrap_or(ReversePath::Null));
        envelope.body = BodyType::EightBitMime;
        let mut transaction = session.begin(envelope, 0).await?;
        transaction.once(key, KEEP);
        let mut last = None;
        for to in self.recipients(&fields) {
            match transaction.recipient(ForwardPath::Mailbox(to), None, None).await {
                Ok(()) => {}
                Err(reply) if reply.is_temporary() => return Err(reply),
                Err(reply) => last = Some(reply),
            }
        }
        match (transaction.recipients(), last) {
            (0, Some(reply)) => Err(reply),
            (0, None) => Err(nobody()),
            _ => Ok(transaction),
        }
    }

    /// For whom a message is.
    fn recipients(&self, fields: &[(String, String)]) -> Vec<Mailbox> {
        let (names, domains, otherwise) = match &self.settings.destination {
            Destination::To(to) => return vec![to.clone()],
            Destination::Fields { names, domains, otherwise } => (names, domains, otherwise),
        };
        for name in names {
            let values = fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
            let words = values.flat_map(|(_, value)| value.split([',', ' ', '\t']));
            let addresses = words.filter_map(|word| word.trim_matches(['<', '>']).parse::<Mailbox>().ok());
            let ours = |to: &Mailbox| domains.iter().any(|domain| domain.matches(to.domain()));
            let found: Vec<Mailbox> = addresses.filter(ours).take(100).collect();
            if !found.is_empty() {
                return found;
            }
        }
        vec![otherwise.clone()]
    }
}

fn is_headed(head: &[u8]) -> bool {
    memchr::memmem::find(head, b"\r\n\r\n").is_some() || head.starts_with(b"\r\n")
}

fn nobody() -> Reply {
    Reply::new(
        554,
        EnhancedStatus::new(5, 1, 1),
        "the message names nobody here; name somebody who gets such mail",
    )
}

fn later(reply: Reply) -> SessionError {
    SessionError::Io(std::io::Error::other(reply.to_string()))
}
