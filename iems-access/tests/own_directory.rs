//! Logins that a directory of one's own proves, for mailboxes of the store's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_access::{imap, pop3};
use iems_core::message::{Domain, Mailbox};
use iems_core::preprocess::Policy;
use iems_core::seam::sasl::Mechanism;
use iems_core::seam::{Account, Directory, DirectoryError, Resolution, ScramVerifier, SystemClock};
use iems_core::storage::MemoryStorage;
use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Proves everybody who knows the word.
struct Word;

#[async_trait]
impl Directory for Word {
    async fn resolve(&self, _: &Mailbox) -> Result<Resolution, DirectoryError> {
        Ok(Resolution::Foreign)
    }

    async fn is_local(&self, _: &Domain) -> Result<bool, DirectoryError> {
        Ok(false)
    }

    async fn may_send_as(&self, _: &Account, _: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(false)
    }

    async fn check_password(&self, login: &str, password: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(login.parse().ok().filter(|_| password == "the word").map(Account::new))
    }

    async fn scram(&self, _: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok(None)
    }

    async fn policy(&self, _: &Mailbox) -> Result<Policy, DirectoryError> {
        Ok(Policy::new())
    }
}

/// A store where bob is disabled and carl has no account.
async fn store() -> Arc<StoreDirectory> {
    let mut options = DirectoryOptions::default();
    (options.passwords.memory, options.passwords.passes, options.passwords.scram_iterations) = (16, 1, 4096);
    let store = StoreDirectory::new(MemoryStorage::new().storage(), Arc::new(SystemClock), options);
    store.add_domain(&"example.org".parse().unwrap(), Default::default()).await.unwrap();
    for name in ["ann@example.org", "bob@example.org"] {
        store.add_account(NewAccount::new(name.parse().unwrap()).with_password("secret")).await.unwrap();
    }
    store.update_account(&"bob@example.org".parse().unwrap(), |bob| bob.enabled = false).await.unwrap();
    Arc::new(store)
}

/// What a server says to these lines, the last answer only.
async fn last(port: u16, lines: &[&str]) -> String {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    for line in lines {
        stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        answer.clear();
        let read = stream.read_line(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer in time").unwrap();
    }
    answer
}

#[tokio::test]
async fn imap_and_pop3_ask_the_directory_that_they_are_given() {
    let store = store().await;
    let listen = || imap::Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let asked = |auth: &mut imap::AuthOptions| {
        auth.directory = Some(Arc::new(Word));
        auth.mechanisms = vec![Mechanism::Plain];
        auth.failure_delay = Duration::ZERO;
    };
    let mut options = imap::ServerOptions::new("mx.example.org");
    asked(&mut options.auth);
    let imap = imap::Server::new(options, vec![listen()], imap::Accounts::new(store.clone()), None).unwrap();
    let mut options = pop3::ServerOptions::new("mx.example.org");
    asked(&mut options.auth);
    let pop3 = pop3::Server::new(options, vec![listen()], pop3::Maildrops::new(store), None).unwrap();
    let (at_imap, at_pop3) = (imap.addresses()[0].port(), pop3.addresses()[0].port());
    tokio::spawn(async move { imap.serve(CancellationToken::new()).await });
    tokio::spawn(async move { pop3.serve(CancellationToken::new()).await });

    for (name, password, by_imap, by_pop3) in [
        ("ann", "the word", "a OK ", "+OK"),
        ("ann", "secret", "a NO [AUTHENTICATIONFAILED]", "-ERR [AUTH]"),
        ("bob", "the word", "a NO [AUTHORIZATIONFAILED]", "-ERR [AUTH] This account is disabled"),
        ("carl", "the word", "a NO [UNAVAILABLE]", "-ERR [SYS/TEMP]"),
    ] {
        let said = last(at_imap, &[&format!("a LOGIN {name}@example.org \"{password}\"")]).await;
        assert!(said.starts_with(by_imap), "{name}: {said}");
        let said = last(at_pop3, &[&format!("USER {name}@example.org"), &format!("PASS {password}")]).await;
        assert!(said.starts_with(by_pop3), "{name}: {said}");
    }
}
