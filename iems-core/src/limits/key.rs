//! Who is counted: what is known of somebody, and what of it a limit looks at.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::receive::Network;

/// What is known of whoever wants something. A limit per something that is not known does not apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Who<'a> {
    /// At which set of limits, besides those for all (see [`super::Limits::set`]). Its first word is its kind.
    pub scope: &'a str,
    /// The address it comes from; `None` for a local program.
    pub address: Option<IpAddr>,
    /// The account that it has proved to be.
    pub account: Option<&'a str>,
    /// The login that it claims, proved or not.
    pub login: Option<&'a str>,
}

impl<'a> Who<'a> {
    /// The first word of the scope.
    pub fn kind(&self) -> &'a str {
        self.scope.split(' ').next().unwrap_or_default()
    }
}

/// What a count or a ban is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Everybody together.
    All,
    /// A network; one address is the smallest.
    Network(Network),
    /// An account, in lower case.
    Account(String),
    /// A login that is claimed from a network, in lower case.
    Login(Network, String),
    /// Anything else that an embedder counts.
    Other(String),
}

/// The text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address (192.0.2.1), a network (192.0.2.0/24, 2001:db8::/64), an account (ann@example.org), or a login at a network (ann@example.org from 192.0.2.0/24)"
)]
pub struct KeyError;

/// The longest name in a key, in octets: a mailbox is never longer. What is longer is cut.
const LONGEST: usize = 320;

impl Key {
    /// One address: an IPv4 address, or the /64 of an IPv6 address, which one customer has.
    pub fn address(address: IpAddr) -> Self {
        Self::Network(Network::around(address, 32, 64))
    }

    /// The /24 of an IPv4 address or the /64 of an IPv6 address.
    pub fn network(address: IpAddr) -> Self {
        Self::Network(Network::around(address, 24, 64))
    }

    /// An account.
    pub fn account(name: &str) -> Self {
        Self::Account(folded(name))
    }

    /// A login that is claimed from the network of an address, whichever of its credentials it names: there are not more guesses
    /// the more names are made up.
    pub fn login(address: IpAddr, login: &str) -> Self {
        Self::Login(Network::around(address, 24, 64), folded(crate::seam::split_login(login).0))
    }
}

/// Cut to what can be kept, without regard to case.
fn folded(name: &str) -> String {
    let mut end = name.len().min(LONGEST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_lowercase()
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Network(network) => network.short().fmt(f),
            Self::Account(name) => f.write_str(name),
            Self::Login(network, login) => write!(f, "{login} from {}", network.short()),
            Self::Other(name) => write!(f, "={name}"),
        }
    }
}

impl FromStr for Key {
    type Err = KeyError;

    /// As [`fmt::Display`] writes it.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text == "all" {
            return Ok(Self::All);
        }
        if let Some(name) = text.strip_prefix('=') {
            return Ok(Self::Other(name.to_owned()));
        }
        if let Some((login, network)) = text.rsplit_once(" from ") {
            let network: Network = network.parse().map_err(|_| KeyError)?;
            return Ok(Self::Login(network, folded(login)));
        }
        match text.parse::<Network>() {
            Ok(network) => Ok(Self::Network(network)),
            Err(_) if text.contains('@') => Ok(Self::account(text)),
            Err(_) => Err(KeyError),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_print_as_they_are_read() {
        for text in [
            "all",
            "192.0.2.1",
            "192.0.2.0/24",
            "2001:db8::/64",
            "ann@example.org",
            "ann@example.org from 192.0.2.0/24",
            "a from b from 2001:db8::/64",
            "=anything at all",
        ] {
            let key: Key = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
        }
        for text in ["", "ann", "192.0.2.0/33", "x from y", "1.2.3"] {
            assert_eq!(text.parse::<Key>(), Err(KeyError), "{text:?}");
        }
    }

    #[test]
    fn addresses_fall_into_their_networks() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(Key::address(ip("::ffff:192.0.2.7")).to_string(), "192.0.2.7");
        assert_eq!(Key::network(ip("::ffff:192.0.2.7")).to_string(), "192.0.2.0/24");
        assert_eq!(Key::address(ip("2001:db8::1:2:3:4")).to_string(), "2001:db8::/64");
        assert_eq!(
            Key::login(ip("192.0.2.7"), "Ann@Example.ORG").to_string(),
            "ann@example.org from 192.0.2.0/24"
        );
        assert_eq!(
            Key::login(ip("192.0.2.7"), "ann@example.org/x"),
            Key::login(ip("192.0.2.7"), "ann@example.org")
        );
        let long = Key::account(&"é".repeat(1000)).to_string();
        assert!(long.len() <= LONGEST && long.chars().all(|c| c == 'é'));
    }
}
