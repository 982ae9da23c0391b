//! The folder of one index, as the library sees it: its files, each with checksums.
//!
//! Files are read by asking for octets, not by mapping them into memory: a disk that fails is an error, and no signal that
//! ends the server. Locks are not files, which a process that was killed would leave behind: the store's lock keeps other
//! processes away, and the keeper lets one run at a time write.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, META_LOCK, OwnedBytes, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

use super::block::{self, BlockFile, BlockWriter};

/// Held while files are opened that belong together, and while it is found out which are not needed any more.
pub(super) type FilesLock = Arc<tokio::sync::Mutex<()>>;

/// A folder with files in blocks.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
    lock: FilesLock,
    /// Something was not as it had been written.
    damaged: Arc<AtomicBool>,
}

impl Files {
    pub(super) fn new(folder: &Path, lock: &FilesLock) -> Self {
        Self { folder: folder.to_owned(), lock: lock.clone(), damaged: Arc::default() }
    }

    /// Whether damage was met.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    fn path(&self, path: &Path) -> (PathBuf, String) {
        (self.folder.join(path), path.to_string_lossy().into_owned())
    }

    /// Takes down whether an error is damage.
    fn noted(&self, error: io::Error) -> io::Error {
        if error.kind() == ErrorKind::InvalidData {
            self.damaged.store(true, Ordering::Relaxed);
        }
        error
    }

    fn cannot_read(&self, error: io::Error, path: &Path) -> OpenReadError {
        match error.kind() {
            ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path.to_owned()),
            _ => OpenReadError::wrap_io_error(self.noted(error), path.to_owned()),
        }
    }
}

impl Directory for Files {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let (place, name) = self.path(path);
        let file = BlockFile::open(&place, &name).map_err(|e| self.cannot_read(e, path))?;
        Ok(Arc::new(Open { file, files: self.clone() }))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        std::fs::remove_file(self.path(path).0).map_err(|e| match e.kind() {
            ErrorKind::NotFound => DeleteError::FileDoesNotExist(path.to_owned()),
            _ => DeleteError::IoError { io_error: Arc::new(e), filepath: path.to_owned() },
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.path(path).0.try_exists().map_err(|e| self.cannot_read(e, path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let (place, name) = self.path(path);
        let writer = BlockWriter::create(&place, &name).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
            _ => OpenWriteError::wrap_io_error(e, path.to_owned()),
        })?;
        Ok(io::BufWriter::new(Box::new(writer)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let (place, name) = self.path(path);
        block::read_whole(&place, &name).map_err(|e| self.cannot_read(e, path))
    }

    fn atomic_write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let (place, name) = self.path(path);
        block::replace_whole(&place, &name, content)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        match lock.filepath == META_LOCK.filepath {
            true => Ok(DirectoryLock::from(Box::new(self.lock.clone().blocking_lock_owned()))),
            false => Ok(DirectoryLock::from(Box::new(()))),
        }
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

impl TerminatingWrite for BlockWriter {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.end()
    }
}

/// A file that is open.
#[derive(Debug)]
struct Open {
    file: BlockFile,
    files: Files,
}

impl HasLen for Open {
    fn len(&self) -> usize {
        usize::try_from(self.file.length()).unwrap_or(usize::MAX)
    }
}

impl FileHandle for Open {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let range = range.start as u64..range.end as u64;
        let octets = self.file.read(range).map_err(|e| self.files.noted(e))?;
        Ok(OwnedBytes::new(octets))
    }
}
