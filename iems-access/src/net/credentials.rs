//! What an exchange asks the directory, and what it hears.

use std::sync::Arc;

use iems_core::seam::sasl::{Exchange, Failure, Password, Step};
use iems_core::seam::{Account, Directory, PeerCertificate, ScramVerifier};

/// A question to the directory.
#[derive(Debug)]
pub enum Question {
    /// Whether a password is right.
    Password {
        /// What the peer calls itself.
        login: String,
        /// Its password.
        password: Password,
    },
    /// For what a password can be checked with that is never seen.
    Verifier {
        /// What the peer calls itself.
        login: String,
    },
    /// Whom a certificate stands for.
    Certificate {
        /// What the peer has shown.
        certificate: Arc<PeerCertificate>,
        /// Whom it wants to act as, if it says so.
        identity: Option<String>,
    },
    /// Whom a token stands for.
    Token {
        /// What the peer calls itself, if it does.
        login: Option<String>,
        /// Its token.
        token: Password,
    },
}

impl Question {
    /// What the step of an exchange asks; or the step itself, if it asks nothing.
    ///
    /// # Errors
    /// The step.
    pub fn of(step: Step) -> Result<Self, Step> {
        match step {
            Step::CheckPassword { login, password } => Ok(Self::Password { login, password }),
            Step::NeedScram { login } => Ok(Self::Verifier { login }),
            Step::CheckCertificate { certificate, identity } => {
                Ok(Self::Certificate { certificate, identity })
            }
            Step::CheckToken { login, token } => Ok(Self::Token { login, token }),
            // No account here has a secret that is kept readable (`CRAM-MD5`).
            Step::NeedSecret { .. } => Err(Step::Fail(Failure::Unsupported)),
            step => Err(step),
        }
    }

    /// Under which name tries are counted; a certificate cannot be guessed.
    pub fn login(&self) -> Option<&str> {
        match self {
            Self::Password { login, .. } | Self::Verifier { login } => Some(login),
            Self::Token { login, .. } => Some(login.as_deref().unwrap_or("(by token)")),
            Self::Certificate { .. } => None,
        }
    }
}

/// What the directory says.
#[derive(Debug)]
pub enum Answer {
    /// To all questions but that for a verifier: who it is, if anybody.
    Account(Option<Account>),
    /// To [`Question::Verifier`].
    Verifier(Option<(Account, ScramVerifier)>),
    /// It does not answer now.
    Unavailable,
}

impl Answer {
    /// Gives it to the exchange; `None` if there is nothing to give.
    pub fn tell(self, exchange: &mut Exchange) -> Option<Step> {
        match self {
            Self::Account(found) => Some(exchange.checked(found)),
            Self::Verifier(found) => Some(exchange.verifier(found)),
            Self::Unavailable => None,
        }
    }
}

/// Asks.
pub(super) async fn ask(directory: &dyn Directory, question: &Question) -> Answer {
    let answer = match question {
        Question::Password { login, password } => {
            let found = directory.check_password(login, password.as_str()).await;
            if let Ok(None) = found {
                tracing::info!(login, "wrong login or password");
            }
            found.map(Answer::Account)
        }
        Question::Verifier { login } => directory.scram(login).await.map(Answer::Verifier),
        Question::Certificate { certificate, identity } => {
            let found = directory.by_certificate(certificate, identity.as_deref()).await;
            if let Ok(None) = found {
                tracing::info!(%certificate, "the certificate stands for no account");
            }
            found.map(Answer::Account)
        }
        Question::Token { login, token } => {
            let found = directory.by_token(login.as_deref(), token.as_str()).await;
            if let Ok(None) = found {
                tracing::info!(login, "the token is not good");
            }
            found.map(Answer::Account)
        }
    };
    answer.unwrap_or_else(|error| {
        tracing::warn!(%error, "no answer for a mail program");
        Answer::Unavailable
    })
}
