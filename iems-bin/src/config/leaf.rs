//! The values that stand in a configuration: durations, sizes, addresses, networks, names.
//!
//! Each is checked where it is read, so that nothing later parses text again.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use iems_access::pop3::UidlFormat;
use iems_core::message::{CheckResult, Domain, Mailbox};
use iems_core::preprocess::Action;
use iems_core::queue::{AddressPattern, PeerPattern, Priority, Rate, RateError};
use iems_core::receive::Network;
use iems_core::route::Pattern;
use iems_core::seam::CertificateMark;
use iems_smtp::client::Hop;
use toml::Spanned;
use toml::de::DeValue;

use super::problem::Notes;
use super::read::{FromToml, mismatch};

/// Declares a type that is read from a string by a function `fn(&str) -> Option<Self>`.
macro_rules! from_text {
    ($($ty:ty, $expected:literal, $parse:expr;)*) => { $(
        impl FromToml for $ty {
            const EXPECTED: &'static str = $expected;

            fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                let read = value.get_ref().as_str().and_then(parse);
                if read.is_none() {
                    mismatch::<Self>(value, key, notes);
                }
                read
            }
        }
    )* };
}

from_text! {
    String, "a text in quotes", |text| Some(text.to_owned());
    Duration, "a duration such as \"30s\", \"5m\", \"4h\" or \"5d\"", duration;
    Size, "a size such as \"64KiB\", \"50MiB\" or \"2GiB\"", |text| size(text).map(Size);
    SocketAddr, "an address and port such as \"127.0.0.1:2525\" or \"[::1]:2525\"", |text| text.parse().ok();
    IpAddr, "an IP address such as \"192.0.2.1\" or \"2001:db8::1\"", |text| text.parse().ok();
    Network, "a network such as \"192.0.2.0/24\", \"2001:db8::/32\" or \"192.0.2.7\"", |text| text.parse().ok();
    Pattern, "\"example.org\", \"*.example.org\" or \"*\"", |text| text.parse().ok();
    Domain, "a domain name such as \"mx.example.org\"", |text| text.parse().ok();
    Mailbox, "an address such as \"ann@example.org\"", |text| text.parse().ok();
    PeerPattern, "\"example.org\", \"*.example.org\", \"*\" or a next hop such as \"[192.0.2.1]:25\" or \"/run/lmtp\"", peer;
    AddressPattern, "\"ann@example.org\", \"example.org\", \"*.example.org\", \"*\" or \"<>\"", |text| text.parse().ok();
    CertificateMark, "the SHA-256 of a certificate, 64 hexadecimal digits", |text| text.parse().ok();
    UidlFormat, "a form with %u for the UID and %v for the UIDVALIDITY such as \"%08Xu%08Xv\" (70 visible characters at most)", |text| text.parse().ok();
    NameServer, "a name server such as \"192.0.2.53\" or \"127.0.0.1:5353\"", NameServer::parse;
}

impl FromToml for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            mismatch::<Self>(value, key, notes);
        }
        read
    }
}

/// A count: from 1 to a billion.
impl FromToml for u32 {
    const EXPECTED: &'static str = "a whole number from 1 to 1000000000";

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        let number = value.get_ref().as_integer();
        let read = number.and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
        let read = read.filter(|n| (1..=1_000_000_000).contains(n));
        if read.is_none() {
            mismatch::<Self>(value, key, notes);
        }
        read
    }
}

/// A priority of RFC 6710.
impl FromToml for Priority {
    const EXPECTED: &'static str = "a whole number from -9 (last) to 9 (first)";

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        let number = value.get_ref().as_integer();
        let number = number.and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        let read = number.and_then(|n| Self::try_from(n).ok());
        if read.is_none() {
            mismatch::<Self>(value, key, notes);
        }
        read
    }
}

/// A rate, or none where one would be inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateBound(pub(crate) Option<Rate>);

impl FromToml for RateBound {
    const EXPECTED: &'static str =
        "messages and a time such as \"100/1m\", \"5/s\" or \"1000/1h\", or \"none\"";

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        match value.get_ref().as_str().map(|text| (text, text.parse::<Rate>())) {
            Some(("none", _)) => return Some(Self(None)),
            Some((_, Ok(rate))) => return Some(Self(Some(rate))),
            None | Some((_, Err(RateError::Form(_)))) => mismatch::<Self>(value, key, notes),
            Some((_, Err(error))) => notes.add(Some(&value.span()), key, format!("{key}: {error}")),
        }
        None
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneOrMore<T>(pub(crate) Vec<T>);

impl<T: FromToml> FromToml for OneOrMore<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        match value.get_ref().as_array() {
            Some(list) if list.is_empty() => {
                let message =
                    format!("{key}: expected at least one of: {}, found an empty list", T::EXPECTED);
                notes.add(Some(&value.span()), key, message);
                None
            }
            Some(_) => Vec::read(value, key, notes).map(Self),
            None => T::read(value, key, notes).map(|one| Self(vec![one])),
        }
    }
}

/// A score.
impl FromToml for f32 {
    const EXPECTED: &'static str = "a number such as 4.5";

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        let text = match value.get_ref() {
            DeValue::Integer(number) => Some(number.as_str()),
            DeValue::Float(number) => Some(number.as_str()),
            _ => None,
        };
        let read = text.and_then(|text| text.parse().ok()).filter(|number: &f32| number.is_finite());
        if read.is_none() {
            mismatch::<Self>(value, key, notes);
        }
        read
    }
}

/// Declares a type whose values are words; the nearest is named when another is found.
macro_rules! words {
    ($($ty:ty, $expected:literal, { $($word:literal => $value:expr),* $(,)? };)*) => { $(
        impl FromToml for $ty {
            const EXPECTED: &'static str = $expected;

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                key: &str,
                notes: &mut $crate::config::problem::Notes<'_>,
            ) -> Option<Self> {
                match value.get_ref().as_str() {
                    $( Some($word) => return Some($value), )*
                    Some(found) => {
                        let near = $crate::config::problem::nearest(found, &[$($word),*]).unwrap_or_default();
                        let message = format!(
                            "{key}: expected {}, found {found:?}: did you mean {near:?}?",
                            Self::EXPECTED
                        );
                        notes.add(Some(&value.span()), key, message);
                    }
                    None => $crate::config::read::mismatch::<Self>(value, key, notes),
                }
                None
            }
        }
    )* };
}

pub(super) use words;

words! {
    Action, "one of accept, tag, junk, discard, defer, refuse", {
        "accept" => Action::Accept, "tag" => Action::Tag, "junk" => Action::Junk,
        "discard" => Action::Discard, "defer" => Action::Defer, "refuse" => Action::Refuse,
    };
    CheckResult, "one of pass, neutral, fail, temperror, permerror", {
        "pass" => CheckResult::Pass, "neutral" => CheckResult::Neutral, "fail" => CheckResult::Fail,
        "temperror" => CheckResult::TempError, "permerror" => CheckResult::PermError,
    };
}

/// A size in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// A name server; the port is 53 unless given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameServer(pub(crate) SocketAddr);

impl NameServer {
    fn parse(text: &str) -> Option<Self> {
        let plain = || text.parse().ok().map(|ip| SocketAddr::new(ip, 53));
        text.parse().ok().or_else(plain).map(Self)
    }
}

/// A domain pattern, or a next hop in the spelling that the channels use.
fn peer(text: &str) -> Option<PeerPattern> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(PeerPattern::Domain(Pattern::Exactly(ip.into())));
    }
    match text.parse().ok()? {
        PeerPattern::Hop(hop) => hop.as_str().parse::<Hop>().ok()?.to_string().parse().ok(),
        pattern => Some(pattern),
    }
}

/// `90s`, `5m`, `4h`, `5d`, `1w`, `250ms`, or several in a row: `1h30m`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let millis = match rest[digits..unit].trim() {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = &rest[unit..];
    }
    (total <= Duration::from_secs(3650 * 86_400)).then_some(total)
}

/// `4096`, `64KiB`, `50MiB`, `2GiB`, and with `KB`, `MB`, `GB` the powers of ten.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        "TiB" | "T" => 1 << 40,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_spelled_as_the_channels_do() {
        for (text, wanted) in [
            ("Example.ORG", "example.org"),
            ("*.example.org", "*.example.org"),
            ("192.0.2.1", "[192.0.2.1]"),
            ("192.0.2.1:25", "[192.0.2.1]:25"),
            ("2001:DB8::1", "[IPv6:2001:db8::1]"),
            ("[2001:DB8::1]", "[IPv6:2001:db8::1]"),
            ("[2001:DB8::1]:25", "[2001:db8::1]:25"),
            ("Relay.example.org:587", "relay.example.org:587"),
            ("/run/lmtp", "/run/lmtp"),
        ] {
            assert_eq!(peer(text).map(|pattern| pattern.to_string()).as_deref(), Some(wanted));
        }
        for text in ["", "relay:0", "[::1", "a b", "lmtp:/run/lmtp", "smtp:relay.example.org"] {
            assert_eq!(peer(text), None, "{text}");
        }
    }

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(size("50MiB"), Some(50 << 20));
        for text in ["", "5", "5 days", "d5", "-1s", "999999999999999999999s", "18446744073709551615w"] {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["", "MiB", "5XB", "-1", "99999999999TiB", "5.5MiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
