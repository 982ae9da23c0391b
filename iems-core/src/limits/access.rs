//! Who may come in at all: rules in an order, of which the first that fits decides. Plain data.

use std::sync::Arc;
use std::time::Duration;

use super::key::Who;
use crate::message::{EnhancedStatus, Reply};
use crate::receive::Network;
use crate::route::Pattern;

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
    /// Only in scopes whose first word is one of these; empty: in all.
    pub only: Vec<String>,
    /// What is done.
    pub action: Access,
    /// What the peer is told instead of our own words.
    pub text: Option<String>,
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

pub(super) fn decide(rules: &[AccessRule], who: &Who<'_>, host: Host<'_>) -> Decision {
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
        if named {
            return Decision::Rule(rule.clone());
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
            match decide(rules, &who, host) {
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
        assert_eq!(decide(&rules, &Who::default(), Host::None), Decision::Open, "local programs");
        let codes: Vec<Option<u16>> = rules.iter().map(|rule| rule.reply().map(|reply| reply.code)).collect();
        assert_eq!(codes, [None, Some(554), None, Some(421)]);
    }
}
