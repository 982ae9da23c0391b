//! Proving who one is: SASL (RFC 4422) as machines without I/O.
//!
//! [`Exchange`], the server's side, takes the peer's octets and says what comes next: a challenge, a question to the
//! directory, or the end. [`client`] is the other side.
//! The protocol owns the framing (base 64, `*` for giving up) and asks the directory between two steps.
//! Mechanisms: `PLAIN` (RFC 4616), `LOGIN`, `SCRAM-SHA-256` with and without channel binding (RFC 5802, RFC 7677), `EXTERNAL`
//! (RFC 4422 appendix A), `OAUTHBEARER` (RFC 7628), `XOAUTH2`, and `CRAM-MD5` (RFC 2195) for secrets that are no passwords.

mod bearer;
mod binding;
pub mod client;
mod cram;
mod mechanism;
mod scram;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Account, PeerCertificate, ScramVerifier};

pub use binding::{Beneath, ChannelBinding};
pub use mechanism::{Mechanism, MechanismError};
pub use scram::derive_verifier;

/// Longest login that is looked up, in octets.
const LOGIN: usize = 512;
/// Longest password that is checked, in octets.
const PASSWORD: usize = 4096;

/// A password on its way. Wiped from memory when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What an exchange wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these octets, and give the answer to [`Exchange::respond`].
    Challenge(Vec<u8>),
    /// Ask [`super::Directory::check_password`], and give the answer to [`Exchange::checked`].
    CheckPassword {
        /// What the peer calls itself.
        login: String,
        /// Its password.
        password: Password,
    },
    /// Ask [`super::Directory::scram`], and give the answer to [`Exchange::verifier`].
    NeedScram {
        /// What the peer calls itself.
        login: String,
    },
    /// Ask [`super::Directory::by_certificate`], and give the answer to [`Exchange::checked`].
    CheckCertificate {
        /// What the peer has shown.
        certificate: Arc<PeerCertificate>,
        /// Whom it wants to act as, if it says so.
        identity: Option<String>,
    },
    /// Ask [`super::Directory::by_token`], and give the answer to [`Exchange::checked`].
    CheckToken {
        /// What the peer calls itself, if it does.
        login: Option<String>,
        /// Its token.
        token: Password,
    },
    /// Find the secret of this login that both sides know as it is, and give it to [`Exchange::secret`].
    NeedSecret {
        /// What the peer calls itself.
        login: String,
    },
    /// The peer proved to be this account.
    Done(Account),
    /// The exchange is over without success.
    Fail(Failure),
}

/// Why an exchange failed. The peer is told the same for every wrong credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// What the peer sent does not follow the mechanism's grammar.
    #[error("the response does not follow the mechanism")]
    Malformed,
    /// Login and password do not belong together, or the account may not act for the identity it names.
    #[error("the credentials are not valid")]
    Credentials,
    /// The credential is right, and for other services.
    #[error("the credential is for other services")]
    NotHere,
    /// The peer wants something that is not done here, such as another channel binding.
    #[error("the peer asks for what is not supported")]
    Unsupported,
    /// The peer sees another channel than we do, or other mechanisms than we offer: somebody stands between.
    #[error("the peer's channel is not ours: somebody may stand between")]
    NotBound,
}

/// What an exchange needs besides the peer's octets.
#[derive(Clone)]
pub struct Entropy {
    /// Fresh octets nobody can guess, for each exchange.
    pub nonce: [u8; 18],
    /// A secret that stays the same for long: from it come the verifiers that are made up for unknown logins.
    pub secret: [u8; 32],
    /// The iteration count of made-up verifiers: what real ones have.
    pub iterations: u32,
    /// What the channel gives. Without bindings, `SCRAM-SHA-256-PLUS` was not offered.
    pub beneath: Arc<Beneath>,
    /// For what the peer logs in, in the word of the server: what credentials are good for is said in these words.
    pub service: &'static str,
}

/// The server's side of one exchange. After `Done` or `Fail` every further step fails.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    service: &'static str,
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    LoginName,
    LoginPassword {
        login: String,
    },
    Checking,
    Scram(Box<scram::Scram>),
    External(Arc<Beneath>),
    Bearer {
        old: bool,
    },
    CheckingToken {
        old: bool,
    },
    /// The peer was told that its token is not good, and has to say that it has understood.
    TokenRefused,
    Cram(cram::Cram),
    CheckingDigest(cram::Cram, [u8; 16]),
    Over,
}

impl Exchange {
    /// Starts. `initial` is the initial response, if the peer sent one (an empty one is not none).
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>, entropy: Entropy) -> (Self, Step) {
        let service = entropy.service;
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginName,
            Mechanism::ScramSha256 => State::Scram(Box::new(scram::Scram::new(entropy, false))),
            Mechanism::ScramSha256Plus => State::Scram(Box::new(scram::Scram::new(entropy, true))),
            Mechanism::External => State::External(entropy.beneath),
            Mechanism::OAuthBearer => State::Bearer { old: false },
            Mechanism::XOAuth2 => State::Bearer { old: true },
            Mechanism::CramMd5 => State::Cram(cram::Cram::new(&entropy)),
        };
        let mut exchange = Self { mechanism, service, state };
        let step = match (mechanism, initial) {
            // The server speaks first (RFC 4422 section 5, RFC 4954 section 4).
            (Mechanism::CramMd5, Some(_)) => {
                exchange.state = State::Over;
                Step::Fail(Failure::Malformed)
            }
            (Mechanism::CramMd5, None) => Step::Challenge(match &exchange.state {
                State::Cram(cram) => cram.challenge(),
                _ => Vec::new(),
            }),
            (_, Some(initial)) => exchange.respond(initial),
            (Mechanism::Login, None) => Step::Challenge(b"Username:".to_vec()),
            (_, None) => Step::Challenge(Vec::new()),
        };
        (exchange, step)
    }

    /// What is carried out.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The peer's answer to a challenge.
    pub fn respond(&mut self, response: &[u8]) -> Step {
        let step = self.next(response);
        self.admit(step)
    }

    fn next(&mut self, response: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => self.check(plain(response)),
            State::LoginName => match text(response, LOGIN) {
                Ok(login) => {
                    self.state = State::LoginPassword { login };
                    Step::Challenge(b"Password:".to_vec())
                }
                Err(failure) => Step::Fail(failure),
            },
            State::LoginPassword { login } => {
                self.check(text(response, PASSWORD).map(|password| (login, password)))
            }
            State::Scram(mut scram) => {
                let step = scram.respond(response);
                self.state = State::Scram(scram);
                step
            }
            State::External(beneath) => self.external(&beneath, response),
            State::Bearer { old } => {
                let said = if old { bearer::xoauth2(response) } else { bearer::bearer(response) };
                match said {
                    Ok((login, token)) => {
                        self.state = State::CheckingToken { old };
                        Step::CheckToken { login, token }
                    }
                    Err(failure) => Step::Fail(failure),
                }
            }
            // Whatever the peer says to it (RFC 7628 section 3.2.3).
            State::TokenRefused => Step::Fail(Failure::Credentials),
            State::Cram(cram) => match cram::answer(response) {
                Ok((login, digest)) => {
                    self.state = State::CheckingDigest(cram, digest);
                    Step::NeedSecret { login }
                }
                Err(failure) => Step::Fail(failure),
            },
            State::Checking | State::CheckingToken { .. } | State::CheckingDigest(..) | State::Over => {
                Step::Fail(Failure::Malformed)
            }
        }
    }

    /// The directory's answer to [`Step::CheckPassword`], [`Step::CheckCertificate`] and [`Step::CheckToken`].
    pub fn checked(&mut self, account: Option<Account>) -> Step {
        let account = account.filter(|account| !account.credential.is_barred(self.service));
        let step = self.conclude(account);
        self.admit(step)
    }

    /// The one way out: no credential is taken for a service that it is not good for.
    fn admit(&self, step: Step) -> Step {
        match step {
            Step::Done(account) if !account.credential.services.contains(self.service) => {
                Step::Fail(Failure::NotHere)
            }
            step => step,
        }
    }

    fn conclude(&mut self, account: Option<Account>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), account) {
            (State::Checking | State::CheckingToken { .. }, Some(account)) => Step::Done(account),
            (State::CheckingToken { old }, None) => {
                self.state = State::TokenRefused;
                let said = if old { bearer::REFUSED_OLD } else { bearer::REFUSED };
                Step::Challenge(said.to_vec())
            }
            _ => Step::Fail(Failure::Credentials),
        }
    }

    /// The directory's answer to [`Step::NeedScram`]. For `None` the exchange goes on with a made-up verifier, and fails
    /// where a wrong password would.
    pub fn verifier(&mut self, found: Option<(Account, ScramVerifier)>) -> Step {
        let found = found.filter(|(account, _)| !account.credential.is_barred(self.service));
        match &mut self.state {
            State::Scram(scram) => scram.verifier(found),
            _ => Step::Fail(Failure::Malformed),
        }
    }

    /// What was found for [`Step::NeedSecret`]; nothing if there is no such login, or it has no secret.
    pub fn secret(&mut self, found: Option<(Account, Password)>) -> Step {
        let State::CheckingDigest(cram, digest) = std::mem::replace(&mut self.state, State::Over) else {
            return Step::Fail(Failure::Malformed);
        };
        let found = found.filter(|(account, _)| !account.credential.is_barred(self.service));
        let holds = cram.holds(&digest, found.as_ref().map(|(_, secret)| secret));
        let step = match found {
            Some((account, _)) if holds => Step::Done(account),
            _ => Step::Fail(Failure::Credentials),
        };
        self.admit(step)
    }

    /// The response is the identity to act as, which may be empty (RFC 4422 appendix A).
    fn external(&mut self, beneath: &Beneath, response: &[u8]) -> Step {
        let identity = match response {
            [] => None,
            response => match text(response, LOGIN) {
                Ok(identity) => Some(identity),
                Err(failure) => return Step::Fail(failure),
            },
        };
        match &beneath.certificate {
            Some(certificate) => {
                self.state = State::Checking;
                Step::CheckCertificate { certificate: certificate.clone(), identity }
            }
            None => Step::Fail(Failure::Unsupported),
        }
    }

    fn check(&mut self, credentials: Result<(String, String), Failure>) -> Step {
        match credentials {
            Ok((login, password)) => {
                self.state = State::Checking;
                Step::CheckPassword { login, password: password.into() }
            }
            Err(failure) => Step::Fail(failure),
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`. Acting for another identity is not offered: `authzid` is empty or `authcid`.
fn plain(message: &[u8]) -> Result<(String, String), Failure> {
    let mut parts = message.split(|b| *b == 0);
    let mut part = || parts.next().ok_or(Failure::Malformed);
    let (identity, login, password) = (part()?, part()?, part()?);
    if parts.next().is_some() {
        return Err(Failure::Malformed);
    }
    if !identity.is_empty() && identity != login {
        return Err(Failure::Credentials);
    }
    Ok((text(login, LOGIN)?, text(password, PASSWORD)?))
}

/// UTF-8, not empty, without NUL, not longer than `longest`.
fn text(octets: &[u8], longest: usize) -> Result<String, Failure> {
    let fits = !octets.is_empty() && octets.len() <= longest && !octets.contains(&0);
    let text = if fits { std::str::from_utf8(octets).ok() } else { None };
    text.map(String::from).ok_or(Failure::Malformed)
}

#[cfg(test)]
mod tests;
