//! Changing an index. Everything here blocks.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::store::Compressor;
use tantivy::{Index, IndexSettings, IndexWriter, Term};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::entry::Entry;
use super::error::IndexError;
use super::files::{Files, FilesLock};
use super::grams::Grams;
use super::read::Raw;
use super::reader::Reader;
use super::schema::{Fields, Progress};

/// Octets that may wait for the library's thread.
const WAITING: usize = 4 << 20;
/// How much of a segment may be of removed messages before it is written anew without them.
const REMOVED: f32 = 0.05;
/// How many segments of a size come together before they become one.
const SEGMENTS: usize = 6;

/// The index in a folder.
pub(super) struct Opened {
    files: Files,
    pub(super) index: Index,
    pub(super) fields: Fields,
    pub(super) progress: Progress,
}

/// Opens the index in a folder; `None` if there is none yet.
pub(super) fn open(folder: &Path, lock: &FilesLock) -> Result<Option<Opened>, IndexError> {
    let files = Files::new(folder, lock);
    let opened = open_files(&files);
    match opened {
        Err(error) if files.is_damaged() => Err(IndexError::damage(error.to_string())),
        opened => opened,
    }
}

fn open_files(files: &Files) -> Result<Option<Opened>, IndexError> {
    let (schema, fields) = Fields::schema();
    if !Index::exists(files)? {
        return Ok(None);
    }
    let index = Index::open(files.clone())?;
    let Some(payload) = index.load_metas()?.payload else {
        return Ok(None); // made, and nothing was committed so far
    };
    let progress = Progress::read(&payload);
    match progress.filter(|_| index.schema() == schema) {
        Some(progress) => Ok(Some(Opened { files: files.clone(), index, fields, progress })),
        None => Err(IndexError::damage("it was made by other rules")),
    }
}

/// Makes an empty index in a folder, in the place of what is there.
fn create(folder: &Path, lock: &FilesLock) -> Result<Opened, IndexError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let (schema, fields) = Fields::schema();
    let settings = IndexSettings { docstore_compression: Compressor::None, ..IndexSettings::default() };
    let files = Files::new(folder, lock);
    let index = Index::create(files.clone(), schema, settings)?;
    Ok(Opened { files, index, fields, progress: Progress::default() })
}

/// An index that is being changed.
pub(super) struct Writer {
    files: Files,
    index: Index,
    fields: Fields,
    writer: IndexWriter<Entry>,
    /// How far it is.
    pub(super) progress: Progress,
    /// The mark of each message that it holds, by EMAILID.
    pub(super) held: HashMap<u64, u64>,
    body: Grams,
    header: Grams,
    room: Arc<Semaphore>,
}

impl Writer {
    /// Opens the index in a folder, or makes one; `memory` is what the library may use, in octets.
    pub(super) fn open(folder: &Path, lock: &FilesLock, memory: usize) -> Result<Self, IndexError> {
        match Self::try_open(folder, lock, memory) {
            Err(error) if error.is_damage() => {
                tracing::warn!(folder = %folder.display(), %error, "an index of texts is made anew");
                Self::of(create(folder, lock)?, memory)
            }
            opened => opened,
        }
    }

    fn try_open(folder: &Path, lock: &FilesLock, memory: usize) -> Result<Self, IndexError> {
        match open(folder, lock)? {
            Some(opened) => Self::of(opened, memory),
            None => Self::of(create(folder, lock)?, memory),
        }
    }

    fn of(opened: Opened, memory: usize) -> Result<Self, IndexError> {
        let Opened { files, index, fields, progress } = opened;
        let held = Reader::open(&index, fields)?.held().iter().map(|one| (one.email, one.mark)).collect();
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(memory)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter<Entry> = index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(REMOVED);
        policy.set_min_num_segments(SEGMENTS);
        writer.set_merge_policy(Box::new(policy));
        let room = Arc::new(Semaphore::new(WAITING));
        let (body, header) = (Grams::new(), Grams::new());
        Ok(Self { files, index, fields, writer, progress, held, body, header, room })
    }

    /// Adds a message. If another one has its EMAILID, it takes its place.
    pub(super) fn add(&mut self, raw: &Raw) -> Result<(), IndexError> {
        if self.held.contains_key(&raw.email) {
            self.remove(raw.email);
        }
        raw.texts(|text| self.body.add(text.as_bytes()), |text| self.header.add(text.as_bytes()));
        let (body, header) = (self.body.take(), self.header.take());
        let size = (body.len() + header.len()).clamp(1, WAITING);
        let room = self.room.clone().acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX));
        let _room = Handle::current().block_on(room).ok();
        let Raw { email, mark, whole, .. } = *raw;
        self.writer.add_document(Entry { fields: self.fields, email, mark, whole, body, header, _room })?;
        self.held.insert(email, mark);
        Ok(())
    }

    /// Removes a message.
    pub(super) fn remove(&mut self, email: u64) {
        self.writer.delete_term(Term::from_field_u64(self.fields.email, email));
        self.held.remove(&email);
    }

    /// From now on, searches see what was done.
    pub(super) fn commit(&mut self) -> Result<(), IndexError> {
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&self.progress.write());
        commit.commit()?;
        Ok(())
    }

    /// The last commit, to be asked.
    pub(super) fn reader(&self) -> Result<Reader, IndexError> {
        Reader::open(&self.index, self.fields)
    }

    /// What an error of this index is: damage may show itself as something else.
    pub(super) fn judged(&self, error: IndexError) -> IndexError {
        match self.files.is_damaged() {
            true => IndexError::damage(error.to_string()),
            false => error,
        }
    }

    /// Waits until files are put together that are to be.
    pub(super) fn end(self) -> Result<(), IndexError> {
        Ok(self.writer.wait_merging_threads()?)
    }
}
