//! How we say who we are: by the strongest mechanism that the server lists (RFC 5034), else by `USER` and `PASS`.
//!
//! A password that was refused is not tried in another way: guesses are counted. Nothing is bound to TLS (no `-PLUS`), and `APOP` is
//! not done, which is MD5 (RFC 6151).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use iems_core::seam::sasl::Mechanism;
use iems_core::seam::sasl::client::{Exchange, Failure, Login, Secret};

use super::session::{Session, SessionError};
use super::talk::{Ask, Said, mechanisms};

/// The longest command line, with its end, in octets (RFC 5034 section 4).
const LINE: usize = 255;
/// The most answers of one exchange: no mechanism has as many.
const ANSWERS: usize = 8;

impl Session {
    /// Says who we are.
    pub(super) async fn login(&mut self, user: &str, password: &str) -> Result<(), SessionError> {
        let offered = self.mechanisms().await?;
        // LOGIN says the same as USER and PASS, which every server knows.
        let is_offered = |mechanism: Mechanism| {
            mechanism != Mechanism::Login && offered.iter().any(|name| name == mechanism.name())
        };
        let (chosen, login) =
            (Exchange::choose(&[], is_offered), Login::new(user, password.to_owned().into()));
        let done = match (chosen, login) {
            (Some(mechanism), Ok(login)) => self.authenticate(mechanism, &login).await,
            _ => self.user_and_pass(user, password).await,
        };
        done.map_err(|error| match error {
            // Some servers repeat what they were told.
            SessionError::Refused(what, text) => {
                SessionError::Refused(what, text.replace(password, "(hidden)"))
            }
            error => error,
        })
    }

    /// What the server lists, which may have changed with TLS; nothing if it does not know how to list it.
    async fn mechanisms(&mut self) -> Result<Vec<String>, SessionError> {
        match self.ask("CAPA", &Ask::Capa).await {
            Ok(_) => Ok(mechanisms(&self.list().await?)),
            Err(SessionError::Refused(..)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn user_and_pass(&mut self, user: &str, password: &str) -> Result<(), SessionError> {
        self.ask("the login", &Ask::User(user.to_owned())).await?;
        self.ask("the password", &Ask::Pass(password.to_owned())).await.map(drop)
    }

    async fn authenticate(&mut self, mechanism: Mechanism, login: &Login) -> Result<(), SessionError> {
        let mut nonce = [0; 18];
        getrandom::fill(&mut nonce).map_err(std::io::Error::from)?;
        let (mut exchange, first) =
            Exchange::start(mechanism, login, &nonce, &[]).ok_or(Failure::Unsupported)?;
        let command = format!("AUTH {mechanism}");
        let mut first = first.map(|first| encoded(&first));
        let fits = |first: &mut Secret| command.len() + 1 + first.as_ref().len() + 2 <= LINE;
        let line = match first.take_if(fits) {
            Some(first) => [command.as_bytes(), b" ", first.as_ref()].concat(),
            None => command.into_bytes(),
        };
        let mut said = vec![Secret::from(line)];
        for _ in 0..ANSWERS {
            let last = said.last().cloned().unwrap_or_else(|| Vec::new().into());
            let answer = match self.exchange(&Ask::Auth(last)).await? {
                Said::Ok(_) if first.is_none() && exchange.is_complete() => return Ok(()),
                Said::Ok(_) => return Err(SessionError::TooEarly),
                Said::No(text) => return Err(SessionError::Refused("the login", hidden(&text, &said))),
                Said::Challenge(challenge) => match first.take() {
                    Some(first) => first,
                    None => self.answer(&mut exchange, &challenge).await?,
                },
                Said::Octets(_) | Said::End { .. } => return Err(Failure::Malformed.into()),
            };
            said.push(answer);
        }
        Err(Failure::Malformed.into())
    }

    /// The answer to a challenge. An exchange that went wrong is given up, so that the server is not left waiting.
    async fn answer(&mut self, exchange: &mut Exchange, challenge: &str) -> Result<Secret, SessionError> {
        let answer = BASE64.decode(challenge).map_err(|_| Failure::Malformed);
        match answer.and_then(|challenge| exchange.respond(&challenge)) {
            Ok(answer) => Ok(encoded(&answer)),
            Err(failure) => {
                self.exchange(&Ask::Auth(b"*".to_vec().into())).await?;
                Err(failure.into())
            }
        }
    }
}

fn encoded(octets: &Secret) -> Secret {
    // Made in one piece: what grows leaves copies behind.
    let mut text = String::with_capacity(octets.as_ref().len().div_ceil(3) * 4);
    BASE64.encode_string(octets, &mut text);
    text.into_bytes().into()
}

/// What a server says, without what it was told.
fn hidden(text: &str, said: &[Secret]) -> String {
    let words =
        said.iter().filter_map(|said| std::str::from_utf8(said.as_ref()).ok()?.split(' ').next_back());
    words.filter(|word| !word.is_empty()).fold(text.to_owned(), |text, word| text.replace(word, "(hidden)"))
}
