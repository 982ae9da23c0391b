//! New rules from the administrator take effect at once: at sites that are known, and in lanes that wait for a rate.
//! Pure book-keeping under the runner's lock; nothing here waits.

use std::collections::HashSet;

use super::Peers;
use super::hops::Runner;
use super::key::HopKey;

impl Runner {
    /// The rules are other ones now: each site has the strictest of the hops that lead to it, and whoever waits for a rate
    /// asks again.
    pub(crate) fn follow(&self, peers: &Peers) {
        let mut inner = self.lock();
        let (keys, mut renewed): (Vec<HopKey>, _) = (inner.hops.keys().cloned().collect(), HashSet::new());
        for key in &keys {
            let Some(hop) = inner.hops.get_mut(key) else { continue };
            hop.lanes.unblock();
            hop.blocked = None;
            let Some(site) = hop.site.clone() else { continue };
            if let Some(book) = inner.sites.get_mut(&site) {
                if renewed.insert(site) {
                    book.forget_rules();
                }
                book.follow(peers.at(&key.hop));
            }
        }
        for key in &keys {
            inner.rouse(key);
        }
        drop(inner);
        self.bell.notify_one();
    }
}
