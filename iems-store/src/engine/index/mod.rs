//! The index: what checkpoints moved out of memory, in one redb file.
//!
//! Written by checkpoints only, read through snapshots that last from one to the next. Errors are
//! those of [`StoreError`]; after one of writing, the file is to be opened anew. redb reports most pages that make no sense,
//! and panics at some: that is an error here, too, and ends with it ([`guarded`]).
//!
//! Commits are in two phases, with quick repair. redb's one-phase commit trusts a checksum that is
//! not cryptographic, and the rows hold what strangers sent (addresses, subjects), so they could try
//! to shape pages for which a half-written commit looks whole. The log would not notice, because a
//! checkpoint says up to where it is applied. The second sync costs well under a millisecond every
//! some seconds, off the path of any reply; quick repair makes opening after a crash take
//! milliseconds whatever the size.

mod tables;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::mem::ManuallyDrop;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use iems_core::storage::{BlobId, StoreError};
use redb::{Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, StorageBackend, TableDefinition};

use super::disk::{Disk, DiskFile};
use super::memtable::Memtable;
use super::row::BlobRow;
use super::segment::Position;
use super::stats::{Counters, add};
use tables::Tables;

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
const BLOBS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("blobs");
/// Living bytes by segment.
const LIVE: TableDefinition<u64, u64> = TableDefinition::new("live");
/// (segment, blob): which bodies have a piece in which segment.
const PIECES: TableDefinition<(u64, &[u8; 32]), ()> = TableDefinition::new("pieces");
const APPLIED: TableDefinition<(), (u64, u32)> = TableDefinition::new("applied");

/// The name of the file.
pub(super) const FILE: &str = "index.redb";

/// The index, open.
#[derive(Debug)]
pub(super) struct Index {
    database: Given<Database>,
    /// Writing panicked: what was open for it is never given back, because redb's tables panic once more then, in the midst of
    /// the first panic, which would end the process. Snapshots are good as before.
    broken: AtomicBool,
}

impl Drop for Index {
    fn drop(&mut self) {
        if self.is_broken() {
            // It would wait for the end of the transaction.
            std::mem::forget(self.database.0.take());
        }
    }
}

/// The index as the last checkpoint left it.
pub(super) struct Snapshot {
    tables: Given<Read>,
    /// Up to where the log is in here.
    pub(super) applied: Position,
}

/// Its tables.
struct Read {
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
    blobs: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    live: ReadOnlyTable<u64, u64>,
    pieces: ReadOnlyTable<(u64, &'static [u8; 32]), ()>,
}

/// Something of redb's. Should giving it back panic, that ends here.
#[derive(Debug)]
struct Given<T>(Option<T>);

impl<T> Given<T> {
    const fn new(of: T) -> Self {
        Self(Some(of))
    }

    /// What it is; [`StoreError::Closed`] only while it is given back.
    fn get(&self) -> Result<&T, StoreError> {
        self.0.as_ref().ok_or(StoreError::Closed)
    }

    fn get_mut(&mut self) -> Result<&mut T, StoreError> {
        self.0.as_mut().ok_or(StoreError::Closed)
    }
}

impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        let of = self.0.take();
        let _ = guarded(|| {
            drop(of);
            Ok(())
        });
    }
}

/// Asks redb something. A panic of its own is an error for whoever asked, and for nobody else: redb is made to be unwound through.
fn guarded<T>(ask: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| {
        tracing::error!("a page of {FILE} makes no sense; stop the server and run `iems store check`");
        Err(StoreError::Corrupt(format!("a page of {FILE} makes no sense")))
    })
}

impl Index {
    /// Opens the file, or makes it.
    pub(super) fn open(disk: &dyn Disk, cache: usize, counters: &Arc<Counters>) -> Result<Self, StoreError> {
        let file = match disk.open(FILE) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(FILE).map_err(super::store_error)?;
                disk.sync_dir("").map_err(super::store_error)?;
                file
            }
            file => file.map_err(super::store_error)?,
        };
        let backend = Backend { file, counters: counters.clone() };
        let database =
            guarded(|| Builder::new().set_cache_size(cache).create_with_backend(backend).map_err(damaged))?;
        let index = Self { database: Given::new(database), broken: AtomicBool::new(false) };
        index.write(|_| Ok(()))?;
        Ok(index)
    }

    /// The same, if the checksums of all its pages are right.
    pub(super) fn verified(mut self) -> Result<Self, StoreError> {
        let database = self.database.get_mut()?;
        if !guarded(|| database.check_integrity().map_err(damaged))? {
            tracing::warn!("the list of free pages of the index was wrong, and was made anew");
        }
        Ok(self)
    }

    /// Whether writing panicked, so that nothing more can be written.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// What is in it now.
    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let database = self.database.get()?;
        guarded(|| {
            let read = database.begin_read().map_err(damaged)?;
            let applied = read.open_table(APPLIED).map_err(damaged)?;
            let applied = applied.get(()).map_err(damaged)?.map(|a| a.value()).unwrap_or_default();
            let tables = Read {
                rows: read.open_table(ROWS).map_err(damaged)?,
                blobs: read.open_table(BLOBS).map_err(damaged)?,
                live: read.open_table(LIVE).map_err(damaged)?,
                pieces: read.open_table(PIECES).map_err(damaged)?,
            };
            let applied = Position { segment: applied.0, at: applied.1 };
            Ok(Snapshot { tables: Given::new(tables), applied })
        })
    }

    /// Moves a memtable in, durably, and remembers that the log is applied up to `position`.
    pub(super) fn apply(&self, memtable: &Memtable, position: Position) -> Result<(), StoreError> {
        self.write(|tables| tables.apply(memtable, position))
    }

    fn write(&self, fill: impl FnOnce(&mut Tables<'_>) -> Result<(), redb::Error>) -> Result<(), StoreError> {
        let database = self.database.get()?;
        self.broken.store(true, Ordering::Relaxed);
        let (written, broken) = match guarded(|| Ok(write(database, fill))) {
            Ok(written) => (written, false),
            Err(panicked) => (Err(panicked), true),
        };
        self.broken.store(broken, Ordering::Relaxed);
        written
    }
}

fn write(
    database: &Database,
    fill: impl FnOnce(&mut Tables<'_>) -> Result<(), redb::Error>,
) -> Result<(), StoreError> {
    let mut write = database.begin_write().map_err(damaged)?;
    write.set_durability(Durability::Immediate).map_err(damaged)?;
    write.set_quick_repair(true);
    let write = ManuallyDrop::new(write);
    let filled = Tables::open(&write).and_then(|mut tables| {
        let filled = fill(&mut tables);
        tables.close();
        filled
    });
    let write = ManuallyDrop::into_inner(write);
    filled.map_err(damaged)?;
    write.commit().map_err(damaged)
}

impl Snapshot {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let rows = &self.tables.get()?.rows;
        guarded(|| {
            let value = rows.get(key).map_err(damaged)?;
            Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
        })
    }

    pub(super) fn blob(&self, id: BlobId) -> Result<Option<BlobRow>, StoreError> {
        let blobs = &self.tables.get()?.blobs;
        guarded(|| {
            let Some(value) = blobs.get(&id.0).map_err(damaged)? else { return Ok(None) };
            let row = BlobRow::decode(value.value());
            row.map(Some).ok_or_else(|| StoreError::Corrupt(format!("the index entry of blob {id}")))
        })
    }

    /// Shows the pairs between two keys, in order, as long as `each` wants more.
    pub(super) fn visit(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        mut each: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let rows = &self.tables.get()?.rows;
        let mut range = Given::new(guarded(|| rows.range::<&[u8]>((from, to)).map_err(damaged))?);
        let range = range.get_mut()?;
        while let Some((key, value)) = guarded(|| range.next().transpose().map_err(damaged))? {
            // What becomes of them is the caller's.
            let (key, value) = guarded(|| Ok((key.value(), value.value())))?;
            if !each(key, value) {
                break;
            }
        }
        Ok(())
    }

    /// The pairs between two keys, in either direction; about `expected` of them will be asked for.
    pub(super) fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        expected: usize,
    ) -> Result<impl Iterator<Item = Result<(Bytes, Bytes), StoreError>>, StoreError> {
        let rows = &self.tables.get()?.rows;
        let mut range = Given::new(guarded(|| rows.range::<&[u8]>((from, to)).map_err(damaged))?);
        let mut sheets = Sheets::new(expected);
        Ok(std::iter::from_fn(move || {
            let next = range.get_mut().and_then(|range| {
                guarded(|| {
                    let next = if reverse { range.next_back() } else { range.next() };
                    let Some(pair) = next else { return Ok(None) };
                    let (key, value) = pair.map_err(damaged)?;
                    Ok(Some(sheets.pair(key.value(), value.value())))
                })
            });
            next.transpose()
        }))
    }

    /// How many pages hold rows.
    #[cfg(test)]
    pub(super) fn pages(&self) -> usize {
        let stats = redb::ReadableTableMetadata::stats(&self.tables.get().expect("tables").rows)
            .expect("what the rows take");
        stats.leaf_pages() as usize
    }

    /// Living bytes by segment.
    pub(super) fn live(&self) -> Result<Vec<(u64, u64)>, StoreError> {
        let live = &self.tables.get()?.live;
        guarded(|| {
            let all = live.range::<u64>(..).map_err(damaged)?;
            all.map(|pair| pair.map(|(segment, live)| (segment.value(), live.value())).map_err(damaged))
                .collect()
        })
    }

    /// Bodies that had a piece in `segment`, at most `limit`, after `after`.
    pub(super) fn pieces(
        &self,
        segment: u64,
        after: Option<BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobId>, StoreError> {
        let after = after.map(|id| id.0);
        let from =
            after.as_ref().map_or(Bound::Included((segment, &[0; 32])), |id| Bound::Excluded((segment, id)));
        let pieces = &self.tables.get()?.pieces;
        guarded(|| {
            let range = pieces.range((from, Bound::Included((segment, &[0xFF; 32])))).map_err(damaged)?;
            let ids = range.take(limit).map(|piece| piece.map(|(key, _)| BlobId(*key.value().1)));
            ids.map(|id| id.map_err(damaged)).collect()
        })
    }
}

/// Memory for the pairs of one scan: many have one allocation together, which lasts as long as one of them does.
struct Sheets {
    open: BytesMut,
    next: usize,
}

impl Sheets {
    /// The largest one, unless a single pair needs more.
    const MOST: usize = 64 << 10;

    fn new(expected: usize) -> Self {
        Self { open: BytesMut::new(), next: expected.saturating_mul(64).clamp(256, Self::MOST) }
    }

    fn pair(&mut self, key: &[u8], value: &[u8]) -> (Bytes, Bytes) {
        let length = key.len() + value.len();
        if self.open.capacity() < length {
            self.open = BytesMut::with_capacity(self.next.max(length));
            self.next = (4 * self.next).min(Self::MOST);
        }
        self.open.extend_from_slice(key);
        self.open.extend_from_slice(value);
        let mut pair = self.open.split().freeze();
        (pair.split_to(key.len()), pair)
    }
}

/// What an error of the index means: damage, no space, or a device that failed.
fn damaged(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => {
            tracing::error!(what, "{FILE} is damaged; stop the server and run `iems store check`");
            StoreError::Corrupt(format!("the index: {what}"))
        }
        // No header of a database, which is the first that is looked at.
        redb::Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => {
            StoreError::Corrupt(format!("{FILE}: {e}"))
        }
        redb::Error::Io(e) => match super::store_error(e) {
            StoreError::Io(what) => StoreError::Io(format!("{FAILED}{what}")),
            other => other,
        },
        other => StoreError::Io(format!("{FAILED}{other}")),
    }
}

/// How errors begin after which redb answers nothing more.
const FAILED: &str = "the index: ";

/// Whether the file has to be opened anew after this error before anything is answered again.
pub(super) fn has_failed(error: &StoreError) -> bool {
    matches!(error, StoreError::Io(what) if what.starts_with(FAILED))
}

/// redb's file, on our disk.
#[derive(Debug)]
struct Backend {
    file: Arc<dyn DiskFile>,
    counters: Arc<Counters>,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        add(&self.counters.index_syncs, 1);
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        add(&self.counters.index_bytes, data.len() as u64);
        self.file.write_at(offset, &[IoSlice::new(data)])
    }
}
