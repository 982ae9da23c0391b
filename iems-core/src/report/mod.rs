//! Report: what senders are told (RFC 3461 to 3464), and what operators can know.
//!
//! A report is a new message that enters with a null reverse-path, so a report can never cause a report.

mod dsn;
mod event;
mod metrics;
mod story;

pub(crate) use dsn::add;
pub use event::{Event, What};
pub(crate) use metrics::Counters;
pub use metrics::Metrics;
pub use story::Story;

use crate::preprocess::Decision;

/// The field that tells the far side, or the owner of a mailbox, what was found and decided.
/// Fields of this name from outside are removed at the door.
pub fn verdict_field(decision: &Decision) -> String {
    let text = format!("{}; {}; {}", decision.action, decision.scope, decision.reason);
    let text: String =
        text.chars().map(|c| if c.is_control() || !c.is_ascii() { '?' } else { c }).take(900).collect();
    format!("X-IEMS-Verdict: {text}\r\n")
}
