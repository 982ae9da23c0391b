//! Senders at the door: each letter goes in as a task of its own, so that several are under way at once and the process
//! can die in the middle of one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{World, trace};
use crate::message::{ChannelId, Envelope, Notify, QueueId, Release, Reply};
use crate::receive::{Connection, Intake};
use crate::seam::Clock;
use crate::sim::report::Violation;
use crate::sim::{digest, letter, rules};

/// A letter under way to the door.
pub(super) struct Post {
    number: u64,
    /// The engine whose door it is.
    pub(super) host: u64,
    task: JoinHandle<Result<(), Reply>>,
    progress: Arc<Mutex<Progress>>,
    /// Commits of unknown outcome when it set out.
    unknown: u64,
    /// Its connection was cut: nobody hears the answer.
    cut: bool,
}

/// How far it came.
#[derive(Default)]
struct Progress {
    id: Option<QueueId>,
    accepted: BTreeSet<String>,
}

/// A letter.
struct Draft {
    sender: String,
    recipients: Vec<(String, Option<Notify>)>,
    text: Vec<u8>,
    release: Option<Release>,
}

impl Post {
    pub(super) fn cut(&mut self) {
        self.cut |= !self.task.is_finished();
        self.task.abort();
    }
}

impl World {
    /// Sends a letter by chance.
    pub(super) fn post(&mut self) {
        let Some(host) = self.some_host() else { return };
        let (number, at) = (self.letters + 1, host.number);
        let sender = self.sender();
        let size = match self.dice.below(40) {
            0 => 70_000 + self.dice.below(100_000),
            _ => self.dice.below(2000),
        };
        let text = letter(number, &sender, size as usize);
        let recipients = self.recipients();
        let (intake, unknown) = (host.engine.intake(), host.storage.unknown());
        self.letters = number;
        let release = self.release();
        self.ledger.send(number, digest(&text), release.map(|release| release.at));
        for (recipient, notify) in &recipients {
            let sender = Some(sender.as_str()).filter(|sender| !sender.is_empty());
            self.ledger.expect(number, sender, recipient, notify.unwrap_or_default());
        }
        let names: Vec<&str> = recipients.iter().map(|(name, _)| name.as_str()).collect();
        let when = release.map(|release| format!(", not before {}", release.at)).unwrap_or_default();
        trace!(self, "letter {number} from <{sender}> to {}{when}", names.join(" "));
        let progress = Arc::<Mutex<Progress>>::default();
        let task =
            tokio::spawn(deliver(intake, Draft { sender, recipients, text, release }, progress.clone()));
        self.posts.push(Post { number, host: at, task, progress, unknown, cut: false });
    }

    /// Some letters are to go later. While the clock is wrong by years nobody can say when.
    fn release(&self) -> Option<Release> {
        if self.leaps_back.is_some() || !self.dice.chance(150) {
            return None;
        }
        let held = self.dice.span(Duration::from_secs(1), self.plan.schedule.expire / 4);
        Some(Release { at: self.clock.now().after(held), held: Some(held.as_secs()) })
    }

    fn sender(&self) -> String {
        match self.dice.below(10) {
            0 => String::new(),
            1 | 2 => format!("x{}@far{}.example", self.dice.below(3), self.dice.below(self.plan.places)),
            _ => format!("s{}@here.example", self.dice.below(3)),
        }
    }

    fn recipients(&self) -> Vec<(String, Option<Notify>)> {
        let mut recipients: Vec<(String, Option<Notify>)> = Vec::new();
        for _ in 0..1 + self.dice.below(4) * self.dice.below(3) {
            let name = match self.dice.below(20) {
                0 => "team@here.example".into(),
                1 => "out@here.example".into(),
                2 => "list@here.example".into(),
                3 => "nobody@here.example".into(),
                4..10 => format!("p{}@here.example", self.dice.below(6)),
                _ => format!("u{}@far{}.example", self.dice.below(4), self.dice.below(self.plan.places)),
            };
            let notify = match self.dice.below(8) {
                0 => Some(Notify::NEVER),
                1 => Some(Notify { success: true, failure: true, delay: true }),
                2 => Some(Notify { success: false, failure: true, delay: false }),
                _ => None,
            };
            if recipients.iter().all(|(known, _)| *known != name) {
                recipients.push((name, notify));
            }
        }
        recipients
    }

    /// What became of the letters that were under way.
    pub(super) async fn answers(&mut self) -> Result<(), Violation> {
        let (ended, under_way): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.posts).into_iter().partition(|post| post.cut || post.task.is_finished());
        self.posts = under_way;
        for post in ended {
            self.answer(post).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, post: Post) -> Result<(), Violation> {
        let answer = if post.cut { None } else { post.task.await.ok() };
        let Progress { id, accepted } =
            std::mem::take(&mut *post.progress.lock().unwrap_or_else(PoisonError::into_inner));
        let number = post.number;
        let story = match id {
            Some(id) => self.bare.explain(id).await.ok().flatten(),
            None => None,
        };
        let host = self.hosts.iter().flatten().find(|host| host.number == post.host);
        let doubt = answer.is_none()
            || host.is_none_or(|host| host.life.is_over() || host.storage.unknown() > post.unknown);
        match (&answer, &story) {
            (Some(Ok(())), None) => {
                let what = format!("letter {number} was accepted as {id:?}, and is not there");
                return Err(Violation { rule: "I1 accepted means durable", what });
            }
            (Some(Err(reply)), Some(_)) if !doubt => {
                let what = format!("letter {number} was refused with {reply}, and is there as {id:?}");
                return Err(Violation { rule: "I2 nothing of what was refused", what });
            }
            _ => {}
        }
        match &answer {
            Some(Ok(())) => trace!(self, "letter {number} was accepted"),
            Some(Err(reply)) => trace!(self, "letter {number} was refused: {reply}"),
            None => trace!(self, "letter {number} got no answer, and is there: {}", story.is_some()),
        }
        match (id, story) {
            (Some(id), Some(story)) => {
                rules::whole_story(&story, &accepted)
                    .map_err(|what| Violation { rule: "I1 accepted means durable", what })?;
                self.ledger.accept(number, id, self.clock.elapsed(), &accepted);
            }
            _ => self.ledger.refuse(number),
        }
        Ok(())
    }
}

/// Goes through the door as an input channel does. Refused recipients are left out.
async fn deliver(intake: Intake, draft: Draft, progress: Arc<Mutex<Progress>>) -> Result<(), Reply> {
    let broken = |_| Reply::refuse(1, 3, "not an address");
    let mut session = intake.open(Connection::new(ChannelId::new("door"), None)).await?;
    let sender = format!("<{}>", draft.sender).parse().map_err(broken)?;
    let envelope = Envelope { release: draft.release, ..Envelope::new(sender) };
    let mut transaction = session.begin(envelope, 0).await?;
    let note =
        |act: &dyn Fn(&mut Progress)| act(&mut progress.lock().unwrap_or_else(PoisonError::into_inner));
    note(&|progress| progress.id = Some(transaction.id()));
    let mut refused = None;
    for (recipient, notify) in draft.recipients {
        let path = format!("<{recipient}>").parse().map_err(broken)?;
        match transaction.recipient(path, notify, None).await {
            Ok(()) => note(&|progress| {
                progress.accepted.insert(recipient.clone());
            }),
            Err(reply) => refused = Some(reply),
        }
    }
    if let (0, Some(reply)) = (transaction.recipients(), refused) {
        return Err(reply);
    }
    for piece in draft.text.chunks(30_000) {
        transaction.write(Bytes::copy_from_slice(piece)).await?;
    }
    transaction.commit().await.map(|_| ())
}
