//! Sessions over storage in memory.

mod ahead;
mod budget;
mod condstore;
mod crash;
mod dialogues;
mod extensions;
mod many;
mod model;
mod notify;
mod quota;
mod readers;
mod recent;
mod rows;
mod together;

use std::sync::Arc;

use bytes::BytesMut;
use iems_core::seam::{Clock, SystemClock, Timestamp};
use iems_core::storage::{MemoryStorage, Storage};
use iems_store::directory::{DirectoryOptions, NewAccount, Password, PasswordOptions, StoreDirectory};

use super::{Literal, Output, Session, Then};
use crate::imap::codec::{Decoder, Event, Limits};
use crate::imap::types::Response;
use crate::imap::{Accounts, ServerOptions};
use crate::net::{Answer, Link, Memory, Question};

/// A directory with the accounts ann@example.org and bob@example.org.
#[derive(Clone)]
struct World {
    directory: Arc<StoreDirectory>,
    accounts: Arc<Accounts>,
    options: Arc<ServerOptions>,
    /// Whether peers hear what is recent; most tests are not about it.
    recent: bool,
}

impl World {
    async fn new() -> Self {
        Self::with_storage().await.0
    }

    async fn with_storage() -> (Self, Storage) {
        let storage = MemoryStorage::new().storage();
        (Self::over(storage.clone(), Arc::new(SystemClock), true).await, storage)
    }

    /// A directory that is there already, or with `first` a new one.
    async fn over(storage: Storage, clock: Arc<dyn Clock>, first: bool) -> Self {
        let mut options = DirectoryOptions::default();
        options.passwords = PasswordOptions::default();
        let directory = StoreDirectory::new(storage, clock, options);
        if first {
            directory.add_domain(&"example.org".parse().unwrap(), Default::default()).await.unwrap();
        }
        for name in ["ann", "bob"].into_iter().filter(|_| first) {
            let mut account = NewAccount::new(format!("{name}@example.org").parse().unwrap());
            account.password = Password::None;
            directory.add_account(account).await.unwrap();
        }
        let mut options = ServerOptions::new("mx.example.org");
        options.auth.secret = Some([1; 32]);
        options.auth.failure_delay = std::time::Duration::ZERO;
        options.unauthenticate = true;
        let directory = Arc::new(directory);
        let accounts = Accounts::new(directory.clone());
        Self { accounts, directory, options: Arc::new(options), recent: false }
    }

    /// The same, where each account may hold so many octets.
    fn within(&self, memory: &Arc<Memory>) -> Self {
        let accounts = Accounts::within(memory.clone(), self.directory.clone(), None);
        Self { accounts, ..self.clone() }
    }

    /// The same, where what is recent is heard.
    async fn with_recent() -> Self {
        Self { recent: true, ..Self::new().await }
    }

    /// The same mail, and nothing in memory.
    fn restarted(&self) -> Self {
        Self { accounts: Accounts::new(self.directory.clone()), ..self.clone() }
    }

    fn stranger(&self, link: Link) -> Peer {
        let nonce = Arc::new(|| Some([2; 18]));
        let session = Session::new(self.options.clone(), self.accounts.clone(), link, nonce);
        let decoder = Decoder::new(Limits::before_login());
        Peer { session, decoder, input: BytesMut::new(), closed: false, recent: self.recent }
    }

    /// Somebody who is logged in.
    async fn ann(&self) -> Peer {
        self.known("ann").await
    }

    async fn known(&self, name: &str) -> Peer {
        let mut peer = self.stranger(TLS);
        let said = peer.ask(&format!("l LOGIN {name}@example.org secret")).await;
        assert!(said.starts_with("l OK"), "{said}");
        peer
    }
}

const TLS: Link = Link { tls: true, tls_available: true, local: false };

/// A client with its session.
struct Peer {
    session: Session,
    decoder: Decoder,
    input: BytesMut,
    closed: bool,
    recent: bool,
}

impl Peer {
    /// Says lines, and hears what is said to them.
    async fn ask(&mut self, lines: &str) -> String {
        self.say(format!("{lines}\r\n").as_bytes()).await
    }

    async fn say(&mut self, octets: &[u8]) -> String {
        self.input.extend_from_slice(octets);
        let (mut sent, mut buffer) = (Vec::new(), BytesMut::new());
        while let Some(event) = self.decoder.next(&mut self.input) {
            let mut out = Output::new(&mut sent, &mut buffer);
            self.session.prepare(&mut out);
            let then = match event {
                Event::Command(command) => self.session.command(command, now(), &mut out).await.unwrap(),
                Event::Line(line) => self.session.line(Some(&line), &mut out).await.unwrap(),
                Event::Append(part) => {
                    match self.session.append(part, now(), &mut out).await.unwrap() {
                        Literal::None => {}
                        Literal::Accept => self.decoder.accept(),
                        Literal::Refuse => self.decoder.refuse(),
                    }
                    continue;
                }
                Event::Continue => {
                    out.say(&Response::Continue("Go on".into()));
                    continue;
                }
                Event::Refused(refusal) => {
                    self.session.refused(&refusal);
                    out.say(&refusal.into());
                    continue;
                }
                Event::Fatal(status) => {
                    out.status(status);
                    Then::Close
                }
            };
            self.follow(then, &mut out).await;
        }
        Output::new(&mut sent, &mut buffer).flush().await.unwrap();
        self.session.settle().await;
        self.heard(&sent)
    }

    async fn follow(&mut self, mut then: Then, out: &mut Output<'_, Vec<u8>>) {
        while let Then::Ask(question) = then {
            let answer = match &question {
                Question::Password { login, password } if password.as_str() == "secret" => {
                    let account = iems_core::seam::Account::new(login.parse().unwrap());
                    Answer::Account(Some(account))
                }
                Question::Verifier { .. } => Answer::Verifier(None),
                _ => Answer::Account(None),
            };
            then = self.session.answered(answer, out).await.unwrap();
        }
        if self.session.is_known() {
            self.decoder.set_limits(Limits::after_login(1 << 20));
        }
        self.decoder.set_utf8(self.session.utf8());
        self.decoder.charge(&self.session.budget());
        match then {
            Then::ReadLine => self.decoder.expect_line(),
            Then::Forget => self.decoder.set_limits(Limits::before_login()),
            Then::Close => self.closed = true,
            _ => {}
        }
    }

    fn heard(&self, sent: &[u8]) -> String {
        let text = String::from_utf8_lossy(sent);
        if self.recent {
            return text.into_owned();
        }
        let lines = text.split_inclusive("\r\n");
        let lines = lines.filter(|line| !(line.starts_with("* ") && line.ends_with(" RECENT\r\n")));
        lines.collect::<String>().replace(" \\Recent", "").replace("\\Recent ", "").replace("\\Recent", "")
    }

    /// What is told within `IDLE`.
    async fn news(&mut self) -> String {
        let (mut sent, mut buffer) = (Vec::new(), BytesMut::new());
        let mut out = Output::new(&mut sent, &mut buffer);
        self.session.news(&mut out).await.unwrap();
        out.flush().await.unwrap();
        self.heard(&sent)
    }

    async fn append(&mut self, mailbox: &str, text: &str) -> String {
        self.ask(&format!("p APPEND {mailbox} {{{}+}}\r\n{text}", text.len())).await
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn letter(subject: &str) -> String {
    format!(
        "From: Bob <bob@example.net>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nHello {subject}\r\n"
    )
}
