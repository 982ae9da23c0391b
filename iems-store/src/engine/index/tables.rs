//! Writing to the index: what a checkpoint moves in, in the order of keys, so that each page is touched once.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::ops::Bound;

use iems_core::storage::BlobId;
use redb::{CursorError, Key, ReadableTable, Table, Value, WriteTransaction};

use super::{APPLIED, BLOBS, LIVE, PIECES, ROWS};
use crate::engine::memtable::Memtable;
use crate::engine::row::BlobRow;
use crate::engine::segment::Position;

/// From how many rows on a run of keys goes in through one gap.
const RUN: usize = 8;

/// The tables, open to be written. If that panics, they stay open for good.
pub(super) struct Tables<'a> {
    rows: ManuallyDrop<Table<'a, &'static [u8], &'static [u8]>>,
    blobs: ManuallyDrop<Table<'a, &'static [u8; 32], &'static [u8]>>,
    live: ManuallyDrop<Table<'a, u64, u64>>,
    pieces: ManuallyDrop<Table<'a, (u64, &'static [u8; 32]), ()>>,
    applied: ManuallyDrop<Table<'a, (), (u64, u32)>>,
}

impl<'a> Tables<'a> {
    pub(super) fn open(write: &'a WriteTransaction) -> Result<Self, redb::Error> {
        let rows = ManuallyDrop::new(write.open_table(ROWS));
        let blobs = ManuallyDrop::new(write.open_table(BLOBS));
        let live = ManuallyDrop::new(write.open_table(LIVE));
        let pieces = ManuallyDrop::new(write.open_table(PIECES));
        let applied = ManuallyDrop::new(write.open_table(APPLIED));
        // From here on nothing panics.
        let (rows, blobs) = (ManuallyDrop::into_inner(rows), ManuallyDrop::into_inner(blobs));
        let (live, pieces) = (ManuallyDrop::into_inner(live), ManuallyDrop::into_inner(pieces));
        let applied = ManuallyDrop::into_inner(applied)?;
        let (rows, blobs, live, pieces) = (rows?, blobs?, live?, pieces?);
        Ok(Self {
            rows: ManuallyDrop::new(rows),
            blobs: ManuallyDrop::new(blobs),
            live: ManuallyDrop::new(live),
            pieces: ManuallyDrop::new(pieces),
            applied: ManuallyDrop::new(applied),
        })
    }

    pub(super) fn close(self) {
        drop(ManuallyDrop::into_inner(self.rows));
        drop(ManuallyDrop::into_inner(self.blobs));
        drop(ManuallyDrop::into_inner(self.live));
        drop(ManuallyDrop::into_inner(self.pieces));
        drop(ManuallyDrop::into_inner(self.applied));
    }
}

/// Whether two keys share the first half and more, so that nothing else is likely to stand between them: they differ in their
/// last numbers only.
fn follows(one: &[u8], next: &[u8]) -> bool {
    let half = one.len() / 2 + 1;
    one.len() == next.len() && one.get(..half).is_some_and(|head| next.starts_with(head))
}

/// Which pieces of bodies come and go, and what that means for their segments.
#[derive(Default)]
struct Moved {
    gone: Vec<(u64, BlobId)>,
    new: Vec<(u64, BlobId)>,
    /// How the living bytes of each segment change.
    live: BTreeMap<u64, i64>,
}

impl Moved {
    fn body(&mut self, id: BlobId, before: Option<&BlobRow>, after: Option<&BlobRow>) {
        if before.map(|row| &row.extents) == after.map(|row| &row.extents) {
            return;
        }
        for (segment, bytes) in BlobRow::by_segment(before) {
            *self.live.entry(segment).or_default() -= bytes as i64;
            self.gone.push((segment, id));
        }
        for (segment, bytes) in BlobRow::by_segment(after) {
            *self.live.entry(segment).or_default() += bytes as i64;
            self.new.push((segment, id));
        }
    }
}

impl Tables<'_> {
    /// Moves a memtable in, and remembers that the log is applied up to `position`.
    pub(super) fn apply(&mut self, memtable: &Memtable, position: Position) -> Result<(), redb::Error> {
        let rows: Vec<_> = memtable.rows.iter().collect();
        for run in rows
            .chunk_by(|(one, value), (next, after)| value.is_some() && after.is_some() && follows(one, next))
        {
            match run.len() >= RUN {
                true => {
                    let new = run.iter().filter_map(|(key, value)| Some((&key[..], value.as_deref()?)));
                    set_run(&mut self.rows, new)?;
                }
                false => run.iter().try_for_each(|(key, value)| self.set_row(key, value.as_deref()))?,
            }
        }
        let mut blobs: Vec<_> = memtable.blobs.iter().collect();
        blobs.sort_unstable_by_key(|(id, _)| **id);
        let (mut moved, mut encoded) = (Moved::default(), Vec::new());
        for (id, row) in blobs {
            let before = self.set_blob(*id, row.as_ref(), &mut encoded)?;
            moved.body(*id, before.as_ref(), row.as_ref());
        }
        self.move_pieces(moved)?;
        self.applied.insert((), (position.segment, position.at))?;
        Ok(())
    }

    fn set_row(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), redb::Error> {
        match value {
            Some(value) => drop(self.rows.insert(key, value)?),
            // Most of what was removed came after the last checkpoint: look before touching pages.
            None if self.rows.get(key)?.is_none() => {}
            None => drop(self.rows.remove(key)?),
        }
        Ok(())
    }

    /// Sets the row of a body, and returns the one before it.
    fn set_blob(
        &mut self,
        id: BlobId,
        row: Option<&BlobRow>,
        encoded: &mut Vec<u8>,
    ) -> Result<Option<BlobRow>, redb::Error> {
        let before = match row {
            Some(row) => {
                encoded.clear();
                row.encode(encoded);
                self.blobs.insert(&id.0, &encoded[..])?
            }
            None if self.blobs.get(&id.0)?.is_none() => None,
            None => self.blobs.remove(&id.0)?,
        };
        Ok(before.and_then(|before| BlobRow::decode(before.value())))
    }

    fn move_pieces(&mut self, moved: Moved) -> Result<(), redb::Error> {
        let Moved { mut gone, mut new, live } = moved;
        gone.sort_unstable();
        for (segment, id) in &gone {
            self.pieces.remove((*segment, &id.0))?;
        }
        new.sort_unstable();
        new.dedup();
        for run in new.chunk_by(|(one, _), (next, _)| one == next) {
            let mut keys = run.iter().map(|(segment, id)| ((*segment, &id.0), ()));
            let first = run.first().map_or(0, |(segment, _)| *segment);
            let whole = (first, &[0; 32])..=(first, &[0xFF; 32]);
            // Between those that are there already, few would find one gap.
            match run.len() >= RUN && self.pieces.range(whole)?.next().is_none() {
                true => set_run(&mut self.pieces, keys)?,
                false => keys.try_for_each(|(key, ())| self.pieces.insert(key, ()).map(drop))?,
            }
        }
        for (segment, change) in live {
            let bytes = self.live.get(segment)?.map_or(0, |l| l.value()).saturating_add_signed(change);
            match bytes {
                0 => drop(self.live.remove(segment)?),
                bytes => drop(self.live.insert(segment, bytes)?),
            }
        }
        Ok(())
    }
}

/// Sets pairs whose keys are in order. What is new goes in through one gap, which fills pages whole: row by row, each would stay half
/// empty, because a page that is full is halved and the next row only comes behind it.
fn set_run<'k, K: Key + 'static, V: Value + 'static>(
    table: &mut Table<'_, K, V>,
    pairs: impl Iterator<Item = (K::SelfType<'k>, V::SelfType<'k>)>,
) -> Result<(), redb::Error> {
    let mut rest = pairs.peekable();
    while let Some((key, value)) = rest.next() {
        if table.insert(&key, &value)?.is_some() {
            continue;
        }
        let mut gap = ManuallyDrop::new(table.upper_bound_mut(Bound::Included(&key))?);
        let filled = loop {
            let Some((key, value)) = rest.peek() else { break Ok(()) };
            match gap.insert_before(key, value) {
                Ok(()) => drop(rest.next()),
                // It is there, or something else is before it.
                Err(CursorError::UnorderedKey) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let closed = ManuallyDrop::into_inner(gap).close();
        filled?;
        closed?;
    }
    Ok(())
}
