//! What a site is doing: for `iems status` and, in numbers, for the metrics listener.

use std::path::PathBuf;
use std::time::Instant;

use iems_core::report::Metrics;
use iems_store::engine::EngineStats;
use serde::Serialize;

use super::Site;
use crate::exit::Failure;

/// What only a running server knows.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// When it started.
    pub(crate) since: Instant,
    /// Its configuration file.
    pub(crate) file: Option<PathBuf>,
    /// Protocol and address of each listener.
    pub(crate) listeners: Vec<(String, String)>,
}

/// The answer of `iems status`.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listeners: Vec<String>,
    domains: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Metrics>,
}

impl Site {
    pub(super) async fn status(&self) -> Result<Status, Failure> {
        let running = self.running.as_ref();
        let listeners =
            running.map(|r| r.listeners.iter().map(|(protocol, address)| format!("{protocol} {address}")));
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            running: running.is_some(),
            process: running.map(|_| std::process::id()),
            uptime: running.map(|r| r.since.elapsed().as_secs()),
            configuration: running.and_then(|r| r.file.clone()),
            listeners: listeners.map(Iterator::collect).unwrap_or_default(),
            domains: self.domains().await?.len(),
            messages: running.map(|_| self.engine.metrics()),
        })
    }

    /// The counters of engine and store.
    pub(crate) fn counters(&self) -> (Metrics, EngineStats) {
        (self.engine.metrics(), self.store.stats())
    }
}
