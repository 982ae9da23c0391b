//! When to try again: a schedule, with jitter so that what failed together does not return together.

use std::time::Duration;

use crate::seam::{Random, Timestamp};

/// How long a message is tried, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// Waits between attempts; the last one repeats. Default 1 m, 5 m, 15 m, 1 h, 4 h: quick enough for greylisting
    /// and restarts, slow enough not to be a burden for a host that is down (RFC 5321 section 4.5.4.1).
    pub retry: Vec<Duration>,
    /// After how long a recipient is given up. Default 5 days (RFC 5321 section 4.5.4.1).
    pub expire: Duration,
    /// After how long the sender is told of a delay; `None` never. Default 4 hours.
    pub warn: Option<Duration>,
}

impl Default for Schedule {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(60 * m);
        Self {
            retry: vec![minutes(1), minutes(5), minutes(15), minutes(60), minutes(240)],
            expire: minutes(5 * 24 * 60),
            warn: Some(minutes(240)),
        }
    }
}

impl Schedule {
    /// When to try again after `attempts` attempts, the last of them `now`: the scheduled wait, up to a tenth
    /// longer, but not beyond the end.
    pub fn next(&self, attempts: u32, now: Timestamp, expires: Timestamp, random: &dyn Random) -> Timestamp {
        let at = (attempts.max(1) as usize - 1).min(self.retry.len().saturating_sub(1));
        let wait =
            self.retry.get(at).copied().unwrap_or(Duration::from_secs(60)).max(Duration::from_millis(100));
        let jitter = wait.as_millis() as u64 / 10;
        let jitter = if jitter == 0 { 0 } else { random.next_u64() % jitter };
        let next = now.after(wait).after(Duration::from_millis(jitter));
        next.min(expires.max(now))
    }
}

impl Schedule {
    /// The longest wait it knows.
    pub(crate) fn longest(&self) -> Duration {
        self.retry.iter().copied().max().unwrap_or(Duration::from_secs(60)) * 11 / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::SeededRandom;

    #[test]
    fn the_last_wait_repeats_and_expiry_bounds_all() {
        let (schedule, random) = (Schedule::default(), SeededRandom::new(1));
        let now = Timestamp::from_millis(1_000_000);
        let expires = now.after(schedule.expire);
        let wait = |attempts| schedule.next(attempts, now, expires, &random).since(now).as_secs();
        assert!((60..66).contains(&wait(1)) && (300..330).contains(&wait(2)));
        assert!((14400..15840).contains(&wait(5)) && (14400..15840).contains(&wait(500)));
        assert_eq!(
            schedule.next(9, now, now.after(Duration::from_secs(5)), &random),
            now.after(Duration::from_secs(5))
        );
    }

    #[test]
    fn an_empty_schedule_still_waits() {
        let schedule = Schedule { retry: vec![], ..Schedule::default() };
        let now = Timestamp::from_millis(0);
        assert!(schedule.next(1, now, now.after(schedule.expire), &SeededRandom::new(1)) > now);
    }
}
