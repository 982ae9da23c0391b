//! The physical place a next hop leads to: the set of exchangers of a domain, or the one host a hop names.
//!
//! Asks the DNS about exchangers, never about addresses, and connects to nothing. A domain of which nothing is known
//! now, or that takes no mail, is a site of its own. Of domains with the same exchangers, those are one site that want the same of
//! them: what a host does not fulfil for one domain must not hold up the mail of the others, whoever publishes it.

use iems_core::deliver::Site;
use iems_core::message::{Domain, NextHop};

use super::Client;
use super::hop::Hop;
use super::mx::{self, Exchangers};
use super::settings::TlsLevel;
use crate::sts::{Found, Mode};

/// The site of `hop`.
pub(super) async fn site(client: &Client, hop: &NextHop) -> Site {
    match hop.as_str().parse() {
        Ok(Hop::Domain(domain)) if !client.is_lmtp() => match mx::exchangers(domain.as_str(), client).await {
            Ok(exchangers) => shared(client, hop, &domain, &exchangers).await,
            Err(_) => Site::new(domain.as_str()),
        },
        Ok(Hop::Domain(host)) => Site::new(&Hop::Host(host, client.port()).to_string()),
        Ok(Hop::Address(ip, port)) => {
            let address = Hop::Address(ip.to_canonical(), port.or(Some(client.port())));
            Site::new(&address.to_string())
        }
        Ok(Hop::Host(..) | Hop::Local(_)) | Err(_) => Site::new(hop.as_str()),
    }
}

/// The exchangers, and what is wanted of them.
async fn shared(client: &Client, hop: &NextHop, domain: &Domain, exchangers: &Exchangers) -> Site {
    let hosts = || exchangers.hosts.iter().map(|mx| mx.host.as_str());
    let site = Site::of_hosts(hosts());
    let (terms, common) = (client.terms(hop).tls, client.terms(&NextHop::new("")).tls);
    let mut wanted = Vec::new();
    if terms != common {
        wanted.push(format!("{} {}", terms.level, terms.origin));
    }
    let by_peer = matches!(terms.level, TlsLevel::Opportunistic | TlsLevel::Dane | TlsLevel::DaneOnly);
    if by_peer && exchangers.signed {
        wanted.push("DNSSEC".to_owned());
    }
    let sts = client.settings.sts.as_ref().filter(|_| terms.level == TlsLevel::Opportunistic);
    if let Some(sts) = sts
        && let Found::Policy(known) = sts.find(domain.as_str()).await
        && known.policy.mode == Mode::Enforce
    {
        // A policy that does not name its own exchangers is nobody else's trouble.
        if !hosts().all(|host| known.policy.allows(host)) {
            return Site::new(domain.as_str());
        }
        wanted.push("MTA-STS".to_owned());
    }
    match wanted.is_empty() {
        true => site,
        false => Site::new(&format!("{site} ({})", wanted.join(", "))),
    }
}
