//! What a dialogue tells its caller, and how the caller answers.

use iems_core::seam::Account;
use iems_store::mailbox::Uid;

use super::{Maildrop, Pending, Session, State};
use crate::net::{Answer, Question};
use crate::pop3::Part;
use crate::pop3::reply::{self, Code};

/// What happened in a dialogue.
#[derive(Debug)]
pub enum Event {
    /// Send the output; more follows without input. Answer: none.
    Flush,
    /// Send the output, drop what was read, shake hands, then [`Session::secured`].
    StartTls,
    /// Ask the directory. Answer: [`Session::answered`].
    Ask(Question),
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
    /// The UPDATE state. Answer: [`Session::updated`].
    Update {
        /// Messages that were read: they get `\\Seen`.
        seen: Vec<Uid>,
        /// Messages to be removed, in one commit.
        removed: Vec<Uid>,
    },
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
    /// The sessions of the account hold as much memory as they may.
    TooMuch,
    /// The account is disabled.
    Disabled,
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
    /// The answer to [`Event::Ask`].
    pub fn answered(&mut self, answer: Answer) -> Option<Event> {
        if self.pending != Pending::Credentials {
            return None;
        }
        self.pending = Pending::Nothing;
        let State::Auth(mut exchange) = std::mem::replace(&mut self.state, State::authorization()) else {
            return None;
        };
        match answer.tell(&mut exchange) {
            Some(step) => self.auth_step(exchange, step),
            None => {
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
            Err(Unopened::TooMuch) => self.error(
                Code::Temporary,
                "Your sessions hold all the memory that your account may have; try again when others are done",
            ),
            Err(Unopened::Disabled) => self.error(Code::Auth, "This account is disabled"),
            Err(Unopened::Unavailable) => {
                self.error(Code::Temporary, "The maildrop cannot be read now; try again later");
            }
        }
    }

    /// The answer to [`Event::Retrieve`]: the message's octets follow the output, or why not.
    pub fn found(&mut self, octets: Result<u64, NotFound>) {
        let Pending::Message(uid, part) = self.pending else { return };
        self.pending = Pending::Nothing;
        match octets {
            Ok(octets) => {
                if let (State::Transaction(maildrop), Part::All) = (&mut self.state, part) {
                    maildrop.retrieved(uid);
                }
                self.ok(&format!("{octets} octets"));
            }
            // Not an error of the client's: it asks for what it was told of.
            Err(NotFound::Gone) => {
                reply::error(&mut self.output, None, "The message is gone; another program removed it");
            }
            Err(NotFound::Unavailable) => {
                self.error(Code::Temporary, "The message cannot be read now; try again later");
            }
        }
    }

    /// The answer to [`Event::Update`]: whether it was done.
    pub fn updated(&mut self, done: Result<(), ()>) {
        if self.pending != Pending::Update {
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
