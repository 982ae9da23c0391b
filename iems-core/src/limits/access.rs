//! Who may come in at all: rules in an order, of which the first that fits decides. Plain data.

use std::sync::Arc;
use std::time::Duration;

use super::key::Who;
use crate::message::{EnhancedStatus, Reply};
use crate::receive::Network;
use crate::route::Pattern;
use crate::seam::{CertificateMark, PeerCertificate};

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Lets in; no further rule is looked at.
    Allow,
    /// Turns away for good.
    Deny,
    /// Turns away for now.
    Defer,
    /// Lets in, and answers each time so much later.
    Slow(Duration),
}

/// A rule. What it names must all fit; of a list, one entry must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    /// Where it was set.
    pub origin: Arc<str>,
    /// The peer's address; empty: any.
    pub networks: Vec<Network>,
    /// The peer's name, which must be known and point back to its address; empty: any.
    pub hosts: Vec<Pattern>,
    /// The certificate that the peer has shown; empty: any, or none.
    pub certificates: Vec<CertificateRule>,
    /// Only in scopes whose first word is one of these; empty: in all.
    pub only: Vec<String>,
    /// What is done.
    pub action: Access,
    /// What the peer is told instead of our own words.
    pub text: Option<String>,
}

/// Certificates that a rule speaks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateRule {
    /// This one, whoever signed it.
    Mark(CertificateMark),
    /// Those that are believed, and whose subject is like this: `*` stands for anything, case does not matter.
    Subject(Arc<str>),
    /// Those that are believed, and whose issuer is like this.
    Issuer(Arc<str>),
}

impl CertificateRule {
    /// Whether it speaks about this one. Who is not believed could have written any name.
    pub fn matches(&self, certificate: &PeerCertificate) -> bool {
        match self {
            Self::Mark(mark) => *mark == certificate.mark,
            Self::Subject(like) => certificate.verified && is_like(&certificate.subject, like),
            Self::Issuer(like) => certificate.verified && is_like(&certificate.issuer, like),
        }
    }
}

/// Whether `text` is `like`, in which `*` stands for anything.
fn is_like(text: &str, like: &str) -> bool {
    let (text, like) = (text.to_lowercase(), like.to_lowercase());
    let mut pieces = like.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What is known of the certificate of a peer.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// It may still show one.
    Unasked,
    /// It shows none.
    None,
    /// It has shown this one.
    Is(&'a PeerCertificate),
}

/// What is known of the name of a peer.
#[derive(Debug, Clone, Copy)]
pub enum Host<'a> {
    /// It was not looked up.
    Unasked,
    /// There is none that points back.
    None,
    /// This one does.
    Is(&'a str),
}

/// What rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// None fits.
    Open,
    /// That depends on the name of the peer.
    AskHost,
    /// That depends on the certificate that the peer may still show.
    AskCertificate,
    /// This one decides.
    Rule(AccessRule),
}

impl AccessRule {
    /// The refusal, if the rule refuses.
    pub fn reply(&self) -> Option<Reply> {
        let reply = |code, status, words: &str| {
            Reply::new(code, status, self.text.as_deref().unwrap_or(words))
                .because(format!("a rule of {} decides", self.origin))
        };
        match self.action {
            Access::Deny => {
                let words = "no service for you here; ask the postmaster by other means if that is a mistake";
                Some(reply(554, EnhancedStatus::new(5, 7, 1), words))
            }
            Access::Defer => {
                Some(reply(421, EnhancedStatus::new(4, 7, 1), "no service for you now; try again later"))
            }
            Access::Allow | Access::Slow(_) => None,
        }
    }
}

pub(super) fn decide(rules: &[AccessRule], who: &Who<'_>, host: Host<'_>, shown: Shown<'_>) -> Decision {
    let Some(address) = who.address else { return Decision::Open };
    let kind = who.kind();
    for rule in rules {
        let here = rule.only.is_empty() || rule.only.iter().any(|only| only == kind);
        let near = rule.networks.is_empty() || rule.networks.iter().any(|network| network.contains(address));
        if !here || !near {
            continue;
        }
        let named = match host {
            _ if rule.hosts.is_empty() => true,
            Host::Unasked => return Decision::AskHost,
            Host::None => false,
            Host::Is(name) => {
                let name = name.trim_end_matches('.').parse();
                name.is_ok_and(|name| rule.hosts.iter().any(|pattern| pattern.matches(&name)))
            }
        };
        if !named {
            continue;
        }
        match shown {
            _ if rule.certificates.is_empty() => return Decision::Rule(rule.clone()),
            Shown::Unasked => return Decision::AskCertificate,
            Shown::Is(certificate) if rule.certificates.iter().any(|one| one.matches(certificate)) => {
                return Decision::Rule(rule.clone());
            }
            Shown::Is(_) | Shown::None => {}
        }
    }
    Decision::Open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origin: &str, networks: &[&str], hosts: &[&str], action: Access) -> AccessRule {
        AccessRule {
            origin: origin.into(),
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
            hosts: hosts.iter().map(|text| text.parse().unwrap()).collect(),
            certificates: Vec::new(),
            only: Vec::new(),
            action,
            text: None,
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let mut rules = [
            rule("1", &["192.0.2.7"], &[], Access::Allow),
            rule("2", &["192.0.2.0/24"], &[], Access::Deny),
            rule("3", &[], &["*.dyn.example.org"], Access::Slow(Duration::from_secs(5))),
            rule("4", &["2001:db8::/32"], &[], Access::Defer),
        ];
        let decided = |rules: &[AccessRule], scope, address: &str, host: Host<'_>| {
            let who = Who { scope, address: Some(address.parse().unwrap()), ..Who::default() };
            match decide(rules, &who, host, Shown::None) {
                Decision::Rule(rule) => rule.origin.to_string(),
                other => format!("{other:?}"),
            }
        };
        for (address, host, wanted) in [
            ("192.0.2.7", Host::Unasked, "1"),
            ("::ffff:192.0.2.8", Host::Unasked, "2"),
            ("198.51.100.1", Host::Unasked, "AskHost"),
            ("198.51.100.1", Host::None, "Open"),
            ("198.51.100.1", Host::Is("a.DYN.example.org."), "3"),
            ("198.51.100.1", Host::Is("dyn.example.org.evil.example"), "Open"),
            ("2001:db8::1", Host::None, "4"),
        ] {
            assert_eq!(decided(&rules, "smtp x", address, host), wanted, "{address} {host:?}");
        }
        rules[1].only = vec!["submission".into()];
        assert_eq!(decided(&rules, "smtp x", "192.0.2.8", Host::None), "Open");
        assert_eq!(decided(&rules, "submission x", "192.0.2.8", Host::None), "2");
        assert_eq!(
            decide(&rules, &Who::default(), Host::None, Shown::None),
            Decision::Open,
            "local programs"
        );
        let codes: Vec<Option<u16>> = rules.iter().map(|rule| rule.reply().map(|reply| reply.code)).collect();
        assert_eq!(codes, [None, Some(554), None, Some(421)]);
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (text, like, wanted) in [
            ("CN=relay,O=Us", "cn=relay,o=us", true),
            ("CN=relay,O=Us", "CN=relay", false),
            ("CN=relay,O=Us", "CN=*,O=Us", true),
            ("CN=relay,O=Us", "*O=Us", true),
            ("CN=relay,O=Us", "CN=re*ay*", true),
            ("CN=relay,O=Us", "*x*", false),
            ("CN=relay", "CN=relay*relay", false),
            ("", "*", true),
            ("x", "", false),
        ] {
            assert_eq!(is_like(text, like), wanted, "{text} {like}");
        }
    }

    #[test]
    fn certificates_decide_once_they_are_shown_and_names_in_them_once_they_are_believed() {
        let mut certificate = PeerCertificate::read(b"no certificate", false);
        certificate.subject = "CN=relay".into();
        let mut friend = rule("1", &[], &[], Access::Allow);
        friend.certificates = vec![CertificateRule::Subject("CN=relay".into())];
        let mut marked = rule("2", &[], &[], Access::Allow);
        marked.certificates = vec![CertificateRule::Mark(certificate.mark)];
        let rules = [friend, rule("3", &["192.0.2.0/24"], &[], Access::Deny)];
        let who = Who { address: "192.0.2.7".parse().ok(), ..Who::default() };
        let decided = |rules: &[AccessRule], shown: Shown<'_>| match decide(rules, &who, Host::None, shown) {
            Decision::Rule(rule) => rule.origin.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(decided(&rules, Shown::Unasked), "AskCertificate");
        assert_eq!(decided(&rules, Shown::None), "3");
        assert_eq!(decided(&rules, Shown::Is(&certificate)), "3", "not believed");
        assert_eq!(decided(&[marked], Shown::Is(&certificate)), "2", "but known");
        certificate.verified = true;
        assert_eq!(decided(&rules, Shown::Is(&certificate)), "1");
    }
}
