//! The simulated clock: time passes when every task waits, and at once. It stands on the paused time of
//! tokio, so that a week of waiting takes as long as the work that is done in it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::seam::{Clock, Timestamp};

/// When simulations begin: 2026-09-21T14:13:20Z.
const BEGINNING: u64 = 1_790_000_000_000;

/// A wall clock on tokio's paused time; it can be set forwards and backwards.
///
/// For runtimes built with `start_paused(true)`, on one thread: two runs with the same seed are the same run.
#[derive(Debug)]
pub struct SimClock {
    start: Instant,
    shift: AtomicI64,
    jumped: Notify,
}

impl SimClock {
    /// A clock that begins now. Panics outside of a tokio runtime with time, as tokio's own timers do.
    pub fn new() -> Self {
        Self { start: Instant::now(), shift: AtomicI64::new(0), jumped: Notify::new() }
    }

    /// How long the simulation has run, whatever the wall clock says.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// How long the simulation had run at `instant`.
    pub fn elapsed_at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }

    /// Sets the wall clock forwards, or backwards for negative `millis`, as an administrator would. Waiting tasks
    /// notice within ten seconds with the clock of the system, and at once here.
    pub fn jump(&self, millis: i64) {
        self.shift.fetch_add(millis, Ordering::SeqCst);
        self.jumped.notify_waiters();
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let run = BEGINNING + self.elapsed().as_millis() as u64;
        Timestamp::from_millis(run.saturating_add_signed(self.shift.load(Ordering::SeqCst)))
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let jumped = self.jumped.notified();
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = jumped => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_jump_wakes_whoever_waits_for_that_time() {
        let clock = SimClock::new();
        let (start, hour) = (clock.now(), Duration::from_secs(3600));
        let woken = async {
            clock.sleep_until(start.after(hour)).await;
            clock.elapsed()
        };
        let jump = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            clock.jump(-1000);
            tokio::time::sleep(Duration::from_secs(5)).await;
            clock.jump(3_600_000);
        };
        let (elapsed, ()) = tokio::join!(woken, jump);
        assert_eq!(elapsed, Duration::from_secs(10));
        assert_eq!(clock.now().since(start), Duration::from_secs(3609));
    }
}
