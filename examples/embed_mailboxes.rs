//! Mailboxes in a program of one's own: delivery, IMAP and POP3, with passwords that are kept elsewhere.
//!
//! Run it with `cargo run --bin embed_mailboxes`. Accounts and mail are in the store; who somebody is, the program itself
//! says: here from a table of passwords and a table of tokens, elsewhere from LDAP or from a service. A message
//! comes in, IMAP reads it with a password, POP3 with a token.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_access::{imap, pop3};
use iems_core::Engine;
use iems_core::message::{Domain, Mailbox};
use iems_core::preprocess::Policy;
use iems_core::seam::sasl::Mechanism;
use iems_core::seam::{Account, Directory, DirectoryError, Resolution, ScramVerifier, SystemClock};
use iems_examples::send;
use iems_store::agent::LocalAgent;
use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};
use iems_store::engine::{Embedded, EmbeddedOptions};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Who is who is in the store; whether a password or token is good, these tables say.
struct Staff {
    store: Arc<StoreDirectory>,
    passwords: HashMap<&'static str, &'static str>,
    tokens: HashMap<&'static str, &'static str>,
}

fn account(login: &str) -> Option<Account> {
    login.parse().ok().map(Account::new)
}

#[async_trait]
impl Directory for Staff {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        self.store.resolve(mailbox).await
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        self.store.is_local(domain).await
    }

    async fn may_send_as(&self, account: &Account, sender: &Mailbox) -> Result<bool, DirectoryError> {
        self.store.may_send_as(account, sender).await
    }

    async fn check_password(&self, login: &str, password: &str) -> Result<Option<Account>, DirectoryError> {
        // A program that keeps passwords compares hashes of them, and off the runtime's threads.
        Ok(account(login).filter(|_| self.passwords.get(login) == Some(&password)))
    }

    async fn scram(&self, _: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok(None)
    }

    async fn by_token(&self, login: Option<&str>, token: &str) -> Result<Option<Account>, DirectoryError> {
        let owner = self.tokens.get(token).filter(|owner| login.is_none_or(|login| login == **owner));
        Ok(owner.and_then(|owner| account(owner)))
    }

    async fn policy(&self, mailbox: &Mailbox) -> Result<Policy, DirectoryError> {
        self.store.policy(mailbox).await
    }
}

/// Says a line and reads lines up to one that begins with `end`.
async fn ask(stream: &mut BufStream<TcpStream>, line: &str, end: &str) -> Result<(), Box<dyn Error>> {
    stream.write_all(line.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = String::new();
    while !answer.starts_with(end) {
        answer.clear();
        if stream.read_line(&mut answer).await? == 0 {
            return Err("the server hung up".into());
        }
        print!("{answer}");
    }
    Ok(())
}

async fn read_by_imap(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut stream = BufStream::new(TcpStream::connect(address).await?);
    ask(&mut stream, "", "* OK").await?;
    ask(&mut stream, "a LOGIN ann@here.example apple\r\n", "a ").await?;
    ask(&mut stream, "b SELECT INBOX\r\n", "b OK").await?;
    ask(&mut stream, "c FETCH 1 (FLAGS BODY[HEADER.FIELDS (SUBJECT)])\r\n", "c OK").await?;
    ask(&mut stream, "d LOGOUT\r\n", "d OK").await
}

async fn read_by_pop3(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut stream = BufStream::new(TcpStream::connect(address).await?);
    ask(&mut stream, "", "+OK").await?;
    // In base 64: n,,^Aauth=Bearer twig^A^A (RFC 7628).
    ask(&mut stream, "AUTH OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHR3aWcBAQ==\r\n", "+OK").await?;
    ask(&mut stream, "RETR 1\r\n", ".\r\n").await?;
    ask(&mut stream, "QUIT\r\n", "+OK").await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let storage = Embedded::open(folder.path(), EmbeddedOptions::default())?.storage();
    let store = StoreDirectory::new(storage.clone(), Arc::new(SystemClock), DirectoryOptions::default());
    let store = Arc::new(store);
    store.add_domain(&"here.example".parse()?, Default::default()).await?;
    store.add_account(NewAccount::new("ann@here.example".parse()?)).await?;
    let staff = Arc::new(Staff {
        store: store.clone(),
        passwords: HashMap::from([("ann@here.example", "apple")]),
        tokens: HashMap::from([("twig", "ann@here.example")]),
    });

    let engine = Engine::builder("mx.here.example", storage, staff.clone())
        .agent(Arc::new(LocalAgent::new(store.clone())))
        .build()?;
    engine.start();

    // Without TLS passwords and tokens are taken from this machine only; `Server::new` takes the certificate for others.
    let mechanisms = vec![Mechanism::Plain, Mechanism::OAuthBearer];
    let listen = || imap::Listener::bind(([127, 0, 0, 1], 0).into());
    let mut options = imap::ServerOptions::new("mx.here.example");
    options.auth.directory = Some(staff.clone());
    options.auth.mechanisms.clone_from(&mechanisms);
    let imap = imap::Server::new(options, vec![listen()?], imap::Accounts::new(store.clone()), None)?;
    let mut options = pop3::ServerOptions::new("mx.here.example");
    options.auth.directory = Some(staff);
    options.auth.mechanisms = mechanisms;
    let pop3 = pop3::Server::new(options, vec![listen()?], pop3::Maildrops::new(store), None)?;

    let shutdown = CancellationToken::new();
    let (at_imap, at_pop3) = (imap.addresses()[0], pop3.addresses()[0]);
    let serving = shutdown.clone();
    let serving = tokio::spawn(async move { tokio::join!(imap.serve(serving.clone()), pop3.serve(serving)) });

    let message = "From: ben@there.example\r\nSubject: hello\r\n\r\nThe first message.\r\n";
    send(&engine.intake(), "program", "ben@there.example", &["ann@here.example"], message).await?;
    read_by_imap(at_imap).await?;
    read_by_pop3(at_pop3).await?;

    shutdown.cancel();
    let (imap, pop3) = serving.await?;
    imap.and(pop3)?;
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
