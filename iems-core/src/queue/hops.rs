//! The hops and sites as memory knows them: only heads and counts, whatever the length of the queue.
//! Pure book-keeping under one lock; nothing here waits.
//!
//! A hop with something to do stands in the turns of its site; a site with turns stands in the line of sites. Workers are
//! given out from the front of the line, one at a time, so that sites take turns, and in a site its hops, and in a hop its
//! lanes.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::key::{GroupId, HopKey};
use super::lane::{Head, Lane, Lanes, room};
use super::pace::Paces;
use super::pause::Pauses;
use super::site::{Bar, Down, SiteBook, SiteKey};
use super::submit::Queued;
use super::{Peer, Rate, State};
use crate::seam::{Clock, Random, Timestamp};

/// The most hops in memory. What waits for further ones is found again when there is room.
const MOST_HOPS: usize = 100_000;
/// Hops without work that are kept, with what was learned of their sites.
const IDLE_HOPS: usize = 4096;
/// Hops whose site is being asked for at a time.
const SCOUTS: usize = 64;
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
    cursor: Option<Lane>,
    /// Lanes were given up on the way, so that the walk has to begin anew when it comes to its end.
    forgot: bool,
    loading: bool,
    pub(super) in_flight: HashSet<GroupId>,
    pub(super) workers: usize,
    pub(super) links: usize,
    idle: usize,
    notify: Arc<Notify>,
    pub(super) site: Option<SiteKey>,
    scouted: Timestamp,
    scouting: bool,
    /// Its site is known, and so is that this node works for it.
    cleared: bool,
    /// Another node works for it.
    foreign: bool,
    in_turn: bool,
    /// All its lanes are over the rates of their sources until then.
    pub(super) blocked: Option<Timestamp>,
}

impl Hop {
    fn has_work(&self) -> bool {
        if self.foreign {
            return false;
        }
        (self.lanes.heads() > 0 && self.blocked.is_none()) || (self.more && !self.loading)
    }

    /// Whether a further worker would find something to do.
    fn wants_worker(&self) -> bool {
        let free = self.workers.saturating_sub(self.in_flight.len());
        self.has_work() && self.lanes.heads() + usize::from(self.more) > free
    }

    /// What has to be read before the next head can be given out fairly; the reading begins with this.
    fn plan(&mut self) -> Option<Plan> {
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

    fn is_idle(&self) -> bool {
        !self.has_work() && self.workers == 0 && self.in_flight.is_empty() && !self.scouting && !self.in_turn
    }
}

/// What the runner does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Start a worker for this hop; it counts from now on.
    Work(HopKey),
    /// Find out which site this hop leads to, and tell [`Runner::sited`].
    Scout(HopKey),
}

/// What a worker does next.
pub(super) enum Take {
    /// Attempt this group; it is marked as in flight.
    Attempt(Lane, Head),
    /// Load from the store, then ask again.
    Load(Plan),
    /// Nothing is ready: wait for this, or go. The worker counts as idle until it calls [`Runner::busy`].
    Nothing(Arc<Notify>),
    /// Go: the hop or its site must not have this worker now.
    Leave,
}

/// What to read of a hop.
#[derive(Debug)]
pub(super) enum Plan {
    /// More of these lanes, from there on.
    Lanes(Vec<(Lane, Option<GroupId>)>),
    /// Lanes that are not in memory, behind this one.
    Walk(Option<Lane>),
}

/// What was read of a hop.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Lanes, their first heads, and where the store goes on with them, if it does.
    pub(super) lanes: Vec<(Lane, VecDeque<Head>, Option<GroupId>)>,
    /// The lane behind which a walk stopped; `None` if it came to the end.
    pub(super) cursor: Option<Lane>,
}

/// Who is woken by a timer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Site(SiteKey),
    Hop(HopKey),
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) hops: HashMap<HopKey, Hop>,
    pub(super) sites: HashMap<SiteKey, SiteBook>,
    /// Sites that want workers.
    line: VecDeque<SiteKey>,
    /// Sites that took as many workers as were left for others.
    crowd: VecDeque<SiteKey>,
    scouts: VecDeque<HopKey>,
    scouting: usize,
    timers: BTreeSet<(Timestamp, Wake)>,
    pub(super) workers: usize,
    /// Hops did not find room.
    overflow: bool,
    pub(super) pauses: Pauses,
    pub(super) senders: Paces,
    pub(super) tenants: Paces,
}

/// The hops, and the bells of the tasks that start workers and watch the time.
pub(crate) struct Runner {
    inner: Mutex<Inner>,
    pub(super) bell: Notify,
    /// An idle worker is to leave, as others wait for its place.
    pub(super) make_room: Notify,
    /// Something is deferred, or has its end, earlier than the alarm knew.
    pub(super) alarm: super::alarm::Alarm,
    clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    running: AtomicBool,
}

impl Runner {
    pub(crate) fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            inner: Mutex::default(),
            bell: Notify::new(),
            make_room: Notify::new(),
            alarm: Default::default(),
            clock,
            random,
            running: AtomicBool::new(false),
        }
    }

    /// Somebody starts what is ready, until `shutdown`.
    pub(super) fn runs(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// These groups were committed.
    pub(crate) fn queued(&self, groups: Vec<Queued>) {
        if groups.is_empty() {
            return;
        }
        let mut inner = self.lock();
        let mut ring = false;
        for queued in groups {
            self.alarm.expect(queued.deadline);
            match queued.state {
                State::Waiting => ring |= inner.push(queued),
                State::Deferred => self.alarm.expect(queued.due),
                State::Held => {}
            }
        }
        drop(inner);
        if ring {
            self.bell.notify_one();
        }
    }

    /// A hop may have something ready in the store.
    pub(super) fn look_at(&self, key: &HopKey) {
        let mut inner = self.lock();
        if let Some(hop) = inner.hop(key) {
            (hop.more, hop.cursor, hop.foreign) = (true, None, false);
            inner.rouse(key);
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// A hop is to be tried now: its site is probed if it is down, rested or not.
    pub(crate) fn wake(&self, key: &HopKey) {
        let now = self.now();
        let mut inner = self.lock();
        let site = inner.hops.get(key).and_then(|hop| hop.site.clone());
        if let Some(site) = site {
            if let Some(book) = inner.sites.get_mut(&site) {
                book.wake(now);
            }
            inner.line_up(&site);
        }
        drop(inner);
        self.look_at(key);
    }

    /// What is to be started now, with at most `in_all` workers.
    pub(super) fn start(&self, in_all: usize) -> Vec<Start> {
        let (now, in_all) = (self.now(), in_all.max(1));
        let mut inner = self.lock();
        inner.ring(now);
        let mut starting = Vec::new();
        while inner.scouting < SCOUTS
            && let Some(key) = inner.scouts.pop_front()
        {
            inner.scouting += 1;
            starting.push(Start::Scout(key));
        }
        while inner.workers < in_all
            && let Some(site) = inner.line.pop_front()
        {
            let free = in_all - inner.workers;
            starting.extend(inner.grant(&site, now, free).map(Start::Work));
        }
        if inner.workers >= in_all && !inner.line.is_empty() {
            self.make_room.notify_one();
        }
        starting
    }

    /// When to call [`Runner::start`] again, if nothing happens before.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        self.lock().timers.first().map(|(at, _)| *at)
    }

    /// A hop leads to this site, under these rules.
    pub(super) fn sited(&self, key: &HopKey, site: SiteKey, peer: &Peer) {
        let now = self.now();
        let mut inner = self.lock();
        inner.scouting = inner.scouting.saturating_sub(1);
        if let Some(hop) = inner.hops.get_mut(key) {
            (hop.scouting, hop.scouted, hop.cleared, hop.foreign) = (false, now, true, false);
            inner.lead(key, site, peer);
            inner.rouse(key);
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// Another node works for the hop: what memory knows of it is given up. `asked`: this comes from a scout.
    pub(super) fn foreign(&self, key: &HopKey, asked: bool) {
        let mut inner = self.lock();
        if asked {
            inner.scouting = inner.scouting.saturating_sub(1);
        }
        if let Some(hop) = inner.hops.get_mut(key) {
            hop.scouting &= !asked;
            (hop.cleared, hop.foreign, hop.more, hop.lanes) = (false, true, true, Lanes::default());
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// What a worker of a hop does next.
    pub(super) fn take(&self, key: &HopKey) -> Take {
        let now = self.now();
        let mut guard = self.lock();
        let inner = &mut *guard;
        if inner.pauses.covers(key) {
            return Take::Leave;
        }
        let Some(hop) = inner.hops.get_mut(key) else { return Take::Leave };
        let Some(site) = hop.site.as_ref().and_then(|site| inner.sites.get_mut(site)) else {
            return Take::Leave;
        };
        if site.is_over(now) {
            return Take::Leave;
        }
        if let Some(plan) = hop.plan() {
            return Take::Load(plan);
        }
        if site.held_by_rate(now).is_some() {
            return Take::Leave; // the site's timer is set when the worker has left
        }
        while let Some((lane, head)) = hop.lanes.pop(now) {
            if hop.in_flight.insert(head.at) {
                let _ = site.step(now);
                return Take::Attempt(lane, head);
            }
        }
        hop.blocked = hop.lanes.unblocked_at().filter(|until| *until > now);
        hop.idle += 1;
        let bell = hop.notify.clone();
        if let Some(until) = hop.blocked {
            inner.timers.insert((until, Wake::Hop(key.clone())));
        }
        Take::Nothing(bell)
    }

    /// A worker that was idle goes on.
    pub(super) fn busy(&self, key: &HopKey) {
        if let Some(hop) = self.lock().hops.get_mut(key) {
            hop.idle = hop.idle.saturating_sub(1);
        }
    }

    /// A part of the hop was read.
    pub(super) fn loaded(&self, key: &HopKey, loaded: Loaded) {
        let mut inner = self.lock();
        let Some(hop) = inner.hops.get_mut(key) else { return };
        hop.loading = false;
        for (lane, mut heads, next) in loaded.lanes {
            heads.retain(|head| !hop.in_flight.contains(&head.at));
            hop.lanes.refill(lane, heads, next);
        }
        hop.more |= loaded.cursor.is_some() || std::mem::take(&mut hop.forgot);
        hop.cursor = loaded.cursor;
        inner.rouse(key);
        drop(inner);
        self.bell.notify_one();
    }

    /// How many groups of a hop are being attempted: a load has to read beyond them.
    pub(super) fn in_flight(&self, key: &HopKey) -> usize {
        self.lock().hops.get(key).map_or(0, |hop| hop.in_flight.len())
    }

    /// The attempt of a group ended, one way or another.
    pub(super) fn landed(&self, key: &HopKey, at: GroupId) {
        let mut inner = self.lock();
        if let Some(hop) = inner.hops.get_mut(key) {
            hop.in_flight.remove(&at);
        }
    }

    /// A group was not attempted after all: it goes back to the front of its lane, which waits until then.
    pub(super) fn put_back(&self, key: &HopKey, lane: Lane, head: Head, until: Timestamp) {
        let mut inner = self.lock();
        let Some(hop) = inner.hops.get_mut(key) else { return };
        hop.in_flight.remove(&head.at);
        hop.lanes.put_back(lane, head, until);
        hop.blocked = None;
        let site = hop.site.clone();
        if let Some(book) = site.and_then(|site| inner.sites.get_mut(&site)) {
            book.undo_step();
        }
    }

    /// Keeps attempts away from a group until [`Runner::disclaim`]; `false` if one is under way.
    pub(super) fn claim(&self, key: &HopKey, at: GroupId) -> bool {
        self.lock().hop(key).is_none_or(|hop| hop.in_flight.insert(at))
    }

    /// Attempts may begin with the group again, if it is still there.
    pub(super) fn disclaim(&self, key: &HopKey, at: GroupId) {
        let mut inner = self.lock();
        if let Some(hop) = inner.hops.get_mut(key) {
            hop.in_flight.remove(&at);
            (hop.more, hop.cursor) = (true, None); // its head may have been passed over meanwhile
            inner.rouse(key);
            inner.drop_idle(key);
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// Whether a group is being attempted.
    pub(super) fn is_in_flight(&self, key: &HopKey, at: GroupId) -> bool {
        self.lock().hops.get(key).is_some_and(|hop| hop.in_flight.contains(&at))
    }

    /// Whether others wait for this worker's place.
    pub(super) fn is_crowded(&self, key: &HopKey, in_all: usize) -> bool {
        let inner = self.lock();
        let site =
            inner.hops.get(key).and_then(|hop| hop.site.as_ref()).and_then(|site| inner.sites.get(site));
        let others = site.is_some_and(|site| !site.turns.is_empty() && site.workers >= site.load().1);
        others || (inner.workers >= in_all && !(inner.line.is_empty() && inner.crowd.is_empty()))
    }

    /// Does something with the site of a hop, and looks whether it wants workers now.
    pub(super) fn at_site<T>(
        &self,
        key: &HopKey,
        act: impl FnOnce(&mut SiteBook, Timestamp) -> T,
    ) -> Option<T> {
        let now = self.now();
        let mut inner = self.lock();
        let site = inner.hops.get(key)?.site.clone()?;
        let done = act(inner.sites.get_mut(&site)?, now);
        if inner.line_up(&site) {
            self.bell.notify_one();
        }
        Some(done)
    }

    /// The site of a hop.
    pub(super) fn site_of(&self, key: &HopKey) -> Option<SiteKey> {
        self.lock().hops.get(key)?.site.clone()
    }

    /// A link of the hop is open; whether its site had been down.
    pub(super) fn link_opened(&self, key: &HopKey) -> bool {
        if let Some(hop) = self.lock().hops.get_mut(key) {
            hop.links += 1;
        }
        self.at_site(key, |site, _| site.opened()).unwrap_or(false)
    }

    /// A link of the hop is gone.
    pub(super) fn link_closed(&self, key: &HopKey) {
        if let Some(hop) = self.lock().hops.get_mut(key) {
            hop.links = hop.links.saturating_sub(1);
        }
        self.at_site(key, |site, _| site.closed());
    }

    /// Counts a message against the rates of its sender and its tenant; or says when it may go.
    pub(super) fn keeps_pace(
        &self,
        (sender, sender_rate): (&str, Option<Rate>),
        (tenant, tenant_rate): (Option<&str>, Option<Rate>),
    ) -> Result<(), Timestamp> {
        if sender_rate.is_none() && tenant_rate.is_none() {
            return Ok(());
        }
        let now = self.now();
        let mut inner = self.lock();
        if let Some(rate) = sender_rate {
            inner.senders.step(sender, &rate, now)?;
        }
        if let (Some(tenant), Some(rate)) = (tenant, tenant_rate)
            && let Err(until) = inner.tenants.step(tenant, &rate, now)
        {
            if let Some(rate) = sender_rate {
                inner.senders.undo(sender, &rate);
            }
            return Err(until);
        }
        Ok(())
    }

    /// A worker ends. `loading`: it had begun to load and did not finish.
    pub(super) fn left(&self, key: &HopKey, loading: bool) {
        let mut inner = self.lock();
        inner.workers = inner.workers.saturating_sub(1);
        if let Some(hop) = inner.hops.get_mut(key) {
            hop.workers = hop.workers.saturating_sub(1);
            if loading {
                (hop.loading, hop.more) = (false, true);
            }
            let site = hop.site.clone();
            if let Some(site) = site {
                if let Some(book) = inner.sites.get_mut(&site) {
                    book.workers = book.workers.saturating_sub(1);
                }
                inner.line_up(&site);
            }
            inner.rouse(key);
            inner.drop_idle(key);
        }
        for _ in 0..2 {
            if let Some(site) = inner.crowd.pop_front() {
                if let Some(book) = inner.sites.get_mut(&site) {
                    book.lined_up = false;
                }
                inner.line_up(&site);
            }
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// Has the runner look around.
    pub(crate) fn ring_bell(&self) {
        self.bell.notify_one();
    }

    /// Workers now.
    pub(crate) fn workers(&self) -> usize {
        self.lock().workers
    }

    /// Replaces what operators stopped.
    pub(super) fn set_pauses(&self, pauses: Pauses) {
        let mut inner = self.lock();
        inner.pauses = pauses;
        for key in inner.hops.keys().cloned().collect::<Vec<HopKey>>() {
            inner.rouse(&key);
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// The clock was set back: what sites wait for may be years ahead, so each is tried now.
    pub(super) fn was_set_back(&self) {
        let now = self.now();
        let mut inner = self.lock();
        for site in inner.sites.keys().cloned().collect::<Vec<SiteKey>>() {
            if let Some(book) = inner.sites.get_mut(&site) {
                book.wake(now);
            }
            inner.set_timer(&site, now);
        }
        drop(inner);
        self.bell.notify_one();
    }

    /// A site was down when the process ended.
    pub(super) fn was_down(&self, site: SiteKey, down: Down) {
        let mut inner = self.lock();
        inner.sites.entry(site).or_insert_with(|| SiteBook::new(&Peer::default())).was_down(down);
    }

    /// Whether hops did not find room and there is some now: they are to be looked for in the store.
    pub(super) fn has_room_again(&self) -> bool {
        let mut inner = self.lock();
        let room = inner.overflow && inner.hops.len() < MOST_HOPS * 3 / 4;
        inner.overflow &= !room;
        room
    }
}

impl Inner {
    /// The hop, made where it is new and there is room.
    fn hop(&mut self, key: &HopKey) -> Option<&mut Hop> {
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
    fn push(&mut self, queued: Queued) -> bool {
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

    fn scout(&mut self, key: &HopKey) -> bool {
        let Some(hop) = self.hops.get_mut(key).filter(|hop| !hop.scouting) else { return false };
        hop.scouting = true;
        self.scouts.push_back(key.clone());
        true
    }

    /// Puts a site that has turns into the line; whether it was not there yet.
    fn line_up(&mut self, site: &SiteKey) -> bool {
        match self.sites.get_mut(site) {
            Some(book) if !book.lined_up && !book.turns.is_empty() => {
                book.lined_up = true;
                self.line.push_back(site.clone());
                true
            }
            _ => false,
        }
    }

    /// One worker for the site, if it may have one now.
    fn grant(&mut self, key: &SiteKey, now: Timestamp, free: usize) -> Option<HopKey> {
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
    fn wait(&mut self, key: &SiteKey, now: Timestamp) -> Option<HopKey> {
        if let Some(until) = self.sites.get(key)?.wakes_at(now) {
            self.set_timer(key, until);
        }
        None
    }

    fn give(&mut self, key: &SiteKey, now: Timestamp) -> Option<HopKey> {
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
    fn lead(&mut self, key: &HopKey, site: SiteKey, peer: &Peer) {
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

    fn drop_idle(&mut self, key: &HopKey) {
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

    fn drop_site(&mut self, key: &SiteKey) {
        let Some(book) = self.sites.get(key).filter(|book| book.is_empty()) else { return };
        if let Some(timer) = book.timer {
            self.timers.remove(&(timer, Wake::Site(key.clone())));
        }
        self.sites.remove(key);
    }

    fn set_timer(&mut self, key: &SiteKey, at: Timestamp) {
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
    fn ring(&mut self, now: Timestamp) {
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
