//! The alarm: what time alone brings about. Deferred groups become ready when due, and warnings and ends come whether
//! anything is tried or not: in every state, for every hop, dead or alive.
//!
//! One walk over two indexes in the order of time, for all hops together; memory holds no more than one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::claim::Claim;
use super::key::{self, GroupId, HopKey};
use super::lease::Asked;
use super::load;
use super::record::State;
use super::rows;
use super::settle::{self, End, Settled};
use super::state;
use super::wall::WallClock;
use crate::engine::Shared;
use crate::message::Reply;
use crate::seam::Timestamp;
use crate::storage::{Batch, CommitError, Scan, StoreError};

/// Rows handled in one go.
const PAGE: usize = 256;
/// Groups whose time is over are settled so many at a time.
const TOGETHER: usize = 32;
/// The alarm looks at the clock at least so often.
const NAP: Duration = Duration::from_secs(60);
/// It does not look again sooner than this: what comes in between is done together.
const TICK: Duration = Duration::from_millis(5);
/// For so long after the clock was set back, attempts may still write down times that they read before.
const UNSETTLED: Duration = Duration::from_secs(600);
/// After a failure of the store it rests.
const REST: Duration = Duration::from_secs(1);
/// When the next thing is due, and the bell for something earlier.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// In milliseconds; 0 means that the store has to be asked.
    next: AtomicU64,
    bell: Notify,
    wall: WallClock,
}

impl Alarm {
    /// Something is due then.
    pub(super) fn expect(&self, at: Timestamp) {
        let at = at.as_millis();
        if at < self.next.load(Ordering::Relaxed) && at < self.next.fetch_min(at, Ordering::Relaxed) {
            self.bell.notify_one();
        }
    }

    /// Whether what is over at `now` may be given up.
    pub(super) fn believes(&self, now: Timestamp) -> bool {
        self.wall.believes(now)
    }
}

/// Watches the time until shutdown. While nothing is due, the store is left alone.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut was_set_back = true; // perhaps while nobody was looking
    let mut unsettled_until = tokio::time::Instant::now();
    while !shared.shutdown.is_cancelled() {
        let (alarm, now) = (&shared.runner.alarm, shared.clock.now());
        let believed = alarm.believes(now);
        if alarm.wall.was_set_back() {
            was_set_back = true;
            unsettled_until = tokio::time::Instant::now() + UNSETTLED;
            shared.runner.was_set_back();
            alarm.next.store(0, Ordering::Relaxed);
        }
        let mut until = now.after(NAP);
        if alarm.next.load(Ordering::Relaxed) <= now.as_millis() {
            alarm.next.store(u64::MAX, Ordering::Relaxed);
            match round(&shared, now, believed, was_set_back).await {
                Ok(next) => {
                    was_set_back = tokio::time::Instant::now() < unsettled_until;
                    if was_set_back {
                        alarm.expect(now.after(NAP));
                    }
                    next.into_iter().for_each(|next| alarm.expect(next));
                }
                Err(error) => {
                    shared.health.storage(error);
                    until = now.after(REST);
                    alarm.expect(until);
                }
            }
        }
        let next = Timestamp::from_millis(alarm.next.load(Ordering::Relaxed)).max(now.after(TICK));
        tokio::select! {
            biased;
            () = shared.clock.sleep(until.min(next).since(now)) => {}
            () = alarm.bell.notified() => {}
            () = shared.shutdown.cancelled() => return,
        }
    }
}

/// Does what is due; says when the next thing is.
async fn round(
    shared: &Arc<Shared>,
    now: Timestamp,
    gives_up: bool,
    was_set_back: bool,
) -> Result<Option<Timestamp>, StoreError> {
    if was_set_back {
        unfreeze(shared, now).await?;
    }
    let timed = ripen(shared, now).await?;
    let deadline = match gives_up {
        true => lapse(shared, now).await?,
        false => Some(now.after(NAP)),
    };
    Ok(timed.into_iter().chain(deadline).min())
}

/// Makes deferred groups ready whose time has come; says when the next one's comes.
async fn ripen(shared: &Arc<Shared>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    loop {
        let rows = shared.storage.store.scan(Scan::prefix(key::TIMED, PAGE)).await?;
        let due = rows.iter().take_while(|(row, _)| key::parse_time(row).is_none_or(|(due, _)| due <= now));
        let due: Vec<_> = due.cloned().collect();
        if due.is_empty() {
            return Ok(rows.first().and_then(|(row, _)| key::parse_time(row)).map(|(due, _)| due));
        }
        move_up(shared, &due).await?;
    }
}

/// Moves rows of the time index to where their groups are ready. One batch; row by row if somebody else touched one.
async fn move_up(shared: &Shared, rows: &[(bytes::Bytes, bytes::Bytes)]) -> Result<(), StoreError> {
    match move_together(shared, rows).await {
        Err(CommitError::Conflict) => {}
        Err(CommitError::Store(error)) => return Err(error),
        Ok(()) => return Ok(()),
    }
    for row in rows {
        match move_together(shared, std::slice::from_ref(row)).await {
            Ok(()) | Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error),
        }
    }
    Ok(())
}

async fn move_together(shared: &Shared, rows: &[(bytes::Bytes, bytes::Bytes)]) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    let mut hops: Vec<HopKey> = Vec::new();
    for (row, value) in rows {
        batch.require_present(row);
        batch.delete(row);
        let Some((ready, size)) = rows::ripe(value) else {
            tracing::error!(key = ?row, "a deferred entry cannot be read");
            continue;
        };
        batch.put(ready.to_vec(), size.to_vec());
        hops.extend(key::parse_ready(ready).map(|(hop, ..)| hop).filter(|hop| !hops.contains(hop)));
    }
    let committed = shared.storage.store.commit(batch).await;
    // After a failure of the store nobody knows whether the rows moved: then they are found where they are.
    if !matches!(committed, Err(CommitError::Conflict)) {
        hops.iter().for_each(|hop| shared.runner.look_at(hop));
    }
    committed.map(|_| ())
}

/// Warns about and gives up what time is over for; says when the next group's time is.
async fn lapse(shared: &Arc<Shared>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let mut from = key::DEADLINES.to_vec();
    let mut next: Option<Timestamp> = None;
    loop {
        let rows =
            shared.storage.store.scan(Scan::prefix(key::DEADLINES, TOGETHER).starting_at(&from)).await?;
        let entries: Vec<_> = rows.iter().filter_map(|(row, _)| key::parse_time(row)).collect();
        let over = entries.iter().take_while(|(when, _)| *when <= now);
        let settled = futures_util::future::join_all(over.map(|(when, at)| lapsed(shared, *when, *at))).await;
        let later = settled.into_iter().flatten();
        let ahead = entries.iter().map(|(when, _)| *when).find(|when| *when > now);
        next = next.into_iter().chain(later).chain(ahead).min();
        match rows.last() {
            Some((last, _)) if ahead.is_none() && rows.len() == TOGETHER => from = key::after(last),
            _ => return Ok(next),
        }
    }
}

/// One group whose time is over. Says when to look again, if it could not be settled now.
async fn lapsed(shared: &Arc<Shared>, when: Timestamp, at: GroupId) -> Option<Timestamp> {
    let soon = Some(shared.clock.now().after(Duration::from_secs(5)));
    let loaded = match load::any(shared, at).await {
        Ok(Some(loaded)) => loaded,
        Ok(None) => {
            // Nothing is left of the group; a row without one is a leftover.
            let mut batch = Batch::new();
            batch.require_absent(&key::group(at));
            batch.delete(&key::deadline(when, at));
            let _ = shared.storage.store.commit(batch).await;
            return None;
        }
        Err(error) => {
            tracing::error!(id = %at.id, %error, "a queued message cannot be read");
            return Some(shared.clock.now().after(Duration::from_secs(3600)));
        }
    };
    let hop = loaded.group.hop_key();
    let Some(claim) = Claim::lay(shared, &hop, at) else {
        return soon; // the attempt that is under way ends it, or defers it once more
    };
    if let Some(node) = &shared.node
        && node.ask(shared, &hop).await.ok() != Some(Asked::Granted)
    {
        return soon; // whoever works for the hop does it
    }
    let reply = last_answer(shared, &hop, loaded.group.last_reply.clone());
    let ends = loaded.group.expires <= shared.clock.now();
    if settle::end(shared, loaded, &End::Lapse(reply)).await == Settled::Done && ends {
        claim.gone();
    }
    None
}

/// What there is to tell of a group that waits: its own last answer, or that of its site.
fn last_answer(shared: &Shared, hop: &HopKey, own: Option<Reply>) -> Reply {
    let site = || shared.runner.at_site(hop, |site, _| site.down().map(|down| down.reply.clone())).flatten();
    own.or_else(site).unwrap_or_else(state::waits)
}

/// No schedule puts anything off beyond this.
pub(super) fn horizon(shared: &Shared, now: Timestamp) -> Timestamp {
    now.after(shared.settings().peers.longest_wait()).after(Duration::from_secs(2 * 3600))
}

/// A clock that was set back leaves due times that no schedule can have made: they count as due.
async fn unfreeze(shared: &Arc<Shared>, now: Timestamp) -> Result<(), StoreError> {
    let mut from = key::timed(horizon(shared, now), GroupId::FIRST);
    loop {
        let scan = Scan::prefix(key::TIMED, PAGE).starting_at(&from);
        let mut rows = shared.storage.store.scan(scan).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        from = key::after(last);
        let mut frozen = Vec::new();
        for row in rows.drain(..) {
            if !is_scheduled(shared, &row.0).await? {
                frozen.push(row);
            }
        }
        if !frozen.is_empty() {
            tracing::warn!(
                groups = frozen.len(),
                "the clock was set back: what waits for a far future is tried now"
            );
            move_up(shared, &frozen).await?;
        }
    }
}

/// Whether a row of the time index stands for a group that its sender wants to go so late. What cannot be read now may be one.
async fn is_scheduled(shared: &Shared, row: &[u8]) -> Result<bool, StoreError> {
    let Some(at) = key::parse_group(row) else { return Ok(false) };
    match load::any(shared, at).await {
        Ok(loaded) => Ok(loaded.is_some_and(|loaded| loaded.group.state == State::Scheduled)),
        Err(error) if error.is_temporary() => Err(error),
        Err(_) => Ok(false),
    }
}
