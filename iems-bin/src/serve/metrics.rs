//! The numbers of a server in the text format of Prometheus.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::site::Site;

/// Reads the numbers of a site.
#[derive(Clone)]
pub(super) struct Numbers {
    site: Arc<Site>,
}

impl Numbers {
    /// The numbers of `site`.
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self { site }
    }

    /// All of them, now.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("iems");
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Whether the store answers.
    pub(super) async fn healthy(&self) -> bool {
        self.site.directory.domains(None, 1).await.is_ok()
    }
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Numbers")
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let (engine, store) = self.site.counters();
        let mut put = |name: &str, help: &str, number: u64| {
            let counter = ConstCounter::new(number);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                prometheus_client::metrics::MetricType::Counter,
            )?)
        };
        put("messages_accepted", "Messages accepted", engine.accepted)?;
        put("refused", "Connections, recipients and messages refused", engine.refused)?;
        put("recipients_delivered", "Recipients delivered or relayed", engine.delivered)?;
        put("recipients_deferred", "Attempts after which a recipient waits on", engine.deferred)?;
        put("recipients_failed", "Recipients that failed for good", engine.failed)?;
        let told = engine.reported;
        put("reports", "Reports sent to senders", told.reports)?;
        put("reports_spam", "Reports about messages that were tagged as spam", told.spam)?;
        put("reported_failed", "Recipients whose failure was reported", told.failed)?;
        put("reported_delayed", "Recipients whose delay was reported", told.delayed)?;
        put("reported_delivered", "Recipients whose delivery was reported", told.delivered)?;
        put("reported_relayed", "Recipients reported as relayed", told.relayed)?;
        put("reported_expanded", "Recipients reported as expanded", told.expanded)?;
        put("double_bounces_told", "Notices to the postmaster", told.notices)?;
        put("double_bounces_summed", "Failures that a notice sums up", told.summed)?;
        put("store_commits", "Batches that took effect", store.commits)?;
        put("store_conflicts", "Batches refused by a condition", store.conflicts)?;
        put("store_failures", "Batches that failed for another reason", store.failures)?;
        put("store_groups", "Groups of batches written together", store.groups)?;
        put("store_syncs", "Syncs of the log", store.syncs)?;
        put("store_log_bytes", "Bytes written to the log", store.log_bytes)?;
        put("store_index_bytes", "Bytes written to the index", store.index_bytes)?;
        put("store_checkpoints", "Checkpoints made", store.checkpoints)?;
        put("store_checkpoint_failures", "Checkpoints that failed", store.checkpoint_failures)?;
        put("store_bodies", "Bodies stored", store.blobs)?;
        put("store_body_bytes", "Bytes of bodies stored", store.blob_bytes)?;
        put("store_damaged", "Pieces of bodies that were not what had been written", store.damaged)?;
        let workers = ConstGauge::new(i64::try_from(engine.workers).unwrap_or(i64::MAX));
        let gauge = prometheus_client::metrics::MetricType::Gauge;
        workers.encode(encoder.encode_descriptor("queue_workers", "Queue workers now", None, gauge)?)
    }
}
