//! The resolver against a real name server: every kind of answer is told apart.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TXT};
use hickory_server::proto::rr::{LowerName, Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use iems_core::seam::{ResolveError, Resolver};
use iems_smtp::resolver::{DnsResolver, DnsSettings};
use tokio::net::{TcpListener, UdpSocket};

type Zone = InMemoryZoneHandler<hickory_server::net::runtime::TokioRuntimeProvider>;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn zone(origin: &str, records: Vec<(&str, RData)>) -> (LowerName, Arc<Zone>) {
    let mut zone = Zone::empty(name(origin), ZoneType::Primary, AxfrPolicy::Deny, None);
    let soa = SOA::new(name("ns.example.test."), name("root.example.test."), 1, 60, 60, 60, 60);
    zone.upsert_mut(Record::from_rdata(name(origin), 60, RData::SOA(soa)), 0);
    for (owner, data) in records {
        zone.upsert_mut(Record::from_rdata(name(owner), 300, data), 0);
    }
    (LowerName::new(&name(origin)), Arc::new(zone))
}

fn records() -> Vec<(&'static str, RData)> {
    let mx = |preference, host| RData::MX(MX::new(preference, name(host)));
    let mut all = vec![
        ("example.test.", mx(20, "B.example.test.")),
        ("example.test.", mx(10, "a.example.test.")),
        ("null.example.test.", mx(0, ".")),
        ("a.example.test.", RData::A(A::new(192, 0, 2, 1))),
        ("a.example.test.", RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
        ("b.example.test.", RData::A(A::new(192, 0, 2, 2))),
        ("alias.example.test.", RData::CNAME(CNAME(name("a.example.test.")))),
        ("text.example.test.", RData::TXT(TXT::new(vec!["v=".into(), "one".into()]))),
    ];
    for at in 0..60 {
        let text = format!("{at:03}{}", "x".repeat(200));
        all.push(("long.example.test.", RData::TXT(TXT::new(vec![text]))));
    }
    all
}

async fn serve() -> (Server<Catalog>, SocketAddr) {
    let mut catalog = Catalog::new();
    let reverse = vec![("1.2.0.192.in-addr.arpa.", RData::PTR(PTR(name("a.example.test."))))];
    for (origin, zone) in [zone("example.test.", records()), zone("in-addr.arpa.", reverse)] {
        catalog.upsert(origin, vec![zone]);
    }
    let (udp, tcp) = sockets().await;
    let address = udp.local_addr().unwrap();
    let mut server = Server::new(catalog);
    server.register_socket(udp);
    server.register_listener(tcp, Duration::from_secs(5), 65_535);
    (server, address)
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

fn asking(address: SocketAddr) -> DnsResolver {
    let mut settings = DnsSettings::default();
    settings.servers = vec![address];
    settings.timeout = Duration::from_millis(300);
    settings.deadline = Duration::from_secs(2);
    DnsResolver::new(&settings).unwrap()
}

#[tokio::test]
async fn exchangers_come_in_order_and_a_null_one_is_an_empty_name() {
    let (_server, address) = serve().await;
    let dns = asking(address);
    let answer = dns.mx("example.test").await.unwrap();
    let hosts: Vec<_> = answer.records.iter().map(|mx| (mx.preference, mx.host.to_lowercase())).collect();
    assert_eq!(hosts, [(10, "a.example.test".into()), (20, "b.example.test".into())]);
    assert!(
        answer.ttl > Duration::from_secs(250) && answer.ttl <= Duration::from_secs(300),
        "{:?}",
        answer.ttl
    );
    assert_eq!(dns.mx("null.example.test").await.unwrap().records[0].host, "");
}

#[tokio::test]
async fn addresses_of_both_kinds_also_through_an_alias() {
    let (_server, address) = serve().await;
    let dns = asking(address);
    for host in ["a.example.test", "alias.example.test", "A.EXAMPLE.TEST"] {
        let found: Vec<_> =
            dns.addresses(host).await.unwrap().records.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["2001:db8::1", "192.0.2.1"], "{host}");
    }
    assert_eq!(dns.addresses("b.example.test").await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn three_ways_of_having_no_records() {
    let (server, address) = serve().await;
    let dns = asking(address);
    assert_eq!(dns.mx("nobody.example.test").await, Err(ResolveError::NoName));
    assert_eq!(dns.addresses("nobody.example.test").await, Err(ResolveError::NoName));
    assert_eq!(dns.mx("a.example.test").await, Err(ResolveError::NoRecords));
    assert_eq!(dns.addresses("text.example.test").await, Err(ResolveError::NoRecords));
    assert!(dns.mx("refused.example.org").await.unwrap_err().is_temporary());
    drop(server);
    assert!(dns.mx("later.example.test").await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn a_name_that_cannot_be_in_the_dns_does_not_exist() {
    let (_server, address) = serve().await;
    let dns = asking(address);
    for bad in ["a..b", &format!("{}.test", "x".repeat(64)), &"abc.".repeat(80)] {
        assert_eq!(dns.mx(bad).await, Err(ResolveError::NoName), "{bad}");
    }
}

#[tokio::test]
async fn a_silent_server_is_temporary_and_does_not_take_for_ever() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dns = asking(silent.local_addr().unwrap());
    let started = std::time::Instant::now();
    assert!(dns.addresses("a.example.test").await.unwrap_err().is_temporary());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn texts_are_joined_and_long_answers_come_by_tcp() {
    let (_server, address) = serve().await;
    let dns = asking(address);
    assert_eq!(dns.txt("text.example.test").await.unwrap().records, ["v=one"]);
    assert_eq!(dns.txt("long.example.test").await.unwrap().records.len(), 60);
}

#[tokio::test]
async fn names_of_addresses() {
    let (_server, address) = serve().await;
    let dns = asking(address);
    assert_eq!(dns.names("192.0.2.1".parse().unwrap()).await.unwrap().records, ["a.example.test"]);
    assert_eq!(dns.names("::ffff:192.0.2.1".parse().unwrap()).await.unwrap().records, ["a.example.test"]);
}

#[tokio::test]
async fn localhost_is_known_without_asking() {
    let dns = asking("127.0.0.1:9".parse().unwrap());
    assert_eq!(dns.addresses("localhost").await.unwrap().records.len(), 2);
    assert_eq!(dns.mx("LocalHost").await, Err(ResolveError::NoRecords));
}
