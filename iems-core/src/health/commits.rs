//! How long commits take: those under way, by age, and those of the last minutes, by powers of two.
//! Pure: time is an argument. Bounded: a number for each power of two, and one entry for each commit under way.

use std::collections::BTreeMap;
use std::time::Duration;

use super::told::Latency;
use crate::seam::Timestamp;

/// How long a window of measurements is.
const WINDOW: Duration = Duration::from_secs(60);
/// Steps of a window: under 1 ms, under 2 ms, 4 ms, and so on up to half an hour.
const STEPS: usize = 22;

/// The commits of one engine.
#[derive(Debug, Default)]
pub(super) struct Commits {
    next: u64,
    under_way: BTreeMap<u64, Timestamp>,
    now: Window,
    before: Window,
    /// Slow ones since the last quick one.
    slow: u32,
}

#[derive(Debug, Default, Clone)]
struct Window {
    began: Timestamp,
    count: u64,
    steps: [u64; STEPS],
    longest: Duration,
}

impl Commits {
    /// A commit begins; what it is to be ended with.
    pub(super) fn begin(&mut self, now: Timestamp) -> u64 {
        self.next += 1;
        self.under_way.insert(self.next, now);
        self.next
    }

    /// A commit returned. `Some` if it was slow: how long it took, and how many in a row were.
    pub(super) fn end(&mut self, commit: u64, now: Timestamp, slow: Duration) -> Option<(Duration, u32)> {
        let took = now.since(self.under_way.remove(&commit)?);
        self.turn(now);
        self.now.add(took);
        self.slow = if took > slow { self.slow.saturating_add(1) } else { 0 };
        (self.slow > 0).then_some((took, self.slow))
    }

    /// Nobody waits for a commit any more.
    pub(super) fn give_up(&mut self, commit: u64) {
        self.under_way.remove(&commit);
    }

    /// How long the oldest commit has been under way.
    pub(super) fn oldest(&self, now: Timestamp) -> Option<Duration> {
        self.oldest_began().map(|began| now.since(began))
    }

    /// When the oldest commit under way began.
    pub(super) fn oldest_began(&self) -> Option<Timestamp> {
        self.under_way.first_key_value().map(|(_, began)| *began)
    }

    /// The numbers.
    pub(super) fn read(&mut self, now: Timestamp) -> Latency {
        self.turn(now);
        let count = self.now.count + self.before.count;
        let longest = self.now.longest.max(self.before.longest);
        Latency {
            count,
            p50: self.within(count.div_ceil(2)).min(longest),
            p99: self.within(count - count / 100).min(longest),
            longest,
            under_way: self.under_way.len() as u64,
            oldest: self.oldest(now).unwrap_or_default(),
        }
    }

    /// The end of the step in which the `rank`-th quickest commit is.
    fn within(&self, rank: u64) -> Duration {
        let mut seen = 0;
        for step in 0..STEPS {
            seen += self.now.steps[step] + self.before.steps[step];
            if seen >= rank {
                return Duration::from_millis(1 << step);
            }
        }
        Duration::MAX
    }

    fn turn(&mut self, now: Timestamp) {
        let age = now.since(self.now.began);
        if age < WINDOW && now >= self.now.began {
            return;
        }
        let last = std::mem::replace(&mut self.now, Window { began: now, ..Window::default() });
        self.before = if age < 2 * WINDOW && now >= last.began { last } else { Window::default() };
    }
}

impl Window {
    fn add(&mut self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let step = (u64::BITS - millis.leading_zeros()) as usize;
        self.steps[step.min(STEPS - 1)] += 1;
        self.count += 1;
        self.longest = self.longest.max(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(5);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn percentiles_are_right_to_a_factor_of_two() {
        let mut commits = Commits::default();
        for n in 0..100 {
            let commit = commits.begin(at(0));
            commits.end(commit, at(if n < 98 { 3 } else { 700 }), SLOW);
        }
        let read = commits.read(at(1000));
        assert_eq!((read.count, read.longest), (100, Duration::from_millis(700)));
        assert_eq!((read.p50, read.p99), (Duration::from_millis(4), Duration::from_millis(700)));
    }

    #[test]
    fn old_measurements_are_forgotten() {
        let mut commits = Commits::default();
        let commit = commits.begin(at(0));
        commits.end(commit, at(100), SLOW);
        assert_eq!(commits.read(at(61_000)).count, 1);
        assert_eq!(commits.read(at(121_000)).count, 0);
        let commit = commits.begin(at(500_000));
        commits.end(commit, at(500_000), SLOW);
        assert_eq!(commits.read(Timestamp::from_millis(5)).count, 0, "the clock was set back");
    }

    #[test]
    fn the_oldest_counts_and_quick_ones_end_a_row_of_slow_ones() {
        let mut commits = Commits::default();
        let (first, second) = (commits.begin(at(0)), commits.begin(at(4000)));
        assert_eq!(commits.oldest(at(6000)), Some(Duration::from_secs(6)));
        assert_eq!(commits.end(first, at(6000), SLOW), Some((Duration::from_secs(6), 1)));
        assert_eq!(commits.oldest(at(6000)), Some(Duration::from_secs(2)));
        assert_eq!(commits.end(second, at(10_000), SLOW), Some((Duration::from_secs(6), 2)));
        let third = commits.begin(at(10_000));
        assert_eq!(commits.end(third, at(10_001), SLOW), None);
        let fourth = commits.begin(at(10_000));
        assert_eq!(commits.end(fourth, at(20_000), SLOW).map(|(_, row)| row), Some(1));
        assert_eq!(commits.oldest(at(20_000)), None);
    }
}
