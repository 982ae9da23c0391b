//! What a message is to the engine: mail of somebody's, or one of the notices that the engine writes itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a message is. It decides who hears of its failure, and how long it waits; nothing in the message itself does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Mail of somebody's. Its sender hears of failure.
    #[default]
    Ordinary,
    /// A report of ours to a sender. If it fails, the postmaster may hear of it.
    Report,
    /// A report of ours about a message that was tagged as spam, whose sender is likely forged: it lives short, and
    /// nobody hears of its failure.
    SpamReport,
    /// A notice to the postmaster. Nobody hears of its failure.
    Notice,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ordinary => "ordinary",
            Self::Report => "report",
            Self::SpamReport => "spam-report",
            Self::Notice => "notice",
        })
    }
}
