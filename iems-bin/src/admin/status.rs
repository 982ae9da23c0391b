//! The answer of `iems status`: the shape that `--json` prints, documented in `docs/operations.md`.
//! Fields are only ever added.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a server is doing, or what its folder tells while none runs. What is not known is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StatusAnswer {
    /// The version: of the server, or of the program that was asked while none runs.
    pub(crate) version: String,
    /// Whether a server runs.
    pub(crate) running: bool,
    /// `healthy`, `slow`, `memory`, `low`, `full`, `failing`; `stopped` if no server runs, `silent` if it
    /// does not answer.
    pub(crate) state: String,
    /// Since when (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// Seconds since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) age: Option<u64>,
    /// What is wrong, the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) troubles: Vec<TroubleAnswer>,
    /// Whether new attempts at delivery are begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivering: Option<bool>,
    /// Why the folder tells nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// The process of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<u32>,
    /// Seconds since it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uptime: Option<u64>,
    /// Its configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) configuration: Option<PathBuf>,
    /// The data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<PathBuf>,
    /// Protocol and address of each listener.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) listeners: Vec<String>,
    /// How many connections each listener has open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) connections: Vec<ConnectionsAnswer>,
    /// How many domains there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domains: Option<usize>,
    /// The room for bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<RoomAnswer>,
    /// The memory of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<MemoryAnswer>,
    /// How long commits take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commits: Option<CommitsAnswer>,
    /// The probes that look whether trouble is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probes: Option<ProbesAnswer>,
    /// The queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<QueueSummary>,
    /// Counters since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) messages: Option<Value>,
}

/// One kind of trouble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TroubleAnswer {
    /// Which: as `state`.
    pub(crate) state: String,
    /// Since when (RFC 3339).
    pub(crate) since: String,
    /// What it began with.
    pub(crate) reason: String,
}

/// The connections of one listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConnectionsAnswer {
    /// What it speaks.
    pub(crate) protocol: String,
    /// Its address and port.
    pub(crate) address: String,
    /// How many are open now.
    pub(crate) open: u64,
}

/// Room, in octets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomAnswer {
    /// What new messages may take.
    pub(crate) free: u64,
    /// The whole.
    pub(crate) total: u64,
    /// What collecting gives back in time.
    pub(crate) dead: u64,
    /// Under this, room is low.
    pub(crate) mark: u64,
}

/// Memory, in octets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MemoryAnswer {
    /// What the process holds.
    pub(crate) used: u64,
    /// What it may hold.
    pub(crate) most: u64,
    /// Over this, memory is short; absent if there is no mark.
    pub(crate) mark: Option<u64>,
}

/// Commits of the last one to two minutes, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommitsAnswer {
    /// How many.
    pub(crate) count: u64,
    /// Half of them took at most this.
    pub(crate) p50: u64,
    /// 99 % of them took at most this.
    pub(crate) p99: u64,
    /// The longest.
    pub(crate) longest: u64,
    /// Under way now.
    pub(crate) under_way: u64,
    /// How long the oldest of these has been.
    pub(crate) oldest: u64,
}

/// Probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProbesAnswer {
    /// Those that worked.
    pub(crate) good: u64,
    /// Those that did not.
    pub(crate) failed: u64,
    /// When the next one is due (RFC 3339); absent while none is needed.
    pub(crate) next: Option<String>,
    /// Connections, messages and recipients refused because of trouble.
    pub(crate) refused: u64,
}

/// The queue in numbers that cost nothing to get.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct QueueSummary {
    /// Workers that carry messages now.
    pub(crate) workers: u64,
}
