//! The world: engines on one durable storage, far places, senders at the door, an operator; step by step, with
//! every rule asked after each.

mod act;
mod finish;
mod host;
mod look;
mod operator;
mod post;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use host::Host;
use post::Post;

use super::ledger::Ledger;
use super::manner::Manner;
use super::report::{Day, Report, Trace, Violation};
use super::{BoxManners, Dice, Plan, SimClock, SimDirectory, SimPeers};
use crate::message::ChannelId;
use crate::queue::Queue;
use crate::route::{RouteTable, Via};
use crate::seam::Clock;
use crate::settings::Settings;
use crate::storage::MemoryStorage;

/// Writes a line into the trace of a world.
macro_rules! trace {
    ($world:expr, $($text:tt)*) => {
        $world.trace.line($world.clock.now(), format_args!($($text)*))
    };
}
pub(super) use trace;

/// A world.
pub(super) struct World {
    seed: u64,
    plan: Plan,
    dice: Dice,
    clock: Arc<SimClock>,
    /// What is durable.
    memory: Arc<MemoryStorage>,
    /// The queue in it, without any engine.
    bare: Queue,
    peers: SimPeers,
    boxes: Arc<BoxManners>,
    directory: Arc<SimDirectory>,
    /// The engines, where they run.
    hosts: Vec<Option<Host>>,
    /// When each may start again.
    up: Vec<Duration>,
    settings: Settings,
    /// The largest bounds that held since the engine was started or became calm.
    bounds: (usize, usize),
    /// Engines that were started so far.
    boots: u64,
    /// When the last of them was, or the wall clock was set right last.
    steady: Duration,
    posts: Vec<Post>,
    letters: u64,
    /// Letters that the operator sent on so far.
    redirects: u64,
    /// When the engine was last disturbed.
    disturbed: Duration,
    manners: BTreeMap<String, Manner>,
    /// Places that the operator stopped, or may have.
    paused: operator::Paused,
    /// When a wall clock that is wrong by years is set right again.
    leaps_back: Option<Duration>,
    ledger: Ledger,
    days: Vec<Day>,
    trace: Trace,
}

impl World {
    pub(super) fn new(seed: u64, plan: Plan) -> Self {
        let dice = Dice::new(seed);
        let clock = Arc::new(SimClock::new());
        let memory = MemoryStorage::with_clock(clock.clone());
        let settings = settings(&plan);
        Self {
            seed,
            bare: Queue::at_rest(memory.storage(), clock.clone()),
            peers: SimPeers::new(clock.clone(), dice.apart("peers")),
            boxes: Arc::default(),
            directory: SimDirectory::new(dice.apart("directory")),
            hosts: (0..plan.engines).map(|_| None).collect(),
            up: vec![Duration::ZERO; plan.engines],
            bounds: (settings.peers.default.concurrency, settings.concurrency),
            boots: 0,
            steady: Duration::ZERO,
            posts: Vec::new(),
            letters: 0,
            redirects: 0,
            disturbed: Duration::ZERO,
            manners: BTreeMap::new(),
            paused: operator::Paused::new(),
            leaps_back: None,
            ledger: Ledger {
                lifetime: plan.schedule.expire,
                patience: plan.patience,
                shared: plan.engines > 1,
                ..Ledger::default()
            },
            days: Vec::new(),
            trace: Trace::new(),
            settings,
            plan,
            dice,
            clock,
            memory,
        }
    }

    /// Plays it to its end, or to the first rule that is broken.
    pub(super) async fn run(mut self) -> Report {
        let played = self.play().await;
        if let Err(violation) = &played {
            trace!(self, "broken: {violation}");
        }
        let (trace, fingerprint) = self.trace.end();
        Report {
            seed: self.seed,
            violation: played.err(),
            tally: self.ledger.tally,
            days: self.days,
            elapsed: self.clock.elapsed(),
            trace,
            fingerprint,
        }
    }

    async fn play(&mut self) -> Result<(), Violation> {
        if self.plan.places > 3 {
            for place in ["far2.example", "far3.example"] {
                self.peers.set_site(place, "pair.example");
            }
        }
        (0..self.hosts.len()).for_each(|at| self.boot(at));
        for _ in 0..self.plan.steps {
            if self.clock.elapsed() >= self.plan.span {
                break;
            }
            self.act().await?;
            self.pass().await;
            self.look().await?;
            self.revive().await?;
        }
        self.finish().await
    }

    /// Lets time pass; less of it if a process dies.
    async fn pass(&mut self) {
        let (least, most) = self.plan.pause;
        let octaves = (most.as_millis().max(1) / least.as_millis().max(1)).max(1).ilog2();
        let least = least * (1 << self.dice.below(u64::from(octaves) + 1));
        let mut span = self.dice.span(least, least * 2);
        if let Some(at) = self.leaps_back {
            span = span.min(at.saturating_sub(self.clock.elapsed()) + Duration::from_secs(1));
        }
        let deaths: Vec<_> = self.hosts.iter().flatten().map(|host| Box::pin(host.life.over())).collect();
        if deaths.is_empty() {
            return tokio::time::sleep(span).await;
        }
        tokio::select! {
            biased;
            _ = futures_util::future::select_all(deaths) => {}
            () = tokio::time::sleep(span) => {}
        }
    }

    /// An engine that runs, by chance.
    fn some_host(&self) -> Option<&Host> {
        let running: Vec<&Host> = self.hosts.iter().flatten().filter(|host| !host.life.is_over()).collect();
        match running.is_empty() {
            true => None,
            false => Some(*self.dice.pick(&running)),
        }
    }

    /// Something happened that the engine needs time to get over.
    fn disturb(&mut self) {
        self.disturbed = self.disturbed.max(self.clock.elapsed());
    }
}

fn settings(plan: &Plan) -> Settings {
    let mut settings = Settings::default();
    let via = Via::Channel { channel: ChannelId::new("far"), hop: None };
    if let Ok(all) = "*".parse() {
        settings.routes = RouteTable::new().with(all, via);
    }
    settings.peers.default.schedule = plan.schedule.clone();
    settings.attempt_time = plan.patience;
    settings.history = Duration::from_secs(365 * 86_400); // the rules read every story at the end
    settings
}
