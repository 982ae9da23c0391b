//! What a peer publishes about its TLS is honoured, and so is what the administrator says of it: DANE, authorities, names,
//! fingerprints, versions.

use std::sync::Arc;

use iems_core::message::NextHop;
use iems_core::seam::sasl::Password;
use iems_core::seam::{Association, ResolveError, SystemClock};
use iems_core::storage::{MemoryStorage, Scan};
use iems_smtp::client::{
    Authorities, ClientSettings, Login, Logins, PeerWire, PeerWires, TlsLevel, TlsVersion,
};
use iems_smtp::tlsrpt::Tally;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256, Sha512};
use tokio_rustls::TlsAcceptor;

use crate::support::*;

pub(crate) const AT: &str = "192.0.2.1:25";
pub(crate) const TLSA: &str = "_25._tcp.mx.d.example";
pub(crate) const BODY: &[u8] = b"Subject: x\r\n\r\nbody\r\n";
pub(crate) const OFFER: &str =
    "S: 220 mx\nC: EHLO us.example\nS: 250-mx\\n250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS";
pub(crate) const SENT: &str =
    "C: EHLO us.example\nS: 250 mx\nC: MAIL FROM:<s@us.example>\nS: 250 a\nC* RCPT\nS: 250 b\nC: DATA
    S: 354 c\nTEXT: Subject: x\\n\\nbody\\n\nS: 250 2.0.0 safe\nC: QUIT\nS: 221 bye";

/// A server's certificate, and that of its authority.
pub(crate) struct Site {
    pub(crate) acceptor: TlsAcceptor,
    leaf: CertificateDer<'static>,
    pub(crate) key: Vec<u8>,
    authority: CertificateDer<'static>,
    pub(crate) pem: String,
}

/// A certificate for these names, expired if wished, of an authority of its own.
pub(crate) fn site(
    names: &[&str],
    expired: bool,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Site {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = root.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params =
        CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    if expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let leaf = params.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    let chain = vec![leaf.der().clone(), authority.der().clone()];
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .unwrap();
    let key = rcgen::PublicKeyData::subject_public_key_info(&key);
    Site {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        leaf: leaf.der().clone(),
        key,
        authority: authority.der().clone(),
        pem: authority.pem(),
    }
}

pub(crate) fn mx() -> Site {
    site(&["mx.d.example"], false, rustls::ALL_VERSIONS)
}

pub(crate) fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Association {
    let data = match matching {
        0 => data.to_vec(),
        1 => Sha256::digest(data).to_vec(),
        _ => Sha512::digest(data).to_vec(),
    };
    Association { usage, selector, matching, data }
}

fn world(site: &Site, script: &str) -> World {
    let world = World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]);
    world.server(AT, script).tls(site.acceptor.clone())
}

/// What a message says that got through, or a connection that did not.
async fn outcome(world: World, settings: ClientSettings) -> Result<String, String> {
    let world = Arc::new(world);
    let mut link = open(&world, settings, "d.example").await.map_err(|reply| {
        assert_eq!(reply.code, 451, "what a certificate is can be mended: {reply}");
        format!("{reply} ({})", reply.cause.clone().unwrap_or_default())
    })?;
    let attempt = message(BODY, &["a@d.example"]).await;
    let outcomes = link.transmit(&attempt).await;
    link.close().await;
    world.settle().await;
    let reply = outcomes[0].reply();
    Ok(format!("{reply} ({})", reply.cause.clone().unwrap_or_default()))
}

fn full() -> String {
    format!("{OFFER}\n{SENT}")
}

fn level(level: TlsLevel) -> ClientSettings {
    let mut settings = smtp();
    settings.tls = level;
    settings
}

fn wire(level: TlsLevel, change: impl FnOnce(&mut PeerWire)) -> ClientSettings {
    let mut wire = PeerWire::default();
    wire.tls = Some(level);
    wire.tls_origin = Some("iems.toml:7 [[peer]] d.example".into());
    change(&mut wire);
    let mut settings = smtp();
    settings.peers = PeerWires::new().with(&"d.example".parse().unwrap(), wire);
    settings
}

#[tokio::test]
async fn a_certificate_that_the_dns_names_is_right_whatever_else_it_says() {
    let stranger = site(&["elsewhere.example"], true, rustls::ALL_VERSIONS);
    let (leaf, key) = (stranger.leaf.to_vec(), stranger.key.clone());
    for (selector, matching, data) in
        [(0, 0, &leaf), (0, 1, &leaf), (0, 2, &leaf), (1, 0, &key), (1, 1, &key), (1, 2, &key)]
    {
        let records = vec![record(3, 1, 1, b"another"), record(3, selector, matching, data)];
        let records = if matching == 1 { records } else { records[1..].to_vec() };
        let world = world(&stranger, &full()).signed().tlsa(TLSA, Ok(records));
        let said = outcome(world, smtp()).await.unwrap();
        assert!(said.contains("verified by DANE"), "{said}");
        assert!(said.contains(&format!("certificate matches TLSA 3 {selector} {matching} ")), "{said}");
        assert!(said.contains("policy: DANE") && said.contains("opportunistic (default)"), "{said}");
    }
}

#[tokio::test]
async fn another_certificate_than_the_dns_names_gets_no_mail() {
    let wrong = record(3, 1, 1, b"another key");
    let world = world(&mx(), OFFER).signed().tlsa(TLSA, Ok(vec![wrong]));
    let said = outcome(world, smtp()).await.unwrap_err();
    assert!(said.starts_with("451 4.7.5 ") && said.contains("not the one of TLSA 3 1 1"), "{said}");
}

#[tokio::test]
async fn records_make_tls_a_must() {
    let plain = "S: 220 mx\nC* EHLO\nS: 250 mx\nC: QUIT";
    let site = mx();
    let good = record(3, 1, 1, &site.key);
    let world_with = |records| world(&site, plain).signed().tlsa(TLSA, Ok(records));
    let said = outcome(world_with(vec![good]), smtp()).await.unwrap_err();
    assert!(said.starts_with("451 4.7.4 ") && said.contains("DANE, 1 TLSA"), "{said}");
    // None that can be used: encryption is a must all the same, authentication is not possible.
    let said = outcome(world_with(vec![record(1, 1, 1, b"x")]), smtp()).await.unwrap_err();
    assert!(said.starts_with("451 4.7.4 ") && said.contains("encryption only"), "{said}");
    let unusable = world(&site, &full()).signed().tlsa(TLSA, Ok(vec![record(0, 0, 1, b"x")]));
    let said = outcome(unusable, smtp()).await.unwrap();
    assert!(said.contains("certificate not looked at") && !said.contains("verified"), "{said}");
}

#[tokio::test]
async fn an_authority_that_the_dns_names_vouches_for_names() {
    let good = mx();
    let by_domain = site(&["d.example"], false, rustls::ALL_VERSIONS);
    let other = site(&["elsewhere.example"], false, rustls::ALL_VERSIONS);
    let old = site(&["mx.d.example"], true, rustls::ALL_VERSIONS);
    for (site, wanted) in
        [(&good, Ok(())), (&by_domain, Ok(())), (&other, Err("for name")), (&old, Err("expired"))]
    {
        for record in [record(2, 0, 1, &site.authority), record(2, 0, 0, &site.authority)] {
            let script = if wanted.is_ok() { full() } else { OFFER.to_owned() };
            let world = world(site, &script).signed().tlsa(TLSA, Ok(vec![record]));
            let said = outcome(world, smtp()).await;
            match wanted {
                Ok(()) => assert!(said.unwrap().contains("verified by DANE")),
                Err(why) => assert!(said.as_ref().unwrap_err().contains(why), "{said:?}"),
            }
        }
    }
    let strange = world(&good, OFFER).signed().tlsa(TLSA, Ok(vec![record(2, 0, 1, &other.authority)]));
    assert!(outcome(strange, smtp()).await.is_err());
}

#[tokio::test]
async fn a_host_whose_records_cannot_be_had_is_passed_over() {
    for error in [ResolveError::Bogus("forged".into()), ResolveError::Temporary("away".into())] {
        let site = mx();
        let world = World::new()
            .mx("d.example", &[(10, "mx.d.example"), (20, "b.d.example")])
            .host("mx.d.example", &["192.0.2.1"])
            .host("b.d.example", &["192.0.2.2"])
            .server("192.0.2.2:25", &full())
            .tls(site.acceptor.clone())
            .signed()
            .tlsa(TLSA, Err(error.clone()))
            .tlsa("_25._tcp.b.d.example", Ok(vec![record(3, 1, 1, &site.key)]));
        let said = outcome(world, smtp()).await.unwrap();
        assert!(said.contains("host b.d.example[192.0.2.2]"), "{said}");
        let alone =
            World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]);
        let alone = alone.signed().tlsa(TLSA, Err(error));
        let said = outcome(alone, smtp()).await.unwrap_err();
        assert!(said.starts_with("451 4.7.5 ") && said.contains("cannot be found out"), "{said}");
    }
}

#[tokio::test]
async fn what_is_not_signed_is_not_dane() {
    let wrong = record(3, 1, 1, b"another key");
    let world_with = |site: &Site| world(site, &full()).tlsa(TLSA, Ok(vec![wrong.clone()]));
    let said = outcome(world_with(&mx()), smtp()).await.unwrap();
    assert!(said.contains("no DANE, the mail exchangers are not signed"), "{said}");
    let said = outcome(world(&mx(), "").tlsa(TLSA, Ok(vec![wrong.clone()])), level(TlsLevel::DaneOnly)).await;
    assert!(said.unwrap_err().contains("DANE is required"));
}

#[tokio::test]
async fn a_rule_of_the_administrator_goes_before_what_the_peer_publishes() {
    let site = mx();
    let signed = || world(&site, &full()).signed().tlsa(TLSA, Ok(vec![record(3, 1, 1, b"another key")]));
    let said = outcome(signed(), wire(TlsLevel::Encrypted, |_| {})).await.unwrap();
    assert!(said.contains("policy: require (iems.toml:7 [[peer]] d.example)"), "{said}");
    let own = Authorities::from_pem(site.pem.as_bytes()).unwrap();
    let said =
        outcome(signed(), wire(TlsLevel::Verified, |wire| wire.tls_authorities = Some(own))).await.unwrap();
    assert!(
        said.contains("verified by PKIX") && said.contains("certificate good for mx.d.example"),
        "{said}"
    );
    assert!(said.contains("it is the right host"), "{said}");
}

#[tokio::test]
async fn names_and_authorities_are_those_that_are_said() {
    let partner = site(&["relay.partner.example"], false, rustls::ALL_VERSIONS);
    let own = Authorities::from_pem(partner.pem.as_bytes()).unwrap();
    for (name, good) in [
        ("relay.partner.example", true),
        (".partner.example", true),
        ("partner.example", false),
        (".d.example", false),
    ] {
        let settings = wire(TlsLevel::Verified, |wire| {
            wire.tls_authorities = Some(own.clone());
            wire.tls_names = vec![name.parse().unwrap()];
        });
        let script = if good { full() } else { OFFER.to_owned() };
        assert_eq!(outcome(world(&partner, &script), settings).await.is_ok(), good, "{name}");
    }
    let unknown = wire(TlsLevel::Verified, |wire| wire.tls_names = vec![".partner.example".parse().unwrap()]);
    let said = outcome(world(&partner, OFFER), unknown).await.unwrap_err();
    assert!(said.contains("certificate-not-trusted"), "{said}");
}

#[tokio::test]
async fn a_fingerprint_is_that_of_the_certificate_or_of_its_key() {
    let site = site(&["elsewhere.example"], true, rustls::ALL_VERSIONS);
    let hex = |octets: &[u8]| Sha256::digest(octets).iter().map(|b| format!("{b:02x}")).collect::<String>();
    for (text, good) in [(hex(&site.leaf), true), (hex(&site.key), true), (hex(b"another"), false)] {
        let settings = wire(TlsLevel::Pinned, |wire| wire.tls_fingerprints = vec![text.parse().unwrap()]);
        let script = if good { full() } else { OFFER.to_owned() };
        let said = outcome(world(&site, &script), settings).await;
        assert_eq!(said.is_ok(), good, "{said:?}");
        let wanted = if good { "verified by fingerprint" } else { "its fingerprint is sha256:" };
        assert!(said.unwrap_or_else(|said| said).contains(wanted));
    }
}

/// The results that were counted, `good` for a session as wanted.
async fn counted(world: World, mut settings: ClientSettings) -> Vec<String> {
    let storage = MemoryStorage::new().storage();
    let tally = Arc::new(Tally::new(storage.store.clone(), Arc::new(SystemClock)));
    settings.tally = Some(tally.clone());
    let _ = outcome(world, settings).await;
    tally.flush().await.unwrap();
    let rows = storage.store.scan(Scan::prefix(b"Tr", 100)).await.unwrap();
    let result = |key: &[u8]| {
        // The day, the domain, the number of the policy; then what was counted.
        let rest = &key[2 + 4 + "d.example".len() + 1 + 8..];
        match rest[0] {
            b's' => Some("good".to_owned()),
            b'f' => Some(String::from_utf8_lossy(&rest[2..]).into_owned()),
            _ => None,
        }
    };
    rows.iter().filter_map(|(key, _)| result(key)).collect()
}

#[tokio::test]
async fn what_went_well_and_wrong_is_counted_for_reports() {
    let site = mx();
    let good = || Ok(vec![record(3, 1, 1, &site.key)]);
    assert_eq!(counted(world(&site, &full()).signed().tlsa(TLSA, good()), smtp()).await, ["good"]);
    assert_eq!(counted(world(&site, &full()), smtp()).await, ["good"], "no policy, and TLS");
    let plain = "S: 220 mx\nC* EHLO\nS: 250 mx\nC: QUIT";
    let told = counted(world(&site, plain).signed().tlsa(TLSA, good()), smtp()).await;
    assert!(told.len() == 1 && told[0].contains("STARTTLS is not offered"), "{told:?}");
    let bad = Ok(vec![record(3, 1, 1, b"another")]);
    let told = counted(world(&site, OFFER).signed().tlsa(TLSA, bad), smtp()).await;
    assert!(
        told.len() == 1 && told[0].contains("not the one of TLSA") && told[0].contains("mx.d.example"),
        "{told:?}"
    );
    let unusable = Ok(vec![record(0, 0, 1, b"x")]);
    let told = counted(world(&site, &full()).signed().tlsa(TLSA, unusable), smtp()).await;
    assert!(told.len() == 1 && told[0].contains("no TLSA record can be used"), "{told:?}");
    let forged = Err(ResolveError::Bogus("forged".into()));
    let told = counted(world(&site, "").signed().tlsa(TLSA, forged), smtp()).await;
    assert!(told.len() == 1 && told[0].contains("cannot be found out"), "{told:?}");
    assert!(
        counted(world(&site, &full()), level(TlsLevel::Encrypted)).await.is_empty(),
        "our own rule is nobody's business"
    );
}

#[tokio::test]
async fn a_version_that_is_too_old_is_refused() {
    let old = site(&["mx.d.example"], false, &[&rustls::version::TLS12]);
    let new = || wire(TlsLevel::Encrypted, |wire| wire.tls_minimum = Some(TlsVersion::V1_3));
    assert!(outcome(world(&mx(), &full()), new()).await.is_ok());
    let said = outcome(world(&old, OFFER), new()).await.unwrap_err();
    assert!(said.starts_with("451 4.7.5 "), "{said}");
    let said = outcome(world(&old, &full()), wire(TlsLevel::Encrypted, |_| {})).await.unwrap();
    assert!(said.contains("TLSv1.2"), "{said}");
}

/// Whether we log in to `relay.d.example:587`, where this is said.
async fn logs_in(site: &Site, world: World, mut settings: ClientSettings, good: bool) -> bool {
    let hop = "relay.d.example:587";
    let login = "C: EHLO us.example\nS: 250-mx\\n250 AUTH PLAIN\nC: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 235 ok\nC: QUIT\nS: 221 bye";
    let script = if good { format!("{OFFER}\n{login}") } else { OFFER.to_owned() };
    let world = world.host("relay.d.example", &["192.0.2.1"]).server("192.0.2.1:587", &script);
    let world = Arc::new(world.tls(site.acceptor.clone()));
    let ann = Login::new("ann", Password::from("secret".to_owned())).unwrap();
    settings.logins = Logins::new().with(NextHop::new(hop), ann);
    match open(&world, settings, hop).await {
        Ok(link) => {
            link.close().await;
            world.settle().await;
            true
        }
        Err(reply) => {
            assert!(reply.to_string().starts_with("451 4.7.5 "), "{reply}");
            false
        }
    }
}

#[tokio::test]
async fn a_password_is_told_only_to_a_server_that_proves_who_it_is() {
    let site = site(&["relay.d.example"], false, rustls::ALL_VERSIONS);
    let named = |name: &str, change: &dyn Fn(&mut PeerWire)| {
        let mut wire = PeerWire::default();
        change(&mut wire);
        let mut settings = smtp();
        settings.peers = PeerWires::new().with(&name.parse().unwrap(), wire);
        settings
    };
    let mut believing = smtp();
    believing.roots = Authorities::from_pem(site.pem.as_bytes()).unwrap().roots().clone();
    assert!(logs_in(&site, World::new(), believing, true).await);
    assert!(!logs_in(&site, World::new(), smtp(), false).await, "nobody vouches for it");
    let own = Authorities::from_pem(site.pem.as_bytes()).unwrap();
    let private = named("relay.d.example", &|wire| wire.tls_authorities = Some(own.clone()));
    assert!(logs_in(&site, World::new(), private, true).await);
    let tlsa = World::new().signed().tlsa("_587._tcp.relay.d.example", Ok(vec![record(3, 1, 1, &site.key)]));
    assert!(logs_in(&site, tlsa, smtp(), true).await, "the DNS does");
    let encrypted = |wire: &mut PeerWire| wire.tls = Some(TlsLevel::Encrypted);
    assert!(!logs_in(&site, World::new(), named("*", &encrypted), false).await, "a rule for everybody");
    let told = |wire: &mut PeerWire| {
        wire.tls = Some(TlsLevel::Encrypted);
        wire.password_unverified = true;
    };
    assert!(logs_in(&site, World::new(), named("relay.d.example", &told), true).await);
}
