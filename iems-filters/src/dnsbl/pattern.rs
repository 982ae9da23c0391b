//! Patterns of list answers, such as `127.0.0.2`, `127.0.0.10-11`, `127.0.*.3` and `127.0.0.&8`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Which answers of a list are meant: four octets between dots.
///
/// ```text
/// octet = number / number "-" number / "&" number / "*"
/// ```
///
/// `&8` matches an octet in which any of these bits is set, for lists that answer with a mask.
/// Since only answers in 127.0.0.0/8 count, the first octet is always `127`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pattern([Octet; 3]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Octet {
    Range(u8, u8),
    Bits(u8),
}

impl Pattern {
    /// Whether `answer` is meant.
    pub fn matches(&self, answer: Ipv4Addr) -> bool {
        let [first, rest @ ..] = answer.octets();
        first == 127 && self.0.iter().zip(rest).all(|(octet, value)| octet.matches(value))
    }
}

impl Octet {
    fn matches(self, value: u8) -> bool {
        match self {
            Self::Range(from, to) => (from..=to).contains(&value),
            Self::Bits(mask) => value & mask != 0,
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut octets = text.split('.').map(octet);
        let mut next = || octets.next().flatten().ok_or_else(|| PatternError(text.into()));
        let (first, pattern) = (next()?, Self([next()?, next()?, next()?]));
        match octets.next() {
            None if first == Octet::Range(127, 127) => Ok(pattern),
            _ => Err(PatternError(text.into())),
        }
    }
}

fn octet(text: &str) -> Option<Octet> {
    if text == "*" {
        return Some(Octet::Range(0, 255));
    }
    if let Some(mask) = text.strip_prefix('&') {
        return number(mask).filter(|mask| *mask > 0).map(Octet::Bits);
    }
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from)?, number(to)?);
    (from <= to).then_some(Octet::Range(from, to))
}

fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("127")?;
        self.0.iter().try_for_each(|octet| match octet {
            Octet::Range(0, 255) => f.write_str(".*"),
            Octet::Range(from, to) if from == to => write!(f, ".{from}"),
            Octet::Range(from, to) => write!(f, ".{from}-{to}"),
            Octet::Bits(mask) => write!(f, ".&{mask}"),
        })
    }
}

/// The text is not a pattern of answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a pattern of list answers: expected one such as 127.0.0.2, 127.0.0.10-11, 127.0.0.&8 or 127.0.*.*"
)]
pub struct PatternError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, yes, no) in [
            ("127.0.0.2", "127.0.0.2", "127.0.0.3"),
            ("127.0.0.10-11", "127.0.0.11", "127.0.0.12"),
            ("127.0.*.3", "127.0.9.3", "127.1.9.3"),
            ("127.0.0.&12", "127.0.0.4", "127.0.0.2"),
            ("127.*.*.*", "127.1.2.3", "192.0.2.1"),
        ] {
            let read: Pattern = pattern.parse().unwrap();
            assert!(read.matches(yes.parse().unwrap()), "{pattern} {yes}");
            assert!(!read.matches(no.parse().unwrap()), "{pattern} {no}");
            assert_eq!(read.to_string(), pattern);
        }
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        for text in [
            "",
            "127.0.0",
            "127.0.0.2.1",
            "10.0.0.2",
            "*.0.0.2",
            "127.0.0.256",
            "127.0.0.9-3",
            "127.0.0.&0",
            "127.0.0.+2",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
