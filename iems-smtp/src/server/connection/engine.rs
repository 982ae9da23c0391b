//! Between the dialogue and the engine: each event becomes a question to the door or the directory, each answer a reply.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use iems_core::limits::{Act, Shown, Who};
use iems_core::message::{EnhancedStatus, Reply};
use iems_core::queue::Collection;
use iems_core::receive::{self, Connection, Intake, Transaction};
use iems_core::seam::sasl::{Beneath, Password};
use iems_core::seam::{Account, DirectoryError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::entrance::{Entrance, Known, Welcome, decide, early, enter, talked_early, who};
use super::{OUTPUT, Peer, going_down, secure};
use crate::proto::{Claim, Mail, Rcpt};
use crate::server::reverse::Lookup;
use crate::server::serve::Shared;
use crate::server::session::{Event, Link, SERVICE, Session};
use crate::server::wire::{Secured, Wire};
use crate::server::{Mode, wishes};

/// What is to be done when the dialogue has nothing more to say.
pub(super) enum Flow {
    /// Send, and read on.
    More,
    /// Send, and shake hands.
    Secure,
    /// Begin again, for somebody else.
    Claim(Box<(Claim, Option<Account>)>),
    /// Send, and let the peer be the server.
    Turn(Box<Collection>),
    /// Send, and hang up.
    Close,
}

/// One connection's dialogue with all that belongs to it.
pub(super) struct Talk<'a> {
    shared: &'a Shared,
    intake: Intake,
    peer: Peer,
    pub(super) session: Session,
    pub(super) wire: Wire,
    /// `None` if the engine turned the peer away.
    door: Option<receive::Session>,
    transaction: Option<Transaction>,
    lookup: Option<Lookup>,
    /// What the peer takes over this connection from now on.
    collection: Option<Box<Collection>>,
    /// What a rule makes the peer wait for before each of its replies.
    tarpit: Duration,
    /// Whether rules wait for the certificate that the peer may show.
    waits: bool,
    /// Octets of the message on its way.
    octets: u64,
    /// The login that was tried last.
    login: Option<String>,
    /// Failed logins that the limits know of.
    failures: u32,
}

impl<'a> Talk<'a> {
    /// Knocks at the engine's door and writes the greeting.
    pub(super) async fn open(
        shared: &'a Shared,
        intake: Intake,
        wire: Wire,
        peer: Peer,
        (tls, known): (Option<Secured>, Option<Known>),
    ) -> Self {
        let options = &shared.options;
        let link = Link { tls: tls.is_some(), tls_available: shared.tls.is_some(), local: peer.is_local() };
        let mut session = Session::new(options.clone(), link, shared.nonce.clone());
        session.limit_size(intake.message_size());
        session.trace(&peer.trace.to_string());
        if peer.trusted {
            session.trust();
        }
        if peer.inside {
            session.count_as_inside();
        }
        let mut lookup = peer
            .address
            .filter(|_| options.reverse_dns && known.as_ref().is_none_or(|known| known.name.is_none()))
            .and_then(|a| Lookup::start(&shared.resolver, a.ip(), options.timeouts.reverse_dns));
        let mut connection = Connection::new(options.channel.clone(), peer.address);
        connection.submission = options.mode == Mode::Submission;
        connection.answers_each = options.mode == Mode::Lmtp;
        (connection.senders, connection.authors) = (options.senders, options.authors);
        connection.protocol = session.protocol(false).into();
        if let Some(Secured { agreed, beneath }) = tls {
            note(&mut connection, agreed, &beneath);
            session.over(beneath);
        }
        let mut wire = wire;
        let shown = match (&connection.certificate, link) {
            (Some(certificate), _) => Shown::Is(certificate),
            (None, Link { tls: false, tls_available: true, .. }) if known.is_none() => Shown::Unasked,
            (None, _) => Shown::None,
        };
        let Entrance { mut access, host, waits } =
            enter(shared, peer, &mut lookup, (known.as_ref(), shown)).await;
        if known.is_none() && access == Ok(Welcome::Guest) && early(shared, peer, &mut wire).await {
            access = Err(talked_early(shared, peer));
        }
        connection.host = host;
        if known.is_some() && access.is_ok() {
            // The trusted host has the place; whom it speaks for may still be over a rate, or banned.
            let who = who(&shared.scope, peer.address.map(|address| address.ip()));
            if let Err(hit) = shared.limits.take(Act::Connection, &who, 1) {
                access = Err(hit.reply());
            }
        }
        connection.account = known.as_ref().and_then(|known| known.account.clone());
        let introduced =
            known.as_ref().map(|known| (known.helo.clone(), known.extended, known.account.is_some()));
        let mut opened = match access.as_ref().err() {
            Some(reply) => Err(reply.clone()),
            None => intake.open(connection).await,
        };
        if let (Ok(door), Some((Some(helo), ..))) = (&mut opened, &introduced)
            && let Err(reply) = door.hello(helo).await
        {
            opened = Err(reply);
        }
        session.greet(opened.as_ref().map(|_| ()).inspect_err(|reply| log(reply, "connection refused")));
        if let (Ok(_), Some((helo, extended, authenticated))) = (&opened, introduced) {
            session.introduced(helo.map(|_| extended.unwrap_or(true)), authenticated);
        }
        let tarpit = match access {
            Ok(Welcome::Slow(delay)) => delay,
            _ => Duration::ZERO,
        };
        Self {
            shared,
            intake,
            peer,
            session,
            wire,
            door: opened.ok(),
            transaction: None,
            lookup,
            collection: None,
            tarpit,
            waits,
            octets: 0,
            login: None,
            failures: 0,
        }
    }

    /// The socket, and nothing of what was said.
    pub(super) fn into_wire(self) -> Wire {
        self.wire
    }

    /// Works off what was read.
    pub(super) async fn advance(&mut self, shutdown: &CancellationToken) -> io::Result<Flow> {
        while let Some(event) = self.session.next(&mut self.wire.input) {
            match event {
                Event::Close => return Ok(Flow::Close),
                Event::StartTls => return Ok(Flow::Secure),
                Event::Claim(claim) => match self.account_of(&claim).await {
                    Ok(account) => return Ok(Flow::Claim(Box::new((*claim, account)))),
                    Err(reply) => self.session.not_claimed(&reply),
                },
                Event::Mail(_) if shutdown.is_cancelled() => self.session.abandon(&going_down()),
                event => {
                    let mut next = Some(event);
                    while let Some(event) = next {
                        next = self.answer(event).await;
                    }
                    if let Some(collection) = self.collection.take() {
                        return Ok(Flow::Turn(collection));
                    }
                }
            }
        }
        Ok(Flow::More)
    }

    /// Sends what the dialogue has to say, in one write. Says whether there was anything.
    pub(super) async fn send(&mut self) -> io::Result<bool> {
        self.count_failures();
        let delay = self.session.take_delay().unwrap_or_default().max(self.tarpit);
        if !delay.is_zero() && !self.session.output().is_empty() {
            tokio::time::sleep(delay).await;
        }
        let output = self.session.output();
        if output.is_empty() {
            return Ok(false);
        }
        timeout(self.shared.options.timeouts.reply, self.wire.send(output)).await??;
        if output.capacity() > OUTPUT {
            *output = BytesMut::new();
        } else {
            output.clear();
        }
        Ok(true)
    }

    /// Shakes hands, and forgets what was said in the clear (RFC 3207 section 4.2): the read buffer goes with the old
    /// wire, the state with the old dialogue.
    pub(super) async fn secure(mut self) -> io::Result<Self> {
        self.transaction = None;
        let (wire, Secured { agreed, beneath }) = secure(self.shared, self.wire).await?;
        let mut session = self.session.secured();
        if let Some(door) = &mut self.door {
            let connection = door.connection_mut();
            connection.helo = String::new();
            connection.account = None;
            note(connection, agreed, &beneath);
        }
        session.over(beneath);
        Ok(Self { wire, session, ..self })
    }

    /// Begins again for whom a trusted host speaks: rules, limits, checks and the trace are about them from now on.
    pub(super) async fn claim(self, (claim, account): (Claim, Option<Account>)) -> Self {
        let port = claim.port.unwrap_or_default();
        let address = claim.address.map(|address| SocketAddr::new(address, port)).or(self.peer.address);
        let peer = Peer { address, ..self.peer };
        let login = account.as_ref().map(|account| account.mailbox.to_string());
        let destination =
            claim.destination.map(|address| (address, claim.destination_port.unwrap_or_default()));
        let destination = destination.map(SocketAddr::from).map(|address| address.to_string());
        tracing::info!(by = %self.peer, peer = %peer, login, destination, "speaks for somebody else");
        let known = Known { name: claim.name, helo: claim.helo, extended: claim.extended, account };
        // The certificate is that of the trusted host, and proves nothing for whom it speaks for.
        let agreed = self.door.as_ref().and_then(|door| door.connection().tls.clone());
        let tls = agreed.map(|agreed| Secured { agreed, beneath: Arc::default() });
        Self::open(self.shared, self.intake, self.wire, peer, (tls, Some(known))).await
    }

    /// The account that a trusted host says somebody has proved to be.
    async fn account_of(&self, claim: &Claim) -> Result<Option<Account>, Reply> {
        let Some(Some(login)) = &claim.login else { return Ok(None) };
        match self.shared.directory.known_as(login).await {
            Ok(Some(account)) => Ok(Some(account)),
            Ok(None) => Err(Reply::new(
                550,
                EnhancedStatus::new(5, 7, 8),
                "there is no such account here; say LOGIN=[UNAVAILABLE], or correct it",
            )),
            Err(error) => Err(away(&error)),
        }
    }

    /// Answers one event. The answer may lead to another.
    async fn answer(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Hello(name) => self.hello(&name).await,
            Event::Mail(mail) => self.mail(*mail).await,
            Event::Rcpt(rcpt) => self.rcpt(*rcpt).await,
            Event::Octets(octets) => {
                self.octets += octets.len() as u64;
                if let Some(transaction) = &mut self.transaction
                    && let Err(reply) = transaction.write(octets).await
                {
                    self.session.refuse_message(reply);
                }
            }
            Event::Turn(domain) => {
                let started = match &self.door {
                    Some(door) => door.send_waiting(&domain).await,
                    None => Err(closed()),
                };
                self.session
                    .turned(started.as_ref().copied().inspect_err(|reply| log(reply, "ETRN refused")));
            }
            Event::Verify(mailbox) => {
                let found = match (self.take_recipient().await, &self.door) {
                    (Err(reply), _) => Err(reply),
                    (Ok(()), Some(door)) => door.verify(&mailbox).await,
                    (Ok(()), None) => Err(closed()),
                };
                let found = found.as_ref().map(|ours| ours.then_some(&mailbox));
                self.session.verified(found.inspect_err(|reply| log(reply, "VRFY")));
            }
            Event::Collect(domains) => {
                let begun = match &self.door {
                    Some(door) => door.collect(&domains).await,
                    None => Err(closed()),
                };
                self.session.collecting(begun.as_ref().map(|_| ()).inspect_err(|reply| log(reply, "ATRN")));
                self.collection = begun.ok().map(Box::new);
            }
            Event::EndOfData => self.commit().await,
            Event::Reset => (self.transaction, self.octets) = (None, 0),
            Event::Password { login, password } => {
                if !self.may_try(&login) {
                    return None;
                }
                let found = self.shared.directory.check_password(&login, password.as_str()).await;
                self.log_login(&login, found.as_ref().map(Option::is_some));
                if let Ok(None) = found
                    && self.counted(|who| self.shared.limits.is_repeated(who, password.as_str()))
                        == Some(true)
                {
                    // No guess: it counted when it was tried first.
                    self.failures += 1;
                }
                return self.session.password(found.map_err(|_| ()));
            }
            Event::Verifier { login } => {
                if !self.may_try(&login) {
                    return None;
                }
                let found = self.shared.directory.scram(&login).await;
                self.log_login(&login, found.as_ref().map(Option::is_some));
                return self.session.verifier(found.map_err(|_| ()));
            }
            Event::Secret { login } => {
                if !self.may_try(&login) {
                    return None;
                }
                let found = self.secret_of(&login).await;
                self.log_login(&login, found.as_ref().map(Option::is_some));
                return self.session.secret(found.map_err(|_| ()));
            }
            Event::Certificate { certificate, identity } => {
                let found = self.shared.directory.by_certificate(&certificate, identity.as_deref()).await;
                self.log_login(&certificate.to_string(), found.as_ref().map(Option::is_some));
                return self.session.password(found.map_err(|_| ()));
            }
            Event::Token { login, token } => {
                let name = login.as_deref().unwrap_or("(by token)");
                if !self.may_try(name) {
                    return None;
                }
                let found = self.shared.directory.by_token(login.as_deref(), token.as_str()).await;
                let login = name;
                self.log_login(login, found.as_ref().map(Option::is_some));
                return self.session.password(found.map_err(|_| ()));
            }
            Event::Authenticated(account) => {
                tracing::info!(account = %account.mailbox, "authenticated");
                if let Err(error) = self.shared.directory.used(&account, SERVICE).await {
                    tracing::warn!(%error, "the use of an app password is not written down");
                }
                if let Some(door) = &mut self.door {
                    door.connection_mut().account = Some(account);
                }
            }
            Event::StartTls | Event::Claim(_) | Event::Close => {}
        }
        None
    }

    /// What an account shares with this server, if there is still such an account.
    async fn secret_of(&self, login: &str) -> Result<Option<(Account, Password)>, DirectoryError> {
        let Some(secret) = self.shared.options.auth.shared_secrets.of(login) else { return Ok(None) };
        let account = self.shared.directory.known_as(login).await?;
        Ok(account.map(|account| (account, secret.clone())))
    }

    /// Whether a login may be tried from here; otherwise the peer hears which limit it has hit, and is hung up on.
    fn may_try(&mut self, login: &str) -> bool {
        self.count_failures();
        self.login = Some(login.to_owned());
        match self.counted(|who| self.shared.limits.check(Act::Failure, who)) {
            Some(Err(hit)) => {
                self.session.abandon(&hit.reply());
                false
            }
            _ => true,
        }
    }

    /// Tells the limits of logins that failed.
    fn count_failures(&mut self) {
        let failures = self.session.auth_failures();
        let new = failures.saturating_sub(std::mem::replace(&mut self.failures, failures));
        if new > 0 {
            self.counted(|who| self.shared.limits.take(Act::Failure, who, u64::from(new)));
        }
    }

    async fn hello(&mut self, name: &str) {
        self.transaction = None;
        // What follows EHLO was sent without knowing what is offered (RFC 2920 section 3.1).
        if !self.wire.input.is_empty()
            && let Some(Err(hit)) = self.counted(|who| self.shared.limits.take(Act::Breach, who, 1))
        {
            return self.session.hello(Err(&hit.reply()));
        }
        let host = match self.lookup.take() {
            Some(lookup) => lookup.finish().await,
            None => None,
        };
        let Some(door) = &mut self.door else { return self.session.hello(Err(&closed())) };
        if host.is_some() {
            door.connection_mut().host = host;
        }
        self.session.tell_time(door.now());
        let admitted = door.hello(name).await;
        self.session.hello(admitted.as_ref().copied().inspect_err(|reply| log(reply, "name refused")));
    }

    /// Rules about certificates decide now: the peer has shown one by its first message, or shows none.
    fn decide_late(&mut self) -> Result<(), Reply> {
        if !self.waits {
            return Ok(());
        }
        let connection = self.door.as_ref().ok_or_else(closed)?.connection();
        let shown = connection.certificate.as_deref().map_or(Shown::None, Shown::Is);
        let welcome = decide(self.shared, connection.ip(), connection.host.as_deref(), shown)?;
        if let Welcome::Slow(delay) = welcome {
            self.tarpit = delay;
        }
        self.waits = false;
        Ok(())
    }

    async fn mail(&mut self, mail: Mail) {
        let asked = mail.envelope.priority;
        let begun = self.begin(mail).await;
        let changed = |transaction: &Transaction| {
            let priority = transaction.envelope().priority;
            priority.filter(|_| priority != asked)
        };
        self.session.mail(begun.as_ref().map(changed).inspect_err(|reply| log(reply, "sender refused")));
        self.transaction = begun.ok();
    }

    async fn begin(&mut self, mut mail: Mail) -> Result<Transaction, Reply> {
        self.decide_late()?;
        let protocol = self.session.protocol(mail.envelope.smtputf8);
        let door = self.door.as_mut().ok_or_else(closed)?;
        wishes::put(&mut mail, door.now(), &self.shared.options)?;
        mail.envelope.submitter = mail.auth.take();
        let connection = door.connection_mut();
        if connection.protocol != protocol {
            connection.protocol = protocol.into();
        }
        connection.upstream = self.session.upstream().cloned();
        if let Some(upstream) = &connection.upstream {
            tracing::info!(%upstream, "passed on");
        }
        let connection = door.connection();
        let account = connection.account.as_ref().map(|account| account.mailbox.to_string());
        let who = Who { account: account.as_deref(), ..who(&self.shared.scope, connection.ip()) };
        self.shared.limits.check(Act::Octets, &who).map_err(|hit| hit.reply())?;
        let delay = self.shared.limits.take(Act::Message, &who, 1).map_err(|hit| hit.reply())?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        door.begin(mail.envelope, mail.size).await
    }

    async fn rcpt(&mut self, rcpt: Rcpt) {
        let taken = self.take_recipient().await;
        let accepted = match &mut self.transaction {
            _ if taken.is_err() => Err(taken.err().unwrap_or_else(closed)),
            Some(transaction) => transaction.recipient(rcpt.path, rcpt.notify, rcpt.original).await,
            None => Err(closed()),
        };
        self.session.rcpt(accepted.as_ref().copied().inspect_err(|reply| log(reply, "recipient refused")));
    }

    /// Counts a recipient that is asked for.
    async fn take_recipient(&self) -> Result<(), Reply> {
        let taken = self.counted(|who| self.shared.limits.take(Act::Recipient, who, 1));
        let delay = taken.unwrap_or(Ok(Duration::ZERO)).map_err(|hit| hit.reply())?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    /// Asks about whoever is at the other end; nothing if the door was closed to it.
    fn counted<T>(&self, ask: impl FnOnce(&Who<'_>) -> T) -> Option<T> {
        let connection = self.door.as_ref()?.connection();
        let account = connection.account.as_ref().map(|account| account.mailbox.to_string());
        let (account, login) = (account.as_deref(), self.login.as_deref());
        Some(ask(&Who { account, login, ..who(&self.shared.scope, connection.ip()) }))
    }

    async fn commit(&mut self) {
        let octets = std::mem::take(&mut self.octets);
        self.counted(|who| self.shared.limits.spend(Act::Octets, who, octets));
        let outcome = match self.transaction.take() {
            Some(transaction) => transaction.commit().await,
            None => Err(closed()),
        };
        match &outcome {
            Ok(receipt) => tracing::debug!(id = %receipt.id, "queued"),
            Err(reply) => log(reply, "message refused"),
        }
        self.session.committed(outcome.as_ref());
    }

    fn log_login(&self, login: &str, found: Result<bool, &DirectoryError>) {
        match found {
            Ok(true) => tracing::debug!(login, "login known"),
            Ok(false) => tracing::info!(login, "no such login, or a wrong password"),
            Err(error) => tracing::warn!(login, %error, "login could not be checked"),
        }
    }
}

/// What a handshake gave, for those who decide later.
fn note(connection: &mut Connection, agreed: String, beneath: &Beneath) {
    connection.tls = Some(agreed);
    connection.certificate.clone_from(&beneath.certificate);
    if let Some(certificate) = &beneath.certificate {
        tracing::info!(%certificate, "certificate shown");
    }
}

/// Beside what the dialogue logs of each refusal.
fn log(reply: &Reply, what: &str) {
    tracing::debug!(%reply, cause = reply.cause.as_deref(), "{what}");
}

/// The dialogue never asks for these; a peer that gets there all the same is told to come again.
fn closed() -> Reply {
    Reply::defer(3, 0, "not now; try again later").because("no transaction is open")
}

fn away(error: &DirectoryError) -> Reply {
    Reply::defer(3, 0, "the directory does not answer; try again later").because(error.to_string())
}
