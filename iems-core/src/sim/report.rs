//! What a simulation brings: numbers by day, the verdict, and the trace that leads to it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::seam::Timestamp;

/// How many lines of the trace are kept.
const LINES: usize = 400;

/// Numbers of recipients; a message to three counts three times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Accepted by the engine; copies of lists included.
    pub accepted: u64,
    /// Letters refused, or given up by their senders.
    pub refused: u64,
    /// In a mailbox, or taken by another system which said so.
    pub delivered: u64,
    /// Times a far system put a recipient off.
    pub deferred: u64,
    /// Given up: refused for good, or out of time.
    pub bounced: u64,
    /// Removed by the operator.
    pub purged: u64,
    /// Sent on by the operator, to another address: each counts as accepted once more.
    pub redirected: u64,
    /// Reports that reached their readers.
    pub reports: u64,
    /// Messages that far systems took more than once, after an answer that nobody heard or a crash.
    pub repeated: u64,
    /// Times the process ended, in good order or not.
    pub ends: u64,
}

/// The numbers at the end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Of the simulation, from 1.
    pub day: u64,
    /// Since the beginning.
    pub tally: Tally,
    /// Recipients that wait.
    pub queued: u64,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule, by its number and name.
    pub rule: &'static str,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// What came of a simulation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The seed that repeats it.
    pub seed: u64,
    /// The first rule that was broken, if any was.
    pub violation: Option<Violation>,
    /// The numbers at the end.
    pub tally: Tally,
    /// The numbers day by day.
    pub days: Vec<Day>,
    /// How much simulated time passed.
    pub elapsed: Duration,
    /// The last lines of what happened.
    pub trace: Vec<String>,
    /// A digest of all lines: equal for equal runs.
    pub fingerprint: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} hours", self.seed, self.elapsed.as_secs() / 3600)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        match &self.violation {
            Some(violation) => writeln!(f, "broken: {violation}"),
            None => writeln!(f, "every rule held: {:?}", self.tally),
        }
    }
}

/// The lines of what happens.
pub(super) struct Trace {
    lines: VecDeque<String>,
    fingerprint: u64,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { lines: VecDeque::new(), fingerprint: 0xCBF2_9CE4_8422_2325 }
    }

    pub(super) fn line(&mut self, at: Timestamp, text: fmt::Arguments<'_>) {
        let secs = at.as_secs() % 86_400;
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        let line = format!("{hour:02}:{minute:02}:{second:02}.{:03} {text}", at.as_millis() % 1000);
        for byte in line.bytes() {
            self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(super) fn end(self) -> (Vec<String>, u64) {
        (self.lines.into(), self.fingerprint)
    }
}
