//! Records: from text to terms (RFC 7208 sections 4.6, 5, 6 and 12). Pure.
//!
//! A record is read whole before any of it is evaluated: an error anywhere is a `permerror` (section 4.6).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::evaluate::SpfResult;
use super::text::Text;

/// The most terms of a record: far more than ten look-ups allow.
const MAX_TERMS: usize = 500;

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<Text>,
    pub(super) exp: Option<Text>,
}

/// A mechanism, and what a match means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Directive {
    pub(super) result: SpfResult,
    pub(super) mechanism: Mechanism,
    /// As it stands in the record, for people.
    pub(super) text: String,
}

/// Section 5.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mechanism {
    All,
    Include(Text),
    A(Option<Text>, Prefixes),
    Mx(Option<Text>, Prefixes),
    Ptr(Option<Text>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(Text),
}

/// `dual-cidr-length`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prefixes {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

/// Why a record cannot be used: the term at fault.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Malformed(pub(super) String);

/// What follows `v=spf1`, if that is the version of `text` (section 4.5).
pub(super) fn is_spf(text: &str) -> Option<&str> {
    let (version, rest) = (text.get(..6)?, &text[6..]);
    (version.eq_ignore_ascii_case("v=spf1") && (rest.is_empty() || rest.starts_with(' '))).then_some(rest)
}

/// Reads what follows the version.
pub(super) fn parse(terms: &str) -> Result<Record, Malformed> {
    let mut record = Record { directives: Vec::new(), redirect: None, exp: None };
    for (number, term) in terms.split(' ').filter(|term| !term.is_empty()).enumerate() {
        let malformed = || Malformed(term.chars().take(100).collect());
        if number >= MAX_TERMS || !term.bytes().all(|b| (0x21..=0x7E).contains(&b)) {
            return Err(malformed());
        }
        match modifier(term) {
            Some((name, value)) => modify(&mut record, name, value).ok_or_else(malformed)?,
            None => record.directives.push(directive(term).ok_or_else(malformed)?),
        }
    }
    Ok(record)
}

/// `name "=" macro-string`: the first of `=`, `:` and `/` is a `=`.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let at = term.find(['=', ':', '/']).filter(|at| term.as_bytes()[*at] == b'=')?;
    let (name, value) = (&term[..at], &term[at + 1..]);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(plain)).then_some((name, value))
}

fn modify(record: &mut Record, name: &str, value: &str) -> Option<()> {
    let place = match name.to_ascii_lowercase().as_str() {
        "redirect" => &mut record.redirect,
        "exp" => &mut record.exp,
        // Section 6: unknown ones are ignored if their syntax is right.
        _ => return Text::macro_string(value).map(drop),
    };
    match place.replace(Text::domain_spec(value)?) {
        None => Some(()),
        Some(_) => None,
    }
}

fn directive(term: &str) -> Option<Directive> {
    let (result, rest) = match term.as_bytes().first()? {
        b'+' => (SpfResult::Pass, &term[1..]),
        b'-' => (SpfResult::Fail, &term[1..]),
        b'~' => (SpfResult::SoftFail, &term[1..]),
        b'?' => (SpfResult::Neutral, &term[1..]),
        _ => (SpfResult::Pass, term),
    };
    Some(Directive { result, mechanism: mechanism(rest)?, text: term.to_owned() })
}

fn mechanism(text: &str) -> Option<Mechanism> {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let argument = || rest.strip_prefix(':').filter(|argument| !argument.is_empty());
    match name.to_ascii_lowercase().as_str() {
        "all" => rest.is_empty().then_some(Mechanism::All),
        "include" => Some(Mechanism::Include(Text::domain_spec(argument()?)?)),
        "exists" => Some(Mechanism::Exists(Text::domain_spec(argument()?)?)),
        "a" => hosts(rest).map(|(domain, prefixes)| Mechanism::A(domain, prefixes)),
        "mx" => hosts(rest).map(|(domain, prefixes)| Mechanism::Mx(domain, prefixes)),
        "ptr" if rest.is_empty() => Some(Mechanism::Ptr(None)),
        "ptr" => Some(Mechanism::Ptr(Some(Text::domain_spec(argument()?)?))),
        "ip4" => {
            let (address, prefix) = network(argument()?, 32)?;
            Some(Mechanism::Ip4(dotted(address)?, prefix))
        }
        "ip6" => {
            let (address, prefix) = network(argument()?, 128)?;
            Some(Mechanism::Ip6(address.parse().ok()?, prefix))
        }
        _ => None,
    }
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]`.
fn hosts(rest: &str) -> Option<(Option<Text>, Prefixes)> {
    let (rest, v6) = match cut(rest, "//") {
        Some((before, digits)) => (before, prefix(digits, 128)?),
        None => (rest, 128),
    };
    let (rest, v4) = match cut(rest, "/") {
        Some((before, digits)) => (before, prefix(digits, 32)?),
        None => (rest, 32),
    };
    let domain = match rest {
        "" => None,
        named => Some(Text::domain_spec(named.strip_prefix(':')?)?),
    };
    Some((domain, Prefixes { v4, v6 }))
}

/// What stands before and behind the last `mark`, if there are only digits behind it.
fn cut<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let (before, digits) = text.rsplit_once(mark)?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some((before, digits))
}

fn network(text: &str, longest: u8) -> Option<(&str, u8)> {
    match text.split_once('/') {
        Some((address, digits)) => Some((address, prefix(digits, longest)?)),
        None => Some((text, longest)),
    }
}

/// No leading zeros, and not more than there are bits.
fn prefix(digits: &str, longest: u8) -> Option<u8> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    digits.parse().ok().filter(|bits| plain && *bits <= longest)
}

/// `qnum` four times: what Rust's parser takes, which knows no octal either.
fn dotted(text: &str) -> Option<Ipv4Addr> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_alone_is_a_record() {
        assert_eq!(is_spf("v=spf1"), Some(""));
        assert_eq!(is_spf("V=SPF1 -all"), Some(" -all"));
        for text in ["v=spf10", "v=spf1-all", "v=spf", "spf1 -all", "v=spf1\t-all", "ü=spf1"] {
            assert_eq!(is_spf(text), None, "{text}");
        }
    }

    #[test]
    fn terms_are_read_by_their_grammar() {
        let record = parse(" a mx/24 ip4:192.0.2.0/24 -include:x.example  redirect=_spf.example ").unwrap();
        assert_eq!(record.directives.len(), 4);
        assert_eq!(record.directives[3].result, SpfResult::Fail);
        assert!(matches!(&record.directives[1].mechanism, Mechanism::Mx(None, Prefixes { v4: 24, v6: 128 })));
        assert!(record.redirect.is_some());
        assert!(parse("a:mail.example/24//64 unknown=%{d} A ?MX").is_ok());
    }

    #[test]
    fn an_error_anywhere_makes_the_record_useless() {
        for terms in [
            "all:",
            "all/8",
            "include",
            "include:",
            "exists:",
            "a:",
            "a/33",
            "a/08",
            "a//129",
            "a/",
            "ip4",
            "ip4:1.2.3",
            "ip4:1.2.3.4/33",
            "ip4:1.2.3.4/01",
            "ip6:1.2.3.4",
            "ip6:::1/129",
            "ptr:",
            "ptr/8",
            "mox",
            "--all",
            "redirect=a.example redirect=b.example",
            "exp=",
            "x=%",
            "a:example",
            "a:example.1",
            "a:b\u{e9}.example",
            "=x",
            "-all.",
        ] {
            assert!(parse(terms).is_err(), "{terms}");
        }
    }
}
