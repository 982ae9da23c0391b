//! The index of texts in the words of the administration.

use serde::{Deserialize, Serialize};

/// How the index of an account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SearchAnswer {
    /// The account.
    pub(crate) address: String,
    /// Messages that it holds; copies count once.
    pub(crate) messages: u64,
    /// Octets on the disk.
    pub(crate) octets: u64,
    /// `none`, `current`, `behind`, `waiting`, `running` or `damaged`.
    pub(crate) state: String,
    /// While it runs: messages that were looked at.
    pub(crate) done: Option<u64>,
    /// While it runs: messages that there are to look at, about.
    pub(crate) total: Option<u64>,
}

impl SearchAnswer {
    /// Whether somebody works on it, or will.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.state.as_str(), "waiting" | "running")
    }
}
