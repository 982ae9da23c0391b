//! Which recipients go into one transaction, where a server limits how many (RFC 9422). Pure.

use iems_core::deliver::Destination;

use crate::proto::SessionLimits;

/// Keeps, of the lines of RCPT by their place in `destinations`, those that fit into the next transaction of a session that has
/// named these `domains`: the first, and whoever goes with it. What is left goes into another.
pub(super) fn first(
    rcpts: &mut Vec<(usize, String)>,
    destinations: &[Destination],
    limits: SessionLimits,
    domains: &mut Vec<String>,
) {
    let Some(most) = limits.rcpt_domain_max else {
        rcpts.truncate(limits.rcpt_max.map_or(usize::MAX, |most| most as usize));
        return;
    };
    let mut left = limits.rcpt_max.map_or(usize::MAX, |most| most as usize);
    rcpts.retain(|(at, _)| {
        let domain = destinations.get(*at).map(domain_of).unwrap_or_default();
        let fits = left > 0 && has_room(domains, &domain, most);
        if fits {
            left -= 1;
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        fits
    });
}

/// Whether a session that has named these domains may name this one, if it may name so many (`RCPTDOMAINMAX`, section 4.3).
pub(super) fn has_room(domains: &[String], domain: &String, most: u32) -> bool {
    domains.contains(domain) || domains.len() < most as usize
}

/// The domain of a recipient, without case.
pub(super) fn domain_of(destination: &Destination) -> String {
    destination.mailbox.domain().as_str().to_lowercase()
}
