//! How far somebody is ahead of a budget: one moment is all that is remembered (the generic cell rate algorithm). Pure.
//!
//! In nanoseconds, so that budgets of many octets are kept to as well as those of a few messages.

use std::time::Duration;

use super::limit::Budget;
use crate::seam::Timestamp;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// When all that was taken would have been taken evenly.
    even: u64,
}

impl Bucket {
    /// What `amount` more would use, in thousandths of the budget; or how long to wait until it fits. An amount larger
    /// than the whole budget fits when nothing else was taken.
    pub(super) fn weigh(self, budget: &Budget, amount: u64, now: Timestamp) -> Result<u32, Duration> {
        let per = per(budget);
        if budget.count == 0 {
            return Err(budget.per);
        }
        let ahead = self.ahead(budget, now);
        let wanted = cost(budget, amount).min(per);
        match ahead.saturating_add(wanted).checked_sub(per) {
            None | Some(0) => Ok((u128::from(ahead + wanted) * 1000 / u128::from(per)) as u32),
            Some(over) => Err(Duration::from_nanos(over)),
        }
    }

    /// Takes it.
    pub(super) fn take(&mut self, budget: &Budget, amount: u64, now: Timestamp) {
        let ahead = self.ahead(budget, now).saturating_add(cost(budget, amount).min(per(budget)));
        self.even = nanos(now).saturating_add(ahead);
    }

    /// At most the whole time: a clock that jumps back stops nobody for long.
    fn ahead(self, budget: &Budget, now: Timestamp) -> u64 {
        self.even.saturating_sub(nanos(now)).min(per(budget))
    }
}

fn nanos(at: Timestamp) -> u64 {
    at.as_millis().saturating_mul(1_000_000)
}

fn per(budget: &Budget) -> u64 {
    (budget.per.as_nanos().min(u128::from(u64::MAX / 4)) as u64).max(1)
}

fn cost(budget: &Budget, amount: u64) -> u64 {
    let nanos = u128::from(per(budget)) * u128::from(amount) / u128::from(budget.count.max(1));
    nanos.min(u128::from(u64::MAX / 4)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + secs * 1000)
    }

    fn step(bucket: &mut Bucket, budget: &Budget, amount: u64, now: Timestamp) -> bool {
        let fits = bucket.weigh(budget, amount, now).is_ok();
        if fits {
            bucket.take(budget, amount, now);
        }
        fits
    }

    #[test]
    fn a_whole_count_at_once_and_then_evenly() {
        let (budget, mut bucket) = (Budget::per_minute(10), Bucket::default());
        assert_eq!((0..50).filter(|_| step(&mut bucket, &budget, 1, at(0))).count(), 10);
        assert_eq!(bucket.weigh(&budget, 1, at(0)), Err(Duration::from_secs(6)));
        assert!(step(&mut bucket, &budget, 1, at(6)) && !step(&mut bucket, &budget, 1, at(6)));
    }

    #[test]
    fn over_a_long_time_no_more_than_the_budget() {
        for (budget, amount) in
            [(Budget::new(7, Duration::from_secs(10)), 1), (Budget::per_hour(1 << 40), 1 << 31)]
        {
            let mut bucket = Bucket::default();
            let taken =
                (0..10_000).filter(|n| step(&mut bucket, &budget, amount, at(*n))).count() as u64 * amount;
            let most = u128::from(budget.count) * (10_000 + u128::from(budget.per.as_secs()))
                / u128::from(budget.per.as_secs());
            assert!(u128::from(taken) <= most && u128::from(taken) * 20 > most * 19, "{taken} of {most}");
        }
    }

    #[test]
    fn what_is_larger_than_the_budget_goes_alone() {
        let (budget, mut bucket) = (Budget::per_minute(1000), Bucket::default());
        assert!(step(&mut bucket, &budget, u64::MAX, at(0)) && !step(&mut bucket, &budget, 1, at(0)));
        assert!(
            !step(&mut bucket, &budget, u64::MAX, at(59)) && step(&mut bucket, &budget, u64::MAX, at(60))
        );
    }

    #[test]
    fn a_clock_that_jumps_back_stops_nobody_for_long() {
        let (budget, mut bucket) = (Budget::per_minute(1), Bucket::default());
        bucket.take(&budget, 1, at(1_000_000));
        assert!(bucket.weigh(&budget, 1, at(0)).unwrap_err() <= budget.per);
        assert_eq!(Bucket::default().weigh(&Budget::per_minute(0), 1, at(0)), Err(budget.per));
    }
}
