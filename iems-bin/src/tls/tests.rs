//! Handshakes in memory with what listeners are given: who is taken up again, and where.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConnection, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::{Kept, placeholder};
use crate::config::{self, Certificate};

/// Believes every server.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A client that keeps its sessions, with a certificate of its own or without.
fn client(tls13: bool, own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>) -> Arc<ClientConfig> {
    let version: &[_] = if tls13 { &[&rustls::version::TLS13] } else { &[&rustls::version::TLS12] };
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_protocol_versions(version).unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody));
    Arc::new(match own {
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => config.with_no_client_auth(),
    })
}

/// Shakes hands at a listener: how, whether the client showed a certificate, and which one the server did.
fn shake(
    kept: &Kept,
    at: usize,
    client: &Arc<ClientConfig>,
    host: &str,
) -> Result<(HandshakeKind, bool, Vec<u8>), rustls::Error> {
    let server = kept.of(at).0.expect("a certificate").load_full();
    let mut server = ServerConnection::new(server)?;
    let mut client = ClientConnection::new(client.clone(), ServerName::try_from(host.to_owned()).unwrap())?;
    // Three flights, and a further one for tickets or an alert.
    for _ in 0..5 {
        let mut octets = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut octets).unwrap();
        }
        let mut rest = &octets[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut octets = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut octets).unwrap();
        }
        let mut rest = &octets[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!server.is_handshaking() && !client.is_handshaking());
    let shown = client.peer_certificates().and_then(<[_]>::first).map(|one| one.to_vec()).unwrap_or_default();
    Ok((server.handshake_kind().expect("a handshake"), server.peer_certificates().is_some(), shown))
}

/// Files of a certificate for a host.
fn files(dir: &Path, host: &str) {
    let files =
        Certificate { certificate: dir.join(format!("{host}.pem")), key: dir.join(format!("{host}.key")) };
    placeholder(&files, &[host.to_owned()]).unwrap();
}

fn kept(dir: &Path, listeners: &[&str]) -> Arc<Kept> {
    let mut text =
        "hostname = \"mx.example\"\n[tls]\ncertificate = \"mx.example.pem\"\nkey = \"mx.example.key\"\n"
            .to_owned();
    text.push_str("[[certificate]]\ncertificate = \"two.example.pem\"\nkey = \"two.example.key\"\n");
    for (at, lines) in listeners.iter().enumerate() {
        text.push_str(&format!(
            "[[listener]]\nprotocol = \"submission\"\naddress = \"127.0.0.1:{}\"\n{lines}\n",
            at + 1
        ));
    }
    Kept::open(&config::at(&text, dir).unwrap()).unwrap()
}

#[test]
fn sessions_are_taken_up_at_every_listener_that_asks_the_same_and_never_where_a_certificate_is_required() {
    let dir = tempfile::tempdir().unwrap();
    ["mx.example", "two.example"].into_iter().for_each(|host| files(dir.path(), host));
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(dir.path().join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let own_key = KeyPair::generate().unwrap();
    let own =
        CertificateParams::new(vec!["peer.example".into()]).unwrap().signed_by(&own_key, &issuer).unwrap();
    let own = || (own.der().clone(), PrivateKeyDer::try_from(own_key.serialize_der()).unwrap());
    let asks = |word| format!("client_certificates = \"{word}\"\nclient_ca = \"ca.pem\"");
    let (optional, required) = (asks("optional"), asks("required"));
    let kept = kept(dir.path(), &["", "", &optional, &required]);
    for tls13 in [true, false] {
        let plain = client(tls13, None);
        let mut kinds = Vec::new();
        for at in [0, 1, 0, 2] {
            kinds.push(shake(&kept, at, &plain, "mx.example").unwrap().0);
        }
        use HandshakeKind::{Full, Resumed};
        assert_eq!(kinds, [Full, Resumed, Resumed, Full], "TLS 1.3: {tls13}");
        assert_eq!(
            shake(&kept, 1, &plain, "two.example").unwrap().0,
            Full,
            "another host is another session"
        );
        // With sessions of every kind in hand, there is no way in without a certificate.
        for _ in 0..3 {
            assert!(shake(&kept, 3, &plain, "mx.example").is_err());
        }

        let known = client(tls13, Some(own()));
        for _ in 0..3 {
            let (kind, shown, _) = shake(&kept, 3, &known, "mx.example").unwrap();
            assert_eq!((kind, shown), (Full, true), "each connection shows its certificate");
        }
        let (_, shown, _) = shake(&kept, 0, &known, "mx.example").unwrap();
        assert!(!shown, "nobody asks there");
        assert_eq!(shake(&kept, 3, &known, "mx.example").unwrap().0, Full);
        let (first, second) =
            (shake(&kept, 2, &known, "mx.example").unwrap(), shake(&kept, 2, &known, "mx.example").unwrap());
        assert_eq!(
            (first.0, first.1, second.0, second.1),
            (Full, true, Resumed, true),
            "the session remembers who it was"
        );
    }
}

#[test]
fn new_files_are_shown_and_bad_ones_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    ["mx.example", "two.example", "new.example"].into_iter().for_each(|host| files(dir.path(), host));
    let kept = kept(dir.path(), &[""]);
    let shown = |host: &str| shake(&kept, 0, &client(true, None), host).unwrap().2;
    let [mx, two] = ["mx.example", "two.example"].map(shown);
    assert_ne!(mx, two);
    assert_eq!(shown("other.example"), mx);
    std::fs::write(dir.path().join("two.example.pem"), "no certificate").unwrap();
    kept.look(false);
    assert_eq!(shown("two.example"), two, "a bad file changes nothing");
    // A chain whose key does not come along is as bad.
    std::fs::copy(dir.path().join("new.example.pem"), dir.path().join("two.example.pem")).unwrap();
    kept.look(false);
    assert_eq!(shown("two.example"), two);
    std::fs::copy(dir.path().join("new.example.key"), dir.path().join("two.example.key")).unwrap();
    kept.look(false);
    assert_ne!(shown("new.example"), mx, "its names are those of the new file");
    assert_eq!(shown("two.example"), mx);
    let answer = kept.show();
    let of = |file: &str| answer.iter().find(|one| one.file.ends_with(file)).unwrap();
    assert_eq!(of("two.example.pem").names, ["new.example"]);
    assert!(of("two.example.pem").tlsa[0].starts_with("_25._tcp.new.example. TLSA 3 1 1 "));
    assert_eq!(of("mx.example.pem").hosts, ["mx.example"]);
    assert_eq!(of("mx.example.pem").listeners, ["submission 127.0.0.1:1"]);
}
