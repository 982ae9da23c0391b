//! DANE: what the DNS says about a host's certificate, where DNSSEC proves it (RFC 7672, RFC 6698, RFC 7671).
//!
//! Looks up and compares; connects to nothing. An error of the DNS is never "no records": whoever can break an answer would
//! otherwise switch the protection off.

use iems_core::seam::{Association, ResolveError, Resolver};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256, Sha512};

use super::verify::public_key;

/// The most records of one name that are looked at.
const MOST_RECORDS: usize = 64;
/// The most links of a chain of aliases.
const MOST_ALIASES: usize = 8;

/// What the DNS says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) enum Dane {
    /// Nothing that is proven; why, for people.
    Absent(&'static str),
    /// Records at `base`, and none that can be used: encryption without authentication (RFC 7672 section 2.2).
    Unusable {
        /// The name that stands behind `_25._tcp.`
        base: String,
    },
    /// Records that decide.
    Records {
        /// The name that stands behind `_25._tcp.`
        base: String,
        /// Those that can be used.
        usable: Vec<Association>,
    },
    /// No answer that counts: the host cannot be used now (RFC 7672 section 2.1.3).
    Failed {
        /// The name that was asked about.
        name: String,
        /// Why.
        error: ResolveError,
    },
}

/// Looks up what `host` says about the service on `port`. `proven` tells whether its addresses are.
pub(in crate::client) async fn look_up(resolver: &dyn Resolver, host: &str, proven: bool, port: u16) -> Dane {
    let host = host.trim_end_matches('.');
    let bases = match bases(resolver, host, proven).await {
        Ok(bases) => bases,
        Err(dane) => return dane,
    };
    if bases.is_empty() {
        return Dane::Absent("its addresses are not signed");
    }
    for base in bases {
        let name = format!("_{port}._tcp.{base}");
        match resolver.associations(&name).await {
            Ok(answer) if answer.secure => {
                let usable = usable(answer.records);
                return if usable.is_empty() {
                    Dane::Unusable { base }
                } else {
                    Dane::Records { base, usable }
                };
            }
            Ok(_) | Err(ResolveError::NoName | ResolveError::NoRecords) => {}
            Err(error) => return Dane::Failed { name, error },
        }
    }
    Dane::Absent("there is no signed TLSA record")
}

/// The names to ask about (RFC 7672 section 2.2.2): where all aliases are proven, what they lead to, and the host itself; where only
/// its own alias is, the host itself.
async fn bases(resolver: &dyn Resolver, host: &str, proven: bool) -> Result<Vec<String>, Dane> {
    let mut name = host.to_owned();
    for link in 0..MOST_ALIASES {
        match resolver.alias(&name).await {
            Ok(answer) if answer.secure && answer.records.len() == 1 => {
                if !proven {
                    return Ok(vec![host.to_owned()]);
                }
                name = answer.records.into_iter().next().unwrap_or_default();
            }
            Ok(_) | Err(ResolveError::NoName | ResolveError::NoRecords) => {
                return Ok(match (proven, link) {
                    (false, _) => Vec::new(),
                    (true, 0) => vec![host.to_owned()],
                    (true, _) => vec![name, host.to_owned()],
                });
            }
            Err(error) => return Err(Dane::Failed { name, error }),
        }
    }
    Ok(if proven { vec![host.to_owned()] } else { Vec::new() })
}

/// The records that can be used for mail: DANE-TA and DANE-EE (RFC 7672 section 3.1), of a form that we know; of one kind those with
/// the strongest digest (RFC 7671 section 9).
fn usable(records: Vec<Association>) -> Vec<Association> {
    let well_formed = |record: &Association| {
        let size = record.data.len();
        let whole = matches!((record.matching, size), (0, 1..) | (1, 32) | (2, 64));
        matches!(record.usage, 2 | 3) && record.selector <= 1 && whole
    };
    let kept: Vec<Association> = records.into_iter().take(MOST_RECORDS).filter(well_formed).collect();
    let stronger = |record: &Association| {
        let same = |other: &&Association| (other.usage, other.selector) == (record.usage, record.selector);
        kept.iter().filter(same).any(|other| other.matching == 2)
    };
    let weak: Vec<bool> = kept.iter().map(|record| record.matching == 1 && stronger(record)).collect();
    kept.into_iter().zip(weak).filter(|(_, weak)| !weak).map(|(record, _)| record).collect()
}

/// Whether `record` speaks of this certificate (RFC 6698 section 2.1).
pub(super) fn matches(record: &Association, certificate: &CertificateDer<'_>) -> bool {
    let selected = match record.selector {
        0 => Some(certificate.as_ref()),
        _ => public_key(certificate),
    };
    let Some(selected) = selected else { return false };
    match record.matching {
        0 => record.data == selected,
        1 => record.data == Sha256::digest(selected).as_slice(),
        _ => record.data == Sha512::digest(selected).as_slice(),
    }
}

/// A record in a few words: `TLSA 3 1 1 8bd1da95…`.
pub(super) fn describe(record: &Association) -> String {
    let hex: String = record.data.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
    let more = if record.data.len() > 8 { "…" } else { "" };
    format!("TLSA {} {} {} {hex}{more}", record.usage, record.selector, record.matching)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;
    use std::time::Duration;

    use async_trait::async_trait;
    use iems_core::seam::{Answer, Mx};

    use super::*;

    fn record(usage: u8, selector: u8, matching: u8, size: usize) -> Association {
        Association { usage, selector, matching, data: vec![usage; size] }
    }

    #[derive(Default)]
    struct Names {
        aliases: HashMap<&'static str, (&'static str, bool)>,
        records: HashMap<&'static str, Result<bool, ResolveError>>,
    }

    fn answer<T>(record: T, secure: bool) -> Result<Answer<T>, ResolveError> {
        Ok(Answer { records: vec![record], secure, ttl: Duration::from_secs(1) })
    }

    #[async_trait]
    impl Resolver for Names {
        async fn mx(&self, _: &str) -> Result<Answer<Mx>, ResolveError> {
            Err(ResolveError::NoRecords)
        }
        async fn addresses(&self, _: &str) -> Result<Answer<IpAddr>, ResolveError> {
            Err(ResolveError::NoRecords)
        }
        async fn txt(&self, _: &str) -> Result<Answer<String>, ResolveError> {
            Err(ResolveError::NoRecords)
        }
        async fn names(&self, _: IpAddr) -> Result<Answer<String>, ResolveError> {
            Err(ResolveError::NoRecords)
        }
        async fn alias(&self, name: &str) -> Result<Answer<String>, ResolveError> {
            let (to, secure) = self.aliases.get(name).ok_or(ResolveError::NoRecords)?;
            answer((*to).to_owned(), *secure)
        }
        async fn associations(&self, name: &str) -> Result<Answer<Association>, ResolveError> {
            let found = self.records.get(name).cloned().unwrap_or(Err(ResolveError::NoName))?;
            answer(record(3, 1, 1, 32), found)
        }
    }

    async fn base(names: &Names, proven: bool) -> String {
        match look_up(names, "mx.test", proven, 25).await {
            Dane::Records { base, .. } => base,
            Dane::Unusable { base } => format!("unusable {base}"),
            Dane::Absent(_) => "absent".into(),
            Dane::Failed { name, .. } => format!("failed {name}"),
        }
    }

    #[tokio::test]
    async fn records_are_looked_for_where_every_step_is_proven() {
        let mut names = Names::default();
        assert_eq!(base(&names, true).await, "absent");
        names.records.insert("_25._tcp.mx.test", Ok(true));
        assert_eq!(base(&names, true).await, "mx.test");
        assert_eq!(base(&names, false).await, "absent", "the addresses are anybody's");
        names.records.insert("_25._tcp.mx.test", Ok(false));
        assert_eq!(base(&names, true).await, "absent", "the record is anybody's");
    }

    #[tokio::test]
    async fn a_broken_answer_is_not_no_answer() {
        let mut names = Names::default();
        for error in [ResolveError::Temporary("away".into()), ResolveError::Bogus("forged".into())] {
            names.records.insert("_25._tcp.mx.test", Err(error));
            assert_eq!(base(&names, true).await, "failed _25._tcp.mx.test");
        }
    }

    #[tokio::test]
    async fn aliases_are_followed_as_far_as_they_are_proven() {
        let mut names = Names::default();
        names.aliases.insert("mx.test", ("real.test", true));
        names.records.insert("_25._tcp.mx.test", Ok(true));
        assert_eq!(base(&names, true).await, "mx.test", "nothing at the end of the alias");
        assert_eq!(base(&names, false).await, "mx.test", "the alias is proven, its target is not");
        names.records.insert("_25._tcp.real.test", Ok(true));
        assert_eq!(base(&names, true).await, "real.test");
        names.aliases.insert("mx.test", ("real.test", false));
        assert_eq!(base(&names, false).await, "absent");
        names.aliases.insert("mx.test", ("mx.test", true));
        assert_eq!(base(&names, true).await, "mx.test", "a circle ends");
    }

    #[test]
    fn what_cannot_be_used_is_left_out() {
        let bad = [(0, 0, 1, 32), (1, 1, 1, 32), (4, 1, 1, 32), (3, 2, 1, 32), (3, 1, 3, 32), (3, 1, 1, 31)];
        let bad = bad.into_iter().chain([(3, 1, 2, 32), (3, 1, 0, 0), (2, 0, 1, 64)]);
        assert!(usable(bad.map(|(u, s, m, size)| record(u, s, m, size)).collect()).is_empty());
        let good = vec![record(3, 1, 1, 32), record(2, 0, 1, 32), record(3, 0, 0, 900), record(3, 1, 2, 64)];
        let left: Vec<u8> = usable(good).iter().map(|record| record.matching).collect();
        assert_eq!(left, [1, 0, 2], "of 3 1 x the stronger digest");
        assert_eq!(usable(vec![record(3, 1, 1, 32); 500]).len(), MOST_RECORDS);
    }
}
