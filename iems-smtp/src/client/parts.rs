//! Which recipients go into one transaction, where a server limits how many (RFC 9422). Pure.

use iems_core::deliver::Destination;

use crate::proto::SessionLimits;

/// Keeps, of the lines of RCPT by their place in `destinations`, those that fit into the next transaction: the first, and
/// whoever goes with it. What is left goes into another.
pub(super) fn first(rcpts: &mut Vec<(usize, String)>, destinations: &[Destination], limits: SessionLimits) {
    if let Some(most) = limits.rcpt_domain_max {
        let mut domains: Vec<String> = Vec::new();
        rcpts.retain(|(at, _)| {
            let mailbox = destinations.get(*at).map(|d| d.mailbox.to_string()).unwrap_or_default();
            let domain = mailbox.rsplit('@').next().unwrap_or_default().to_lowercase();
            if domains.contains(&domain) {
                return true;
            }
            let fits = domains.len() < most as usize;
            if fits {
                domains.push(domain);
            }
            fits
        });
    }
    if let Some(most) = limits.rcpt_max {
        rcpts.truncate(most as usize);
    }
}
