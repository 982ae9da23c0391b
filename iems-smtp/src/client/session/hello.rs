//! From the connection to the point where messages can be sent: greeting, EHLO, STARTTLS, AUTH.
//!
//! Decides what to say; writes and reads nothing. RFC 5321 sections 3.1 and 3.2, RFC 3207, RFC 4954, RFC 2033 section 4.1.

use std::sync::Arc;

use iems_core::seam::sasl::ChannelBinding;
use iems_core::seam::sasl::client::{Login, Secret};

use super::auth::{Auth, AuthError, AuthStep};
use crate::client::settings::Protocol;
use crate::client::trouble::Phase;
use crate::proto::{Command, Extensions, Response};

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum HelloStep {
    /// Write this command, then read.
    Say(Command),
    /// Write this line, which has its CRLF, then read.
    Tell(Secret),
    /// Do the handshake, throw away what was received before it, and call [`Hello::secured`].
    Handshake,
    /// Ready for messages.
    Ready,
}

/// Why the server cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum HelloError {
    /// It refused, in this phase.
    Refused(Response, Phase),
    /// Its reply makes no sense.
    OutOfTurn(Response, Phase),
    /// It offers no TLS, which is required.
    NoTls,
    /// We have to log in there, and could not.
    Login(AuthError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
}

/// Whether TLS is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Starttls {
    /// Never.
    None,
    /// Where it is offered.
    Opportunistic,
    /// Or the session ends.
    Required,
}

/// Who we have to be there.
pub(in crate::client) struct Identity {
    /// Name and password.
    pub(in crate::client) login: Arc<Login>,
    /// Fresh octets for the exchange.
    pub(in crate::client) nonce: [u8; 18],
    /// Whether nobody can listen even without TLS.
    pub(in crate::client) unheard: bool,
}

/// The dialogue before messages.
pub(in crate::client) struct Hello {
    protocol: Protocol,
    name: String,
    tls: Starttls,
    secured: bool,
    state: State,
    extensions: Extensions,
    identity: Option<Identity>,
    auth: Option<Auth>,
    /// The marks of the channel.
    bindings: Vec<ChannelBinding>,
}

impl Hello {
    /// A client called `name` that waits for the greeting.
    pub(in crate::client) fn new(protocol: Protocol, name: &str, tls: Starttls) -> Self {
        let (state, extensions) = (State::Greeting, Extensions::default());
        let (name, identity, auth) = (name.to_owned(), None, None);
        Self { protocol, name, tls, secured: false, state, extensions, identity, auth, bindings: Vec::new() }
    }

    /// The same, that has to log in before it is ready.
    pub(in crate::client) fn with_identity(self, identity: Option<Identity>) -> Self {
        Self { identity, ..self }
    }

    /// What we wait for.
    pub(in crate::client) fn phase(&self) -> Phase {
        match self.state {
            State::Greeting => Phase::Greeting,
            State::Ehlo | State::Helo => Phase::Hello,
            State::StartTls => Phase::StartTls,
            State::Auth => Phase::Auth,
        }
    }

    /// Takes in a reply.
    pub(in crate::client) fn reply(&mut self, response: Response) -> Result<HelloStep, HelloError> {
        let phase = self.phase();
        if let Some(auth) = &mut self.auth {
            return match auth.reply(response).map_err(HelloError::Login)? {
                AuthStep::Say(line) => Ok(HelloStep::Tell(line)),
                AuthStep::Done => Ok(HelloStep::Ready),
            };
        }
        if response.is_intermediate() {
            return Err(HelloError::OutOfTurn(response, phase));
        }
        let (ok, permanent) = (response.is_success(), response.code / 100 == 5);
        match self.state {
            State::Greeting if ok => Ok(self.ehlo()),
            State::Ehlo if ok => {
                self.extensions = Extensions::read(response.lines.iter().skip(1).map(String::as_str));
                self.greeted()
            }
            State::Ehlo if permanent && self.protocol == Protocol::Smtp && !self.secured => {
                self.state = State::Helo;
                Ok(HelloStep::Say(Command::Helo(self.name.clone())))
            }
            State::Helo if ok => self.greeted(),
            State::StartTls if ok => Ok(HelloStep::Handshake),
            State::StartTls if self.tls == Starttls::Required => Err(HelloError::NoTls),
            State::StartTls if response.code != 421 => self.ready(),
            _ => Err(HelloError::Refused(response, phase)),
        }
    }

    /// The handshake is done: everything the server said before is forgotten (RFC 3207 section 4.2).
    /// `bindings` are the marks of the channel.
    pub(in crate::client) fn secured(&mut self, bindings: Vec<ChannelBinding>) -> HelloStep {
        (self.secured, self.bindings) = (true, bindings);
        self.extensions = Extensions::default();
        self.ehlo()
    }

    /// What the server can do.
    pub(in crate::client) fn into_extensions(self) -> Extensions {
        self.extensions
    }

    fn ehlo(&mut self) -> HelloStep {
        self.state = State::Ehlo;
        HelloStep::Say(match self.protocol {
            Protocol::Smtp => Command::Ehlo(self.name.clone()),
            Protocol::Lmtp => Command::Lhlo(self.name.clone()),
        })
    }

    fn greeted(&mut self) -> Result<HelloStep, HelloError> {
        if self.secured || self.tls == Starttls::None {
            return self.ready();
        }
        match (self.extensions.starttls, self.tls) {
            (true, _) => {
                self.state = State::StartTls;
                Ok(HelloStep::Say(Command::StartTls))
            }
            (false, Starttls::Required) => Err(HelloError::NoTls),
            (false, _) => self.ready(),
        }
    }

    /// All is done but to say who we are, where that is wanted.
    fn ready(&mut self) -> Result<HelloStep, HelloError> {
        let Some(Identity { login, nonce, unheard }) = self.identity.take() else {
            return Ok(HelloStep::Ready);
        };
        if !self.secured && !unheard {
            return Err(HelloError::Login(AuthError::Unprotected));
        }
        let login = Login::clone(&login);
        let (auth, line) =
            Auth::start(login, &self.extensions.auth, &nonce, &self.bindings).map_err(HelloError::Login)?;
        (self.state, self.auth) = (State::Auth, Some(auth));
        Ok(HelloStep::Tell(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(code: u16, lines: &[&str]) -> Response {
        Response { code, enhanced: None, lines: lines.iter().map(|l| l.to_string()).collect() }
    }

    fn talk(protocol: Protocol, tls: Starttls, replies: &[Response]) -> Vec<String> {
        let mut hello = Hello::new(protocol, "us.example", tls);
        let mut said = Vec::new();
        for reply in replies {
            let mut step = hello.reply(reply.clone());
            if step == Ok(HelloStep::Handshake) {
                said.push("(handshake)".into());
                step = Ok(hello.secured(Vec::new()));
            }
            said.push(match step {
                Ok(HelloStep::Say(command)) => command.to_string(),
                Ok(step) => format!("{step:?} pipelining={}", hello.extensions.pipelining),
                Err(HelloError::Refused(response, phase)) => format!("refused {} {phase}", response.code),
                Err(error) => format!("{error:?}").chars().take(9).collect(),
            });
        }
        said
    }

    #[test]
    fn the_usual_ways() {
        let (greeting, plain) = (response(220, &["mx"]), response(250, &["mx", "PIPELINING"]));
        let tls = response(250, &["mx", "STARTTLS", "CHUNKING"]);
        use {Protocol::*, Starttls::*};
        assert_eq!(
            talk(Smtp, Opportunistic, &[greeting.clone(), plain.clone()]),
            ["EHLO us.example", "Ready pipelining=true"]
        );
        assert_eq!(
            talk(Smtp, Opportunistic, &[greeting.clone(), tls.clone(), greeting.clone(), plain.clone()]),
            ["EHLO us.example", "STARTTLS", "(handshake)", "EHLO us.example", "Ready pipelining=true"]
        );
        assert_eq!(talk(Lmtp, None, &[greeting.clone(), tls]), ["LHLO us.example", "Ready pipelining=false"]);
        assert_eq!(talk(Smtp, Required, &[greeting, plain]), ["EHLO us.example", "NoTls"]);
    }

    #[test]
    fn old_servers_get_helo_and_no_others_do() {
        let (greeting, no) = (response(220, &["mx"]), response(502, &["what"]));
        use {Protocol::*, Starttls::*};
        assert_eq!(
            talk(Smtp, Opportunistic, &[greeting.clone(), no.clone(), response(250, &["mx"])]),
            ["EHLO us.example", "HELO us.example", "Ready pipelining=false"]
        );
        assert_eq!(talk(Lmtp, None, &[greeting.clone(), no])[1], "refused 502 EHLO");
        assert_eq!(talk(Smtp, None, &[greeting, response(451, &["later"])])[1], "refused 451 EHLO");
    }

    #[test]
    fn refusals_and_nonsense() {
        use {Protocol::*, Starttls::*};
        assert_eq!(talk(Smtp, None, &[response(554, &["go"])]), ["refused 554 the connection"]);
        assert_eq!(talk(Smtp, None, &[response(354, &["go"])]), ["OutOfTurn"]);
        let offered = [response(220, &[""]), response(250, &["mx", "STARTTLS"]), response(454, &["no"])];
        assert_eq!(talk(Smtp, Opportunistic, &offered)[2], "Ready pipelining=false");
        assert_eq!(talk(Smtp, Required, &offered)[2], "NoTls");
    }
}
