//! What can be wrong with an index. Searches never see it: they read.

use std::io::{self, ErrorKind};

use iems_core::storage::StoreError;
use tantivy::TantivyError;
use tantivy::directory::error::{OpenReadError, OpenWriteError};

/// What went wrong with an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// It is not as it was written, or was written by another release. It is made anew.
    #[error("the index is damaged: {0}")]
    Damaged(String),
    /// Files cannot be read or written.
    #[error("files of the index: {0}")]
    Io(String),
    /// The medium has too little room left. Indexing goes on when there is more.
    #[error("too little room on the medium: {free} octets are free, {least} are left to others")]
    NoRoom {
        /// Octets that are free.
        free: u64,
        /// Octets that an index leaves alone.
        least: u64,
    },
    /// The mail cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IndexError {
    pub(super) fn damage(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// A thread of the index ended by itself.
    pub(super) fn panicked(_: tokio::task::JoinError) -> Self {
        Self::Damaged("it cannot be read to its end".into())
    }

    /// Whether it has to be made anew.
    pub(super) const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Damaged(error.to_string()),
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<OpenReadError> for IndexError {
    fn from(error: OpenReadError) -> Self {
        TantivyError::from(error).into()
    }
}

impl From<TantivyError> for IndexError {
    fn from(error: TantivyError) -> Self {
        let of = |source: &io::Error| io::Error::new(source.kind(), error.to_string()).into();
        match &error {
            TantivyError::IoError(source)
            | TantivyError::OpenReadError(OpenReadError::IoError { io_error: source, .. })
            | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: source, .. }) => of(source),
            // Of threads and locks: nothing is known of the files.
            TantivyError::ErrorInThread(_) | TantivyError::SystemError(_) | TantivyError::LockFailure(..) => {
                Self::Io(error.to_string())
            }
            _ => Self::Damaged(error.to_string()),
        }
    }
}
