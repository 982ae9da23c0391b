//! Reports about TLS (RFC 8460). The sender's side: what went well and wrong with the servers of a domain is counted by day and policy,
//! and told once a day to whoever the domain names.
//!
//! `tally` counts → `rows` the counters in the store → `record` who wants to know → `report` the text → `reporter` sends it.
//! The other side, of reports that others write about us, is `received`.

mod kind;
pub mod received;
mod record;
mod report;
mod reporter;
mod rows;
mod tally;

pub use kind::FailureKind;
pub use report::Reporting;
pub use reporter::{Means, Reporter};
pub use rows::{Counted, Day, OfPolicy};
pub use tally::{FailureSeen, PolicyKind, PolicySeen, Tally};
