//! The engine: assembled by a builder, run by its tasks. All that it shares hangs on one value; there
//! is no other state, so several engines live side by side.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::deliver::{Channel, DeliveryAgent, Site};
use crate::health::{self, Gate, Health};
use crate::message::{ChannelId, Domain, LocalPart, Mailbox, NextHop, QueueId, Reply};
use crate::preprocess::{Chain, Matrix, Module, Preprocessor};
use crate::queue::{self, HopKey, Node, Queue, Runner};
use crate::receive::{self, Intake};
use crate::report::{self, Counters, Metrics, Traffic};
use crate::route::{self, Route};
use crate::seam::{Clock, Directory, MemoryGauge, Random, SeededRandom, SystemClock};
use crate::settings::Settings;
use crate::storage::Storage;

/// What all parts of one engine share.
pub(crate) struct Shared {
    pub(crate) hostname: String,
    pub(crate) postmaster_domain: Domain,
    /// The address that answers for this system.
    pub(crate) postmaster: Mailbox,
    pub(crate) storage: Storage,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) outputs: HashMap<ChannelId, Arc<dyn Channel>>,
    pub(crate) agents: HashMap<ChannelId, Arc<dyn DeliveryAgent>>,
    pub(crate) chain: Chain,
    pub(crate) runner: Arc<Runner>,
    /// This engine among others, where the store is shared.
    pub(crate) node: Option<Arc<Node>>,
    pub(crate) health: Arc<Gate>,
    pub(crate) metrics: Counters,
    /// Double bounces that the postmaster was told in this hour.
    pub(crate) bounces: report::Hour,
    /// The hops whose mail is being collected.
    pub(crate) collecting: Mutex<HashSet<HopKey>>,
    /// Nothing new is begun any more.
    pub(crate) shutdown: CancellationToken,
    /// What is under way is given up.
    pub(crate) killed: CancellationToken,
    settings: RwLock<Arc<Settings>>,
}

impl Shared {
    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why an engine cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The host name is not a domain.
    #[error("the host name {0:?} is not a domain name")]
    Hostname(String),
    /// Two channels or agents have the same name.
    #[error("two {0} are called {1}")]
    Twice(&'static str, String),
}

/// Assembles an [`Engine`].
pub struct Builder {
    hostname: String,
    postmaster_domain: Option<Domain>,
    storage: Storage,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    memory: Option<Arc<dyn MemoryGauge>>,
    inputs: Vec<Arc<dyn Channel>>,
    outputs: Vec<Arc<dyn Channel>>,
    agents: Vec<Arc<dyn DeliveryAgent>>,
    chain: Chain,
    settings: Settings,
    node: Option<String>,
}

impl Builder {
    /// Other engines work on the same store: they divide the hops among them by leases, and take over from an
    /// engine that dies within five seconds. `name` is for people; it need not be unique. Without this an engine
    /// takes the whole queue of its store for its own.
    #[must_use]
    pub fn shared(mut self, name: &str) -> Self {
        self.node = Some(name.to_owned());
        self
    }

    /// Time. Default: the clock of the system.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Randomness. Default: seeded by the operating system.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// How much memory the process holds. Default: not known, so there is no mark.
    #[must_use]
    pub fn memory(mut self, gauge: Arc<dyn MemoryGauge>) -> Self {
        self.memory = Some(gauge);
        self
    }

    /// The domain that `<Postmaster>` without a domain means. Default: the host name.
    #[must_use]
    pub fn postmaster_domain(mut self, domain: Domain) -> Self {
        self.postmaster_domain = Some(domain);
        self
    }

    /// A channel that takes messages in.
    #[must_use]
    pub fn input(mut self, channel: Arc<dyn Channel>) -> Self {
        self.inputs.push(channel);
        self
    }

    /// A channel that carries messages out. Routes name it.
    #[must_use]
    pub fn output(mut self, channel: Arc<dyn Channel>) -> Self {
        self.outputs.push(channel);
        self
    }

    /// An agent. The directory's targets name it.
    #[must_use]
    pub fn agent(mut self, agent: Arc<dyn DeliveryAgent>) -> Self {
        self.agents.push(agent);
        self
    }

    /// A module of the preprocessor, and the flows it runs on. Modules run in the order in which they are added.
    #[must_use]
    pub fn preprocessor(mut self, preprocessor: Arc<dyn Preprocessor>, matrix: Matrix) -> Self {
        self.chain.modules.push(Module { preprocessor, matrix });
        self
    }

    /// What an administrator decides.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The engine, not yet started.
    pub fn build(self) -> Result<Engine, BuildError> {
        let domain: Domain =
            self.hostname.parse().map_err(|_| BuildError::Hostname(self.hostname.clone()))?;
        let outputs = by_name("output channels", self.outputs, |channel| channel.id().clone())?;
        let agents = by_name("agents", self.agents, |agent| agent.id().clone())?;
        let start = QueueId::new(self.clock.now(), &*self.random);
        let node = self.node.map(|name| Arc::new(Node::new(&name, start)));
        let health = Gate::new(self.clock.clone(), self.memory, self.storage, self.settings.marks.clone());
        let postmaster_domain = self.postmaster_domain.unwrap_or_else(|| domain.clone());
        let local = LocalPart::from_content("postmaster");
        let local = local.map_err(|_| BuildError::Hostname(self.hostname.clone()))?;
        let shared = Shared {
            node,
            postmaster: Mailbox::new(local, postmaster_domain.clone()),
            postmaster_domain,
            hostname: domain.as_str().to_owned(),
            storage: health.watched(),
            directory: self.directory,
            runner: Arc::new(Runner::new(self.clock.clone(), self.random.clone())),
            health,
            clock: self.clock,
            random: self.random,
            outputs,
            agents,
            chain: self.chain,
            metrics: Counters::default(),
            bounces: report::Hour::default(),
            collecting: Mutex::default(),
            shutdown: CancellationToken::new(),
            killed: CancellationToken::new(),
            settings: RwLock::new(Arc::new(self.settings)),
        };
        Ok(Engine { shared: Arc::new(shared), inputs: self.inputs, tasks: Mutex::default() })
    }
}

fn by_name<T: ?Sized>(
    kind: &'static str,
    all: Vec<Arc<T>>,
    name: impl Fn(&T) -> ChannelId,
) -> Result<HashMap<ChannelId, Arc<T>>, BuildError> {
    let mut named = HashMap::new();
    for one in all {
        let id = name(&one);
        if named.insert(id.clone(), one).is_some() {
            return Err(BuildError::Twice(kind, id.to_string()));
        }
    }
    Ok(named)
}

/// A messaging engine.
///
/// Several engines may live in one process; they share nothing. Dropping an engine stops it at once, as a crash would:
/// nothing that was accepted is lost. [`Engine::shutdown`] is the polite way.
pub struct Engine {
    shared: Arc<Shared>,
    inputs: Vec<Arc<dyn Channel>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Begins to assemble an engine that calls itself `hostname`, keeps its mail in `storage` and asks `directory`.
    pub fn builder(hostname: &str, storage: Storage, directory: Arc<dyn Directory>) -> Builder {
        Builder {
            hostname: hostname.to_owned(),
            postmaster_domain: None,
            storage,
            directory,
            clock: Arc::new(SystemClock),
            random: Arc::new(SeededRandom::unpredictable()),
            memory: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            agents: Vec::new(),
            chain: Chain::default(),
            settings: Settings::default(),
            node: None,
        }
    }

    /// The door for messages of the embedding program.
    pub fn intake(&self) -> Intake {
        Intake::new(self.shared.clone())
    }

    /// Starts the queue, the input channels and the housekeeping on the current tokio runtime. Call it once.
    pub fn start(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.health.expect_probes();
        tasks.push(tokio::spawn(health::watch(self.shared.clone())));
        tasks.push(tokio::spawn(queue::run(self.shared.clone())));
        tasks.push(tokio::spawn(queue::watch(self.shared.clone())));
        if let Some(node) = &self.shared.node {
            tasks.push(tokio::spawn(queue::keep(self.shared.clone(), node.clone())));
            tasks.push(tokio::spawn(queue::follow(self.shared.clone())));
        }
        tasks.push(tokio::spawn(keep_house(self.shared.clone())));
        for channel in &self.inputs {
            let (channel, intake, shutdown) = (channel.clone(), self.intake(), self.shared.shutdown.clone());
            tasks.push(tokio::spawn(async move {
                if let Err(error) = channel.serve(intake, shutdown).await {
                    tracing::error!(channel = %channel.id(), %error, "an input channel stopped");
                }
            }));
        }
    }

    /// Stops: nothing new is begun, what is under way may finish within `grace`. Whatever does not is tried
    /// again after the next start.
    pub async fn shutdown(&self, grace: Duration) {
        self.shared.shutdown.cancel();
        self.shared.runner.ring_bell();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = tokio::time::Instant::now() + grace;
        for mut task in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
        while self.shared.runner.workers() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.shared.killed.cancel();
    }

    /// The operator's view of the queue.
    pub fn queue(&self) -> Queue {
        Queue::of_engine(self.shared.clone())
    }

    /// Where mail for `mailbox` would go, and why; the reply that a sender would get, if nowhere.
    pub async fn route(&self, mailbox: &Mailbox) -> Result<Route, Reply> {
        route::route(&self.shared, &self.shared.settings(), mailbox).await
    }

    /// The place where a next hop of a channel leads to now, and shares its limits with other hops. Asks the channel; a hop of
    /// an agent, or of a channel that does not answer within 10 s, is its own site.
    pub async fn site(&self, channel: &ChannelId, hop: &NextHop) -> Site {
        let own = || Site::new(hop.as_str());
        let Some(channel) = self.shared.outputs.get(channel) else { return own() };
        tokio::select! {
            site = channel.site(hop) => site,
            () = self.shared.clock.sleep(SITE_TIME) => own(),
        }
    }

    /// Replaces the settings. Messages on their way in keep the old ones; everything else reads the new ones at its
    /// next step.
    pub fn replace(&self, settings: Settings) {
        self.shared.health.set_marks(settings.marks.clone());
        *self.shared.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.shared.runner.follow(&self.shared.settings().peers);
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Settings {
        (*self.shared.settings()).clone()
    }

    /// Whether storage works, and what is refused if not. Cheap; never waits for storage.
    pub fn health(&self) -> Health {
        self.shared.health.read()
    }

    /// The traffic of each channel: that of its busiest next hops, at most 50 in all channels together, and that of the others
    /// together, without a hop. What agents deliver is counted together.
    pub fn traffic(&self) -> Vec<(ChannelId, Option<NextHop>, Traffic)> {
        self.shared.metrics.traffic.read()
    }

    /// The counters now.
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics.read(self.shared.runner.workers())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.shutdown.cancel();
        self.shared.killed.cancel();
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

/// How long a channel may take to say where a hop leads to, for whoever asks an engine.
const SITE_TIME: Duration = Duration::from_secs(10);

/// How often dead blobs are looked for: soon enough that a busy server gives room back while it runs.
const COLLECTION: Duration = Duration::from_secs(60);

/// Every so many collections, old stories are looked for, double bounces to sum up, and hops that a commit of unknown outcome left behind.
const COLLECTIONS_A_ROUND: u64 = 15;

async fn keep_house(shared: Arc<Shared>) {
    for round in 1_u64.. {
        tokio::select! {
            biased;
            () = shared.clock.sleep(COLLECTION) => {}
            () = shared.shutdown.cancelled() => return,
        }
        match shared.storage.blobs.collect().await {
            Ok(collected) if collected.bytes > 0 => tracing::debug!(?collected, "storage collected"),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "storage could not be collected"),
        }
        if round % COLLECTIONS_A_ROUND == 0 {
            look_around(&shared).await;
        }
    }
}

async fn look_around(shared: &Shared) {
    if let Err(error) = report::sum_up(shared).await {
        tracing::warn!(%error, "the notice that sums up double bounces could not be sent");
    }
    if let Err(error) = queue::find_hops(shared).await {
        tracing::warn!(%error, "the queue could not be looked through");
    }
    if let Err(error) = receive::forget_names(shared).await {
        tracing::warn!(%error, "names of messages that have expired could not be removed");
    }
    if let Err(error) = queue::forget_old(shared).await {
        tracing::warn!(%error, "old stories could not be removed");
    }
}
