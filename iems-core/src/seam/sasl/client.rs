//! The client's side of SASL: what to answer a server that wants to know who we are.
//!
//! [`Exchange`] takes the server's challenges and gives the responses. The protocol owns the framing (base 64, `*` for giving
//! up) and the last word, which counts only if [`Exchange::is_complete`]: a server that has to prove itself and says "welcome"
//! before it did is not believed. An error ends the exchange; nothing more may be said in it.

mod scram;
#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

use super::{ChannelBinding, LOGIN, Mechanism, PASSWORD, Password, text};
use scram::{Flag, Scram};

/// The longest challenge that is looked at, in octets.
const CHALLENGE: usize = 2048;

/// Who to be for a server, and the proof. The password is wiped from memory when dropped, and never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: Password,
}

/// A name or password that no mechanism can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The name is empty, too long, or has an octet 0.
    #[error("expected a name of 1 to {LOGIN} octets, none of them 0")]
    User,
    /// The password is empty, too long, or has an octet 0.
    #[error("expected a password of 1 to {PASSWORD} octets, none of them 0")]
    Password,
}

impl Login {
    /// A name with its password.
    ///
    /// # Errors
    /// One of them is empty, longer than any server takes, or has an octet 0 (RFC 4616 section 2).
    pub fn new(user: &str, password: Password) -> Result<Self, LoginError> {
        let user = text(user.as_bytes(), LOGIN).map_err(|_| LoginError::User)?;
        let fits = |text: &str| !text.is_empty() && text.len() <= PASSWORD && !text.contains('\0');
        if fits(password.as_str()) { Ok(Self { user, password }) } else { Err(LoginError::Password) }
    }

    /// The name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> &Password {
        &self.password
    }
}

/// What is said to the server. Wiped from memory when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for Secret {
    fn from(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why an exchange cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// What the server sent does not follow the mechanism's grammar, or is too long.
    #[error("the server's challenge does not follow the mechanism")]
    Malformed,
    /// The server asks for what is not done here.
    #[error("the server asks for what is not supported")]
    Unsupported,
    /// The iteration count is so low that it gives the password away to whoever listens, or so high that it would only keep
    /// us busy.
    #[error("the server wants {0} iterations, expected {min} to {max}", min = scram::LEAST, max = scram::MOST)]
    Iterations(u32),
    /// The server said within the exchange that it does not believe us.
    #[error("the server says: {0}")]
    Refused(String),
    /// The server did not prove that it knows the password, so it is not the one we mean.
    #[error("the server did not prove that it knows the password")]
    NotProved,
}

/// The client's side of one exchange.
#[derive(Debug)]
pub struct Exchange {
    state: State,
}

#[derive(Debug)]
enum State {
    LoginName(Login),
    LoginPassword(Password),
    /// All is said, and the server has nothing to prove.
    Said,
    Scram(Box<Scram>),
    Over,
}

impl Exchange {
    /// The mechanism to take, of those that a server offers: the strongest for which a password and this channel will do.
    pub fn choose(bindings: &[ChannelBinding], is_offered: impl Fn(Mechanism) -> bool) -> Option<Mechanism> {
        let fits = |mechanism: &Mechanism| *mechanism != Mechanism::ScramSha256Plus || !bindings.is_empty();
        Mechanism::WITH_PASSWORD.into_iter().filter(fits).find(|mechanism| is_offered(*mechanism))
    }

    /// Starts, and says what comes first if the client speaks first. `nonce` are fresh octets that nobody can guess, at least
    /// 15 of them. `bindings` are the marks of the channel: with them, a server that is made to look as if it could not bind
    /// finds that out. `None` for a mechanism that needs another thing than a password, or a mark where there is none.
    pub fn start(
        mechanism: Mechanism,
        login: &Login,
        nonce: &[u8],
        bindings: &[ChannelBinding],
    ) -> Option<(Self, Option<Secret>)> {
        let binding = bindings.first();
        let flag = match (mechanism, binding) {
            (Mechanism::ScramSha256Plus, binding) => Flag::Bound(binding?.clone()),
            (_, Some(_)) => Flag::NotOffered,
            (_, None) => Flag::Unable,
        };
        let (state, first) = match mechanism {
            Mechanism::Plain => (State::Said, Some(plain(login))),
            Mechanism::Login => (State::LoginName(login.clone()), None),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                let (scram, first) = Scram::start(login, nonce, flag);
                (State::Scram(Box::new(scram)), Some(first))
            }
            Mechanism::External | Mechanism::OAuthBearer | Mechanism::XOAuth2 | Mechanism::CramMd5 => {
                return None;
            }
        };
        Some((Self { state }, first))
    }

    /// The response to a challenge. May take as long as a second of computing where the server asks for it.
    ///
    /// # Errors
    /// The challenge makes no sense, or the server is not who it should be. The exchange is to be given up.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret, Failure> {
        if challenge.len() > CHALLENGE {
            self.state = State::Over;
        }
        match std::mem::replace(&mut self.state, State::Over) {
            // What the server writes in its two questions is its own affair.
            State::LoginName(Login { user, password }) => {
                self.state = State::LoginPassword(password);
                Ok(user.into_bytes().into())
            }
            State::LoginPassword(password) => {
                self.state = State::Said;
                Ok(password.as_str().as_bytes().to_vec().into())
            }
            State::Scram(mut scram) => {
                let response = scram.respond(challenge)?;
                self.state = State::Scram(scram);
                Ok(response)
            }
            State::Said | State::Over => Err(Failure::Malformed),
        }
    }

    /// Whether all was said, and proved, that has to be before the server's success counts.
    pub fn is_complete(&self) -> bool {
        match &self.state {
            State::Said => true,
            State::Scram(scram) => scram.is_proved(),
            State::LoginName(_) | State::LoginPassword(_) | State::Over => false,
        }
    }
}

/// `NUL authcid NUL passwd` (RFC 4616).
fn plain(login: &Login) -> Secret {
    let (user, password) = (login.user.as_bytes(), login.password.as_str().as_bytes());
    let mut message = Vec::with_capacity(2 + user.len() + password.len());
    for part in [user, password] {
        message.push(0);
        message.extend_from_slice(part);
    }
    message.into()
}
