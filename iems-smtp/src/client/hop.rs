//! Next hops of the SMTP and LMTP channels: what a [`NextHop`] of ours says, and what a route is written as.
//!
//! | next hop | means |
//! |---|---|
//! | `example.org` | the mail exchangers of this domain (SMTP); its port 24 (LMTP) |
//! | `[192.0.2.1]`, `[IPv6:2001:db8::1]` | this address: the domain of `user@[192.0.2.1]` |
//! | `host.example.org:25` | the addresses of this host, without asking for mail exchangers |
//! | `[192.0.2.1]:2526`, `[2001:db8::1]:2526` | this address and port |
//! | `/run/lmtp` | this socket in the file system |

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use iems_core::message::{Domain, NextHop};

/// The port of SMTP between systems.
pub const SMTP_PORT: u16 = 25;
/// The port of LMTP where none is given. Never 25 (RFC 2033 section 5).
pub const LMTP_PORT: u16 = 24;

/// A next hop, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hop {
    /// Whoever takes mail for this domain.
    Domain(Domain),
    /// This host, whatever its mail exchangers say.
    Host(Domain, u16),
    /// This address. Without a port where the recipient's domain is an address literal.
    Address(IpAddr, Option<u16>),
    /// A socket in the file system.
    Local(PathBuf),
}

/// The text is not a next hop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no next hop: expected a domain, host:port, [address]:port or /path")]
pub struct HopError(String);

impl FromStr for Hop {
    type Err = HopError;

    fn from_str(text: &str) -> Result<Self, HopError> {
        parse(text).ok_or_else(|| HopError(text.chars().take(300).collect()))
    }
}

fn parse(text: &str) -> Option<Hop> {
    if text.starts_with('/') {
        return if text.contains('\0') { None } else { Some(Hop::Local(text.into())) };
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let port = if port.is_empty() { None } else { Some(port_of(port.strip_prefix(':')?)?) };
        return Some(Hop::Address(address(inner)?, port));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => match host.parse::<IpAddr>() {
            Ok(ip) => ip.is_ipv4().then_some(Hop::Address(ip, Some(port_of(port)?))),
            Err(_) => Some(Hop::Host(host.parse().ok()?, port_of(port)?)),
        },
        None => Some(Hop::Domain(text.parse().ok()?)),
    }
}

/// What stands between the brackets: with the tag of RFC 5321 section 4.1.3, or without.
fn address(inner: &str) -> Option<IpAddr> {
    let tagged = inner.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    if tagged { inner[5..].parse().ok().map(IpAddr::V6) } else { inner.parse().ok() }
}

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Address(ip, Some(port)) => write!(f, "[{ip}]:{port}"),
            Self::Address(ip, None) => Domain::from(*ip).fmt(f),
            Self::Local(path) => path.display().fmt(f),
        }
    }
}

impl From<&Hop> for NextHop {
    fn from(hop: &Hop) -> Self {
        NextHop::new(&hop.to_string())
    }
}

/// Where a route leads, as the administrator writes it in `via`.
///
/// ```
/// use iems_smtp::client::Via;
/// let via: Via = "smtp:127.0.0.1:2526".parse().unwrap();
/// assert_eq!(via.next_hop().unwrap().as_str(), "[127.0.0.1]:2526");
/// assert!("mx".parse::<Via>().unwrap().next_hop().is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// `mx`: the SMTP channel, to the exchangers of the recipient's domain.
    Mx,
    /// `smtp:host[:port]`: the SMTP channel, to this host.
    Smtp(Hop),
    /// `lmtp:host[:port]` or `lmtp:/path`: the LMTP channel.
    Lmtp(Hop),
}

impl Via {
    /// The next hop, if it does not depend on the recipient.
    pub fn next_hop(&self) -> Option<NextHop> {
        match self {
            Self::Mx => None,
            Self::Smtp(hop) | Self::Lmtp(hop) => Some(hop.into()),
        }
    }
}

impl FromStr for Via {
    type Err = HopError;

    fn from_str(text: &str) -> Result<Self, HopError> {
        match text.split_once(':') {
            _ if text == "mx" => Ok(Self::Mx),
            Some(("smtp", to)) => Ok(Self::Smtp(fixed(to, SMTP_PORT)?)),
            Some(("lmtp", to)) => Ok(Self::Lmtp(fixed(to, LMTP_PORT)?)),
            _ => Err(HopError(text.chars().take(300).collect())),
        }
    }
}

/// A hop that says host and port: a bare name means the host of that name, not its exchangers.
fn fixed(text: &str, port: u16) -> Result<Hop, HopError> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Hop::Address(ip, Some(port)));
    }
    Ok(match text.parse()? {
        Hop::Domain(host) => Hop::Host(host, port),
        Hop::Address(ip, None) => Hop::Address(ip, Some(port)),
        hop => hop,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_print_as_they_are_read() {
        for text in [
            "example.org",
            "[192.0.2.1]",
            "[IPv6:2001:db8::1]",
            "mx.example.org:2526",
            "[192.0.2.1]:25",
            "[2001:db8::1]:25",
            "/run/lmtp",
            "localhost:24",
        ] {
            assert_eq!(text.parse::<Hop>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1:25".parse::<Hop>().unwrap().to_string(), "[192.0.2.1]:25");
    }

    #[test]
    fn what_is_no_hop() {
        for text in [
            "",
            "a b",
            "host:",
            "host:0",
            "host:70000",
            "[1.2.3]:25",
            "[::1",
            "::1:25",
            "[::1]x",
            ":25",
            "/a\0b",
        ] {
            assert!(text.parse::<Hop>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn routes_name_a_host_not_a_domain() {
        for (text, hop) in [
            ("smtp:relay.example.org", "relay.example.org:25"),
            ("smtp:relay.example.org:587", "relay.example.org:587"),
            ("smtp:127.0.0.1", "[127.0.0.1]:25"),
            ("smtp:[::1]", "[::1]:25"),
            ("lmtp:localhost", "localhost:24"),
            ("lmtp:/run/dovecot/lmtp", "/run/dovecot/lmtp"),
        ] {
            assert_eq!(text.parse::<Via>().unwrap().next_hop().unwrap().as_str(), hop);
        }
        for text in ["", "MX", "smtp", "smtp:", "lmtp:a b", "http:x", "smtp:host:port"] {
            assert!(text.parse::<Via>().is_err(), "{text:?}");
        }
    }
}
