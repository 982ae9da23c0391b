//! A site: the place where next hops lead to. Hops that lead to the same hosts share its limits. Pure book-keeping.
//!
//! A site that cannot be reached is *down*: nothing is tried there until its next probe, which is one message over one
//! link. The messages behind it stay as they are, so that a dead site costs nothing for each of them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::backoff::Schedule;
use super::key::HopKey;
use super::pace::Pace;
use super::window::Window;
use super::{Peer, Rate};
use crate::deliver::Site;
use crate::message::{ChannelId, Reply};
use crate::seam::{Random, Timestamp};

/// A site of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SiteKey {
    pub(crate) channel: ChannelId,
    pub(crate) site: Site,
}

/// That a site cannot be reached; kept in the store too, so that a restart does not forget it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Down {
    pub(crate) since: Timestamp,
    /// Probes so far.
    pub(crate) probes: u32,
    pub(crate) next: Timestamp,
    pub(crate) reply: Reply,
}

/// So many links or messages in a row without any success make a site count as down.
const STRIKES: u32 = 5;

/// What a failed link means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refused {
    /// The site is down since now, or still: the message was its probe and is deferred.
    Probe(Down),
    /// Others found out before, or others get through: the message waits on as if it had not been tried.
    Known,
}

/// What is known of a site.
#[derive(Debug)]
pub(crate) struct SiteBook {
    window: Window,
    rate: Option<Rate>,
    pace: Pace,
    /// Links that are open.
    links: usize,
    /// Workers, with and without a link.
    pub(crate) workers: usize,
    down: Option<Down>,
    /// No new link before.
    rest: Timestamp,
    strikes: u32,
    /// Hops with something to do, in the order of their turns.
    pub(crate) turns: VecDeque<HopKey>,
    /// It stands in the line of sites that want workers.
    pub(crate) lined_up: bool,
    /// What it is woken for.
    pub(crate) timer: Option<Timestamp>,
    /// Hops in memory that lead here.
    pub(crate) hops: usize,
}

/// Why a site takes no further worker, or no message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bar {
    Down(Down),
    /// After trouble, until then.
    Rest(Timestamp),
    /// All its links are taken: so many.
    Links(usize),
    /// Over its rate, until then.
    Rate(Rate, Timestamp),
}

impl SiteBook {
    pub(crate) fn new(peer: &Peer) -> Self {
        Self {
            window: Window::new(peer.initial_concurrency, peer.concurrency),
            rate: peer.rate,
            pace: Pace::default(),
            links: 0,
            workers: 0,
            down: None,
            rest: Timestamp::default(),
            strikes: 0,
            turns: VecDeque::new(),
            lined_up: false,
            timer: None,
            hops: 0,
        }
    }

    /// A hop with these rules leads here, with the workers and links it has.
    pub(crate) fn join(&mut self, peer: &Peer, workers: usize, links: usize) {
        self.hops += 1;
        self.workers += workers;
        self.links += links;
        self.follow(peer);
    }

    /// A hop with these rules leads elsewhere, or is forgotten.
    pub(crate) fn part(&mut self, workers: usize, links: usize) {
        self.hops = self.hops.saturating_sub(1);
        self.workers = self.workers.saturating_sub(workers);
        self.links = self.links.saturating_sub(links);
    }

    /// The rules of a hop that leads here, as they are now: of several hops the strictest count.
    pub(crate) fn follow(&mut self, peer: &Peer) {
        let alone = self.hops <= 1;
        let slower = |a: &Rate, b: &Rate| {
            a.per.as_secs_f64() * f64::from(b.count) > b.per.as_secs_f64() * f64::from(a.count)
        };
        self.window.bound(if alone { peer.concurrency } else { self.window.most().min(peer.concurrency) });
        self.rate = match (self.rate.filter(|_| !alone), peer.rate) {
            (Some(own), Some(new)) if slower(&new, &own) => Some(new),
            (own, new) => own.or(new),
        };
    }

    /// The rules of all hops are told anew by [`Self::follow`].
    pub(crate) fn forget_rules(&mut self) {
        self.window.bound(usize::MAX);
        self.rate = None;
    }

    /// Nothing refers to it, and nothing is worth remembering.
    pub(crate) fn is_empty(&self) -> bool {
        self.hops == 0 && self.workers == 0 && self.down.is_none() && !self.lined_up
    }

    /// What was known when the process ended.
    pub(crate) fn was_down(&mut self, down: Down) {
        self.down = Some(down);
    }

    pub(crate) fn down(&self) -> Option<&Down> {
        self.down.as_ref()
    }

    /// What keeps a further worker away, with `free` workers left for all sites. A site takes no more than is left for the
    /// others, so that however many sites are slow, a new one finds a place.
    pub(crate) fn bar(&self, now: Timestamp, free: usize) -> Option<Bar> {
        if let Some(down) = &self.down {
            return (now < down.next || self.workers > 0).then(|| Bar::Down(down.clone()));
        }
        if now < self.rest {
            return Some(Bar::Rest(self.rest));
        }
        let most = self.window.links().min(free.max(1));
        (self.workers >= most).then_some(Bar::Links(most))
    }

    /// All that keeps a further worker or message away, for explanations.
    pub(crate) fn bars(&self, now: Timestamp, free: usize) -> Vec<Bar> {
        let rate = self.held_by_rate(now).map(|(rate, until)| Bar::Rate(rate, until));
        self.bar(now, free).into_iter().chain(rate).collect()
    }

    /// Whether it may have more workers than it has: now, or when its time comes.
    pub(crate) fn may_grow(&self) -> bool {
        match self.down {
            Some(_) => self.workers == 0,
            None => self.workers < self.window.links(),
        }
    }

    /// Whether a worker has to go: there are more than the site may have now.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        let most = match &self.down {
            Some(down) => usize::from(now >= down.next),
            None => self.window.links(),
        };
        self.workers > most
    }

    /// Counts a message; or says when the rate lets it go.
    pub(crate) fn step(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.rate.map_or(Ok(()), |rate| self.pace.step(&rate, now))
    }

    /// The message counted last did not go.
    pub(crate) fn undo_step(&mut self) {
        if let Some(rate) = self.rate {
            self.pace.undo(&rate);
        }
    }

    /// When the rate lets the next message go, if that is not now.
    pub(crate) fn held_by_rate(&self, now: Timestamp) -> Option<(Rate, Timestamp)> {
        let rate = self.rate?;
        self.pace.clone().step(&rate, now).err().map(|until| (rate, until))
    }

    /// A link is open; `true` if the site had been down.
    pub(crate) fn opened(&mut self) -> bool {
        self.links += 1;
        if self.down.take().is_none() {
            return false;
        }
        self.strikes = 0;
        true
    }

    /// A link is gone.
    pub(crate) fn closed(&mut self) {
        self.links = self.links.saturating_sub(1);
    }

    /// A link could not be opened.
    pub(crate) fn refused(
        &mut self,
        reply: &Reply,
        now: Timestamp,
        schedule: &Schedule,
        random: &dyn Random,
    ) -> Refused {
        if self.links > 0 {
            self.window.trouble();
            self.rest = now.after(std::time::Duration::from_secs(1));
            return Refused::Known;
        }
        match &self.down {
            Some(down) if now < down.next => Refused::Known,
            _ => Refused::Probe(self.fell(reply, now, schedule, random)),
        }
    }

    fn fell(&mut self, reply: &Reply, now: Timestamp, schedule: &Schedule, random: &dyn Random) -> Down {
        let (since, probes) = self.down.as_ref().map_or((now, 1), |down| (down.since, down.probes + 1));
        let next = schedule.next(probes, now, Timestamp::from_millis(u64::MAX), random);
        self.window.fall();
        let down = Down { since, probes, next, reply: reply.clone() };
        self.down = Some(down.clone());
        down
    }

    /// A message went through, or was refused for what it is.
    pub(crate) fn success(&mut self) {
        self.strikes = 0;
        self.window.success(self.workers);
    }

    /// A message met trouble of the site: a lost link, or a plea for rest. Says whether the site counts as down now.
    pub(crate) fn trouble(
        &mut self,
        reply: &Reply,
        now: Timestamp,
        schedule: &Schedule,
        random: &dyn Random,
    ) -> Option<Down> {
        self.window.trouble();
        self.strikes += 1;
        if self.strikes < STRIKES || self.down.is_some() {
            return None;
        }
        Some(self.fell(reply, now, schedule, random))
    }

    /// An operator, or the site itself, wants a probe now.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        self.rest = Timestamp::default();
        if let Some(down) = &mut self.down {
            down.next = down.next.min(now);
        }
    }

    /// When to look at it again, if something keeps it.
    pub(crate) fn wakes_at(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.down {
            Some(down) => Some(down.next).filter(|next| *next > now),
            None => Some(self.rest).filter(|rest| *rest > now),
        }
    }

    /// Links open now, and how many there may be.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.links, self.window.links())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::SeededRandom;
    use std::time::Duration;

    fn refused(site: &mut SiteBook, secs: u64) -> Refused {
        let now = Timestamp::from_millis(secs * 1000);
        site.refused(&Reply::defer(4, 1, "no"), now, &Schedule::default(), &SeededRandom::new(1))
    }

    #[test]
    fn the_first_refusal_brings_it_down_and_others_know() {
        let mut site = SiteBook::new(&Peer::default());
        site.workers = 5;
        let Refused::Probe(down) = refused(&mut site, 10) else { panic!("the first is the probe") };
        assert_eq!((down.probes, down.since.as_secs()), (1, 10));
        assert_eq!(refused(&mut site, 11), Refused::Known);
        assert!(site.is_over(Timestamp::from_millis(11_000)), "all have to go until the next probe");
    }

    #[test]
    fn a_probe_is_one_worker_and_each_waits_longer() {
        let mut site = SiteBook::new(&Peer::default());
        let Refused::Probe(first) = refused(&mut site, 0) else { panic!() };
        assert!(matches!(site.bar(Timestamp::from_millis(1000), 100), Some(Bar::Down(_))));
        assert_eq!(site.bar(first.next, 100), None);
        site.workers = 1;
        assert!(matches!(site.bar(first.next, 100), Some(Bar::Down(_))), "a second one is too many");
        let Refused::Probe(second) = refused(&mut site, first.next.as_secs() + 1) else { panic!() };
        assert!(second.next.since(first.next) > first.next.since(first.since));
        assert_eq!((second.probes, second.since), (2, first.since));
        site.workers = 0;
        site.wake(Timestamp::from_millis(90_000_000));
        assert_eq!(site.bar(Timestamp::from_millis(90_000_000), 100), None);
        assert!(site.opened(), "it is up again");
        assert!(!site.opened());
    }

    #[test]
    fn a_refusal_beside_open_links_is_a_limit_and_no_fall() {
        let mut site = SiteBook::new(&Peer::default());
        site.opened();
        assert_eq!(refused(&mut site, 5), Refused::Known);
        assert!(site.down().is_none());
        assert!(matches!(site.bar(Timestamp::from_millis(5500), 100), Some(Bar::Rest(_))));
        assert_eq!(site.bar(Timestamp::from_millis(6000), 100), None);
    }

    #[test]
    fn links_that_break_again_and_again_bring_it_down() {
        let mut site = SiteBook::new(&Peer::default());
        site.opened();
        let mut trouble = |n: u64| {
            let now = Timestamp::from_millis(n);
            site.trouble(&Reply::defer(4, 2, "lost"), now, &Schedule::default(), &SeededRandom::new(1))
        };
        assert!((1..5).all(|n| trouble(n).is_none()));
        assert!(trouble(5).is_some());
    }

    #[test]
    fn slow_sites_leave_room_for_others() {
        let mut site = SiteBook::new(&Peer::default());
        (0..100).for_each(|_| site.success());
        site.workers = 20;
        (0..100).for_each(|_| site.success());
        site.workers = 8;
        assert_eq!(site.bar(Timestamp::default(), 100), None);
        assert_eq!(site.bar(Timestamp::default(), 8), Some(Bar::Links(8)));
        site.workers = 0;
        assert_eq!(site.bar(Timestamp::default(), 1), None, "one is always allowed");
    }

    #[test]
    fn the_strictest_of_the_hops_that_lead_here_counts() {
        let slow = Peer { rate: Some(Rate { count: 1, per: Duration::from_secs(60) }), ..Peer::default() };
        let fast = Peer { rate: Some(Rate { count: 100, per: Duration::from_secs(60) }), ..Peer::default() };
        let mut site = SiteBook::new(&fast);
        site.join(&fast, 0, 0);
        site.join(&slow, 0, 0);
        site.join(&fast, 0, 0);
        assert!(site.step(Timestamp::default()).is_ok() && site.step(Timestamp::default()).is_err());
    }
}
