//! How one far place behaves: its mood, and how quick it is.

use std::time::Duration;

use super::Dice;
use crate::message::{EnhancedStatus, Reply};

/// How a place behaves until it is told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// Each step (connecting, taking a message) takes at least the first and at most the second.
    pub latency: (Duration, Duration),
    /// What it does.
    pub mood: Mood,
}

/// What a place does with messages. Numbers called permille are in thousandths.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mood {
    /// It takes everything.
    Well,
    /// No connection can be made.
    Down,
    /// It says that it takes no mail at all, for good.
    Closed,
    /// Some recipients are put off, some refused for good, by chance.
    Moody {
        /// Permille put off.
        later: u64,
        /// Permille refused.
        never: u64,
    },
    /// A message is put off until so long after its first try.
    Greylisting(Duration),
    /// No more recipients than this in each span.
    Limited(u64, Duration),
    /// The connection ends before the end of a message, in so many permille.
    CutBefore(u64),
    /// The message is taken, and the connection ends before the answer, in so many permille.
    CutAfter(u64),
    /// Each step takes so long.
    Tarpit(Duration),
    /// It takes the message, in so many permille, and never answers.
    Silent(u64),
}

impl Default for Manner {
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self { latency: (millis(1), millis(200)), mood: Mood::Well }
    }
}

impl Manner {
    /// A manner by chance. `patience` is the time after which the engine gives an attempt up.
    pub fn by_chance(dice: &Dice, patience: Duration) -> Self {
        let permille = |least: u64, most: u64| least + dice.below(most - least);
        let mood = match dice.below(14) {
            0..4 => Mood::Well,
            4 | 5 => Mood::Down,
            6 if dice.chance(300) => Mood::Closed,
            6 | 7 => Mood::Moody { later: permille(50, 700), never: permille(10, 300) },
            8 => Mood::Greylisting(dice.span(Duration::from_secs(10), Duration::from_secs(600))),
            9 => Mood::Limited(1 + dice.below(5), Duration::from_secs(60)),
            10 => Mood::CutBefore(permille(100, 1000)),
            11 => Mood::CutAfter(permille(100, 900)),
            12 => Mood::Tarpit(dice.span(patience / 8, patience * 2)),
            _ => Mood::Silent(permille(100, 1000)),
        };
        let slowest = Duration::from_millis(*dice.pick(&[2, 20, 200, 3000]));
        Self { latency: (Duration::from_millis(1), slowest), mood }
    }

    /// The answer to a connection; none if it is made.
    pub(super) fn refusal(&self) -> Option<Reply> {
        match self.mood {
            Mood::Down => Some(Reply::defer(4, 1, "no connection")),
            Mood::Closed => Some(Reply::new(556, EnhancedStatus::new(5, 1, 10), "no mail is taken here")),
            _ => None,
        }
    }

    /// Whether nothing of what it does is trouble of the place as a whole, and nothing takes long.
    pub(super) fn is_harmless(&self) -> bool {
        matches!(self.mood, Mood::Well | Mood::Closed | Mood::Moody { .. } | Mood::Greylisting(_))
    }

    /// How long a step takes.
    pub(super) fn pause(&self, dice: &Dice) -> Duration {
        match self.mood {
            Mood::Tarpit(span) => span,
            _ => dice.span(self.latency.0, self.latency.1),
        }
    }
}
