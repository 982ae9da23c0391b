//! `XCLIENT` (Postfix's XCLIENT_README): a trusted host says for whom it speaks.
//!
//! `NAME`, `ADDR` and `PORT` are known. Whoever is announced says its own name in the `EHLO` that follows.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::xtext;

/// For whom a trusted host speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// `NAME`: the name that its address has; `Some(None)` if it has none, or it cannot be found out now.
    pub name: Option<Option<String>>,
    /// `ADDR`; `None` if it is not told or not known.
    pub address: Option<IpAddr>,
    /// `PORT`; `None` if it is not told or not known.
    pub port: Option<u16>,
}

/// The attributes, as the reply to `EHLO` has them.
pub(crate) const ATTRIBUTES: &str = "XCLIENT NAME ADDR PORT";

impl Claim {
    /// Reads the attributes; `None` if one is not known, or not well-formed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut claim = Self::default();
        let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
        words.peek()?;
        for word in words {
            let (attribute, value) = word.split_once('=')?;
            let value = xtext::decode(value).ok()?;
            let known =
                !["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|word| value.eq_ignore_ascii_case(word));
            let value = known.then_some(value);
            match attribute.to_ascii_uppercase().as_str() {
                "NAME" => {
                    let fits = |name: &String| {
                        !name.is_empty()
                            && name.len() <= 255
                            && name.bytes().all(|octet| octet.is_ascii_graphic())
                    };
                    let name = match value {
                        Some(name) => Some(Some(name).filter(fits)?),
                        None => None,
                    };
                    claim.name = Some(name);
                }
                "ADDR" => claim.address = value.map(|value| address(&value).ok_or(())).transpose().ok()?,
                "PORT" => claim.port = value.map(|value| value.parse()).transpose().ok()?,
                _ => return None,
            }
        }
        Some(claim)
    }
}

/// An IPv4 address, or `IPV6:` and an IPv6 address.
fn address(text: &str) -> Option<IpAddr> {
    match text.get(..5).filter(|head| head.eq_ignore_ascii_case("IPV6:")) {
        Some(_) => text[5..].parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XCLIENT")?;
        match &self.name {
            None => {}
            Some(None) => f.write_str(" NAME=[UNAVAILABLE]")?,
            Some(Some(name)) => write!(f, " NAME={}", xtext::encode(name))?,
        }
        match self.address {
            None => f.write_str(" ADDR=[UNAVAILABLE]")?,
            Some(IpAddr::V6(v6)) => write!(f, " ADDR=IPV6:{v6}")?,
            Some(v4) => write!(f, " ADDR={v4}")?,
        }
        match self.port {
            Some(port) => write!(f, " PORT={port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_print_as_they_are_read() {
        for (text, printed) in [
            ("NAME=spike.example.org ADDR=192.0.2.1", "XCLIENT NAME=spike.example.org ADDR=192.0.2.1"),
            ("port=40000 addr=ipv6:2001:db8::1", "XCLIENT ADDR=IPV6:2001:db8::1 PORT=40000"),
            ("NAME=[tempunavail] ADDR=[UNAVAILABLE]", "XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]"),
            ("NAME=a+2Bb  ADDR=192.0.2.1", "XCLIENT NAME=a+2Bb ADDR=192.0.2.1"),
        ] {
            let claim = Claim::parse(text).unwrap();
            assert_eq!(claim.to_string(), printed);
            assert_eq!(Claim::parse(&printed[8..]), Some(claim));
        }
        for text in [
            "",
            "ADDR",
            "ADDR=x",
            "ADDR=192.0.2.1 LOGIN=ann",
            "PORT=70000",
            "NAME=a+20b",
            "NAME=+0A",
            "ADDR=IPV6:192.0.2.1",
            "NAME=",
        ] {
            assert_eq!(Claim::parse(text), None, "{text}");
        }
    }
}
