//! How much a server takes in one session and in one transaction: the parameters of `LIMITS` (RFC 9422 section 4).

use std::fmt;

/// What one session and one transaction may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionLimits {
    /// `MAILMAX`: transactions of a session.
    pub mail_max: Option<u32>,
    /// `RCPTMAX`: recipients of a transaction.
    pub rcpt_max: Option<u32>,
    /// `RCPTDOMAINMAX`: different domains among the recipients of a session.
    pub rcpt_domain_max: Option<u32>,
}

impl SessionLimits {
    /// The largest number that can be told: six digits.
    const LARGEST: u32 = 999_999;

    /// A limit as it can be told; `None` where it cannot.
    pub fn tell(limit: usize) -> Option<u32> {
        u32::try_from(limit).ok().filter(|limit| (1..=Self::LARGEST).contains(limit))
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads a line of the reply to `EHLO`. Unknown names are passed over, as are values that are no limit: `%x31-39 0*5DIGIT`. A
    /// line that does not follow the grammar counts as none (section 3.7).
    pub(super) fn read(line: &str) -> Self {
        let mut limits = Self::default();
        let words = line.trim_end_matches(' ').split(' ').skip(1);
        if !words.clone().all(is_word) {
            return limits;
        }
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let digits = value.bytes().all(|b| b.is_ascii_digit()) && !value.starts_with('0');
            let value = value.parse().ok().filter(|_| digits).and_then(Self::tell);
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => limits.mail_max = value,
                "RCPTMAX" => limits.rcpt_max = value,
                "RCPTDOMAINMAX" => limits.rcpt_domain_max = value,
                _ => {}
            }
        }
        limits
    }
}

/// `limit-name ["=" limit-value]` of section 3.
fn is_word(word: &str) -> bool {
    let (name, value) = word.split_once('=').unwrap_or((word, "-"));
    let named =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    named && !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b';')
}

impl fmt::Display for SessionLimits {
    /// Each with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all =
            [("MAILMAX", self.mail_max), ("RCPTMAX", self.rcpt_max), ("RCPTDOMAINMAX", self.rcpt_domain_max)];
        let mut told = all.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        told.try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limits_are_read() {
        let read = SessionLimits::read("LIMITS rcptmax=20 FOO=3 MAILMAX=0 RCPTDOMAINMAX=1000000 x");
        assert_eq!(read, SessionLimits { rcpt_max: Some(20), ..SessionLimits::default() });
        assert!(SessionLimits::read("LIMITS RCPTMAX=+5 MAILMAX=010 RCPTDOMAINMAX=-1").is_empty());
        assert_eq!(read.to_string(), " RCPTMAX=20");
    }

    /// RFC 9422 section 3.7: such a value is passed over in its entirety.
    #[test]
    fn a_line_that_is_none_limits_nothing() {
        for line in ["RCPTMAX=5;", "RCPTMAX=5 MAILMAX=", "RCPTMAX=5 =3", "RCPTMAX=5 a+b", "RCPTMAX=5  x=1"] {
            assert!(SessionLimits::read(&format!("LIMITS {line}")).is_empty(), "{line}");
        }
        assert!(!SessionLimits::read("limits RCPTMAX=5 ").is_empty());
        assert!(SessionLimits::read("LIMITS").is_empty());
    }
}
