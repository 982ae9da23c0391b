//! Bounds: what an engine uses at a time, as far as it can be seen from outside.

use super::{Finding, Sight};
use crate::sim::ledger::Ledger;

/// Workers in all.
pub(super) fn workers(_: &Ledger, sight: &Sight<'_>) -> Finding {
    match sight.hosts.iter().find(|host| host.workers > host.in_all as u64) {
        Some(host) => Err(format!("{} workers, and {} are allowed", host.workers, host.in_all)),
        None => Ok(()),
    }
}

/// Links to one hop.
pub(super) fn links(_: &Ledger, sight: &Sight<'_>) -> Finding {
    for host in sight.hosts {
        if let Some((place, links)) = host.links.iter().find(|(_, links)| links.most > host.per_hop) {
            return Err(format!("{} links to {place}, and {} are allowed", links.most, host.per_hop));
        }
    }
    Ok(())
}
