//! Looking: what happened since the last step is taken down, and every rule is asked.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{World, trace};
use crate::message::QueueId;
use crate::queue::Entry;
use crate::report::Story;
use crate::seam::Clock;
use crate::sim::ledger::Arrived;
use crate::sim::letter::End;
use crate::sim::report::{Day, Violation};
use crate::sim::rules::{self, HostSight, Sight};
use crate::sim::{SimBoxes, Step};

/// For so long after a fault of its storage an engine may have been taken for dead.
const SHAKY: Duration = Duration::from_secs(180);

impl World {
    /// Looks at everything.
    pub(super) async fn look(&mut self) -> Result<(), Violation> {
        self.ledger.elapsed = self.clock.elapsed();
        self.answers().await?;
        self.feel_faults();
        self.contacts()?;
        self.rows().await?;
        let entries = self.entries().await;
        let waiting: HashSet<(QueueId, &str)> = entries
            .iter()
            .flat_map(|entry| entry.recipients.iter().map(|to| (entry.id, to.as_str())))
            .collect();
        let stories = self.stories(&waiting).await;
        let hosts: Vec<HostSight> = self.hosts.iter().flatten().map(|host| self.sight_of(host)).collect();
        let sight = Sight {
            now: self.clock.now(),
            entries: &entries,
            waiting: &waiting,
            stories: &stories,
            peers: &self.peers,
            paused: &self.paused,
            hosts: &hosts,
            calm: self.clock.elapsed().saturating_sub(self.disturbed),
            patience: self.plan.patience,
            longest_wait: self.plan.longest_wait(),
        };
        rules::state(&self.ledger, &sight)?;
        self.close(&entries, &waiting, &stories);
        Ok(())
    }

    fn contacts(&mut self) -> Result<(), Violation> {
        for contact in self.peers.news() {
            rules::contact(&self.ledger, &contact)?;
            if let Step::Taken(seen) = &contact.step {
                let (at, local) = (contact.at, false);
                let arrived = Arrived { id: contact.id, to: &contact.to, seen, at, local };
                rules::arrival(&self.ledger, &arrived)?;
            }
            let word = match &contact.step {
                Step::Begun => "begins".into(),
                Step::Taken(_) => "takes".to_owned(),
                Step::Heard(answer) => format!("heard {answer:?}"),
            };
            let (to, id, host) = (&contact.to, contact.id, contact.host);
            self.trace.line(contact.at, format_args!("{to} {id} {word} (engine {host})"));
            self.ledger.contact(&contact);
        }
        Ok(())
    }

    async fn rows(&mut self) -> Result<(), Violation> {
        loop {
            let rows = SimBoxes::empty(&self.memory.storage()).await;
            let rows =
                rows.map_err(|e| Violation { rule: "the storage can be read", what: e.to_string() })?;
            for row in &rows {
                let (at, local) = (self.clock.now(), true);
                let arrived = Arrived { id: row.id, to: &row.to, seen: &row.seen, at, local };
                if let Err(mut broken) = rules::arrival(&self.ledger, &arrived) {
                    if let Ok(Some(story)) = self.bare.explain(row.id).await {
                        broken.what += &format!("\n{story}");
                    }
                    return Err(broken);
                }
                trace!(self, "{} has {}", row.to, row.id);
                self.ledger.arrived(&arrived);
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// The queue as it is durable.
    pub(super) async fn entries(&self) -> Vec<Entry> {
        self.bare.list(&Default::default(), usize::MAX).await.unwrap_or_default()
    }

    /// Stories of letters of which a way is not in the queue any more, and did not arrive.
    async fn stories(&self, waiting: &HashSet<(QueueId, &str)>) -> HashMap<QueueId, Story> {
        let mut stories = HashMap::new();
        for key in &self.ledger.open {
            let Some(way) = self.ledger.ways.get(key) else { continue };
            let Some(id) = self.ledger.id_of(way) else { continue };
            if !way.is_delivered()
                && !waiting.contains(&(id, way.to.as_str()))
                && !stories.contains_key(&id)
                && let Ok(Some(story)) = self.bare.explain(id).await
            {
                stories.insert(id, story);
            }
        }
        stories
    }

    fn sight_of(&self, host: &super::Host) -> HostSight {
        let workers = host.engine.metrics().workers;
        HostSight {
            workers,
            free: workers < self.settings.concurrency as u64,
            links: host.channel.links().into_iter().collect(),
            per_hop: self.bounds.0,
            in_all: self.bounds.1,
        }
    }

    /// A fault disturbs an engine when it strikes, and may strike at any time while it is planned; a wrong clock does all the time.
    pub(super) fn feel_faults(&mut self) {
        if self.leaps_back.is_some() {
            self.disturb();
        }
        for host in self.hosts.iter().flatten() {
            let last = host.storage.last_fault();
            match host.storage.is_faulty() || last.is_some_and(|last| last.elapsed() < SHAKY) {
                true => self.ledger.shaky.insert(host.number),
                false => self.ledger.shaky.remove(&host.number),
            };
            self.disturbed =
                self.disturbed.max(last.map_or(Duration::ZERO, |last| self.clock.elapsed_at(last)));
        }
        if self.hosts.iter().flatten().any(|host| host.storage.is_faulty()) {
            self.disturb();
        }
    }

    /// Takes down what ended, and the numbers of the day.
    fn close(
        &mut self,
        entries: &[Entry],
        waiting: &HashSet<(QueueId, &str)>,
        stories: &HashMap<QueueId, Story>,
    ) {
        for entry in entries {
            self.ledger.expiries.entry((entry.id, entry.group)).or_insert(entry.expires);
        }
        let mut ended = Vec::new();
        for key in &self.ledger.open {
            let Some(way) = self.ledger.ways.get(key) else { continue };
            let Some(id) = self.ledger.id_of(way) else { continue };
            if waiting.contains(&(id, way.to.as_str())) {
                continue;
            }
            let end = match way.is_delivered() {
                true => Some(End::Delivered),
                false => stories.get(&id).and_then(|story| rules::ending(way, story)).map(|(end, _)| end),
            };
            ended.extend(end.map(|end| (key.clone(), end)));
        }
        for (key, end) in ended {
            trace!(self, "letter {} for {}: {end:?}", key.0, key.1);
            self.ledger.end(&key, end);
        }
        let day = 1 + self.clock.elapsed().as_secs() / Duration::from_secs(86_400).as_secs();
        let numbers = Day { day, tally: self.ledger.tally, queued: self.ledger.open.len() as u64 };
        match self.days.last_mut() {
            Some(last) if last.day == day => *last = numbers,
            _ => self.days.push(numbers),
        }
    }
}
