//! A limit as it was configured. Plain data.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::key::{Key, Who};
use crate::receive::Network;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Act {
    /// A connection.
    Connection,
    /// A message that is begun.
    Message,
    /// A recipient that is accepted.
    Recipient,
    /// Octets of messages.
    Octets,
    /// A login that failed: a guess, perhaps.
    Failure,
    /// A breach of the protocol, such as talking before it is one's turn.
    Breach,
}

impl Act {
    /// What it is, in the plural.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::Message => "messages",
            Self::Recipient => "recipients",
            Self::Octets => "octets",
            Self::Failure => "failures",
            Self::Breach => "breaches",
        }
    }
}

/// For whom a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Per {
    /// Everybody together.
    All,
    /// Each IPv4 address, or IPv6 /64.
    Address,
    /// Each IPv4 /24, or IPv6 /64.
    Network,
    /// Each account.
    Account,
    /// Each login, from each network: it locks out whoever guesses, and not whose login it is.
    Login,
}

impl Per {
    /// Whom it is about here; `None` if that is not known.
    pub(super) fn key(self, who: &Who<'_>) -> Option<Key> {
        match self {
            Self::All => Some(Key::All),
            Self::Address => who.address.map(Key::address),
            Self::Network => who.address.map(Key::network),
            Self::Account => who.account.map(Key::account),
            Self::Login => Some(Key::login(who.address?, who.login?)),
        }
    }

    /// Whether it counts by where somebody comes from.
    const fn is_by_source(self) -> bool {
        matches!(self, Self::Address | Self::Network | Self::Login)
    }
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// So many at once. For connections.
    AtOnce(u64),
    /// So many in a time, evenly.
    Budget(Budget),
}

/// So many in a time: a whole count may go at once, then as fast as the time refills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many; 0 allows none.
    pub count: u64,
    /// In what time.
    pub per: Duration,
}

impl Budget {
    /// `count` in each `per`.
    pub const fn new(count: u64, per: Duration) -> Self {
        Self { count, per }
    }

    /// `count` a minute.
    pub const fn per_minute(count: u64) -> Self {
        Self::new(count, Duration::from_secs(60))
    }

    /// `count` an hour.
    pub const fn per_hour(count: u64) -> Self {
        Self::new(count, Duration::from_secs(3600))
    }
}

impl From<crate::queue::Rate> for Budget {
    fn from(rate: crate::queue::Rate) -> Self {
        Self::new(rate.count.into(), rate.per)
    }
}

/// When hitting a limit leads to a ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Hits that are let pass, refilled evenly over `span`. 0: the first hit bans.
    pub after: u32,
    /// How long a ban is. Longer than nothing.
    pub span: Duration,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limit {
    /// Its name as the configuration has it; the name of its counts, too. Unique within a set.
    pub name: Arc<str>,
    /// Where it was set, for people: `default`, or file and line.
    pub origin: Arc<str>,
    /// What is counted.
    pub act: Act,
    /// For whom.
    pub per: Per,
    /// How much.
    pub bound: Bound,
    /// How long something is delayed at most when more than half of a budget is used up; the delay grows with the use.
    /// Zero: not at all.
    pub slow: Duration,
    /// When to ban. `None`: never.
    pub ban: Option<Terms>,
    /// Who does not count, if the limit counts by source. Loopback unless changed: many programs share it.
    pub except: Arc<[Network]>,
    /// Only in scopes whose first word is one of these; empty: in all.
    pub only: Arc<[Box<str>]>,
}

impl Limit {
    /// A limit that neither slows nor bans, and excepts loopback.
    pub fn new(name: impl Into<Arc<str>>, act: Act, per: Per, bound: Bound) -> Self {
        let loopback = [
            Network::around([127, 0, 0, 1].into(), 8, 128),
            Network::around(std::net::Ipv6Addr::LOCALHOST.into(), 8, 128),
        ];
        Self {
            name: name.into(),
            origin: "default".into(),
            act,
            per,
            bound,
            slow: Duration::ZERO,
            ban: None,
            except: loopback.into(),
            only: [].into(),
        }
    }

    /// Set there.
    #[must_use]
    pub fn at(mut self, origin: impl Into<Arc<str>>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Delays up to `longest` before it refuses.
    #[must_use]
    pub fn slowing(mut self, longest: Duration) -> Self {
        self.slow = longest;
        self
    }

    /// Bans on these terms.
    #[must_use]
    pub fn banning(mut self, terms: Terms) -> Self {
        self.ban = Some(terms);
        self
    }

    /// These do not count, and nobody else is excepted.
    #[must_use]
    pub fn excepting(mut self, networks: impl Into<Arc<[Network]>>) -> Self {
        self.except = networks.into();
        self
    }

    /// Only in scopes whose first word is one of these.
    #[must_use]
    pub fn only(mut self, kinds: impl IntoIterator<Item = Box<str>>) -> Self {
        self.only = kinds.into_iter().collect();
        self
    }

    /// The key it counts `who` under, if it counts them.
    pub(super) fn key(&self, who: &Who<'_>) -> Option<Key> {
        if !self.only.is_empty() && !self.only.iter().any(|kind| **kind == *who.kind()) {
            return None;
        }
        let is_excepted = |address: IpAddr| self.except.iter().any(|network| network.contains(address));
        if self.per.is_by_source() && who.address.is_some_and(is_excepted) {
            return None;
        }
        self.per.key(who)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce(count) => write!(f, "{count} at once"),
            Self::Budget(budget) => {
                let secs = budget.per.as_secs();
                let (number, unit) = match secs {
                    0 => (budget.per.as_millis() as u64, "ms"),
                    _ if secs.is_multiple_of(86_400) => (secs / 86_400, "d"),
                    _ if secs.is_multiple_of(3600) => (secs / 3600, "h"),
                    _ if secs.is_multiple_of(60) => (secs / 60, "m"),
                    _ => (secs, "s"),
                };
                write!(f, "{}/{number}{unit}", budget.count)
            }
        }
    }
}
