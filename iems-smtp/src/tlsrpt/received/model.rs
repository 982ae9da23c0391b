//! What is known from a report: the fields of RFC 8460 section 4.4, as text of bounded length without control characters.

use iems_core::seam::Timestamp;
use serde::{Deserialize, Serialize};

/// A report as it was written. Nothing in it is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedReport {
    /// Who says that it has written it; may be empty.
    pub organization: String,
    /// Whom to ask about it; may be empty.
    pub contact: String,
    /// Its name, never empty.
    pub id: String,
    /// The first moment it tells of.
    pub start: Timestamp,
    /// The last one.
    pub end: Timestamp,
    /// What was seen, by policy; never empty.
    pub policies: Vec<ReceivedPolicy>,
    /// Policies that were left out, for there were too many.
    pub omitted: u64,
}

/// What was seen under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedPolicy {
    /// `tlsa`, `sts`, `no-policy-found`, or what else the sender calls it.
    pub kind: String,
    /// Whose policy it is: a domain, or for `tlsa` perhaps a host; in lower case.
    pub domain: String,
    /// Its lines or records.
    pub strings: Vec<String>,
    /// The hosts it names.
    pub hosts: Vec<String>,
    /// Sessions as it wants them.
    pub successes: u64,
    /// Sessions that were not.
    pub failures: u64,
    /// Why not.
    pub details: Vec<ReceivedFailure>,
    /// Details that were left out, for there were too many.
    pub omitted: u64,
}

/// Sessions that failed for one reason. Texts are empty where nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedFailure {
    /// The result type (section 4.3), in lower case.
    pub result: String,
    /// The address of the sending system.
    pub sending_ip: String,
    /// The name of our host.
    pub host: String,
    /// What it called itself.
    pub helo: String,
    /// Its address.
    pub receiving_ip: String,
    /// How many sessions.
    pub sessions: u64,
    /// Where more is told.
    pub information: String,
    /// A code or words for the reason.
    pub reason: String,
}

/// What SPF said of the message that a report came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpfSeen {
    /// `pass`, `fail`, `softfail`, `neutral`, `none`, `temperror` or `permerror`.
    pub result: String,
    /// The domain that was asked.
    pub domain: String,
}

/// A report, with what is known of how it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// When the message arrived.
    pub received: Timestamp,
    /// The queue id of the message.
    pub message: String,
    /// Its envelope sender; empty for none.
    pub sender: String,
    /// What SPF said; nothing where it was not asked.
    pub spf: Option<SpfSeen>,
    /// The report.
    pub report: ReceivedReport,
}

impl ReceivedReport {
    /// Sessions as the policies want them, and others.
    pub fn sessions(&self) -> (u64, u64) {
        self.policies.iter().fold((0, 0), |(good, bad), of| {
            (u64::saturating_add(good, of.successes), u64::saturating_add(bad, of.failures))
        })
    }
}
