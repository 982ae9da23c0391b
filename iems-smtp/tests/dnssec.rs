//! Which answers count as proven: a signed root, asked with and without the right key, and a server whose word is taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::proto::dnssec::crypto::EcdsaSigningKey;
use hickory_server::proto::dnssec::rdata::DNSKEY;
use hickory_server::proto::dnssec::{Algorithm, DnssecSigner, SigningKey};
use hickory_server::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_server::proto::rr::rdata::{A, CNAME, MX, NS, SOA, TLSA};
use hickory_server::proto::rr::{LowerName, Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use iems_core::seam::{Answer, Association, ResolveError, Resolver};
use iems_smtp::resolver::{Anchors, DnsResolver, DnsSettings, Dnssec};
use tokio::net::{TcpListener, UdpSocket};

type Zone = InMemoryZoneHandler<hickory_server::net::runtime::TokioRuntimeProvider>;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn records() -> Vec<(&'static str, RData)> {
    let data = vec![7; 32];
    let tlsa = TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, data);
    vec![
        (".", RData::NS(NS(name("ns.test.")))),
        ("d.test.", RData::MX(MX::new(10, name("mx.test.")))),
        ("mx.test.", RData::A(A::new(192, 0, 2, 1))),
        ("alias.test.", RData::CNAME(CNAME(name("mx.test.")))),
        ("_25._tcp.mx.test.", RData::TLSA(tlsa)),
    ]
}

/// A signed root, and the line of its key.
async fn signed() -> (Server<Catalog>, SocketAddr, String) {
    let mut zone = Zone::empty(name("."), ZoneType::Primary, AxfrPolicy::Deny, Some(NxProofKind::Nsec));
    let soa = SOA::new(name("ns.test."), name("root.test."), 1, 60, 60, 60, 60);
    zone.upsert_mut(Record::from_rdata(name("."), 60, RData::SOA(soa)), 0);
    for (owner, data) in records() {
        zone.upsert_mut(Record::from_rdata(name(owner), 300, data), 0);
    }
    let pkcs8 = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256).unwrap();
    let key = EcdsaSigningKey::from_pkcs8(&pkcs8, Algorithm::ECDSAP256SHA256).unwrap();
    let public = DNSKEY::from_key(&key.to_public_key().unwrap());
    let line = format!(". 172800 IN DNSKEY {public}");
    let signer = DnssecSigner::new(public, Box::new(key), name("."), Duration::from_secs(86_400));
    zone.add_zone_signing_key_mut(signer).unwrap();
    zone.secure_zone_mut().unwrap();
    let mut catalog = Catalog::new();
    catalog.upsert(LowerName::new(&name(".")), vec![Arc::new(zone)]);
    let (udp, tcp) = sockets().await;
    let address = udp.local_addr().unwrap();
    let mut server = Server::new(catalog);
    server.register_socket(udp);
    server.register_listener(tcp, Duration::from_secs(5), 65_535);
    (server, address, line)
}

/// The same port twice: one that is free for UDP may be taken for TCP.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

fn asking(address: SocketAddr, dnssec: Option<Dnssec>) -> DnsResolver {
    let mut settings = DnsSettings::default();
    settings.servers = vec![address];
    settings.timeout = Duration::from_millis(500);
    settings.deadline = Duration::from_secs(5);
    settings.dnssec = dnssec;
    DnsResolver::new(&settings).unwrap()
}

fn is_bogus<T: std::fmt::Debug>(answer: Result<Answer<T>, ResolveError>) {
    assert!(matches!(answer, Err(ResolveError::Bogus(_))), "{answer:?}");
}

#[tokio::test]
async fn what_the_anchor_proves_is_secure() {
    let (_server, address, line) = signed().await;
    let dns = asking(address, Some(Dnssec::Validate(line.parse().unwrap())));
    assert!(dns.mx("d.test").await.unwrap().secure);
    assert!(dns.addresses("mx.test").await.unwrap().secure);
    let tlsa = dns.associations("_25._tcp.mx.test").await.unwrap();
    let record = Association { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
    assert_eq!((tlsa.secure, tlsa.records), (true, vec![record]));
    let alias = dns.alias("alias.test").await.unwrap();
    assert_eq!((alias.secure, alias.records), (true, vec!["mx.test".to_owned()]));
    assert!(dns.addresses("alias.test").await.unwrap().secure);
    assert_eq!(dns.alias("mx.test").await, Err(ResolveError::NoRecords));
}

#[tokio::test]
async fn what_another_key_signed_is_no_answer() {
    let (_server, address, _) = signed().await;
    let dns = asking(address, Some(Dnssec::Validate(Anchors::default())));
    is_bogus(dns.mx("d.test").await);
    is_bogus(dns.associations("_25._tcp.mx.test").await);
    assert!(dns.addresses("mx.test").await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn signatures_nobody_looks_at_prove_nothing() {
    let (_server, address, _) = signed().await;
    // The second: by default the word of a server on this machine counts, and this one does not give it.
    for dnssec in [Some(Dnssec::Off), None] {
        let dns = asking(address, dnssec);
        assert!(!dns.mx("d.test").await.unwrap().secure);
        assert!(!dns.associations("_25._tcp.mx.test").await.unwrap().secure);
    }
}

/// Answers every question with the address 192.0.2.9: names that begin with `s` with AD, if the question has it.
async fn validating() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((size, from)) = socket.recv_from(&mut packet).await {
            let question = &packet[12..size];
            let end = question.iter().position(|b| *b == 0).unwrap() + 5;
            let is_a = question[end - 3] == 1;
            let ad = if question[1] == b's' { packet[3] & 0x20 } else { 0 };
            let mut reply = vec![packet[0], packet[1], 0x81, 0x80 | ad, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0];
            reply.extend_from_slice(&question[..end]);
            if is_a {
                reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9]);
            }
            socket.send_to(&reply, from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn the_word_of_a_server_counts_where_it_is_trusted() {
    let address = validating().await;
    for dnssec in [Some(Dnssec::Trust), None] {
        let dns = asking(address, dnssec);
        assert!(dns.addresses("signed.test").await.unwrap().secure);
        assert!(!dns.addresses("plain.test").await.unwrap().secure);
    }
    assert!(!asking(address, Some(Dnssec::Off)).addresses("signed.test").await.unwrap().secure);
}
