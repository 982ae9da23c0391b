//! What a simulation is made of.

use std::time::Duration;

use crate::queue::Schedule;

/// How long a simulation is, and what happens in it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The most steps. After each one every rule is checked.
    pub steps: u32,
    /// How much time may pass before the end begins.
    pub span: Duration,
    /// The least and the most time between two steps; the logarithm is what is spread evenly.
    pub pause: (Duration, Duration),
    /// The most letters in one step.
    pub letters: u64,
    /// Far places.
    pub places: u64,
    /// Engines that divide the work on one store; one alone takes it all.
    pub engines: usize,
    /// The schedule of the queue.
    pub schedule: Schedule,
    /// How long the engine waits for one attempt.
    pub patience: Duration,
    /// Whether far places and mailboxes misbehave.
    pub weather: bool,
    /// Whether storage fails and stalls.
    pub faults: bool,
    /// Whether the process is killed, and stopped in good order.
    pub crashes: bool,
    /// Whether an operator retries and removes messages and changes settings.
    pub operator: bool,
    /// How far the wall clock may be set forwards and backwards at a time; zero for never.
    pub jumps: Duration,
}

impl Plan {
    /// Some minutes with all that can happen: for thousands of seeds.
    pub fn minutes() -> Self {
        let seconds = Duration::from_secs;
        let schedule = Schedule {
            retry: vec![seconds(5), seconds(30), seconds(120), seconds(300)],
            expire: seconds(1800),
            warn: Some(seconds(200)),
        };
        Self {
            steps: 10,
            span: Duration::MAX,
            pause: (Duration::from_millis(2), seconds(120)),
            letters: 3,
            places: 4,
            engines: 1,
            schedule,
            patience: seconds(120),
            weather: true,
            faults: true,
            crashes: true,
            operator: true,
            jumps: seconds(300),
        }
    }

    /// Some minutes with two engines on one store.
    pub fn nodes() -> Self {
        Self { engines: 2, ..Self::minutes() }
    }

    /// So many days, with the schedule that engines have by default.
    pub fn days(days: u32) -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            steps: u32::MAX,
            span: minutes(24 * 60 * u64::from(days)),
            pause: (minutes(1), minutes(40)),
            letters: 8,
            places: 12,
            schedule: Schedule::default(),
            patience: minutes(10),
            jumps: minutes(60),
            ..Self::minutes()
        }
    }

    /// The longest wait between two attempts: a tenth longer than the schedule says.
    pub(super) fn longest_wait(&self) -> Duration {
        let longest = self.schedule.retry.iter().max().copied().unwrap_or_default();
        longest + longest / 10
    }
}
