//! What becomes of a triple, from what is remembered and the time. Pure.
//!
//! ```text
//! nothing ──first attempt──▶ put off until `first + delay` ──attempt in the window──▶ passed, for `lifetime`
//!    ▲                                │ window over                                        │ not seen for `lifetime`
//!    └────────────────────────────────┴────────────────────────────────────────────────────┘
//! ```

use std::time::Duration;

use iems_core::seam::Timestamp;

use super::Settings;

/// What is remembered of a triple. That its row has ended, the store knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The first attempt; once passed, the last one that was written down.
    pub(super) at: Timestamp,
    /// Whether it has passed.
    pub(super) passed: bool,
}

impl Entry {
    pub(super) fn octets(self) -> [u8; 9] {
        let mut octets = [0; 9];
        octets[..8].copy_from_slice(&self.at.as_millis().to_be_bytes());
        octets[8] = u8::from(self.passed);
        octets
    }

    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let (at, rest) = octets.split_first_chunk::<8>()?;
        Some(Self { at: Timestamp::from_millis(u64::from_be_bytes(*at)), passed: rest.first()? == &1 })
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nobody has seen this before.
    New(Duration),
    /// It is too early; how long still.
    Early(Duration),
    /// It has come back.
    Back,
    /// It has passed before.
    Known,
}

/// How old what is written of a passed triple may become before it is written again.
const FRESH: Duration = Duration::from_secs(86_400);

/// The answer, and what is to be remembered from now on, and until when, if that changes.
pub(super) fn decide(
    entry: Option<Entry>,
    now: Timestamp,
    settings: &Settings,
) -> (Answer, Option<(Entry, Timestamp)>) {
    let passed = Some((Entry { at: now, passed: true }, now.after(settings.lifetime)));
    match entry {
        None => {
            let until = now.after(settings.delay.max(settings.window));
            (Answer::New(settings.delay), Some((Entry { at: now, passed: false }, until)))
        }
        Some(entry) if entry.passed => {
            let stale = now.since(entry.at) >= FRESH.min(settings.lifetime / 2);
            (Answer::Known, passed.filter(|_| stale))
        }
        Some(entry) => {
            let due = entry.at.after(settings.delay);
            if now >= due { (Answer::Back, passed) } else { (Answer::Early(due.since(now)), None) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_790_000_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(START + seconds * 1000)
    }

    #[test]
    fn a_triple_is_put_off_once_and_then_known() {
        let settings = Settings::default();
        let (answer, kept) = decide(None, at(0), &settings);
        assert_eq!(answer, Answer::New(Duration::from_secs(300)));
        let (first, until) = kept.unwrap();
        assert_eq!(until, at(2 * 86_400));
        let early = decide(Some(first), at(100), &settings);
        assert_eq!(early, (Answer::Early(Duration::from_secs(200)), None));
        let (answer, kept) = decide(Some(first), at(300), &settings);
        assert_eq!(answer, Answer::Back);
        let (passed, until) = kept.unwrap();
        assert_eq!(until, at(300 + 36 * 86_400));
        assert_eq!(decide(Some(passed), at(400), &settings), (Answer::Known, None));
        let (answer, kept) = decide(Some(passed), at(2 * 86_400), &settings);
        assert_eq!((answer, kept.is_some()), (Answer::Known, true), "it is written again now and then");
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        for passed in [false, true] {
            let entry = Entry { at: at(7), passed };
            assert_eq!(Entry::read(&entry.octets()), Some(entry));
        }
        assert_eq!(Entry::read(b"short"), None);
    }
}
