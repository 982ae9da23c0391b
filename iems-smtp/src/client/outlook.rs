//! What the hosts of a next hop are owed now, found out without connecting to any: for an administrator who asks before
//! mail is sent.
//!
//! Asks the DNS, and a policy host where a new policy is to be fetched. Counts nothing.

use iems_core::message::NextHop;

use super::Client;
use super::hop::Hop;
use super::mx::{self, Exchangers};
use super::peer::TlsTerms;
use super::settings::TlsLevel;
use super::tls::{self, Host, Way};

/// The most hosts that are looked at.
const HOSTS: usize = 8;

/// One host, and what it is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOutlook {
    /// The host.
    pub host: String,
    /// What must hold before mail goes to it, or why none goes; with the policy, and where that was found.
    pub tls: String,
}

/// The hosts of `hop`, in the order in which they are tried.
pub(super) async fn outlook(client: &Client, hop: &NextHop) -> Vec<HostOutlook> {
    let terms = client.terms(hop).tls;
    let (port, lmtp) = (client.port(), client.is_lmtp());
    let named = Way { domain: None, signed: false, proven: true, sts: None };
    match hop.as_str().parse() {
        Ok(Hop::Domain(domain)) if !lmtp => {
            let found = match mx::exchangers(domain.as_str(), client).await {
                Ok(found) => found,
                Err(reply) => return vec![HostOutlook { host: domain.to_string(), tls: reply.to_string() }],
            };
            let sts = match client.settings.sts.as_ref().filter(|_| terms.level == TlsLevel::Opportunistic) {
                Some(sts) => Some(sts.find(domain.as_str()).await),
                None => None,
            };
            let Exchangers { hosts, signed, proven } = found;
            let way = Way { domain: Some(&domain), signed, proven, sts: sts.as_ref() };
            let mut all = Vec::new();
            for name in mx::order(hosts, &*client.random).iter().take(HOSTS) {
                all.push(by_name(client, &terms, name, port, way).await);
            }
            all
        }
        Ok(Hop::Domain(host)) => vec![by_name(client, &terms, host.as_str(), port, named).await],
        Ok(Hop::Host(host, port)) => vec![by_name(client, &terms, host.as_str(), port, named).await],
        Ok(Hop::Address(ip, at)) => {
            let ip = ip.to_canonical().to_string();
            let host = Host { name: &ip, has_name: false, proven: true, port: at.unwrap_or(port) };
            vec![one(client, &terms, host, named).await]
        }
        Ok(Hop::Local(_)) | Err(_) => Vec::new(),
    }
}

async fn by_name(client: &Client, terms: &TlsTerms, name: &str, port: u16, way: Way<'_>) -> HostOutlook {
    match mx::addresses(name, &*client.resolver).await {
        Ok((_, proven)) => one(client, terms, Host { name, has_name: true, proven, port }, way).await,
        Err(reply) => HostOutlook { host: name.to_owned(), tls: reply.to_string() },
    }
}

async fn one(client: &Client, terms: &TlsTerms, host: Host<'_>, way: Way<'_>) -> HostOutlook {
    let tls = match tls::need(client, terms, way, host).await {
        Ok(need) => need.describe(),
        Err(refusal) => format!("no mail: {} ({})", refusal.text, refusal.cause),
    };
    HostOutlook { host: host.name.to_owned(), tls }
}
