//! What one host is owed: from the rule of an administrator, or, where that leaves it to the peer, from what the peer publishes.
//!
//! Order: a rule that says how; else DANE; else a plain try (RFC 7435). Every decision carries its reason.

use std::sync::Arc;

use iems_core::message::{Domain, EnhancedStatus};
use iems_core::seam::ResolveError;

use super::dane::{self, Dane};
use super::names::{CertificateName, TlsVersion};
use super::verify::Check;
use crate::client::Client;
use crate::client::peer::TlsTerms;
use crate::client::session::Starttls;
use crate::client::settings::TlsLevel;
use crate::tlsrpt::FailureKind;

/// What a connection must be before a message goes over it.
#[derive(Debug, Clone)]
pub(in crate::client) struct Need {
    /// Whether TLS is tried, and needed.
    pub(in crate::client) starttls: Starttls,
    /// What the certificate must be.
    pub(in crate::client) check: Check,
    /// The least version.
    pub(in crate::client) minimum: TlsVersion,
    /// The name to ask for, where it is not the host's (RFC 7672 section 2.2.2).
    pub(in crate::client) server_name: Option<String>,
    /// Whether nobody could have given us another host's name.
    pub(in crate::client) named: bool,
    /// Which policy, and where it was found.
    pub(in crate::client) basis: String,
}

/// How we came by the names of hosts.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Way<'a> {
    /// The domain whose exchangers they are; `None` where the host itself was named.
    pub(in crate::client) domain: Option<&'a Domain>,
    /// Whether nobody could have changed them: configured, or proven.
    pub(in crate::client) proven: bool,
}

/// One host.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Host<'a> {
    /// Its name, or its address in brackets.
    pub(in crate::client) name: &'a str,
    /// Whether it is a name.
    pub(in crate::client) has_name: bool,
    /// Whether its addresses are proven.
    pub(in crate::client) proven: bool,
    /// The port of the service.
    pub(in crate::client) port: u16,
}

/// Why a host cannot be used, whatever it offers.
#[derive(Debug, Clone)]
pub(in crate::client) struct Refusal {
    #[expect(dead_code, reason = "reports tell of it")]
    pub(in crate::client) kind: FailureKind,
    pub(in crate::client) status: EnhancedStatus,
    pub(in crate::client) text: String,
    pub(in crate::client) cause: String,
}

/// What `host` is owed.
pub(in crate::client) async fn need(
    client: &Client,
    terms: &TlsTerms,
    way: Way<'_>,
    host: Host<'_>,
) -> Result<Need, Refusal> {
    let rule = |starttls, check| Need::new(terms, starttls, check, terms.rule()).named(way.proven);
    match terms.level {
        TlsLevel::None => Ok(rule(Starttls::None, Check::Nothing)),
        TlsLevel::Encrypted => Ok(rule(Starttls::Required, Check::Nothing)),
        TlsLevel::Verified => {
            let names = terms.names.clone();
            let own = names.is_empty();
            let check = pkix(client, terms, if own { own_name(host) } else { names });
            Ok(rule(Starttls::Required, check).named(way.proven || !own))
        }
        TlsLevel::Pinned => {
            Ok(rule(Starttls::Required, Check::Pinned(terms.fingerprints.clone())).named(true))
        }
        TlsLevel::Opportunistic | TlsLevel::Dane | TlsLevel::DaneOnly => {
            by_peer(client, terms, way, host).await
        }
    }
}

/// As the peer publishes it.
async fn by_peer(client: &Client, terms: &TlsTerms, way: Way<'_>, host: Host<'_>) -> Result<Need, Refusal> {
    let dane = match (host.has_name, way.proven) {
        (true, true) => dane::look_up(&*client.resolver, host.name, host.proven, host.port).await,
        (true, false) => Dane::Absent("the mail exchangers are not signed"),
        (false, _) => Dane::Absent("it has no name"),
    };
    match dane {
        Dane::Records { base, usable } => {
            let basis = format!("DANE, {} TLSA at _{}._tcp.{base} (DNSSEC)", usable.len(), host.port);
            let check = Check::Dane { records: usable, names: reference_names(&base, host, way) };
            let need = Need::new(terms, Starttls::Required, check, terms.with(&basis)).named(true);
            Ok(Need { server_name: Some(base), ..need })
        }
        Dane::Unusable { base } if terms.level == TlsLevel::DaneOnly => {
            Err(terms.refuse(FailureKind::TlsaInvalid, format!("no TLSA record of {base} can be used")))
        }
        Dane::Unusable { base } => {
            let basis = format!("DANE, no TLSA at _{}._tcp.{base} can be used: encryption only", host.port);
            Ok(Need::new(terms, Starttls::Required, Check::Nothing, terms.with(&basis)).named(true))
        }
        Dane::Failed { name, error } => {
            let kind = match error {
                ResolveError::Bogus(_) => FailureKind::DnssecInvalid,
                _ => FailureKind::TlsaInvalid,
            };
            let refusal =
                terms.refuse(kind, format!("whether DANE protects it cannot be found out ({name})"));
            Err(Refusal { cause: format!("{error}; policy: {}", terms.rule()), ..refusal })
        }
        Dane::Absent(why) if terms.level == TlsLevel::DaneOnly => {
            Err(terms.refuse(FailureKind::DaneRequired, format!("DANE is required, and {why}")))
        }
        Dane::Absent(why) => {
            let basis = terms.with(&format!("no DANE, {why}"));
            Ok(Need::new(terms, Starttls::Opportunistic, Check::Nothing, basis).named(way.proven))
        }
    }
}

/// The names that a certificate under DANE-TA may have (RFC 7672 section 3.2.3).
fn reference_names(base: &str, host: Host<'_>, way: Way<'_>) -> Vec<CertificateName> {
    let domain = way.domain.map(Domain::as_str);
    [Some(base), Some(host.name), domain].into_iter().flatten().filter_map(|name| name.parse().ok()).collect()
}

fn own_name(host: Host<'_>) -> Vec<CertificateName> {
    host.name.trim_end_matches('.').parse().into_iter().collect()
}

fn pkix(client: &Client, terms: &TlsTerms, names: Vec<CertificateName>) -> Check {
    let roots = terms.authorities.as_ref().map_or(&client.tls.roots, |own| &own.store);
    Check::Pkix { roots: Arc::clone(roots), names, lenient: false }
}

impl Need {
    fn new(terms: &TlsTerms, starttls: Starttls, check: Check, basis: String) -> Self {
        Self { starttls, check, minimum: terms.minimum, server_name: None, named: false, basis }
    }

    /// Of a host without TLS.
    pub(in crate::client) fn nothing() -> Self {
        Self {
            starttls: Starttls::None,
            check: Check::Nothing,
            minimum: TlsVersion::default(),
            server_name: None,
            named: true,
            basis: String::new(),
        }
    }

    fn named(self, named: bool) -> Self {
        Self { named, ..self }
    }

    /// The same for a host to which a password is sent: at least a certificate that is good for its name (RFC 4954 section 14
    /// wants the server known before it is told).
    pub(in crate::client) fn for_password(self, client: &Client, terms: &TlsTerms, host: Host<'_>) -> Self {
        if !matches!(self.check, Check::Nothing) || self.starttls == Starttls::None {
            return self;
        }
        let names = if terms.names.is_empty() { own_name(host) } else { terms.names.clone() };
        let basis = format!("verified, because we log in there; {}", self.basis);
        Self { starttls: Starttls::Required, check: pkix(client, terms, names), basis, ..self }
    }

    /// The same in the clear, after TLS failed there.
    pub(in crate::client) fn in_the_clear(&self, why: &str) -> Self {
        let basis = format!("{}; {why}", self.basis);
        Self { starttls: Starttls::None, check: Check::Nothing, basis, ..self.clone() }
    }
}

impl TlsTerms {
    /// The rule, and where it stands.
    fn rule(&self) -> String {
        format!("{} ({})", self.level, self.origin)
    }

    /// What the peer publishes, and the rule that lets it.
    fn with(&self, published: &str) -> String {
        format!("{published}; {}", self.rule())
    }

    fn refuse(&self, kind: FailureKind, text: String) -> Refusal {
        let cause = format!("{kind}; policy: {}", self.rule());
        Refusal { kind, status: EnhancedStatus::new(4, 7, 5), text, cause }
    }
}
