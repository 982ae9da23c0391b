//! STARTTLS as far as it is wished, and what happens where it is not to be had.

use std::sync::Arc;

use iems_smtp::client::{ClientSettings, PeerWire, PeerWires, TlsLevel};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::support::*;

const AT: &str = "192.0.2.1:25";
const BODY: &[u8] = b"Subject: x\r\n\r\nbody\r\n";
const OFFER: &str = "S: 220 mx\nC: EHLO us.example\nS: 250-mx\\n250-SIZE 1\\n250 STARTTLS\nC: STARTTLS";
const AFTER: &str =
    "C: EHLO us.example\nS: 250-mx\\n250 PIPELINING\nC: MAIL FROM:<s@us.example>\nC* RCPT\nC: DATA
    S: 250 a\\n250 b\\n354 c\nTEXT: Subject: x\\n\\nbody\\n\nS: 250 2.0.0 safe\nC: QUIT\nS: 221 bye";

pub(crate) fn certificate() -> (TlsAcceptor, rustls::RootCertStore) {
    let made = rcgen::generate_simple_self_signed(vec!["mx.d.example".into()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), roots)
}

fn settings(level: TlsLevel) -> ClientSettings {
    let mut settings = smtp();
    settings.tls = level;
    settings
}

fn world(scripts: &[String]) -> World {
    let world = World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]);
    scripts.iter().fold(world, |world, script| world.server(AT, script))
}

#[tokio::test]
async fn any_certificate_is_better_than_none() {
    for room in [512, ROOMY] {
        let script = format!("{OFFER}\nS: 220 go\nTLS\n{AFTER}");
        let world = Arc::new(world(&[script]).tls(certificate().0).room(room));
        let attempt = message(BODY, &["a@d.example"]).await;
        let outcomes = send(&world, settings(TlsLevel::Opportunistic), "d.example", &attempt).await;
        assert_eq!(short(&outcomes), ["done 250 2.0.0"]);
        let text = &outcomes[0].reply().text;
        assert!(text.starts_with("host mx.d.example[192.0.2.1]:25 said: safe (TLSv1.3 TLS13_"), "{text}");
        world.settle().await;
    }
}

#[tokio::test]
async fn what_was_said_before_the_handshake_does_not_count_after_it() {
    let script = format!("{OFFER}\nS: 220 go\\n250-evil\\n250 CHUNKING\nTLS\n{AFTER}");
    let world = Arc::new(world(&[script]).tls(certificate().0));
    let attempt = message(BODY, &["a@d.example"]).await;
    let outcomes = send(&world, settings(TlsLevel::Opportunistic), "d.example", &attempt).await;
    assert_eq!(short(&outcomes), ["done 250 2.0.0"]);
    world.settle().await;
}

#[tokio::test]
async fn in_the_clear_where_tls_fails() {
    let clear =
        "S: 220 mx\nC: EHLO us.example\nS: 250-mx\\n250 STARTTLS\nC: MAIL FROM:<s@us.example>\nS: 250 a
        C* RCPT\nS: 250 b\nC: DATA\nS: 354 c\nTEXT: Subject: x\\n\\nbody\\n\nS: 250 d\nC: QUIT\nS: 221 e";
    for end in ["S: 220 go\nGARBAGE", "S: 220 go\nCLOSE"] {
        let world = Arc::new(world(&[format!("{OFFER}\n{end}"), clear.into()]));
        let attempt = message(BODY, &["a@d.example"]).await;
        let outcomes = send(&world, settings(TlsLevel::Opportunistic), "d.example", &attempt).await;
        assert!(outcomes[0].reply().text.ends_with("(in the clear)"));
        world.settle().await;
    }
    let refused = format!(
        "{}\nS: 454 4.7.0 not now\n{}",
        OFFER.replace("SIZE 1", "HELP"),
        &clear[clear.find("C: MAIL").unwrap()..]
    );
    let world = Arc::new(world(&[refused]));
    let attempt = message(BODY, &["a@d.example"]).await;
    assert_eq!(
        short(&send(&world, settings(TlsLevel::Opportunistic), "d.example", &attempt).await),
        ["done 250 2.0.0"]
    );
    world.settle().await;
}

#[tokio::test]
async fn required_means_required() {
    let (acceptor, roots) = certificate();
    let script = format!("{OFFER}\nS: 220 go\nTLS\n{AFTER}");
    let attempt = message(BODY, &["a@d.example"]).await;
    let mut trusting = settings(TlsLevel::Verified);
    trusting.roots = roots;
    let good = Arc::new(world(&[script]).tls(acceptor.clone()));
    assert_eq!(short(&send(&good, trusting.clone(), "d.example", &attempt).await), ["done 250 2.0.0"]);
    good.settle().await;
    // Another name, an unknown issuer, no offer, a refusal, nonsense: no message, and no second try in the clear.
    let dial = format!("{OFFER}\nS: 220 go\nTLS");
    let other =
        World::new().mx("d.example", &[(10, "mx.other.example")]).host("mx.other.example", &["192.0.2.1"]);
    let cases = [
        (other.server(AT, &dial).tls(acceptor.clone()), trusting.clone(), "451 4.7.5"),
        (world(&[dial]).tls(acceptor), settings(TlsLevel::Verified), "451 4.7.5"),
        (world(&["S: 220 mx\nC* EHLO\nS: 250 mx\nC: QUIT".into()]), trusting.clone(), "451 4.7.4"),
        (world(&[format!("{OFFER}\nS: 454 no\nC: QUIT")]), trusting.clone(), "451 4.7.4"),
        (world(&[format!("{OFFER}\nS: 220 go\nGARBAGE")]), trusting, "451 4.7.5"),
    ];
    for (world, settings, wanted) in cases {
        let world = Arc::new(world);
        let reply = open(&world, settings, "d.example").await.err().unwrap();
        assert_eq!(format!("{} {}", reply.code, reply.enhanced), wanted, "{reply}");
        assert_eq!(world.dialed().len(), 1);
    }
}

#[tokio::test]
async fn levels_go_by_hop() {
    let world = Arc::new(world(&["S: 220 mx\nC* EHLO\nS: 250-mx\\n250 STARTTLS\nC: QUIT".into()]));
    let mut settings = settings(TlsLevel::Verified);
    let mut wire = PeerWire::default();
    wire.tls = Some(TlsLevel::None);
    settings.peers = PeerWires::new().with(&"d.example".parse().unwrap(), wire);
    open(&world, settings, "d.example").await.unwrap().close().await;
    world.settle().await;
}
