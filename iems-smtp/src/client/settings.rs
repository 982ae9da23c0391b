//! Settings of the outbound side, with the reason for each default.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;

use super::hop::SMTP_PORT;
use super::logins::Logins;
use super::peer::PeerWires;
use super::tls::TlsVersion;
use crate::sts::Sts;
use crate::tlsrpt::Tally;

/// Which protocol a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP (RFC 5321): one reply for a message.
    Smtp,
    /// LMTP (RFC 2033): one reply for each recipient of a message.
    Lmtp,
}

/// How much TLS a next hop is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TlsLevel {
    /// Never STARTTLS.
    None,
    /// What the peer publishes: DANE (RFC 7672), else MTA-STS (RFC 8461). Where it publishes nothing, STARTTLS where it is offered, whatever the
    /// certificate; in the clear where it is not offered, or fails (RFC 7435).
    #[default]
    Opportunistic,
    /// STARTTLS, whatever the certificate, or no mail.
    Encrypted,
    /// STARTTLS with a certificate that is good for the host's name, or for the names that are said, or no mail.
    Verified,
    /// DANE where the peer publishes it; else as opportunistic, whatever else it publishes.
    Dane,
    /// DANE, or no mail.
    DaneOnly,
    /// STARTTLS with a certificate or key of a fingerprint that is said, or no mail.
    Pinned,
}

impl TlsLevel {
    /// The word for it in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "off",
            Self::Opportunistic => "opportunistic",
            Self::Encrypted => "require",
            Self::Verified => "verify",
            Self::Dane => "dane",
            Self::DaneOnly => "dane-only",
            Self::Pinned => "fingerprint",
        }
    }
}

impl std::fmt::Display for TlsLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How long the client waits, in each state. Defaults are the minima of RFC 5321 section 4.5.3.2 unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a connection. Not in the RFC; default 30 s: a host that lives answers in seconds, and there may be others.
    pub connect: Duration,
    /// For the greeting. Default 5 min (4.5.3.2.1): busy servers accept first and greet later.
    pub greeting: Duration,
    /// For EHLO, HELO, LHLO, STARTTLS. Default 5 min, as for MAIL.
    pub hello: Duration,
    /// For the TLS handshake. Default 1 min: four messages without any lookup in between.
    pub handshake: Duration,
    /// For MAIL. Default 5 min (4.5.3.2.2).
    pub mail: Duration,
    /// For RCPT. Default 5 min (4.5.3.2.3): longer where lists and aliases are expanded.
    pub rcpt: Duration,
    /// For the reply to DATA. Default 2 min (4.5.3.2.4).
    pub data: Duration,
    /// For a piece of the body to be taken. Default 3 min (4.5.3.2.5).
    pub block: Duration,
    /// For the reply to the end of the body. Default 10 min (4.5.3.2.6): giving up early makes duplicates.
    pub end: Duration,
    /// For RSET. Default 1 min: nothing has to be done for it.
    pub rset: Duration,
    /// For the reply to QUIT. Default 5 s: nothing depends on it.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            connect: Duration::from_secs(30),
            greeting: minutes(5),
            hello: minutes(5),
            handshake: minutes(1),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end: minutes(10),
            rset: minutes(1),
            quit: Duration::from_secs(5),
        }
    }
}

/// Settings of one outbound channel.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientSettings {
    /// What it speaks.
    pub protocol: Protocol,
    /// Our name: said in EHLO, and known as ours among mail exchangers.
    pub hostname: String,
    /// Further names of ours: an exchanger with one of them is us. Default none.
    pub own_names: Vec<String>,
    /// The port of mail exchangers. Default 25; another one only in tests and closed networks.
    pub port: u16,
    /// The address connections by IPv4 come from. Default: the system chooses.
    pub source_v4: Option<Ipv4Addr>,
    /// The address connections by IPv6 come from. Default: the system chooses.
    pub source_v6: Option<Ipv6Addr>,
    /// TLS towards hops of which `peers` says nothing else. Default opportunistic.
    pub tls: TlsLevel,
    /// Where that was decided, for explanations. Default `default`.
    pub tls_origin: String,
    /// The least version of TLS towards them. Default 1.2.
    pub tls_minimum: TlsVersion,
    /// Finds what domains ask for by MTA-STS. Default `None`: nobody looks.
    pub sts: Option<Arc<Sts>>,
    /// Counts what went well and wrong with TLS, for reports. Default `None`: nobody counts.
    pub tally: Option<Arc<Tally>>,
    /// Who is spoken to in another way; replaceable by [`super::SmtpClient::replace_peers`]. Default nobody.
    pub peers: PeerWires,
    /// As whom we log in where (SMTP only); replaceable by [`super::SmtpClient::replace_logins`]. Default nowhere.
    pub logins: Logins,
    /// Whom certificates are believed from where they are looked at. Default: the roots of Mozilla.
    pub roots: RootCertStore,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Least octets a second of a body on its way out, after `Timeouts::block`. Default 1024: a line of a
    /// modem passes; a server that takes an octet now and then does not hold a connection for days.
    pub min_rate: u32,
    /// The most addresses that are tried for one link. Default 6: enough for two hosts that are down, with both
    /// kinds of address; more would only keep a dead destination's messages moving.
    pub tries: usize,
    /// Whether bodies go by BDAT where CHUNKING is offered (RFC 3030). Default yes: no dot-stuffing, nothing an
    /// end of data could be mistaken in, and one round trip less. A server that answers BDAT with a syntax error
    /// gets DATA from then on.
    pub chunking: bool,
    /// The most octets of a message that is rewritten for a peer without 8BITMIME. Default 32 MiB: it is held in
    /// memory meanwhile. Larger ones fail with 5.6.3.
    pub largest_conversion: u64,
}

impl ClientSettings {
    /// Settings for SMTP from a host of this name.
    pub fn smtp(hostname: &str) -> Self {
        Self {
            protocol: Protocol::Smtp,
            hostname: hostname.to_owned(),
            own_names: Vec::new(),
            port: SMTP_PORT,
            source_v4: None,
            source_v6: None,
            tls: TlsLevel::default(),
            tls_origin: "default".to_owned(),
            tls_minimum: TlsVersion::default(),
            sts: None,
            tally: None,
            peers: PeerWires::new(),
            logins: Logins::new(),
            roots: RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
            timeouts: Timeouts::default(),
            min_rate: 1024,
            tries: 6,
            chunking: true,
            largest_conversion: 32 * 1024 * 1024,
        }
    }

    /// Settings for LMTP from a host of this name.
    pub fn lmtp(hostname: &str) -> Self {
        Self { protocol: Protocol::Lmtp, ..Self::smtp(hostname) }
    }

    /// Whether `host` is a name of ours.
    pub(super) fn is_own(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        std::iter::once(&self.hostname).chain(&self.own_names).any(|own| own.eq_ignore_ascii_case(host))
    }
}
