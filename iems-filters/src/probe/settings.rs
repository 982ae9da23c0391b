//! What may be chosen about asking other systems. Plain data.

use std::time::Duration;

/// The settings.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// How long a question may take, connection and all. Default 10 s: the peer waits for its reply meanwhile.
    pub timeout: Duration,
    /// How long "yes" is kept.
    pub good: Duration,
    /// How long "no" is kept.
    pub bad: Duration,
    /// The age at which a kept "yes" is asked about again; if that brings no answer, it still holds. Default: never.
    pub refresh_good: Option<Duration>,
    /// The same for "no".
    pub refresh_bad: Option<Duration>,
    /// How many questions may go to one domain in how long. Default 10 in a minute: enough for an honest peer's messages,
    /// since answers are kept, and no burden for a domain whose name is abused by many.
    pub per_domain: (u32, Duration),
    /// How many questions are open at once. Default 50.
    pub at_once: usize,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl Settings {
    /// For questions about senders: "yes" is kept for a day, "no" for two hours, so that whoever was away for a while is
    /// not refused for long.
    pub fn senders() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            good: DAY,
            bad: 2 * HOUR,
            refresh_good: None,
            refresh_bad: None,
            per_domain: (10, MINUTE),
            at_once: 50,
        }
    }

    /// For questions about recipients of next hops: "yes" is kept for 31 days and asked again after 7, "no" for 3 days and
    /// asked again after 3 hours. So a next hop that is down for days loses no mail, and a new recipient waits
    /// three hours at most. As many questions to a domain as are open at once: they go to systems of the administrator's choosing.
    pub fn recipients() -> Self {
        Self {
            good: 31 * DAY,
            bad: 3 * DAY,
            refresh_good: Some(7 * DAY),
            refresh_bad: Some(3 * HOUR),
            per_domain: (1000, MINUTE),
            ..Self::senders()
        }
    }
}
