//! What a dialogue tells its caller, and how the caller answers.

use std::sync::Arc;

use bytes::Bytes;
use iems_core::message::{Domain, EnhancedStatus, Mailbox, Reply};
use iems_core::receive::Receipt;
use iems_core::seam::sasl::Password;
use iems_core::seam::{Account, PeerCertificate};

use super::Session;
use super::output::{self, Text};
use super::state::{Hello, Pending, State, Transaction};
use crate::proto::{Claim, Mail, Rcpt};

/// Makes fresh octets nobody can guess; `None` if there are none now.
pub type Nonce = Arc<dyn Fn() -> Option<[u8; 18]> + Send + Sync>;

/// What happened in a dialogue.
#[derive(Debug)]
pub enum Event {
    /// The peer said its name; a transaction in progress is given up. Answer: [`Session::hello`].
    Hello(String),
    /// A message begins. Answer: [`Session::mail`].
    Mail(Box<Mail>),
    /// A recipient. Answer: [`Session::rcpt`].
    Rcpt(Box<Rcpt>),
    /// The peer asks for what waits for a domain (`ETRN`). Answer: [`Session::turned`].
    Turn(Domain),
    /// The peer asks whether there is such a mailbox (`VRFY`). Answer: [`Session::verified`].
    Verify(Mailbox),
    /// The peer wants what waits for these domains over this connection (`ATRN`). Answer: [`Session::collecting`].
    Collect(Vec<Domain>),
    /// Octets of the message, in order. Answer: none, or [`Session::refuse_message`].
    Octets(Bytes),
    /// The message is complete. Answer: [`Session::committed`].
    EndOfData,
    /// The transaction is given up: the peer said so, or the message was refused. Answer: none.
    Reset,
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
    /// Find the secret that this login shares with the server. Answer: [`Session::secret`].
    Secret {
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
    /// The peer proved to be this account. Answer: none.
    Authenticated(Account),
    /// A trusted host says for whom it speaks from now on: everything begins again, with a greeting. Answer: a new dialogue, or [`Session::not_claimed`].
    Claim(Box<Claim>),
    /// Send the output and close. Nothing follows.
    Close,
}

impl Session {
    /// The answer to [`Event::Claim`] that cannot be followed.
    pub fn not_claimed(&mut self, reply: &Reply) {
        self.refuse(reply);
    }

    /// The answer to [`Event::Hello`].
    pub fn hello(&mut self, admitted: Result<(), &Reply>) {
        let Pending::Hello(hello) = self.pending else { return };
        self.pending = Pending::Nothing;
        match admitted {
            Ok(()) => {
                self.hello = hello;
                self.state = State::Ready;
                self.write_capabilities(hello == Hello::Extended);
            }
            Err(reply) => self.refuse(reply),
        }
    }

    /// The answer to [`Event::Mail`]: the priority that the message has here, if it is not the one that the peer asked for.
    pub fn mail(&mut self, accepted: Result<Option<i8>, &Reply>) {
        let Pending::Mail { smtputf8, binary } = self.pending else { return };
        self.pending = Pending::Nothing;
        match accepted {
            Ok(changed) => {
                self.state = State::Mail(Transaction { smtputf8, binary, ..Transaction::default() });
                match changed {
                    None => self.say(Text::MailOk),
                    // RFC 6710 section 4.1.
                    Some(priority) => {
                        let text = format!("{priority} is the priority that it has here; sender ok");
                        self.write(&Reply::new(250, EnhancedStatus::new(2, 3, 6), text));
                    }
                }
            }
            Err(reply) => self.refuse(reply),
        }
    }

    /// The answer to [`Event::Rcpt`].
    pub fn rcpt(&mut self, accepted: Result<(), &Reply>) {
        if self.pending != Pending::Rcpt {
            return;
        }
        self.pending = Pending::Nothing;
        let State::Mail(transaction) = &mut self.state else { return };
        match accepted {
            Ok(()) => {
                transaction.accepted += 1;
                self.say(Text::RcptOk);
            }
            Err(reply) => {
                transaction.refused += 1;
                self.refuse(reply);
            }
        }
    }

    /// The answer to [`Event::Turn`]: how many messages wait, and are sent now.
    pub fn turned(&mut self, started: Result<u64, &Reply>) {
        if self.pending != Pending::Turn {
            return;
        }
        self.pending = Pending::Nothing;
        match started {
            Ok(0) => self.write(&success(251, "nothing waits for this domain")),
            Ok(count) => self.write(&success(253, &format!("{count} messages wait, and are sent now"))),
            Err(reply) => self.refuse(reply),
        }
    }

    /// The answer to [`Event::Verify`]: the mailbox if it is one of ours, nothing if it is another system's.
    pub fn verified(&mut self, found: Result<Option<&Mailbox>, &Reply>) {
        if self.pending != Pending::Verify {
            return;
        }
        self.pending = Pending::Nothing;
        match found {
            Ok(Some(mailbox)) => {
                self.write(&Reply::new(250, EnhancedStatus::new(2, 1, 5), format!("<{mailbox}>")));
            }
            Ok(None) => self.say(Text::Verify),
            Err(reply) => self.refuse(reply),
        }
    }

    /// The answer to [`Event::Collect`]. If it is yes, this dialogue is over: once the output is sent, the peer is the server.
    pub fn collecting(&mut self, begun: Result<(), &Reply>) {
        if self.pending != Pending::Collect {
            return;
        }
        self.pending = Pending::Nothing;
        match begun {
            Ok(()) => {
                self.write(&success(250, "now you are the server: greet us"));
                self.state = State::Closed;
            }
            Err(reply) => self.refuse(reply),
        }
    }

    /// The message will be refused with `reply` once it is read. The first refusal counts.
    pub fn refuse_message(&mut self, reply: Reply) {
        let body = match &mut self.state {
            State::Data(data) => &mut data.1,
            State::Chunk(chunk) => &mut chunk.body,
            State::Mail(Transaction { chunks: Some(body), .. }) => body,
            _ => return,
        };
        body.refusal.get_or_insert(reply);
    }

    /// The answer to [`Event::EndOfData`]: the receipt, or why there is none.
    pub fn committed(&mut self, outcome: Result<&Receipt, &Reply>) {
        if self.pending != Pending::Commit {
            return;
        }
        self.pending = Pending::Nothing;
        self.upstream = None;
        let recipients = match std::mem::replace(&mut self.state, State::Ready) {
            State::Data(data) => data.1.recipients,
            State::Chunk(chunk) => chunk.body.recipients,
            other => {
                self.state = other;
                return;
            }
        };
        match outcome {
            Ok(receipt) => {
                self.errors = 0;
                self.idle_commands = 0;
                self.write_receipt(receipt, recipients);
            }
            Err(reply) => self.write_outcome(reply, recipients),
        }
    }

    /// The answer to [`Event::Password`], [`Event::Certificate`] and [`Event::Token`]: `Err` if the directory did not answer.
    pub fn password(&mut self, found: Result<Option<Account>, ()>) -> Option<Event> {
        self.credentials(found, |exchange, account| exchange.checked(account))
    }

    /// The answer to [`Event::Verifier`]: `Err` if the directory did not answer.
    pub fn verifier(
        &mut self,
        found: Result<Option<(Account, iems_core::seam::ScramVerifier)>, ()>,
    ) -> Option<Event> {
        self.credentials(found, |exchange, found| exchange.verifier(found))
    }

    /// The answer to [`Event::Secret`]: the account and its secret, `Err` if the directory did not answer.
    pub fn secret(&mut self, found: Result<Option<(Account, Password)>, ()>) -> Option<Event> {
        self.credentials(found, |exchange, found| exchange.secret(found))
    }

    fn credentials<T>(
        &mut self,
        found: Result<T, ()>,
        step: impl FnOnce(&mut iems_core::seam::sasl::Exchange, T) -> iems_core::seam::sasl::Step,
    ) -> Option<Event> {
        if self.pending != Pending::Credentials {
            return None;
        }
        self.pending = Pending::Nothing;
        let State::Auth(mut exchange) = std::mem::replace(&mut self.state, State::Ready) else { return None };
        match found {
            Ok(found) => {
                let step = step(&mut exchange, found);
                self.auth_step(exchange, step)
            }
            Err(()) => {
                self.write(&output::directory_away());
                None
            }
        }
    }
}

fn success(code: u16, text: &str) -> Reply {
    Reply::new(code, EnhancedStatus::new(2, 0, 0), text)
}
