//! Reports about TLS (RFC 8460), the side that gets them: what other systems saw of our servers is read and kept, so that it can be looked at.
//!
//! `mime` finds the report in a message → `lenient`, `json` read it → `read` all of that, bounded → `rows` the store → `receiver` keeps →
//! `agent` stands where such mail is delivered. Whoever wrote a report is not known for certain: section 3 wants a signature (DKIM), which is not
//! looked at here; what SPF said is kept with it.

mod agent;
mod json;
mod lenient;
mod mime;
mod model;
mod read;
mod receiver;
mod rows;

pub use agent::{ReportAgent, ReportJudge};
pub use model::{ReceivedFailure, ReceivedPolicy, ReceivedReport, SpfSeen, Taken};
pub use read::{Unreadable, read};
pub use receiver::{ReceivedCounts, Receiver, ReceiverSettings, Selection};

/// The name of the agent for mail to an address that belongs to nobody else, and of the judge that looks at such mail at the door.
pub const AGENT: &str = "tls-reports";
/// The name of the agent that reads mail that somebody else gets, too.
pub const COPIES: &str = "tls-reports-copy";

#[cfg(test)]
mod tests;
