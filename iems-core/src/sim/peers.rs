//! The far side: places that take messages in the manner they are given, and remember everything.
//! What is known here is what the world outside knows; the rules of a simulation compare it with the queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Dice, Life, Manner, Mood, Seen, SimChannel};
use crate::message::QueueId;
use crate::seam::{Clock, Timestamp};

/// Something that happened between an engine and a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// When, by the wall clock.
    pub at: Timestamp,
    /// When, by the time that passes.
    pub moment: Instant,
    /// The engine, by the number that its channel was made with.
    pub host: u64,
    /// The place: a next hop.
    pub place: String,
    /// The message that the engine carried.
    pub id: QueueId,
    /// The recipient there.
    pub to: String,
    /// What.
    pub step: Step,
}

/// Steps of an attempt for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The engine begins to carry.
    Begun,
    /// The place took the message.
    Taken(Arc<Seen>),
    /// The engine heard what became of it.
    Heard(Answer),
}

/// What the engine heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Done,
    /// Not now; also whenever there was no answer.
    Later,
    /// Never.
    Never,
}

/// All places of one simulation. Cheap to clone.
#[derive(Clone)]
pub struct SimPeers {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) clock: Arc<dyn Clock>,
    dice: Dice,
    places: Mutex<Places>,
}

#[derive(Default)]
pub(super) struct Places {
    known: BTreeMap<String, Place>,
    sites: BTreeMap<String, String>,
    contacts: Vec<Contact>,
}

/// One place.
pub(super) struct Place {
    pub(super) manner: Manner,
    /// Since when it has been harmless; not if it is not.
    harmless: Option<Instant>,
    pub(super) dice: Dice,
    first_tries: HashMap<(QueueId, String), Timestamp>,
    window: (Timestamp, u64),
}

impl SimPeers {
    /// Places that all take everything, until told otherwise.
    pub fn new(clock: Arc<dyn Clock>, dice: Dice) -> Self {
        Self { inner: Arc::new(Inner { clock, dice, places: Mutex::default() }) }
    }

    /// A channel for the engine of one `life`, called `far`. `host` is a number by which contacts name the engine.
    pub fn channel(&self, host: u64, life: Life) -> Arc<SimChannel> {
        Arc::new(SimChannel::new(self.inner.clone(), host, life))
    }

    /// The physical place that a next hop leads to, by a name. Without this it is a place of its own.
    pub fn set_site(&self, place: &str, site: &str) {
        self.inner.lock().sites.insert(place.to_owned(), site.to_owned());
    }

    /// How `place` behaves from now on. What is under way goes on as it began.
    pub fn set_manner(&self, place: &str, manner: Manner) {
        self.inner.with(place, |place| place.change(manner));
    }

    /// How `place` behaves.
    pub fn manner(&self, place: &str) -> Manner {
        self.inner.with(place, |place| place.manner.clone())
    }

    /// All places take everything from now on.
    pub fn heal(&self) {
        for place in self.inner.lock().known.values_mut() {
            place.change(Manner::default());
        }
    }

    /// The places that share a site with this one, itself among them.
    pub(super) fn neighbours(&self, place: &str) -> Vec<String> {
        let sites = &self.inner.lock().sites;
        let site = sites.get(place);
        let others = sites.iter().filter(|(other, at)| Some(*at) == site && *other != place);
        others.map(|(other, _)| other.clone()).chain([place.to_owned()]).collect()
    }

    /// For how long a place has done nothing that makes an engine keep away from it.
    pub(super) fn harmless_for(&self, place: &str) -> Duration {
        self.inner.with(place, |place| place.harmless.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    /// What happened since this was last asked.
    pub fn news(&self) -> Vec<Contact> {
        std::mem::take(&mut self.inner.lock().contacts)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with<T>(&self, name: &str, act: impl FnOnce(&mut Place) -> T) -> T {
        let mut places = self.lock();
        let place = places.known.entry(name.to_owned()).or_insert_with(|| Place {
            manner: Manner::default(),
            harmless: Some(Instant::now()),
            dice: self.dice.apart(name),
            first_tries: HashMap::new(),
            window: (Timestamp::default(), 0),
        });
        act(place)
    }

    pub(super) fn site(&self, place: &str) -> String {
        self.lock().sites.get(place).cloned().unwrap_or_else(|| place.to_owned())
    }

    pub(super) fn note(&self, host: u64, place: &str, id: QueueId, to: &str, step: Step) {
        let (at, moment, to) = (self.clock.now(), Instant::now(), to.to_owned());
        let contact = Contact { at, moment, host, place: place.to_owned(), id, to, step };
        self.lock().contacts.push(contact);
    }
}

impl Place {
    fn change(&mut self, manner: Manner) {
        self.harmless = match manner.is_harmless() {
            true => self.harmless.or(Some(Instant::now())),
            false => None,
        };
        self.manner = manner;
    }

    /// What it answers for one recipient.
    pub(super) fn judge(&mut self, id: QueueId, to: &str, now: Timestamp) -> Answer {
        match self.manner.mood {
            Mood::Moody { later, .. } if self.dice.chance(later) => Answer::Later,
            Mood::Moody { never, .. } if self.dice.chance(never) => Answer::Never,
            Mood::Greylisting(wait) => {
                let first = *self.first_tries.entry((id, to.to_owned())).or_insert(now);
                if now.since(first) < wait { Answer::Later } else { Answer::Done }
            }
            Mood::Limited(count, span) => {
                if now.since(self.window.0) >= span || now < self.window.0 {
                    self.window = (now, 0);
                }
                self.window.1 += 1;
                if self.window.1 > count { Answer::Later } else { Answer::Done }
            }
            _ => Answer::Done,
        }
    }
}
