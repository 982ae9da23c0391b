//! The route table: from a domain to the way out.

use crate::message::{ChannelId, Domain, NextHop, Reply};

/// Where mail for a domain goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// To an output channel.
    Channel {
        /// Which one.
        channel: ChannelId,
        /// The next hop in its words; `None` lets the channel choose by the recipient.
        hop: Option<NextHop>,
    },
    /// As the directory says: the domain must be one of ours.
    Local,
    /// Nowhere: it is refused with this reply.
    Refuse(Reply),
}

/// Which domains an entry speaks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// This domain.
    Exactly(Domain),
    /// Every domain below this one, not itself: `*.example.org`.
    Below(Domain),
    /// Every domain: `*`.
    Any,
}

impl std::str::FromStr for Pattern {
    type Err = crate::message::AddressError;

    /// `example.org`, `*.example.org` or `*`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "*" => Ok(Self::Any),
            _ => match text.strip_prefix("*.") {
                Some(parent) => Ok(Self::Below(parent.parse()?)),
                None => Ok(Self::Exactly(text.parse()?)),
            },
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(domain) => domain.fmt(f),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl Pattern {
    /// Whether it speaks about `domain`.
    pub fn matches(&self, domain: &Domain) -> bool {
        match self {
            Self::Exactly(own) => own == domain,
            Self::Below(parent) => domain != parent && domain.is_within(parent),
            Self::Any => true,
        }
    }

    fn rank(&self) -> usize {
        match self {
            Self::Exactly(_) => usize::MAX,
            Self::Below(parent) => parent.as_str().len(),
            Self::Any => 0,
        }
    }
}

/// Entries from patterns to ways out; the most specific one counts.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    entries: Vec<(Pattern, Via)>,
}

impl RouteTable {
    /// A table without entries: nothing leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry. Of two with the same pattern, the later one counts.
    #[must_use]
    pub fn with(mut self, pattern: Pattern, via: Via) -> Self {
        self.entries.push((pattern, via));
        self
    }

    /// The entry for `domain`.
    pub fn at(&self, domain: &Domain) -> Option<(&Pattern, &Via)> {
        let hits = self.entries.iter().filter(|(pattern, _)| pattern.matches(domain));
        hits.max_by_key(|(pattern, _)| pattern.rank()).map(|(pattern, via)| (pattern, via))
    }

    /// The entry for `domain`, unless it is the one for every domain.
    pub fn named(&self, domain: &Domain) -> Option<(&Pattern, &Via)> {
        self.at(domain).filter(|(pattern, _)| **pattern != Pattern::Any)
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = &(Pattern, Via)> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_entry_counts() {
        let to = |hop: &str| Via::Channel { channel: ChannelId::new("smtp"), hop: Some(NextHop::new(hop)) };
        let table = RouteTable::new()
            .with("example.org".parse().unwrap(), to("exact"))
            .with("*.example.org".parse().unwrap(), to("below"))
            .with("*.b.example.org".parse().unwrap(), to("deeper"))
            .with("*".parse().unwrap(), to("any"));
        let at = |domain: &str| table.at(&domain.parse().unwrap()).map(|(_, via)| via.clone());
        assert_eq!(at("example.org"), Some(to("exact")));
        assert_eq!(at("a.example.org"), Some(to("below")));
        assert_eq!(at("a.b.example.org"), Some(to("deeper")));
        assert_eq!(at("notexample.org"), Some(to("any")));
        assert!(table.named(&"notexample.org".parse().unwrap()).is_none());
    }
}
