//! What is right, from the texts alone: no type, parser or matcher of the engine is used here.

use std::net::IpAddr;

use iems_core::receive::Connection;

use super::world::World;

/// What a peer may claim for itself.
pub(super) struct Claim {
    /// It has logged in.
    pub(super) account: bool,
    /// It comes from a network that may relay.
    pub(super) network: bool,
}

impl Claim {
    pub(super) fn of(connection: &Connection, world: &World) -> Self {
        let ip = connection.peer.expect("all come over the network").ip();
        let network = world.networks.iter().any(|(text, length)| is_within(ip, text, *length));
        Self { account: connection.account.is_some(), network }
    }
}

/// An address as ones and zeros; an IPv4 address in IPv6 clothes counts as IPv4.
fn bits(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.octets().iter().map(|octet| format!("{octet:08b}")).collect(),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let mapped = octets[..10].iter().all(|octet| *octet == 0) && octets[10..12] == [255, 255];
            let octets = if mapped { &octets[12..] } else { &octets[..] };
            octets.iter().map(|octet| format!("{octet:08b}")).collect()
        }
    }
}

fn is_within(ip: IpAddr, network: &str, length: usize) -> bool {
    let (ip, network) = (bits(ip), bits(network.parse().expect("an address")));
    ip.len() == network.len() && ip[..length] == network[..length]
}

/// The domain of a recipient as RFC 5321 means it: behind the last `@` of what stands between the first `<` and the last `>`.
pub(super) fn final_domain(line: &str) -> Option<String> {
    let path = &line[line.find('<')? + 1..line.rfind('>')?];
    // UTS 46 drops the space without width.
    let domain = path[path.rfind('@')? + 1..].to_lowercase().replace('\u{200b}', "");
    // The one name in the generator that has two spellings.
    Some(if domain == "bücher.example" { "xn--bcher-kva.example".to_owned() } else { domain })
}

/// Whether the local part names a way beyond the domain.
pub(super) fn names_a_way(line: &str) -> bool {
    let path = &line[line.find('<').map_or(0, |at| at + 1)..];
    // A source route is no part of the local part; it is dropped (RFC 5321 appendix C).
    let address = match path.strip_prefix('@').and_then(|route| route.split_once(':')) {
        Some((_, address)) => address,
        None => path,
    };
    address.rfind('@').is_some_and(|at| address[..at].contains(['@', '%', '!']))
}

/// Whether a domain is named by a pattern: itself, or `*.` and what is below.
pub(super) fn is_named(domain: &str, pattern: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(end) => domain.len() > end.len() && domain.ends_with(end),
        None => domain == pattern,
    }
}

#[test]
fn the_oracle_itself() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert!(is_within(ip("10.1.2.3"), "10.1.0.0", 16) && !is_within(ip("10.2.2.3"), "10.1.0.0", 16));
    assert!(is_within(ip("::ffff:10.1.2.3"), "10.1.0.0", 16) && !is_within(ip("::10.1.2.3"), "10.1.0.0", 16));
    assert!(
        is_within(ip("2001:db8::1"), "2001:db8::", 32) && !is_within(ip("2001:db9::1"), "2001:db8::", 32)
    );
    assert_eq!(final_domain("RCPT TO:<@a.test:\"x@b.test\"@C.test>").unwrap(), "c.test");
    assert!(is_named("a.gate.example", "*.gate.example") && !is_named("gate.example", "*.gate.example"));
    assert!(!is_named("agate.example", "*.gate.example"));
    assert!(names_a_way("RCPT TO:<a%b@c>") && names_a_way("<b!a@c>") && names_a_way("<\"a@b\"@c>"));
    assert!(!names_a_way("RCPT TO:<a@c>") && !names_a_way("RCPT TO:<@b:a@c>"));
}
