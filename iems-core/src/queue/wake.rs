//! Waking a hop: its site is probed now, and what was deferred because of the site is due again.

use std::sync::Arc;

use super::key::{self, HopKey, Parked};
use super::load::{self, Loaded};
use super::record::{Group, State};
use super::settle;
use crate::engine::Shared;
use crate::seam::Timestamp;
use crate::storage::{Batch, CommitError, Scan};

/// The most groups that are woken at a time: those that were under way when the site went, and its probes.
const MOST: usize = 1000;

/// Makes the groups of a hop due that wait because its site could not be reached, now that it can.
pub(super) async fn deferred(shared: &Arc<Shared>, hop: &HopKey) {
    let now = shared.clock.now();
    let scan = Scan::prefix(&key::parked_of(Parked::Deferred, hop), MOST);
    let Ok(rows) = shared.storage.store.scan(scan).await else { return };
    for at in rows.iter().filter_map(|(row, _)| key::parse_group(row)) {
        match load::any(shared, at).await {
            Ok(Some(loaded)) if is_kept_by_site(&loaded.group, now) => {
                if let Err(error) = due_now(shared, loaded, now).await {
                    tracing::debug!(id = %at.id, %error, "stays deferred");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(id = %at.id, %error, "stays deferred"),
        }
    }
}

/// What was deferred for the way there (RFC 3463 section 3.5) and is not due yet.
fn is_kept_by_site(group: &Group, now: Timestamp) -> bool {
    let network = |reply: &crate::message::Reply| reply.code == 421 || reply.enhanced.subject() == 4;
    group.state == State::Deferred && group.due > now && group.last_reply.as_ref().is_some_and(network)
}

async fn due_now(shared: &Shared, loaded: Loaded, now: Timestamp) -> Result<(), CommitError> {
    let left = Group { due: now, ..loaded.group.clone() };
    let mut batch = Batch::new();
    let queued = settle::replace(&mut batch, &loaded, Some(&left));
    let committed = shared.storage.store.commit(batch).await;
    shared.runner.queued(queued.into_iter().collect()); // also if it is not known whether it took effect
    committed.map(|_| ())
}
