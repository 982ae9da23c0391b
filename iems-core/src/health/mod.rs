//! Health: whether storage can be promised anything, and what follows where it cannot.
//!
//! Commits are watched as they pass (`watched`), room and memory are measured (`watch`); what that
//! means is decided by a pure state machine with latches (`machine`). A latch closes on the first evidence and opens
//! only on a probe that worked, or on a measurement that is past its mark by a margin. Intake and the queue
//! ask the `gate`. What each condition refuses is in the table of `docs/operations.md`.
//!
//! Nothing here fails: trouble is an answer.

mod commits;
mod gate;
mod machine;
mod marks;
mod probe;
mod reply;
mod told;
mod watch;
mod watched;

pub(crate) use gate::Gate;
pub use marks::Marks;
pub use told::{Condition, Health, Latency, Probes, Trouble};
pub(crate) use watch::watch;
