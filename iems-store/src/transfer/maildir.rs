//! Maildir: one file for each message, flags in its name, keywords as letters that a file explains (as Dovecot has it).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Letter, MAX_MESSAGE, TransferError, entries, trouble, written_at};
use crate::mailbox::Flags;

/// The letters of flags.
const LETTERS: [(char, Flags); 5] = [
    ('D', Flags::DRAFT),
    ('F', Flags::FLAGGED),
    ('R', Flags::ANSWERED),
    ('S', Flags::SEEN),
    ('T', Flags::DELETED),
];
/// The file that says which letter is which keyword.
pub(super) const KEYWORDS: &str = "dovecot-keywords";

/// Whether a folder is a Maildir.
pub(super) fn is_one(folder: &Path) -> bool {
    folder.join("cur").is_dir() || folder.join("new").is_dir()
}

/// The files with messages, the oldest first.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, TransferError> {
    let mut all = Vec::new();
    for part in ["cur", "new"] {
        let part = folder.join(part);
        if part.is_dir() {
            for file in entries(&part)?.into_iter().filter(|file| file.is_file()) {
                all.push((written_at(&file)?, file));
            }
        }
    }
    all.sort_unstable();
    Ok(all.into_iter().map(|(_, file)| file).collect())
}

/// The message of a file; `None` if it is too large to be one.
pub(super) fn read(file: &Path, keywords: &BTreeMap<char, String>) -> Result<Option<Letter>, TransferError> {
    if std::fs::metadata(file).map_err(trouble(file))?.len() > MAX_MESSAGE {
        return Ok(None);
    }
    let octets = std::fs::read(file).map_err(trouble(file))?;
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let letters = name.rsplit_once(":2,").map_or("", |(_, letters)| letters);
    let flags = LETTERS.iter().filter(|(letter, _)| letters.contains(*letter));
    let flags = flags.fold(Flags::empty(), |all, (_, flag)| all | *flag);
    let keywords = letters.chars().filter_map(|letter| keywords.get(&letter).cloned()).collect();
    Ok(Some(Letter { octets, received: written_at(file)?, flags, keywords }))
}

/// Which letter is which keyword in a folder.
pub(super) fn keywords(folder: &Path) -> BTreeMap<char, String> {
    let text = std::fs::read_to_string(folder.join(KEYWORDS)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let (number, name) = line.split_once(' ')?;
        let letter = number.parse::<u8>().ok().filter(|number| *number < 26)?;
        Some((char::from(b'a' + letter), name.to_owned()))
    });
    lines.collect()
}

/// What stands behind a file's name for these flags and keywords.
pub(super) fn suffix(flags: Flags, keywords: impl Iterator<Item = char>) -> String {
    let letters = LETTERS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(letter, _)| *letter);
    format!(":2,{}", letters.chain(keywords).collect::<String>())
}
