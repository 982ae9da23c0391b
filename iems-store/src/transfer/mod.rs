//! Mail in and out of an account as files: Maildir, mbox, and a folder of `.eml` files.
//!
//! Both ways can be interrupted and begun again: what was done is found and left out; others may use the account meanwhile. Files are
//! read and written in place, which blocks the thread: servers give it one of its own.
//!
//! `names` folders and mailboxes · `maildir` `mbox` the formats · `packed` what is compressed · `dovecot` what other servers keep
//! beside the mail · `rights` of others · `uids` that are kept · `export` the way out · `import` and `incoming` the way in.

mod dovecot;
mod export;
mod import;
mod incoming;
mod maildir;
mod mbox;
mod names;
mod packed;
mod rights;
#[cfg(test)]
mod tests;
mod uids;

pub use export::export;
pub use import::{Import, import};
pub use rights::Names;

use std::io;
use std::path::{Path, PathBuf};

use iems_core::seam::Timestamp;
use iems_core::storage::StoreError;

use crate::mailbox::{Flags, MailboxError};

/// The largest file that is taken for a message, in octets.
pub const MAX_MESSAGE: u64 = 256 << 20;

/// The most problems that are remembered.
const PROBLEMS: usize = 10_000;

/// How mail is kept in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A folder with `cur`, `new` and `tmp` for each mailbox: one below the other, or as Maildir++ names them.
    Maildir,
    /// One file for each mailbox, messages one behind the other (the variant mboxrd).
    Mbox,
    /// A folder for each mailbox, with one `.eml` file for each message. Flags are not kept.
    Eml,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Maildir => "maildir",
            Self::Mbox => "mbox",
            Self::Eml => "eml",
        })
    }
}

impl std::str::FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "maildir" => Ok(Self::Maildir),
            "mbox" => Ok(Self::Mbox),
            "eml" => Ok(Self::Eml),
            _ => Err("expected maildir, mbox or eml"),
        }
    }
}

/// Why mail could not go in or out. What was done before stays, and is left out the next time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is nothing of this format there.
    #[error("{path}: there is no mail of this format there: {hint}")]
    NoMail {
        /// Where.
        path: PathBuf,
        /// What there should be, or what is there.
        hint: &'static str,
    },
    /// There is no such mailbox to bring out.
    #[error("there is no mailbox \"{0}\" in the account")]
    NoMailbox(String),
    /// A mailbox cannot be made.
    #[error("mailbox \"{path}\": {error}")]
    Mailbox {
        /// Its path.
        path: String,
        /// Why.
        error: MailboxError,
    },
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The mailbox that it is at.
    pub mailbox: String,
    /// Messages that went in or out.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Messages that were there already.
    pub left_out: u64,
    /// Files and folders that are not brought in: no message, too large, not to be read, or the like.
    pub refused: u64,
    /// Mailboxes that are done.
    pub mailboxes: u64,
    /// Which were refused, and what was not taken over of others: the first 10,000.
    pub problems: Vec<Problem>,
    /// Of the mailboxes that came in: whether their messages have the UIDs that they had.
    pub uids: Vec<Uids>,
}

/// Whether the messages of a mailbox that came in have the UIDs that they had, so that mail programs need not fetch them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uids {
    /// The path of the mailbox.
    pub mailbox: String,
    /// Whether UIDVALIDITY and UIDs are as they were.
    pub kept: bool,
    /// Its UIDVALIDITY here.
    pub validity: u32,
    /// Why they are not kept, or what else is to be known; empty if nothing is.
    pub why: String,
}

/// Something that is not brought in, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder.
    pub path: PathBuf,
    /// What about it.
    pub why: String,
}

impl Progress {
    fn refuse(&mut self, path: &Path, why: impl Into<String>) {
        self.refused += 1;
        self.note(path, why);
    }

    fn note(&mut self, path: &Path, why: impl Into<String>) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(Problem { path: path.to_owned(), why: why.into() });
        }
    }
}

/// Hears how far it is: after each mailbox, and each hundred messages or so.
pub type Listener<'a> = &'a mut (dyn FnMut(&Progress) + Send);

/// A message as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Letter {
    octets: Vec<u8>,
    /// When it came; `None` if nothing says so.
    received: Option<Timestamp>,
    flags: Flags,
    keywords: Vec<String>,
}

fn trouble(path: &Path) -> impl FnOnce(io::Error) -> TransferError + '_ {
    |error| TransferError::File { path: path.to_owned(), error }
}

/// The entries of a folder, in the order of their names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, TransferError> {
    let read = std::fs::read_dir(folder).map_err(trouble(folder))?;
    let mut all = Vec::new();
    for entry in read {
        all.push(entry.map_err(trouble(folder))?.path());
    }
    all.sort_unstable();
    Ok(all)
}

/// When a file was last written.
///
/// # Errors
/// Why nobody knows.
fn written_at(path: &Path) -> Result<Timestamp, String> {
    let time = std::fs::metadata(path).and_then(|meta| meta.modified());
    let time = time.map_err(|error| format!("it cannot be read: {error}"))?;
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or_default()))
}

/// Writes a file whole or not at all, as of `at`.
fn write_whole(temporary: &Path, path: &Path, octets: &[u8], at: Timestamp) -> Result<(), TransferError> {
    std::fs::write(temporary, octets).map_err(trouble(temporary))?;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.as_millis());
    let file = std::fs::File::options().write(true).open(temporary).map_err(trouble(temporary))?;
    file.set_modified(time).and_then(|()| file.sync_all()).map_err(trouble(temporary))?;
    std::fs::rename(temporary, path).map_err(trouble(path))
}
