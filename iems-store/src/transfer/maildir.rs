//! Maildir: one file for each message, flags in its name, keywords as letters that a file explains (as Dovecot has it).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use iems_core::seam::Timestamp;

use super::dovecot::UidList;
use super::{Letter, MAX_MESSAGE, Progress, TransferError, dovecot, entries, packed, written_at};
use crate::mailbox::Flags;

/// The letters of flags.
const LETTERS: [(char, Flags); 5] = [
    ('D', Flags::DRAFT),
    ('F', Flags::FLAGGED),
    ('R', Flags::ANSWERED),
    ('S', Flags::SEEN),
    ('T', Flags::DELETED),
];
/// The letter and the keyword of what was passed on.
const PASSED: (char, &str) = ('P', "$Forwarded");

/// Whether a folder is a Maildir.
pub(super) fn is_one(folder: &Path) -> bool {
    folder.join("cur").is_dir() || folder.join("new").is_dir()
}

/// A file with a message.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// The UID that it had, or the greatest there is.
    uid: u32,
    /// When it came.
    pub(super) received: Timestamp,
    pub(super) path: PathBuf,
}

impl File {
    /// The UID that it had.
    pub(super) fn uid(&self) -> Option<u32> {
        (self.uid != u32::MAX).then_some(self.uid)
    }
}

/// The files with messages, in the order of the UIDs that they had; then those without, the oldest first.
pub(super) fn files(folder: &Path, list: &UidList, progress: &mut Progress) -> Vec<File> {
    let mut all = Vec::new();
    for part in ["cur", "new"].map(|part| folder.join(part)).into_iter().filter(|part| part.is_dir()) {
        let files = match entries(&part) {
            Ok(files) => files,
            Err(TransferError::File { error, .. }) => {
                progress.refuse(&part, format!("the folder cannot be read: {error}"));
                continue;
            }
            Err(error) => {
                progress.refuse(&part, error.to_string());
                continue;
            }
        };
        for file in files.into_iter().filter(|file| !file.is_dir()) {
            let name = name_of(&file);
            // No message (maildir(5)).
            if name.starts_with('.') {
                continue;
            }
            match written_at(&file) {
                Ok(received) => {
                    let uid = list.uids.get(dovecot::bare(&name)).copied().unwrap_or(u32::MAX);
                    all.push(File { uid, received, path: file });
                }
                Err(error) => progress.refuse(&file, error),
            }
        }
    }
    all.sort_unstable();
    // A second file of the same name is another message.
    let mut before = 0;
    for file in &mut all {
        let uid = std::mem::replace(&mut before, file.uid);
        if uid == file.uid {
            file.uid = u32::MAX;
        }
    }
    all.sort_unstable();
    all
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The message of a file.
///
/// # Errors
/// Why it is left out.
pub(super) fn read(
    file: &Path,
    received: Timestamp,
    keywords: &BTreeMap<char, String>,
) -> Result<Letter, String> {
    let octets = packed::plain(octets(file)?)?;
    let name = name_of(file);
    let letters = name.rsplit_once(":2,").map_or("", |(_, letters)| letters);
    let flags = LETTERS.iter().filter(|(letter, _)| letters.contains(*letter));
    let flags = flags.fold(Flags::empty(), |all, (_, flag)| all | *flag);
    let mut keywords: Vec<_> = letters.chars().filter_map(|letter| keywords.get(&letter).cloned()).collect();
    if letters.contains(PASSED.0) && !keywords.iter().any(|keyword| keyword == PASSED.1) {
        keywords.push(PASSED.1.to_owned());
    }
    Ok(Letter { octets, received: Some(received), flags, keywords })
}

/// What a file holds, if it can be a message.
///
/// # Errors
/// Why it is left out.
pub(super) fn octets(file: &Path) -> Result<Vec<u8>, String> {
    let trouble = |error| format!("it cannot be read: {error}");
    let about = std::fs::metadata(file).map_err(trouble)?;
    if !about.is_file() {
        return Err("it is no file".into());
    }
    if about.len() > MAX_MESSAGE {
        return Err(packed::too_large());
    }
    std::fs::read(file).map_err(trouble)
}

/// What stands behind a file's name for these flags and keywords.
pub(super) fn suffix(flags: Flags, keywords: impl Iterator<Item = char>) -> String {
    let letters = LETTERS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(letter, _)| *letter);
    format!(":2,{}", letters.chain(keywords).collect::<String>())
}
