//! What happened to a message, one line at a time: the material of [`super::Story`].

use serde::{Deserialize, Serialize};

use crate::deliver::Outcome;
use crate::message::{ChannelId, Mailbox, NextHop};
use crate::preprocess::Decision;
use crate::seam::Timestamp;

/// One event in the life of a message after its acceptance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// Kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// An attempt ended.
    Attempt {
        /// The channel or agent.
        channel: ChannelId,
        /// The next hop.
        hop: NextHop,
        /// 1 for the first.
        number: u32,
        /// What became of each recipient.
        outcomes: Vec<(Mailbox, Outcome)>,
        /// When the rest is tried again, if it is.
        next: Option<Timestamp>,
    },
    /// The owner of a mailbox or list decided about the verdicts.
    Decided {
        /// For whom.
        mailbox: Mailbox,
        /// What, and by which rule.
        decision: Decision,
    },
    /// A recipient was given up because its time was over.
    Expired {
        /// Who.
        mailbox: Mailbox,
    },
    /// A report was sent to the sender; its queue id.
    Reported {
        /// `failed`, `delayed`, `delivered`, ...
        action: String,
        /// The id of the report.
        report: String,
    },
    /// A report was due and not sent, because the message is itself a report.
    NotReported {
        /// `failed`, `delayed`, ...
        action: String,
    },
    /// The policy dropped the message for a recipient.
    Discarded {
        /// For whom.
        mailbox: Mailbox,
        /// By which rule.
        decision: Decision,
    },
    /// An administrator did something: `retry`, `purge`.
    Administered {
        /// What was done.
        action: String,
    },
}
