//! The queue beside a simple model of it, under random sequences of operations. The model is a map: what waits, for whom,
//! after how many attempts. After each operation the queue must say the same, and the far side must have what the
//! model says it has. Time stands still between operations, so a sequence that fails shrinks.
#![cfg(feature = "sim")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iems_core::message::{ChannelId, Envelope, QueueId, Release};
use iems_core::queue::{Filter, State};
use iems_core::receive::Connection;
use iems_core::report::What;
use iems_core::route::{RouteTable, Via};
use iems_core::seam::{Clock, Timestamp};
use iems_core::sim::*;
use iems_core::storage::{MemoryStorage, Storage};
use iems_core::{Engine, Settings};
use proptest::prelude::*;

/// Far places.
const PLACES: usize = 3;
const RETRY: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(600)];
const EXPIRE: Duration = Duration::from_secs(3600);
/// What is ready is tried within this time.
const MOMENT: Duration = Duration::from_secs(1);

/// What every recipient at a place is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Yes,
    Later,
    Never,
}

#[derive(Debug, Clone)]
enum Op {
    /// A letter to these people: place and number. It is to go so much later, if at all.
    Send(BTreeSet<(usize, u8)>, Duration),
    /// A place changes its answer.
    Says(usize, Says),
    Pass(Duration),
    /// The operator, about one place or all.
    Retry(Option<usize>),
    Purge(Option<usize>),
    /// In good order; or by a crash.
    Restart(bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let says = prop_oneof![3 => Just(Says::Yes), 4 => Just(Says::Later), 1 => Just(Says::Never)];
    let place = prop_oneof![2 => (0..PLACES).prop_map(Some), 1 => Just(None)];
    let people = prop::collection::btree_set((0..PLACES, 0..3_u8), 1..6);
    let op = prop_oneof![
        4 => people.clone().prop_map(|people| Op::Send(people, Duration::ZERO)),
        1 => (people, 1_u64..1500).prop_map(|(people, secs)| Op::Send(people, Duration::from_secs(secs))),
        3 => (0..PLACES, says).prop_map(|(place, says)| Op::Says(place, says)),
        4 => (1_u64..1500).prop_map(|secs| Op::Pass(Duration::from_secs(secs))),
        1 => place.clone().prop_map(Op::Retry),
        1 => place.prop_map(Op::Purge),
        1 => any::<bool>().prop_map(Op::Restart),
    ];
    prop::collection::vec(op, 1..25)
}

fn place(number: usize) -> String {
    format!("far{number}.example")
}

/// A group that waits.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    recipients: BTreeSet<String>,
    attempts: u32,
    state: State,
    /// Between these, as chance stretches the wait.
    due: (Timestamp, Timestamp),
    expires: Timestamp,
}

/// The model.
#[derive(Debug, Default)]
struct Model {
    groups: BTreeMap<(QueueId, String), Group>,
    /// How often each address has each letter.
    arrived: BTreeMap<(String, u64), u64>,
    /// What the sender was told has failed.
    failed: u64,
    numbers: BTreeMap<QueueId, u64>,
    says: BTreeMap<String, Says>,
}

impl Model {
    /// One attempt for a group that is due now.
    fn attempt(&mut self, key: &(QueueId, String), now: Timestamp) {
        let Some(group) = self.groups.get_mut(key) else { return };
        match self.says.get(&key.1).unwrap_or(&Says::Yes) {
            Says::Later => {
                group.attempts += 1;
                let wait = RETRY[(group.attempts as usize - 1).min(RETRY.len() - 1)];
                let (least, most) = (now.after(wait - MOMENT), now.after(wait + wait / 10 + MOMENT));
                group.due = (least.min(group.expires), most.min(group.expires));
                group.state = State::Deferred;
            }
            Says::Yes => {
                let number = self.numbers[&key.0];
                let gone = self.groups.remove(key).expect("it is there");
                gone.recipients
                    .into_iter()
                    .for_each(|to| *self.arrived.entry((to, number)).or_default() += 1);
            }
            Says::Never => {
                let gone = self.groups.remove(key).expect("it is there");
                self.failed += gone.recipients.len() as u64;
            }
        }
    }

    fn of(&self, place: Option<&String>) -> Vec<(QueueId, String)> {
        self.groups.keys().filter(|(_, hop)| place.is_none_or(|place| place == hop)).cloned().collect()
    }
}

/// Both.
struct Pair {
    model: Model,
    clock: Arc<SimClock>,
    storage: Storage,
    peers: SimPeers,
    engine: Option<(Engine, Life)>,
    letters: u64,
    told: u64,
}

impl Pair {
    fn new() -> Self {
        let clock = Arc::new(SimClock::new());
        let peers = SimPeers::new(clock.clone(), Dice::new(1));
        let storage = MemoryStorage::with_clock(clock.clone()).storage();
        let mut pair =
            Self { model: Model::default(), clock, storage, peers, engine: None, letters: 0, told: 0 };
        (0..PLACES).for_each(|number| pair.says(number, Says::Yes));
        pair.start();
        pair
    }

    fn start(&mut self) {
        let mut settings = Settings::default();
        let via = Via::Channel { channel: ChannelId::new("far"), hop: None };
        settings.routes = RouteTable::new().with("*".parse().unwrap(), via);
        settings.peers.default.schedule.retry = RETRY.to_vec();
        settings.peers.default.schedule.expire = EXPIRE;
        settings.peers.default.schedule.warn = None;
        let (life, boxes) = (Life::new(), Arc::<BoxManners>::default());
        let below = SimStorage::new(self.storage.clone(), life.clone(), Dice::new(2)).storage();
        let agent = SimBoxes::new(below.clone(), life.clone(), Dice::new(3), boxes);
        let engine = Engine::builder("mx.here.example", below, SimDirectory::new(Dice::new(4)))
            .clock(self.clock.clone())
            .random(Arc::new(Dice::new(self.letters + 5)))
            .output(self.peers.channel(1, life.clone()))
            .agent(Arc::new(agent))
            .settings(settings)
            .build()
            .unwrap();
        engine.start();
        self.engine = Some((engine, life));
    }

    fn engine(&self) -> &Engine {
        &self.engine.as_ref().unwrap().0
    }

    fn says(&mut self, number: usize, says: Says) {
        let mood = match says {
            Says::Yes => Mood::Well,
            Says::Later => Mood::Moody { later: 1000, never: 0 },
            Says::Never => Mood::Moody { later: 0, never: 1000 },
        };
        self.peers.set_manner(&place(number), Manner { latency: (Duration::ZERO, Duration::ZERO), mood });
        self.model.says.insert(place(number), says);
    }

    async fn perform(&mut self, op: &Op) {
        match op {
            Op::Send(people, held) => self.send(people, *held).await,
            Op::Says(number, says) => self.says(*number, *says),
            Op::Pass(span) => self.pass(*span).await,
            Op::Retry(number) => self.retry(number.map(place)).await,
            Op::Purge(number) => self.purge(number.map(place)).await,
            Op::Restart(crash) => self.restart(*crash).await,
        }
        self.compare().await;
    }

    async fn send(&mut self, people: &BTreeSet<(usize, u8)>, held: Duration) {
        self.letters += 1;
        let channel = ChannelId::new("door");
        let mut session = self.engine().intake().open(Connection::new(channel, None)).await.unwrap();
        let sender = "<s0@here.example>".parse().unwrap();
        let release = self.clock.now().after(held);
        let mut envelope = Envelope::new(sender);
        envelope.release = (!held.is_zero()).then_some(Release { at: release, held: Some(held.as_secs()) });
        let mut transaction = session.begin(envelope, 0).await.unwrap();
        let id = transaction.id();
        self.model.numbers.insert(id, self.letters);
        let expires = release.after(EXPIRE);
        let state = if held.is_zero() { State::Waiting } else { State::Scheduled };
        for (number, name) in people {
            let to = format!("u{name}@{}", place(*number));
            transaction.recipient(format!("<{to}>").parse().unwrap(), None, None).await.unwrap();
            let fresh = || Group {
                recipients: BTreeSet::new(),
                attempts: 0,
                state,
                due: (release, release),
                expires,
            };
            self.model.groups.entry((id, place(*number))).or_insert_with(fresh).recipients.insert(to);
        }
        transaction.write(Bytes::from(letter(self.letters, "s0@here.example", 100))).await.unwrap();
        transaction.commit().await.unwrap();
        if held.is_zero() {
            self.attempted(people.iter().map(|(number, _)| (id, place(*number))).collect()).await;
        }
        self.pass(Duration::ZERO).await;
    }

    /// These groups are ready, and each is attempted once.
    async fn attempted(&mut self, keys: BTreeSet<(QueueId, String)>) {
        let now = self.clock.now();
        keys.iter().for_each(|key| self.model.attempt(key, now));
        tokio::time::sleep(MOMENT).await;
    }

    /// Time passes; on the way groups become due, or reach their end. Whatever became due while the last ones were tried is
    /// taken along, so that both have done the same when this returns.
    async fn pass(&mut self, span: Duration) {
        let until = self.clock.now().after(span);
        loop {
            self.learn_due_times().await;
            let now = self.clock.now();
            let next = self.model.groups.values().map(|group| group.due.0.min(group.expires)).min();
            match next.filter(|next| *next <= until.max(now)) {
                Some(next) => tokio::time::sleep(next.since(now)).await,
                None => return tokio::time::sleep(until.since(now)).await,
            }
            let (now, mut due) = (self.clock.now(), BTreeSet::new());
            for key in self.model.of(None) {
                let group = &self.model.groups[&key];
                if group.expires <= now {
                    self.end(&key).await;
                } else if group.due.0 <= now {
                    due.insert(key);
                }
            }
            self.attempted(due).await;
        }
    }

    /// A group whose time is over is given up. If it was due at that very moment, it may have been tried just before: its story
    /// says which.
    async fn end(&mut self, key: &(QueueId, String)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let group = self.model.groups[key].clone();
        let story = self.engine().queue().explain(key.0).await.unwrap().unwrap();
        let gave_up = story.events.iter().any(|event| match &event.what {
            What::Expired { mailbox } => group.recipients.contains(&mailbox.to_string()),
            _ => false,
        });
        if group.due.0 == group.expires && !gave_up {
            self.model.attempt(key, self.clock.now());
        }
        if let Some(gone) = self.model.groups.remove(key) {
            self.model.failed += gone.recipients.len() as u64;
        }
    }

    /// The model knows a wait up to its tenth of chance: from here on it takes the queue's word, within that.
    async fn learn_due_times(&mut self) {
        for entry in self.engine().queue().list(&Filter::default(), 10_000).await.unwrap() {
            let key = (entry.id, entry.hop.to_string());
            let Some(group) = self.model.groups.get_mut(&key) else { continue };
            if (group.attempts, group.state) != (entry.attempts, entry.state) {
                continue; // it was tried in this moment, and the model comes to that
            }
            let (least, most) = group.due;
            assert!((least..=most).contains(&entry.next_attempt), "{entry:?}, and the model says {group:?}");
            group.due = (entry.next_attempt, entry.next_attempt);
        }
    }

    async fn retry(&mut self, place: Option<String>) {
        let mut keys = self.model.of(place.as_ref());
        // What its sender wants to go later is not for this.
        keys.retain(|key| self.model.groups[key].state != State::Scheduled);
        let asked = self.engine().queue().retry(&filter(place)).await.unwrap();
        assert_eq!(asked, keys.len(), "groups that were asked for");
        self.attempted(keys.into_iter().collect()).await;
        self.pass(Duration::ZERO).await;
    }

    async fn purge(&mut self, place: Option<String>) {
        let keys = self.model.of(place.as_ref());
        let removed = self.engine().queue().purge(&filter(place)).await.unwrap();
        assert_eq!(removed, keys.len(), "groups that were removed");
        keys.iter().for_each(|key| drop(self.model.groups.remove(key)));
    }

    async fn restart(&mut self, crash: bool) {
        let (engine, life) = self.engine.take().unwrap();
        if !crash {
            engine.shutdown(Duration::from_secs(5)).await;
        }
        life.end();
        drop(engine);
        self.start();
        tokio::time::sleep(MOMENT).await;
        self.pass(Duration::ZERO).await;
    }

    /// The queue, the far side and the sender say what the model says.
    async fn compare(&mut self) {
        self.learn_due_times().await;
        let listed = self.engine().queue().list(&Filter::default(), 10_000).await.unwrap();
        let groups: BTreeMap<_, _> = listed
            .into_iter()
            .map(|entry| {
                let due = (entry.next_attempt, entry.next_attempt);
                let (attempts, state, expires) = (entry.attempts, entry.state, entry.expires);
                let recipients = entry.recipients.into_iter().collect();
                ((entry.id, entry.hop.to_string()), Group { recipients, attempts, state, due, expires })
            })
            .collect();
        assert_eq!(groups, self.model.groups, "what waits");
        for contact in self.peers.news() {
            let Step::Taken(seen) = &contact.step else { continue };
            let Seen::Letter { number, .. } = **seen else { panic!("{seen:?} arrived") };
            let left = self.model.arrived.get_mut(&(contact.to.clone(), number));
            let left = left.unwrap_or_else(|| panic!("{} got letter {number}", contact.to));
            *left = left.checked_sub(1).expect("once");
        }
        self.model.arrived.retain(|_, left| *left > 0);
        assert!(self.model.arrived.is_empty(), "the far side has not got {:?}", self.model.arrived);
        for row in SimBoxes::empty(&self.storage).await.unwrap() {
            let Seen::Report { told, .. } = row.seen else { panic!("{:?} arrived here", row.seen) };
            self.told += told.iter().filter(|told| told.action == "failed").count() as u64;
        }
        assert_eq!(self.told, self.model.failed, "failures that the sender was told of");
    }
}

fn filter(place: Option<String>) -> Filter {
    let mut filter = Filter::default();
    filter.domain = place.map(|place| place.parse().unwrap());
    filter
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_the_model_does(ops in ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            for op in &ops {
                pair.perform(op).await;
            }
        });
    }
}
