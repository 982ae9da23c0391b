//! The wall clock beside the time that passed: nobody's mail is given up because a clock was set wrong.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::seam::Timestamp;

/// A wall clock that went on by so much more than the time that passed is not believed at once.
const JUMP: Duration = Duration::from_secs(600);
/// For so long nothing is given up after such a jump: an administrator, or the clock itself, may put it right.
const DOUBT: Duration = Duration::from_secs(3600);

/// What was seen of the wall clock so far.
#[derive(Debug, Default)]
pub(super) struct WallClock {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// What it said last, and when.
    last: Option<(Timestamp, Instant)>,
    doubted_until: Option<Instant>,
    set_back: bool,
}

impl WallClock {
    /// Takes down what the clock says; whether what is over by it may be given up, and warned about.
    pub(super) fn believes(&self, now: Timestamp) -> bool {
        let passed = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, before) = seen.last.replace((now, passed)).unwrap_or((now, passed));
        if now < wall {
            seen.set_back = true;
        } else if now.since(wall) > (passed - before) + JUMP {
            tracing::error!(before = %wall, %now, "the clock jumped ahead: nothing is given up for an hour");
            seen.doubted_until = Some(passed + DOUBT);
        }
        seen.doubted_until = seen.doubted_until.filter(|until| passed < *until);
        seen.doubted_until.is_none()
    }

    /// Whether it was set back since this was asked last.
    pub(super) fn was_set_back(&self) -> bool {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).set_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_ahead_is_doubted_for_an_hour() {
        let (clock, start) = (WallClock::default(), Timestamp::from_millis(1 << 40));
        let year = Duration::from_secs(365 * 86_400);
        assert!(clock.believes(start));
        tokio::time::advance(Duration::from_secs(1000)).await;
        assert!(clock.believes(start.after(Duration::from_secs(1500))), "a little ahead is drift");
        assert!(!clock.believes(start.after(year)));
        tokio::time::advance(DOUBT - Duration::from_secs(1)).await;
        assert!(!clock.believes(start.after(year + DOUBT)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(clock.believes(start.after(year + DOUBT)), "so it is the time after all");
        assert!(!clock.was_set_back());
        clock.believes(start);
        assert!(clock.was_set_back() && !clock.was_set_back());
    }
}
