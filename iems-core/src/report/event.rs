//! What happened to a message, one line at a time: the material of [`super::Story`].

use serde::{Deserialize, Serialize};

use crate::deliver::Outcome;
use crate::message::{ChannelId, Kind, Mailbox, NextHop, Reply};
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
    /// A report was written: to the sender, or to the postmaster where there is none.
    Reported {
        /// `failed`, `delayed`, `delivered`, ..., those of its recipients.
        action: String,
        /// The queue id of the report.
        report: String,
        /// Who is told.
        to: Mailbox,
        /// What the report is: one about spam lives short.
        kind: Kind,
    },
    /// There was something to tell, and nobody to tell it to.
    NotReported {
        /// `failed`, `delayed`, ...
        action: String,
        /// Why.
        why: Silence,
    },
    /// The policy dropped the message for a recipient.
    Discarded {
        /// For whom.
        mailbox: Mailbox,
        /// By which rule.
        decision: Decision,
    },
    /// An operator did something: `hold`, `release`, `retry`, `purge`.
    Administered {
        /// What was done.
        action: String,
    },
    /// An operator gave recipients up.
    Bounced {
        /// Whom.
        mailboxes: Vec<Mailbox>,
        /// What their reports say.
        reply: Reply,
    },
    /// An operator sent the message to another address instead.
    Redirected {
        /// For whom it had been.
        mailboxes: Vec<Mailbox>,
        /// Where it goes now.
        to: Mailbox,
        /// The queue id of the new message.
        message: String,
    },
    /// An operator changed the way.
    Rerouted {
        /// The channel and next hop it waited for.
        from: (ChannelId, NextHop),
        /// Those it waits for now.
        to: (ChannelId, NextHop),
    },
}

/// Why nobody was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Silence {
    /// The message has no sender, and the postmaster does not want to know or it was tagged as spam.
    NoSender,
    /// The message is a report about spam.
    SpamReport,
    /// The message is a notice to the postmaster.
    Notice,
    /// The sender asked not to be told, or is a program that did not ask.
    Unwanted,
    /// The postmaster was told enough within the hour: it is counted in the next notice.
    Summed,
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoSender => "the message has no sender",
            Self::SpamReport => "the message is a report about spam",
            Self::Notice => "the message is itself a notice to the postmaster",
            Self::Unwanted => "the sender does not want to know",
            Self::Summed => "the postmaster was told enough for now; the next notice counts it",
        })
    }
}
