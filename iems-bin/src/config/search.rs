//! `[search]`: the index of the texts of messages.

use std::path::{Path, PathBuf};

use super::leaf::Size;
use super::problem::Notes;
use super::read::section;

section! {
    /// Searching texts.
    WrittenSearch {
        /// Whether there is an index.
        index: bool = "true";
        /// Its folder.
        folder: String;
        /// Memory for indexing.
        memory: Size = r#""32MiB""#;
    }
}

/// The least and the most memory for indexing, in octets.
const MEMORY: std::ops::RangeInclusive<u64> = 16 << 20..=1 << 30;

/// What holds for searching texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchSettings {
    /// Whether there is an index.
    pub(crate) index: bool,
    /// Where it is.
    pub(crate) folder: PathBuf,
    /// Memory for indexing, in octets.
    pub(crate) memory: usize,
}

pub(super) fn search(
    written: &WrittenSearch,
    folder: &Path,
    data: &Path,
    notes: &mut Notes<'_>,
) -> SearchSettings {
    let memory = &written.memory;
    if !MEMORY.contains(&memory.value.0) {
        notes.expected(memory.span.as_ref(), "search.memory", "a size from \"16MiB\" to \"1GiB\"");
    }
    let own = written.folder.as_ref().map(|own| folder.join(&own.value));
    SearchSettings {
        index: written.index.value,
        folder: own.unwrap_or_else(|| data.join("search")),
        memory: usize::try_from(memory.value.0).unwrap_or(usize::MAX),
    }
}
