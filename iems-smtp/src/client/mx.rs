//! Which hosts take mail for a domain, and in which order they are asked (RFC 5321 section 5.1).
//!
//! Chooses names and addresses; connects to nothing. Its errors are replies for every recipient of the hop:
//! 5xx where no host will ever take the mail, 4xx where the DNS does not answer.

use std::net::IpAddr;

use iems_core::message::{EnhancedStatus, Reply};
use iems_core::seam::{Mx, Random, ResolveError, Resolver};

use super::Client;

/// The most exchangers of one domain that are looked at; who publishes more has more than anybody needs.
const MAX_HOSTS: usize = 32;
/// The most addresses of one host that are looked at.
const MAX_ADDRESSES: usize = 16;

/// The hosts that take mail for a domain.
pub(super) struct Exchangers {
    /// In no order; never empty.
    pub(super) hosts: Vec<Mx>,
    /// Whether DNSSEC proves that it is these.
    pub(super) signed: bool,
    /// Whether nobody could have named others: they are proven, or the domain is its own host.
    pub(super) proven: bool,
}

/// The hosts that take mail for `domain`.
pub(super) async fn exchangers(domain: &str, client: &Client) -> Result<Exchangers, Reply> {
    match client.resolver.mx(domain).await {
        Ok(answer) => {
            let hosts = usable(domain, answer.records, |host| client.is_own(host))?;
            Ok(Exchangers { hosts, signed: answer.secure, proven: answer.secure })
        }
        Err(ResolveError::NoRecords) if client.is_own(domain) => Err(loops_back(domain)),
        // That there is none is proven where the domain's address is: both are of one zone.
        Err(ResolveError::NoRecords) => {
            let hosts = vec![Mx { preference: 0, host: domain.to_owned() }];
            Ok(Exchangers { hosts, signed: false, proven: true })
        }
        Err(error) => Err(unresolved(domain, &error)),
    }
}

/// Leaves out ourselves and all that come after us, and what is no host.
fn usable(domain: &str, records: Vec<Mx>, is_own: impl Fn(&str) -> bool) -> Result<Vec<Mx>, Reply> {
    let is_null = |mx: &Mx| matches!(mx.host.trim_end_matches('.'), "");
    if records.iter().all(is_null) {
        return Err(Reply::new(
            556,
            EnhancedStatus::new(5, 1, 10),
            format!("{domain} takes no mail (null MX)"),
        ));
    }
    let own = records.iter().filter(|mx| is_own(&mx.host)).map(|mx| mx.preference).min();
    let mut better = records;
    better.retain(|mx| !is_null(mx) && own.is_none_or(|own| mx.preference < own));
    if better.is_empty() {
        return Err(loops_back(domain));
    }
    better.retain(|mx| is_name(&mx.host));
    if better.is_empty() {
        let text = format!("the mail exchangers of {domain} are no host names");
        return Err(Reply::new(550, EnhancedStatus::new(5, 4, 4), text));
    }
    Ok(better)
}

/// Sorts by preference, by chance within one: the order in which hosts are tried.
pub(super) fn order(exchangers: Vec<Mx>, random: &dyn Random) -> Vec<String> {
    let mut better: Vec<(u16, u64, String)> =
        exchangers.into_iter().map(|mx| (mx.preference, random.next_u64(), mx.host)).collect();
    better.sort();
    better.truncate(MAX_HOSTS);
    better.into_iter().map(|(_, _, host)| host).collect()
}

/// An exchanger must be a host name; an address is a mistake that resolves to nothing (RFC 5321 section 5.1).
fn is_name(host: &str) -> bool {
    host.trim_end_matches('.').parse::<IpAddr>().is_err()
}

fn loops_back(domain: &str) -> Reply {
    let text = format!("mail for {domain} loops back to this host");
    Reply::new(550, EnhancedStatus::new(5, 4, 6), text)
        .because("the best mail exchanger is this host, and the domain is not local here")
}

fn unresolved(name: &str, error: &ResolveError) -> Reply {
    match error {
        ResolveError::NoName => Reply::refuse(1, 2, format!("the domain {name} does not exist")),
        ResolveError::NoRecords => {
            Reply::refuse(4, 4, format!("{name} has neither a mail exchanger nor an address"))
        }
        other => {
            Reply::defer(4, 3, format!("the DNS does not answer about {name}")).because(other.to_string())
        }
    }
}

/// The addresses of `host`, in the order in which they are tried: kinds in turn, IPv6 first, so that one kind
/// that does not work costs no more than one try.
/// With them, whether DNSSEC proves them.
pub(super) async fn addresses(host: &str, resolver: &dyn Resolver) -> Result<(Vec<IpAddr>, bool), Reply> {
    match resolver.addresses(host).await {
        Ok(answer) => Ok((interleave(answer.records), answer.secure)),
        Err(error) => Err(unresolved(host, &error)),
    }
}

fn interleave(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) =
        addresses.into_iter().take(MAX_ADDRESSES).partition(|ip| ip.to_canonical().is_ipv6());
    let longest = v6.len().max(v4.len());
    (0..longest).flat_map(|at| [v6.get(at), v4.get(at)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use iems_core::seam::SeededRandom;

    fn mx(list: &[(u16, &str)]) -> Vec<Mx> {
        list.iter().map(|(preference, host)| Mx { preference: *preference, host: host.to_string() }).collect()
    }

    fn ordered(list: &[(u16, &str)], seed: u64) -> Result<Vec<String>, String> {
        let is_us = |host: &str| host.trim_end_matches('.').eq_ignore_ascii_case("us.example");
        usable("d.example", mx(list), is_us)
            .map(|found| order(found, &SeededRandom::new(seed)))
            .map_err(|reply| format!("{} {}", reply.code, reply.enhanced))
    }

    #[test]
    fn better_hosts_first_and_equals_in_any_order() {
        let list = [(20, "c"), (10, "a"), (10, "b")];
        let found: Vec<_> = (0..50).map(|seed| ordered(&list, seed).unwrap()).collect();
        assert!(found.iter().all(|hosts| hosts[2] == "c"));
        assert!(found.iter().any(|hosts| hosts[0] == "a") && found.iter().any(|hosts| hosts[0] == "b"));
    }

    #[test]
    fn null_means_no_mail() {
        assert_eq!(ordered(&[(0, "")], 1), Err("556 5.1.10".into()));
        assert_eq!(ordered(&[(0, ".")], 1), Err("556 5.1.10".into()));
        assert_eq!(ordered(&[(0, ""), (5, "a")], 1), Ok(vec!["a".into()]));
    }

    #[test]
    fn never_to_ourselves_nor_to_those_behind_us() {
        let list = [(10, "a"), (20, "US.example."), (20, "b"), (30, "c")];
        assert_eq!(ordered(&list, 1), Ok(vec!["a".into()]));
        assert_eq!(ordered(&[(10, "us.example"), (20, "b")], 1), Err("550 5.4.6".into()));
        assert_eq!(ordered(&[(10, "us.example"), (10, "b")], 1), Err("550 5.4.6".into()));
    }

    #[test]
    fn an_address_is_no_exchanger() {
        assert_eq!(ordered(&[(10, "192.0.2.1"), (20, "b")], 1), Ok(vec!["b".into()]));
        assert_eq!(ordered(&[(10, "192.0.2.1")], 1), Err("550 5.4.4".into()));
    }

    #[test]
    fn a_flood_of_exchangers_is_cut() {
        let names: Vec<String> = (0..500).map(|n| format!("h{n}")).collect();
        let list: Vec<(u16, &str)> = names.iter().map(|name| (1, name.as_str())).collect();
        assert_eq!(ordered(&list, 1).unwrap().len(), MAX_HOSTS);
    }

    #[test]
    fn kinds_of_address_take_turns() {
        let all = ["1.1.1.1", "1.1.1.2", "1.1.1.3", "2001:db8::1"].map(|ip| ip.parse().unwrap());
        let order: Vec<_> = interleave(all.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["2001:db8::1", "1.1.1.1", "1.1.1.2", "1.1.1.3"]);
    }
}
