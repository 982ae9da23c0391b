//! The writing end of the log. One thread owns it.
//!
//! A group of records is one write, and one sync if it holds rows. A segment begins with a record
//! that says where the one before it ends, so that a replay knows a torn tail from damage; the one
//! before is durable by then. After a failed write or sync the segment is given up: nothing is
//! written to that file again, and the next segment's first record leaves the unknown end out.

use std::io::IoSlice;
use std::sync::Arc;

use iems_core::storage::StoreError;

use super::disk::{Disk, DiskFile};
use super::options::EmbeddedOptions;
use super::record::{self, ALIGN, HEADER, Header, Kind};
use super::segment::{self, Position, Segment, Segments};
use super::spares::Spares;
use super::stats::{Counters, add};

/// Length of the payload of an opening record.
const OPENING: usize = 12;
/// What the system reads and writes at once.
const PAGE: u32 = 4096;
/// From how many bytes a sync on, it costs more to write zeros first than it saves.
const MUCH: u32 = 16 << 10;
/// Syncs of less, in a row, after which blocks are filled ahead.
const SETTLED: u32 = 8;
/// How much is filled ahead at once, in bytes: hundreds of small groups, in less time than three of them take without.
const RUNWAY: u32 = if cfg!(test) { 16 << 10 } else { 256 << 10 };

/// The writing end of the log.
#[derive(Debug)]
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    spares: Arc<Spares>,
    counters: Arc<Counters>,
    segment_bytes: u32,
    /// Bytes of disk that new bodies may not take.
    reserve: u64,
    active: Option<Active>,
    /// Up to where the log is durable.
    durable: Position,
    next: u64,
    /// The last segment was given up: look twice at the next one.
    distrust: bool,
    /// Ends of segments that were given up, until they are asked for.
    lost: Vec<Position>,
    /// Syncs in a row that took little along.
    small: u32,
}

#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    end: u32,
    durable: u32,
    /// Up to here its blocks were written before: a sync of them needs no journal.
    ready: u32,
}

impl Log {
    /// A log that goes on after `durable`, with segment `next`.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        segments: Arc<Segments>,
        spares: Arc<Spares>,
        counters: Arc<Counters>,
        options: &EmbeddedOptions,
        durable: Position,
        next: u64,
    ) -> Self {
        let segment_bytes = options.segment_bytes.clamp(4096, 1 << 30);
        Self {
            disk,
            segments,
            spares,
            counters,
            segment_bytes,
            reserve: options.reserve(),
            active: None,
            durable,
            next,
            distrust: false,
            lost: Vec::new(),
            small: 0,
        }
    }

    /// Up to where everything is durable.
    pub(super) fn durable(&self) -> Position {
        self.durable
    }

    /// From where on segments were given up since this was last asked.
    pub(super) fn take_lost(&mut self) -> Vec<Position> {
        std::mem::take(&mut self.lost)
    }

    /// Whether the disk is so full that new bodies are to be refused. What is left is for deliveries,
    /// deletions and checkpoints, by which a full store is emptied.
    pub(super) fn is_tight(&self, group: usize) -> bool {
        let left = self.active.as_ref().map_or(0, |active| self.segment_bytes.saturating_sub(active.end));
        if left as usize > (2 * group).min(self.segment_bytes as usize / 2) {
            return false;
        }
        let segment = u64::from(self.segment_bytes);
        let room = |free| free + self.spares.len() as u64 * segment;
        matches!(self.disk.free(), Ok(Some(free)) if room(free) < self.reserve + segment)
    }

    /// Makes room for a group of `bytes`, and says where its first record will be.
    pub(super) fn place(&mut self, bytes: usize) -> Result<(Arc<Segment>, u32), StoreError> {
        let full =
            |active: &Active| active.end > 0 && active.end as usize + bytes > self.segment_bytes as usize;
        if self.active.as_ref().is_some_and(full) {
            self.sync()?;
            self.active = None;
        }
        if self.active.as_ref().is_some_and(|active| self.may_leave(active)) {
            self.sync()?;
            if let Some(active) = self.active.take() {
                // What it does not need any more is given back; nothing depends on that.
                let _ = active.file.set_len(u64::from(active.end));
            }
        }
        if self.active.is_none() {
            self.begin(bytes)?;
        }
        let active = self.active.as_ref().ok_or(StoreError::Closed)?;
        let opening = if active.end == 0 { record::size(OPENING) as u32 } else { 0 };
        Ok((active.segment.clone(), active.end + opening))
    }

    /// Whether there is a better segment to go on with: a file to be written over, while the rest of this one is new to the disk
    /// and most of it.
    fn may_leave(&self, active: &Active) -> bool {
        active.end >= active.ready.max(1) && active.end < self.segment_bytes / 2 && self.spares.len() > 0
    }

    /// Fills the blocks that come next with zeros where small groups follow each other: the journal would write more, and each
    /// sync would wait for it. Behind the end there is nothing that a start believes, before and after: however much of the zeros
    /// a crash keeps, nobody can tell.
    fn fill_ahead(&mut self, end: u32) {
        let Some(active) = self.active.as_mut().filter(|active| active.ready < end) else { return };
        let from = active.end.max(active.ready).next_multiple_of(PAGE);
        let to = (from + RUNWAY).min(self.segment_bytes / PAGE * PAGE);
        if self.small < SETTLED || from >= to {
            return;
        }
        match active.file.fill(u64::from(from), (to - from) as usize) {
            Ok(()) => {
                add(&self.counters.bytes_filled, u64::from(to - from));
                active.ready = to;
            }
            Err(error) => {
                tracing::debug!(%error, "nothing was filled ahead");
                self.small = 0;
            }
        }
    }

    /// Whether the segment in use has room for so many bytes, and none is better.
    pub(super) fn has_place(&self, bytes: usize) -> bool {
        self.active.as_ref().is_some_and(|active| {
            !self.may_leave(active) && active.end as usize + bytes <= self.segment_bytes as usize
        })
    }

    /// Writes the records of a group where [`Log::place`] said. Not durable yet.
    pub(super) fn write(&mut self, records: &[(Kind, &[u8])]) -> Result<(), StoreError> {
        const PADDING: [u8; ALIGN] = [0; ALIGN];
        static REST: [u8; PAGE as usize] = [0; PAGE as usize];
        let Some(active) = self.active.as_ref() else { return Err(StoreError::Closed) };
        let opening = opening(self.durable);
        let first = (active.end == 0).then_some((Kind::Open, &opening[..]));
        let mut at = active.end;
        let mut headers = Vec::with_capacity(records.len() + 1);
        for (kind, payload) in first.iter().chain(records) {
            headers.push(Header::new(*kind, active.segment.number, at, active.durable, payload).encode());
            at = (at as usize + record::size(payload.len())) as u32;
        }
        self.fill_ahead(at);
        let Some(active) = self.active.as_mut() else { return Err(StoreError::Closed) };
        let mut parts = Vec::with_capacity(3 * headers.len() + 1);
        for (header, (_, payload)) in headers.iter().zip(first.iter().chain(records)) {
            let padding = record::size(payload.len()) - HEADER - payload.len();
            parts.extend([IoSlice::new(header), IoSlice::new(payload), IoSlice::new(&PADDING[..padding])]);
        }
        if at.next_multiple_of(PAGE) <= active.ready {
            // With all of its last page, nothing of what was there before has to be read for that.
            parts.push(IoSlice::new(&REST[..(at.next_multiple_of(PAGE) - at) as usize]));
        }
        parts.retain(|part| !part.is_empty());
        if let Err(e) = active.file.write_at(u64::from(active.end), &parts) {
            let error = super::store_error(e);
            self.take_back(&error);
            return Err(error);
        }
        add(&self.counters.log_bytes, u64::from(at - active.end));
        active.end = at;
        active.segment.set_end(at);
        Ok(())
    }

    /// Makes everything written durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        if active.end == active.durable {
            return Ok(());
        }
        add(&self.counters.syncs, 1);
        let synced = active.file.sync().map_err(super::store_error);
        let number = active.segment.number;
        let proven = synced.and_then(|()| if self.distrust { prove(&*self.disk, number) } else { Ok(()) });
        if let Err(error) = proven {
            self.give_up();
            // Whatever the system calls it, the outcome is unknown.
            return Err(StoreError::Io(error.to_string()));
        }
        self.distrust = false;
        let small = active.end - active.durable < MUCH;
        self.small = if small { self.small.saturating_add(1) } else { 0 };
        active.durable = active.end;
        self.durable = Position { segment: number, at: active.end };
        Ok(())
    }

    /// Ends the log in good order: what is prepared after its end is given back, so that the next start
    /// has nothing to look through.
    pub(super) fn close(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        let Some(active) = self.active.take() else { return Ok(()) };
        active
            .file
            .set_len(u64::from(active.end))
            .and_then(|()| active.file.sync())
            .map_err(super::store_error)
    }

    /// Undoes a write that failed for want of space, so that a crash cannot bring it to life.
    fn take_back(&mut self, error: &StoreError) {
        let Some(active) = self.active.as_mut() else { return };
        let erase = || {
            active.file.write_at(u64::from(active.end), &[IoSlice::new(&[0; HEADER])])?;
            active.file.sync()
        };
        if matches!(error, StoreError::NoSpace(_)) && erase().is_ok() {
            active.durable = active.end;
            if active.end > 0 {
                self.durable = Position { segment: active.segment.number, at: active.end };
            }
        } else {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.distrust = true;
        if let Some(active) = self.active.take() {
            self.lost.push(Position { segment: active.segment.number, at: active.durable });
        }
    }

    fn begin(&mut self, bytes: usize) -> Result<(), StoreError> {
        let number = self.next;
        let path = segment::path(number);
        let room = u64::from(self.segment_bytes).max(bytes as u64 + 4096);
        let mut written = 0;
        let begun = match self.spares.take() {
            Some(dead) => {
                add(&self.counters.segments_recycled, 1);
                self.disk.rename(&segment::path(dead), &path).and_then(|()| self.disk.open(&path))
            }
            None => {
                add(&self.counters.segments_created, 1);
                self.disk.create(&path)
            }
        };
        // A number is used once, whatever became of it.
        self.next += 1;
        let ready = begun.and_then(|file| {
            // One that ended early was cut: it has no more blocks than that.
            written = file.len()?.min(u64::from(self.segment_bytes)) as u32 / PAGE * PAGE;
            file.allocate(room)?;
            self.disk.sync_dir(segment::FOLDER)?;
            Ok(file)
        });
        match ready {
            Ok(file) => {
                let segment = Segment::new(number, &self.segments.handles, 0, 0);
                self.segments.insert(segment.clone());
                self.active = Some(Active { segment, file, end: 0, durable: 0, ready: written });
                Ok(())
            }
            Err(e) => {
                let _ = self.disk.remove(&path);
                Err(super::store_error(e))
            }
        }
    }
}

/// The payload of the first record of a segment: where the log was durable before it.
fn opening(before: Position) -> [u8; OPENING] {
    let mut payload = [0; OPENING];
    payload[..8].copy_from_slice(&before.segment.to_le_bytes());
    payload[8..].copy_from_slice(&before.at.to_le_bytes());
    payload
}

/// Where the segment before ends, from the payload of a segment's first record.
pub(super) fn parse_opening(payload: &[u8]) -> Option<Position> {
    let payload: &[u8; OPENING] = payload.try_into().ok()?;
    let (segment, at) = payload.split_at(8);
    Some(Position {
        segment: u64::from_le_bytes(segment.try_into().ok()?),
        at: u32::from_le_bytes(at.try_into().ok()?),
    })
}

/// Reads the first record of a segment back through a new handle.
fn prove(disk: &dyn Disk, number: u64) -> Result<(), StoreError> {
    let mut bytes = [0; HEADER + OPENING];
    let file = disk.open(&segment::path(number)).map_err(super::store_error)?;
    file.read_at(0, &mut bytes).map_err(super::store_error)?;
    match Header::decode(&bytes, number, 0) {
        Some(header) if header.matches(&bytes[HEADER..]) => Ok(()),
        _ => Err(StoreError::Io("what was written could not be read back".into())),
    }
}
