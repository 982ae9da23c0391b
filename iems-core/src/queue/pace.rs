//! Keeping to a rate: one moment is all that is remembered (the generic cell rate algorithm). Pure.

use std::collections::HashMap;
use std::time::Duration;

use super::Rate;
use crate::seam::Timestamp;

/// How far somebody is ahead of a rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// When all that was sent would have been sent evenly.
    even: Timestamp,
}

impl Pace {
    /// Counts one message now; or says when it may go.
    pub(crate) fn step(&mut self, rate: &Rate, now: Timestamp) -> Result<(), Timestamp> {
        let gap = rate.per / rate.count.max(1);
        let even = self.even.max(now).min(now.after(rate.per));
        // A whole count may go at once; then one a gap.
        let earliest = Timestamp::from_millis(
            (even.as_millis() + gap.as_millis() as u64).saturating_sub(rate.per.as_millis() as u64),
        );
        if earliest > now {
            return Err(earliest);
        }
        self.even = even.after(gap.max(Duration::from_millis(1)));
        Ok(())
    }

    /// Takes one step back: the message did not go after all.
    pub(crate) fn undo(&mut self, rate: &Rate) {
        let gap = (rate.per / rate.count.max(1)).max(Duration::from_millis(1));
        self.even = Timestamp::from_millis(self.even.as_millis().saturating_sub(gap.as_millis() as u64));
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.even <= now
    }
}

/// Paces by name. Whoever is not ahead is not remembered.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    known: HashMap<String, Pace>,
    /// When to look for those that can be forgotten.
    sweep: usize,
}

impl Paces {
    /// Counts one message of `name` now; or says when it may go.
    pub(crate) fn step(&mut self, name: &str, rate: &Rate, now: Timestamp) -> Result<(), Timestamp> {
        if self.known.len() >= self.sweep.max(1024) {
            self.known.retain(|_, pace| !pace.is_forgotten(now));
            self.sweep = self.known.len() * 2;
        }
        match self.known.get_mut(name) {
            Some(pace) => pace.step(rate, now),
            None => self.known.entry(name.to_owned()).or_default().step(rate, now),
        }
    }

    /// When the next message of `name` may go, if that is not now. Counts nothing.
    pub(crate) fn peek(&self, name: &str, rate: &Rate, now: Timestamp) -> Option<Timestamp> {
        self.known.get(name)?.clone().step(rate, now).err()
    }

    /// The message of `name` did not go after all.
    pub(crate) fn undo(&mut self, name: &str, rate: &Rate) {
        if let Some(pace) = self.known.get_mut(name) {
            pace.undo(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32, secs: u64) -> Rate {
        Rate { count, per: Duration::from_secs(secs) }
    }

    #[test]
    fn a_whole_count_at_once_and_then_one_a_gap() {
        let (rate, now) = (rate(10, 60), Timestamp::from_millis(1_000_000));
        let mut pace = Pace::default();
        assert_eq!((0..50).filter(|_| pace.step(&rate, now).is_ok()).count(), 10);
        let next = pace.step(&rate, now).unwrap_err();
        assert_eq!(next.since(now), Duration::from_secs(6));
        assert!(pace.step(&rate, next).is_ok() && pace.step(&rate, next).is_err());
    }

    #[test]
    fn over_a_long_time_no_more_than_the_rate() {
        let rate = rate(7, 10);
        let mut pace = Pace::default();
        let sent = (0..100_000).filter(|n| pace.step(&rate, Timestamp::from_millis(n * 10)).is_ok()).count();
        assert!((700..=707).contains(&sent), "{sent}");
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_stop_it_for_long() {
        let rate = rate(1, 10);
        let mut pace = Pace::default();
        assert!(pace.step(&rate, Timestamp::from_millis(1 << 50)).is_ok());
        let now = Timestamp::from_millis(1_000_000);
        let next = pace.step(&rate, now).unwrap_err();
        assert!(next.since(now) <= Duration::from_secs(10));
    }

    #[test]
    fn those_who_keep_to_it_are_not_remembered() {
        let (rate, mut paces) = (rate(1, 1), Paces::default());
        for n in 0..100_000_u64 {
            let _ = paces.step(&n.to_string(), &rate, Timestamp::from_millis(n * 100));
        }
        assert!(paces.known.len() < 4096, "{}", paces.known.len());
    }
}
