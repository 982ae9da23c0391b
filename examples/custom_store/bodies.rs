//! The bodies: one file each, named by its hash, in the folder `bodies`.
//!
//! A file gets its name only when it is whole and on the disk, so a name never stands for half a body. Reservations
//! are in memory: what nobody owned when the engine was closed is removed when it is opened.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::storage::{BlobId, BlobWriter, Blobs, Collected, StoreError};
use tokio::io::AsyncWriteExt;

use crate::journal::{Journal, io};

/// The blobs.
#[derive(Clone)]
pub(crate) struct Bodies {
    folder: PathBuf,
    journal: Arc<Journal>,
}

impl Bodies {
    /// The bodies of the journal in `folder`, without those that nobody owns.
    pub(crate) fn open(folder: &Path, journal: Arc<Journal>) -> Result<Self, StoreError> {
        let folder = folder.join("bodies");
        std::fs::create_dir_all(&folder).map_err(io)?;
        let bodies = Self { folder, journal };
        bodies.sweep()?;
        Ok(bodies)
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Removes the files that nobody holds. Only with the state locked, so that no commit links one meanwhile.
    fn sweep(&self) -> Result<Collected, StoreError> {
        let state = self.journal.state();
        let mut collected = Collected::default();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if id.is_some_and(|id| !state.is_held(id)) {
                collected.bytes += entry.metadata().map_err(io)?.len();
                collected.blobs += 1;
                std::fs::remove_file(entry.path()).map_err(io)?;
            }
        }
        Ok(collected)
    }

    fn open_body(&self, id: BlobId) -> Result<File, StoreError> {
        File::open(self.path(id)).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => StoreError::NoBlob(id),
            _ => io(e),
        })
    }
}

#[async_trait]
impl Blobs for Bodies {
    async fn create(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        let file = tempfile::NamedTempFile::new_in(&self.folder).map_err(io)?;
        let open = tokio::fs::File::from_std(file.reopen().map_err(io)?);
        Ok(Box::new(Writer { bodies: self.clone(), file, open, hash: blake3::Hasher::new() }))
    }

    async fn read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        let mut file = self.open_body(id)?;
        let size = file.metadata().map_err(io)?.len();
        file.seek(SeekFrom::Start(range.start.min(size))).map_err(io)?;
        let mut bytes = Vec::new();
        file.take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes).map_err(io)?;
        Ok(bytes.into())
    }

    async fn size(&self, id: BlobId) -> Result<u64, StoreError> {
        Ok(self.open_body(id)?.metadata().map_err(io)?.len())
    }

    async fn collect(&self) -> Result<Collected, StoreError> {
        self.sweep()
    }
}

/// A body on its way in: a temporary file, which removes itself when it is dropped.
struct Writer {
    bodies: Bodies,
    file: tempfile::NamedTempFile,
    open: tokio::fs::File,
    hash: blake3::Hasher,
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.hash.update(&bytes);
        self.open.write_all(&bytes).await.map_err(io)
    }

    async fn finish(self: Box<Self>) -> Result<BlobId, StoreError> {
        let Writer { bodies, file, mut open, hash } = *self;
        open.flush().await.map_err(io)?;
        open.sync_all().await.map_err(io)?;
        let id = BlobId(*hash.finalize().as_bytes());
        let mut state = bodies.journal.state();
        file.persist(bodies.path(id)).map_err(|e| io(e.error))?;
        sync_folder(&bodies.folder)?;
        *state.reserved.entry(id).or_insert(0) += 1;
        Ok(id)
    }
}

/// Makes a new name survive a power cut, where folders can be synced.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    match cfg!(unix) {
        true => File::open(folder).and_then(|folder| folder.sync_all()).map_err(io),
        false => Ok(()),
    }
}
