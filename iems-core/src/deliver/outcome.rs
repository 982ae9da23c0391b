//! What became of one recipient in one attempt. Pessimistic: no answer means deferred.

use serde::{Deserialize, Serialize};

use crate::message::Reply;

/// How far the responsibility went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arrival {
    /// It is in the recipient's mailbox, or handed to a gateway that cannot report.
    Delivered,
    /// The next system took it, with our DSN wishes: reports of success are its business.
    Relayed,
    /// The next system took it and does not know DSN: RFC 3461 section 5.2.2 wants a `relayed` report.
    RelayedWithoutDsn,
    /// It was expanded into new messages (an alias, a list).
    Expanded,
    /// The next system took it, and the sender is to hear of that: it set a time (RFC 2852) that the next system does not know,
    /// or wants to follow the message.
    RelayedAndTold,
}

/// The outcome for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, with the words of the one who took it.
    Done(Arrival, Reply),
    /// Not now. Also whenever the outcome is unknown.
    Deferred(Reply),
    /// Never.
    Failed(Reply),
}

impl Outcome {
    /// Deferred with `451 4.subject.detail`.
    pub fn deferred(subject: u16, detail: u16, text: &str) -> Self {
        Self::Deferred(Reply::defer(subject, detail, text))
    }

    /// The reply that goes with it.
    pub fn reply(&self) -> &Reply {
        match self {
            Self::Done(_, reply) | Self::Deferred(reply) | Self::Failed(reply) => reply,
        }
    }

    /// By the class of `reply`: 2 is done as `arrival`, 5 failed, anything else deferred.
    pub fn from_reply(arrival: Arrival, reply: Reply) -> Self {
        match reply.code / 100 {
            2 => Self::Done(arrival, reply),
            5 => Self::Failed(reply),
            _ => Self::Deferred(reply),
        }
    }
}
