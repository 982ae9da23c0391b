//! Files for the next segments of the log: those of dead segments, to be written over, and one that is made ahead.
//!
//! A sync of blocks that were written before has nothing to tell the file system, and is twice as fast as one of blocks that
//! were only allocated: no journal takes part in it, and so it waits for nobody else's files. Where no segment has died, a
//! file is therefore filled with zeros beside the log, before it is needed. It has a name of its own until the log takes it;
//! whatever is left of it after a crash is removed by the next start.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::disk::FILLED;
use super::segment::{self, FOLDER, UNBORN};
use super::stats::add;

/// What is filled at once: the syncs of the log get their turn in between.
const PIECE: usize = 1 << 20;
/// How long nothing is made after a failure.
const REST: Duration = Duration::from_secs(60);

/// A file that may be written over.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) path: String,
    /// No segment before it: it was made for this.
    pub(super) made: bool,
}

/// Files that may be written over.
#[derive(Debug)]
pub(super) struct Spares {
    most: usize,
    files: Mutex<Vec<Spare>>,
}

impl Spares {
    pub(super) fn new(most: usize) -> Self {
        Self { most, files: Mutex::default() }
    }

    /// Keeps the file of a dead segment, or says that there are enough.
    pub(super) fn offer(&self, number: u64) -> bool {
        let mut files = self.files();
        let wanted = files.len() < self.most;
        if wanted {
            files.push(Spare { path: segment::path(number), made: false });
        }
        wanted
    }

    pub(super) fn len(&self) -> usize {
        self.files().len()
    }

    pub(super) fn take(&self) -> Option<Spare> {
        self.files().pop()
    }

    fn files(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a file, and tells whether one is being made.
#[derive(Default)]
pub(super) struct Ahead {
    signal: Mutex<Signal>,
    wake: Condvar,
}

#[derive(Default)]
struct Signal {
    making: bool,
    rest: Option<Instant>,
    stop: bool,
    /// Files asked for so far: their names.
    asked: u64,
}

impl Ahead {
    /// Asks for a file, unless one is being made.
    pub(super) fn request(&self) {
        let mut signal = self.signal();
        if signal.making || signal.rest.is_some_and(|until| Instant::now() < until) {
            return;
        }
        signal.making = true;
        drop(signal);
        self.wake.notify_all();
    }

    pub(super) fn stop(&self) {
        self.signal().stop = true;
        self.wake.notify_all();
    }

    /// Waits until a file is asked for; `None` when told to stop.
    fn next(&self) -> Option<String> {
        let wait = self.wake.wait_while(self.signal(), |signal| !signal.making && !signal.stop);
        let mut signal = wait.unwrap_or_else(PoisonError::into_inner);
        signal.asked += 1;
        (!signal.stop).then(|| format!("{FOLDER}/{}.{UNBORN}", signal.asked))
    }

    fn signal(&self) -> MutexGuard<'_, Signal> {
        self.signal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Makes files that are asked for until told to stop.
    pub(super) fn make_files(&self) {
        while let Some(path) = self.ahead.next() {
            let made = self.make_file(&path);
            if !matches!(made, Ok(true)) {
                let _ = self.disk.remove(&path);
            }
            if let Err(error) = &made {
                tracing::debug!(%error, "no segment was made ahead");
            }
            let mut signal = self.ahead.signal();
            signal.making = false;
            signal.rest = (!matches!(made, Ok(true))).then(|| Instant::now() + REST);
        }
        let made: Vec<Spare> = self.spares.files().extract_if(.., |spare| spare.made).collect();
        for spare in made {
            let _ = self.disk.remove(&spare.path);
        }
    }

    /// `false` if there is no room for it, or no time.
    fn make_file(&self, path: &str) -> io::Result<bool> {
        let segment = u64::from(self.options.segment_bytes);
        if self.disk.free()?.is_some_and(|free| free < self.options.reserve() + 3 * segment) {
            return Ok(false);
        }
        let file = self.disk.create(path)?;
        file.allocate(segment)?;
        for at in (0..segment.next_multiple_of(FILLED as u64)).step_by(PIECE) {
            let piece = usize::try_from(segment - at).unwrap_or(PIECE).min(PIECE);
            file.fill(at, piece.next_multiple_of(FILLED))?;
            if self.ahead.signal().stop {
                return Ok(false);
            }
        }
        file.sync()?;
        add(&self.counters.segments_made, 1);
        self.spares.files().push(Spare { path: path.to_owned(), made: true });
        Ok(true)
    }
}
