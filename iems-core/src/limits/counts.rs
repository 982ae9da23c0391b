//! The counts, and the one question: may this one do that now?

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::Notify;

use super::access::{self, AccessRule, Decision, Host, Shown};
use super::ban::{Ban, Bans};
use super::bucket::Bucket;
use super::hit::{Hit, HitCount, Hits};
use super::key::{Key, Who};
use super::limit::{Act, Bound, Budget, Limit, Terms};
use super::repeat::Repeats;
use super::table::Table;
use super::ticket::Ticket;
use crate::seam::{Clock, Timestamp};

/// The most keys that are counted at once, of all limits together. Those that have something open are counted always.
pub const MOST_KEYS: usize = 100_000;

/// The counts of a site. Shared by all that listen; every method is quick, waits for nobody, and may be called by many at once.
pub struct Limits {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    pub(super) changed: Notify,
}

struct Inner {
    sets: HashMap<Arc<str>, Vec<Rule>>,
    /// The number of each limit that ever was, by set and name, so that its counts outlive a change of its bound.
    ids: HashMap<(Arc<str>, Arc<str>), u32>,
    counts: Table<(u32, Key), Count>,
    open: HashMap<Arc<str>, usize>,
    access: Arc<[AccessRule]>,
    bans: Bans,
    hits: Hits,
    repeats: Repeats,
    totals: BTreeMap<Arc<str>, u64>,
}

struct Rule {
    id: u32,
    limit: Limit,
}

/// What one key has of one limit.
#[derive(Default)]
struct Count {
    open: u64,
    spent: Bucket,
    strikes: Bucket,
}

impl Count {
    fn is_needed(&self) -> bool {
        self.open > 0
    }
}

/// A limit that holds for somebody, and their key.
type Applied<'a> = SmallVec<[(&'a Rule, Key); 4]>;

impl Limits {
    /// Without any limit yet.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::with_room(clock, MOST_KEYS)
    }

    /// The same with room for so many keys.
    pub fn with_room(clock: Arc<dyn Clock>, keys: usize) -> Arc<Self> {
        let inner = Inner {
            sets: HashMap::new(),
            ids: HashMap::new(),
            counts: Table::new(keys),
            open: HashMap::new(),
            access: [].into(),
            bans: Bans::default(),
            hits: Hits::default(),
            repeats: Repeats::default(),
            totals: BTreeMap::new(),
        };
        Arc::new(Self { clock, inner: Mutex::new(inner), changed: Notify::new() })
    }

    /// These limits hold from now on for everybody of this scope (see [`Who::scope`]); those of the scope `""` hold for all.
    /// Whoever is over a new bound already keeps what is open. Counts of limits with the same name go on.
    pub fn set(&self, scope: &str, limits: Vec<Limit>) {
        let mut inner = self.inner();
        let scope: Arc<str> = scope.into();
        let rules = limits.into_iter().map(|limit| {
            let next = inner.ids.len() as u32;
            let id = *inner.ids.entry((scope.clone(), limit.name.clone())).or_insert(next);
            Rule { id, limit }
        });
        let rules = rules.collect();
        inner.sets.insert(scope, rules);
    }

    /// May this one do that now? Spends nothing; a refusal counts as a hit.
    ///
    /// # Errors
    /// The limit or ban that forbids it.
    pub fn check(&self, act: Act, who: &Who<'_>) -> Result<(), Box<Hit>> {
        let now = self.clock.now();
        let answer = self.inner().weigh(act, who, 1, now).map(drop);
        answer.map_err(|hit| self.hit(*hit, who, now))
    }

    /// Does it, if it may: spends `amount` of every budget that counts it, and says how long to wait before going on.
    /// A refusal spends nothing.
    ///
    /// # Errors
    /// The limit or ban that forbids it.
    pub fn take(&self, act: Act, who: &Who<'_>, amount: u64) -> Result<Duration, Box<Hit>> {
        let now = self.clock.now();
        let taken = self.inner().take(act, who, amount, now);
        taken.map(|(delay, _)| delay).map_err(|hit| self.hit(*hit, who, now))
    }

    /// The same for something that lasts: until the ticket is dropped, it counts as one at once.
    ///
    /// # Errors
    /// The limit or ban that forbids it.
    pub fn enter(self: &Arc<Self>, act: Act, who: &Who<'_>) -> Result<(Ticket, Duration), Box<Hit>> {
        let now = self.clock.now();
        let mut inner = self.inner();
        match inner.take(act, who, 1, now) {
            Ok((delay, keys)) => {
                for key in &keys {
                    inner.counts.entry(key, Count::is_needed).open += 1;
                }
                let scope: Arc<str> = who.scope.into();
                *inner.open.entry(scope.clone()).or_default() += 1;
                Ok((Ticket { limits: self.clone(), scope, counted: keys }, delay))
            }
            Err(hit) => {
                drop(inner);
                Err(self.hit(*hit, who, now))
            }
        }
    }

    /// The same whatever the bounds say: it was done already. Whoever is over them is refused the next time.
    pub fn spend(&self, act: Act, who: &Who<'_>, amount: u64) {
        let now = self.clock.now();
        let mut inner = self.inner();
        let applied: SmallVec<[_; 4]> = inner
            .applied(act, who)
            .into_iter()
            .map(|(rule, key)| ((rule.id, key), rule.limit.bound))
            .collect();
        for (key, bound) in applied {
            if let Bound::Budget(budget) = bound {
                inner.counts.entry(&key, Count::is_needed).spent.take(&budget, amount, now);
            }
        }
    }

    /// A secret was wrong: whether the same was wrong for this login from this address before. Then it is no guess, and need not
    /// count as an [`Act::Failure`].
    pub fn is_repeated(&self, who: &Who<'_>, secret: &str) -> bool {
        self.inner().repeats.seen(who, secret)
    }

    /// Other rules about who may come in, from now on.
    pub fn set_access(&self, rules: Vec<AccessRule>) {
        self.inner().access = rules.into();
    }

    /// What the rules say of somebody. One that turns away is logged and counted as a hit of `access`.
    /// Where no certificates are looked at, rules about them fit nobody.
    pub fn access(&self, who: &Who<'_>, host: Host<'_>) -> Decision {
        self.access_with(who, host, Shown::None)
    }

    /// The same where the peer may show a certificate.
    pub fn access_with(&self, who: &Who<'_>, host: Host<'_>, shown: Shown<'_>) -> Decision {
        let rules = self.inner().access.clone();
        let decision = access::decide(&rules, who, host, shown);
        if let (Decision::Rule(rule), Some(address)) = (&decision, who.address)
            && rule.reply().is_some()
        {
            let hit = Hit {
                limit: "access".into(),
                origin: rule.origin.clone(),
                act: Act::Connection,
                per: None,
                bound: None,
                key: Key::address(address),
                wait: None,
                banned: false,
            };
            self.hit((hit, None), who, self.clock.now());
        }
        decision
    }

    /// Forgets what was counted of this act: it turned out to be innocent.
    pub fn forgive(&self, act: Act, who: &Who<'_>) {
        let mut inner = self.inner();
        let ids: Applied<'_> = inner.applied(act, who);
        let keys: SmallVec<[(u32, Key); 4]> = ids.into_iter().map(|(rule, key)| (rule.id, key)).collect();
        for key in keys {
            if let Some(count) = inner.counts.get_mut(&key) {
                (count.spent, count.strikes) = (Bucket::default(), Bucket::default());
            }
        }
    }

    /// How much is open in a scope.
    pub fn open(&self, scope: &str) -> usize {
        self.inner().open.get(scope).copied().unwrap_or(0)
    }

    /// The ban that holds for somebody now.
    pub fn banned(&self, who: &Who<'_>) -> Option<Ban> {
        self.inner().bans.of(who, self.clock.now()).cloned()
    }

    /// Bans somebody from now on; a longer ban of theirs stays. The ban of a key is counted on if its rule is the same.
    pub fn ban(&self, rule: &str, origin: &str, key: Key, span: Duration) {
        self.inner().ban((rule, origin), key, span, self.clock.now());
        self.changed.notify_one();
    }

    /// Takes bans over that were kept, as they are.
    pub fn restore(&self, bans: impl IntoIterator<Item = Ban>) {
        let now = self.clock.now();
        let mut inner = self.inner();
        bans.into_iter().filter(|ban| ban.until > now).for_each(|ban| inner.bans.put(ban));
    }

    /// The bans that hold, the oldest first.
    pub fn bans(&self) -> Vec<Ban> {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.bans.sweep(now);
        inner.bans.list(now)
    }

    /// Lifts the ban of a key, and forgets what was counted of it. Whether there was a ban.
    pub fn clear(&self, key: &Key) -> bool {
        let mut inner = self.inner();
        let lifted = inner.bans.remove(key).is_some();
        for id in 0..inner.ids.len() as u32 {
            if let Some(count) = inner.counts.get_mut(&(id, key.clone())) {
                (count.spent, count.strikes) = (Bucket::default(), Bucket::default());
            }
        }
        inner.hits.forget(key);
        drop(inner);
        self.changed.notify_one();
        lifted
    }

    /// Whom limits hit of late, the latest first; bounded.
    pub fn hits(&self) -> Vec<HitCount> {
        self.inner().hits.list()
    }

    /// How often each limit hit anybody, by name.
    pub fn totals(&self) -> Vec<(Arc<str>, u64)> {
        self.inner().totals.iter().map(|(name, count)| (name.clone(), *count)).collect()
    }

    /// All limits that hold, with the scope of each.
    pub fn list(&self) -> Vec<(Arc<str>, Limit)> {
        let inner = self.inner();
        let all = inner
            .sets
            .iter()
            .flat_map(|(scope, rules)| rules.iter().map(|r| (scope.clone(), r.limit.clone())));
        let mut all: Vec<_> = all.collect();
        all.sort_by(|a, b| (&a.0, &a.1.name).cmp(&(&b.0, &b.1.name)));
        all
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn give_back(&self, scope: &str, counted: &[(u32, Key)]) {
        let mut inner = self.inner();
        for key in counted {
            if let Some(count) = inner.counts.get_mut(key) {
                count.open = count.open.saturating_sub(1);
            }
        }
        if let Some(open) = inner.open.get_mut(scope) {
            *open = open.saturating_sub(1);
        }
    }

    fn hit(&self, (hit, strike): (Hit, Option<(u32, Terms)>), who: &Who<'_>, now: Timestamp) -> Box<Hit> {
        let mut hit = Box::new(hit);
        let mut inner = self.inner();
        if let Some((id, terms)) = strike {
            let count = inner.counts.entry(&(id, hit.key.clone()), Count::is_needed);
            let strikes = Budget::new(terms.after.into(), terms.span);
            match count.strikes.weigh(&strikes, 1, now) {
                Ok(_) => count.strikes.take(&strikes, 1, now),
                Err(_) => {
                    inner.ban((&hit.limit, &hit.origin), hit.key.clone(), terms.span, now);
                    hit.banned = true;
                    hit.wait = Some(terms.span);
                    self.changed.notify_one();
                }
            }
        }
        inner.hits.count(&hit, now);
        *inner.totals.entry(hit.limit.clone()).or_default() += 1;
        drop(inner);
        let (limit, origin, key, scope) = (&*hit.limit, &*hit.origin, &hit.key, who.scope);
        let (act, banned) = (hit.act.name(), hit.banned);
        tracing::info!(limit, origin, %key, act, scope, banned, "a limit hit");
        hit
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counts that something stands in.
pub(super) type Counted = SmallVec<[(u32, Key); 2]>;

/// A hit, and the number and terms of the limit if it bans.
type Refused = Box<(Hit, Option<(u32, Terms)>)>;

impl Inner {
    fn applied<'a>(&'a self, act: Act, who: &Who<'_>) -> Applied<'a> {
        let of = |scope: &str| self.sets.get(scope).into_iter().flatten();
        let own = Some(who.scope).filter(|scope| !scope.is_empty());
        let all = of("").chain(own.into_iter().flat_map(of));
        let all = all.filter(|rule| rule.limit.act == act);
        all.filter_map(|rule| rule.limit.key(who).map(|key| (rule, key))).collect()
    }

    /// The limits that hold, and how long to wait.
    fn weigh(
        &self,
        act: Act,
        who: &Who<'_>,
        amount: u64,
        now: Timestamp,
    ) -> Result<(Duration, Applied<'_>), Refused> {
        if let Some(ban) = self.bans.of(who, now) {
            let hit = Hit {
                limit: ban.rule.as_str().into(),
                origin: ban.origin.as_str().into(),
                act,
                per: None,
                bound: None,
                key: ban.key.clone(),
                wait: Some(ban.until.since(now)),
                banned: false,
            };
            return Err(Box::new((hit, None)));
        }
        let mut delay = Duration::ZERO;
        let applied = self.applied(act, who);
        for (rule, key) in &applied {
            let count = self.counts.get(&(rule.id, key.clone()));
            let refused = |wait| {
                let terms = rule.limit.ban.map(|terms| (rule.id, terms));
                Box::new((Hit::of(&rule.limit, key.clone(), wait), terms))
            };
            match &rule.limit.bound {
                Bound::AtOnce(most) => {
                    if count.is_some_and(|count| count.open >= *most) || *most == 0 {
                        return Err(refused(None));
                    }
                }
                Bound::Budget(budget) => {
                    let spent = count.map(|count| count.spent).unwrap_or_default();
                    let used = spent.weigh(budget, amount, now).map_err(|wait| refused(Some(wait)))?;
                    delay = delay.max(rule.limit.slow * used.saturating_sub(500) / 500);
                }
            }
        }
        Ok((delay, applied))
    }

    /// Spends, and gives back the keys of limits on what is at once.
    fn take(
        &mut self,
        act: Act,
        who: &Who<'_>,
        amount: u64,
        now: Timestamp,
    ) -> Result<(Duration, Counted), Refused> {
        let (delay, applied) = self.weigh(act, who, amount, now)?;
        let applied: SmallVec<[_; 4]> =
            applied.into_iter().map(|(rule, key)| ((rule.id, key), rule.limit.bound)).collect();
        let mut at_once = SmallVec::new();
        for (key, bound) in applied {
            match bound {
                Bound::AtOnce(_) => at_once.push(key),
                Bound::Budget(budget) => {
                    self.counts.entry(&key, Count::is_needed).spent.take(&budget, amount, now);
                }
            }
        }
        Ok((delay, at_once))
    }

    fn ban(&mut self, (rule, origin): (&str, &str), key: Key, span: Duration, now: Timestamp) {
        let known = self.bans.get(&key);
        let until = known.map_or(now, |known| known.until).max(now.after(span));
        let count = known.filter(|known| known.rule == rule).map_or(0, |known| known.count) + 1;
        let (rule, origin) = (rule.to_owned(), origin.to_owned());
        self.bans.put(Ban { rule, origin, key, count, since: now, until });
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("keys", &self.inner().counts.len()).finish_non_exhaustive()
    }
}
