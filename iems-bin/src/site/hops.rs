//! The hops of the queue: the view of all of them, stopping and letting go.

use iems_core::message::{ChannelId, NextHop};
use iems_core::queue::{self, Depth, HopOrder, HopStatus};
use iems_core::report::Traffic;
use iems_core::seam::Timestamp;
use iems_smtp::client::Hop;

use super::Site;
use super::assemble::OPTIONAL;
use super::queue::waits;
use crate::admin::queue::{DepthAnswer, HopAnswer, HopName, OverviewAnswer, PauseAnswer};
use crate::exit::Failure;

impl Site {
    pub(super) async fn queue_pause(&self, hop: Option<HopName>, reason: &str) -> Result<(), Failure> {
        Ok(self.engine.queue().pause(named(hop)?.as_ref(), reason).await?)
    }

    pub(super) async fn queue_resume(&self, hop: Option<HopName>) -> Result<(), Failure> {
        let name = hop.clone().unwrap_or_else(|| "the queue".into());
        match self.engine.queue().resume(named(hop)?.as_ref()).await? {
            true => Ok(()),
            false => Err(Failure::data(format!("{name} was not paused; `iems queue hops` shows what is"))),
        }
    }

    pub(super) async fn queue_hops(&self, by_name: bool, limit: usize) -> Result<OverviewAnswer, Failure> {
        let order = if by_name { HopOrder::Name } else { HopOrder::Depth };
        let (overview, metrics) = (self.engine.queue().overview(order, limit).await?, self.engine.metrics());
        let (now, traffic) = (overview.at, self.engine.traffic());
        Ok(OverviewAnswer {
            at: now.to_string(),
            running: overview.running,
            depth: depth(&overview.depth),
            hops: overview.hops,
            oldest: overview.oldest.map(|oldest| now.since(oldest).as_secs()),
            workers: overview.workers,
            most_workers: overview.most_workers,
            paused: overview.paused.map(|paused| PauseAnswer {
                since: paused.pause.since.to_string(),
                reason: paused.pause.reason,
            }),
            delivered: metrics.delivered,
            put_off: metrics.deferred,
            failed: metrics.failed,
            first: overview.first.iter().map(|hop| answer(hop, now, &traffic)).collect(),
        })
    }
}

fn named(hop: Option<HopName>) -> Result<Option<queue::HopName>, Failure> {
    hop.map(|hop| canonical(&hop).parse()).transpose().map_err(Failure::usage)
}

/// A hop as the queue writes it: `smtp:127.0.0.1:25`, as routes may have it, is `smtp:[127.0.0.1]:25`.
pub(super) fn canonical(name: &str) -> String {
    let (channel, hop) =
        name.split_once(':').filter(|(channel, _)| matches!(*channel, "smtp" | "lmtp" | OPTIONAL)).unzip();
    match (channel, hop.unwrap_or(name).parse::<Hop>()) {
        (Some(channel), Ok(hop)) => format!("{channel}:{hop}"),
        (None, Ok(hop)) => hop.to_string(),
        (_, Err(_)) => name.to_owned(),
    }
}

fn depth(depth: &Depth) -> DepthAnswer {
    let Depth { waiting, deferred, held, scheduled, .. } = *depth;
    DepthAnswer { waiting, deferred, held, scheduled, depth: depth.all() }
}

fn answer(hop: &HopStatus, now: Timestamp, traffic: &[(ChannelId, Option<NextHop>, Traffic)]) -> HopAnswer {
    let own =
        traffic.iter().find(|(channel, to, _)| *channel == hop.channel && to.as_ref() == Some(&hop.hop));
    HopAnswer {
        name: hop.name().to_string(),
        channel: hop.channel.to_string(),
        hop: hop.hop.to_string(),
        site: hop.site.clone(),
        depth: depth(&hop.depth),
        oldest: hop.oldest.map(|oldest| now.since(oldest).as_secs()),
        state: hop.state().into(),
        waits: waits(&hop.waits, now),
        workers: hop.workers,
        links: hop.links,
        links_allowed: hop.links_allowed,
        attempts: own.map_or(0, |(.., traffic)| traffic.attempts),
        delivered: own.map_or(0, |(.., traffic)| traffic.delivered),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn hops_may_be_named_as_routes_name_them() {
        for (given, own) in [
            ("smtp:127.0.0.1:25", "smtp:[127.0.0.1]:25"),
            ("127.0.0.1:25", "[127.0.0.1]:25"),
            ("smtp:[127.0.0.1]:25", "smtp:[127.0.0.1]:25"),
            ("smtp:Example.NET", "smtp:example.net"),
            ("example.net", "example.net"),
            ("lmtp:/run/lmtp", "lmtp:/run/lmtp"),
            ("local:example.org", "local:example.org"),
            ("a b", "a b"),
        ] {
            assert_eq!(canonical(given), own);
        }
    }
}
