//! The runner: what workers, the door and the alarm tell of hops and sites, and what they are told. One lock, and nothing here
//! waits; whose turn it is stands in [`super::turns`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::key::{GroupId, HopKey};
use super::lane::{Head, Lane, Lanes};
use super::pause::Pauses;
use super::site::{Down, SiteBook, SiteKey};
use super::submit::Queued;
use super::turns::{Inner, MOST_HOPS, SCOUTS, Wake};
use super::{Peer, Rate, State};
use crate::seam::{Clock, Random, Timestamp};

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
                State::Deferred | State::Scheduled => self.alarm.expect(queued.due),
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

    /// Attempts may begin with the group again, unless it is `gone`.
    pub(super) fn disclaim(&self, key: &HopKey, at: GroupId, gone: bool) {
        let mut inner = self.lock();
        if let Some(hop) = inner.hops.get_mut(key) {
            hop.in_flight.remove(&at);
            if !gone {
                (hop.more, hop.cursor) = (true, None); // its head may have been passed over meanwhile
                inner.rouse(key);
            }
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
