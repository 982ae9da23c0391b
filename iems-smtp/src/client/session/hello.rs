//! From the connection to the point where messages can be sent: greeting, EHLO, STARTTLS.
//!
//! Decides what to say; writes and reads nothing. RFC 5321 sections 3.1 and 3.2, RFC 3207, RFC 2033 section 4.1.

use crate::client::settings::{Protocol, TlsLevel};
use crate::client::trouble::Phase;
use crate::proto::{Command, Extensions, Response};

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum HelloStep {
    /// Write this command, then read.
    Say(Command),
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
}

/// The dialogue before messages.
#[derive(Debug)]
pub(in crate::client) struct Hello {
    protocol: Protocol,
    name: String,
    tls: TlsLevel,
    secured: bool,
    state: State,
    extensions: Extensions,
}

impl Hello {
    /// A client called `name` that waits for the greeting.
    pub(in crate::client) fn new(protocol: Protocol, name: &str, tls: TlsLevel) -> Self {
        let (state, extensions) = (State::Greeting, Extensions::default());
        Self { protocol, name: name.to_owned(), tls, secured: false, state, extensions }
    }

    /// What we wait for.
    pub(in crate::client) fn phase(&self) -> Phase {
        match self.state {
            State::Greeting => Phase::Greeting,
            State::Ehlo | State::Helo => Phase::Hello,
            State::StartTls => Phase::StartTls,
        }
    }

    /// Takes in a reply.
    pub(in crate::client) fn reply(&mut self, response: Response) -> Result<HelloStep, HelloError> {
        let phase = self.phase();
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
            State::StartTls if self.tls == TlsLevel::Required => Err(HelloError::NoTls),
            State::StartTls if response.code != 421 => Ok(HelloStep::Ready),
            _ => Err(HelloError::Refused(response, phase)),
        }
    }

    /// The handshake is done: everything the server said before is forgotten (RFC 3207 section 4.2).
    pub(in crate::client) fn secured(&mut self) -> HelloStep {
        self.secured = true;
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
        if self.secured || self.tls == TlsLevel::None {
            return Ok(HelloStep::Ready);
        }
        match (self.extensions.starttls, self.tls) {
            (true, _) => {
                self.state = State::StartTls;
                Ok(HelloStep::Say(Command::StartTls))
            }
            (false, TlsLevel::Required) => Err(HelloError::NoTls),
            (false, _) => Ok(HelloStep::Ready),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(code: u16, lines: &[&str]) -> Response {
        Response { code, enhanced: None, lines: lines.iter().map(|l| l.to_string()).collect() }
    }

    fn talk(protocol: Protocol, tls: TlsLevel, replies: &[Response]) -> Vec<String> {
        let mut hello = Hello::new(protocol, "us.example", tls);
        let mut said = Vec::new();
        for reply in replies {
            let mut step = hello.reply(reply.clone());
            if step == Ok(HelloStep::Handshake) {
                said.push("(handshake)".into());
                step = Ok(hello.secured());
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
        use {Protocol::*, TlsLevel::*};
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
        use {Protocol::*, TlsLevel::*};
        assert_eq!(
            talk(Smtp, Opportunistic, &[greeting.clone(), no.clone(), response(250, &["mx"])]),
            ["EHLO us.example", "HELO us.example", "Ready pipelining=false"]
        );
        assert_eq!(talk(Lmtp, None, &[greeting.clone(), no])[1], "refused 502 EHLO");
        assert_eq!(talk(Smtp, None, &[greeting, response(451, &["later"])])[1], "refused 451 EHLO");
    }

    #[test]
    fn refusals_and_nonsense() {
        use {Protocol::*, TlsLevel::*};
        assert_eq!(talk(Smtp, None, &[response(554, &["go"])]), ["refused 554 the connection"]);
        assert_eq!(talk(Smtp, None, &[response(354, &["go"])]), ["OutOfTurn"]);
        let offered = [response(220, &[""]), response(250, &["mx", "STARTTLS"]), response(454, &["no"])];
        assert_eq!(talk(Smtp, Opportunistic, &offered)[2], "Ready pipelining=false");
        assert_eq!(talk(Smtp, Required, &offered)[2], "NoTls");
    }
}
