//! The numbers of a server in the text format of Prometheus.

use std::sync::Arc;

use iems_core::health::{Condition, Health};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::queue_metrics::QueueNumbers;
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

    /// All of them, now; without those of the queue while the store cannot be read.
    pub(super) async fn text(&self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("iems");
        registry.register_collector(Box::new(self.clone()));
        match QueueNumbers::read(&self.site).await {
            Ok(queue) => registry.register_collector(Box::new(queue)),
            Err(error) => tracing::warn!(%error, "the numbers of the queue cannot be read"),
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Whether mail from outside is taken and the store can be read; what is wrong otherwise.
    pub(super) async fn healthy(&self) -> Result<(), String> {
        match self.site.engine.health().condition {
            Condition::Healthy => {}
            trouble => return Err(format!("{trouble}\n")),
        }
        let read = self.site.directory.domains(None, 1).await;
        read.map(drop).map_err(|_| "the store does not answer\n".to_owned())
    }
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Numbers")
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let (engine, store, health) = self.site.counters();
        let mut put = |name: &str, help: &str, number: u64| {
            let counter = ConstCounter::new(number);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
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
        put(
            "health_refused",
            "Connections, messages and recipients refused because of trouble",
            health.refused,
        )?;
        put("health_changes", "Changes between healthy and kinds of trouble", health.changes)?;
        put("health_probes_good", "Probes of the storage that worked", health.probes.good)?;
        put("health_probes_failed", "Probes of the storage that failed", health.probes.failed)?;
        let help = "What mailbox sessions were refused because their account held all the memory it may";
        put("session_memory_refused", help, self.site.memory.refused())?;
        let sessions = self.site.sessions();
        put("client_sessions_clear", "Connections to other systems without TLS", sessions.clear)?;
        put("client_sessions_unverified", "Such with TLS, and any certificate", sessions.unverified)?;
        put("client_sessions_pkix", "Such with a certificate of an authority", sessions.pkix)?;
        put("client_sessions_dane", "Such with a certificate that the DNS names", sessions.dane)?;
        put("client_sessions_pinned", "Such with a configured fingerprint", sessions.pinned)?;
        put("client_handshakes_failed", "Handshakes with other systems that failed", sessions.failed)?;
        self.tls_reports(&mut encoder)?;
        #[cfg(feature = "search")]
        self.search(&mut encoder)?;
        self.limits(&mut encoder)?;
        self.certificates(&mut encoder)?;
        let open = self.site.connections() as u64;
        gauge(&mut encoder, "connections_open", "Connections of mail listeners now", open)?;
        let (help, held) = ("Memory that sessions hold of their accounts' budgets", self.site.memory.held());
        gauge(&mut encoder, "session_memory_bytes", help, held)?;
        gauge(&mut encoder, "queue_workers", "Queue workers now", engine.workers)?;
        gauges(&mut encoder, &health)
    }
}

impl Numbers {
    /// What other systems reported about TLS with us.
    fn tls_reports(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let counts = self.site.receiver.counts();
        let help = "TLS reports of others by what became of them";
        let mut metric =
            encoder.encode_descriptor("tls_reports_received", help, None, MetricType::Counter)?;
        let became =
            [("kept", counts.kept), ("repeated", counts.repeated), ("unreadable", counts.unreadable)];
        for (name, count) in became {
            metric.encode_family(&[("became", name)])?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let help = "Sessions with us that these reports tell of, by result";
        let mut metric =
            encoder.encode_descriptor("tls_reported_sessions", help, None, MetricType::Counter)?;
        for (result, count) in counts.sessions {
            metric
                .encode_family(&[("result", result)])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    /// Until when certificates hold, and whether anything is wrong with them, by file.
    fn certificates(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let Ok(all) = self.site.shown_certificates() else { return Ok(()) };
        let name = "certificate_expires_timestamp_seconds";
        let help = "When a certificate expires, in seconds since 1970";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for one in &all {
            let file = one.file.display().to_string();
            metric.encode_family(&[("file", &*file)])?.encode_gauge(&one.expires)?;
        }
        let help = "How many things are wrong with a certificate; `iems tls show` names them";
        let mut metric = encoder.encode_descriptor("certificate_flaws", help, None, MetricType::Gauge)?;
        for one in &all {
            let (file, flaws) =
                (one.file.display().to_string(), i64::try_from(one.wrong.len()).unwrap_or(i64::MAX));
            metric.encode_family(&[("file", &*file)])?.encode_gauge(&flaws)?;
        }
        Ok(())
    }

    /// What was done for searches in texts.
    #[cfg(feature = "search")]
    fn search(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let all = self.site.search.counters();
        for (name, help, number) in [
            ("search_messages", "Messages whose texts were indexed", all.messages),
            ("search_octets", "Octets of headers and texts read for that", all.octets),
            ("search_removed", "Messages removed from an index because they left", all.removed),
            ("search_runs", "How often an index was brought up to date", all.runs),
            ("search_failures", "How often an index could not be used or made", all.failures),
            ("search_asked", "Searches that asked an index", all.asked),
        ] {
            let counter = ConstCounter::new(number);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }

    /// How often limits hit, by name, and how many are banned.
    fn limits(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "How often a limit hit anybody";
        let mut metric = encoder.encode_descriptor("limit_hits", help, None, MetricType::Counter)?;
        for (name, hits) in self.site.limits.totals() {
            metric.encode_family(&[("limit", &*name)])?.encode_counter::<NoLabelSet, _, u64>(&hits, None)?;
        }
        let bans = self.site.limits.bans().len() as u64;
        gauge(encoder, "limit_bans", "Bans that hold now", bans)
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, number: u64) -> std::fmt::Result {
    let gauge = ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
    gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// The health: one gauge for each kind of trouble, and what was measured.
fn gauges(encoder: &mut DescriptorEncoder<'_>, health: &Health) -> std::fmt::Result {
    for condition in Condition::ALL.into_iter().skip(1) {
        let holds = health.troubles.iter().any(|trouble| trouble.condition == condition);
        let help = format!("Whether this kind of trouble holds: {condition}");
        gauge(encoder, &format!("health_{condition}"), &help, u64::from(holds))?;
    }
    gauge(
        encoder,
        "health_delivers",
        "Whether new attempts at delivery are begun",
        u64::from(health.delivers),
    )?;
    if let (Some(room), Some(mark)) = (health.room, health.low_mark) {
        gauge(encoder, "store_room_bytes", "Bytes that new bodies may take", room.free)?;
        gauge(encoder, "store_total_bytes", "Bytes of the file system", room.total)?;
        gauge(encoder, "store_dead_bytes", "Bytes that collecting gives back in time", room.dead)?;
        gauge(encoder, "store_low_bytes", "The mark under which room is low", mark)?;
    }
    if let (Some(memory), Some(mark)) = (health.memory, health.memory_mark) {
        gauge(
            encoder,
            "memory_bytes",
            "Memory of the process that the system cannot take back",
            memory.used,
        )?;
        gauge(encoder, "memory_high_bytes", "The mark over which memory is short", mark)?;
    }
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let commits = &health.commits;
    gauge(
        encoder,
        "commit_p50_milliseconds",
        "Half of the commits took at most this, lately",
        millis(commits.p50),
    )?;
    gauge(
        encoder,
        "commit_p99_milliseconds",
        "99 % of the commits took at most this, lately",
        millis(commits.p99),
    )?;
    gauge(encoder, "commit_longest_milliseconds", "The longest commit, lately", millis(commits.longest))?;
    gauge(encoder, "commits_under_way", "Commits under way", commits.under_way)?;
    gauge(
        encoder,
        "commit_oldest_milliseconds",
        "How long the oldest of them has been",
        millis(commits.oldest),
    )
}
