//! Segments: the files of the log, and reading from them.
//!
//! Whoever holds an `Arc<Segment>` keeps its file from being written over. The file's name is the
//! segment's number; a file that is written over gets the new number first.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use iems_core::storage::StoreError;

use super::disk::{Disk, DiskFile};
use super::record::{HEADER, Header, Kind};
use super::row::{BlobRow, Extent};

/// The folder of the segments.
pub(super) const FOLDER: &str = "log";

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Position {
    pub(super) segment: u64,
    pub(super) at: u32,
}

/// One file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    handles: Arc<Handles>,
    /// Bytes of bodies with owners, headers included.
    live: AtomicI64,
    /// Bytes used so far.
    end: AtomicU32,
    /// Something in it could not be read: it is left alone.
    pub(super) damaged: AtomicBool,
}

/// The path of a segment's file.
pub(super) fn path(number: u64) -> String {
    format!("{FOLDER}/{number:08}.seg")
}

/// How the name ends of a file that an earlier version made for a segment to come.
const UNBORN: &str = "new";

/// The numbers of the files in the folder, smallest first. What was made for segments that never came is removed.
pub(super) fn list(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let names = disk.list(FOLDER)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|n| n.strip_suffix(".seg")?.parse().ok()).collect();
    numbers.sort_unstable();
    for name in names.iter().filter(|name| name.rsplit_once('.').is_some_and(|(_, end)| end == UNBORN)) {
        disk.remove(&format!("{FOLDER}/{name}"))?;
    }
    Ok(numbers)
}

impl Segment {
    pub(super) fn new(number: u64, handles: &Arc<Handles>, live: u64, end: u32) -> Arc<Self> {
        let live = AtomicI64::new(i64::try_from(live).unwrap_or(i64::MAX));
        let handles = handles.clone();
        Arc::new(Self { number, handles, live, end: AtomicU32::new(end), damaged: AtomicBool::new(false) })
    }

    /// The file, open.
    pub(super) fn file(&self) -> Result<Arc<dyn DiskFile>, StoreError> {
        self.handles.get(self.number).map_err(super::store_error)
    }

    /// Bytes of bodies with owners.
    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed).max(0) as u64
    }

    /// Bytes used so far.
    pub(super) fn end(&self) -> u32 {
        self.end.load(Ordering::Relaxed)
    }

    pub(super) fn set_end(&self, end: u32) {
        self.end.store(end, Ordering::Relaxed);
    }

    /// The payload of the piece at `extent`, checked.
    pub(super) fn read(&self, extent: Extent) -> Result<Bytes, StoreError> {
        let mut record = vec![0; HEADER + extent.len as usize];
        self.file()?.read_at(u64::from(extent.at), &mut record).map_err(super::store_error)?;
        self.check(extent, record)
    }

    /// The same, but `None` if a device would have to be waited for.
    pub(super) fn read_at_once(&self, extent: Extent) -> Result<Option<Bytes>, StoreError> {
        let mut record = vec![0; HEADER + extent.len as usize];
        match self.file()?.read_at_once(u64::from(extent.at), &mut record).map_err(super::store_error)? {
            true => self.check(extent, record).map(Some),
            false => Ok(None),
        }
    }

    fn check(&self, extent: Extent, record: Vec<u8>) -> Result<Bytes, StoreError> {
        let record = Bytes::from(record);
        let payload = record.slice(HEADER..);
        let header = Header::decode(&record, self.number, extent.at);
        if header.is_some_and(|h| h.kind == Kind::Chunk && h.matches(&payload)) {
            return Ok(payload);
        }
        self.damaged.store(true, Ordering::Relaxed);
        Err(StoreError::Corrupt(format!("a piece of a body at {} in {}", extent.at, path(self.number))))
    }
}

/// Files that are open: the last ones used. A large store has more segments than a process may open.
#[derive(Debug)]
pub(super) struct Handles {
    disk: Arc<dyn Disk>,
    open: Mutex<VecDeque<(u64, Arc<dyn DiskFile>)>>,
}

/// How many files are kept open.
const OPEN_FILES: usize = 64;

impl Handles {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Arc<Self> {
        Arc::new(Self { disk, open: Mutex::default() })
    }

    fn get(&self, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = open.iter().position(|(known, _)| *known == number) {
            if place > OPEN_FILES / 2
                && let Some(handle) = open.remove(place)
            {
                open.push_front(handle);
                return Ok(open[0].1.clone());
            }
            return Ok(open[place].1.clone());
        }
        let file = self.disk.open(&path(number))?;
        open.truncate(OPEN_FILES - 1);
        open.push_front((number, file.clone()));
        Ok(file)
    }

    fn forget(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != number);
    }
}

/// All segments that may be read.
#[derive(Debug)]
pub(super) struct Segments {
    all: RwLock<BTreeMap<u64, Arc<Segment>>>,
    pub(super) handles: Arc<Handles>,
}

impl Segments {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { all: RwLock::default(), handles: Handles::new(disk) }
    }

    /// Takes out a segment that has no file.
    pub(super) fn remove(&self, number: u64) {
        self.write().remove(&number);
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<Segment>> {
        self.read().get(&number).cloned()
    }

    pub(super) fn insert(&self, segment: Arc<Segment>) {
        self.write().insert(segment.number, segment);
    }

    /// Every segment, oldest first.
    pub(super) fn list(&self) -> Vec<Arc<Segment>> {
        self.read().values().cloned().collect()
    }

    /// Holds the segments of all pieces; `None` if one of them is gone.
    pub(super) fn pin(&self, extents: &[Extent]) -> Option<Vec<Arc<Segment>>> {
        let all = self.read();
        let mut pins: Vec<Arc<Segment>> = Vec::new();
        for extent in extents {
            if pins.last().is_none_or(|last| last.number != extent.segment) {
                pins.push(all.get(&extent.segment)?.clone());
            }
        }
        Some(pins)
    }

    /// Counts a change of one body's row.
    pub(super) fn account(&self, before: Option<&BlobRow>, after: Option<&BlobRow>) {
        let all = self.read();
        let count = |row, sign: i64| {
            for (number, bytes) in BlobRow::by_segment(row) {
                if let Some(segment) = all.get(&number) {
                    segment.live.fetch_add(sign * bytes as i64, Ordering::Relaxed);
                }
            }
        };
        count(before, -1);
        count(after, 1);
    }

    /// Takes out the segments before `applied` in which nothing lives and which nobody holds.
    /// Their files may be written over.
    pub(super) fn take_dead(&self, applied: u64) -> Vec<u64> {
        let mut all = self.write();
        let dead = |segment: &Arc<Segment>| {
            segment.number < applied && segment.live() == 0 && Arc::strong_count(segment) == 1
        };
        let numbers: Vec<u64> = all.values().filter(|segment| dead(segment)).map(|s| s.number).collect();
        for number in &numbers {
            all.remove(number);
            self.handles.forget(*number);
        }
        numbers
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<u64, Arc<Segment>>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<u64, Arc<Segment>>> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}
