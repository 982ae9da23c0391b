//! What happens in a step, by chance: letters, the weather far away, faults, crashes, the operator, the wall clock.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{World, trace};
use crate::message::Domain;
use crate::queue::Filter;
use crate::seam::Clock;
use crate::sim::Fault;
use crate::sim::manner::{Manner, Mood};
use crate::sim::report::Violation;

impl World {
    /// One step.
    pub(super) async fn act(&mut self) -> Result<(), Violation> {
        for _ in 0..self.dice.below(self.plan.letters + 1) {
            self.post();
        }
        match self.dice.below(16) {
            0..5 if self.plan.weather => self.weather(),
            5 if self.plan.weather => self.people(),
            6..9 if self.plan.faults => self.fault(),
            9 if self.plan.crashes => self.crash().await?,
            10 if self.plan.crashes => self.stop(Duration::from_secs(self.dice.below(30))).await?,
            11 if self.plan.operator => self.retry().await,
            12 if self.plan.operator && self.dice.chance(400) => self.purge().await,
            13 if self.plan.operator => self.change_settings(),
            14 if !self.plan.jumps.is_zero() => self.jump(),
            _ => {}
        }
        Ok(())
    }

    /// A place changes its manner.
    fn weather(&mut self) {
        let place = format!("far{}.example", self.dice.below(self.plan.places));
        let manner = Manner::by_chance(&self.dice, self.plan.patience);
        trace!(self, "{place} is {:?} from now on", manner.mood);
        if manner.mood == Mood::Closed {
            self.ledger.closed.insert(place.clone());
        }
        let patient = matches!(manner.mood, Mood::Tarpit(_) | Mood::Down | Mood::Silent(_));
        let before = self.manners.insert(place.clone(), manner.clone());
        if patient || before.is_some_and(|before| before.mood != Mood::Well) {
            self.disturb();
        }
        self.peers.set_manner(&place, manner);
    }

    /// Mailboxes and the directory change their manners.
    fn people(&mut self) {
        let permille =
            |likely: u64, most: u64| if self.dice.chance(likely) { self.dice.below(most) } else { 0 };
        let (later, never, strict) = (permille(500, 500), permille(300, 200), permille(500, 1000));
        let failing = permille(300, 600);
        self.boxes.later.store(later, Ordering::SeqCst);
        self.boxes.never.store(never, Ordering::SeqCst);
        self.boxes.strict.store(strict, Ordering::SeqCst);
        self.directory.set_failing(failing);
        self.ledger.boxes_refuse |= never > 0;
        self.disturb();
        trace!(
            self,
            "mailboxes: {later} later, {never} never, {strict} strict; directory: {failing} failing"
        );
    }

    fn fault(&mut self) {
        let Some(host) = self.some_host() else { return };
        let after = self.dice.below(30);
        let (count, fault) = match self.dice.below(if self.plan.crashes { 8 } else { 6 }) {
            0 => (1 + self.dice.below(40), Fault::NoSpace),
            1 => (1 + self.dice.below(20), Fault::Passing),
            2 | 3 => (1 + self.dice.below(3), Fault::Unknown),
            4 | 5 => {
                (1 + self.dice.below(3), Fault::Slow(self.dice.span(Duration::ZERO, Duration::from_secs(20))))
            }
            6 => (1, Fault::Death),
            _ => (3, Fault::LateDeath),
        };
        let number = host.number;
        host.storage.plan(after, count, fault);
        self.disturb();
        trace!(self, "storage of engine {number}: {fault:?} {count} times after {after} operations");
    }

    /// All of the queue, or what concerns one place or one sender.
    fn some_filter(&self) -> Filter {
        let mut filter = Filter::default();
        match self.dice.below(3) {
            0 => {
                let place = format!("far{}.example", self.dice.below(self.plan.places));
                filter.domain = place.parse::<Domain>().ok();
            }
            1 => filter.sender = Some(format!("s{}@here.example", self.dice.below(3))),
            _ => {}
        }
        filter
    }

    async fn retry(&mut self) {
        let filter = self.some_filter();
        let Some(host) = self.some_host() else { return };
        let queue = host.engine.queue();
        let done = queue.retry(&filter).await;
        self.disturb();
        match done {
            Ok(count) => trace!(self, "the operator asks for {count} groups"),
            Err(error) => trace!(self, "the operator cannot ask: {error}"),
        }
    }

    async fn purge(&mut self) {
        let filter = self.some_filter();
        let Some(host) = self.some_host() else { return };
        let queue = host.engine.queue();
        let (meant, began) =
            (self.bare.list(&filter, usize::MAX).await.unwrap_or_default(), self.clock.elapsed());
        self.ledger.purged(&meant);
        let done = queue.purge(&filter).await;
        let meant = self.bare.list(&filter, usize::MAX).await.unwrap_or_default();
        self.ledger.purged(&meant);
        if self.clock.elapsed() > began {
            self.ledger.perhaps_purged(); // what came in between may have been meant too
        }
        match done {
            Ok(count) => trace!(self, "the operator removes {count} groups"),
            Err(error) => trace!(self, "the operator cannot remove: {error}"),
        }
    }

    fn change_settings(&mut self) {
        let peer = &mut self.settings.peers.default;
        peer.concurrency = 1 + self.dice.below(4) as usize;
        peer.link_idle = Duration::from_millis(self.dice.below(5000));
        peer.messages_per_link = *self.dice.pick(&[1, 3, 1000]);
        self.bounds.0 = self.bounds.0.max(peer.concurrency);
        self.settings.concurrency = *self.dice.pick(&[3, 10, 200]);
        self.bounds.1 = self.bounds.1.max(self.settings.concurrency);
        self.disturb();
        let (per_hop, in_all) = (self.settings.peers.default.concurrency, self.settings.concurrency);
        trace!(self, "settings: {per_hop} links to a hop, {in_all} in all");
        self.hosts.iter().flatten().for_each(|host| host.engine.replace(self.settings.clone()));
    }

    /// Somebody sets the wall clock.
    fn jump(&mut self) {
        let far = self.plan.jumps.as_millis() as u64;
        let millis = self.dice.below(2 * far) as i64 - far as i64;
        self.ledger.leapt += Duration::from_millis(millis.max(0) as u64);
        self.clock.jump(millis);
        self.disturb();
        self.disturbed += match millis {
            ..0 => Duration::from_millis(millis.unsigned_abs()), // until then, what waits waits longer
            0..600_000 => Duration::ZERO,
            _ => Duration::from_secs(3600), // such a clock is doubted for an hour
        };
        trace!(self, "the wall clock is set by {millis} ms");
    }
}
