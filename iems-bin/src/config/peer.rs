//! `[[peer]]`: what holds for mail to one destination, for the queue and for the wire.
//!
//! What an entry does not say, it inherits from the entry for `*`, and that from `[queue]` and `[client]`. An entry that
//! contradicts itself is a problem; an inherited value never is.

use std::net::IpAddr;
use std::time::Duration;

use iems_core::message::Domain;
use iems_core::queue::{Peer, PeerPattern, Peers, Schedule};
use iems_core::route::Pattern;
use iems_smtp::client::{CertificateName, Fingerprint, PeerWire, PeerWires, TlsLevel, TlsVersion};

use super::leaf::{OneOrMore, RateBound, Size};
use super::peer_tls::{self, Files};
use super::problem::Notes;
use super::queue::retry;
use super::read::{At, need, section};

section! {
    /// One peer, as written.
    WrittenPeer {
        /// Which destinations.
        domain: PeerPattern;
        /// The most connections at once.
        concurrency: u32;
        /// Connections to begin with.
        initial_concurrency: u32;
        /// Messages in a time.
        rate: RateBound;
        /// The most messages over one connection.
        messages_per_link: u32;
        /// The age at which a connection is not used again.
        link_age: Duration;
        /// How long an idle connection is kept.
        link_idle: Duration;
        /// How long to wait after each failed attempt; the last one repeats.
        retry: Vec<Duration>;
        /// When delivery is given up.
        expire: Duration;
        /// When the sender is told of a delay.
        warn: Duration;
        /// How much TLS it is owed.
        tls: TlsLevel;
        /// Authorities whose certificates are believed, instead of Mozilla's.
        tls_ca: String;
        /// The names that are good in its certificate.
        tls_match: OneOrMore<CertificateName>;
        /// The fingerprints of its certificates or keys.
        tls_fingerprints: OneOrMore<Fingerprint>;
        /// The least version of TLS.
        tls_minimum: TlsVersion;
        /// The local addresses to connect from.
        source: OneOrMore<IpAddr>;
        /// Our name in EHLO.
        hello: Domain;
        /// The largest message.
        size: Size;
        /// Whether it belongs to the site, and is told where messages first came in.
        xforward: bool;
    }
}

/// The same entry for the queue and for the wire.
type Record = (Peer, PeerWire);

/// All peers; `default` is what `[queue]` says.
pub(super) fn peers(
    written: &[At<WrittenPeer>],
    default: Peer,
    files: Files<'_>,
    notes: &mut Notes<'_>,
) -> (Peers, PeerWires) {
    let any = PeerPattern::Domain(Pattern::Any);
    let is_any = |peer: &WrittenPeer| peer.domain.as_ref().is_some_and(|domain| domain.value == any);
    let base = (default.clone(), PeerWire::default());
    let common = match written.iter().find(|peer| is_any(&peer.value)) {
        // Its problems are noted when its turn comes.
        Some(peer) => {
            record(peer, &base, files, &mut notes.ignored()).map_or(base.clone(), |(_, record)| record)
        }
        None => base.clone(),
    };
    let (mut peers, mut wires, mut seen) = (Peers::new(default), PeerWires::new(), Vec::new());
    for peer in written {
        let inherited = if is_any(&peer.value) { &base } else { &common };
        let Some((pattern, (queue, wire))) = record(peer, inherited, files, notes) else { continue };
        if seen.contains(&pattern) {
            let span = peer.domain.as_ref().and_then(|d| d.span.as_ref());
            notes.add(span, "peer.domain", format!("peer.domain: there are two peers \"{pattern}\""));
        }
        wires = wires.with(&pattern, wire);
        peers = peers.with(pattern.clone(), queue);
        seen.push(pattern);
    }
    (peers, wires)
}

fn record(
    peer: &At<WrittenPeer>,
    base: &Record,
    files: Files<'_>,
    notes: &mut Notes<'_>,
) -> Option<(PeerPattern, Record)> {
    let pattern = need(peer.domain.clone(), "domain", "peer", &peer.span, notes)?;
    let (mut queue, mut wire) = base.clone();
    queue.origin = notes.place(peer.span.as_ref(), &format!("[[peer]] {pattern}"));
    links(peer, &mut queue, notes);
    schedule(peer, &mut queue.schedule, notes);
    apply(&peer.rate, |rate| queue.rate = rate.0);
    sources(peer, &mut wire, notes);
    peer_tls::apply(peer, &pattern, &queue.origin, &mut wire, files, notes);
    apply(&peer.hello, |hello| wire.hello = Some(hello.as_str().to_owned()));
    apply(&peer.xforward, |inside| wire.inside = inside);
    if let Some(size) = &peer.size {
        if size.0 == 0 {
            let message = "peer.size: nothing would be sent; to refuse mail for a domain, give it a [[route]] via \
                           \"error:5.1.2 text\"";
            notes.add(size.span.as_ref(), "peer.size", message);
        }
        wire.size = Some(size.0);
    }
    Some((pattern, (queue, wire)))
}

fn apply<T: Clone>(value: &Option<At<T>>, set: impl FnOnce(T)) {
    if let Some(value) = value {
        set(value.value.clone());
    }
}

fn links(peer: &WrittenPeer, queue: &mut Peer, notes: &mut Notes<'_>) {
    apply(&peer.concurrency, |most| queue.concurrency = most as usize);
    apply(&peer.messages_per_link, |most| queue.messages_per_link = most);
    apply(&peer.link_age, |age| queue.link_age = age);
    apply(&peer.link_idle, |idle| queue.link_idle = idle);
    if let Some(initial) = &peer.initial_concurrency {
        queue.initial_concurrency = initial.value as usize;
        if queue.initial_concurrency > queue.concurrency {
            let message = format!(
                "peer.initial_concurrency: expected no more than the {} of concurrency, found {}",
                queue.concurrency, initial.value
            );
            notes.add(initial.span.as_ref(), "peer.initial_concurrency", message);
        }
    }
    queue.initial_concurrency = queue.initial_concurrency.min(queue.concurrency);
}

fn schedule(peer: &WrittenPeer, schedule: &mut Schedule, notes: &mut Notes<'_>) {
    if let Some(waits) = &peer.retry {
        schedule.retry = retry(waits, "peer.retry", notes);
    }
    apply(&peer.expire, |expire| schedule.expire = expire);
    apply(&peer.warn, |warn| schedule.warn = Some(warn).filter(|warn| !warn.is_zero()));
}

/// One address of each kind at most: which of several it should be, nobody would know.
fn sources(peer: &WrittenPeer, wire: &mut PeerWire, notes: &mut Notes<'_>) {
    let Some(sources) = &peer.source else { return };
    let (mut four, mut six) = (None, None);
    for ip in &sources.0 {
        let taken = match ip {
            IpAddr::V4(v4) => four.replace(*v4).is_some(),
            IpAddr::V6(v6) => six.replace(*v6).is_some(),
        };
        if taken {
            let message = "peer.source: expected one IPv4 and one IPv6 address at most, found two of a kind";
            notes.add(sources.span.as_ref(), "peer.source", message);
        }
    }
    wire.source_v4 = four.or(wire.source_v4);
    wire.source_v6 = six.or(wire.source_v6);
}

#[cfg(test)]
mod tests {
    use super::super::load::understand;
    use super::super::resolved::Config;
    use iems_core::message::NextHop;
    use iems_smtp::client::TlsLevel;

    fn config(text: &str) -> Config {
        let text = format!("hostname = \"mx.example.test\"\n{text}");
        understand(&text, "iems.toml".as_ref(), "/".as_ref(), crate::config::files::Look::AWAY)
            .unwrap_or_else(|e| panic!("{e}"))
    }

    const RECORDS: &str = r#"
        [[peer]]
        domain = "example.org"
        concurrency = 3
        rate = "none"
        retry = ["5m"]
        source = ["192.0.2.7", "2001:db8::7"]
        size = "20MiB"
        [queue]
        per_hop = 30
        expire = "2d"
        [[peer]]
        domain = "*"
        rate = "100/1m"
        messages_per_link = 50
        warn = "0s"
        tls = "verify"
        hello = "out.example.test"
        [[peer]]
        domain = "192.0.2.1:2526"
        initial_concurrency = 1
        "#;

    #[test]
    fn what_a_peer_does_not_say_it_inherits() {
        let config = config(RECORDS);
        let peer = |hop: &str| config.settings.peers.at(&NextHop::new(hop)).clone();
        let wire = |hop: &str| config.wires.at(&NextHop::new(hop)).cloned().unwrap_or_default();
        let (own, other, literal) =
            (peer("example.org"), peer("elsewhere.example"), peer("[192.0.2.1]:2526"));
        assert_eq!((own.concurrency, own.initial_concurrency, own.messages_per_link), (3, 3, 50));
        assert_eq!((other.concurrency, other.initial_concurrency, other.messages_per_link), (30, 5, 50));
        assert_eq!((literal.concurrency, literal.initial_concurrency), (30, 1));
        assert_eq!((own.rate, other.rate.map(|rate| rate.to_string())), (None, Some("100/1m".into())));
        assert_eq!((own.schedule.warn, own.schedule.retry.len(), other.schedule.retry.len()), (None, 1, 5));
        assert!(own.schedule.expire == other.schedule.expire && own.schedule.expire.as_secs() == 2 * 86_400);
        let (own, other) = (wire("example.org"), wire("elsewhere.example"));
        assert_eq!((own.tls, other.tls), (Some(TlsLevel::Verified), Some(TlsLevel::Verified)));
        assert_eq!((own.hello.as_deref(), own.size), (Some("out.example.test"), Some(20 << 20)));
        assert_eq!((other.source_v4, own.source_v4.unwrap().to_string()), (None, "192.0.2.7".into()));
        assert_eq!(own.source_v6.unwrap().to_string(), "2001:db8::7");
    }

    #[test]
    fn a_peer_tells_where_it_was_written() {
        let config = config(RECORDS);
        let origin = |hop: &str| config.settings.peers.at(&NextHop::new(hop)).origin.clone();
        assert_eq!(origin("example.org"), "iems.toml:3 [[peer]] example.org");
        assert_eq!(origin("[192.0.2.1]:2526"), "iems.toml:20 [[peer]] [192.0.2.1]:2526");
        assert_eq!(
            super::super::load::understand(
                "hostname = \"a.example\"",
                "f".as_ref(),
                "/".as_ref(),
                crate::config::files::Look::AWAY
            )
            .unwrap()
            .settings
            .peers
            .at(&NextHop::new("x.example"))
            .origin,
            "default"
        );
    }
}
