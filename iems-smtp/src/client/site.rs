//! The physical place a next hop leads to: the set of exchangers of a domain, or the one host a hop names.
//!
//! Asks the DNS about exchangers, never about addresses, and connects to nothing. A domain of which nothing is known
//! now, or that takes no mail, is a site of its own.

use iems_core::deliver::Site;
use iems_core::message::NextHop;

use super::Client;
use super::hop::Hop;
use super::mx;

/// The site of `hop`.
pub(super) async fn site(client: &Client, hop: &NextHop) -> Site {
    match hop.as_str().parse() {
        Ok(Hop::Domain(domain)) if !client.is_lmtp() => match mx::exchangers(domain.as_str(), client).await {
            Ok(exchangers) => Site::of_hosts(exchangers.hosts.iter().map(|mx| mx.host.as_str())),
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
