//! `[client]` and `[tls_reports]`: how mail leaves, and what other systems are told, and tell, about TLS.

use std::net::IpAddr;
use std::time::Duration;

use iems_core::message::{CheckResult, Domain, Mailbox};
use iems_core::preprocess::{Action, Policy, Rule, Scope};
use iems_core::route::{RouteTable, Via};
use iems_smtp::client::{Authorities, TlsLevel, TlsVersion};
use iems_smtp::tlsrpt::Reporting;
use iems_smtp::tlsrpt::received::AGENT;

use super::peer_tls::{Files, authorities};
use super::problem::Notes;
use super::read::{At, positive, section};
use super::tunnel::WrittenTunnelIn;

section! {
    /// Outgoing connections.
    WrittenClient {
        /// How much TLS other servers are owed.
        tls: TlsLevel = r#""opportunistic""#;
        /// The least version of TLS towards them.
        tls_minimum: TlsVersion = r#""1.2""#;
        /// Authorities that are believed besides those of Mozilla.
        tls_ca: String;
        /// Whether domains are asked for a policy of MTA-STS.
        mta_sts: bool = "true";
        /// The local address to connect from.
        source: IpAddr;
    }

    /// Reports about TLS.
    WrittenTlsReports {
        /// Their author; nobody is told unless set.
        from: Mailbox;
        /// Our name in them.
        organization: String;
        /// Who is asked about them.
        contact: String;
        /// The addresses at which those of others arrive.
        receive: Vec<Mailbox> = "[]";
        /// How long these are kept.
        keep: Duration = r#""90d""#;
    }
}

/// Outgoing connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// How much TLS is owed.
    pub(crate) tls: TlsLevel,
    /// Where that was said.
    pub(crate) tls_origin: String,
    /// The least version.
    pub(crate) tls_minimum: TlsVersion,
    /// Authorities that are believed besides those of Mozilla.
    pub(crate) authorities: Option<Authorities>,
    /// Whether domains are asked for a policy of MTA-STS.
    pub(crate) mta_sts: bool,
    /// The local address.
    pub(crate) source: Option<IpAddr>,
}

/// Reports of others about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportsIn {
    /// The addresses at which they arrive.
    pub(crate) addresses: Vec<Mailbox>,
    /// How long they are kept.
    pub(crate) keep: Duration,
}

/// How mail leaves, where no `[[peer]]` says otherwise.
pub(super) fn client(written: &WrittenClient, files: Files<'_>, notes: &mut Notes<'_>) -> Client {
    if written.tls.value == TlsLevel::Pinned {
        let message = "client.tls: fingerprints are those of one server: set \"fingerprint\" in its [[peer]]";
        notes.add(written.tls.span.as_ref(), "client.tls", message);
    }
    let place = written.tls.span.as_ref().map(|span| notes.place(Some(span), "client.tls"));
    let ca = written.tls_ca.as_ref();
    Client {
        tls: written.tls.value,
        tls_origin: place.unwrap_or_else(|| "default".into()),
        tls_minimum: written.tls_minimum.value,
        authorities: ca.and_then(|file| authorities(file, "client.tls_ca", files, notes)),
        mta_sts: written.mta_sts.value,
        source: written.source.as_ref().map(|source| source.value),
    }
}

/// Who tells other systems about TLS with them.
pub(super) fn tls_reports(
    written: &WrittenTlsReports,
    hostname: Option<&Domain>,
    notes: &mut Notes<'_>,
) -> Option<Reporting> {
    let other = [(&written.organization, "organization"), (&written.contact, "contact")];
    match (&written.from, other.iter().find_map(|(value, name)| value.as_ref().map(|value| (value, name)))) {
        (Some(from), _) => {
            let (from, hostname) = (from.value.clone(), hostname.map(ToString::to_string));
            let text = |value: &Option<At<String>>| value.as_ref().map(|text| text.value.clone());
            let organization = text(&written.organization).or(hostname).unwrap_or_default();
            let contact = text(&written.contact).unwrap_or_else(|| from.to_string());
            Some(Reporting { organization, contact, from })
        }
        (None, Some((value, name))) => {
            let key = format!("tls_reports.{name}");
            notes.add(value.span.as_ref(), &key, format!("{key}: reports need their author: set `from`"));
            None
        }
        (None, None) => None,
    }
}

/// Where what others tell arrives.
pub(super) fn tls_reports_in(
    written: &WrittenTlsReports,
    tunnels: &[At<WrittenTunnelIn>],
    routes: &RouteTable,
    notes: &mut Notes<'_>,
) -> ReportsIn {
    let (receive, key) = (&written.receive, "tls_reports.receive");
    positive(&written.keep, "tls_reports.keep", notes);
    let mut addresses: Vec<Mailbox> = Vec::new();
    for address in &receive.value {
        let domain = address.domain();
        if let Some((pattern, _)) = routes.named(domain).filter(|(_, via)| **via != Via::Local) {
            let message =
                format!("{key}: the route for {pattern} leads mail for {address} to another system");
            notes.add(receive.span.as_ref(), key, message);
        }
        let tunnel = |at: &Mailbox| at.folded() == address.folded();
        if tunnels.iter().filter_map(|end| end.address.as_ref()).any(|at| tunnel(&at.value)) {
            let message = format!("{key}: {address} is the address of a [[tunnel_in]]");
            notes.add(receive.span.as_ref(), key, message);
        }
        if !addresses.iter().any(tunnel) {
            addresses.push(address.clone());
        }
    }
    ReportsIn { addresses, keep: written.keep.value }
}

/// What is no report is refused where nobody else would get it: the sender hears it at once.
pub(super) fn only_reports() -> Policy {
    let rule =
        Rule { check: AGENT.into(), results: vec![CheckResult::Fail], score: None, action: Action::Refuse };
    Policy::new().rule(Scope::Site, rule)
}

#[cfg(test)]
mod tests {
    use crate::config::of;

    #[test]
    fn addresses_for_reports_are_understood() {
        let with = |more: &str| {
            of(&format!(
                "hostname = \"mx.example.test\"\n[tls_reports]\nreceive = [\"tls@example.test\", \"TLS@Example.test\"]\n{more}"
            ))
        };
        let config = with("keep = \"30d\"").unwrap();
        assert_eq!(config.tls_reports_in.addresses.len(), 1);
        assert_eq!(config.tls_reports_in.keep.as_secs(), 30 * 86_400);
        assert!(config.tls_reports.is_none());
        for (more, told) in [
            ("keep = \"0s\"", "longer than nothing"),
            (
                "[[route]]\ndomain = \"example.test\"\nvia = \"smtp:other.example\"",
                "the route for example.test leads",
            ),
            ("recieve = []", "did you mean \"receive\"?"),
        ] {
            let problems = with(more).unwrap_err();
            assert!(problems.contains(told), "{problems}");
        }
        assert!(with("[[route]]\ndomain = \"*\"\nvia = \"smtp:other.example\"").is_ok());
    }
}
