//! A disk in memory that can be crashed, filled and broken. For tests.
//!
//! It keeps apart what was written and what was made durable. A crash keeps any subset of the
//! unsynced writes, each whole, not at all, or torn at a multiple of 512 bytes; names change in the
//! order in which they were changed, up to any point. A sync that fails loses its writes for good,
//! although they can still be read, as on a real system.

mod content;

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iems_core::seam::{Random, SeededRandom};

use super::{Disk, DiskFile, Locked};
use content::{Change, Content};

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    shared: Arc<Mutex<Shared>>,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The device fails: what a sync was to make durable is lost.
    Io,
    /// There is no space left. Fails what needs some: create, write, set_len, allocate.
    NoSpace,
    /// The power goes: this operation and all later ones fail, until [`SimDisk::crash`].
    PowerCut,
}

#[derive(Debug, Default)]
struct Shared {
    files: BTreeMap<String, Arc<Mutex<Content>>>,
    /// Names as they would be after a crash now.
    durable: BTreeMap<String, Arc<Mutex<Content>>>,
    renames: Vec<NameChange>,
    operations: u64,
    syncs: u64,
    written: u64,
    fault: Option<(u64, u64, Fault)>,
    life: u64,
    locked: bool,
    capacity: Option<u64>,
    sync_time: Duration,
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(String, Arc<Mutex<Content>>),
    /// From one name to another: a crash sees the old one or the new one.
    Rename(String, String, Arc<Mutex<Content>>),
    Remove(String),
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `operations` further operations pass (every call counts, reads too), then fails `times`
    /// of them with `fault`.
    pub fn fail_after(&self, operations: u64, times: u64, fault: Fault) {
        let mut shared = lock(&self.shared);
        shared.fault = Some((shared.operations.saturating_add(operations), times, fault));
    }

    /// Limits the bytes of all files together.
    pub fn set_capacity(&self, bytes: u64) {
        lock(&self.shared).capacity = Some(bytes);
    }

    /// Lets every sync of a file take so long.
    pub fn slow_syncs(&self, time: Duration) {
        lock(&self.shared).sync_time = time;
    }

    /// Changes octets of a file behind everybody's back, as a medium does that goes bad.
    pub fn damage(&self, path: &str, at: usize, octets: &[u8]) {
        let Some(content) = lock(&self.shared).files.get(path).cloned() else { return };
        let mut content = lock(&content);
        let Content { now, durable, .. } = &mut *content;
        for side in [now, durable] {
            let place = side.iter_mut().skip(at);
            place.zip(octets).for_each(|(place, octet)| *place = *octet);
        }
    }

    /// The length of a file, in bytes; 0 if there is none.
    pub fn length(&self, path: &str) -> usize {
        let content = lock(&self.shared).files.get(path).cloned();
        content.map_or(0, |content| lock(&content).now.len())
    }

    /// Ends what [`SimDisk::fail_after`] began.
    pub fn heal(&self) {
        lock(&self.shared).fault = None;
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        lock(&self.shared).operations
    }

    /// How many files were synced.
    pub fn syncs(&self) -> u64 {
        lock(&self.shared).syncs
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        lock(&self.shared).written
    }

    /// Cuts the power and brings the disk back. What is left of unsynced changes depends on `seed`.
    /// Open handles fail from now on.
    pub fn crash(&self, seed: u64) {
        let random = SeededRandom::new(seed);
        let mut shared = lock(&self.shared);
        shared.life += 1;
        shared.fault = None;
        shared.locked = false;
        let mut names = std::mem::take(&mut shared.durable);
        let renames = std::mem::take(&mut shared.renames);
        let kept = (random.next_u64() % (renames.len() as u64 + 1)) as usize;
        renames.iter().take(kept).for_each(|change| change.apply(&mut names));
        let survivors: BTreeMap<_, _> = names
            .into_iter()
            .map(|(name, content)| {
                let bytes = lock(&content).after_crash(&random);
                (
                    name,
                    Arc::new(Mutex::new(Content {
                        now: bytes.clone(),
                        durable: bytes,
                        ..Content::default()
                    })),
                )
            })
            .collect();
        shared.files = survivors.clone();
        shared.durable = survivors;
    }

    /// Ends the process that uses the disk, but not the system: what was written stays, synced or not.
    /// Open handles fail from now on.
    pub fn kill(&self) {
        let mut shared = lock(&self.shared);
        shared.life += 1;
        shared.fault = None;
        shared.locked = false;
        shared.files.values().for_each(|content| lock(content).cut_off = None);
    }

    /// Changes one byte of a file, in memory and on the medium. Returns whether there is such a byte.
    pub fn rot(&self, path: &str, at: usize) -> bool {
        let Some(content) = lock(&self.shared).files.get(path).cloned() else { return false };
        let mut content = lock(&content);
        let Content { now, durable, .. } = &mut *content;
        [now, durable].into_iter().all(|bytes| bytes.get_mut(at).map(|byte| *byte ^= 0x40).is_some())
    }

    /// The length of every file, by name.
    pub fn files(&self) -> BTreeMap<String, usize> {
        let shared = lock(&self.shared);
        shared.files.iter().map(|(name, content)| (name.clone(), lock(content).now.len())).collect()
    }

    /// The shared part, unless this operation is to fail.
    fn operation(&self, takes_space: bool) -> io::Result<MutexGuard<'_, Shared>> {
        self.operation_of(None, takes_space)
    }

    fn operation_of(&self, life: Option<u64>, takes_space: bool) -> io::Result<MutexGuard<'_, Shared>> {
        let mut shared = lock(&self.shared);
        if life.is_some_and(|life| life != shared.life) {
            return Err(io::Error::other("a handle from before the crash"));
        }
        let number = shared.operations;
        shared.operations += 1;
        let Some((from, times, fault)) = shared.fault else { return Ok(shared) };
        let in_time = number >= from && number - from < times;
        match fault {
            Fault::PowerCut if number >= from => Err(io::Error::other("the power is gone")),
            Fault::Io if in_time => Err(io::Error::other("input/output error (simulated)")),
            Fault::NoSpace if in_time && takes_space => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(shared),
        }
    }

    fn file(&self, shared: &Shared, content: Arc<Mutex<Content>>) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), life: shared.life, content })
    }
}

impl Shared {
    fn used(&self) -> u64 {
        self.files.values().map(|content| lock(content).now.len() as u64).sum()
    }

    /// Whether a file may grow from `now` to `len` bytes.
    fn make_room(&self, now: usize, len: usize) -> io::Result<()> {
        let more = len.saturating_sub(now) as u64;
        match self.capacity {
            Some(capacity) if more > 0 && self.used() + more > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, Arc<Mutex<Content>>>) {
        match self {
            Self::Set(name, content) => names.insert(name.clone(), content.clone()),
            Self::Rename(from, to, content) => {
                names.remove(from);
                names.insert(to.clone(), content.clone())
            }
            Self::Remove(name) => names.remove(name),
        };
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, _path: &str) -> io::Result<()> {
        self.operation(true).map(drop)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let shared = self.operation(false)?;
        let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
        let inside = shared.files.keys().filter_map(|name| name.strip_prefix(&folder));
        Ok(inside.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let shared = self.operation(false)?;
        let content = shared.files.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(&shared, content))
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut shared = self.operation(true)?;
        let content = Arc::new(Mutex::new(Content::default()));
        shared.files.insert(path.to_owned(), content.clone());
        shared.renames.push(NameChange::Set(path.to_owned(), content.clone()));
        Ok(self.file(&shared, content))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut shared = self.operation(false)?;
        let content = shared.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        shared.files.insert(to.to_owned(), content.clone());
        shared.renames.push(NameChange::Rename(from.to_owned(), to.to_owned(), content));
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut shared = self.operation(false)?;
        shared.files.remove(path).ok_or(io::ErrorKind::NotFound)?;
        shared.renames.push(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, _path: &str) -> io::Result<()> {
        let mut shared = self.operation(false)?;
        shared.renames.clear();
        shared.durable = shared.files.clone();
        Ok(())
    }

    fn free(&self) -> io::Result<Option<u64>> {
        let shared = self.operation(false)?;
        Ok(shared.capacity.map(|capacity| capacity.saturating_sub(shared.used())))
    }

    fn total(&self) -> io::Result<Option<u64>> {
        Ok(self.operation(false)?.capacity)
    }

    fn lock(&self) -> Result<Box<dyn Send + Sync>, Locked> {
        let mut shared = lock(&self.shared);
        if shared.locked {
            return Err(Locked::By(None));
        }
        shared.locked = true;
        Ok(Box::new(SimLock { disk: self.clone(), life: shared.life }))
    }
}

struct SimLock {
    disk: SimDisk,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut shared = lock(&self.disk.shared);
        if shared.life == self.life {
            shared.locked = false;
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    life: u64,
    content: Arc<Mutex<Content>>,
}

impl SimFile {
    fn operation(&self, takes_space: bool) -> io::Result<MutexGuard<'_, Shared>> {
        self.disk.operation_of(Some(self.life), takes_space)
    }

    /// Whether a failed operation is the one during which the power went.
    fn was_cut_off(&self) -> bool {
        let shared = lock(&self.disk.shared);
        let last = shared.operations.saturating_sub(1);
        shared.life == self.life && matches!(shared.fault, Some((from, _, Fault::PowerCut)) if from == last)
    }

    fn change(&self, change: Change) {
        let mut content = lock(&self.content);
        Content::apply(&mut content.now, &change);
        content.unsynced.push(change);
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        drop(self.operation(false)?);
        Ok(lock(&self.content).now.len() as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        drop(self.operation(false)?);
        let content = lock(&self.content);
        let at = at as usize;
        let bytes = content.now.get(at..at + into.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, at: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        match self.operation(true) {
            Ok(mut shared) => {
                let now = lock(&self.content).now.len();
                shared.make_room(now, at as usize + bytes.len())?;
                shared.written += bytes.len() as u64;
            }
            Err(e) => {
                if self.was_cut_off() {
                    lock(&self.content).cut_off = Some(Change::Write(at as usize, bytes));
                }
                return Err(e);
            }
        }
        self.change(Change::Write(at as usize, bytes));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match self.operation(false) {
            Ok(mut shared) => {
                shared.syncs += 1;
                let time = shared.sync_time;
                drop(shared);
                if !time.is_zero() {
                    std::thread::sleep(time);
                }
                let mut content = lock(&self.content);
                let changes = std::mem::take(&mut content.unsynced);
                changes.iter().for_each(|change| Content::apply(&mut content.durable, change));
                Ok(())
            }
            Err(e) => {
                // The system forgets what it could not write.
                if lock(&self.disk.shared).fault.is_some_and(|(_, _, fault)| fault == Fault::Io) {
                    lock(&self.content).unsynced.clear();
                }
                Err(e)
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let shared = self.operation(true)?;
        let now = lock(&self.content).now.len();
        shared.make_room(now, len as usize)?;
        drop(shared);
        self.change(Change::SetLen(len as usize));
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let shared = self.operation(true)?;
        let now = lock(&self.content).now.len();
        shared.make_room(now, len as usize)?;
        drop(shared);
        if now < len as usize {
            self.change(Change::SetLen(len as usize));
        }
        Ok(())
    }
}
