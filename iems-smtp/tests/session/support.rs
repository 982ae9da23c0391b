//! A session with an obliging engine behind it: answers every event by simple rules, and keeps what was accepted.
//!
//! Senders called `refused` and recipients called `nobody` are refused, recipients called `later` deferred; in LMTP those
//! called `full` are refused after the message. The only login is `user` with the password `pencil`.

use std::sync::Arc;

use bytes::BytesMut;
use iems_core::message::{ChannelId, ForwardPath, QueueId, Reply};
use iems_core::receive::Receipt;
use iems_core::seam::Account;
use iems_core::seam::sasl::{Mechanism, Password, derive_verifier};
use iems_smtp::server::session::{Event, Link, Session};
use iems_smtp::server::{Mode, ServerOptions, SharedSecrets};

/// The session, and what it led to.
pub(crate) struct Desk {
    session: Option<Session>,
    input: BytesMut,
    /// All that was said.
    pub(crate) output: Vec<u8>,
    /// The messages that were accepted.
    pub(crate) messages: Vec<Vec<u8>>,
    /// Events in order, without octets.
    pub(crate) events: Vec<&'static str>,
    recipients: Vec<String>,
    message: Vec<u8>,
    /// Whether a handshake is waited for.
    pub(crate) handshake: bool,
    /// Whether the session closed.
    pub(crate) closed: bool,
}

/// Options with which dialogues are short: `mx.example.org`, messages up to 1000 octets, three recipients.
pub(crate) fn options(mode: Mode) -> ServerOptions {
    let mut options = ServerOptions::new(mode, ChannelId::new("test"), "mx.example.org");
    options.max_size = 1000;
    options.limits.recipients = 3;
    options.limits.soft_errors = 3;
    options.limits.hard_errors = 5;
    options.limits.idle_commands = 5;
    options.auth.secret = Some([1; 32]);
    if mode == Mode::Collection {
        let user = "user@example.org".parse().expect("an address");
        options.auth.mechanisms = vec![Mechanism::ScramSha256, Mechanism::Plain, Mechanism::CramMd5];
        options.auth.shared_secrets = SharedSecrets::default().with(&user, "pencil".to_owned().into());
    }
    options
}

impl Desk {
    /// A session that has greeted, without a name for the log.
    pub(crate) fn new(options: ServerOptions, link: Link) -> Self {
        Self::named(options, link, None)
    }

    /// A session that has greeted, with a name for the log.
    pub(crate) fn named(options: ServerOptions, link: Link, name: Option<&str>) -> Self {
        let mut session = Session::new(Arc::new(options), link, Arc::new(|| Some([7; 18])));
        name.iter().for_each(|name| session.trace(name));
        session.greet(Ok(()));
        let mut desk = Self {
            session: Some(session),
            input: BytesMut::new(),
            output: Vec::new(),
            messages: Vec::new(),
            events: Vec::new(),
            recipients: Vec::new(),
            message: Vec::new(),
            handshake: false,
            closed: false,
        };
        desk.feed(b"");
        desk
    }

    /// The peer sends octets.
    pub(crate) fn feed(&mut self, octets: &[u8]) {
        let Some(mut session) = self.session.take() else { return };
        self.input.extend_from_slice(octets);
        while let Some(event) = session.next(&mut self.input) {
            let mut next = Some(event);
            while let Some(event) = next {
                next = self.answer(&mut session, event);
            }
        }
        self.output.extend_from_slice(&session.output().split());
        self.session = Some(session);
    }

    /// The handshake is done: what is in the buffer is gone.
    pub(crate) fn secure(&mut self) {
        self.input.clear();
        self.handshake = false;
        self.message.clear();
        self.session = self.session.take().map(Session::secured);
    }

    /// Octets that wait for more.
    pub(crate) fn buffered(&self) -> usize {
        self.input.len()
    }

    fn answer(&mut self, session: &mut Session, event: Event) -> Option<Event> {
        match event {
            Event::Hello(_) => {
                self.events.push("hello");
                self.message.clear();
                session.hello(Ok(()));
            }
            Event::Turn(_) => session.turned(Ok(0)),
            Event::Collect(_) => session.collecting(Err(&Reply::new(
                453,
                iems_core::message::EnhancedStatus::new(4, 2, 0),
                "no mail",
            ))),
            Event::Verify(mailbox) => match mailbox.local().as_str() {
                "nobody" => session.verified(Err(&Reply::refuse(1, 1, "nobody of that name"))),
                "far" => session.verified(Ok(None)),
                _ => session.verified(Ok(Some(&mailbox))),
            },
            Event::Mail(mail) => {
                self.events.push("mail");
                self.recipients.clear();
                self.message.clear();
                let refused = mail.envelope.sender.mailbox().is_some_and(|m| m.local().as_str() == "refused");
                let reply = Reply::refuse(7, 1, "not from you");
                let lowered = mail.envelope.priority.filter(|wish| *wish > 0).map(|_| 0);
                session.mail(if refused { Err(&reply) } else { Ok(lowered) });
            }
            Event::Rcpt(rcpt) => {
                self.events.push("rcpt");
                let name = match &rcpt.path {
                    ForwardPath::Postmaster => "postmaster".to_owned(),
                    ForwardPath::Mailbox(mailbox) => mailbox.local().as_str().to_owned(),
                };
                match name.as_str() {
                    "nobody" => session.rcpt(Err(&Reply::refuse(1, 1, "nobody of that name"))),
                    "later" => session.rcpt(Err(&Reply::defer(3, 0, "not now"))),
                    _ => {
                        self.recipients.push(name);
                        session.rcpt(Ok(()));
                    }
                }
            }
            Event::Octets(octets) => self.message.extend_from_slice(&octets),
            Event::EndOfData => {
                self.events.push("end");
                self.messages.push(std::mem::take(&mut self.message));
                let outcome = |name: &String| match name.as_str() {
                    "full" => Err(Reply::new(452, "4.2.2".parse().expect("a status"), "mailbox full")),
                    _ => Ok(()),
                };
                let recipients = self.recipients.drain(..).map(|name| outcome(&name)).collect();
                session.committed(Ok(&Receipt { id: QueueId::from_bytes([0; 16]), recipients }));
            }
            Event::Reset => {
                self.events.push("reset");
                self.message.clear();
            }
            Event::StartTls => {
                self.events.push("starttls");
                self.handshake = true;
            }
            Event::Password { login, password } => {
                self.events.push("password");
                let right = login == "user" && password.as_str() == "pencil";
                return session.password(Ok(right.then(account)));
            }
            Event::Secret { login } => {
                self.events.push("secret");
                let secret = || Password::from("pencil".to_owned());
                return session.secret(Ok((login == "user@example.org").then(|| (account(), secret()))));
            }
            Event::Certificate { .. } | Event::Token { .. } => return session.password(Ok(None)),
            Event::Verifier { login } => {
                self.events.push("verifier");
                let known = login == "user";
                let found = known.then(|| (account(), derive_verifier("pencil", b"saltsaltsaltsalt", 2)));
                return session.verifier(Ok(found));
            }
            Event::Authenticated(_) => self.events.push("authenticated"),
            Event::Claim(_) => panic!("nobody is trusted here"),
            Event::Close => {
                self.events.push("close");
                self.closed = true;
            }
        }
        None
    }
}

fn account() -> Account {
    Account::new("user@example.org".parse().expect("an address"))
}
