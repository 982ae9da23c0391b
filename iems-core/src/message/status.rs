//! Enhanced mail system status codes (RFC 3463): `class.subject.detail`.
//!
//! A status travels with every reply and every report; it never decides by itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An enhanced status code such as `5.1.1` (RFC 3463 section 2).
///
/// ```
/// use iems_core::message::EnhancedStatus;
/// let status: EnhancedStatus = "4.2.2".parse().unwrap();
/// assert!(status.is_temporary());
/// assert_eq!(status.to_string(), "4.2.2");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EnhancedStatus {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedStatus {
    /// The status `class.subject.detail`. `class` outside 2, 4, 5 becomes 5: an unknown
    /// class must not be read as success.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        let class = match class {
            2 | 4 => class,
            _ => 5,
        };
        Self { class, subject, detail }
    }

    /// The first number: 2 success, 4 persistent transient failure, 5 permanent failure.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The second number: what the status is about (1 address, 2 mailbox, 3 system, ...).
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Whether trying again later may help (class 4).
    pub const fn is_temporary(self) -> bool {
        self.class == 4
    }

    /// Whether this reports success (class 2).
    pub const fn is_success(self) -> bool {
        self.class == 2
    }

    /// The same subject and detail in another class.
    #[must_use]
    pub const fn with_class(self, class: u8) -> Self {
        Self::new(class, self.subject, self.detail)
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `class.subject.detail` with a class of 2, 4 or 5 and numbers up to 999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an enhanced status code")]
pub struct StatusError;

impl FromStr for EnhancedStatus {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let mut parts = text.split('.');
        let mut number = |longest: usize| -> Result<u16, StatusError> {
            let part = parts.next().ok_or(StatusError)?;
            let digits =
                !part.is_empty() && part.len() <= longest && part.bytes().all(|b| b.is_ascii_digit());
            if digits { part.parse().map_err(|_| StatusError) } else { Err(StatusError) }
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        if parts.next().is_some() || !matches!(class, 2 | 4 | 5) {
            return Err(StatusError);
        }
        Ok(Self::new(class as u8, subject, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_code() {
        for text in ["", "5", "5.1", "3.1.1", "5.1.1.1", "5.1.1000", "5.-1.1", "5..1", "55.1.1", "5.1.x"] {
            assert!(text.parse::<EnhancedStatus>().is_err(), "{text}");
        }
    }
}
