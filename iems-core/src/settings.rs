//! What an administrator decides, as plain data: read at each use, replaceable while the engine runs.

use std::collections::HashMap;
use std::time::Duration;

use crate::health::Marks;
use crate::message::ChannelId;
use crate::preprocess::Policy;
use crate::queue::{Peers, Sources};
use crate::receive::{Collectors, Limits, Relay};
use crate::report::Reports;
use crate::route::RouteTable;

/// The settings of an engine. See [`crate::Engine::replace`] for changing them in flight.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Ways out by domain. Default empty: nothing leaves.
    pub routes: RouteTable,
    /// Who may relay. Default: nobody but accounts.
    pub relay: Relay,
    /// Who may collect what waits for which domains.
    pub collectors: Collectors,
    /// The site's rules about verdicts: scope `Site` is the floor.
    pub policy: Policy,
    /// Rules for output channels whose far side cannot decide, by channel.
    pub channel_policies: HashMap<ChannelId, Policy>,
    /// Bounds on messages.
    pub limits: Limits,
    /// What holds for one destination: links, rate, retries. See [`crate::queue::Peer`] for the defaults.
    pub peers: Peers,
    /// How fast senders and tenants may go, and what goes before what. Default: no bounds, one priority.
    pub sources: Sources,
    /// How reports are written, and who gets them.
    pub reports: Reports,
    /// Links in all. Default 200: bounded memory and file descriptors.
    pub concurrency: usize,
    /// Where that was decided, for explanations: `default`, or a line of a configuration.
    pub concurrency_origin: String,
    /// How long an attempt may take in all before its outcome counts as unknown. Default 1 hour, above the sum of the
    /// protocol's own time limits.
    pub attempt_time: Duration,
    /// How long the story of a finished message is kept. Default 7 days.
    pub history: Duration,
    /// Where trouble with storage and memory begins.
    pub marks: Marks,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            routes: RouteTable::new(),
            relay: Relay::default(),
            collectors: Collectors::default(),
            policy: Policy::new(),
            channel_policies: HashMap::new(),
            limits: Limits::default(),
            peers: Peers::default(),
            sources: Sources::new(),
            reports: Reports::default(),
            concurrency: 200,
            concurrency_origin: "default".into(),
            attempt_time: Duration::from_secs(3600),
            history: Duration::from_secs(7 * 24 * 3600),
            marks: Marks::default(),
        }
    }
}
