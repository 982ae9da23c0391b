//! What `MAIL` says of time: `BY` (RFC 2852), `HOLDFOR` and `HOLDUNTIL` (RFC 4865).

use std::fmt;

use iems_core::message::Late;
use iems_core::seam::Timestamp;

use super::params::number;

/// How long a message is to be held, or until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// `HOLDFOR`, in seconds.
    For(u64),
    /// `HOLDUNTIL`.
    Until(Timestamp),
}

impl Hold {
    /// The value of `HOLDFOR`: `%x31-39 *8DIGIT` (RFC 4865 section 3).
    pub(super) fn interval(value: &str) -> Option<Self> {
        number(value).filter(|_| value.len() <= 9 && !value.starts_with('0')).map(Self::For)
    }

    /// The value of `HOLDUNTIL`: `date-time` of RFC 3339, in UTC (RFC 4865 section 3).
    pub(super) fn moment(value: &str) -> Option<Self> {
        let universal = value.ends_with(['Z', 'z']) || value.ends_with("+00:00");
        value.parse().ok().filter(|_| universal).map(Self::Until)
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(seconds) => write!(f, "HOLDFOR={seconds}"),
            Self::Until(at) => write!(f, "HOLDUNTIL={at}"),
        }
    }
}

/// In what time a message is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// In seconds; what is not more than 0 is over.
    pub seconds: i64,
    /// What follows then: `R` or `N`.
    pub late: Late,
    /// `T`: whether the sender wants to hear of each system that passes the message on.
    pub trace: bool,
}

impl By {
    /// `["-" / "+"] 1*9DIGIT ";" ("N" / "R") ["T"]`.
    pub(super) fn read(value: &str) -> Option<Self> {
        let (time, mode) = value.split_once(';')?;
        let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
        let seconds = number(digits).filter(|_| digits.len() <= 9).and_then(|n| i64::try_from(n).ok())?;
        let seconds = if time.starts_with('-') { -seconds } else { seconds };
        let (late, trace) = match mode.to_ascii_uppercase().as_str() {
            "R" => (Late::Return, false),
            "N" => (Late::Notify, false),
            "RT" => (Late::Return, true),
            "NT" => (Late::Notify, true),
            _ => return None,
        };
        Some(Self { seconds, late, trace })
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = if self.late == Late::Return { "R" } else { "N" };
        write!(f, "BY={};{late}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}
