//! Who may relay: the networks and domains for which mail to others is accepted.

use std::net::IpAddr;
use std::str::FromStr;

use super::Connection;
use crate::message::Mailbox;

/// A network such as `192.0.2.0/24`, `2001:db8::/32` or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It is neither an address nor a range.
    #[error(
        "not a network: expected an address such as 192.0.2.1, or a range such as 192.0.2.0/24 or 2001:db8::/32"
    )]
    Syntax,
    /// Bits behind the length of the range are set: one address may be meant, or all around it.
    #[error("not a network: the address has bits behind its first {}; write {meant} or {}", .meant.prefix, .found)]
    Bits {
        /// The address.
        found: IpAddr,
        /// The range around it.
        meant: Network,
    },
}

impl FromStr for Network {
    type Err = NetworkError;

    /// An IPv4-mapped address or range is taken for what it maps.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let found: IpAddr = address.parse().map_err(|_| NetworkError::Syntax)?;
        let longest = if found.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| NetworkError::Syntax)?,
            None => longest,
        };
        if prefix > longest {
            return Err(NetworkError::Syntax);
        }
        let meant = Self { address: found, prefix }.masked();
        match meant.address == found || meant.address == found.to_canonical() {
            true => Ok(meant),
            false => Err(NetworkError::Bits { found, meant }),
        }
    }
}

impl Network {
    /// The network of so many leading bits around an address: `v4` of an IPv4 address (IPv4-mapped counts as that), `v6` of an
    /// IPv6 address.
    pub fn around(address: IpAddr, v4: u8, v6: u8) -> Self {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { v4.min(32) } else { v6.min(128) };
        Self { address, prefix }.masked()
    }

    /// The same with all bits behind its length zero, so that equal networks are equal values.
    #[must_use]
    pub fn masked(self) -> Self {
        let (address, prefix) = match self.address.to_canonical() {
            IpAddr::V4(v4) if self.address.is_ipv6() && self.prefix >= 96 => {
                (IpAddr::V4(v4), self.prefix - 96)
            }
            IpAddr::V4(_) if self.address.is_ipv6() => (self.address, self.prefix),
            address => (address, self.prefix),
        };
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(v6) & mask).into())
            }
        };
        Self { address, prefix }
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits its addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// As people write it: a single address without its length.
    pub fn short(&self) -> impl std::fmt::Display + use<> {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        match self.prefix == longest {
            true => self.address.to_string(),
            false => self.to_string(),
        }
    }

    /// Whether every address of its kind is in it.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether `ip` is in it. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (u32::from(own) ^ u32::from(ip)) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (u128::from(own) ^ u128::from(ip)) & mask == 0
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// For whom mail to other systems is accepted. Accounts that have proved who they are may always relay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relay {
    /// Clients in these networks may send to anybody. Default none.
    pub networks: Vec<Network>,
    /// Anybody may send to these domains, and to names below an entry that begins with a dot in the
    /// configuration's `*.` form: domains we are a gateway or backup for. Default none.
    pub domains: Vec<crate::route::Pattern>,
}

impl Relay {
    /// Whether `connection` may send to `mailbox` of another system. A local program (no peer address) may.
    ///
    /// A stranger may not name a way beyond one of the `domains` (`user%other@domain`, `other!user@domain`,
    /// `"user@other"@domain`): the next system trusts us, and might go on from there to anybody.
    pub fn allows(&self, connection: &Connection, mailbox: &Mailbox) -> bool {
        connection.account.is_some()
            || self.trusts(connection)
            || (self.domains.iter().any(|pattern| pattern.matches(mailbox.domain()))
                && !mailbox.local().as_str().contains(['@', '%', '!']))
    }

    /// Whether `connection` comes from one of the networks, or from this machine's own programs.
    pub fn trusts(&self, connection: &Connection) -> bool {
        connection.ip().is_none_or(|ip| self.networks.iter().any(|network| network.contains(ip)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_shares_their_prefix() {
        let net = |text: &str| text.parse::<Network>().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(net("10.0.0.0/8").contains(ip("10.255.1.2")) && !net("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(
            net("0.0.0.0/0").contains(ip("203.0.113.9")) && net("127.0.0.1").contains(ip("::ffff:127.0.0.1"))
        );
        assert!(net("2001:db8::/32").contains(ip("2001:db8:1::1")) && !net("0.0.0.0/0").contains(ip("::1")));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "x/8", "::/129", "10.0.0.0/-1"] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError::Syntax), "{bad}");
        }
    }

    #[test]
    fn who_sets_bits_behind_the_length_hears_what_may_be_meant() {
        for (written, meant) in [
            ("192.0.2.7/24", "write 192.0.2.0/24 or 192.0.2.7"),
            ("2001:db8::1/32", "write 2001:db8::/32 or 2001:db8::1"),
            ("10.0.0.0/0", "write 0.0.0.0/0 or 10.0.0.0"),
        ] {
            let error = written.parse::<Network>().unwrap_err().to_string();
            assert!(error.ends_with(meant), "{error}");
        }
    }

    #[test]
    fn what_is_mapped_is_what_it_maps() {
        for (mapped, plain) in [("::ffff:192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.0/120", "192.0.2.0/24")] {
            assert_eq!(mapped.parse::<Network>(), plain.parse());
        }
    }
}
