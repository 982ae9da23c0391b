//! What happens in a step, by chance: letters, the weather far away, faults, crashes, the operator, the wall clock.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{World, trace};
use crate::seam::Clock;
use crate::sim::Fault;
use crate::sim::manner::{Manner, Mood};
use crate::sim::report::Violation;

/// In milliseconds.
pub(super) const TEN_YEARS: i64 = 10 * 365 * 86_400_000;

impl World {
    /// One step.
    pub(super) async fn act(&mut self) -> Result<(), Violation> {
        for _ in 0..self.dice.below(self.plan.letters + 1) {
            self.post();
        }
        self.leap_back();
        match self.dice.below(16) {
            0..5 if self.plan.weather => self.weather(),
            5 if self.plan.weather => self.people(),
            6..9 if self.plan.faults => self.fault(),
            9 if self.plan.crashes => self.crash().await?,
            10 if self.plan.crashes => self.stop(Duration::from_secs(self.dice.below(30))).await?,
            11..14 if self.plan.operator => self.operator().await,
            14 if !self.plan.jumps.is_zero() => self.jump(),
            15 if !self.plan.jumps.is_zero() && self.dice.chance(250) => self.leap(),
            _ => {}
        }
        Ok(())
    }

    /// A place changes its manner.
    fn weather(&mut self) {
        let place = format!("far{}.example", self.dice.below(self.plan.places));
        let manner = Manner::by_chance(&self.dice, self.plan.patience);
        trace!(self, "{place} is {:?} from now on", manner.mood);
        if manner.mood == Mood::Closed {
            self.ledger.closed.insert(place.clone());
        }
        let patient = matches!(manner.mood, Mood::Tarpit(_) | Mood::Down | Mood::Silent(_));
        let before = self.manners.insert(place.clone(), manner.clone());
        if patient || before.is_some_and(|before| before.mood != Mood::Well) {
            self.disturb();
        }
        self.peers.set_manner(&place, manner);
    }

    /// Mailboxes and the directory change their manners.
    fn people(&mut self) {
        let permille =
            |likely: u64, most: u64| if self.dice.chance(likely) { self.dice.below(most) } else { 0 };
        let (later, never, strict) = (permille(500, 500), permille(300, 200), permille(500, 1000));
        let failing = permille(300, 600);
        self.boxes.later.store(later, Ordering::SeqCst);
        self.boxes.never.store(never, Ordering::SeqCst);
        self.boxes.strict.store(strict, Ordering::SeqCst);
        self.directory.set_failing(failing);
        self.ledger.boxes_refuse |= never > 0;
        self.disturb();
        trace!(
            self,
            "mailboxes: {later} later, {never} never, {strict} strict; directory: {failing} failing"
        );
    }

    fn fault(&mut self) {
        let Some(host) = self.some_host() else { return };
        let after = self.dice.below(30);
        let (count, fault) = match self.dice.below(if self.plan.crashes { 8 } else { 6 }) {
            0 => (1 + self.dice.below(40), Fault::NoSpace),
            1 => (1 + self.dice.below(20), Fault::Passing),
            2 | 3 => (1 + self.dice.below(3), Fault::Unknown),
            4 | 5 => {
                (1 + self.dice.below(3), Fault::Slow(self.dice.span(Duration::ZERO, Duration::from_secs(20))))
            }
            6 => (1, Fault::Death),
            _ => (3, Fault::LateDeath),
        };
        let number = host.number;
        host.storage.plan(after, count, fault);
        self.disturb();
        trace!(self, "storage of engine {number}: {fault:?} {count} times after {after} operations");
    }

    /// Somebody sets the wall clock.
    fn jump(&mut self) {
        let far = self.plan.jumps.as_millis() as u64;
        let millis = self.dice.below(2 * far) as i64 - far as i64;
        self.ledger.leapt += Duration::from_millis(millis.max(0) as u64);
        self.ledger.set_back += Duration::from_millis(millis.min(0).unsigned_abs());
        self.clock.jump(millis);
        self.disturb();
        self.disturbed += match millis {
            ..0 => Duration::from_millis(millis.unsigned_abs()), // until then, what waits waits longer
            0..600_000 => Duration::ZERO,
            _ => Duration::from_secs(3600), // such a clock is doubted for an hour
        };
        trace!(self, "the wall clock is set by {millis} ms");
    }

    /// The wall clock is wrong by ten years until somebody notices, within the hour.
    fn leap(&mut self) {
        let all_know_the_time = self.clock.elapsed() > self.steady;
        if self.leaps_back.is_none() && all_know_the_time {
            let right_again =
                self.clock.elapsed() + self.dice.span(Duration::ZERO, Duration::from_secs(3000));
            self.leaps_back = Some(right_again);
            self.clock.jump(TEN_YEARS);
            trace!(self, "the wall clock is wrong by ten years");
        }
        self.disturb();
    }

    /// Sets the clock right again, when it is time.
    pub(super) fn leap_back(&mut self) {
        let Some(at) = self.leaps_back else { return };
        self.disturb();
        if self.clock.elapsed() < at {
            return;
        }
        self.leaps_back = None;
        self.steady = self.clock.elapsed();
        self.ledger.set_back += Duration::from_millis(TEN_YEARS.unsigned_abs());
        self.clock.jump(-TEN_YEARS);
        trace!(self, "the wall clock is right again");
    }
}
