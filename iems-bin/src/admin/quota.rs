//! Quotas in the words of the administration: what is asked, and what is answered.

use serde::{Deserialize, Serialize};

use super::request::Change;

/// What to change about the limits of an account or a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuotaChange {
    /// The most octets; of a domain, of all its accounts together.
    pub(crate) storage: Change<u64>,
    /// The most messages; of a domain, of all its accounts together.
    pub(crate) messages: Change<u64>,
    /// The most octets of each account of a domain that has no limit of its own.
    pub(crate) each_storage: Change<u64>,
    /// The most messages of each account of a domain that has no limit of its own.
    pub(crate) each_messages: Change<u64>,
}

/// Where an account or a domain stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuotaAnswer {
    /// The account, or the domain.
    pub(crate) name: String,
    /// Octets that it holds.
    pub(crate) used: u64,
    /// Messages that it holds.
    pub(crate) messages: u64,
    /// The most octets that hold for it, its own or its domain's or the site's.
    pub(crate) storage_limit: Option<u64>,
    /// The most messages that hold for it.
    pub(crate) message_limit: Option<u64>,
    /// How much of its limits it holds, in percent: the greater of both.
    pub(crate) percent: Option<u64>,
    /// Whether its owner was warned since it was last below the mark.
    pub(crate) warned: bool,
    /// Since when it holds more than it may, RFC 3339.
    pub(crate) over_since: Option<String>,
    /// Of a domain: what each account may hold that has no limit of its own.
    pub(crate) each_storage: Option<u64>,
    /// The same for messages.
    pub(crate) each_messages: Option<u64>,
}

/// What counting anew came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recounted {
    /// The account.
    pub(crate) address: String,
    /// Octets, as the ledger said.
    pub(crate) used_before: u64,
    /// Octets that there are.
    pub(crate) used: u64,
    /// Messages, as the ledger said.
    pub(crate) messages_before: u64,
    /// Messages that there are.
    pub(crate) messages: u64,
}
