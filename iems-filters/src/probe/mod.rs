//! Asking other systems, within bounds: what [`SenderSite`](crate::sender::SenderSite),
//! [`SenderCallback`](crate::sender::SenderCallback) and [`RecipientForward`](crate::forward::RecipientForward) share.
//!
//! Answers are kept in the store, good ones longer than bad ones. How many questions are open at once, how long each may
//! take, and how many go to one domain in a time is bounded; above that nothing is asked.

mod asked;
mod settings;

pub use settings::Settings;

pub(crate) use asked::{Asker, Known};
