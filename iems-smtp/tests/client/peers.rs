//! What is done differently for one peer, and which hops lead to one place.

use std::sync::Arc;

use iems_core::deliver::Channel;
use iems_core::message::NextHop;
use iems_core::seam::ResolveError;
use iems_smtp::client::{ClientSettings, PeerWire, PeerWires, TlsLevel};

use crate::support::*;

const AT: &str = "192.0.2.1:25";

fn wire(change: impl FnOnce(&mut PeerWire)) -> PeerWire {
    let mut wire = PeerWire::default();
    change(&mut wire);
    wire
}

fn peers(pattern: &str, wire: PeerWire) -> PeerWires {
    PeerWires::new().with(&pattern.parse().unwrap(), wire)
}

fn with_peer(pattern: &str, change: impl FnOnce(&mut PeerWire)) -> ClientSettings {
    let mut settings = smtp();
    settings.peers = peers(pattern, wire(change));
    settings
}

fn greets(name: &str) -> String {
    format!("S: 220 mx\nC: EHLO {name}\nS: 250 mx\nC: QUIT\nS: 221 bye")
}

fn d_example() -> World {
    World::new().mx("d.example", &[(10, "mx.example")]).host("mx.example", &["2001:db8::1", "192.0.2.1"])
}

#[tokio::test]
async fn a_peer_is_called_from_its_own_addresses_and_by_its_own_name() {
    let settings = with_peer("d.example", |wire| {
        wire.source_v4 = Some([192, 0, 2, 7].into());
        wire.source_v6 = Some("2001:db8::7".parse().unwrap());
        wire.hello = Some("out.example".into());
    });
    let world = Arc::new(d_example().server(AT, &greets("out.example")));
    open(&world, settings.clone(), "d.example").await.unwrap().close().await;
    world.settle().await;
    assert_eq!(world.sources(), ["2001:db8::7", "192.0.2.7"]);
    let others = Arc::new(World::new().server(AT, &greets("us.example")));
    open(&others, settings, "[192.0.2.1]").await.unwrap().close().await;
    others.settle().await;
    assert_eq!(others.sources(), ["any"]);
}

#[tokio::test]
async fn the_name_for_a_peer_is_a_name_of_ours_among_exchangers() {
    let world = Arc::new(World::new().mx("d.example", &[(10, "OUT.example.")]));
    let settings = with_peer("*.test", |wire| wire.hello = Some("out.example".into()));
    let reply = open(&world, settings, "d.example").await.err().unwrap();
    assert_eq!(format!("{} {}", reply.code, reply.enhanced), "550 5.4.6");
}

#[tokio::test]
async fn what_is_too_large_for_a_peer_is_not_sent() {
    let sent = "C* MAIL\nS: 250 a\nC* RCPT\nS: 250 b\nC: DATA\nS: 354 go
        TEXT: Subject: x\\n\\ntwelve chars\\n\nS: 250 c\n";
    for (offer, size, dialogue, wanted) in [
        ("250 mx", 27, "", "failed 552 5.3.4"),
        ("250-mx\\n250 SIZE 1000", 27, "", "failed 552 5.3.4"),
        ("250-mx\\n250 SIZE 27", 1000, "", "failed 552 5.3.4"),
        ("250 mx", 28, sent, "done 250 2.0.0"),
    ] {
        let script = format!("S: 220 mx\nC* EHLO\nS: {offer}\n{dialogue}C: QUIT\nS: 221 bye");
        let world = Arc::new(d_example().server(AT, &script));
        let settings = with_peer("*", |wire| wire.size = Some(size));
        let attempt = message(b"Subject: x\r\n\r\ntwelve chars\r\n", &["a@d.example"]).await;
        assert_eq!(short(&send(&world, settings, "d.example", &attempt).await), [wanted], "{offer} {size}");
        world.settle().await;
    }
}

#[tokio::test]
async fn new_terms_count_for_the_next_message_of_whom_they_are_about() {
    let ours = greets("us.example");
    let world = d_example().server(AT, &ours).server(AT, &ours).server(AT, &greets("out.example"));
    let world = Arc::new(world);
    let channel = channel(&world, smtp());
    let (hop, other) = (NextHop::new("d.example"), NextHop::new("[192.0.2.1]"));
    let (link, stays) = (channel.open(&hop).await.unwrap(), channel.open(&other).await.unwrap());
    channel.replace_peers(peers("d.example", wire(|wire| wire.hello = Some("out.example".into()))));
    assert!(!link.is_reusable() && stays.is_reusable());
    link.close().await;
    stays.close().await;
    channel.open(&hop).await.unwrap().close().await;
    world.settle().await;
}

async fn site(world: &Arc<World>, settings: ClientSettings, hop: &str) -> String {
    channel(world, settings).site(&NextHop::new(hop)).await.as_str().to_owned()
}

#[tokio::test]
async fn domains_with_the_same_exchangers_are_one_site() {
    let world = World::new()
        .mx("a.example", &[(10, "mx1.host.example"), (20, "MX2.host.example.")])
        .mx("b.example", &[(5, "mx2.host.example"), (5, "mx1.HOST.example")])
        .mx("c.example", &[(10, "mx1.host.example")]);
    let world = Arc::new(world);
    let one = site(&world, smtp(), "a.example").await;
    assert_eq!(one, "mx1.host.example,mx2.host.example");
    assert_eq!(site(&world, smtp(), "b.example").await, one);
    assert_eq!(site(&world, smtp(), "c.example").await, "mx1.host.example");
    assert!(world.dialed().is_empty(), "nobody was connected to");
}

#[tokio::test]
async fn domains_that_want_different_things_of_their_exchangers_are_different_sites() {
    let world =
        World::new().mx("a.example", &[(10, "mx.host.example")]).mx("b.example", &[(10, "mx.host.example")]);
    let world = Arc::new(world.signed());
    let mut wire = PeerWire::default();
    wire.tls = Some(TlsLevel::Verified);
    wire.tls_origin = Some("iems.toml:7 [[peer]] b.example".into());
    let mut settings = smtp();
    settings.peers = PeerWires::new().with(&"b.example".parse().unwrap(), wire);
    assert_eq!(site(&world, settings.clone(), "a.example").await, "mx.host.example (DNSSEC)");
    let own = "mx.host.example (verify iems.toml:7 [[peer]] b.example)";
    assert_eq!(site(&world, settings, "b.example").await, own);
    // A domain that is its own host is no other site for being signed.
    assert_eq!(site(&world, smtp(), "c.example").await, "c.example");
}

#[tokio::test]
async fn many_exchangers_have_one_site_whatever_the_order() {
    let names: Vec<String> = (0..200).map(|n| format!("mx{n}.host.example")).collect();
    let list: Vec<(u16, &str)> = names.iter().map(|name| (1, name.as_str())).collect();
    let back: Vec<(u16, &str)> = list.iter().rev().copied().collect();
    let world = Arc::new(World::new().mx("a.example", &list).mx("b.example", &back));
    let (a, b) = (site(&world, smtp(), "a.example").await, site(&world, smtp(), "b.example").await);
    assert_eq!(a, b);
    assert!(a.len() <= 255);
}

#[tokio::test]
async fn a_hop_that_leads_to_no_known_host_is_its_own_site() {
    for world in [
        World::new().mx_error("d.example", ResolveError::Temporary("away".into())),
        World::new().mx_error("d.example", ResolveError::NoName),
        World::new().mx("d.example", &[(0, "")]),
        World::new().mx("d.example", &[(10, "us.example")]),
        World::new(), // no exchanger: the host of that name
    ] {
        assert_eq!(site(&Arc::new(world), smtp(), "d.example").await, "d.example");
    }
    let nobody = Arc::new(World::new());
    for (hop, wanted) in [
        ("relay.example:25", "relay.example:25"),
        ("[192.0.2.1]", "[192.0.2.1]:25"),
        ("[192.0.2.1]:2526", "[192.0.2.1]:2526"),
        ("[IPv6:2001:db8::1]", "[2001:db8::1]:25"),
        ("/run/LMTP", "/run/LMTP"),
        ("no hop at all", "no hop at all"),
    ] {
        assert_eq!(site(&nobody, smtp(), hop).await, wanted);
    }
    assert_eq!(site(&nobody, lmtp(), "d.example").await, "d.example:24");
}
