//! Questions and orders about the queue, and the shapes of their answers (`docs/config.md`). Fields are only ever added.

use iems_core::message::{Domain, Mailbox, QueueId};
use serde::{Deserialize, Serialize};

/// Which messages. What is absent matches all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// These messages.
    pub(crate) ids: Vec<QueueId>,
    /// From this sender; `<>` is the null sender.
    pub(crate) sender: Option<String>,
    /// For this recipient.
    pub(crate) recipient: Option<Mailbox>,
    /// For recipients of this domain.
    pub(crate) domain: Option<Domain>,
    /// At this hop: `channel:hop`, or the next hop alone.
    pub(crate) hop: Option<String>,
    /// On behalf of this domain of ours.
    pub(crate) tenant: Option<Domain>,
    /// In this state.
    pub(crate) state: Option<String>,
    /// Whose last reply contains this.
    pub(crate) reply: Option<String>,
    /// That arrived at least so many seconds ago.
    pub(crate) older: Option<u64>,
    /// That arrived less than so many seconds ago.
    pub(crate) younger: Option<u64>,
    /// Only reports about messages that were tagged as spam.
    pub(crate) spam_reports: bool,
    /// At most so many.
    pub(crate) limit: Option<usize>,
    /// Behind this mark of a listing.
    pub(crate) after: Option<String>,
}

/// What is to be done with messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// They are not tried until released.
    Hold,
    /// What is held is tried now.
    Release,
    /// Tried now.
    Retry,
    /// Removed, without a report.
    Purge,
    /// Failed, with a report that has this text.
    Bounce(Option<String>),
    /// Sent to another address instead.
    Redirect(Mailbox),
    /// Sent another way: `smtp:host:port`, `lmtp:host:port` or `lmtp:/path`.
    Via(String),
}

/// How far an order goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Extent {
    /// Nothing is changed.
    pub(crate) trial: bool,
    /// So many of the messages are shown.
    pub(crate) show: usize,
    /// At most so many entries in one go.
    pub(crate) most: Option<usize>,
}

/// A hop in an operator's words, `channel:hop`.
pub(crate) type HopName = String;

/// What waits for one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct QueueAnswer {
    /// The queue id.
    pub(crate) id: String,
    /// `ordinary`, or what we wrote ourselves: `report`, `spam-report`, `notice`.
    pub(crate) kind: String,
    /// The envelope sender; empty for the null sender.
    pub(crate) sender: String,
    /// On whose behalf it travels.
    pub(crate) tenant: Option<String>,
    /// Recipients that still wait.
    pub(crate) recipients: Vec<Waiting>,
    /// `waiting` if no attempt was made, `deferred` if one failed for now, `held` by an operator, `active` while an
    /// attempt runs.
    pub(crate) state: String,
    /// All that holds it, what holds it first in front.
    pub(crate) waits: Vec<WaitsAnswer>,
    /// From -9 (last) to 9 (first), as in RFC 6710: the highest of all recipients.
    pub(crate) priority: i8,
    /// Octets.
    pub(crate) size: u64,
    /// When it arrived (RFC 3339).
    pub(crate) arrived: String,
    /// Seconds since then.
    pub(crate) age: u64,
    /// Attempts so far: the most of any recipient.
    pub(crate) attempts: u32,
    /// When the next attempt is due: the earliest of all recipients.
    pub(crate) next_attempt: String,
    /// When delivery is given up.
    pub(crate) expires: String,
    /// What the last attempt was told.
    pub(crate) last_reply: Option<String>,
    /// Where a listing goes on behind it.
    pub(crate) after: String,
}

/// A recipient that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The address.
    pub(crate) address: String,
    /// The channel or agent.
    pub(crate) channel: String,
    /// The next hop.
    pub(crate) hop: String,
}

/// Why something waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WaitsAnswer {
    /// In a line.
    pub(crate) text: String,
    /// In a few words.
    pub(crate) brief: String,
    /// `why`, and what belongs to it: limits, names, times, `origin` (where it was decided).
    #[serde(flatten)]
    pub(crate) reason: serde_json::Map<String, serde_json::Value>,
}

/// What came of an order. Recipients of one message that share a next hop are one entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OrderAnswer {
    /// Whether nothing was changed on purpose.
    pub(crate) dry_run: bool,
    /// Entries that were changed, or would be.
    pub(crate) changed: u64,
    /// Entries that it does not concern as they are.
    pub(crate) unchanged: u64,
    /// Entries that were left alone because an attempt was under way.
    pub(crate) under_way: u64,
    /// The first of those that are changed, as they were.
    pub(crate) first: Vec<QueueAnswer>,
    /// Where the order goes on, if it is not complete.
    pub(crate) next: Option<String>,
}

/// The queue at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OverviewAnswer {
    /// When this was so (RFC 3339).
    pub(crate) at: String,
    /// Whether a server works on it.
    pub(crate) running: bool,
    /// Entries in each state, and all of them.
    #[serde(flatten)]
    pub(crate) depth: DepthAnswer,
    /// Hops that something waits for.
    pub(crate) hops: u64,
    /// Age of the oldest message that waits.
    pub(crate) oldest: Option<u64>,
    /// Workers, and the most there may be.
    pub(crate) workers: usize,
    /// See there.
    pub(crate) most_workers: usize,
    /// Why all hops are stopped, if they are.
    pub(crate) paused: Option<PauseAnswer>,
    /// Recipients since the start: delivered or relayed, put off, failed.
    pub(crate) delivered: u64,
    /// See there.
    pub(crate) put_off: u64,
    /// See there.
    pub(crate) failed: u64,
    /// The first hops.
    pub(crate) first: Vec<HopAnswer>,
}

/// Entries by state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DepthAnswer {
    /// Not tried yet, or asked for.
    pub(crate) waiting: u64,
    /// To be tried again.
    pub(crate) deferred: u64,
    /// Held.
    pub(crate) held: u64,
    /// Not to go yet, as their senders wish.
    #[serde(default)]
    pub(crate) scheduled: u64,
    /// All of them.
    pub(crate) depth: u64,
}

/// A stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PauseAnswer {
    /// Since when (RFC 3339).
    pub(crate) since: String,
    /// What the operator wrote.
    pub(crate) reason: String,
}

/// A hop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HopAnswer {
    /// `channel:hop`.
    pub(crate) name: String,
    /// The channel or agent.
    pub(crate) channel: String,
    /// The next hop.
    pub(crate) hop: String,
    /// The place it leads to, whose limits it shares.
    pub(crate) site: Option<String>,
    /// Entries in each state, and all of them.
    #[serde(flatten)]
    pub(crate) depth: DepthAnswer,
    /// Age of the oldest message that waits for it.
    pub(crate) oldest: Option<u64>,
    /// `open`, `paused`, `down`, `resting`, `full`, `limited` or `unknown`.
    pub(crate) state: String,
    /// All that holds it, what holds it first in front.
    pub(crate) waits: Vec<WaitsAnswer>,
    /// Workers of this hop.
    pub(crate) workers: usize,
    /// Links to its site that are open.
    pub(crate) links: usize,
    /// How many there may be now.
    pub(crate) links_allowed: usize,
    /// Attempts and deliveries, since the server started or the hop became one of the busiest; 0 for others, and for agents.
    pub(crate) attempts: u64,
    /// See there.
    pub(crate) delivered: u64,
}
