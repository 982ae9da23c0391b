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
    pub(super) engine: Engine,
    pub(super) life: Life,
    pub(super) storage: SimStorage,
    pub(super) channel: Arc<SimChannel>,
}

impl World {
    /// Starts the process.
    pub(super) fn boot(&mut self) {
        let life = Life::new();
        let name = format!("host {}", self.ledger.tally.ends);
        let storage =
            SimStorage::new(self.memory.storage(), life.clone(), self.dice.apart(&format!("{name} disk")));
        storage.set_latency(Duration::from_millis(self.dice.below(6)));
        let channel = self.peers.channel(life.clone());
        let dice = self.dice.apart(&format!("{name} boxes"));
        let boxes = SimBoxes::new(storage.storage(), life.clone(), dice, self.boxes.clone());
        let builder = Engine::builder("mx.here.example", storage.storage(), self.directory.clone());
        let builder = match "here.example".parse() {
            Ok(domain) => builder.postmaster_domain(domain),
            Err(_) => builder,
        };
        let engine = builder
            .clock(self.clock.clone())
            .random(Arc::new(self.dice.apart(&name)))
            .output(channel.clone())
            .agent(Arc::new(boxes))
            .settings(self.settings.clone())
            .build();
        self.disturb();
        self.bounds = (self.settings.peers.default.concurrency, self.settings.concurrency);
        match engine {
            Ok(engine) => {
                engine.start();
                self.host = Some(Host { engine, life, storage, channel });
                trace!(self, "the engine starts");
            }
            Err(error) => trace!(self, "the engine does not start: {error}"),
        }
    }

    /// If the process died: buries it, and starts another one after a while.
    pub(super) async fn revive(&mut self) -> Result<(), Violation> {
        match &self.host {
            Some(host) if !host.life.is_over() => return Ok(()),
            Some(_) => self.bury().await,
            None => {}
        }
        let down = *self.dice.pick(&[0, 1, 5, 60, 600]);
        tokio::time::sleep(Duration::from_secs(down)).await;
        self.look().await?;
        self.boot();
        Ok(())
    }

    /// Ends the process at once.
    pub(super) async fn crash(&mut self) {
        if let Some(host) = &self.host {
            host.life.end();
            self.bury().await;
        }
    }

    /// Ends the process in good order.
    pub(super) async fn stop(&mut self, grace: Duration) {
        if let Some(host) = &self.host {
            trace!(self, "the engine is stopped, with {} seconds of grace", grace.as_secs());
            host.engine.shutdown(grace).await;
            host.life.end();
            self.bury().await;
        }
    }

    /// What is left after the end of a process: what is durable, and senders without an answer.
    async fn bury(&mut self) {
        let Some(host) = self.host.take() else { return };
        trace!(self, "the process ends");
        self.posts.iter_mut().for_each(|post| post.cut());
        drop(host);
        self.take_down_news();
        let waiting = self.entries().await;
        self.ledger.process_ended(&waiting);
        self.memory.restart();
        self.disturb();
    }
}
