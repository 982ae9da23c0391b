//! `NAME=value` words of `XCLIENT` and `XFORWARD` (Postfix's XCLIENT_README, XFORWARD_README): xtext, and words for what is not known.

use std::net::{IpAddr, Ipv6Addr};

use super::xtext;

/// The longest value, in octets.
const LONGEST: usize = 255;

/// Name in upper case and value of each word; `None` for a value that is not known (`[UNAVAILABLE]`, `[TEMPUNAVAIL]`). `None` in all
/// if there is no word, or one is not well-formed.
pub(super) fn words(text: &str) -> Option<Vec<(String, Option<String>)>> {
    let words = text.split(' ').filter(|word| !word.is_empty());
    let read = words.map(|word| {
        let (name, value) = word.split_once('=')?;
        let value = xtext::decode(value).ok()?;
        let unknown = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|word| value.eq_ignore_ascii_case(word));
        Some((name.to_ascii_uppercase(), Some(value).filter(|_| !unknown)))
    });
    read.collect::<Option<Vec<_>>>().filter(|words| !words.is_empty())
}

/// One visible word of ASCII.
pub(super) fn word(value: Option<String>) -> Result<Option<String>, ()> {
    let fits =
        |text: &str| !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_graphic());
    match value {
        Some(text) if !fits(&text) => Err(()),
        value => Ok(value),
    }
}

/// An IPv4 address, or `IPV6:` and an IPv6 address.
pub(super) fn address(value: Option<String>) -> Result<Option<IpAddr>, ()> {
    let Some(text) = value else { return Ok(None) };
    match text.get(..5).filter(|head| head.eq_ignore_ascii_case("IPV6:")) {
        Some(_) => text[5..].parse::<Ipv6Addr>().map(IpAddr::V6).map(Some).map_err(drop),
        None => text.parse().map(Some).map_err(drop),
    }
}

/// A port.
pub(super) fn port(value: Option<String>) -> Result<Option<u16>, ()> {
    value.map(|value| value.parse()).transpose().map_err(drop)
}

/// An address as these commands write it.
pub(super) fn written(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("IPV6:{v6}"),
    }
}

/// `NAME=value`; `[UNAVAILABLE]` where it is not known, or cannot be said.
pub(super) fn told(name: &str, value: Option<&str>) -> String {
    match value.filter(|value| !value.is_empty() && value.len() <= LONGEST) {
        Some(value) => format!("{name}={}", xtext::encode(value)),
        None => format!("{name}=[UNAVAILABLE]"),
    }
}
