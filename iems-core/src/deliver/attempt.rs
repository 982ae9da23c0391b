//! One attempt: what a link or an agent is given.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::message::{Body, Envelope, Mailbox, QueueId, Recipient, Verdict};
use crate::preprocess::Decision;
use crate::receive::Upstream;
use crate::seam::Timestamp;
use crate::storage::Blobs;

/// One recipient of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// The address at the next hop, or the account at an agent.
    pub mailbox: Mailbox,
    /// What stood behind the `+` of a subaddress, for agents.
    pub detail: Option<String>,
    /// The recipient as the sender gave it, with what to report. Its mailbox differs from ours
    /// after aliases and forwards.
    pub recipient: Recipient,
    /// What the policy of the site, and the default of the channel, decided.
    pub decision: Decision,
}

/// A message on its way to some recipients that share a next hop.
#[derive(Clone)]
pub struct Attempt {
    /// The message.
    pub id: QueueId,
    /// 1 for the first attempt.
    pub number: u32,
    /// The envelope.
    pub envelope: Arc<Envelope>,
    /// The body, to be read from `blobs`.
    pub body: Body,
    /// Where the body is.
    pub blobs: Arc<dyn Blobs>,
    /// For whom; never empty.
    pub destinations: Vec<Destination>,
    /// What was found.
    pub verdicts: Arc<[Verdict]>,
    /// Where the message first came in, for hosts of the site that are told.
    pub upstream: Option<Arc<Upstream>>,
    /// When the message arrived.
    pub arrived: Timestamp,
    /// Now.
    pub now: Timestamp,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attempt({} #{} for {:?})", self.id, self.number, self.destinations)
    }
}
