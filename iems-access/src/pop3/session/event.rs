//! What a dialogue tells its caller, and how the caller answers.

use std::sync::Arc;

use iems_core::seam::sasl::{Exchange, Password, Step};
use iems_core::seam::{Account, PeerCertificate, ScramVerifier};
use iems_store::mailbox::Uid;

use super::{Maildrop, Pending, Session, State};
use crate::pop3::Part;
use crate::pop3::reply::Code;

/// Makes fresh octets nobody can guess; `None` if there are none now.
pub type Nonce = Arc<dyn Fn() -> Option<[u8; 18]> + Send + Sync>;

/// What happened in a dialogue.
#[derive(Debug)]
pub enum Event {
    /// Send the output; more follows without input. Answer: none.
    Flush,
    /// Send the output, drop what was read, shake hands, then [`Session::secured`].
    StartTls,
    /// Ask the directory about a password. Answer: [`Session::password`].
    Password {
        /// What the peer calls itself.
        login: String,
        /// Its password.
        password: Password,
    },
    /// Ask the directory for a verifier. Answer: [`Session::verifier`].
    Verifier {
        /// What the peer calls itself.
        login: String,
    },
    /// Ask the directory whom a certificate stands for. Answer: [`Session::password`].
    Certificate {
        /// What the peer has shown.
        certificate: Arc<PeerCertificate>,
        /// Whom it wants to act as, if it says so.
        identity: Option<String>,
    },
    /// Ask the directory whom a token stands for. Answer: [`Session::password`].
    Token {
        /// What the peer calls itself, if it does.
        login: Option<String>,
        /// Its token.
        token: Password,
    },
    /// The peer proved to be this account: open its maildrop. Answer: [`Session::opened`].
    Open(Account),
    /// Find a message. Answer: [`Session::found`]; if it was, send the output, then the message through
    /// [`crate::pop3::Retrieval`].
    Retrieve {
        /// Which.
        uid: Uid,
        /// How much of it.
        part: Part,
    },
    /// Remove these messages, in one commit. Answer: [`Session::removed`].
    Remove(Vec<Uid>),
    /// Send the output and close. Nothing follows.
    Close,
}

/// Why a maildrop was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// Another session has it.
    InUse,
    /// The last session is too short ago.
    TooSoon,
    /// It cannot be read now.
    Unavailable,
}

/// Why a message cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// It was removed meanwhile, by another program.
    Gone,
    /// It cannot be read now.
    Unavailable,
}

impl Session {
    /// The answer to [`Event::Password`], [`Event::Certificate`] and [`Event::Token`]: `Err` if the directory did not answer.
    pub fn password(&mut self, found: Result<Option<Account>, ()>) -> Option<Event> {
        self.credentials(found, Exchange::checked)
    }

    /// The answer to [`Event::Verifier`]: `Err` if the directory did not answer.
    pub fn verifier(&mut self, found: Result<Option<(Account, ScramVerifier)>, ()>) -> Option<Event> {
        self.credentials(found, Exchange::verifier)
    }

    fn credentials<T>(
        &mut self,
        found: Result<T, ()>,
        step: impl FnOnce(&mut Exchange, T) -> Step,
    ) -> Option<Event> {
        if self.pending != Pending::Credentials {
            return None;
        }
        self.pending = Pending::Nothing;
        let State::Auth(mut exchange) = std::mem::replace(&mut self.state, State::authorization()) else {
            return None;
        };
        match found {
            Ok(found) => {
                let step = step(&mut exchange, found);
                self.auth_step(exchange, step)
            }
            Err(()) => {
                self.error(Code::Temporary, "Credentials cannot be checked now; try again later");
                None
            }
        }
    }

    /// The answer to [`Event::Open`].
    pub fn opened(&mut self, maildrop: Result<Maildrop, Unopened>) {
        if self.pending != Pending::Maildrop {
            return;
        }
        self.pending = Pending::Nothing;
        match maildrop {
            Ok(maildrop) => {
                let (count, octets) = maildrop.totals();
                self.ok(&format!("{count} messages ({octets} octets)"));
                self.state = State::Transaction(maildrop);
            }
            Err(Unopened::InUse) => {
                self.error(Code::InUse, "Another session has the maildrop; close it first");
            }
            Err(Unopened::TooSoon) => self.error(Code::LoginDelay, "Too soon after the last session"),
            Err(Unopened::Unavailable) => {
                self.error(Code::Temporary, "The maildrop cannot be read now; try again later");
            }
        }
    }

    /// The answer to [`Event::Retrieve`]: the message's octets follow the output, or why not.
    pub fn found(&mut self, octets: Result<u64, NotFound>) {
        if self.pending != Pending::Message {
            return;
        }
        self.pending = Pending::Nothing;
        match octets {
            Ok(octets) => self.ok(&format!("{octets} octets")),
            Err(NotFound::Gone) => self.refuse("The message is gone; another program removed it"),
            Err(NotFound::Unavailable) => {
                self.error(Code::Temporary, "The message cannot be read now; try again later");
            }
        }
    }

    /// The answer to [`Event::Remove`]: whether it was done.
    pub fn removed(&mut self, done: Result<(), ()>) {
        if self.pending != Pending::Removal {
            return;
        }
        self.pending = Pending::Nothing;
        match done {
            Ok(()) => self.ok("Bye"),
            Err(()) => self.error(Code::Temporary, "Some deleted messages are not removed"),
        }
        self.state = State::Closing;
    }
}
