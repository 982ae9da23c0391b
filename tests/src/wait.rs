//! Waiting for something to become true, with a limit and a name for what did not happen.

use std::time::{Duration, Instant};

/// Asks `found` again and again until it answers `Some`.
///
/// # Panics
/// When `limit` has passed; `what` names what was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Seconds, short.
pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
