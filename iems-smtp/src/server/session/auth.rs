//! `AUTH` (RFC 4954): base 64 around the exchange of `iems_core::seam::sasl`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BufMut;
use iems_core::message::Reply;
use iems_core::seam::sasl::{Beneath, Entropy, Exchange, Failure, Mechanism, Step};

use super::output::{Text, directory_away, error, out_of_order};
use super::state::{Hello, Pending, State};
use super::{Event, Session};

/// For what peers log in, in the words of credentials.
pub(in crate::server) const SERVICE: &str = "smtp";

impl Session {
    /// Whether `AUTH` is offered here and now.
    pub(super) fn may_authenticate(&self) -> bool {
        let auth = &self.options.auth;
        auth.enabled && (self.link.is_protected() || auth.without_tls) && !self.authenticated
    }

    /// Whether a mechanism is offered, once `AUTH` is.
    pub(super) fn is_offered(&self, mechanism: Mechanism) -> bool {
        let auth = &self.options.auth;
        let known = mechanism != Mechanism::CramMd5 || !auth.shared_secrets.is_empty();
        known && auth.mechanisms.contains(&mechanism) && mechanism.fits(&self.beneath)
    }

    /// What an exchange may make use of. Without the mechanism that binds, nothing to bind to was offered.
    fn beneath_exchanges(&self) -> Arc<Beneath> {
        match self.options.auth.mechanisms.contains(&Mechanism::ScramSha256Plus) {
            true => self.beneath.clone(),
            false => {
                let certificate = self.beneath.certificate.clone();
                Arc::new(Beneath { bindings: Vec::new(), certificate })
            }
        }
    }

    pub(super) fn on_auth(&mut self, mechanism: &str, initial: Option<&str>) -> Option<Event> {
        let mechanism = match self.admit(mechanism) {
            Ok(mechanism) => mechanism,
            Err(reply) => {
                self.refuse(&reply);
                return None;
            }
        };
        let initial = match initial.map(decode) {
            None => None,
            Some(Ok(octets)) => Some(octets),
            Some(Err(reply)) => {
                self.refuse(&reply);
                return None;
            }
        };
        let auth = &self.options.auth;
        let (Some(nonce), Some(secret)) = ((self.nonce)(), auth.secret) else {
            self.refuse(&directory_away());
            return None;
        };
        let (iterations, beneath) = (auth.iterations, self.beneath_exchanges());
        let entropy = Entropy { nonce, secret, iterations, beneath, service: SERVICE };
        let (exchange, step) = Exchange::start(mechanism, initial.as_deref(), entropy);
        self.auth_step(Box::new(exchange), step)
    }

    fn admit(&self, mechanism: &str) -> Result<Mechanism, Reply> {
        let auth = &self.options.auth;
        match () {
            () if !auth.enabled => {
                Err(error(502, 5, 1, "authentication is not offered here; use the submission service"))
            }
            () if self.hello != Hello::Extended => Err(out_of_order("send EHLO first")),
            () if self.authenticated => Err(out_of_order("already authenticated; go on with MAIL")),
            () if !matches!(self.state, State::Ready) => {
                Err(out_of_order("not within a transaction; end it or send RSET"))
            }
            () if !self.may_authenticate() => {
                Err(error(538, 7, 11, "encryption required; send STARTTLS first"))
            }
            () => match mechanism.parse() {
                Ok(mechanism) if self.is_offered(mechanism) => Ok(mechanism),
                _ => Err(error(504, 5, 4, "unknown mechanism; use one that EHLO announced")),
            },
        }
    }

    /// A line within the exchange, decoded; or what is to be said about it. `*` gives the exchange up.
    pub(super) fn auth_line(&self, line: &[u8]) -> Result<Vec<u8>, Reply> {
        match line {
            b"*" => Err(error(501, 7, 0, "authentication cancelled; send AUTH again, or go on without")),
            line => BASE64.decode(line).map_err(|_| not_base64()),
        }
    }

    pub(super) fn auth_response(&mut self, response: Result<Vec<u8>, Reply>) -> Option<Event> {
        let State::Auth(mut exchange) = std::mem::replace(&mut self.state, State::Ready) else { return None };
        match response {
            Ok(octets) => {
                let step = exchange.respond(&octets);
                self.auth_step(exchange, step)
            }
            Err(reply) => {
                self.refuse(&reply);
                None
            }
        }
    }

    pub(super) fn auth_step(&mut self, exchange: Box<Exchange>, step: Step) -> Option<Event> {
        match step {
            Step::Challenge(octets) => {
                self.output.put_slice(b"334 ");
                self.output.put_slice(BASE64.encode(octets).as_bytes());
                self.output.put_slice(b"\r\n");
                self.state = State::Auth(exchange);
                None
            }
            Step::CheckPassword { login, password } => {
                self.state = State::Auth(exchange);
                self.pending = Pending::Credentials;
                Some(Event::Password { login, password })
            }
            Step::NeedScram { login } => {
                self.state = State::Auth(exchange);
                self.pending = Pending::Credentials;
                Some(Event::Verifier { login })
            }
            Step::NeedSecret { login } => {
                self.state = State::Auth(exchange);
                self.pending = Pending::Credentials;
                Some(Event::Secret { login })
            }
            Step::CheckCertificate { certificate, identity } => {
                self.state = State::Auth(exchange);
                self.pending = Pending::Credentials;
                Some(Event::Certificate { certificate, identity })
            }
            Step::CheckToken { login, token } => {
                self.state = State::Auth(exchange);
                self.pending = Pending::Credentials;
                Some(Event::Token { login, token })
            }
            Step::Done(account) => {
                let credential = account.credential.name.as_deref();
                tracing::info!(account = %account.mailbox, mechanism = %exchange.mechanism(), credential, "identity proved");
                self.authenticated = true;
                self.state = State::Ready;
                self.say(Text::Authenticated);
                Some(Event::Authenticated(account))
            }
            Step::Fail(failure) => {
                self.state = State::Ready;
                self.auth_failed(failure);
                None
            }
        }
    }

    fn auth_failed(&mut self, failure: Failure) {
        tracing::info!(%failure, "authentication failed");
        self.slow = true;
        self.auth_failures += 1;
        self.refuse(&match failure {
            Failure::Malformed => error(501, 5, 2, "the response does not follow the mechanism; correct it"),
            Failure::Credentials => error(535, 7, 8, "wrong login or password; check both"),
            Failure::NotHere => error(
                535,
                7,
                8,
                "this app password is not for sending mail; make one that is, with the scope smtp",
            ),
            Failure::Unsupported => {
                error(504, 5, 4, "not supported; use another mechanism or channel binding")
            }
            Failure::NotBound => {
                error(535, 7, 8, "your TLS channel is not ours; check who stands between and connect again")
            }
        });
        let enough = self.auth_failures >= self.options.auth.max_failures;
        if enough && !matches!(self.state, State::Closing) {
            self.write(&error(421, 7, 0, "too many failures; check the password and connect again"));
        }
    }
}

/// An initial response: `=` stands for an empty one.
fn decode(text: &str) -> Result<Vec<u8>, Reply> {
    if text == "=" { Ok(Vec::new()) } else { BASE64.decode(text).map_err(|_| not_base64()) }
}

fn not_base64() -> Reply {
    error(501, 5, 2, "not base 64; encode the response")
}
