//! Peers: what holds for mail to one destination, by the pattern of its domain.
//!
//! Plain data that the queue reads at each use. What a channel does differently for a peer (how it is spoken to)
//! is the channel's own configuration. Nothing here fails.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::{Rate, Schedule};
use crate::message::{Domain, NextHop};
use crate::route::Pattern;

/// What holds for one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Links to one site at a time. Default 20: what Postfix settled on; enough to fill a
    /// fast link, few enough not to be taken for an attack.
    pub concurrency: usize,
    /// Links a site starts with, before anything is known of it. Default 5: a small site is not overrun, and a large one
    /// is found out within a few messages.
    pub initial_concurrency: usize,
    /// Messages to one site. Default none: most sites say themselves when it is too much, and are listened to.
    pub rate: Option<Rate>,
    /// Messages over one link. Default 1000: the price of a link is then below one in a thousand, and a change
    /// of the hosts behind the site is noticed.
    pub messages_per_link: u32,
    /// The age at which a link is not used again. Default 5 minutes: hosts that come back are found again.
    pub link_age: Duration,
    /// How long an idle link is kept for the next message. Default 2 s: saves the hand-shake in a burst,
    /// without holding the other side's slots.
    pub link_idle: Duration,
    /// When to try again, warn and give up.
    pub schedule: Schedule,
    /// Where this was decided, for explanations: `default`, or a line of a configuration.
    pub origin: String,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            concurrency: 20,
            initial_concurrency: 5,
            rate: None,
            messages_per_link: 1000,
            link_age: Duration::from_secs(300),
            link_idle: Duration::from_secs(2),
            schedule: Schedule::default(),
            origin: "default".into(),
        }
    }
}

/// Which next hops an entry speaks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerPattern {
    /// Hops that are a domain, or have a host before their port, by that name.
    Domain(Pattern),
    /// This next hop, letter by letter: `[192.0.2.1]:25`, `/run/lmtp`.
    Hop(NextHop),
}

/// The text is no pattern of peers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no peer: expected \"example.org\", \"*.example.org\", \"*\", or a next hop such as \"[192.0.2.1]:25\""
)]
pub struct PeerPatternError(String);

impl FromStr for PeerPattern {
    type Err = PeerPatternError;

    fn from_str(text: &str) -> Result<Self, PeerPatternError> {
        if let Ok(pattern) = text.parse() {
            return Ok(Self::Domain(pattern));
        }
        let is_hop = text.contains([':', '/', '[']) && !text.contains(|c: char| c.is_control() || c == ' ');
        match is_hop && text.len() <= 255 {
            true => Ok(Self::Hop(NextHop::new(text))),
            false => Err(PeerPatternError(text.chars().take(60).collect())),
        }
    }
}

impl fmt::Display for PeerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(pattern) => pattern.fmt(f),
            Self::Hop(hop) => hop.fmt(f),
        }
    }
}

/// All peers that something is said about, and what holds for the others.
///
/// The most specific entry counts alone: the hop itself, its domain, the longest `*.parent`, `*`, the default.
/// Whoever fills the table decides what an entry inherits. A look-up costs one probe for each label of the name.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    /// What holds where no entry does.
    pub default: Peer,
    /// By the text of the pattern.
    entries: HashMap<String, Peer>,
}

impl Peers {
    /// A table without entries.
    pub fn new(default: Peer) -> Self {
        Self { default, entries: HashMap::new() }
    }

    /// Adds an entry. Of two with the same pattern, the later one counts.
    #[must_use]
    pub fn with(mut self, pattern: PeerPattern, peer: Peer) -> Self {
        self.entries.insert(pattern.to_string(), peer);
        self
    }

    /// The longest wait of any schedule.
    pub(crate) fn longest_wait(&self) -> Duration {
        let all = std::iter::once(&self.default).chain(self.entries.values());
        all.map(|peer| peer.schedule.longest()).max().unwrap_or_default()
    }

    /// What holds for a next hop.
    pub fn at(&self, hop: &NextHop) -> &Peer {
        let named = match self.entries.is_empty() {
            true => None,
            false => most_specific(hop, |pattern| self.entries.get(pattern)),
        };
        named.unwrap_or(&self.default)
    }
}

/// The first thing that `find` has for a pattern that matches `hop`, the most specific pattern first.
///
/// For tables beside [`Peers`] that are to agree with it, such as a channel's own.
pub fn most_specific<'t, T>(hop: &NextHop, find: impl Fn(&str) -> Option<&'t T>) -> Option<&'t T> {
    if let Some(found) = find(hop.as_str()) {
        return Some(found);
    }
    if let Some(domain) = domain_of(hop) {
        if let Some(found) = find(domain.as_str()) {
            return Some(found);
        }
        let parents = domain.as_str().match_indices('.').map(|(dot, _)| &domain.as_str()[dot..]);
        if let Some(found) =
            parents.filter(|_| domain.literal().is_none()).find_map(|p| find(&format!("*{p}")))
        {
            return Some(found);
        }
    }
    find("*")
}

/// A hop read as a domain, or what stands before its port.
fn domain_of(hop: &NextHop) -> Option<Domain> {
    let text = hop.as_str();
    if let Ok(domain) = text.parse() {
        return Some(domain);
    }
    let (host, port) = text.rsplit_once(':')?;
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let address =
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).and_then(|h| h.parse::<IpAddr>().ok());
    address.map(Domain::from).or_else(|| host.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(patterns: &[&str]) -> Peers {
        patterns.iter().fold(Peers::default(), |peers, text| {
            let peer = Peer { origin: text.to_string(), ..Peer::default() };
            peers.with(text.parse().unwrap(), peer)
        })
    }

    fn at(peers: &Peers, hop: &str) -> String {
        peers.at(&NextHop::new(hop)).origin.clone()
    }

    #[test]
    fn the_most_specific_pattern_counts() {
        let peers = table(&[
            "*",
            "*.example.org",
            "example.org",
            "*.b.example.org",
            "[192.0.2.1]:25",
            "[192.0.2.1]",
            "/run/lmtp",
            "relay.example.net:587",
            "relay.example.net",
            "[IPv6:2001:db8::1]",
        ]);
        for (hop, pattern) in [
            ("example.org", "example.org"),
            ("EXAMPLE.org", "example.org"),
            ("a.example.org", "*.example.org"),
            ("a.b.example.org", "*.b.example.org"),
            ("b.example.org", "*.example.org"),
            ("notexample.org", "*"),
            ("a.example.org:25", "*.example.org"),
            ("relay.example.net:587", "relay.example.net:587"),
            ("relay.example.net:25", "relay.example.net"),
            ("[192.0.2.1]:25", "[192.0.2.1]:25"),
            ("[192.0.2.1]:26", "[192.0.2.1]"),
            ("[2001:db8::1]:25", "[IPv6:2001:db8::1]"),
            ("[192.0.2.2]:25", "*"),
            ("/run/lmtp", "/run/lmtp"),
            ("/run/other", "*"),
            ("", "*"),
        ] {
            assert_eq!(at(&peers, hop), pattern, "{hop}");
        }
    }

    #[test]
    fn the_default_holds_where_nothing_is_said() {
        assert_eq!(at(&Peers::default(), "example.org"), "default");
        assert_eq!(at(&table(&["example.org", "*.example.com"]), "example.com"), "default");
    }

    #[test]
    fn of_two_entries_with_one_pattern_the_later_counts() {
        let later = Peer { concurrency: 1, ..Peer::default() };
        let peers = table(&["example.org"]).with("Example.org".parse().unwrap(), later);
        assert_eq!(peers.at(&NextHop::new("example.org")).concurrency, 1);
    }

    #[test]
    fn what_names_no_peer_says_what_would() {
        for text in ["", "a b", "ex*mple.org", "*.", "-a", "a:b c", "under score", "a@b"] {
            let error = text.parse::<PeerPattern>().unwrap_err().to_string();
            assert!(error.contains("*.example.org"), "{error}");
        }
    }
}
