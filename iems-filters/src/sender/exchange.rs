//! Where reports for a domain would go: its mail exchangers and their addresses, as far as needed to know that they can be
//! reached (RFC 5321 section 5.1, RFC 7505).

use std::net::IpAddr;

use iems_core::seam::{Mx, ResolveError, Resolver};

use crate::common::{is_public, line};

/// Exchangers whose addresses are looked at.
const EXCHANGERS: usize = 5;

/// What is known about a domain as a place for mail.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// This host, with an address that can be reached.
    Host(String, IpAddr),
    /// Says of itself that it takes no mail (null MX).
    TakesNone,
    /// Does not exist.
    Missing,
    /// Exists, with neither an exchanger nor an address.
    Nowhere,
    /// Its exchangers have no addresses.
    Nobody(String),
    /// Its exchangers have private or loopback addresses only.
    Private(String, IpAddr),
    /// Nobody knows now.
    Unknown(String),
}

/// Looks `domain` up. With `private`, private addresses count like any others.
pub(super) async fn place(resolver: &dyn Resolver, domain: &str, private: bool) -> Place {
    let hosts = match resolver.mx(domain).await {
        Ok(answer) => answer.records,
        Err(ResolveError::NoRecords) => return implicit(resolver, domain, private).await,
        Err(ResolveError::NoName) => return Place::Missing,
        Err(error) => return Place::Unknown(line(&error.to_string())),
    };
    let hosts: Vec<&str> = hosts.iter().map(|mx: &Mx| mx.host.trim_end_matches('.')).collect();
    if hosts.iter().all(|host| host.is_empty()) {
        return Place::TakesNone;
    }
    best(resolver, hosts.into_iter().filter(|host| !host.is_empty()).take(EXCHANGERS), private).await
}

/// Without exchangers, the domain itself is one.
async fn implicit(resolver: &dyn Resolver, domain: &str, private: bool) -> Place {
    match best(resolver, [domain].into_iter(), private).await {
        Place::Nobody(_) => Place::Nowhere,
        place => place,
    }
}

async fn best(resolver: &dyn Resolver, hosts: impl Iterator<Item = &str>, private: bool) -> Place {
    let (mut names, mut hidden, mut trouble) = (Vec::new(), None, None);
    for host in hosts {
        match resolver.addresses(host).await {
            Ok(answer) => match answer.records.iter().find(|ip| private || is_public(**ip)) {
                Some(ip) => return Place::Host(line(host), *ip),
                None => hidden = hidden.or_else(|| Some((line(host), *answer.records.first()?))),
            },
            Err(error) if error.is_temporary() => trouble = Some(line(&error.to_string())),
            Err(_) => {}
        }
        names.push(host);
    }
    match (trouble, hidden) {
        (Some(trouble), _) => Place::Unknown(trouble),
        (None, Some((host, ip))) => Place::Private(host, ip),
        (None, None) => Place::Nobody(line(&names.join(", "))),
    }
}
