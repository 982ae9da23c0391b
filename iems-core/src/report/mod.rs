//! Report: what senders are told (RFC 3461 to 3464, RFC 6522, RFC 6533), and what operators can know.
//!
//! `told` → `who` → `issue` → (`returned`, `compose` → (`people`, `fields`)) → the queue. A report is a new message from
//! the null sender, of a kind of its own: it never causes a report that could come back to it. Its failure is told to the
//! postmaster (`double`), and a report about spam ends in silence.

mod compose;
mod double;
mod encode;
mod event;
mod fields;
mod issue;
mod language;
mod metrics;
mod people;
mod returned;
mod settings;
mod story;
mod tally;
mod template;
mod text;
mod told;
mod traffic;
mod who;

pub(crate) use double::{Hour, sum_up};
pub use event::{Event, Silence, What};
pub(crate) use issue::add;
pub(crate) use metrics::Counters;
pub use metrics::Metrics;
pub use settings::{DoubleBounces, Reports};
pub use story::Story;
pub use tally::Reported;
pub use text::{Language, TextError, Texts};
pub(crate) use told::{Action, Told};
pub(crate) use traffic::TrafficBook;
pub use traffic::{Histogram, Traffic};

use crate::preprocess::Decision;

/// The field that tells the far side, or the owner of a mailbox, what was found and decided.
/// Fields of this name from outside are removed at the door.
pub fn verdict_field(decision: &Decision) -> String {
    let text = format!("{}; {}; {}", decision.action, decision.scope, decision.reason);
    let text: String =
        text.chars().map(|c| if c.is_control() || !c.is_ascii() { '?' } else { c }).take(900).collect();
    format!("X-IEMS-Verdict: {text}\r\n")
}

#[cfg(test)]
mod tests;
