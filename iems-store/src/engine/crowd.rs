//! How long the committer waits for company before it writes a group.
//!
//! A sync costs the same for one commit as for many, in processor time and in blocks that are written again, and much
//! more than a commit does. So where several callers are under way, the next ones are waited for, until all who are around
//! have come, and no longer than the device takes for a group: at most twice the time, for half the syncs or fewer. How many
//! are around is found out by a group that waits the whole time, now and then. A caller who is alone never waits. Pure: time
//! is an argument.

use std::time::Duration;

/// How long a group is waited for at most. Where a group takes longer than this, enough come by themselves meanwhile.
const LONGEST: Duration = Duration::from_millis(1);
/// One of so many groups waits the whole time.
const TERM: u32 = 16;

/// What the last groups say about the next one.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Commits of the last group.
    last: usize,
    /// The most that were under way at once since it was last found out: in a group, and behind it.
    around: usize,
    /// Groups so far.
    groups: u32,
    /// What writing a group takes, on average over the last ones.
    takes: Duration,
    /// A device that takes no longer than this is quick.
    quick: Duration,
}

impl Crowd {
    /// Nothing is known of the device: it is as slow as one may be that is waited for.
    pub(super) fn new(quick: Duration) -> Self {
        Self { last: 0, around: 0, groups: 0, takes: LONGEST, quick }
    }

    /// Whether the next caller is likely to be alone, and soon served.
    pub(super) fn is_quick(&self) -> bool {
        self.last <= 1 && self.takes <= self.quick
    }

    /// With how many commits the next group is large enough, and how long to wait for them.
    pub(super) fn patience(&self) -> (usize, Duration) {
        match self.last {
            0 | 1 => (0, Duration::ZERO),
            _ if self.is_asking() => (usize::MAX, self.takes.min(LONGEST)),
            _ => (self.around, self.takes.min(LONGEST)),
        }
    }

    /// Whether the next group finds out how many are around.
    const fn is_asking(&self) -> bool {
        self.groups.is_multiple_of(TERM)
    }

    /// A group of so many commits was written, in this time; so many wait behind it.
    pub(super) fn wrote(&mut self, commits: usize, waiting: usize, took: Duration) {
        if commits > 0 {
            let least = if self.is_asking() { 0 } else { self.around };
            self.around = least.max(commits + waiting);
            self.groups = self.groups.wrapping_add(1);
            self.last = commits;
            self.takes = (self.takes * 7 + took) / 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn whoever_is_alone_never_waits() {
        let mut crowd = Crowd::new(2 * MILLI / 5);
        assert_eq!(crowd.patience().1, Duration::ZERO);
        for _ in 0..2 * TERM {
            crowd.wrote(1, 0, MILLI / 4);
            assert_eq!(crowd.patience(), (0, Duration::ZERO));
        }
    }

    #[test]
    fn in_a_crowd_the_wait_is_what_the_device_takes() {
        let mut crowd = Crowd::new(2 * MILLI / 5);
        (0..100).for_each(|_| crowd.wrote(3, 0, MILLI / 4));
        let (enough, patience) = crowd.patience();
        assert_eq!(enough, 3);
        assert!(patience > MILLI / 5 && patience <= MILLI / 4, "{patience:?}");
        (0..100).for_each(|_| crowd.wrote(3, 0, 10 * MILLI));
        assert_eq!(crowd.patience().1, LONGEST, "a slow disk lets enough come by itself");
        crowd.wrote(0, 9, MILLI);
        assert_eq!(crowd.patience().0, 3, "pieces of large bodies say nothing");
        crowd.wrote(1, 0, MILLI);
        assert_eq!(crowd.patience().0, 0);
    }

    #[test]
    fn all_who_are_around_are_waited_for_and_nobody_else() {
        let mut crowd = Crowd::new(MILLI);
        crowd.wrote(3, 4, MILLI);
        assert_eq!(crowd.patience().0, 7, "who came meanwhile is around, too");
        crowd.wrote(7, 0, MILLI);
        crowd.wrote(2, 1, MILLI);
        assert_eq!(crowd.patience().0, 7, "some are only late");
        let mut whole = 0;
        for _ in 0..TERM {
            match crowd.patience().0 {
                usize::MAX => whole += 1,
                enough => assert!(enough == if whole > 0 { 3 } else { 7 }, "{enough}"),
            }
            crowd.wrote(2, 1, MILLI);
        }
        assert_eq!((whole, crowd.patience().0), (1, 3), "four have left");
    }

    #[test]
    fn a_device_is_quick_when_it_was_so_for_a_while_and_nobody_else_comes() {
        let mut crowd = Crowd::new(2 * MILLI / 5);
        let mut groups = 0;
        while !crowd.is_quick() {
            crowd.wrote(1, 0, MILLI / 10);
            groups += 1;
        }
        assert!((5..20).contains(&groups), "{groups}");
        crowd.wrote(2, 0, MILLI / 10);
        assert!(!crowd.is_quick(), "two came at once");
        crowd.wrote(1, 0, MILLI / 10);
        assert!(crowd.is_quick());
        crowd.wrote(1, 0, 8 * MILLI);
        assert!(!crowd.is_quick(), "once it was slow, that is believed for a while");
    }
}
