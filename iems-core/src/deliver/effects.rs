//! Effects: what an agent wants to happen, committed with the queue's own step.

use crate::message::{Body, Envelope, Kind, Recipient};
use crate::storage::Batch;

/// A new message that an agent sends: a list copy, a redirect, a reply. It passes through `route` and
/// `queue` like any other, in the commit of the delivery that caused it.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Its envelope.
    pub envelope: Envelope,
    /// Its recipients; at most 1000.
    pub recipients: Vec<Recipient>,
    /// Its body: usually the attempt's, with fields in front.
    pub body: Body,
    /// What it is: [`Kind::Ordinary`], unless it is a report.
    pub kind: Kind,
}

impl Submission {
    /// Ordinary mail.
    pub fn new(envelope: Envelope, recipients: Vec<Recipient>, body: Body) -> Self {
        Self { envelope, recipients, body, kind: Kind::Ordinary }
    }
}

/// Writes and new messages that take effect together with the outcomes, or not at all.
#[derive(Debug, Default)]
pub struct Effects {
    /// Writes to the store.
    pub batch: Batch,
    /// New messages.
    pub submissions: Vec<Submission>,
}
