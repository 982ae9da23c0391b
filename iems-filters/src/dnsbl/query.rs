//! The question: which name stands for a peer in a list's zone (RFC 5782 sections 2.1, 2.4 and 3).
//!
//! Pure. `None` where there is nothing to ask, which is not an error.

use std::net::IpAddr;

use iems_core::message::Domain;
use iems_core::preprocess::Subject;

use super::{About, List, Settings};
use crate::common::is_public;

/// The longest name in the DNS, in octets of text.
const MAX_NAME: usize = 253;

/// What one list is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// The name whose A and TXT records are the answer.
    pub(super) name: String,
    /// What it stands for, for people: `192.0.2.7`, `sender example.org`.
    pub(super) about: String,
}

/// The question to `list` about `subject`.
pub(super) fn query(list: &List, subject: &Subject<'_>, settings: &Settings) -> Option<Query> {
    let connection = subject.connection;
    let (label, about) = match list.about() {
        About::Address => {
            let ip = connection.ip().filter(|ip| settings.private || is_public(*ip))?;
            (reversed(ip), ip.to_string())
        }
        About::Sender => {
            let domain = name(subject.envelope?.sender.mailbox()?.domain().clone())?;
            (domain.to_string(), format!("sender {domain}"))
        }
        About::Hello => {
            let domain = name(connection.helo.parse().ok()?)?;
            (domain.to_string(), format!("hello {domain}"))
        }
    };
    let name = format!("{label}.{}", list.zone());
    (name.len() <= MAX_NAME).then_some(Query { name, about })
}

/// Whether the peer is one that lists can say something about.
pub(super) fn is_judged(subject: &Subject<'_>, settings: &Settings) -> bool {
    let connection = subject.connection;
    settings.authenticated || (connection.account.is_none() && !connection.submission)
}

/// A name that can be listed: not an address, not a bare host.
fn name(domain: Domain) -> Option<Domain> {
    Some(domain).filter(|domain| domain.literal().is_none() && domain.as_str().contains('.'))
}

/// The octets of an IPv4 address, or the nibbles of an IPv6 one, last first.
fn reversed(ip: IpAddr) -> String {
    let parts: Vec<String> = match ip {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect()
        }
    };
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_reversed_as_in_the_rfc() {
        // RFC 5782 sections 2.1 and 2.4.
        assert_eq!(reversed("192.0.2.99".parse().unwrap()), "99.2.0.192");
        assert_eq!(
            reversed("2001:db8:1:2:3:4:567:89ab".parse().unwrap()),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
        );
    }

    #[test]
    fn addresses_and_bare_hosts_are_not_names() {
        assert_eq!(name("[192.0.2.1]".parse().unwrap()), None);
        assert_eq!(name("localhost".parse().unwrap()), None);
        assert!(name("mail.example".parse().unwrap()).is_some());
    }
}
