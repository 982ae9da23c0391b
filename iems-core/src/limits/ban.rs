//! Bans: rule, key, count, until. They end by themselves, and with too many the oldest goes first.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::key::{Key, Who};
use crate::receive::Network;
use crate::seam::Timestamp;

/// The most bans at once.
pub const MOST_BANS: usize = 10_000;

/// Somebody may do nothing for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// The limit that led to it, or what an administrator calls it.
    pub rule: String,
    /// Where that was set.
    pub origin: String,
    /// Who.
    pub key: Key,
    /// How often the rule has banned it in a row.
    pub count: u64,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

#[derive(Default)]
pub(super) struct Bans {
    known: HashMap<Key, (u64, Ban)>,
    /// By age.
    order: BTreeMap<u64, Key>,
    next: u64,
    /// How many are about networks of each length, so that an address is looked for in those only.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl Bans {
    pub(super) fn put(&mut self, ban: Ban) {
        self.remove(&ban.key);
        while self.known.len() >= MOST_BANS {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(&oldest);
        }
        if let Some(length) = length(&ban.key) {
            *self.lengths.entry(length).or_default() += 1;
        }
        self.order.insert(self.next, ban.key.clone());
        self.known.insert(ban.key.clone(), (self.next, ban));
        self.next += 1;
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Ban> {
        let (number, ban) = self.known.remove(key)?;
        self.order.remove(&number);
        if let Some(length) = length(key)
            && let Some(count) = self.lengths.get_mut(&length)
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
        Some(ban)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Ban> {
        self.known.get(key).map(|(_, ban)| ban)
    }

    /// The ban that holds for somebody now.
    pub(super) fn of(&self, who: &Who<'_>, now: Timestamp) -> Option<&Ban> {
        if self.known.is_empty() {
            return None;
        }
        let holds = |key: Key| self.get(&key).filter(|ban| ban.until > now);
        let by_address = || who.address.and_then(|address| self.of_address(address, now));
        let by_account = || who.account.and_then(|account| holds(Key::account(account)));
        let by_login = || holds(Key::login(who.address?, who.login?));
        by_address().or_else(by_account).or_else(by_login)
    }

    fn of_address(&self, address: IpAddr, now: Timestamp) -> Option<&Ban> {
        let address = address.to_canonical();
        let lengths = self.lengths.keys().filter(|(v4, _)| *v4 == address.is_ipv4());
        let networks = lengths.map(|(_, length)| Key::Network(Network::around(address, *length, *length)));
        networks.filter_map(|key| self.get(&key)).find(|ban| ban.until > now)
    }

    /// Those that hold, the oldest first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<Ban> {
        let all = self.order.values().filter_map(|key| self.get(key));
        all.filter(|ban| ban.until > now).cloned().collect()
    }

    /// Forgets those that are over.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let over: Vec<Key> =
            self.known.values().filter(|(_, ban)| ban.until <= now).map(|(_, ban)| ban.key.clone()).collect();
        for key in over {
            self.remove(&key);
        }
    }
}

/// Whether a key is about IPv4, and its length, if it is about a network.
fn length(key: &Key) -> Option<(bool, u8)> {
    match key {
        Key::Network(network) => Some((network.address().is_ipv4(), network.prefix())),
        _ => None,
    }
}
