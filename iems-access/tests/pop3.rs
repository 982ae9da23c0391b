//! The POP3 server over real sockets, with accounts and mail in memory.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use iems_access::pop3::{Listener, Maildrops, Server, ServerOptions, TlsConfig};
use iems_core::message::{Body, Mailbox};
use iems_core::seam::{SystemClock, Timestamp};
use iems_core::storage::{Batch, MemoryStorage, StoreError};
use iems_store::directory::{AccountInfo, DirectoryOptions, NewAccount, StoreDirectory};
use iems_store::mailbox::{Mailboxes, NewMessage, Uid};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct World {
    memory: Arc<MemoryStorage>,
    directory: Arc<StoreDirectory>,
    maildrops: Arc<Maildrops>,
}

struct Running {
    port: u16,
    shutdown: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

async fn world() -> World {
    let memory = MemoryStorage::new();
    let mut options = DirectoryOptions::default();
    (options.passwords.memory, options.passwords.passes, options.passwords.scram_iterations) = (16, 1, 4096);
    let directory = StoreDirectory::new(memory.storage(), Arc::new(SystemClock), options);
    directory.add_domain(&"example.org".parse().unwrap(), Default::default()).await.unwrap();
    let ann = NewAccount::new("ann@example.org".parse().unwrap()).with_password("secret");
    directory.add_account(ann).await.unwrap();
    let directory = Arc::new(directory);
    World { memory, maildrops: Maildrops::new(directory.clone()), directory }
}

impl World {
    async fn ann(&self) -> Arc<AccountInfo> {
        let ann: Mailbox = "ann@example.org".parse().unwrap();
        self.directory.account(&ann).await.unwrap().unwrap()
    }

    async fn deliver(&self, prefix: &str, text: &str) {
        let storage = self.memory.storage();
        let mut writer = storage.blobs.create().await.unwrap();
        writer.write(Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
        let blob = writer.finish().await.unwrap();
        let prefix = Bytes::copy_from_slice(prefix.as_bytes());
        let body = Body { prefix, blob, blob_size: text.len() as u64, header_size: 0 };
        let message = NewMessage::new(Timestamp::from_millis(0), body);
        let ann = self.ann().await;
        let mut batch = Batch::new();
        Mailboxes::append(&mut batch, ann.id, ann.inbox, &message).unwrap();
        storage.store.commit(batch).await.unwrap();
    }

    async fn uids(&self) -> Vec<u32> {
        let ann = self.ann().await;
        let all = self.directory.mailboxes().messages(ann.id, ann.inbox, Uid(0), 100).await.unwrap();
        all.iter().map(|message| message.uid.0).collect()
    }

    fn serve(&self, options: ServerOptions, tls: Option<TlsConfig>, implicit: bool) -> Running {
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        if implicit {
            listener = listener.implicit_tls();
        }
        let server = Server::new(options, vec![listener], self.maildrops.clone(), tls).unwrap();
        let port = server.addresses()[0].port();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { server.serve(shutdown).await }
        });
        Running { port, shutdown, task }
    }
}

fn options() -> ServerOptions {
    let mut options = ServerOptions::new("mx.example.org");
    options.auth.failure_delay = Duration::from_millis(1);
    options
}

struct Client<S> {
    stream: BufReader<S>,
}

async fn connect(server: &Running) -> Client<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    Client { stream: BufReader::new(stream) }
}

async fn log_in(server: &Running) -> Client<TcpStream> {
    let mut client = connect(server).await;
    assert!(client.line().await.starts_with("+OK"));
    assert!(client.ask("USER ann@example.org").await.starts_with("+OK"));
    let reply = client.ask("PASS secret").await;
    assert!(reply.starts_with("+OK"), "{reply}");
    client
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// The next line; empty at the end of the connection.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer in time").unwrap();
        line
    }

    async fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, command: &str) -> String {
        self.say(&format!("{command}\r\n")).await;
        self.line().await
    }

    /// A multi-line reply after its first line, with the stuffing removed.
    async fn body(&mut self) -> String {
        let mut text = String::new();
        loop {
            let line = self.line().await;
            match line.strip_prefix('.') {
                Some("\r\n") => return text,
                Some(rest) => text.push_str(rest),
                None => text.push_str(&line),
            }
            assert!(!line.is_empty(), "the connection ended within a reply");
        }
    }
}

#[tokio::test]
async fn messages_come_whole_and_leave_at_quit() {
    let world = world().await;
    let prefix = "Return-Path: <x@y>\r\n";
    let long: String = (0..20_000).map(|n| format!(".{n} line\r\n..\r\n")).collect();
    let long = format!("Subject: long\r\n\r\n{long}");
    world.deliver(prefix, &long).await;
    world.deliver(prefix, "Subject: short\r\n\r\nno line end").await;
    let server = world.serve(options(), None, false);
    let mut client = log_in(&server).await;
    let octets = prefix.len() + long.len();
    assert_eq!(client.ask("LIST 1").await, format!("+OK 1 {octets}\r\n"));
    assert_eq!(client.ask("RETR 1").await, format!("+OK {octets} octets\r\n"));
    assert!(client.body().await == format!("{prefix}{long}"));
    assert!(client.ask("TOP 1 1").await.starts_with("+OK"));
    assert_eq!(client.body().await, format!("{prefix}Subject: long\r\n\r\n.0 line\r\n"));
    // Mail that comes now does not disturb the numbers.
    world.deliver(prefix, "Subject: new\r\n\r\n").await;
    assert!(client.ask("STAT").await.starts_with("+OK 2 "));
    client.say("RETR 2\r\nDELE 1\r\nQUIT\r\n").await;
    assert!(client.line().await.starts_with("+OK"));
    assert_eq!(client.body().await, format!("{prefix}Subject: short\r\n\r\nno line end\r\n"));
    assert_eq!(client.line().await, "+OK Message 1 will be deleted\r\n");
    assert_eq!(client.line().await, "+OK Bye\r\n");
    assert_eq!(client.line().await, "");
    assert_eq!(world.uids().await, [2, 3]);

    let mut client = log_in(&server).await;
    assert!(client.ask("UIDL").await.starts_with("+OK 2 "));
    let ids = client.body().await;
    let ann = world.ann().await;
    let name = format!("{:x}.{:x}", ann.id.0, ann.inbox.0);
    assert_eq!(ids, format!("1 {name}.2\r\n2 {name}.3\r\n"));
}

#[tokio::test]
async fn a_connection_that_breaks_removes_nothing_and_frees_the_maildrop() {
    let world = world().await;
    world.deliver("", "A: b\r\n\r\n").await;
    let (first, second) = (world.serve(options(), None, false), world.serve(options(), None, false));
    let mut client = log_in(&first).await;
    assert!(client.ask("DELE 1").await.starts_with("+OK"));
    let mut other = connect(&second).await;
    other.line().await;
    other.ask("USER ann@example.org").await;
    assert!(other.ask("PASS secret").await.starts_with("-ERR [IN-USE]"));
    drop(client);
    for _ in 0..200 {
        other.ask("USER ann@example.org").await;
        if other.ask("PASS secret").await.starts_with("+OK 1 ") {
            return assert_eq!(world.uids().await, [1]);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the maildrop stayed locked");
}

#[tokio::test]
async fn trouble_of_the_store_is_told_and_removes_nothing() {
    let world = world().await;
    world.deliver("", "A: b\r\n\r\n").await;
    let server = world.serve(options(), None, false);
    let mut client = log_in(&server).await;
    world.memory.fail_after(0, StoreError::Io("broken".into()));
    assert!(client.ask("RETR 1").await.starts_with("-ERR [SYS/TEMP]"));
    assert!(client.ask("DELE 1").await.starts_with("+OK"));
    assert!(client.ask("QUIT").await.starts_with("-ERR [SYS/TEMP]"));
    world.memory.heal();
    assert_eq!(world.uids().await, [1]);
}

fn tls() -> (TlsConfig, tokio_rustls::TlsConnector) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate = made.cert.der().clone();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(ArcSwap::from_pointee(server)), Arc::new(client).into())
}

#[tokio::test]
async fn tls_begins_at_once_or_with_stls() {
    let world = world().await;
    let (config, connector) = tls();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    for implicit in [true, false] {
        let server = world.serve(options(), Some(config.clone()), implicit);
        let mut client = connect(&server).await;
        if !implicit {
            client.line().await;
            assert_eq!(client.ask("STLS").await, "+OK Begin TLS\r\n");
        }
        let stream = connector.connect(name.clone(), client.stream.into_inner()).await.unwrap();
        let mut client = Client { stream: BufReader::new(stream) };
        if implicit {
            assert!(client.line().await.starts_with("+OK mx.example.org"));
        }
        client.say("USER ann@example.org\r\nPASS secret\r\nQUIT\r\n").await;
        assert_eq!(client.line().await, "+OK Say PASS\r\n");
        assert!(client.line().await.starts_with("+OK 0 messages"));
        assert_eq!(client.line().await, "+OK Bye\r\n");
    }
}

#[tokio::test]
async fn whoever_talks_before_the_handshake_is_cut_off() {
    let world = world().await;
    let (config, _) = tls();
    let server = world.serve(options(), Some(config), false);
    let mut client = connect(&server).await;
    client.line().await;
    client.say("STLS\r\nUSER ann@example.org\r\nPASS secret\r\n").await;
    assert!(client.line().await.starts_with("-ERR Nothing may follow STLS"));
    assert_eq!(client.line().await, "");
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    use hmac::Mac;
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// `client-final-message` (RFC 5802 section 3).
fn client_final(first: &str, server_first: &str, password: &str) -> String {
    use sha2::Digest;
    let fields: Vec<&str> = server_first.split(',').map(|field| &field[2..]).collect();
    let (nonce, salt, count) = (fields[0], BASE64.decode(fields[1]).unwrap(), fields[2].parse().unwrap());
    let mut block = hmac(password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat());
    let mut salted = block.clone();
    for _ in 1..count {
        block = hmac(password.as_bytes(), &block);
        salted.iter_mut().zip(&block).for_each(|(a, b)| *a ^= b);
    }
    let key = hmac(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={nonce}");
    let spoken = format!("{first},{server_first},{without_proof}");
    let signature = hmac(&sha2::Sha256::digest(&key), spoken.as_bytes());
    let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    format!("{without_proof},p={}", BASE64.encode(proof))
}

#[tokio::test]
async fn scram_proves_the_password_without_saying_it() {
    let world = world().await;
    let server = world.serve(options(), None, false);
    let mut client = connect(&server).await;
    client.line().await;
    for (login, password, expected) in [
        ("ann@example.org", "wrong", "-ERR [AUTH]"),
        ("nobody@example.org", "secret", "-ERR [AUTH]"),
        ("ann@example.org", "secret", "+OK 0 messages"),
    ] {
        let first = format!("n={login},r=abcdef");
        let hello = BASE64.encode(format!("n,,{first}"));
        let challenge = client.ask(&format!("AUTH SCRAM-SHA-256 {hello}")).await;
        let server_first = BASE64.decode(challenge.trim_end().strip_prefix("+ ").unwrap()).unwrap();
        let server_first = String::from_utf8(server_first).unwrap();
        let last = client_final(&first, &server_first, password);
        let mut reply = client.ask(&BASE64.encode(last)).await;
        if reply.starts_with("+ ") {
            reply = client.ask("").await;
        }
        assert!(reply.starts_with(expected), "{login}: {reply}");
    }
}

#[tokio::test]
async fn whoever_does_not_log_in_is_sent_away_however_slowly_it_talks() {
    let world = world().await;
    let mut options = options();
    options.timeouts.login = Duration::from_millis(300);
    let server = world.serve(options, None, false);
    let mut client = connect(&server).await;
    client.line().await;
    let begun = std::time::Instant::now();
    let (mut reading, mut writing) = client.stream.into_inner().into_split();
    let slow = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut rest = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut rest);
    let _ = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("an end");
    assert!(rest.is_empty() && begun.elapsed() >= Duration::from_millis(250));
    slow.abort();
}

#[tokio::test]
async fn too_many_connections_are_told_so() {
    let world = world().await;
    let mut options = options();
    options.limits.connections = 1;
    let server = world.serve(options, None, false);
    let mut first = connect(&server).await;
    assert!(first.line().await.starts_with("+OK"));
    let mut second = connect(&server).await;
    assert_eq!(second.line().await, "-ERR [SYS/TEMP] too many connections; try again later\r\n");
    drop(first);
    for _ in 0..200 {
        if connect(&server).await.line().await.starts_with("+OK") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was not given back");
}

#[tokio::test]
async fn a_login_too_soon_is_refused() {
    let world = world().await;
    let mut options = options();
    options.login_delay = Duration::from_secs(3600);
    let server = world.serve(options, None, false);
    let mut client = log_in(&server).await;
    assert!(client.ask("QUIT").await.starts_with("+OK"));
    assert_eq!(client.line().await, "");
    let mut client = connect(&server).await;
    client.line().await;
    client.ask("USER ann@example.org").await;
    let reply = client.ask("PASS secret").await;
    assert!(reply.starts_with("-ERR [LOGIN-DELAY]") || reply.starts_with("-ERR [IN-USE]"), "{reply}");
}

#[tokio::test]
async fn a_shutdown_says_good_bye_to_idle_peers() {
    let world = world().await;
    world.deliver("", "A: b\r\n\r\n").await;
    let server = world.serve(options(), None, false);
    let mut client = log_in(&server).await;
    client.ask("DELE 1").await;
    server.shutdown.cancel();
    assert!(client.line().await.starts_with("-ERR [SYS/TEMP]"));
    assert_eq!(client.line().await, "");
    server.task.await.unwrap().unwrap();
    assert_eq!(world.uids().await, [1]);
    assert!(TcpStream::connect(("127.0.0.1", server.port)).await.is_err());
}
