//! The channel and its links: what an engine sees of the far side.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use super::peers::{Answer, Inner, Step};
use super::{Life, Manner, Mood, Seen};
use crate::deliver::{Arrival, Attempt, Capabilities, Channel, Link, Outcome, Site};
use crate::message::{ChannelId, EnhancedStatus, NextHop, Reply};

/// The most recipients of one attempt.
const RECIPIENTS: usize = 5;

/// A channel to the places of [`super::SimPeers`], for the engine of one life.
pub struct SimChannel {
    id: ChannelId,
    far: Arc<Inner>,
    host: u64,
    life: Life,
    links: Arc<Mutex<BTreeMap<String, Links>>>,
}

/// Links to one place, as far as this engine is concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Links {
    /// Open, or being opened, now.
    pub now: usize,
    /// The most at any one time.
    pub most: usize,
    /// Being opened, or carrying a message, now.
    pub busy: usize,
    /// When one of them was last at work.
    pub last: Option<Instant>,
}

impl SimChannel {
    pub(super) fn new(far: Arc<Inner>, host: u64, life: Life) -> Self {
        Self { id: ChannelId::new("far"), far, host, life, links: Arc::default() }
    }

    /// The links of this engine, by site; what is at work, by place.
    pub fn links(&self) -> BTreeMap<String, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets how many links there were at most: counting begins anew.
    pub fn forget_most(&self) {
        for links in self.links.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            links.most = links.now;
        }
    }
}

/// Counts a link, or work on one, for as long as it lives.
struct Count {
    links: Arc<Mutex<BTreeMap<String, Links>>>,
    place: String,
    busy: bool,
}

impl Count {
    fn new(links: &Arc<Mutex<BTreeMap<String, Links>>>, place: &str, busy: bool) -> Self {
        let count = Self { links: links.clone(), place: place.to_owned(), busy };
        count.change(|links| match busy {
            true => links.busy += 1,
            false => {
                links.now += 1;
                links.most = links.most.max(links.now);
            }
        });
        count
    }

    fn change(&self, change: impl FnOnce(&mut Links)) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        change(links.entry(self.place.clone()).or_default());
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let busy = self.busy;
        self.change(|links| match busy {
            true => {
                links.busy -= 1;
                links.last = Some(Instant::now());
            }
            false => links.now -= 1,
        });
    }
}

/// Waits; `false` if the life ended meanwhile.
async fn pass(life: &Life, far: &Inner, place: &str, manner: &Manner) -> bool {
    let span = far.with(place, |place| manner.pause(&place.dice));
    tokio::select! {
        biased;
        () = life.over() => false,
        () = tokio::time::sleep(span) => true,
    }
}

#[async_trait]
impl Channel for SimChannel {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_recipients(RECIPIENTS)
    }

    async fn site(&self, hop: &NextHop) -> Site {
        Site::new(&self.far.site(hop.as_str()))
    }

    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        let place = hop.as_str();
        let count = Count::new(&self.links, &self.far.site(place), false);
        let _busy = Count::new(&self.links, place, true);
        let manner = self.far.with(place, |place| place.manner.clone());
        if !pass(&self.life, &self.far, place, &manner).await {
            return Err(Reply::defer(3, 0, "the process is dead"));
        }
        match manner.refusal() {
            Some(reply) => Err(reply),
            None => Ok(Box::new(Wire {
                far: self.far.clone(),
                host: self.host,
                life: self.life.clone(),
                place: place.to_owned(),
                links: self.links.clone(),
                cut: false,
                _count: count,
            })),
        }
    }
}

struct Wire {
    far: Arc<Inner>,
    host: u64,
    life: Life,
    place: String,
    links: Arc<Mutex<BTreeMap<String, Links>>>,
    cut: bool,
    _count: Count,
}

impl Wire {
    fn note(&self, attempt: &Attempt, to: &str, step: Step) {
        self.far.note(self.host, &self.place, attempt.id, to, step);
    }

    fn chance(&self, permille: u64) -> bool {
        self.far.with(&self.place, |place| place.dice.chance(permille))
    }

    /// The far side takes the message: what it answers for each recipient. Nothing if the connection ended before.
    async fn take(&mut self, attempt: &Attempt, names: &[String], manner: &Manner) -> Option<Vec<Answer>> {
        let octets = attempt.body.reader(&*attempt.blobs).rest().await.ok()?;
        if !pass(&self.life, &self.far, &self.place, manner).await {
            return None;
        }
        if matches!(manner.mood, Mood::CutBefore(permille) if self.chance(permille)) {
            return None;
        }
        let seen = Arc::new(Seen::read(&octets));
        let now = self.far.clock.now();
        let judge = |name: &String| self.far.with(&self.place, |place| place.judge(attempt.id, name, now));
        let answers: Vec<Answer> = names.iter().map(judge).collect();
        for (name, _) in names.iter().zip(&answers).filter(|(_, answer)| **answer == Answer::Done) {
            self.note(attempt, name, Step::Taken(seen.clone()));
        }
        Some(answers)
    }

    /// Whether the answer gets back to the engine.
    async fn answered(&mut self, manner: &Manner) -> bool {
        match manner.mood {
            Mood::CutAfter(permille) if self.chance(permille) => false,
            Mood::Silent(permille) if self.chance(permille) => {
                self.life.over().await;
                false
            }
            _ => pass(&self.life, &self.far, &self.place, manner).await,
        }
    }
}

#[async_trait]
impl Link for Wire {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        if self.life.is_over() {
            return Vec::new();
        }
        let _busy = Count::new(&self.links, &self.place, true);
        let names: Vec<String> = attempt.destinations.iter().map(|to| to.mailbox.to_string()).collect();
        names.iter().for_each(|name| self.note(attempt, name, Step::Begun));
        let manner = self.far.with(&self.place, |place| place.manner.clone());
        let answers = self.take(attempt, &names, &manner).await;
        let answers = match answers {
            Some(answers) if self.answered(&manner).await => answers,
            _ => {
                self.cut = true;
                vec![Answer::Later; if self.life.is_over() { 0 } else { names.len() }]
            }
        };
        for (name, answer) in names.iter().zip(&answers) {
            self.note(attempt, name, Step::Heard(*answer));
        }
        if self.cut {
            Vec::new()
        } else {
            answers.iter().map(|answer| outcome(*answer, &manner.mood)).collect()
        }
    }

    fn is_reusable(&self) -> bool {
        !self.cut
    }

    async fn close(self: Box<Self>) {}
}

/// What the engine is told; a temporary answer is about the recipient, the message or the whole place.
fn outcome(answer: Answer, mood: &Mood) -> Outcome {
    match (answer, mood) {
        (Answer::Done, _) => {
            Outcome::Done(Arrival::Relayed, Reply::new(250, EnhancedStatus::new(2, 0, 0), "taken"))
        }
        (Answer::Never, _) => Outcome::Failed(Reply::refuse(1, 1, "nobody of that name")),
        (Answer::Later, Mood::Greylisting(_)) => Outcome::deferred(7, 1, "come again"),
        (Answer::Later, Mood::Limited(..)) => {
            Outcome::Deferred(Reply::new(421, EnhancedStatus::new(4, 7, 0), "too much of it"))
        }
        (Answer::Later, _) => Outcome::deferred(2, 2, "the mailbox is full"),
    }
}
