//! Turns: which hop of which site gets the next worker. Memory knows hops and sites only by heads and counts, whatever the
//! length of the queue. Pure book-keeping.
//!
//! A hop with something to do stands in the turns of its site; a site with turns stands in the line of sites. Workers are
//! given out from the front of the line, one at a time, so that sites take turns, and in a site its hops, and in a hop its
//! lanes.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::Peer;
use super::hops::Plan;
use super::key::{GroupId, HopKey};
use super::lane::{Head, Lane, Lanes, room};
use super::pace::Paces;
use super::pause::Pauses;
use super::site::{Bar, SiteBook, SiteKey};
use super::submit::Queued;
use crate::seam::Timestamp;

/// The most hops in memory. What waits for further ones is found again when there is room.
pub(super) const MOST_HOPS: usize = 100_000;
/// Hops without work that are kept, with what was learned of their sites.
const IDLE_HOPS: usize = 4096;
/// Hops whose site is being asked for at a time.
pub(super) const SCOUTS: usize = 64;
/// When the site of a hop is asked for again.
const SITE_AGE: Duration = Duration::from_secs(300);
/// Below so many heads, lanes that are not in memory are looked for.
const FEW_HEADS: usize = 64;

/// One hop.
#[derive(Default)]
pub(super) struct Hop {
    pub(super) lanes: Lanes,
    /// The store may hold lanes that are not in memory; the walk through them goes on here.
    pub(super) more: bool,
    pub(super) cursor: Option<Lane>,
    /// Lanes were given up on the way, so that the walk has to begin anew when it comes to its end.
    pub(super) forgot: bool,
    pub(super) loading: bool,
    pub(super) in_flight: HashSet<GroupId>,
    pub(super) workers: usize,
    pub(super) links: usize,
    pub(super) idle: usize,
    pub(super) notify: Arc<Notify>,
    pub(super) site: Option<SiteKey>,
    pub(super) scouted: Timestamp,
    pub(super) scouting: bool,
    /// Its site is known, and so is that this node works for it.
    pub(super) cleared: bool,
    /// Another node works for it.
    pub(super) foreign: bool,
    pub(super) in_turn: bool,
    /// All its lanes are over the rates of their sources until then.
    pub(super) blocked: Option<Timestamp>,
}

impl Hop {
    pub(super) fn has_work(&self) -> bool {
        if self.foreign {
            return false;
        }
        (self.lanes.heads() > 0 && self.blocked.is_none()) || (self.more && !self.loading)
    }

    /// Whether a further worker would find something to do.
    pub(super) fn wants_worker(&self) -> bool {
        let free = self.workers.saturating_sub(self.in_flight.len());
        self.has_work() && self.lanes.heads() + usize::from(self.more) > free
    }

    /// What has to be read before the next head can be given out fairly; the reading begins with this.
    pub(super) fn plan(&mut self) -> Option<Plan> {
        if self.loading {
            return None;
        }
        if self.more && self.lanes.heads() < FEW_HEADS {
            self.forgot |= self.lanes.forget_starving();
            (self.loading, self.more) = (true, false);
            return Some(Plan::Walk(self.cursor.take()));
        }
        let starving: Vec<_> = self.lanes.starving().take(16).collect();
        if starving.is_empty() || (self.more && self.lanes.heads() > 0) {
            return None;
        }
        self.loading = true;
        Some(Plan::Lanes(starving))
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.has_work() && self.workers == 0 && self.in_flight.is_empty() && !self.scouting && !self.in_turn
    }
}

/// Who is woken by a timer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    Site(SiteKey),
    Hop(HopKey),
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) hops: HashMap<HopKey, Hop>,
    pub(super) sites: HashMap<SiteKey, SiteBook>,
    /// Sites that want workers.
    pub(super) line: VecDeque<SiteKey>,
    /// Sites that took as many workers as were left for others.
    pub(super) crowd: VecDeque<SiteKey>,
    pub(super) scouts: VecDeque<HopKey>,
    pub(super) scouting: usize,
    pub(super) timers: BTreeSet<(Timestamp, Wake)>,
    pub(super) workers: usize,
    /// Hops did not find room.
    pub(super) overflow: bool,
    pub(super) pauses: Pauses,
    pub(super) senders: Paces,
    pub(super) tenants: Paces,
}

impl Inner {
    /// The hop, made where it is new and there is room.
    pub(super) fn hop(&mut self, key: &HopKey) -> Option<&mut Hop> {
        if !self.hops.contains_key(key) {
            if self.hops.len() >= MOST_HOPS {
                self.overflow = true;
                return None;
            }
            self.hops.insert(key.clone(), Hop::default());
        }
        self.hops.get_mut(key)
    }

    /// A group is ready. Says whether the runner has to look.
    pub(super) fn push(&mut self, queued: Queued) -> bool {
        let Queued { hop: key, lane, at, size, .. } = queued;
        let room = room(self.hops.len());
        let Some(hop) = self.hop(&key) else { return false };
        if !hop.in_flight.contains(&at) {
            hop.more |= !hop.lanes.push(lane, Head { at, size }, room);
            hop.blocked = None;
        }
        self.rouse(&key)
    }

    /// Wakes an idle worker of the hop, or has one started. Says whether the runner has to look.
    pub(super) fn rouse(&mut self, key: &HopKey) -> bool {
        let Some(hop) = self.hops.get_mut(key) else { return false };
        if !hop.has_work() || self.pauses.covers(key) {
            return false;
        }
        if hop.idle > 0 {
            hop.notify.notify_one();
        }
        let Some(site) = hop.site.clone().filter(|_| hop.cleared) else { return self.scout(key) };
        if !hop.in_turn && hop.wants_worker() {
            hop.in_turn = true;
            if let Some(book) = self.sites.get_mut(&site) {
                book.turns.push_back(key.clone());
            }
        }
        self.line_up(&site)
    }

    pub(super) fn scout(&mut self, key: &HopKey) -> bool {
        let Some(hop) = self.hops.get_mut(key).filter(|hop| !hop.scouting) else { return false };
        hop.scouting = true;
        self.scouts.push_back(key.clone());
        true
    }

    /// Puts a site that has turns into the line, unless it has all workers it may have; whether it was not there yet.
    pub(super) fn line_up(&mut self, site: &SiteKey) -> bool {
        match self.sites.get_mut(site) {
            Some(book) if !book.lined_up && !book.turns.is_empty() && book.may_grow() => {
                book.lined_up = true;
                self.line.push_back(site.clone());
                true
            }
            _ => false,
        }
    }

    /// One worker for the site, if it may have one now.
    pub(super) fn grant(&mut self, key: &SiteKey, now: Timestamp, free: usize) -> Option<HopKey> {
        let site = self.sites.get_mut(key)?;
        site.lined_up = false;
        while let Some(front) = site.turns.front() {
            let hop = self.hops.get_mut(front);
            match hop {
                Some(hop) if hop.wants_worker() && !self.pauses.covers(front) => break,
                Some(hop) => hop.in_turn = false,
                None => {}
            }
            site.turns.pop_front();
        }
        site.turns.front()?;
        let rated = site.held_by_rate(now).map(|(_, until)| until);
        let wait = match site.bar(now, free) {
            None => rated,
            Some(Bar::Links(most)) => {
                if most < site.load().1 {
                    site.lined_up = true;
                    self.crowd.push_back(key.clone());
                }
                return None;
            }
            Some(_) => return self.wait(key, now),
        };
        if let Some(until) = wait {
            self.set_timer(key, until);
            return None;
        }
        self.give(key, now)
    }

    /// The site is woken when what bars it is over; if a worker bars it, by that worker's end.
    pub(super) fn wait(&mut self, key: &SiteKey, now: Timestamp) -> Option<HopKey> {
        if let Some(until) = self.sites.get(key)?.wakes_at(now) {
            self.set_timer(key, until);
        }
        None
    }

    pub(super) fn give(&mut self, key: &SiteKey, now: Timestamp) -> Option<HopKey> {
        let site = self.sites.get_mut(key)?;
        let chosen = site.turns.pop_front()?;
        let hop = self.hops.get_mut(&chosen)?;
        hop.workers += 1;
        site.workers += 1;
        self.workers += 1;
        hop.in_turn = hop.wants_worker();
        if hop.in_turn {
            site.turns.push_back(chosen.clone());
        }
        let stale = now.since(hop.scouted) > SITE_AGE;
        if stale {
            self.scout(&chosen);
        }
        self.line_up(key);
        Some(chosen)
    }

    /// Makes the hop lead to the site.
    pub(super) fn lead(&mut self, key: &HopKey, site: SiteKey, peer: &Peer) {
        let Some(hop) = self.hops.get_mut(key) else { return };
        let moved = hop.site.as_ref() != Some(&site);
        let old = hop.site.replace(site.clone()).filter(|_| moved);
        let (workers, links) = (hop.workers, hop.links);
        if let Some(old) = old {
            hop.in_turn = false;
            if let Some(book) = self.sites.get_mut(&old) {
                book.part(workers, links);
                book.turns.retain(|other| other != key);
            }
            self.drop_site(&old);
        }
        let book = self.sites.entry(site).or_insert_with(|| SiteBook::new(peer));
        match moved {
            true => book.join(peer, workers, links),
            false => book.follow(peer),
        }
    }

    pub(super) fn drop_idle(&mut self, key: &HopKey) {
        if self.hops.len() <= IDLE_HOPS || !self.hops.get(key).is_some_and(Hop::is_idle) {
            return;
        }
        if let Some(site) = self.hops.remove(key).and_then(|hop| hop.site) {
            if let Some(book) = self.sites.get_mut(&site) {
                book.part(0, 0);
            }
            self.drop_site(&site);
        }
    }

    pub(super) fn drop_site(&mut self, key: &SiteKey) {
        let Some(book) = self.sites.get(key).filter(|book| book.is_empty()) else { return };
        if let Some(timer) = book.timer {
            self.timers.remove(&(timer, Wake::Site(key.clone())));
        }
        self.sites.remove(key);
    }

    pub(super) fn set_timer(&mut self, key: &SiteKey, at: Timestamp) {
        let Some(site) = self.sites.get_mut(key) else { return };
        if site.timer.is_some_and(|old| old <= at) {
            return;
        }
        if let Some(old) = site.timer.replace(at) {
            self.timers.remove(&(old, Wake::Site(key.clone())));
        }
        self.timers.insert((at, Wake::Site(key.clone())));
    }

    /// Sites and hops whose time has come want workers again.
    pub(super) fn ring(&mut self, now: Timestamp) {
        while let Some((at, wake)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, wake.clone()));
            match wake {
                Wake::Site(key) => {
                    if let Some(site) = self.sites.get_mut(&key) {
                        site.timer = None;
                    }
                    self.line_up(&key);
                }
                Wake::Hop(key) => {
                    if let Some(hop) = self.hops.get_mut(&key) {
                        hop.blocked = None;
                    }
                    self.rouse(&key);
                }
            }
        }
    }
}
