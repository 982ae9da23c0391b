//! Our client against our server, over real sockets and with DNS left out: what goes in comes out, octet for octet.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use iems_core::Engine;
use iems_core::deliver::{Arrival, Attempt, Channel, Delivery, DeliveryAgent, Destination, Outcome};
use iems_core::message::{
    Body, BodyType, ChannelId, Domain, EnhancedStatus, Envelope, Mailbox, NextHop, QueueId, Recipient, Reply,
    ReversePath,
};
use iems_core::preprocess::Policy;
use iems_core::seam::sasl::{Mechanism, derive_verifier};
use iems_core::seam::{
    Account, Directory, DirectoryError, NoResolver, Resolution, ScramVerifier, SeededRandom, SystemClock,
    Target, Timestamp,
};
use iems_core::storage::MemoryStorage;
use iems_smtp::client::{ClientSettings, Hop, Login, Logins, SmtpClient, TlsLevel};
use iems_smtp::dialer::TcpDialer;
use iems_smtp::server::{Listener, Mode, Server, ServerOptions};
use rustls::pki_types::PrivateKeyDer;

/// `box@b.example` is the only address there is, and `ann` with `secret` the only account.
struct OneBox;

#[async_trait]
impl Directory for OneBox {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        Ok(match mailbox.to_string().as_str() {
            "box@b.example" => Resolution::Targets(vec![Target::Agent {
                agent: ChannelId::new("box"),
                mailbox: mailbox.clone(),
                detail: None,
            }]),
            _ => Resolution::Unknown,
        })
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        Ok(domain.as_str() == "b.example")
    }

    async fn may_send_as(&self, _: &Account, _: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(true)
    }

    async fn check_password(&self, login: &str, password: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(((login, password) == ("ann", "secret")).then(ann))
    }

    async fn scram(&self, login: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok((login == "ann").then(|| (ann(), derive_verifier("secret", b"salt", 4096))))
    }

    async fn policy(&self, _: &Mailbox) -> Result<Policy, DirectoryError> {
        Ok(Policy::new())
    }
}

fn ann() -> Account {
    Account::new("ann@b.example".parse().unwrap())
}

/// Keeps what it gets.
struct Keeper {
    id: ChannelId,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

#[async_trait]
impl DeliveryAgent for Keeper {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn accepts(&self, _: &Mailbox, _: u64) -> Result<(), Reply> {
        Ok(())
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let body = attempt.body.reader(&*attempt.blobs).rest().await.unwrap();
        self.kept.lock().unwrap().push(body);
        let reply = Reply::new(250, EnhancedStatus::new(2, 0, 0), "kept");
        let outcomes = vec![Outcome::Done(Arrival::Delivered, reply); attempt.destinations.len()];
        Delivery { outcomes, ..Delivery::default() }
    }
}

fn server(mode: Mode, mechanisms: &[Mechanism]) -> Server {
    let made = rcgen::generate_simple_self_signed(vec!["b.example".into()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut options = ServerOptions::new(mode, ChannelId::new("in"), "b.example");
    options.auth.mechanisms = mechanisms.to_vec();
    options.auth.failure_delay = Duration::ZERO;
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (directory, clock) = (Arc::new(OneBox), Arc::new(SystemClock));
    let tls = Some(Arc::new(ArcSwap::from_pointee(tls)));
    Server::new(options, vec![listener], directory, Arc::new(NoResolver), clock, tls).unwrap()
}

/// An engine that listens, where it listens, and what it got.
fn engine(mode: Mode, mechanisms: &[Mechanism]) -> (Engine, NextHop, Arc<Mutex<Vec<Vec<u8>>>>) {
    let server = server(mode, mechanisms);
    let address = server.addresses()[0];
    let kept = Arc::new(Mutex::new(Vec::new()));
    let engine = Engine::builder("b.example", MemoryStorage::new().storage(), Arc::new(OneBox))
        .input(Arc::new(server))
        .agent(Arc::new(Keeper { id: ChannelId::new("box"), kept: kept.clone() }))
        .build()
        .unwrap();
    engine.start();
    (engine, NextHop::from(&Hop::Address(address.ip(), Some(address.port()))), kept)
}

async fn message(body: &[u8], to: &[&str]) -> Attempt {
    let blobs = MemoryStorage::new().storage().blobs;
    let mut writer = blobs.create().await.unwrap();
    writer.write(body.to_vec().into()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let sender = ReversePath::Mailbox("me@a.example".parse().unwrap());
    let destination = |address: &&str| Destination {
        mailbox: address.parse().unwrap(),
        detail: None,
        recipient: Recipient::new(address.parse().unwrap()),
        decision: Policy::new().decide(&[]),
    };
    Attempt {
        id: QueueId::from_bytes([7; 16]),
        number: 1,
        envelope: Arc::new(Envelope { body: BodyType::EightBitMime, ..Envelope::new(sender) }),
        body: Body {
            prefix: "X-Prefix: yes\r\n".into(),
            blob,
            blob_size: body.len() as u64,
            header_size: 14,
        },
        blobs,
        destinations: to.iter().map(destination).collect(),
        verdicts: Arc::new([]),
        upstream: None,
        arrived: Timestamp::from_millis(0),
        now: Timestamp::from_millis(0),
    }
}

fn body(lines: usize) -> Vec<u8> {
    let mut body = b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n".to_vec();
    (0..lines).for_each(|n| body.extend_from_slice(format!(".{n} café\r\n\r\n").as_bytes()));
    body
}

async fn arrived(kept: &Mutex<Vec<Vec<u8>>>, least: usize) {
    for _ in 0..500 {
        if kept.lock().unwrap().len() >= least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{least} messages did not arrive");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_in_comes_out() {
    for mode in [Mode::Relay, Mode::Lmtp] {
        let (engine, hop, kept) = engine(mode, &Mechanism::ALL);
        let mut expected = Vec::new();
        for (chunking, tls) in [
            (true, TlsLevel::None),
            (false, TlsLevel::None),
            (true, TlsLevel::Opportunistic),
            (false, TlsLevel::Opportunistic),
        ] {
            let mut settings = match mode {
                Mode::Lmtp => ClientSettings::lmtp("a.example"),
                _ => ClientSettings::smtp("a.example"),
            };
            (settings.chunking, settings.tls) = (chunking, tls);
            settings.source_v4 = Some([127, 0, 0, 1].into());
            let random = Arc::new(SeededRandom::new(1));
            let (id, dialer) = (ChannelId::new("out"), Arc::new(TcpDialer));
            let client = SmtpClient::new(id, settings, Arc::new(NoResolver), dialer, random).unwrap();
            let mut link = client.open(&hop).await.unwrap();
            for lines in [0, 100, 40_000] {
                let body = body(lines);
                let attempt = message(&body, &["nobody@b.example", "box@b.example"]).await;
                let outcomes = link.transmit(&attempt).await;
                assert!(matches!(&outcomes[0], Outcome::Failed(reply) if reply.code == 550), "{outcomes:?}");
                assert!(matches!(&outcomes[1], Outcome::Done(Arrival::Relayed, _)), "{outcomes:?}");
                let secure = outcomes[1].reply().text.contains("TLSv1.3");
                assert_eq!(secure, tls == TlsLevel::Opportunistic);
                assert!(link.is_reusable());
                expected.push([b"X-Prefix: yes\r\n".as_slice(), &body].concat());
                arrived(&kept, expected.len()).await;
            }
            link.close().await;
        }
        let kept = kept.lock().unwrap().clone();
        for (kept, expected) in kept.iter().zip(&expected) {
            let text = String::from_utf8_lossy(&kept[..kept.len() - expected.len()]);
            assert!(kept.ends_with(expected), "{} octets after {text}", expected.len());
            assert!(text.contains("Received: from a.example") && text.contains("by b.example"), "{text}");
        }
        engine.shutdown(Duration::from_secs(1)).await;
    }
}

/// A client that logs in as `ann` with this password.
fn as_ann(hop: &NextHop, password: &str, tls: TlsLevel) -> SmtpClient {
    let mut settings = ClientSettings::smtp("a.example");
    settings.tls = tls;
    settings.logins = Logins::new().with(hop.clone(), Login::new("ann", password.to_owned().into()).unwrap());
    let random = Arc::new(SeededRandom::new(1));
    SmtpClient::new(ChannelId::new("out"), settings, Arc::new(NoResolver), Arc::new(TcpDialer), random)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn we_log_in_with_every_mechanism_under_tls_and_within_the_machine() {
    for mechanism in Mechanism::WITH_PASSWORD {
        for tls in [TlsLevel::None, TlsLevel::Opportunistic] {
            if mechanism == Mechanism::ScramSha256Plus && tls == TlsLevel::None {
                continue; // there is no channel to bind to
            }
            let (engine, hop, kept) = engine(Mode::Submission, &[mechanism]);
            let wrong = as_ann(&hop, "wrong", tls).open(&hop).await.err().expect("no link");
            assert_eq!((wrong.code, wrong.enhanced), (451, EnhancedStatus::new(4, 7, 8)), "{wrong}");
            let mut link = as_ann(&hop, "secret", tls).open(&hop).await.unwrap();
            let attempt = message(&body(10), &["box@b.example"]).await;
            let outcomes = link.transmit(&attempt).await;
            assert!(matches!(&outcomes[..], [Outcome::Done(..)]), "{mechanism} {tls:?}: {outcomes:?}");
            arrived(&kept, 1).await;
            let text = String::from_utf8_lossy(&kept.lock().unwrap()[0]).into_owned();
            let with = if tls == TlsLevel::None { "with ESMTPA" } else { "with ESMTPSA" };
            assert!(text.contains(with), "{text}");
            link.close().await;
            engine.shutdown(Duration::from_secs(1)).await;
        }
    }
}
