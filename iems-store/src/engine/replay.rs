//! Reading the log after a start: which segments follow each other, and what their records say.
//!
//! The end of the last segment may be torn: what comes after the first bad record was never
//! acknowledged. Everywhere else a bad record is damage, and so is one that a later record says was
//! durable; then nothing is opened, because going on would lose what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use iems_core::storage::StoreError;

use super::disk::{Disk, DiskFile};
use super::log::parse_opening;
use super::record::{self, ALIGN, HEADER, Header, Kind};
use super::row::{BlobChange, Delta, Rows};
use super::segment::{self, Position, Segments};
use super::state::State;

/// Bytes read at once.
const WINDOW: usize = 1 << 20;

/// The segments to read, oldest first.
pub(super) struct Chain {
    links: Vec<Link>,
    /// Files after the last segment that hold nothing.
    pub(super) unused: Vec<u64>,
}

struct Link {
    number: u64,
    from: u32,
    /// Where it ends, as the next one says; the last one's end is to be found.
    end: Option<u32>,
}

impl Chain {
    /// Finds out how the segments `numbers` (ascending) follow the place up to where the index is.
    pub(super) fn find(disk: &dyn Disk, numbers: &[u64], applied: Position) -> Result<Self, StoreError> {
        let known: BTreeSet<u64> = numbers.iter().copied().collect();
        if applied.segment > 0 && !known.contains(&applied.segment) {
            return Err(missing(applied.segment));
        }
        let mut unused = Vec::new();
        let mut last = applied.segment;
        for &number in numbers.iter().rev().take_while(|number| **number > applied.segment) {
            let mut reader = Reader::open(disk, number)?;
            if reader.opening()?.is_some() {
                last = number;
                break;
            }
            reader.refuse_damage(0)?;
            unused.push(number);
        }
        let mut links = Vec::new();
        let (mut number, mut end) = (last, None);
        while number > applied.segment {
            links.push(Link { number, from: 0, end });
            let before = Reader::open(disk, number)?.opening()?.ok_or_else(|| damage(number, 0))?;
            if before.segment >= number || before < applied {
                return Err(damage(number, 0));
            }
            if before.segment > 0 && !known.contains(&before.segment) {
                return Err(missing(before.segment));
            }
            (number, end) = (before.segment, Some(before.at));
        }
        if number > 0 {
            links.push(Link { number, from: applied.at, end });
        }
        links.reverse();
        // Segments that were given up stand between the links.
        let linked: BTreeSet<u64> = links.iter().map(|link| link.number).collect();
        let given_up = numbers.iter().filter(|n| **n > applied.segment && **n < last && !linked.contains(n));
        unused.extend(given_up);
        Ok(Self { links, unused })
    }

    /// Applies the records to `state`; returns where the log ends.
    pub(super) fn replay(
        &self,
        disk: &dyn Disk,
        state: &mut State,
        segments: &Segments,
    ) -> Result<Position, StoreError> {
        let mut position = state.position;
        for link in &self.links {
            let at = replay_segment(disk, link, state, segments)?;
            position = Position { segment: link.number, at };
            state.position = position;
        }
        Ok(position)
    }
}

fn replay_segment(
    disk: &dyn Disk,
    link: &Link,
    state: &mut State,
    segments: &Segments,
) -> Result<u32, StoreError> {
    let mut reader = Reader::open(disk, link.number)?;
    let mut at = link.from;
    while link.end.is_none_or(|end| at < end) {
        let Some((header, payload)) = reader.record(at)? else { break };
        if header.kind == Kind::Rows {
            let rows = Rows::decode(&payload).ok_or_else(|| damage(link.number, at))?;
            apply(rows, state, segments)?;
        }
        at += record::size(payload.len()) as u32;
    }
    match link.end {
        None => reader.refuse_damage(at).map(|()| at),
        Some(end) if end == at => Ok(at),
        Some(_) => Err(damage(link.number, at)),
    }
}

fn apply(rows: Rows, state: &mut State, segments: &Segments) -> Result<(), StoreError> {
    let mut delta = Delta { rows: rows.rows.into_iter().collect(), ..Delta::default() };
    for (id, after) in rows.blobs {
        let before = state.blob(id)?;
        segments.account(before.as_ref(), after.as_ref());
        delta.blobs.insert(id, BlobChange { before, after });
    }
    state.find_unborn(&mut delta)?;
    let (position, base) = (state.position, state.base.clone());
    state.publish(delta, position, base.as_ref());
    Ok(())
}

fn damage(number: u64, at: u32) -> StoreError {
    StoreError::Corrupt(format!("{} is not what was written, at {at}", segment::path(number)))
}

fn missing(number: u64) -> StoreError {
    StoreError::Corrupt(format!("{} is missing", segment::path(number)))
}

/// Reads records one after the other.
struct Reader {
    number: u64,
    file: Arc<dyn DiskFile>,
    len: u64,
    window: Bytes,
    window_at: u64,
}

impl Reader {
    fn open(disk: &dyn Disk, number: u64) -> Result<Self, StoreError> {
        let file = disk.open(&segment::path(number)).map_err(super::store_error)?;
        let len = file.len().map_err(super::store_error)?;
        Ok(Self { number, file, len, window: Bytes::new(), window_at: 0 })
    }

    /// Where the segment before ends, if this one was begun.
    fn opening(&mut self) -> Result<Option<Position>, StoreError> {
        let first = self.record(0)?;
        Ok(first
            .filter(|(header, _)| header.kind == Kind::Open)
            .and_then(|(_, payload)| parse_opening(&payload)))
    }

    /// The record at `at`, if there is a good one.
    fn record(&mut self, at: u32) -> Result<Option<(Header, Bytes)>, StoreError> {
        let Some(head) = self.bytes(u64::from(at), HEADER)? else { return Ok(None) };
        let Some(header) = Header::decode(&head, self.number, at) else { return Ok(None) };
        let payload = self.bytes(u64::from(at) + HEADER as u64, header.len as usize)?;
        Ok(payload.filter(|payload| header.matches(payload)).map(|payload| (header, payload)))
    }

    /// Bytes of the file; `None` if it ends before.
    fn bytes(&mut self, at: u64, length: usize) -> Result<Option<Bytes>, StoreError> {
        if at + length as u64 > self.len {
            return Ok(None);
        }
        let inside = at >= self.window_at && at + length as u64 <= self.window_at + self.window.len() as u64;
        if !inside {
            let mut window = vec![0; length.max(WINDOW).min((self.len - at) as usize)];
            self.file.read_at(at, &mut window).map_err(super::store_error)?;
            (self.window, self.window_at) = (window.into(), at);
        }
        let from = (at - self.window_at) as usize;
        Ok(Some(self.window.slice(from..from + length)))
    }

    /// An error if a good record after `bad` says that `bad` was durable when it was written.
    fn refuse_damage(&mut self, bad: u32) -> Result<(), StoreError> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let number = self.number.to_le_bytes();
        // A header has the segment's number as its second eight bytes.
        let mut at = u64::from(bad) + 2 * ALIGN as u64;
        while at < self.len {
            let length = (WINDOW as u64).min(self.len - at) as usize;
            let Some(window) = self.bytes(at, length)? else { break };
            for (block, bytes) in
                window.chunks(ZEROS.len()).enumerate().filter(|(_, b)| **b != ZEROS[..b.len()])
            {
                let words = bytes.chunks_exact(ALIGN).enumerate().filter(|(_, word)| **word == number);
                for (word, _) in words {
                    let record = at + (block * ZEROS.len() + word * ALIGN) as u64 - ALIGN as u64;
                    let record = self.record(u32::try_from(record).unwrap_or(u32::MAX))?;
                    if record.is_some_and(|(header, _)| header.durable > bad) {
                        return Err(damage(self.number, bad));
                    }
                }
            }
            at += length as u64;
        }
        Ok(())
    }
}
