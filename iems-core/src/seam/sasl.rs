//! Proving who one is: SASL (RFC 4422) as machines without I/O.
//!
//! [`Exchange`], the server's side, takes the peer's octets and says what comes next: a challenge, a question to the
//! directory, or the end. [`client`] is the other side.
//! The protocol owns the framing (base 64, `*` for giving up) and asks the directory between two steps.
//! Mechanisms: `PLAIN` (RFC 4616), `LOGIN`, `SCRAM-SHA-256` (RFC 5802, RFC 7677) without channel binding.

pub mod client;
mod scram;

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::{Account, ScramVerifier};

pub use scram::derive_verifier;

/// Longest login that is looked up, in octets.
const LOGIN: usize = 512;
/// Longest password that is checked, in octets.
const PASSWORD: usize = 4096;

/// A mechanism that both sides can carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `PLAIN`: login and password in the clear.
    Plain,
    /// `LOGIN`: the same, asked for one by one.
    Login,
    /// `SCRAM-SHA-256`: the password is never sent.
    ScramSha256,
}

impl Mechanism {
    /// All of them, the strongest first.
    pub const ALL: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// Whether the password itself goes over the wire, so that the wire must be protected.
    pub const fn shows_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such mechanism here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a mechanism that is known")]
pub struct MechanismError;

impl FromStr for Mechanism {
    type Err = MechanismError;

    /// The mechanism of this name, in any case.
    fn from_str(name: &str) -> Result<Self, MechanismError> {
        Self::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name)).ok_or(MechanismError)
    }
}

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
    /// The peer wants something that is not done here, such as channel binding.
    #[error("the peer asks for what is not supported")]
    Unsupported,
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
}

/// The server's side of one exchange. After `Done` or `Fail` every further step fails.
#[derive(Debug)]
pub struct Exchange {
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    LoginName,
    LoginPassword { login: String },
    Checking,
    Scram(Box<scram::Scram>),
    Over,
}

impl Exchange {
    /// Starts. `initial` is the initial response, if the peer sent one (an empty one is not none).
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>, entropy: Entropy) -> (Self, Step) {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginName,
            Mechanism::ScramSha256 => State::Scram(Box::new(scram::Scram::new(entropy))),
        };
        let mut exchange = Self { state };
        let step = match (mechanism, initial) {
            (_, Some(initial)) => exchange.respond(initial),
            (Mechanism::Login, None) => Step::Challenge(b"Username:".to_vec()),
            (_, None) => Step::Challenge(Vec::new()),
        };
        (exchange, step)
    }

    /// The peer's answer to a challenge.
    pub fn respond(&mut self, response: &[u8]) -> Step {
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
            State::Checking | State::Over => Step::Fail(Failure::Malformed),
        }
    }

    /// The directory's answer to [`Step::CheckPassword`].
    pub fn checked(&mut self, account: Option<Account>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), account) {
            (State::Checking, Some(account)) => Step::Done(account),
            _ => Step::Fail(Failure::Credentials),
        }
    }

    /// The directory's answer to [`Step::NeedScram`]. For `None` the exchange goes on with a made-up verifier, and fails
    /// where a wrong password would.
    pub fn verifier(&mut self, found: Option<(Account, ScramVerifier)>) -> Step {
        match &mut self.state {
            State::Scram(scram) => scram.verifier(found),
            _ => Step::Fail(Failure::Malformed),
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
