//! What one host is owed: from the rule of an administrator, or, where that leaves it to the peer, from what the peer publishes.
//!
//! Order: a rule that says how; else DANE; else MTA-STS, which never overrides DANE (RFC 8461 section 2); else a plain try (RFC 7435).
//! Every decision carries its reason, and the policy under which it is counted.

use std::sync::Arc;

use iems_core::message::{Domain, EnhancedStatus};

use super::counted;
use super::dane::{self, Dane};
use super::names::{CertificateName, TlsVersion};
use super::verify::Check;
use crate::client::Client;
use crate::client::peer::TlsTerms;
use crate::client::session::Starttls;
use crate::client::settings::TlsLevel;
use crate::sts::{Found, Mode};
use crate::tlsrpt::{FailureKind, PolicySeen};

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
    /// The policy as reports describe it; `None` where none is told of it.
    pub(in crate::client) counted: Option<Arc<PolicySeen>>,
    /// What is wrong with that policy, however the session goes.
    pub(in crate::client) flaw: Option<(FailureKind, String)>,
}

/// How we came by the names of hosts.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Way<'a> {
    /// The domain whose exchangers they are; `None` where the host itself was named.
    pub(in crate::client) domain: Option<&'a Domain>,
    /// Whether DNSSEC proves them.
    pub(in crate::client) signed: bool,
    /// Whether nobody could have given us others: proven, configured, or the domain itself.
    pub(in crate::client) proven: bool,
    /// What the domain asks for by MTA-STS, where that counts.
    pub(in crate::client) sts: Option<&'a Found>,
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
    pub(in crate::client) kind: FailureKind,
    pub(in crate::client) status: EnhancedStatus,
    pub(in crate::client) text: String,
    pub(in crate::client) cause: String,
    pub(in crate::client) counted: Option<Arc<PolicySeen>>,
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
        // Its name may be a signed alias of one that is not (RFC 7672 section 2.2.2); where nothing is signed, nothing is asked.
        (true, true) if host.proven || way.signed => {
            dane::look_up(&*client.resolver, host.name, host.proven, host.port).await
        }
        (true, true) => Dane::Absent("its addresses are not signed"),
        (true, false) => Dane::Absent("the mail exchangers are not signed"),
        (false, _) => Dane::Absent("it has no name"),
    };
    match dane {
        Dane::Records { base, usable } => {
            let basis = format!("DANE, {} TLSA at _{}._tcp.{base} (DNSSEC)", usable.len(), host.port);
            let counted = way.domain.map(|_| counted::tlsa(&base, host, &usable));
            let check = Check::Dane { records: usable, names: reference_names(&base, host, way) };
            let need = Need::new(terms, Starttls::Required, check, terms.with(&basis)).named(true);
            Ok(Need { server_name: Some(base), counted, ..need })
        }
        Dane::Unusable { base } if terms.level == TlsLevel::DaneOnly => {
            let refusal =
                terms.refuse(FailureKind::TlsaInvalid, format!("no TLSA record of {base} can be used"));
            Err(Refusal { counted: way.domain.map(|_| counted::tlsa(&base, host, &[])), ..refusal })
        }
        Dane::Unusable { base } => {
            let basis = format!("DANE, no TLSA at _{}._tcp.{base} can be used: encryption only", host.port);
            let counted = way.domain.map(|_| counted::tlsa(&base, host, &[]));
            let need = Need::new(terms, Starttls::Required, Check::Nothing, terms.with(&basis)).named(true);
            let flaw = Some((FailureKind::TlsaInvalid, "no TLSA record can be used".to_owned()));
            Ok(Need { counted, flaw, ..need })
        }
        Dane::Failed { name, error } => {
            // A resolver that validates says no more of a forged answer than of none.
            let text = format!("whether DANE protects it cannot be found out ({name})");
            let refusal = terms.refuse(FailureKind::DnssecInvalid, text);
            let counted = way.domain.map(|_| counted::tlsa(host.name, host, &[]));
            Err(Refusal { cause: format!("{error}; policy: {}", terms.rule()), counted, ..refusal })
        }
        Dane::Absent(why) if terms.level == TlsLevel::DaneOnly => {
            let refusal = terms.refuse(FailureKind::DaneRequired, format!("DANE is required, and {why}"));
            Err(Refusal { counted: way.domain.map(|_| counted::tlsa(host.name, host, &[])), ..refusal })
        }
        Dane::Absent(why) => by_policy(client, terms, way, host, why),
    }
}

/// As MTA-STS has it (RFC 8461 section 5), or as it comes.
fn by_policy(
    client: &Client,
    terms: &TlsTerms,
    way: Way<'_>,
    host: Host<'_>,
    dane: &str,
) -> Result<Need, Refusal> {
    let plain = |sts: &str| {
        let basis = terms.with(&format!("no DANE, {dane}{sts}"));
        let need = Need::new(terms, Starttls::Opportunistic, Check::Nothing, basis).named(way.proven);
        Need { counted: way.domain.map(|domain| counted::nothing(domain.as_str())), ..need }
    };
    let (Some(found), Some(domain)) = (way.sts, way.domain) else { return Ok(plain("")) };
    let known = match found {
        Found::Nothing => return Ok(plain("; no MTA-STS")),
        Found::Broken(kind, why) => return Ok(plain(&format!("; no MTA-STS, {kind}: {why}"))),
        Found::Policy(known) => known,
    };
    let (policy, mode) = (&known.policy, known.policy.mode);
    let basis = terms.with(&format!("MTA-STS {} of {domain}, id {}", mode.name(), known.id));
    let counted = Some(counted::sts(domain.as_str(), policy));
    let names = own_name(host);
    let allowed = policy.allows(host.name);
    match mode {
        Mode::Enforce if !allowed => {
            let text = format!("the MTA-STS policy of {domain} does not name this host");
            let cause = format!("validation-failure; policy: {basis}");
            let status = EnhancedStatus::new(4, 7, 5);
            Err(Refusal { kind: FailureKind::ValidationFailure, status, text, cause, counted })
        }
        Mode::Enforce => {
            let need = Need::new(terms, Starttls::Required, pkix(client, terms, names), basis).named(true);
            Ok(Need { counted, ..need })
        }
        Mode::Testing => {
            // A name that the policy does not have is as wrong as one that the certificate does not have.
            let names = if allowed { names } else { Vec::new() };
            let roots = client.tls.roots.clone();
            let check = Check::Pkix { roots, names, lenient: true };
            let need = Need::new(terms, Starttls::Opportunistic, check, basis).named(way.proven);
            Ok(Need { counted, ..need })
        }
        Mode::None => Ok(plain("; MTA-STS none")),
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
        let minimum = terms.minimum;
        let (server_name, counted, flaw) = (None, None, None);
        Self { starttls, check, minimum, server_name, named: false, basis, counted, flaw }
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
            counted: None,
            flaw: None,
        }
    }

    /// TLS if it comes about, for a message whose sender waives what the domain publishes (RFC 8689 section 4.2.2).
    pub(in crate::client) fn waived(terms: &TlsTerms, way: Way<'_>) -> Self {
        let published = "what the domain publishes was not kept, and the sender waives it (TLS-Required: No)";
        Self::new(terms, Starttls::Opportunistic, Check::Nothing, terms.with(published)).named(way.proven)
    }

    fn named(self, named: bool) -> Self {
        Self { named, ..self }
    }

    /// The same for a host that must be known, as for a password (RFC 4954 section 14) or a message that must be protected (RFC 8689
    /// section 4.2.1): at least a certificate that is good for its name.
    pub(in crate::client) fn verified(
        self,
        client: &Client,
        terms: &TlsTerms,
        host: Host<'_>,
        why: &str,
    ) -> Self {
        if !matches!(self.check, Check::Nothing) || self.starttls == Starttls::None {
            return self;
        }
        let names = if terms.names.is_empty() { own_name(host) } else { terms.names.clone() };
        let basis = format!("verified, {why}; {}", self.basis);
        Self { starttls: Starttls::Required, check: pkix(client, terms, names), basis, ..self }
    }

    /// What must hold, and why, for people.
    pub(in crate::client) fn describe(&self) -> String {
        let tls = match self.starttls {
            Starttls::None => return format!("in the clear; policy: {}", self.basis),
            Starttls::Opportunistic => "TLS if it is offered",
            Starttls::Required => "TLS, or no mail",
        };
        let certificate = match &self.check {
            Check::Nothing => "any certificate".to_owned(),
            Check::Dane { records, .. } => {
                let records: Vec<String> = records.iter().map(dane::describe).collect();
                format!("the certificate of {}", records.join(", "))
            }
            Check::Pkix { lenient: true, .. } => "any certificate, a good one wished for".to_owned(),
            Check::Pkix { names, .. } => {
                let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                format!("a certificate of an authority for {}", names.join(" or "))
            }
            Check::Pinned(fingerprints) => {
                let fingerprints: Vec<String> = fingerprints.iter().map(ToString::to_string).collect();
                format!("the certificate or key {}", fingerprints.join(" or "))
            }
        };
        format!("{tls}; {certificate}; policy: {}", self.basis)
    }

    /// The same in the clear, after TLS failed there.
    pub(in crate::client) fn in_the_clear(&self, why: &str) -> Self {
        let basis = format!("{}; {why}", self.basis);
        Self { starttls: Starttls::None, check: Check::Nothing, basis, counted: None, ..self.clone() }
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
        Refusal { kind, status: EnhancedStatus::new(4, 7, 5), text, cause, counted: None }
    }
}
