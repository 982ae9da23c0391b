//! The AUTHORIZATION state: `USER`, `PASS`, `AUTH` (RFC 5034), `STLS` (RFC 2595).
//!
//! `USER` and `PASS` go the way of `PLAIN`, so that there is one way to check a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use iems_core::seam::sasl::{Exchange, Failure, Mechanism, Step};

use super::{Event, Pending, Session, State};
use crate::net::{Question, Unoffered};
use crate::pop3::reply::{self, Code};

/// For what peers log in, in the words of credentials.
pub(in crate::pop3) const SERVICE: &str = "pop3";

impl Session {
    pub(super) fn on_user(&mut self, name: String) -> Option<Event> {
        if !self.passwords_may_pass() {
            self.refuse("Passwords need TLS here; say STLS first");
            return None;
        }
        self.state = State::Authorization { user: Some(name) };
        self.ok("Say PASS");
        None
    }

    pub(super) fn on_pass(&mut self, user: Option<String>, password: &str) -> Option<Event> {
        let Some(user) = user else {
            self.refuse("Say USER first");
            return None;
        };
        let message = format!("\0{user}\0{password}");
        self.start(Mechanism::Plain, Some(message.as_bytes()))
    }

    pub(super) fn on_auth(&mut self, mechanism: &str, initial: Option<&str>) -> Option<Event> {
        let mechanism = match self.options.auth.choose(mechanism, self.link, &self.beneath) {
            Ok(mechanism) => mechanism,
            Err(Unoffered::Unknown) => {
                self.refuse("Unknown mechanism; CAPA lists what is known");
                return None;
            }
            Err(Unoffered::NeedsTls) => {
                self.refuse("This mechanism needs TLS here; say STLS first");
                return None;
            }
        };
        match initial.map(decode) {
            None => self.start(mechanism, None),
            Some(Ok(initial)) => self.start(mechanism, Some(&initial)),
            Some(Err(())) => {
                self.refuse("Not base 64");
                None
            }
        }
    }

    fn start(&mut self, mechanism: Mechanism, initial: Option<&[u8]>) -> Option<Event> {
        let Some(entropy) = self.options.auth.entropy(&self.nonce, &self.beneath, SERVICE) else {
            self.error(Code::Temporary, "Credentials cannot be checked now; try again later");
            return None;
        };
        let (exchange, step) = Exchange::start(mechanism, initial, entropy);
        self.auth_step(Box::new(exchange), step)
    }

    /// A line within the exchange. `*` gives the exchange up.
    pub(super) fn on_response(&mut self, mut exchange: Box<Exchange>, line: &[u8]) -> Option<Event> {
        match line {
            b"*" => {
                self.refuse("Authentication cancelled");
                None
            }
            line => match BASE64.decode(line) {
                Ok(response) => {
                    let step = exchange.respond(&response);
                    self.auth_step(exchange, step)
                }
                Err(_) => {
                    self.refuse("Not base 64");
                    None
                }
            },
        }
    }

    pub(super) fn auth_step(&mut self, exchange: Box<Exchange>, step: Step) -> Option<Event> {
        let step = match Question::of(step) {
            Ok(question) => {
                self.state = State::Auth(exchange);
                self.pending = Pending::Credentials;
                return Some(Event::Ask(question));
            }
            Err(step) => step,
        };
        match step {
            Step::Challenge(octets) => {
                reply::challenge(&mut self.output, &BASE64.encode(octets));
                self.state = State::Auth(exchange);
            }
            Step::Done(account) => {
                let credential = account.credential.name.as_deref();
                tracing::info!(account = %account.mailbox, mechanism = %exchange.mechanism(), credential, "identity proved");
                self.state = State::authorization();
                self.pending = Pending::Maildrop;
                return Some(Event::Open(account));
            }
            Step::Fail(failure) => self.auth_failed(failure),
            // Those were questions.
            Step::CheckPassword { .. }
            | Step::NeedScram { .. }
            | Step::NeedSecret { .. }
            | Step::CheckCertificate { .. }
            | Step::CheckToken { .. } => {}
        }
        None
    }

    fn auth_failed(&mut self, failure: Failure) {
        self.state = State::authorization();
        self.delay = Some(self.options.auth.delay(self.failures));
        self.failures += 1;
        match failure {
            Failure::Malformed => self.refuse("The response does not follow the mechanism"),
            Failure::Credentials => self.error(Code::Auth, "Wrong login or password"),
            Failure::NotHere => {
                self.error(Code::Auth, "This app password is not for POP3; make one with the scope pop3");
            }
            Failure::Unsupported => self.refuse("Not supported; use another mechanism or channel binding"),
            Failure::NotBound => {
                self.error(Code::Auth, "Your TLS channel is not ours; check who stands between");
            }
        }
        if self.failures >= self.options.auth.max_failures {
            self.state = State::Closing;
        }
    }

    /// What follows `STLS` in the clear may be another's: a peer that does not wait for the reply is cut off.
    pub(super) fn on_stls(&mut self, input: &BytesMut) -> Option<Event> {
        match (self.link.tls, self.link.tls_available) {
            (true, _) => self.refuse("TLS is in force already"),
            (false, false) => self.refuse("There is no TLS here"),
            (false, true) if !input.is_empty() => {
                self.refuse("Nothing may follow STLS before its reply; connect again and wait for it");
                self.state = State::Closing;
            }
            (false, true) => {
                self.ok("Begin TLS");
                self.state = State::Handshake;
                return Some(Event::StartTls);
            }
        }
        None
    }
}

/// An initial response: `=` stands for an empty one.
fn decode(text: &str) -> Result<Vec<u8>, ()> {
    if text == "=" { Ok(Vec::new()) } else { BASE64.decode(text).map_err(|_| ()) }
}
