//! What a site is doing: for `iems status` and, in numbers, for the metrics listener. Answers whatever
//! state the storage is in: what has to be read from it may be missing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iems_core::health::Health;
use iems_core::report::Metrics;
use iems_core::seam::{Clock, SystemClock, Timestamp};
use iems_core::storage::Blobs;
use iems_store::engine::EngineStats;

use super::Site;
use crate::admin::status::{
    CommitsAnswer, ConnectionsAnswer, MemoryAnswer, ProbesAnswer, QueueSummary, RoomAnswer, StatusAnswer,
    TroubleAnswer,
};
use crate::exit::Failure;
use crate::tls::Kept;

/// How long storage may take to say what is in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What only a running server knows.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// When it started.
    pub(crate) since: Instant,
    /// Its configuration file.
    pub(crate) file: Option<PathBuf>,
    /// Protocol and address of each listener.
    pub(crate) listeners: Vec<(String, String)>,
    /// Those whose connections are counted.
    pub(crate) doors: Vec<Door>,
    /// The certificates that they show.
    pub(crate) certificates: Arc<Kept>,
}

/// A listener whose connections are counted.
#[derive(Clone)]
pub(crate) struct Door {
    protocol: &'static str,
    address: SocketAddr,
    open: Arc<dyn Fn() -> usize + Send + Sync>,
}

impl Door {
    /// A listener; `open` counts its connections.
    pub(crate) fn new(
        protocol: &'static str,
        address: SocketAddr,
        open: Arc<dyn Fn() -> usize + Send + Sync>,
    ) -> Self {
        Self { protocol, address, open }
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        (self.open)()
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.protocol, self.address)
    }
}

impl Site {
    pub(super) async fn status(&self) -> StatusAnswer {
        let domains = tokio::time::timeout(PATIENCE, self.domains()).await;
        let domains = domains.ok().and_then(Result::ok).map(|domains| domains.len());
        match &self.running {
            Some(running) => StatusAnswer { domains, ..self.of_server(running) },
            None => StatusAnswer { domains, room: self.room_at_rest().await, ..stopped(None) },
        }
    }

    fn of_server(&self, running: &Running) -> StatusAnswer {
        let (health, metrics) = (self.engine.health(), self.engine.metrics());
        let now = SystemClock.now();
        let room = health.room.zip(health.low_mark);
        StatusAnswer {
            version: env!("CARGO_PKG_VERSION").into(),
            running: true,
            state: health.condition.to_string(),
            since: Some(health.since.to_string()),
            age: Some(now.since(health.since).as_secs()),
            troubles: troubles(&health),
            delivering: Some(health.delivers),
            process: Some(std::process::id()),
            uptime: Some(running.since.elapsed().as_secs()),
            configuration: running.file.clone(),
            listeners: running.listeners.iter().map(|(name, address)| format!("{name} {address}")).collect(),
            connections: running.doors.iter().map(connections).collect(),
            room: room.map(|(room, mark)| RoomAnswer {
                free: room.free,
                total: room.total,
                dead: room.dead,
                mark,
            }),
            memory: health.memory.map(|memory| MemoryAnswer {
                used: memory.used,
                most: memory.most,
                mark: health.memory_mark.filter(|mark| *mark != u64::MAX),
            }),
            commits: Some(commits(&health)),
            probes: Some(ProbesAnswer {
                good: health.probes.good,
                failed: health.probes.failed,
                next: health.probes.next.as_ref().map(Timestamp::to_string),
                refused: health.refused,
            }),
            queue: Some(QueueSummary { workers: metrics.workers }),
            messages: serde_json::to_value(metrics).ok(),
            ..StatusAnswer::default()
        }
    }

    async fn room_at_rest(&self) -> Option<RoomAnswer> {
        let room = self.store.room().await.ok()??;
        let mark = self.engine.settings().marks.low(room);
        Some(RoomAnswer { free: room.free, total: room.total, dead: room.dead, mark })
    }

    /// How many connections are open, in all.
    pub(crate) fn connections(&self) -> usize {
        self.running.iter().flat_map(|running| &running.doors).map(Door::open).sum()
    }

    /// The counters of engine and store, and the health.
    pub(crate) fn counters(&self) -> (Metrics, EngineStats, Health) {
        (self.engine.metrics(), self.store.stats(), self.engine.health())
    }
}

/// The status while no server runs.
pub(crate) fn stopped(problem: Option<Failure>) -> StatusAnswer {
    StatusAnswer {
        version: env!("CARGO_PKG_VERSION").into(),
        state: "stopped".into(),
        problem: problem.map(|failure| failure.message),
        ..StatusAnswer::default()
    }
}

fn connections(door: &Door) -> ConnectionsAnswer {
    let (protocol, address) = (door.protocol.into(), door.address.to_string());
    ConnectionsAnswer { protocol, address, open: door.open() as u64 }
}

fn troubles(health: &Health) -> Vec<TroubleAnswer> {
    let all = health.troubles.iter();
    all.map(|trouble| TroubleAnswer {
        state: trouble.condition.to_string(),
        since: trouble.since.to_string(),
        reason: trouble.reason.clone(),
    })
    .collect()
}

fn commits(health: &Health) -> CommitsAnswer {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let read = &health.commits;
    CommitsAnswer {
        count: read.count,
        p50: millis(read.p50),
        p99: millis(read.p99),
        longest: millis(read.longest),
        under_way: read.under_way,
        oldest: millis(read.oldest),
    }
}
