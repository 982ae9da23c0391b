//! The dialogue of one connection, without I/O: octets in, [`Event`]s and replies out.
//!
//! The caller feeds [`Session::next`] with its input buffer, answers each event through the method that the event names,
//! writes [`Session::output`] to the peer when `next` gives `None`, and reads more. States and their transitions are drawn
//! in `state`. RFC 5321, 2033, 2920, 3030, 3207, 3461, 4954, 6152, 6409, 6531.

mod auth;
mod body;
mod commands;
mod event;
mod output;
mod state;

use std::sync::Arc;

use bytes::BytesMut;
use iems_core::message::Reply;
use iems_core::receive::Upstream;
use iems_core::seam::Timestamp;
use iems_core::seam::sasl::Beneath;

use self::state::{Hello, Pending, State};
use super::ServerOptions;
use crate::proto::{Command, LineReader};

pub(super) use auth::SERVICE;
pub use event::{Event, Nonce};
pub use state::Waiting;

/// What holds for a connection as long as it lasts, or until TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Whether TLS is in force.
    pub tls: bool,
    /// Whether TLS can be started.
    pub tls_available: bool,
    /// Whether the peer is on this machine (loopback or a Unix socket), so that nobody can listen.
    pub local: bool,
}

impl Link {
    /// Whether passwords may pass.
    fn is_protected(self) -> bool {
        self.tls || self.local
    }
}

/// One dialogue.
pub struct Session {
    options: Arc<ServerOptions>,
    nonce: Nonce,
    /// What refusals name, so that the log can be asked.
    trace: Option<Box<str>>,
    link: Link,
    beneath: Arc<Beneath>,
    max_size: u64,
    /// What time it was when the peer said its name.
    now: Timestamp,
    state: State,
    pending: Pending,
    hello: Hello,
    authenticated: bool,
    auth_failures: u32,
    errors: u32,
    idle_commands: u32,
    late: bool,
    slow: bool,
    quit: bool,
    trusted: bool,
    inside: bool,
    upstream: Option<Box<Upstream>>,
    line: LineReader,
    output: BytesMut,
}

impl Session {
    /// A dialogue that has not begun; [`Session::greet`] begins it. `nonce` makes unguessable octets.
    pub fn new(options: Arc<ServerOptions>, link: Link, nonce: Nonce) -> Self {
        let max_size = options.max_size;
        Self {
            options,
            max_size,
            now: Timestamp::default(),
            nonce,
            trace: None,
            link,
            beneath: Arc::default(),
            state: State::Fresh,
            pending: Pending::Greeting,
            hello: Hello::None,
            authenticated: false,
            auth_failures: 0,
            errors: 0,
            idle_commands: 0,
            late: false,
            slow: false,
            quit: false,
            trusted: false,
            inside: false,
            upstream: None,
            line: LineReader::default(),
            output: BytesMut::new(),
        }
    }

    /// Takes messages up to `octets` only, if that is less than the options allow: what the engine takes.
    pub fn limit_size(&mut self, octets: u64) {
        self.max_size = self.max_size.min(octets);
    }

    /// What time it is, for what the reply to `EHLO` says about it.
    pub fn tell_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Every refusal ends in this name from now on, in brackets: the one under which the log has the connection.
    pub fn trace(&mut self, name: &str) {
        self.trace = Some(name.into());
    }

    /// What the channel gives to exchanges, until TLS begins.
    pub fn over(&mut self, beneath: Arc<Beneath>) {
        self.beneath = beneath;
    }

    /// The peer may say for whom it speaks (`XCLIENT`).
    pub fn trust(&mut self) {
        self.trusted = true;
    }

    /// The peer is a host of the site that may say where messages first came in (`XFORWARD`).
    pub fn count_as_inside(&mut self) {
        self.inside = true;
    }

    /// Where the next message first came in, as a host of the site says.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.upstream.as_deref()
    }

    /// A trusted host says that the peer has said its name already, by `EHLO` or `HELO`, and perhaps has proved who it is.
    pub fn introduced(&mut self, helo: Option<bool>, authenticated: bool) {
        if let Some(extended) = helo
            && matches!(self.state, State::Fresh)
        {
            self.hello = if extended { Hello::Extended } else { Hello::Helo };
            self.state = State::Ready;
        }
        self.authenticated |= authenticated;
    }

    /// Greets the peer, or turns it away. A peer that is turned away with 554 may still say `QUIT` (RFC 5321 section 3.1).
    pub fn greet(&mut self, admitted: Result<(), &Reply>) {
        if self.pending != Pending::Greeting {
            return;
        }
        self.pending = Pending::Nothing;
        match admitted {
            Ok(()) => self.write_greeting(),
            Err(reply) => {
                self.state = State::Refused;
                self.write(reply);
            }
        }
    }

    /// What the peer's octets lead to. Takes them out of `input`. `None`: send [`Session::output`], and read more;
    /// also while an event is not answered yet.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Event> {
        while self.pending == Pending::Nothing {
            let event = match &self.state {
                State::Closing => return self.close(),
                State::Handshake | State::Closed => return None,
                State::Data(_) => self.data(input)?,
                State::Chunk(_) | State::Skip(_) => self.chunk(input)?,
                State::Fresh | State::Ready | State::Mail(_) | State::Auth(_) | State::Refused => {
                    self.read_line(input)?
                }
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

    /// What is waited for, which says how long (see [`super::Timeouts`]).
    pub fn waiting(&self) -> Waiting {
        self.state.waiting()
    }

    /// Whether nothing is lost if the connection is closed now: no message is on its way.
    pub fn is_idle(&self) -> bool {
        self.pending == Pending::Nothing && self.state.is_idle()
    }

    /// Exchanges that failed so far.
    pub fn auth_failures(&self) -> u32 {
        self.auth_failures
    }

    /// Whether the peer said `QUIT`; otherwise it may still be sending when the connection closes.
    pub fn has_quit(&self) -> bool {
        self.quit
    }

    /// How late the output is to be sent: a peer that made too many errors waits. Said once.
    pub fn take_delay(&mut self) -> Option<std::time::Duration> {
        if std::mem::take(&mut self.slow) {
            return Some(self.options.auth.failure_delay);
        }
        std::mem::take(&mut self.late).then_some(self.options.limits.error_delay)
    }

    /// Says 421 and closes: for timeouts, shutdown, and errors of the engine.
    pub fn abandon(&mut self, reply: &Reply) {
        if !matches!(self.state, State::Closing | State::Closed) {
            self.write(reply);
            self.state = State::Closing;
            self.pending = Pending::Nothing;
        }
    }

    /// The handshake that followed [`Event::StartTls`] succeeded. Everything the peer said before is forgotten
    /// (RFC 3207 section 4.2); the caller gives up its input buffer, its transaction, and what it knows of the peer.
    #[must_use]
    pub fn secured(self) -> Self {
        let link = Link { tls: true, ..self.link };
        let mut session = Self::new(self.options, link, self.nonce);
        session.pending = Pending::Nothing;
        session.max_size = self.max_size;
        session.trace = self.trace;
        (session.trusted, session.inside) = (self.trusted, self.inside);
        (session.errors, session.idle_commands) = (self.errors, self.idle_commands);
        session.auth_failures = self.auth_failures;
        session
    }

    /// The protocol keyword for `Received` (RFC 3848, RFC 6531 section 4.3).
    pub fn protocol(&self, smtputf8: bool) -> &'static str {
        let lmtp = self.options.mode == super::Mode::Lmtp;
        state::protocol(lmtp, self.hello, self.link.tls, self.authenticated, smtputf8)
    }

    fn read_line(&mut self, input: &mut BytesMut) -> Option<Option<Event>> {
        let in_auth = matches!(self.state, State::Auth(_));
        let line = self.line.next(input, |beginning| match in_auth {
            true => crate::proto::line::AUTH_LIMIT,
            false => Command::line_limit(beginning),
        })?;
        let length = match line {
            Err(error) => return Some(self.bad_line(error)),
            Ok(length) => length,
        };
        Some(if in_auth {
            let response = self.auth_line(&input[..length]);
            self.line.take(input);
            self.auth_response(response)
        } else {
            let command = Command::parse(&input[..length]);
            self.line.take(input);
            self.command(command, input)
        })
    }

    fn close(&mut self) -> Option<Event> {
        self.state = State::Closed;
        Some(Event::Close)
    }
}
