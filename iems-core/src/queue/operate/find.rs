//! Finding groups: the index that costs least for a filter, and a walk over it, a page at a time.
//!
//! An index may hold more than is meant: names are hashed, and a row may be older than its group. So every candidate is
//! checked against its records. A group that has several rows in an index counts at the first of them.

use std::collections::VecDeque;

use bytes::Bytes;

use super::depth;
use super::{Filter, Mark, Queue, QueueError};
use crate::queue::State;
use crate::queue::key::{self, GroupId, HopKey, Parked};
use crate::queue::load::Loaded;
use crate::queue::rows::{self, Found};
use crate::storage::{Scan, StoreError};

/// Rows read at a time.
const PAGE: usize = 256;

/// A part of an index.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// What its keys begin with.
    prefix: Vec<u8>,
    /// Only groups in this state stand here for themselves; others are shown by another part.
    state: Option<State>,
    /// What follows the prefix is the id: the order is that of age, and ages bound the walk.
    by_id: bool,
}

impl Part {
    fn by_id(prefix: Vec<u8>) -> Self {
        Self { prefix, state: None, by_id: true }
    }
}

/// The parts to walk over: one index, the cheapest for the filter. `hops` are those that the filter names.
fn parts(filter: &Filter, hops: &[HopKey]) -> Vec<Part> {
    let found = |what: Found| key::found_prefix(&what);
    if let Some(id) = filter.id {
        return vec![Part { prefix: key::groups_of(id), state: None, by_id: false }];
    }
    if let Some(recipient) = &filter.recipient {
        return vec![Part::by_id(found(Found::Recipient(recipient.to_lowercase())))];
    }
    if let Some(sender) = &filter.sender {
        return vec![Part::by_id(found(Found::Sender(sender.to_lowercase())))];
    }
    if let Some(domain) = &filter.domain {
        let prefix = found(Found::Domain(domain.to_string()));
        return vec![Part { prefix, state: None, by_id: false }];
    }
    if filter.spam_reports {
        return vec![Part::by_id(found(Found::SpamReports))];
    }
    if filter.hop.is_some() {
        return hops.iter().flat_map(|hop| of_hop(Some(hop), filter.state)).collect();
    }
    if let Some(tenant) = &filter.tenant {
        return vec![Part::by_id(found(Found::Tenant(tenant.to_string())))];
    }
    match filter.state {
        Some(state) => of_hop(None, Some(state)),
        None => vec![Part::by_id(key::GROUPS.to_vec())],
    }
}

/// What waits at a hop, or at all of them, in one state or in each.
fn of_hop(hop: Option<&HopKey>, only: Option<State>) -> Vec<Part> {
    let parked = |state| hop.map_or_else(|| key::parked_in(state), |hop| key::parked_of(state, hop));
    let ready = hop.map_or_else(|| key::READY.to_vec(), |hop| key::of_hop(key::READY, hop));
    let all = [
        (State::Waiting, ready, false),
        (State::Deferred, parked(Parked::Deferred), hop.is_some()),
        (State::Held, parked(Parked::Held), hop.is_some()),
        (State::Scheduled, parked(Parked::Scheduled), hop.is_some()),
    ];
    let wanted = all.into_iter().filter(|(state, ..)| only.is_none_or(|only| only == *state));
    wanted.map(|(state, prefix, by_id)| Part { prefix, state: Some(state), by_id }).collect()
}

/// A walk over the groups that a filter means.
pub(super) struct Walk<'a> {
    queue: &'a Queue,
    filter: &'a Filter,
    parts: Vec<Part>,
    part: usize,
    page: VecDeque<(Bytes, Bytes)>,
    /// Where the next page begins; `None` at the end of the part.
    from: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    /// Begins at the front, or behind a mark of a listing with the same filter.
    pub(super) async fn new(
        queue: &'a Queue,
        filter: &'a Filter,
        after: Option<&Mark>,
    ) -> Result<Self, StoreError> {
        let hops = match &filter.hop {
            Some(name) if filter.id.is_none() => depth::hops_named(&*queue.storage.store, name).await?,
            _ => Vec::new(),
        };
        let parts = parts(filter, &hops);
        let part = after.map_or(0, |mark| mark.part).min(parts.len());
        let from = parts.get(part).map(|part| match after {
            Some(mark) => key::after(&[&part.prefix[..], &mark.place].concat()),
            None => part.prefix.clone(),
        });
        Ok(Self { queue, filter, parts, part, page: VecDeque::new(), from })
    }

    /// The next group, and the place behind it.
    pub(super) async fn next(&mut self) -> Result<Option<(Loaded, Mark)>, QueueError> {
        loop {
            while let Some((row, value)) = self.page.pop_front() {
                let Some(loaded) = self.candidate(&row, value).await? else { continue };
                let place = row[self.parts[self.part].prefix.len()..].to_vec();
                return Ok(Some((loaded, Mark { part: self.part, place })));
            }
            if !self.turn().await? {
                return Ok(None);
            }
        }
    }

    /// Reads the next page; `false` at the end.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        let Some(part) = self.parts.get(self.part) else { return Ok(false) };
        let Some(from) = self.from.take() else {
            self.part += 1;
            self.from = self.parts.get(self.part).map(|part| part.prefix.clone());
            return Ok(self.from.is_some());
        };
        let (first, before) = self.filter.ages(self.queue.clock.now());
        let bound = |id: crate::message::QueueId| [&part.prefix[..], &id.to_bytes()].concat();
        let from = first.filter(|_| part.by_id).map(bound).map_or(from.clone(), |first| first.max(from));
        let mut scan = Scan::prefix(&part.prefix, PAGE).starting_at(&from);
        if let Some(before) = before.filter(|_| part.by_id) {
            scan = scan.ending_before(&bound(before));
        }
        let rows = if scan.to.is_empty() || scan.from < scan.to {
            self.queue.storage.store.scan(scan).await?
        } else {
            Vec::new()
        };
        self.from = rows.last().filter(|_| rows.len() == PAGE).map(|(last, _)| key::after(last));
        self.page = rows.into();
        Ok(true)
    }

    /// The group of a row, if it is meant and this row stands for it.
    async fn candidate(&self, row: &Bytes, value: Bytes) -> Result<Option<Loaded>, QueueError> {
        let part = &self.parts[self.part];
        let Some(at) = key::parse_group(row) else { return Ok(None) };
        let read = match row.starts_with(key::GROUPS) {
            true => self.queue.load_row(at, value).await,
            false => self.queue.load(at).await,
        };
        let loaded = match read {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return Ok(None),
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(id = %at.id, why, "a queued message cannot be read");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let meant = part.state.is_none_or(|state| state == loaded.group.state)
            && self.filter.admits(at, &loaded.group, self.queue.clock.now())
            && self.filter.admits_message(&loaded.message)
            && is_first(row, part, at, &loaded);
        Ok(meant.then_some(loaded))
    }
}

/// Whether the row is the first of the group's rows in this part of the operator's index.
fn is_first(row: &[u8], part: &Part, at: GroupId, loaded: &Loaded) -> bool {
    if !row.starts_with(key::INDEX) {
        return true;
    }
    let found = rows::found_by(&loaded.message, &loaded.group);
    let keys = found.iter().map(|found| key::found(found, at)).filter(|key| key.starts_with(&part.prefix));
    keys.min().is_some_and(|first| first == row)
}
