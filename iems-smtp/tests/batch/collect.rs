//! Mail collected by POP3, each message once, whatever breaks.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::Engine;
use iems_core::seam::{Dialer, Endpoint, NoResolver, Stream, SystemClock};
use iems_core::storage::MemoryStorage;
use iems_smtp::batch::{Account, AccountSettings, BatchChannel, Destination, Protection};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::support::{Boxes, builder, wait};

/// A server in memory: unique name and text of each message, sessions so far, and how it behaves.
#[derive(Default)]
struct Server {
    messages: Mutex<Vec<(String, String)>>,
    sessions: Mutex<u32>,
    /// Commands at which the connection breaks, once each.
    breaks: Mutex<Vec<&'static str>>,
    retrieved: Mutex<Vec<String>>,
    /// Mechanisms that it lists; without any it knows no `CAPA`.
    mechanisms: Mutex<&'static str>,
    /// What was said to log in.
    logins: Mutex<Vec<String>>,
    /// Whether it gives messages no names.
    nameless: Mutex<bool>,
}

struct Wire(Arc<Server>);

#[async_trait]
impl Dialer for Wire {
    async fn dial(&self, _: &Endpoint, _: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let (ours, theirs) = tokio::io::duplex(1000);
        let server = Arc::clone(&self.0);
        tokio::spawn(async move {
            let _ = server.serve(theirs).await;
        });
        Ok(Box::new(ours))
    }
}

impl Server {
    async fn serve(&self, stream: tokio::io::DuplexStream) -> io::Result<()> {
        *self.sessions.lock().unwrap() += 1;
        let mut stream = BufReader::new(stream);
        stream.write_all(b"+OK hello\r\n").await?;
        let all = self.messages.lock().unwrap().clone();
        let mut marked = BTreeSet::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            {
                let mut breaks = self.breaks.lock().unwrap();
                if let Some(at) = breaks.iter().position(|command| *command == words[0]) {
                    breaks.remove(at);
                    return Ok(());
                }
            }
            let number: usize = words.get(1).and_then(|word| word.parse().ok()).unwrap_or_default();
            let answer = match words[0] {
                "CAPA" => match *self.mechanisms.lock().unwrap() {
                    "" => "-ERR what?\r\n".to_owned(),
                    names => format!("+OK\r\nTOP\r\nSASL {names}\r\nUIDL\r\n.\r\n"),
                },
                "AUTH" => {
                    self.logins.lock().unwrap().push(line.trim_end().to_owned());
                    match line.trim_end() {
                        // For `u` and `secret`.
                        "AUTH PLAIN AHUAc2VjcmV0" => "+OK\r\n".to_owned(),
                        wrong => format!("-ERR [AUTH] no: {wrong}\r\n"),
                    }
                }
                "USER" => {
                    self.logins.lock().unwrap().push(line.trim_end().to_owned());
                    "+OK\r\n".to_owned()
                }
                "UIDL" if *self.nameless.lock().unwrap() => "-ERR unknown command\r\n".to_owned(),
                "PASS" if words[1] != "secret" => "-ERR [AUTH] wrong\r\n".to_owned(),
                "UIDL" => {
                    let line = |(n, (name, _)): (usize, &(String, String))| format!("{} {name}\r\n", n + 1);
                    format!("+OK\r\n{}.\r\n", all.iter().enumerate().map(line).collect::<String>())
                }
                "RETR" => {
                    let (name, text) = &all[number - 1];
                    self.retrieved.lock().unwrap().push(name.clone());
                    format!("+OK\r\n{}.\r\n", text.replace("\r\n.", "\r\n.."))
                }
                "DELE" => {
                    marked.insert(all[number - 1].0.clone());
                    "+OK\r\n".to_owned()
                }
                "QUIT" => {
                    self.messages.lock().unwrap().retain(|(name, _)| !marked.contains(name));
                    "+OK\r\n".to_owned()
                }
                _ => "+OK\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    fn put(&self, name: &str, text: &str) {
        self.messages.lock().unwrap().push((name.to_owned(), text.to_owned()));
    }

    fn left(&self) -> Vec<String> {
        self.messages.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    fn sessions(&self) -> u32 {
        *self.sessions.lock().unwrap()
    }
}

fn collecting(
    memory: &Arc<MemoryStorage>,
    boxes: &Arc<Boxes>,
    server: &Arc<Server>,
    change: impl Fn(&mut AccountSettings),
) -> Engine {
    let to = Destination::To("ann@here.example".parse().unwrap());
    let mut settings = AccountSettings::new("provider", "127.0.0.1", "u", "secret", to);
    (settings.protection, settings.interval) = (Protection::None, Duration::from_millis(20));
    change(&mut settings);
    let (roots, clock) = (rustls::RootCertStore::empty(), Arc::new(SystemClock));
    let account =
        Account::new(settings, &roots, Arc::new(NoResolver), Arc::new(Wire(server.clone())), clock.clone())
            .unwrap();
    let channel = BatchChannel::new(clock).with_account(account);
    let engine = builder(memory.storage(), boxes).input(Arc::new(channel)).build().unwrap();
    engine.start();
    engine
}

/// Some more sessions than there were.
async fn more(server: &Server, count: u32) {
    let until = server.sessions() + count;
    wait("sessions", || (server.sessions() >= until).then_some(())).await;
}

#[tokio::test]
async fn each_message_is_taken_once_whatever_breaks() {
    let (memory, boxes, server) = (MemoryStorage::new(), Boxes::new(), Arc::new(Server::default()));
    for n in 0..3 {
        server.put(&format!("u{n}"), &format!("Subject: n{n}\r\n\r\n.dot\r\n"));
    }
    *server.breaks.lock().unwrap() = vec!["USER", "UIDL", "DELE", "QUIT", "QUIT"];
    let engine = collecting(&memory, &boxes, &server, |_| {});
    wait("an empty mailbox", || server.left().is_empty().then_some(())).await;
    // A new message under a new name, and a crash after it was taken.
    *server.breaks.lock().unwrap() = vec!["QUIT"];
    server.put("u3", "Subject: n3\r\n\r\nx\r\n");
    wait("the fourth", || (boxes.of("ann").len() == 4).then_some(())).await;
    drop(engine);
    let engine = collecting(&memory, &boxes, &server, |_| {});
    wait("an empty mailbox", || server.left().is_empty().then_some(())).await;
    let got = boxes.of("ann");
    for n in 0..4 {
        assert_eq!(
            got.iter().filter(|text| text.contains(&format!("Subject: n{n}\r\n"))).count(),
            1,
            "{got:?}"
        );
    }
    assert!(got[0].ends_with("\r\n\r\n.dot\r\n") && got[0].contains("with POP3"), "{}", got[0]);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_stays_there_is_taken_once_and_asked_for_once() {
    let (memory, boxes, server) = (MemoryStorage::new(), Boxes::new(), Arc::new(Server::default()));
    server.put("u0", "Subject: kept\r\n\r\nx\r\n");
    server.put("u1", "Subject: bare\r\n\r\nx\n.\ny\r\n");
    let engine = collecting(&memory, &boxes, &server, |settings| settings.delete = false);
    more(&server, 5).await;
    drop(engine);
    let engine = collecting(&memory, &boxes, &server, |settings| settings.delete = false);
    more(&server, 5).await;
    assert_eq!(boxes.of("ann").len(), 1);
    assert_eq!(*server.retrieved.lock().unwrap(), ["u0", "u1"], "what is refused is not asked for again");
    assert_eq!(server.left().len(), 2);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn only_batches_are_taken_where_only_they_are_wanted() {
    let (memory, boxes, server) = (MemoryStorage::new(), Boxes::new(), Arc::new(Server::default()));
    server.put("u0", "Subject: private\r\n\r\nx\r\n");
    server.put("u1", "Content-Type: application/batch-SMTP\r\n\r\nQUIT\r\n");
    let engine = collecting(&memory, &boxes, &server, |settings| settings.batches = true);
    wait("the batch", || (server.left() == ["u0"]).then_some(())).await;
    more(&server, 3).await;
    assert_eq!(boxes.of("ann").len(), 1);
    assert_eq!(server.retrieved.lock().unwrap().len(), 2);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn fields_say_for_whom_mail_for_many_is() {
    let (memory, boxes, server) = (MemoryStorage::new(), Boxes::new(), Arc::new(Server::default()));
    server.put(
        "u0",
        "Delivered-To: x@elsewhere.example\r\nX-Envelope-To: <ben@here.example>\r\nSubject: a\r\n\r\nx\r\n",
    );
    server.put("u1", "Delivered-To: nobody@here.example\r\nReturn-Path: <ben@here.example>\r\n\r\nx\r\n");
    server.put("u2", "To: ben@here.example\r\n\r\nx\r\n");
    let engine = collecting(&memory, &boxes, &server, |settings| {
        settings.destination = Destination::Fields {
            names: vec!["Delivered-To".into(), "X-Envelope-To".into()],
            domains: vec!["here.example".parse().unwrap()],
            otherwise: "ann@here.example".parse().unwrap(),
        };
    });
    wait("what is not refused", || (server.left() == ["u1"]).then_some(())).await;
    assert_eq!((boxes.of("ben").len(), boxes.of("ann").len()), (1, 1));
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_wrong_password_takes_nothing_and_a_full_mailbox_waits() {
    let (memory, boxes, server) = (MemoryStorage::new(), Boxes::new(), Arc::new(Server::default()));
    server.put("u0", "Subject: a\r\n\r\nx\r\n");
    let engine = collecting(&memory, &boxes, &server, |settings| settings.password = "wrong".into());
    more(&server, 3).await;
    assert!(server.retrieved.lock().unwrap().is_empty());
    drop(engine);
    let engine = collecting(&memory, &boxes, &server, |settings| {
        settings.destination = Destination::To("full@here.example".parse().unwrap());
    });
    more(&server, 3).await;
    assert_eq!(server.left(), ["u0"]);
    boxes.full.store(false, std::sync::atomic::Ordering::SeqCst);
    wait("an empty mailbox", || server.left().is_empty().then_some(())).await;
    assert_eq!(boxes.of("full").len(), 1);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_login_is_the_strongest_that_the_server_lists() {
    for (mechanisms, said) in
        [("", "USER u"), ("LOGIN XOAUTH2", "USER u"), ("LOGIN PLAIN", "AUTH PLAIN AHUAc2VjcmV0")]
    {
        let (memory, boxes, server) = (MemoryStorage::new(), Boxes::new(), Arc::new(Server::default()));
        *server.mechanisms.lock().unwrap() = mechanisms;
        server.put("u1", "Subject: x\r\n\r\nx\r\n");
        let _engine = collecting(&memory, &boxes, &server, |_| {});
        wait("an empty mailbox", || server.left().is_empty().then_some(())).await;
        assert!(server.logins.lock().unwrap().iter().all(|line| line == said), "{mechanisms}");
    }
}

#[tokio::test]
async fn a_refused_password_is_not_told_in_another_way() {
    let (memory, boxes, server) = (MemoryStorage::new(), Boxes::new(), Arc::new(Server::default()));
    *server.mechanisms.lock().unwrap() = "PLAIN";
    server.put("u1", "Subject: x\r\n\r\nx\r\n");
    let _engine = collecting(&memory, &boxes, &server, |settings| settings.password = "wrong".into());
    more(&server, 3).await;
    assert!(server.logins.lock().unwrap().iter().all(|line| line.starts_with("AUTH PLAIN ")));
    assert_eq!(server.left(), ["u1"]);
}

#[tokio::test]
async fn a_mailbox_without_names_is_left_alone() {
    let (memory, boxes, server) = (MemoryStorage::new(), Boxes::new(), Arc::new(Server::default()));
    *server.nameless.lock().unwrap() = true;
    server.put("u1", "Subject: x\r\n\r\nx\r\n");
    let _engine = collecting(&memory, &boxes, &server, |_| {});
    more(&server, 3).await;
    assert!(boxes.of("ann").is_empty() && server.retrieved.lock().unwrap().is_empty());
    assert_eq!(server.left(), ["u1"]);
}
