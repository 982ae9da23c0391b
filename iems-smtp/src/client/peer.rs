//! Peers: how one destination is spoken to, where that differs from the rest of a channel.
//!
//! The patterns and their ranks are those of [`iems_core::queue::Peers`], so that one rule of an administrator is one
//! rule for the queue and for the wire. Pure look-up; nothing here fails.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use iems_core::message::{NextHop, Secrecy};
use iems_core::queue::{PeerPattern, most_specific};
use iems_core::seam::sasl::client::Login;

use super::settings::{ClientSettings, TlsLevel};
use super::tls::{Authorities, CertificateName, Fingerprint, TlsVersion};

/// How a peer is spoken to. What is `None` is as the channel's settings say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerWire {
    /// How much TLS it is owed.
    pub tls: Option<TlsLevel>,
    /// Where that was decided, for explanations.
    pub tls_origin: Option<String>,
    /// Whom certificates are believed from, instead of the channel's roots.
    pub tls_authorities: Option<Authorities>,
    /// The names that are good in its certificate, instead of the host's.
    pub tls_names: Vec<CertificateName>,
    /// Its certificates or keys, where fingerprints count.
    pub tls_fingerprints: Vec<Fingerprint>,
    /// The least version of TLS.
    pub tls_minimum: Option<TlsVersion>,
    /// Whether a password may be sent there as `tls` says, even to a server that proves nothing. Default no: whoever
    /// answers in its place would learn the password.
    pub password_unverified: bool,
    /// The address connections by IPv4 come from.
    pub source_v4: Option<Ipv4Addr>,
    /// The address connections by IPv6 come from.
    pub source_v6: Option<Ipv6Addr>,
    /// Our name in EHLO, where it has to fit the source address.
    pub hello: Option<String>,
    /// Whether it belongs to the site, and is told where messages first came in, if it wants to know (`XFORWARD`).
    pub inside: bool,
    /// The largest message it is sent, in octets; a larger one fails with 5.3.4, as if the server had said so.
    pub size: Option<u64>,
}

/// How peers are spoken to, by the pattern of the next hop. The most specific entry counts alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerWires(HashMap<String, PeerWire>);

impl PeerWires {
    /// No peer differs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry. Of two with the same pattern, the later one counts.
    #[must_use]
    pub fn with(mut self, pattern: &PeerPattern, wire: PeerWire) -> Self {
        self.0.insert(pattern.to_string(), wire);
        self
    }

    /// The entry for a next hop, if there is one.
    pub fn at(&self, hop: &NextHop) -> Option<&PeerWire> {
        match self.0.is_empty() {
            true => None,
            false => most_specific(hop, |pattern| self.0.get(pattern)),
        }
    }

    /// The names we give ourselves: a host with one of them is us.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.values().filter_map(|wire| wire.hello.as_ref())
    }
}

/// The terms on which one next hop is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) tls: TlsTerms,
    source_v4: Option<Ipv4Addr>,
    source_v6: Option<Ipv6Addr>,
    pub(super) hello: String,
    pub(super) size: Option<u64>,
    /// Whether it is told where messages first came in.
    pub(super) inside: bool,
    /// Who we have to be there.
    pub(super) login: Option<Arc<Login>>,
    /// Whether it may hear the password without a proof of who it is.
    pub(super) password_unverified: bool,
    /// How well the message must be protected for which it is looked for.
    pub(super) secrecy: Secrecy,
}

/// The part of the terms that is about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsTerms {
    pub(super) level: TlsLevel,
    pub(super) origin: String,
    pub(super) authorities: Option<Authorities>,
    pub(super) names: Vec<CertificateName>,
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) minimum: TlsVersion,
}

impl Terms {
    pub(super) fn new(settings: &ClientSettings, peers: &PeerWires, hop: &NextHop) -> Self {
        let wire = peers.at(hop).cloned().unwrap_or_default();
        let origin = wire.tls_origin.filter(|_| wire.tls.is_some());
        let tls = TlsTerms {
            level: wire.tls.unwrap_or(settings.tls),
            origin: origin.unwrap_or_else(|| settings.tls_origin.clone()),
            authorities: wire.tls_authorities,
            names: wire.tls_names,
            fingerprints: wire.tls_fingerprints,
            minimum: wire.tls_minimum.unwrap_or(settings.tls_minimum),
        };
        Self {
            tls,
            source_v4: wire.source_v4.or(settings.source_v4),
            source_v6: wire.source_v6.or(settings.source_v6),
            hello: wire.hello.unwrap_or_else(|| settings.hostname.clone()),
            size: wire.size,
            inside: wire.inside,
            login: None,
            password_unverified: wire.password_unverified,
            secrecy: Secrecy::Usual,
        }
    }

    /// Whether what the peer publishes may be waived. Rules of ours may not, and passwords are told to nobody for it.
    pub(super) fn may_waive(&self) -> bool {
        let published = matches!(self.tls.level, TlsLevel::Opportunistic | TlsLevel::Dane);
        self.secrecy == Secrecy::Waived && published && self.login.is_none()
    }

    /// The same for a message that must be protected so well.
    pub(super) fn for_secrecy(self, secrecy: Secrecy) -> Self {
        Self { secrecy, ..self }
    }

    /// The address to connect from; the system's choice if `None`.
    pub(super) fn source(&self, to: &SocketAddr) -> Option<IpAddr> {
        match to {
            SocketAddr::V4(_) => self.source_v4.map(IpAddr::V4),
            SocketAddr::V6(_) => self.source_v6.map(IpAddr::V6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_does_not_say_is_as_the_channel_says() {
        let mut settings = ClientSettings::smtp("us.example");
        settings.source_v4 = Some([192, 0, 2, 1].into());
        let mut wire = PeerWire { tls: Some(TlsLevel::Verified), ..PeerWire::default() };
        wire.source_v6 = Some(Ipv6Addr::LOCALHOST);
        let peers = PeerWires::new().with(&"*.example".parse().unwrap(), wire);
        let terms = |hop: &str| Terms::new(&settings, &peers, &NextHop::new(hop));
        let (four, six) = ("192.0.2.9:25".parse().unwrap(), "[2001:db8::9]:25".parse().unwrap());
        let theirs = terms("d.example");
        assert_eq!((theirs.tls.level, theirs.hello.as_str()), (TlsLevel::Verified, "us.example"));
        assert_eq!(theirs.source(&four).unwrap().to_string(), "192.0.2.1");
        assert_eq!(theirs.source(&six).unwrap().to_string(), "::1");
        let others = terms("d.test");
        assert_eq!((others.tls.level, others.source(&six)), (TlsLevel::Opportunistic, None));
    }
}
