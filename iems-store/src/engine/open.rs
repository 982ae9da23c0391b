//! Opening a folder: take it, check its format, read the log, and start the threads.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use iems_core::storage::{StoreError, Watchers};

use super::alone::Alone;
use super::checkpoint::Checkpoints;
use super::committer::{self, Committer};
use super::disk::{Disk, Locked, RealDisk};
use super::index::{self, Index};
use super::log::Log;
use super::memtable::Memtable;
use super::options::{EmbeddedOptions, OpenError};
use super::pending::Pending;
use super::queue::Queue;
use super::recent::Recent;
use super::replay::Chain;
use super::segment::{self, Position, Segment, Segments};
use super::spares::Spares;
use super::state::State;
use super::stats::Counters;
use super::{Embedded, Shared};

/// The file that says which format the folder has.
const FORMAT_FILE: &str = "format";
/// What it says.
const FORMAT: &str = "iems-store 3";
/// The longest `format` file that is read.
const LONGEST_FORMAT: u64 = 256;

impl Embedded {
    /// Whether there is a store in the folder `dir`. Changes nothing.
    pub fn is_in(dir: impl AsRef<Path>) -> bool {
        dir.as_ref().join(FORMAT_FILE).exists()
    }

    /// Opens the store in the folder `dir`, and makes it if there is none. Blocks the thread: for
    /// milliseconds after a clean end, otherwise about a second for each 256 MiB of log to read.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Arc<Self>, OpenError> {
        Self::open_on(Arc::new(RealDisk::new(dir)), options)
    }

    /// The same on any disk.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_on(disk: Arc<dyn Disk>, options: EmbeddedOptions) -> Result<Arc<Self>, OpenError> {
        disk.create_dir("")?;
        let lock = disk.lock().map_err(|locked| match locked {
            Locked::By(pid) => OpenError::InUse(pid),
            Locked::Failed(e) => OpenError::Io(e),
        })?;
        check_format(&*disk)?;
        disk.create_dir(segment::FOLDER)?;
        let (shared, log) = recover(disk, options)?;
        let background = shared.options.background;
        let mut threads = Vec::new();
        let committer = Arc::new(Mutex::new(Committer::new(shared.clone(), log)));
        {
            let (shared, committer) = (shared.clone(), committer.clone());
            threads.push(start("iems-log", move || committer::run(&shared, &committer))?);
        }
        if background {
            let shared = shared.clone();
            threads.push(start("iems-index", move || shared.keep_checkpoints())?);
        }
        let (threads, lock) = (Mutex::new(threads), Mutex::new(Some(lock)));
        Ok(Arc::new(Self { shared, committer, threads, lock }))
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Reads the `format` file, or writes it in an empty folder.
fn check_format(disk: &dyn Disk) -> Result<(), OpenError> {
    let file = match disk.open(FORMAT_FILE) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return write_format(disk),
        file => file?,
    };
    let mut text = vec![0; file.len()?.min(LONGEST_FORMAT) as usize];
    file.read_at(0, &mut text)?;
    let found = String::from_utf8_lossy(&text).trim_end().to_owned();
    if found == FORMAT { Ok(()) } else { Err(OpenError::Format { found, known: FORMAT }) }
}

fn write_format(disk: &dyn Disk) -> Result<(), OpenError> {
    if disk.open(index::FILE).is_ok() {
        return Err(OpenError::Corrupt("there is an index, but no file `format`".into()));
    }
    let file = disk.create("format.new")?;
    file.write_at(0, &[IoSlice::new(FORMAT.as_bytes()), IoSlice::new(b"\n")])?;
    file.sync()?;
    disk.rename("format.new", FORMAT_FILE)?;
    Ok(disk.sync_dir("")?)
}

/// Brings memory to where the log ends.
fn recover(disk: Arc<dyn Disk>, options: EmbeddedOptions) -> Result<(Arc<Shared>, Log), OpenError> {
    let counters = Arc::new(Counters::default());
    let index = Index::open(&*disk, options.index_cache_bytes, &counters)?;
    let index = if options.verify_index { index.verified()? } else { index };
    let base = index.snapshot()?;
    let applied = base.applied;
    let live: BTreeMap<u64, u64> = base.live()?.into_iter().collect();
    let numbers = segment::list(&*disk)?;
    let chain = Chain::find(&*disk, &numbers, applied)?;
    for number in &chain.unused {
        disk.remove(&segment::path(*number))?;
    }
    let segments = Arc::new(Segments::new(disk.clone()));
    for number in numbers.iter().filter(|number| !chain.unused.contains(number)) {
        let end = u32::try_from(disk.open(&segment::path(*number))?.len()?).unwrap_or(u32::MAX);
        let live = live.get(number).copied().unwrap_or(0);
        segments.insert(Segment::new(*number, &segments.handles, live, end));
    }
    // Segments that died after the last checkpoint may be gone; the log says so.
    let gone: Vec<u64> = live.keys().copied().filter(|number| segments.get(*number).is_none()).collect();
    for number in &gone {
        let live = live.get(number).copied().unwrap_or(0);
        segments.insert(Segment::new(*number, &segments.handles, live, 0));
    }
    let mut state = State {
        active: Memtable::default(),
        frozen: None,
        frozen_at: applied,
        base: Some(Arc::new(base)),
        position: applied,
        closed: false,
    };
    let end = chain.replay(&*disk, &mut state, &segments)?;
    for number in gone {
        if segments.get(number).is_some_and(|segment| segment.live() > 0) {
            return Err(OpenError::Corrupt(format!("{} is missing", segment::path(number))));
        }
        segments.remove(number);
    }
    seal(&segments, end)?;
    let next = numbers.last().copied().unwrap_or(0).max(end.segment) + 1;
    let spares = Arc::new(Spares::new(options.spare_segments));
    let log = Log::new(disk.clone(), segments.clone(), spares.clone(), counters.clone(), &options, end, next);
    let recent = Mutex::new(Recent::new(options.recent_bytes));
    let shared = Arc::new(Shared {
        options,
        disk,
        queue: Queue::default(),
        alone: Alone::default(),
        state: RwLock::new(state),
        segments,
        spares,
        pending: Mutex::new(Pending::default()),
        held: Arc::default(),
        recent,
        checkpoints: Checkpoints::new(index),
        watchers: Watchers::default(),
        counters,
        garbage: AtomicU64::new(0),
        given_back: AtomicU64::new(0),
    });
    shared.retire();
    Ok((shared, log))
}

/// Makes what was replayed durable: after a crash of the process alone, it may be known to the system
/// only. Nothing is written to this segment any more; room after its end is given back.
fn seal(segments: &Segments, end: Position) -> Result<(), StoreError> {
    let Some(last) = segments.get(end.segment) else { return Ok(()) };
    let file = last.file()?;
    let len = file.len().map_err(super::store_error)?;
    if len > u64::from(end.at) {
        file.set_len(u64::from(end.at)).map_err(super::store_error)?;
    }
    last.set_end(end.at);
    file.sync().map_err(super::store_error)
}
