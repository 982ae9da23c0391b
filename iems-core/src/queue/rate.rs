//! A rate as an administrator says it: so many messages in so much time.
//!
//! Only the number; whoever counts messages against it keeps the count.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A rate: `count` messages in each `per`.
///
/// ```
/// use iems_core::queue::Rate;
/// let rate: Rate = "100/1m".parse().unwrap();
/// assert_eq!((rate.count, rate.per.as_secs()), (100, 60));
/// assert_eq!("5/s".parse::<Rate>().unwrap().to_string(), "5/1s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Messages; at least 1 in a rate that was read from text.
    pub count: u32,
    /// The time for them; longer than nothing, and at most [`Rate::LONGEST`], in a rate that was read from text.
    pub per: Duration,
}

/// Why a text is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// It is not a number, a slash and a time.
    #[error("{0:?} is no rate: expected messages and a time, such as \"100/1m\", \"5/s\" or \"1000/1h\"")]
    Form(String),
    /// It lets nothing through, ever.
    #[error("{0:?} lets no message through: the number and the time must be at least 1")]
    Nothing(String),
    /// Its time is longer than [`Rate::LONGEST`], or its number is above 4294967295.
    #[error("{0:?} is too large: the time may be 31d at most, the number 4294967295")]
    TooLarge(String),
}

/// The units of time, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Rate {
    /// The longest time of a rate: what was sent must be remembered as long.
    pub const LONGEST: Duration = Duration::from_secs(31 * 86_400);

    /// `count` messages in each `per`.
    pub const fn new(count: u32, per: Duration) -> Self {
        Self { count, per }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// `100/1m`, `5/s`: a number, a slash, and a time in `ms`, `s`, `m`, `h` or `d`.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let found = || text.chars().take(60).collect::<String>();
        let form = || RateError::Form(found());
        let (count, time) = text.split_once('/').ok_or_else(form)?;
        let (count, time) = (count.trim(), time.trim());
        let digits = time.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
        let unit = UNITS.iter().find(|(name, _)| *name == &time[digits..]).ok_or_else(form)?.1;
        let of = if digits == 0 { "1" } else { &time[..digits] };
        if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
            return Err(form());
        }
        let large = || RateError::TooLarge(found());
        let count: u32 = count.parse().map_err(|_| large())?;
        let millis = of.parse::<u64>().ok().and_then(|of| of.checked_mul(unit)).ok_or_else(large)?;
        let per = Duration::from_millis(millis);
        match per {
            _ if count == 0 || per.is_zero() => Err(RateError::Nothing(found())),
            _ if per > Self::LONGEST => Err(large()),
            _ => Ok(Self { count, per }),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.per.as_millis() as u64;
        let fits = |(_, unit): &&(&str, u64)| millis >= *unit && millis.is_multiple_of(*unit);
        let (name, unit) = UNITS.iter().find(fits).copied().unwrap_or(("ms", 1));
        write!(f, "{}/{}{name}", self.count, millis / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_print_as_they_are_read() {
        for (text, count, millis, printed) in [
            ("100/1m", 100, 60_000, "100/1m"),
            ("5/s", 5, 1000, "5/1s"),
            ("1/90s", 1, 90_000, "1/90s"),
            (" 7 / 48h ", 7, 172_800_000, "7/2d"),
            ("3/250ms", 3, 250, "3/250ms"),
            ("4294967295/31d", u32::MAX, 2_678_400_000, "4294967295/31d"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate, Rate::new(count, Duration::from_millis(millis)));
            assert_eq!(rate.to_string(), printed);
            assert_eq!(printed.parse::<Rate>().unwrap(), rate);
        }
    }

    #[test]
    fn what_is_no_rate_says_what_would_be() {
        for text in
            ["", "5", "/", "5/", "/s", "-5/s", "+5/s", "5/1", "5/1w", "5/1.5s", "5 per s", "5/s/s", "x/é"]
        {
            assert!(matches!(text.parse::<Rate>(), Err(RateError::Form(_))), "{text:?}");
        }
        for text in ["0/s", "5/0s"] {
            assert!(matches!(text.parse::<Rate>(), Err(RateError::Nothing(_))), "{text:?}");
        }
        for text in ["5/32d", "4294967296/s", "5/99999999999999999999d", "5/18446744073709551615d"] {
            assert!(matches!(text.parse::<Rate>(), Err(RateError::TooLarge(_))), "{text:?}");
        }
        let said = "fast".parse::<Rate>().unwrap_err().to_string();
        assert!(said.contains("\"fast\"") && said.contains("100/1m"), "{said}");
    }
}
