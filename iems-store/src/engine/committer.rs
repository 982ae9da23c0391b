//! What writes: takes what waits, works it out, writes it, syncs, and tells. One thread has it for that, or a caller who is
//! alone, for a moment: see [`super::alone`].
//!
//! One group is one write and one sync. Nobody sees a group before it is durable. If writing fails,
//! the group is as if it had never been, except that after a failed sync its callers cannot know.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iems_core::storage::{Batch, BlobId, CommitError, Committed, Held, Resolved, StoreError, View, resolve};
use tokio::sync::oneshot;

use super::Shared;
use super::crowd::Crowd;
use super::index::Snapshot;
use super::log::Log;
use super::pending::Pending;
use super::queue::{Answer, Spilled, Work};
use super::record::{self, Kind};
use super::row::{BlobChange, BlobRow, ByBlob, Delta, Extent};
use super::segment::Segment;
use super::state::State;
use super::stats::add;

/// Bodies and rows after which a group is closed, in bytes.
const GROUP_BYTES: usize = 4 << 20;
/// Work after which a group is closed.
const GROUP_WORK: usize = 1024;
/// How long the device is left alone after a failure, first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The writing end of the engine.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Log,
    pub(super) trouble: Option<Trouble>,
    pub(super) crowd: Crowd,
    /// A group is being written, and not shown yet. Should that end in a panic, what is in the log may not be what is in
    /// memory: nothing more is written then, until the log is read again.
    writing: bool,
}

/// The device failed, and is left alone for a while.
pub(super) struct Trouble {
    error: StoreError,
    until: Instant,
    pause: Duration,
}

/// Work that is written together.
#[derive(Default)]
pub(super) struct Group {
    delta: Delta,
    commits: Vec<(oneshot::Sender<Answer>, Answer)>,
    moves: Vec<oneshot::Sender<Result<(), StoreError>>>,
    chunks: Vec<Chunk>,
    /// Rows of bodies that got their first owner here, as they were or will be.
    first: ByBlob<First>,
    /// The index that was looked into.
    base: Option<Arc<Snapshot>>,
    /// The disk is nearly full: no new bodies.
    tight: bool,
    bytes: usize,
}

/// A body that got its first owner in a group.
struct First {
    row: BlobRow,
    used: usize,
}

/// A piece to be written.
struct Chunk {
    bytes: Bytes,
    target: Target,
}

enum Target {
    /// A piece of a body's row, by its index.
    Row(BlobId, usize),
    /// A body that is still being written.
    Spill(oneshot::Sender<Result<Spilled, StoreError>>),
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, log: Log) -> Self {
        let crowd = Crowd::new(shared.options.quick);
        Self { shared, log, trouble: None, crowd, writing: false }
    }

    /// Writes one group of what waits.
    fn write_some(&mut self, work: &mut VecDeque<Work>, room: Result<(), StoreError>) {
        let group = self.gather(work, room);
        let (commits, begun) = (group.commits.len(), Instant::now());
        self.finish(group);
        self.wrote(commits, begun.elapsed());
    }

    /// A group of so many commits was written, or was not, in this time.
    pub(super) fn wrote(&mut self, commits: usize, took: Duration) {
        self.crowd.wrote(commits, self.shared.queue.waiting(), took);
        self.shared.alone.allow(self.crowd.is_quick() && self.trouble.is_none());
    }

    /// Works out as much as fits into one group.
    fn gather(&self, work: &mut VecDeque<Work>, room: Result<(), StoreError>) -> Group {
        let mut group = self.group();
        let state = self.shared.state();
        for _ in 0..GROUP_WORK {
            if group.bytes > GROUP_BYTES {
                break;
            }
            match work.pop_front() {
                Some(Work::Commit { mut batch, reply }) => {
                    let result = room.clone().map_err(CommitError::from);
                    let result =
                        result.and_then(|()| group.commit(&self.shared.pending(), &state, &mut batch));
                    group.commits.push((reply, (result, batch)));
                }
                Some(Work::Spill { reply, .. }) if group.tight => drop(reply.send(Err(no_room()))),
                Some(Work::Spill { bytes, reply }) => group.chunk(bytes, Target::Spill(reply)),
                Some(Work::Move { id, pieces, reply }) => match group.relocate(&state, id, pieces) {
                    Ok(()) => group.moves.push(reply),
                    Err(e) => drop(reply.send(Err(e))),
                },
                None => break,
            }
        }
        group.look_below(&state);
        group
    }

    /// An empty group.
    pub(super) fn group(&self) -> Group {
        Group { tight: self.log.is_tight(GROUP_BYTES), ..Group::default() }
    }

    /// Writes a group and tells everybody.
    fn finish(&mut self, mut group: Group) {
        match self.write(&mut group) {
            Ok(()) => self.publish(group),
            Err(e) => {
                add(&self.shared.counters.failures, group.commits.len() as u64);
                for (reply, (result, batch)) in group.commits {
                    let failed = result.err().unwrap_or_else(|| e.clone().into());
                    let _ = reply.send((Err(failed), batch));
                }
                group.moves.into_iter().for_each(|reply| drop(reply.send(Err(e.clone()))));
                for chunk in group.chunks {
                    if let Target::Spill(reply) = chunk.target {
                        let _ = reply.send(Err(e.clone()));
                    }
                }
            }
        }
    }

    pub(super) fn write(&mut self, group: &mut Group) -> Result<(), StoreError> {
        group.drop_dead_chunks();
        if group.chunks.is_empty() && group.delta.is_empty() {
            return Ok(());
        }
        if std::mem::replace(&mut self.writing, true) {
            return Err(StoreError::Io(
                "a defect: what was written last is in doubt; start the server anew".into(),
            ));
        }
        if let Some(trouble) = &self.trouble
            && Instant::now() < trouble.until
        {
            self.writing = false;
            return Err(trouble.error.clone());
        }
        let written = self.append(group);
        self.note(&written);
        self.writing = written.is_ok();
        written
    }

    fn append(&mut self, group: &mut Group) -> Result<(), StoreError> {
        let chunks: usize = group.chunks.iter().map(|chunk| record::size(chunk.bytes.len())).sum();
        let rows = if group.delta.is_empty() { 0 } else { group.delta.encoded_bound(group.chunks.len()) };
        let (segment, mut at) = self.log.place(chunks + record::size(rows) + 64)?;
        let mut spilled = Vec::new();
        for chunk in &mut group.chunks {
            let extent = Extent { segment: segment.number, at, len: chunk.bytes.len() as u32 };
            at += record::size(chunk.bytes.len()) as u32;
            match &chunk.target {
                Target::Row(id, index) => set_extent(&mut group.delta, *id, *index, extent),
                Target::Spill(_) => spilled.push(extent),
            }
        }
        let encoded = (!group.delta.is_empty()).then(|| group.delta.encode());
        let mut records: Vec<(Kind, &[u8])> =
            group.chunks.iter().map(|c| (Kind::Chunk, &c.bytes[..])).collect();
        records.extend(encoded.as_deref().map(|rows| (Kind::Rows, rows)));
        self.log.write(&records)?;
        self.answer_spills(group, spilled, &segment);
        if encoded.is_some() { self.log.sync() } else { Ok(()) }
    }

    /// Tells writers of large bodies where their pieces are. They need not be durable yet.
    fn answer_spills(&self, group: &mut Group, extents: Vec<Extent>, segment: &Arc<Segment>) {
        let mut extents = extents.into_iter();
        for chunk in std::mem::take(&mut group.chunks) {
            if let Target::Spill(reply) = chunk.target
                && let Some(extent) = extents.next()
            {
                let _ = reply.send(Ok(Spilled { extent, segment: segment.clone() }));
            }
        }
    }

    /// Remembers a failure of the device, or that it is over.
    fn note(&mut self, written: &Result<(), StoreError>) {
        for from in self.log.take_lost() {
            self.shared.pending().lose(from);
        }
        match written {
            Err(error @ (StoreError::Io(_) | StoreError::Corrupt(_))) => {
                let pause = self.trouble.as_ref().map_or(BACKOFF.0, |t| (t.pause * 2).min(BACKOFF.1));
                tracing::error!(%error, "the log could not be written; trying a new segment in {pause:?}");
                self.trouble = Some(Trouble { error: error.clone(), until: Instant::now() + pause, pause });
            }
            Err(_) => {}
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!("the log can be written again");
                    self.shared.request_checkpoint();
                }
            }
        }
    }

    /// Lets everybody see a group that is durable.
    pub(super) fn publish(&mut self, group: Group) {
        let shared = &self.shared;
        let position = self.log.durable();
        if !group.delta.is_empty() {
            add(&shared.counters.groups, 1);
            group.account(shared);
            let keys = Keys::of(&group.delta);
            let gone: Vec<BlobId> =
                group.delta.blobs.iter().filter(|(_, c)| c.after.is_none()).map(|(id, _)| *id).collect();
            let rows: Vec<(BlobId, Option<BlobRow>)> = group
                .first
                .keys()
                .map(|id| (*id, group.delta.blobs.get(id).and_then(|change| change.after.clone())))
                .collect();
            shared.publish(group.delta, position, group.base.as_ref());
            let mut written = Vec::with_capacity(rows.len());
            let mut pending = shared.pending();
            for (id, row) in rows {
                let pin = row.as_ref().and_then(|r| shared.segments.get(r.extents.last()?.segment));
                let used = group.first.get(&id).map_or(0, |first| first.used);
                let body = pending.linked(id, used, row.as_ref(), pin.as_ref());
                written.extend(body.filter(|_| row.is_some()).map(|body| (id, body)));
            }
            drop(pending);
            let mut recent = shared.recent();
            written.into_iter().for_each(|(id, body)| recent.keep(id, body));
            gone.into_iter().for_each(|id| recent.forget(id));
            drop(recent);
            shared.watchers.wrote_all(keys.iter());
        }
        for (reply, answer) in group.commits {
            shared.count(&answer.0);
            let _ = reply.send(answer);
        }
        group.moves.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
        self.writing = false;
    }
}

/// Writes groups until the engine is closed and nothing waits.
pub(super) fn run(shared: &Shared, committer: &Mutex<Committer>) {
    let committer = || committer.lock().unwrap_or_else(PoisonError::into_inner);
    let mut work = VecDeque::new();
    while !work.is_empty() || shared.take(&mut work) {
        let (enough, patience) = match work.front() {
            Some(Work::Commit { .. }) => committer().crowd.patience(),
            _ => (0, Duration::ZERO),
        };
        shared.queue.take_more(&mut work, enough, patience);
        let room = shared.wait_for_room();
        // Whose work it was gets no answer to it; everybody else is served.
        let written = catch_unwind(AssertUnwindSafe(|| committer().write_some(&mut work, room)));
        if written.is_err() {
            tracing::error!(
                "writing a group ended by a defect; those who wait for it are told that it failed"
            );
        }
    }
    if let Err(error) = committer().log.close() {
        tracing::warn!(%error, "the log was not ended in good order; nothing acknowledged is lost");
    }
}

impl Shared {
    pub(super) fn count(&self, result: &Result<Committed, CommitError>) {
        let counter = match result {
            Ok(_) => &self.counters.commits,
            Err(CommitError::Conflict) => &self.counters.conflicts,
            Err(_) => &self.counters.failures,
        };
        add(counter, 1);
    }
}

fn set_extent(delta: &mut Delta, id: BlobId, index: usize, extent: Extent) {
    let row = delta.blobs.get_mut(&id).and_then(|change| change.after.as_mut());
    if let Some(place) = row.and_then(|row| row.extents.get_mut(index)) {
        *place = extent;
    }
}

fn no_room() -> StoreError {
    StoreError::NoSpace("new bodies: the disk is nearly full".into())
}

/// Where a piece will be is known when the group is placed.
const NOWHERE: Extent = Extent { segment: 0, at: 0, len: 0 };

impl Group {
    pub(super) fn commit(
        &mut self,
        pending: &Pending,
        state: &State,
        batch: &mut Batch,
    ) -> Result<Committed, CommitError> {
        let view = GroupView { group: self, pending, state, found: RefCell::default() };
        let Resolved { rows, owners, committed } = resolve(batch, &view)?;
        let mut found = view.found.into_inner();
        // All that may fail comes before the first change.
        let mut before = Vec::with_capacity(owners.len());
        for change in &owners {
            let row = match found.remove(&change.blob) {
                Some(row) => row,
                None => self.blob(state, change.blob)?,
            };
            if row.is_none() && change.after > 0 {
                let body = pending.get(change.blob).ok_or(StoreError::NoBlob(change.blob))?;
                if self.tight && !body.tail.is_empty() {
                    return Err(no_room().into());
                }
            }
            before.push(row);
        }
        for (change, before) in owners.into_iter().zip(before) {
            let row = match (&before, change.after) {
                (_, 0) => None,
                (Some(row), owners) => Some(BlobRow { owners, ..row.clone() }),
                (None, owners) => Some(BlobRow { owners, ..self.first_row(pending, change.blob) }),
            };
            self.set_blob(change.blob, before, row);
        }
        for (key, value) in rows {
            self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
            self.delta.rows.insert(key, value);
        }
        Ok(committed)
    }

    /// Finds out what of it is only in memory, when it is complete.
    pub(super) fn look_below(&mut self, state: &State) {
        // Without the index, what is gone has to be remembered: that is all.
        let _ = state.find_unborn(&mut self.delta);
        self.base = state.base.clone();
    }

    /// The row of a body as the next batch sees it.
    fn blob(&self, state: &State, id: BlobId) -> Result<Option<BlobRow>, StoreError> {
        match self.delta.blobs.get(&id) {
            Some(known) => Ok(known.after.clone()),
            None => state.blob(id),
        }
    }

    fn set_blob(&mut self, id: BlobId, before: Option<BlobRow>, after: Option<BlobRow>) {
        match self.delta.blobs.get_mut(&id) {
            Some(known) => known.after = after,
            None => drop(self.delta.blobs.insert(id, BlobChange { before, after })),
        }
    }

    /// The row of a body that gets its first owner; what is not in the log yet goes with this group.
    fn first_row(&mut self, pending: &Pending, id: BlobId) -> BlobRow {
        if let Some(first) = self.first.get_mut(&id) {
            first.used += 1;
            return first.row.clone();
        }
        let body = pending.get(id).cloned().unwrap_or_default();
        let mut row = BlobRow { owners: 0, size: body.size, extents: body.extents };
        if !body.tail.is_empty() {
            row.extents.push(NOWHERE);
            self.chunk(body.tail, Target::Row(id, row.extents.len() - 1));
        }
        self.first.insert(id, First { row: row.clone(), used: 1 });
        row
    }

    fn chunk(&mut self, bytes: Bytes, target: Target) {
        self.bytes += record::size(bytes.len());
        self.chunks.push(Chunk { bytes, target });
    }

    /// Gives pieces of a body with owners new places.
    fn relocate(
        &mut self,
        state: &State,
        id: BlobId,
        pieces: Vec<(Extent, Bytes)>,
    ) -> Result<(), StoreError> {
        let before = self.blob(state, id)?;
        let Some(mut row) = before.clone() else { return Ok(()) };
        for (from, bytes) in pieces {
            if let Some(index) = row.extents.iter().position(|extent| *extent == from) {
                row.extents[index] = NOWHERE;
                self.chunk(bytes, Target::Row(id, index));
            }
        }
        self.set_blob(id, before, Some(row));
        Ok(())
    }

    /// Pieces of bodies whose last owner left in the same group need not be written.
    fn drop_dead_chunks(&mut self) {
        let blobs = &self.delta.blobs;
        self.chunks.retain(|chunk| match &chunk.target {
            Target::Row(id, _) => blobs.get(id).is_some_and(|change| change.after.is_some()),
            Target::Spill(reply) => !reply.is_closed(),
        });
    }

    fn account(&self, shared: &Shared) {
        for (id, change) in &self.delta.blobs {
            shared.segments.account(change.before.as_ref(), change.after.as_ref());
            if change.after.is_none() && (change.before.is_some() || self.first.contains_key(id)) {
                shared.garbage.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }
}

/// The keys that a group writes, one behind the other: a handle for each would cost more than its octets.
struct Keys {
    octets: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    fn of(delta: &Delta) -> Self {
        let mut keys = Self { octets: Vec::new(), ends: Vec::with_capacity(delta.rows.len()) };
        for key in delta.rows.keys() {
            keys.octets.extend_from_slice(key);
            keys.ends.push(keys.octets.len());
        }
        keys
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut from = 0;
        self.ends.iter().map(move |end| &self.octets[std::mem::replace(&mut from, *end)..*end])
    }
}

/// What a batch sees: the batches of its group before it, memory, the index.
struct GroupView<'a> {
    group: &'a Group,
    pending: &'a Pending,
    state: &'a State,
    /// The rows of bodies that were asked for.
    found: RefCell<ByBlob<Option<BlobRow>>>,
}

impl View for GroupView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.group.delta.rows.get(key) {
            Some(known) => Ok(known.clone()),
            None => self.state.get(key),
        }
    }

    fn held(&self, blob: BlobId) -> Result<Option<Held>, StoreError> {
        let row = self.group.blob(self.state, blob)?;
        let owners = row.as_ref().map(|row| row.owners);
        self.found.borrow_mut().insert(blob, row);
        if let Some(owners) = owners {
            return Ok(Some(Held { owners }));
        }
        let used = self.group.first.get(&blob).map_or(0, |first| first.used);
        Ok(self.pending.holds(blob, used)?.then_some(Held { owners: 0 }))
    }
}
