//! A certificate with its key, from two PEM files, and what stands in it: names, times, who signed it. RFC 5280.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::config::Certificate;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A certificate that can be shown.
#[derive(Debug)]
pub(crate) struct Pair {
    /// For handshakes.
    pub(super) key: Arc<CertifiedKey>,
    /// What stands in it.
    pub(super) facts: Facts,
}

impl Pair {
    /// Reads the files, or says why they are of no use.
    pub(super) fn read(files: &Certificate) -> Result<Self, String> {
        let (chain, key) = (&files.certificate, &files.key);
        let certificates = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| format!("{}: {}", chain.display(), pem(e)))?;
        let facts = match certificates.is_empty() {
            true => return Err(format!("{}: there is no certificate in it", chain.display())),
            false => Facts::read(&certificates).ok_or_else(|| unreadable(chain))?,
        };
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{}: {}", key.display(), pem(e)))?;
        let key = CertifiedKey::from_der(certificates, private, &default_provider());
        let key = key.map_err(|e| {
            format!("{} and {} do not belong together: {e}", chain.display(), files.key.display())
        })?;
        Ok(Self { key: Arc::new(key), facts })
    }
}

fn unreadable(file: &Path) -> String {
    format!("{}: the certificate cannot be read", file.display())
}

fn pem(error: rustls_pki_types::pem::Error) -> String {
    match error {
        rustls_pki_types::pem::Error::Io(error) => error.to_string(),
        rustls_pki_types::pem::Error::NoItemsFound => "there is no such item in PEM form in it".into(),
        other => format!("not PEM: {other:?}"),
    }
}

/// What stands in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// The hosts it is for, in lower case; `*.` may stand in front.
    pub(super) names: Vec<String>,
    /// The addresses it is for.
    addresses: Vec<IpAddr>,
    /// Who signed it.
    pub(super) issuer: String,
    /// From when it holds, in seconds since 1970.
    pub(super) from: i64,
    /// Until when.
    pub(super) until: i64,
    /// Whether it is signed with its own key: nobody vouches for it.
    self_signed: bool,
    /// Whether each certificate of the file is signed by the next one, by name.
    in_order: bool,
    /// SHA-256 of the certificate.
    pub(super) mark: [u8; 32],
    /// SHA-256 of its public key: what a TLSA record `3 1 1` names.
    pub(super) key_mark: [u8; 32],
}

impl Facts {
    fn read(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let parsed: Vec<X509Certificate<'_>> = chain
            .iter()
            .map(|one| x509_parser::parse_x509_certificate(one).ok().map(|(_, parsed)| parsed))
            .collect::<Option<_>>()?;
        let leaf = parsed.first()?;
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        let alternative = leaf.subject_alternative_name().ok().flatten();
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(octets) => addresses.extend(address(octets)),
                _ => {}
            }
        }
        Some(Self {
            names,
            addresses,
            issuer: leaf.issuer().to_string(),
            from: leaf.validity().not_before.timestamp(),
            until: leaf.validity().not_after.timestamp(),
            self_signed: leaf.issuer() == leaf.subject() && chain.len() == 1,
            in_order: parsed.windows(2).all(|two| two[0].issuer() == two[1].subject()),
            mark: Sha256::digest(chain.first()?).into(),
            key_mark: Sha256::digest(leaf.public_key().raw).into(),
        })
    }

    /// Whether it is good for a host, or for a pattern such as `*.example.org` (RFC 6125 section 6.4.3: a wildcard stands for one label).
    pub(super) fn is_for(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let named = self.names.iter().any(|name| *name == host || Some(name) == parent.as_ref());
        named || host.parse().is_ok_and(|address| self.addresses.contains(&address))
    }

    /// Whether another one is to be got for these hosts.
    #[cfg(feature = "acme")]
    pub(super) fn is_due(&self, hosts: &[String], now: i64) -> bool {
        let life = self.until - self.from;
        // The same certificate is always due at the same time.
        let early = life / 24 * i64::from(self.mark[0]) / 256;
        self.self_signed
            || hosts.iter().any(|host| !self.is_for(host))
            || now >= self.from + life / 3 * 2 - early
    }

    /// How many days are left, rounded down; negative after the end.
    pub(super) fn days_left(&self, now: i64) -> i64 {
        (self.until - now).div_euclid(DAY)
    }

    /// What is wrong with it at this time, for somebody who shows it to whoever asks for `hosts`. Those that live short are warned of
    /// later: they are renewed later.
    pub(super) fn flaws(&self, hosts: &[String], now: i64) -> Vec<Flaw> {
        let (left, life) = (self.until - now, self.until - self.from);
        let mut flaws = Vec::new();
        let mut found = |urgent, text: String| flaws.push(Flaw { urgent, text });
        let ends = super::day(self.until);
        if left < 0 {
            found(true, format!("it expired on {ends}"));
        } else if now < self.from {
            found(true, format!("it is not valid before {}", super::day(self.from)));
        } else if left < (7 * DAY).min(life / 10) {
            found(true, format!("it expires in {} days, on {ends}", left / DAY));
        } else if left < (30 * DAY).min(life / 4) {
            found(false, format!("it expires in {} days, on {ends}", left / DAY));
        }
        for host in hosts.iter().filter(|host| !self.is_for(host)) {
            found(true, format!("it is not for {host}, only for: {}", self.for_whom()));
        }
        if !self.in_order {
            found(
                true,
                "the file is out of order: each certificate must be followed by that of its issuer".into(),
            );
        }
        if self.self_signed {
            found(
                false,
                "nobody vouches for it: mail programs ask, and senders that verify do not come".into(),
            );
        }
        flaws
    }

    fn for_whom(&self) -> String {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let all: Vec<String> = self.names.iter().cloned().chain(addresses).collect();
        if all.is_empty() { "nobody (it has no subjectAltName)".into() } else { all.join(", ") }
    }
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Whether peers stumble over it now, or will within days.
    pub(super) urgent: bool,
    /// In words, of the certificate.
    pub(super) text: String,
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn facts(days: i64, life: i64) -> Facts {
        Facts {
            names: vec!["mx.example.org".into(), "*.example.net".into()],
            addresses: vec!["192.0.2.1".parse().unwrap()],
            issuer: "CN=x".into(),
            from: NOW + (days - life) * DAY,
            until: NOW + days * DAY,
            self_signed: false,
            in_order: true,
            mark: [0; 32],
            key_mark: [0; 32],
        }
    }

    #[test]
    fn a_certificate_is_for_its_names_and_one_label_of_a_wildcard() {
        let facts = facts(100, 365);
        for (host, good) in [
            ("mx.example.org", true),
            ("MX.Example.ORG", true),
            ("a.example.net", true),
            ("*.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
            ("example.org", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
        ] {
            assert_eq!(facts.is_for(host), good, "{host}");
        }
    }

    #[cfg(feature = "acme")]
    #[test]
    fn it_is_renewed_when_two_thirds_of_its_life_are_over() {
        let hosts = ["mx.example.org".to_owned()];
        let due = |days, life, mark| Facts { mark: [mark; 32], ..facts(days, life) }.is_due(&hosts, NOW);
        assert!(!due(31, 90, 0) && due(30, 90, 0) && due(-1, 90, 0) && !due(89, 90, 255));
        assert!(due(32, 90, 255) && !due(34, 90, 255), "some are early, by a twenty-fourth at most");
        assert!(!facts(80, 90).is_due(&hosts, NOW) && facts(80, 90).is_due(&["b.example".into()], NOW));
        assert!(Facts { self_signed: true, ..facts(80, 90) }.is_due(&hosts, NOW));
    }

    #[test]
    fn its_end_is_told_in_time_and_not_of_each_that_lives_short() {
        let said = |days, life| {
            let flaws = facts(days, life).flaws(&[], NOW);
            flaws.first().map(|flaw| (flaw.urgent, flaw.text.split(',').next().unwrap().to_owned()))
        };
        assert_eq!(said(31, 365), None);
        assert_eq!(said(29, 365), Some((false, "it expires in 29 days".into())));
        assert_eq!(said(6, 365), Some((true, "it expires in 6 days".into())));
        assert_eq!(
            said(-1, 365).map(|(urgent, text)| (urgent, text.starts_with("it expired on 2027-"))),
            Some((true, true))
        );
        assert_eq!(said(29, 90), None, "it is renewed at a third of its life");
        assert_eq!(said(22, 90).map(|(urgent, _)| urgent), Some(false));
        assert_eq!(said(3, 6), None);
        assert_eq!(
            said(400, 365).map(|(urgent, text)| (urgent, text.starts_with("it is not valid before"))),
            Some((true, true))
        );
    }
}
