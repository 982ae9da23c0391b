//! What `iems tls-reports received` answers. Fields are only ever added.

use serde::{Deserialize, Serialize};

/// A report that somebody else wrote. Nothing in it is proven but what `spf` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceivedAnswer {
    /// When it arrived.
    pub(crate) received: String,
    /// The queue id of the message.
    pub(crate) message: String,
    /// The envelope sender of the message; empty for none.
    pub(crate) sender: String,
    /// What SPF said of it: `pass`, `fail` and so on; nothing where it was not asked.
    pub(crate) spf: Option<String>,
    /// About which domain.
    pub(crate) spf_domain: Option<String>,
    /// Who says that it has written it.
    pub(crate) organization: String,
    /// Whom to ask about it.
    pub(crate) contact: String,
    /// What its writer calls it.
    pub(crate) report_id: String,
    /// The first moment it tells of.
    pub(crate) start: String,
    /// The last one.
    pub(crate) end: String,
    /// Sessions as the policies want them.
    pub(crate) good: u64,
    /// Others.
    pub(crate) bad: u64,
    /// By policy.
    pub(crate) policies: Vec<ReceivedPolicyAnswer>,
    /// Policies that were too many to be kept.
    pub(crate) omitted: u64,
}

/// What was seen under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceivedPolicyAnswer {
    /// `tlsa`, `sts`, `no-policy-found`.
    pub(crate) policy: String,
    /// Whose it is.
    pub(crate) domain: String,
    /// Its lines or records.
    pub(crate) strings: Vec<String>,
    /// The hosts it names.
    pub(crate) hosts: Vec<String>,
    /// Sessions as it wants them.
    pub(crate) good: u64,
    /// Others.
    pub(crate) bad: u64,
    /// Why not.
    pub(crate) failures: Vec<ReceivedFailureAnswer>,
    /// Reasons that were too many to be kept.
    pub(crate) omitted: u64,
}

/// Sessions that failed for one reason; texts are empty where nothing was said. Called as in RFC 8460 section 4.4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceivedFailureAnswer {
    pub(crate) result_type: String,
    pub(crate) sending_mta_ip: String,
    pub(crate) receiving_mx_hostname: String,
    pub(crate) receiving_mx_helo: String,
    pub(crate) receiving_ip: String,
    pub(crate) failed_session_count: u64,
    pub(crate) additional_information: String,
    pub(crate) failure_reason_code: String,
}
