//! Sources: how fast a sender or a tenant may go, and what goes before what.
//!
//! A *tenant* is the domain of ours on whose behalf a message travels. Plain data, read at each use; whoever counts
//! messages against a rate keeps the count. Priorities are those of RFC 6710.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::Rate;
use crate::message::{Domain, Mailbox};
use crate::route::Pattern;

/// A priority of RFC 6710: from -9, what can wait, to 9, what cannot; 0 for all that nothing is said about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Priority(i8);

/// The number is no priority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no priority: expected a whole number from -9 (last) to 9 (first)")]
pub struct PriorityError(i64);

impl Priority {
    /// Neither urgent nor patient.
    pub const NORMAL: Self = Self(0);

    /// The number, from -9 to 9.
    pub const fn get(self) -> i8 {
        self.0
    }
}

impl TryFrom<i64> for Priority {
    type Error = PriorityError;

    fn try_from(number: i64) -> Result<Self, PriorityError> {
        match i8::try_from(number) {
            Ok(small @ -9..=9) => Ok(Self(small)),
            _ => Err(PriorityError(number)),
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which addresses an entry speaks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressPattern {
    /// The null sender `<>`: reports.
    Null,
    /// This address, whatever its case.
    Mailbox(Mailbox),
    /// Addresses in these domains.
    Domain(Pattern),
}

/// The text is no pattern of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no address: expected \"ann@example.org\", \"example.org\", \"*.example.org\", \"*\" or \"<>\""
)]
pub struct AddressPatternError(String);

impl FromStr for AddressPattern {
    type Err = AddressPatternError;

    fn from_str(text: &str) -> Result<Self, AddressPatternError> {
        let error = || AddressPatternError(text.chars().take(60).collect());
        match text {
            "<>" => Ok(Self::Null),
            _ if text.starts_with("*@") => Err(error()), // a valid address, and never what is meant
            _ if text.contains('@') => text.parse().map(Self::Mailbox).map_err(|_| error()),
            _ => text.parse().map(Self::Domain).map_err(|_| error()),
        }
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => f.write_str(&mailbox.folded()),
            Self::Domain(pattern) => pattern.fmt(f),
        }
    }
}

/// A table from patterns of addresses to values; the most specific pattern counts: the address, its domain, the
/// longest `*.parent`, `*`. The null sender matches `<>` alone.
#[derive(Debug, Clone)]
struct Table<T>(HashMap<String, T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Copy> Table<T> {
    fn address(&self, address: &str) -> Option<T> {
        if self.0.is_empty() {
            return None;
        }
        if address.is_empty() {
            return self.0.get("<>").copied();
        }
        let mailbox: Mailbox = address.parse().ok()?;
        self.0.get(&mailbox.folded()).copied().or_else(|| self.domain(mailbox.domain()))
    }

    fn domain(&self, domain: &Domain) -> Option<T> {
        if self.0.is_empty() {
            return None;
        }
        let name = domain.as_str();
        let parents = name.match_indices('.').map(|(dot, _)| format!("*{}", &name[dot..]));
        let patterns = std::iter::once(name.to_owned()).chain(parents).chain(["*".to_owned()]);
        patterns.into_iter().find_map(|pattern| self.0.get(&pattern).copied())
    }
}

/// How fast a message's source may go; `None` without bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SourceRates {
    /// Messages of this sender's address, to anywhere.
    pub sender: Option<Rate>,
    /// Messages of this tenant, to anywhere.
    pub tenant: Option<Rate>,
}

/// Rates and priorities by sender, tenant and recipient.
///
/// A rate is counted for each sender's address, or each tenant's domain, that an entry matches: `*.example.org` with 10
/// a minute gives 10 to each of them, not 10 to all together.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    sender_rates: Table<Option<Rate>>,
    tenant_rates: Table<Option<Rate>>,
    sender_priorities: Table<Priority>,
    tenant_priorities: Table<Priority>,
    recipient_priorities: Table<Priority>,
    /// Where each rate was decided: tables of places in the list.
    sender_origins: Table<usize>,
    tenant_origins: Table<usize>,
    origins: Vec<String>,
}

impl Sources {
    /// No bounds, and one priority for all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rate for senders; `None` lifts the bound.
    #[must_use]
    pub fn with_sender_rate(mut self, pattern: &AddressPattern, rate: Option<Rate>) -> Self {
        self.sender_origins.0.insert(pattern.to_string(), self.origins.len());
        self.origins.push(format!("sender {pattern}"));
        self.sender_rates.0.insert(pattern.to_string(), rate);
        self
    }

    /// Adds a rate for tenants; `None` lifts the bound.
    #[must_use]
    pub fn with_tenant_rate(mut self, pattern: &Pattern, rate: Option<Rate>) -> Self {
        self.tenant_origins.0.insert(pattern.to_string(), self.origins.len());
        self.origins.push(format!("tenant {pattern}"));
        self.tenant_rates.0.insert(pattern.to_string(), rate);
        self
    }

    /// Says where the rate added last was decided, for explanations: a line of a configuration. Otherwise it is named by
    /// its pattern.
    #[must_use]
    pub fn decided_at(mut self, origin: &str) -> Self {
        if let Some(last) = self.origins.last_mut() {
            *last = origin.to_owned();
        }
        self
    }

    /// Where the rate of a sender (empty for the null sender) was decided; `default` if no entry speaks about it.
    pub fn sender_origin(&self, sender: &str) -> &str {
        self.origin(self.sender_origins.address(sender))
    }

    /// Where the rate of a tenant was decided; `default` if no entry speaks about it.
    pub fn tenant_origin(&self, tenant: &Domain) -> &str {
        self.origin(self.tenant_origins.domain(tenant))
    }

    fn origin(&self, at: Option<usize>) -> &str {
        at.and_then(|at| self.origins.get(at)).map_or("default", String::as_str)
    }

    /// Adds a priority for what these senders send.
    #[must_use]
    pub fn with_sender_priority(mut self, pattern: &AddressPattern, priority: Priority) -> Self {
        self.sender_priorities.0.insert(pattern.to_string(), priority);
        self
    }

    /// Adds a priority for what travels on behalf of these tenants.
    #[must_use]
    pub fn with_tenant_priority(mut self, pattern: &Pattern, priority: Priority) -> Self {
        self.tenant_priorities.0.insert(pattern.to_string(), priority);
        self
    }

    /// Adds a priority for what goes to these recipients.
    #[must_use]
    pub fn with_recipient_priority(mut self, pattern: &AddressPattern, priority: Priority) -> Self {
        self.recipient_priorities.0.insert(pattern.to_string(), priority);
        self
    }

    /// How fast messages of `sender` (empty for the null sender) on behalf of `tenant` may go. A null sender has no
    /// rate unless an entry for `<>` gives one, whatever `*` says: reports are not the work of one hand.
    pub fn rate(&self, sender: &str, tenant: Option<&Domain>) -> SourceRates {
        SourceRates {
            sender: self.sender_rates.address(sender).flatten(),
            tenant: tenant.and_then(|tenant| self.tenant_rates.domain(tenant)).flatten(),
        }
    }

    /// What goes before what. The sender's entry counts before the recipient's, and that before the tenant's: whoever
    /// sends a newsletter knows best that it can wait, even where it goes to somebody important.
    pub fn priority(&self, sender: &str, tenant: Option<&Domain>, recipient: &Mailbox) -> Priority {
        let sender = self.sender_priorities.address(sender);
        let recipient = || self.recipient_priorities.address(&recipient.to_string());
        let tenant = || tenant.and_then(|tenant| self.tenant_priorities.domain(tenant));
        sender.or_else(recipient).or_else(tenant).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn a_minute(count: u32) -> Option<Rate> {
        Some(Rate::new(count, Duration::from_secs(60)))
    }

    fn pattern(text: &str) -> AddressPattern {
        text.parse().unwrap()
    }

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    #[test]
    fn the_most_specific_rate_counts_and_none_lifts_it() {
        let sources = Sources::new()
            .with_sender_rate(&pattern("*"), a_minute(1))
            .with_tenant_rate(&"*".parse().unwrap(), a_minute(2))
            .with_sender_rate(&pattern("*.example.org"), a_minute(10))
            .with_sender_rate(&pattern("example.org"), a_minute(20))
            .with_sender_rate(&pattern("Boss@example.org"), None)
            .with_tenant_rate(&"example.net".parse().unwrap(), a_minute(30));
        let sender = |text: &str| sources.rate(text, None).sender;
        assert_eq!(sender("ann@example.org"), a_minute(20));
        assert_eq!(sender("ann@a.example.org"), a_minute(10));
        assert_eq!(sender("BOSS@example.org"), None);
        assert_eq!(sender("ann@elsewhere.example"), a_minute(1));
        assert_eq!(sender(""), None);
        let tenant = |text: &str| sources.rate("", Some(&domain(text))).tenant;
        assert_eq!((tenant("example.net"), tenant("a.example.net")), (a_minute(30), a_minute(2)));
        assert_eq!(sources.rate("ann@example.org", None).tenant, None);
        assert_eq!(sources.sender_origin("ann@a.example.org"), "sender *.example.org");
        let sources = sources.with_tenant_rate(&"*".parse().unwrap(), None).decided_at("iems.toml:7");
        assert_eq!(sources.tenant_origin(&domain("a.example.net")), "iems.toml:7");
        assert_eq!(sources.tenant_origin(&domain("example.net")), "tenant example.net");
    }

    #[test]
    fn the_senders_priority_counts_before_the_recipients_and_the_tenants() {
        let p = |n: i64| Priority::try_from(n).unwrap();
        let sources = Sources::new()
            .with_sender_priority(&pattern("news@example.org"), p(-5))
            .with_sender_priority(&pattern("<>"), p(-1))
            .with_recipient_priority(&pattern("*.hospital.example"), p(5))
            .with_tenant_priority(&"*".parse().unwrap(), p(-2));
        let (tenant, to) = (domain("example.org"), |text: &str| text.parse::<Mailbox>().unwrap());
        let of =
            |sender: &str, recipient: &str| sources.priority(sender, Some(&tenant), &to(recipient)).get();
        assert_eq!(of("news@example.org", "er@a.hospital.example"), -5);
        assert_eq!(of("ann@example.org", "er@a.hospital.example"), 5);
        assert_eq!(of("ann@example.org", "bob@example.com"), -2);
        assert_eq!(of("", "er@a.hospital.example"), -1);
        assert_eq!(sources.priority("ann@example.org", None, &to("bob@example.com")), Priority::NORMAL);
    }

    #[test]
    fn priorities_are_those_of_rfc_6710() {
        assert!((-9..=9).all(|n| Priority::try_from(n).is_ok_and(|p| i64::from(p.get()) == n)));
        assert!([-10, 10, 300, i64::MIN].iter().all(|n| Priority::try_from(*n).is_err()));
    }

    #[test]
    fn what_names_no_address_says_what_would() {
        for text in ["", "a b@c", "@", "*@example.org", "a*", "<a@b>"] {
            assert!(text.parse::<AddressPattern>().unwrap_err().to_string().contains("ann@example.org"));
        }
    }
}
