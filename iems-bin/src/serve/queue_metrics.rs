//! The numbers of the queue: what waits, by state and hop; what was attempted, with what outcome and in what time.
//!
//! Read from the store before they are written out. Bounded: hops and sites by name are the largest ones, the others are `other`.

use std::collections::BTreeMap;

use iems_core::message::{ChannelId, NextHop};
use iems_core::queue::{Depth, HopOrder, Overview, QueueError};
use iems_core::report::{Histogram, Traffic};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::site::Site;

/// Hops by name.
const HOPS: usize = 50;
/// The name of all others.
const OTHER: &str = "other";

/// The numbers at one moment.
#[derive(Debug)]
pub(super) struct QueueNumbers {
    overview: Overview,
    traffic: Vec<(ChannelId, Option<NextHop>, Traffic)>,
}

impl QueueNumbers {
    /// Reads them.
    pub(super) async fn read(site: &Site) -> Result<Self, QueueError> {
        let overview = site.engine.queue().overview(HopOrder::Depth, HOPS).await?;
        Ok(Self { overview, traffic: site.engine.traffic() })
    }
}

impl Collector for QueueNumbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        self.depth(&mut encoder)?;
        self.hops(&mut encoder)?;
        self.sites(&mut encoder)?;
        self.traffic(&mut encoder)
    }
}

/// A labelled number.
fn gauge(metric: &mut MetricEncoder<'_>, labels: &[(&str, &str)], number: u64) -> std::fmt::Result {
    metric.encode_family(&labels)?.encode_gauge(&i64::try_from(number).unwrap_or(i64::MAX))
}

fn states(depth: &Depth) -> [(&'static str, u64); 4] {
    [
        ("waiting", depth.waiting),
        ("deferred", depth.deferred),
        ("held", depth.held),
        ("scheduled", depth.scheduled),
    ]
}

impl QueueNumbers {
    fn age(&self, arrived: Option<iems_core::seam::Timestamp>) -> u64 {
        arrived.map_or(0, |arrived| self.overview.at.since(arrived).as_secs())
    }

    fn depth(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let overview = &self.overview;
        let help = "Entries that wait, by state";
        let mut metric = encoder.encode_descriptor("queue_depth", help, None, MetricType::Gauge)?;
        for (state, entries) in states(&overview.depth) {
            gauge(&mut metric, &[("state", state)], entries)?;
        }
        let help = "Age of the oldest message that waits; 0 if none does";
        let mut metric = encoder.encode_descriptor("queue_oldest_seconds", help, None, MetricType::Gauge)?;
        gauge(&mut metric, &[], self.age(overview.oldest))?;
        let help = "Next hops that something waits for";
        let mut metric = encoder.encode_descriptor("queue_hops", help, None, MetricType::Gauge)?;
        gauge(&mut metric, &[], overview.hops)
    }

    fn hops(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let overview = &self.overview;
        let help = "Entries that wait for the longest queues, and for all others";
        let mut metric = encoder.encode_descriptor("queue_hop_depth", help, None, MetricType::Gauge)?;
        let mut others = overview.depth;
        for hop in &overview.first {
            let name = [("channel", hop.channel.as_str()), ("hop", hop.hop.as_str())];
            for ((state, entries), rest) in states(&hop.depth).into_iter().zip([
                &mut others.waiting,
                &mut others.deferred,
                &mut others.held,
                &mut others.scheduled,
            ]) {
                *rest = rest.saturating_sub(entries);
                gauge(&mut metric, &[name[0], name[1], ("state", state)], entries)?;
            }
        }
        for (state, entries) in states(&others) {
            gauge(&mut metric, &[("channel", OTHER), ("hop", OTHER), ("state", state)], entries)?;
        }
        let help = "Age of the oldest message that waits for the hop";
        let mut metric =
            encoder.encode_descriptor("queue_hop_oldest_seconds", help, None, MetricType::Gauge)?;
        for hop in &overview.first {
            let name = [("channel", hop.channel.as_str()), ("hop", hop.hop.as_str())];
            gauge(&mut metric, &name, self.age(hop.oldest))?;
        }
        let help = "How the hop is: 1 for the state that it is in";
        let mut metric = encoder.encode_descriptor("queue_hop_state", help, None, MetricType::Gauge)?;
        for hop in &overview.first {
            let labels =
                [("channel", hop.channel.as_str()), ("hop", hop.hop.as_str()), ("state", hop.state())];
            gauge(&mut metric, &labels, 1)?;
        }
        Ok(())
    }

    /// Workers and links of the sites that the longest queues lead to.
    fn sites(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut sites: BTreeMap<(&str, &str), [u64; 3]> = BTreeMap::new();
        for hop in &self.overview.first {
            let Some(site) = &hop.site else { continue };
            let numbers = sites.entry((hop.channel.as_str(), site)).or_default();
            numbers[0] += hop.workers as u64;
            (numbers[1], numbers[2]) = (hop.links as u64, hop.links_allowed as u64);
        }
        for (at, (name, help)) in [
            ("queue_site_workers", "Workers of the site's longest queues"),
            ("queue_site_links", "Links of the site that are open"),
            ("queue_site_links_allowed", "Links that the site may have now"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for ((channel, site), numbers) in &sites {
                gauge(&mut metric, &[("channel", *channel), ("site", *site)], numbers[at])?;
            }
        }
        Ok(())
    }

    fn traffic(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let hops = || {
            let name =
                |hop: &Option<NextHop>| hop.as_ref().map_or_else(|| OTHER.to_owned(), NextHop::to_string);
            self.traffic.iter().map(move |(channel, hop, traffic)| (channel.as_str(), name(hop), traffic))
        };
        let help = "Attempts, for the busiest hops and for the others of each channel";
        let mut metric = encoder.encode_descriptor("attempts", help, None, MetricType::Counter)?;
        for (channel, hop, traffic) in hops() {
            let labels = [("channel", channel), ("hop", hop.as_str())];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&traffic.attempts, None)?;
        }
        let help = "Recipients of attempts by outcome";
        let mut metric = encoder.encode_descriptor("outcomes", help, None, MetricType::Counter)?;
        for (channel, hop, traffic) in hops() {
            let outcomes = [
                ("delivered", traffic.delivered),
                ("deferred", traffic.deferred),
                ("failed", traffic.failed),
            ];
            for (outcome, recipients) in outcomes {
                let labels = [("channel", channel), ("hop", hop.as_str()), ("outcome", outcome)];
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&recipients, None)?;
            }
        }
        let help = "Seconds from acceptance to delivery, for each recipient";
        let mut metric = encoder.encode_descriptor("delivery_seconds", help, None, MetricType::Histogram)?;
        for (channel, hop, traffic) in hops() {
            histogram(&mut metric, &[("channel", channel), ("hop", hop.as_str())], &traffic.delivery)?;
        }
        let help = "Seconds from the beginning to the end of an attempt";
        let mut metric = encoder.encode_descriptor("attempt_seconds", help, None, MetricType::Histogram)?;
        for (channel, hop, traffic) in hops() {
            histogram(&mut metric, &[("channel", channel), ("hop", hop.as_str())], &traffic.attempt)?;
        }
        Ok(())
    }
}

fn histogram(
    metric: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    times: &Histogram,
) -> std::fmt::Result {
    let steps = Histogram::STEPS.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = steps.zip(times.counts).collect();
    metric.encode_family(labels)?.encode_histogram::<NoLabelSet>(times.sum, times.count(), &buckets, None)
}
