//! The dialogue of one connection, without I/O: octets in, [`Event`]s and replies out.
//!
//! The caller feeds [`Session::next`] with its input buffer, answers each event through the method that the event names,
//! writes [`Session::output`] to the peer when `next` gives `None`, and reads more.
//!
//! ```text
//! Authorization ──USER──► Authorization ──PASS, AUTH──► Auth ──► Transaction ⇄ Listing
//!    │ ▲   STLS ► Handshake ► (a new dialogue)           │             │ QUIT
//!    │ └──────────────── failure ────────────────────────┘             ▼
//!    └────QUIT────────────────────────────────► Closing ◄───────── Update
//! ```

mod auth;
mod event;
mod maildrop;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use iems_core::seam::sasl::{Beneath, Exchange};
use iems_store::mailbox::Uid;

use self::maildrop::Listing;
use super::command::LineReader;
use super::reply::{self, Code};
use super::{Command, CommandError, Part, ServerOptions};
use crate::net::{Link, Nonce};

pub(super) use auth::SERVICE;
pub use event::{Event, NotFound, Unopened};
pub use maildrop::Maildrop;

/// The longest command line. RFC 2449 section 4 asks for 255 octets; `AUTH` with an initial response needs more.
const COMMAND: usize = 2048;
/// The longest line within an exchange.
const RESPONSE: usize = 16 * 1024;
/// How much may be written before it is sent.
const ENOUGH: usize = 16 * 1024;
/// How late replies to many errors come.
const ERROR_DELAY: Duration = Duration::from_secs(1);

enum State {
    Authorization {
        user: Option<String>,
    },
    /// Within an exchange: the next line is a response.
    Auth(Box<Exchange>),
    /// TLS is about to begin; nothing said in the clear counts any more.
    Handshake,
    Transaction(Maildrop),
    /// A listing is written from this index on.
    Listing(Maildrop, Listing, usize),
    Update,
    Closing,
    Closed,
}

impl State {
    const fn authorization() -> Self {
        Self::Authorization { user: None }
    }
}

/// The answer that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    Credentials,
    Maildrop,
    Message(Uid, Part),
    Update,
}

/// One dialogue.
pub struct Session {
    options: Arc<ServerOptions>,
    nonce: Nonce,
    link: Link,
    beneath: Arc<Beneath>,
    state: State,
    pending: Pending,
    failures: u32,
    errors: u32,
    delay: Option<Duration>,
    line: LineReader,
    output: BytesMut,
}

impl Session {
    /// A dialogue whose greeting stands in the output. `nonce` makes unguessable octets.
    pub fn new(options: Arc<ServerOptions>, link: Link, nonce: Nonce) -> Self {
        let mut session = Self::silent(options, link, nonce);
        let greeting = format!("{} POP3 IEMS", session.options.hostname);
        session.ok(&greeting);
        session
    }

    fn silent(options: Arc<ServerOptions>, link: Link, nonce: Nonce) -> Self {
        let (state, pending, delay) = (State::authorization(), Pending::Nothing, None);
        let (line, output) = (LineReader::default(), BytesMut::new());
        let beneath = Arc::default();
        Self { options, nonce, link, beneath, state, pending, failures: 0, errors: 0, delay, line, output }
    }

    /// What the channel gives to exchanges, until TLS begins.
    pub fn over(&mut self, beneath: Arc<Beneath>) {
        self.beneath = beneath;
    }

    /// What the peer's octets lead to. Takes them out of `input`. `None`: send [`Session::output`], and read more;
    /// also while an event is not answered yet.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Event> {
        while self.pending == Pending::Nothing {
            if self.output.len() >= ENOUGH || self.delay.is_some() && !self.output.is_empty() {
                return Some(Event::Flush);
            }
            let event = match std::mem::replace(&mut self.state, State::Closed) {
                State::Closing => return Some(Event::Close),
                State::Closed => return None,
                state @ (State::Handshake | State::Update) => {
                    self.state = state;
                    return None;
                }
                State::Listing(maildrop, kind, from) => self.listing(maildrop, kind, from),
                state => self.read_line(state, input)?,
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// What is to be sent. The caller takes it out (`split`, `clear`).
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Logins that failed so far.
    pub fn failed_logins(&self) -> u32 {
        self.failures
    }

    /// Says why, and closes: for a peer that tried to log in too often.
    pub fn turn_away(&mut self, why: &str) {
        self.error(Code::Temporary, why);
        self.state = State::Closing;
        self.pending = Pending::Nothing;
    }

    /// How late the output is to be sent. Said once.
    pub fn take_delay(&mut self) -> Option<Duration> {
        self.delay.take()
    }

    /// How long the next command may take.
    pub fn patience(&self) -> Duration {
        match self.state {
            State::Transaction(_) | State::Listing(..) => self.options.timeouts.idle,
            _ => self.options.timeouts.login,
        }
    }

    /// Says that the server shuts down, and closes. Nothing is removed.
    pub fn abandon(&mut self) {
        if !matches!(self.state, State::Closing | State::Closed | State::Handshake) {
            self.error(Code::Temporary, "The server shuts down");
            self.state = State::Closing;
            self.pending = Pending::Nothing;
        }
    }

    /// The handshake that followed [`Event::StartTls`] succeeded. Everything the peer said before is forgotten (RFC 2595
    /// section 4); the caller gives up its input buffer. There is no new greeting.
    #[must_use]
    pub fn secured(self) -> Self {
        let link = Link { tls: true, ..self.link };
        let mut session = Self::silent(self.options, link, self.nonce);
        (session.failures, session.errors) = (self.failures, self.errors);
        session
    }

    /// The outer `None` says that there is no whole line.
    fn read_line(&mut self, state: State, input: &mut BytesMut) -> Option<Option<Event>> {
        let longest = if matches!(state, State::Auth(_)) { RESPONSE } else { COMMAND };
        let Some(line) = self.line.next(input, longest) else {
            self.state = state;
            return None;
        };
        Some(match (state, line) {
            (State::Auth(exchange), Ok(line)) => {
                self.state = State::authorization();
                let event = self.on_response(exchange, &line);
                self.count_errors();
                event
            }
            (state, Ok(line)) => self.command(state, Command::parse(&line), input),
            (State::Auth(_), Err(e)) => self.command(State::authorization(), Err(e), input),
            (state, Err(e)) => self.command(state, Err(e), input),
        })
    }

    fn command(
        &mut self,
        state: State,
        command: Result<Command, CommandError>,
        rest: &BytesMut,
    ) -> Option<Event> {
        let command = match command {
            Ok(command) => command,
            Err(e) => {
                self.state = state;
                self.refuse(&e.to_string());
                self.count_errors();
                return None;
            }
        };
        match state {
            State::Transaction(maildrop) => self.on_transaction(maildrop, command),
            State::Authorization { user } => self.on_authorization(user, command, rest),
            state => {
                self.state = state;
                None
            }
        }
    }

    fn on_authorization(&mut self, user: Option<String>, command: Command, rest: &BytesMut) -> Option<Event> {
        self.state = State::authorization();
        let event = match command {
            Command::User(name) => self.on_user(name),
            Command::Pass(password) => self.on_pass(user, &password),
            Command::Auth { mechanism, initial } => self.on_auth(&mechanism, initial.as_deref()),
            Command::Stls => self.on_stls(rest),
            Command::Capa => {
                self.state = State::Authorization { user };
                self.capabilities(false);
                None
            }
            Command::Quit => {
                self.ok("Bye");
                self.state = State::Closing;
                None
            }
            _ => {
                self.refuse("Log in first");
                None
            }
        };
        self.count_errors();
        event
    }

    fn passwords_may_pass(&self) -> bool {
        self.options.auth.passwords_may_pass(self.link)
    }

    /// RFC 2449 sections 5 and 6, RFC 3206, RFC 2595, RFC 5034.
    fn capabilities(&mut self, logged_in: bool) {
        self.ok("What is known here");
        let clear = self.passwords_may_pass();
        let mechanisms = self.options.auth.offered(self.link, &self.beneath);
        let sasl: String = mechanisms.map(|m| format!(" {}", m.name())).collect();
        let delay = self.options.login_delay.as_secs();
        let mut lines = vec!["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"];
        if clear {
            lines.push("USER");
        }
        if self.link.tls_available && !self.link.tls && !logged_in {
            lines.push("STLS");
        }
        let sasl = format!("SASL{sasl}");
        if sasl != "SASL" {
            lines.push(&sasl);
        }
        let delay = format!("LOGIN-DELAY {delay}");
        if !self.options.login_delay.is_zero() {
            lines.push(&delay);
        }
        lines.push("IMPLEMENTATION IEMS");
        for line in lines.into_iter().chain(["."]) {
            self.output.extend_from_slice(line.as_bytes());
            self.output.extend_from_slice(b"\r\n");
        }
    }

    fn ok(&mut self, text: &str) {
        reply::ok(&mut self.output, text);
    }

    fn error(&mut self, code: Code, text: &str) {
        reply::error(&mut self.output, Some(code), text);
    }

    /// Writes a refusal that is the peer's error.
    fn refuse(&mut self, text: &str) {
        reply::error(&mut self.output, None, text);
        self.errors += 1;
    }

    /// After a command: a peer that makes many errors waits, and at last goes.
    fn count_errors(&mut self) {
        let most = self.options.limits.errors;
        if self.errors > most && !matches!(self.state, State::Closing | State::Closed) {
            self.refuse("Too many errors");
            self.state = State::Closing;
        }
        if self.errors > most / 2 {
            self.delay.get_or_insert(ERROR_DELAY);
        }
    }
}

#[cfg(test)]
mod tests;
