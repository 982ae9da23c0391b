//! Files of dead segments, which the next segments of the log are written over.
//!
//! A sync of blocks that were written before has nothing to tell the file system, and is twice as fast as one of blocks that
//! were only allocated: no journal takes part in it, and so it waits for nobody else's files.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Numbers of dead segments whose files are there.
#[derive(Debug)]
pub(super) struct Spares {
    most: usize,
    numbers: Mutex<Vec<u64>>,
}

impl Spares {
    pub(super) fn new(most: usize) -> Self {
        Self { most, numbers: Mutex::default() }
    }

    /// Keeps the file of a dead segment, or says that there are enough.
    pub(super) fn offer(&self, number: u64) -> bool {
        let mut numbers = self.numbers();
        let wanted = numbers.len() < self.most;
        if wanted {
            numbers.push(number);
        }
        wanted
    }

    pub(super) fn len(&self) -> usize {
        self.numbers().len()
    }

    pub(super) fn take(&self) -> Option<u64> {
        self.numbers().pop()
    }

    fn numbers(&self) -> MutexGuard<'_, Vec<u64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
