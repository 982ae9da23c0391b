//! One process: an engine with its own life, storage wrapper and channel; how it begins and how it ends.

use std::sync::Arc;
use std::time::Duration;

use super::{World, trace};
use crate::engine::Engine;
use crate::seam::Clock;
use crate::sim::report::Violation;
use crate::sim::{Life, SimBoxes, SimChannel, SimStorage};

/// A process.
pub(super) struct Host {
    /// By which contacts name it; never the same again.
    pub(super) number: u64,
    pub(super) engine: Engine,
    pub(super) life: Life,
    pub(super) storage: SimStorage,
    pub(super) channel: Arc<SimChannel>,
}

impl World {
    /// Starts the process in this place.
    pub(super) fn boot(&mut self, at: usize) {
        let life = Life::new();
        self.boots += 1;
        self.steady = self.clock.elapsed();
        let (number, name) = (self.boots, format!("host {}", self.boots));
        let disk = self.dice.apart(&format!("{name} disk"));
        let storage = SimStorage::new(self.memory.storage(), life.clone(), disk);
        storage.set_latency(Duration::from_millis(self.dice.below(6)));
        let channel = self.peers.channel(number, life.clone());
        let dice = self.dice.apart(&format!("{name} boxes"));
        let boxes = SimBoxes::new(storage.storage(), life.clone(), dice, self.boxes.clone());
        let mut builder = Engine::builder("mx.here.example", storage.storage(), self.directory.clone());
        if let Ok(domain) = "here.example".parse() {
            builder = builder.postmaster_domain(domain);
        }
        if self.hosts.len() > 1 {
            builder = builder.shared(&format!("node{at}"));
        }
        let engine = builder
            .clock(self.clock.clone())
            .random(Arc::new(self.dice.apart(&name)))
            .output(channel.clone())
            .agent(Arc::new(boxes))
            .settings(self.settings.clone())
            .build();
        self.disturb();
        let (per_hop, in_all) = (self.settings.peers.default.concurrency, self.settings.concurrency);
        match self.hosts.iter().any(Option::is_some) {
            true => self.bounds = (self.bounds.0.max(per_hop), self.bounds.1.max(in_all)),
            false => self.bounds = (per_hop, in_all),
        }
        match engine {
            Ok(engine) => {
                engine.start();
                self.hosts[at] = Some(Host { number, engine, life, storage, channel });
                trace!(self, "engine {number} starts");
            }
            Err(error) => trace!(self, "engine {number} does not start: {error}"),
        }
    }

    /// Buries every process that died, and starts those whose time has come.
    pub(super) async fn revive(&mut self) -> Result<(), Violation> {
        for at in 0..self.hosts.len() {
            if self.hosts[at].as_ref().is_some_and(|host| host.life.is_over()) {
                self.bury(at).await?;
            }
            // An engine that starts with a wrong clock cannot know; nobody starts one while the clock is years off.
            let may_start = self.leaps_back.is_none() && self.clock.elapsed() >= self.up[at];
            if self.hosts[at].is_none() && may_start {
                self.boot(at);
            }
        }
        Ok(())
    }

    /// Ends a process at once.
    pub(super) async fn crash(&mut self) -> Result<(), Violation> {
        let at = self.dice.below(self.hosts.len() as u64) as usize;
        if let Some(host) = &self.hosts[at] {
            host.life.end();
            self.bury(at).await?;
        }
        Ok(())
    }

    /// Ends a process in good order.
    pub(super) async fn stop(&mut self, grace: Duration) -> Result<(), Violation> {
        let at = self.dice.below(self.hosts.len() as u64) as usize;
        if let Some(host) = &self.hosts[at] {
            trace!(self, "engine {} is stopped, with {} seconds of grace", host.number, grace.as_secs());
            host.engine.shutdown(grace).await;
            host.life.end();
            self.bury(at).await?;
        }
        Ok(())
    }

    /// What is left after the end of a process: what is durable, and senders without an answer.
    async fn bury(&mut self, at: usize) -> Result<(), Violation> {
        self.feel_faults();
        let Some(host) = self.hosts[at].take() else { return Ok(()) };
        let number = host.number;
        trace!(self, "engine {number} ends");
        self.posts.iter_mut().filter(|post| post.host == number).for_each(|post| post.cut());
        drop(host);
        self.look().await?;
        let waiting = self.entries().await;
        self.ledger.process_ended(number, &waiting);
        if self.hosts.iter().all(Option::is_none) {
            self.memory.restart();
        }
        self.up[at] = self.clock.elapsed() + Duration::from_secs(*self.dice.pick(&[0, 1, 5, 60, 600]));
        self.disturb();
        Ok(())
    }
}
