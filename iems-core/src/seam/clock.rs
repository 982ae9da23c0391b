//! Time as an argument: the engine reads no clock but this one.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A moment: milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This moment and `span` later; saturates at the end of time.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_millis().min(u128::from(u64::MAX)) as u64))
    }

    /// How much later this is than `earlier`; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As `Date:` and `Received:` want it (RFC 5322 section 3.3), in UTC.
    pub fn to_rfc5322(self) -> String {
        self.zoned().map(|z| jiff::fmt::rfc2822::to_string(&z).unwrap_or_default()).unwrap_or_default()
    }

    fn zoned(self) -> Option<jiff::Zoned> {
        let millis = i64::try_from(self.0).ok()?;
        Some(jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(jiff::tz::TimeZone::UTC))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, UTC, with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|m| jiff::Timestamp::from_millisecond(m).ok()) {
            Some(t) => write!(f, "{t:.3}"),
            None => write!(f, "@{}", self.0),
        }
    }
}

/// The text is no date and time as RFC 3339 section 5.6 has them, or lies before 1970.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a date and time such as 2027-01-31T08:00:00Z")]
pub struct TimestampError;

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| TimestampError)?;
        u64::try_from(parsed.as_millisecond()).map(Self).map_err(|_| TimestampError)
    }
}

impl Serialize for Timestamp {
    /// RFC 3339 for people (JSON), milliseconds for records.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => serializer.serialize_u64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        let parsed: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        u64::try_from(parsed.as_millisecond()).map(Self).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A clock.
///
/// - **Role**: says what time it is, and wakes whoever waits for a time.
/// - **Called when**: by every part that stamps, schedules or expires.
/// - **Ordering**: `now` may step backwards (an administrator sets the clock); callers tolerate it.
/// - **Cancellation**: dropping the future of `sleep_until` stops the wait; nothing else happens.
/// - **Idempotency**: none needed.
/// - **Concurrency**: any number of callers.
/// - **Errors**: none.
/// - **Example**: [`SystemClock`].
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns when `now() >= at`; at once if that is so already. For moments: when something is due.
    async fn sleep_until(&self, at: Timestamp);

    /// Returns after `span`, however the clock is set meanwhile. For spans: a pause, the patience for an answer.
    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// The clock of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

/// The longest single sleep: a wall clock that was set forward is noticed within this time.
const LONGEST_NAP: Duration = Duration::from_secs(10);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map(|d| d.as_millis() as u64).unwrap_or(0))
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LONGEST_NAP)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_rfc_5322() {
        let t = Timestamp::from_millis(1_790_000_000_123);
        assert_eq!(t.to_rfc5322(), "Mon, 21 Sep 2026 14:13:20 +0000");
        assert_eq!(t.to_string(), "2026-09-21T14:13:20.123Z");
    }
}
