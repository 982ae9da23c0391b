//! The end: everything outside becomes well, and the queue has to empty; then the accounts are closed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{World, trace};
use crate::message::QueueId;
use crate::report::{Story, What};
use crate::seam::Clock;
use crate::sim::letter::{End, Way};
use crate::sim::report::Violation;
use crate::sim::rules::{self, Closing};
use crate::storage::Blobs;

impl World {
    pub(super) async fn finish(&mut self) -> Result<(), Violation> {
        self.heal().await?;
        let bound = self.clock.elapsed() + self.plan.longest_wait() * 3 + Duration::from_secs(3600);
        let pause = (self.plan.longest_wait() / 50).max(Duration::from_secs(20));
        loop {
            tokio::time::sleep(pause).await;
            self.look().await?;
            self.up.fill(Duration::ZERO);
            self.let_all_go().await;
            self.revive().await?; // a fault may strike late, in an operation that began before
            let is_empty = self.entries().await.is_empty() && self.posts.is_empty();
            if is_empty || self.clock.elapsed() > bound {
                break;
            }
        }
        self.close_copies();
        for host in self.hosts.iter().flatten() {
            host.engine.shutdown(Duration::from_secs(60)).await;
        }
        let bodies = self.bodies().await?;
        let entries = self.entries().await;
        let stories = self.closing_stories().await;
        rules::end(&self.ledger, &Closing { entries: &entries, stories: &stories, bodies })
    }

    async fn heal(&mut self) -> Result<(), Violation> {
        trace!(self, "everything becomes well");
        self.leaps_back = self.leaps_back.map(|_| Duration::ZERO);
        self.leap_back();
        self.peers.heal();
        for manner in [&self.boxes.later, &self.boxes.never, &self.boxes.strict] {
            manner.store(0, Ordering::SeqCst);
        }
        self.directory.set_failing(0);
        self.hosts.iter().flatten().for_each(|host| host.storage.heal());
        self.up.fill(Duration::ZERO);
        self.revive().await?;
        self.settings.concurrency = 200;
        self.bounds.1 = 200;
        self.hosts.iter().flatten().for_each(|host| host.engine.replace(self.settings.clone()));
        self.disturb();
        self.disturbed += Duration::from_secs(60); // what is slow now is slow to its end
        Ok(())
    }

    fn close_copies(&mut self) {
        let copies = self.ledger.ways.iter().filter(|(_, way)| way.copy && way.end.is_none());
        let end = |way: &Way| match way {
            way if way.is_delivered() => Some(End::Delivered),
            way if way.told[0] > 0 => Some(End::Bounced),
            way => way.dismissed.then_some(End::Purged),
        };
        let ends: Vec<_> = copies.filter_map(|(key, way)| Some((key.clone(), end(way)?))).collect();
        for (key, end) in ends {
            self.ledger.end(&key, end);
        }
    }

    /// Bodies that are kept when reservations are over: nobody has an owner for one any more.
    async fn bodies(&mut self) -> Result<usize, Violation> {
        self.clock.jump(super::act::TEN_YEARS); // a reservation may have been made when the clock was wrong
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        while self.memory.collect().await.is_ok_and(|collected| collected.blobs > 0) {}
        Ok(self.memory.blob_count())
    }

    /// Stories of letters that failed, and of the reports about them.
    async fn closing_stories(&self) -> HashMap<QueueId, Story> {
        let failed = self.ledger.ways.values().filter(|way| way.must_tell() && way.told[0] == 0);
        let ids: HashSet<QueueId> = failed.filter_map(|way| self.ledger.id_of(way)).collect();
        let mut stories = HashMap::new();
        for id in ids {
            let Ok(Some(story)) = self.bare.explain(id).await else { continue };
            for event in &story.events {
                if let What::Reported { report, .. } = &event.what
                    && let Ok(report) = report.parse()
                    && let Ok(Some(told)) = self.bare.explain(report).await
                {
                    stories.insert(report, told);
                }
            }
            stories.insert(id, story);
        }
        stories
    }
}
