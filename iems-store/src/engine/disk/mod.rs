//! The disk as the engine sees it: a folder of files, with the few calls that durability needs.
//!
//! Every byte the engine keeps goes through here, so that tests can lose, tear and fail any of it.
//! Paths are relative to the engine's folder and use `/`. Errors are those of the system.

mod real;
mod sim;

pub use real::RealDisk;
pub use sim::{Fault, SimDisk};

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// A folder of files.
///
/// What `create`, `rename` and `remove` did survives a power cut once `sync_dir` returned.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes a folder, unless it is there.
    fn create_dir(&self, path: &str) -> io::Result<()>;
    /// The names in a folder, in no order.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes an empty file, or empties the one that is there, and opens it.
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name; replaces what has that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Handles that are open stay readable.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Bytes that can still be written, if the system tells.
    fn free(&self) -> io::Result<Option<u64>>;
    /// Bytes of the whole, if the system tells. Like `free`, without what it keeps from ordinary users.
    fn total(&self) -> io::Result<Option<u64>>;
    /// Takes the folder for this process until the returned value is dropped.
    fn lock(&self) -> Result<Box<dyn Send + Sync>, Locked>;
}

/// Why a folder could not be taken.
#[derive(Debug)]
pub enum Locked {
    /// Another process has it, with this id if it could be read.
    By(Option<u32>),
    /// The attempt failed.
    Failed(io::Error),
}

/// Unit of [`DiskFile::fill`], in bytes.
pub const FILLED: usize = 4096;

/// An open file. Any number of threads may use it at once.
///
/// A write survives a power cut once a `sync` that began after it returned. After a failed `sync`,
/// what was written since the last good one may be lost, whatever later calls say.
pub trait DiskFile: Debug + Send + Sync {
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether there is nothing in it.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `into` from `at`; [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
    /// The same, but only if no device has to be waited for; `false` if it would have to.
    fn read_at_once(&self, at: u64, into: &mut [u8]) -> io::Result<bool> {
        self.read_at(at, into).map(|()| true)
    }
    /// Writes all parts, one after the other, from `at` on.
    fn write_at(&self, at: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;
    /// Writes `len` zeros from `at` on. Both are multiples of [`FILLED`]; what is there is not needed soon.
    fn fill(&self, at: u64, len: usize) -> io::Result<()> {
        let zeros = [0; FILLED];
        self.write_at(at, &vec![IoSlice::new(&zeros); len / FILLED])
    }
    /// Makes all that was written durable, and the length with it.
    fn sync(&self) -> io::Result<()>;
    /// Cuts or extends with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes sure that `len` bytes can be written without running out of space.
    fn allocate(&self, len: u64) -> io::Result<()>;
}
