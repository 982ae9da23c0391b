//! Files in blocks with checksums: what was damaged on the disk is an error when it is read, never something else.
//!
//! A block is up to 16 KiB: octets, and the CRC-32C of the file's name, the block's number, whether it is the last one,
//! and the octets. Every block but the last is full. So a file that was cut off or put in another's place is damage, too.
//! Nothing is synced: what a power cut loses of an index is seen by the checksums, and made again from the mail.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Octets of a block on the disk.
const BLOCK: usize = 16 << 10;
/// Octets of a checksum.
const SUM: usize = 4;
/// Octets of content of a full block.
const CONTENT: usize = BLOCK - SUM;
/// How many blocks are read at once.
const RUN: u64 = 16;

/// The checksum of a block.
fn sum(name: &str, number: u64, last: bool, content: &[u8]) -> [u8; SUM] {
    let sum = crc32c::crc32c(name.as_bytes());
    let sum = crc32c::crc32c_append(sum, &number.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &[u8::from(last)]);
    crc32c::crc32c_append(sum, content).to_le_bytes()
}

fn damaged(name: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{name} is damaged"))
}

/// Makes the options for files that only their owner may read.
fn private() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes a file from its beginning to its end.
pub(super) struct BlockWriter {
    file: File,
    name: String,
    number: u64,
    block: Vec<u8>,
}

impl BlockWriter {
    /// A new file at `path`, which is called `name`. One that is there already is an error.
    pub(super) fn create(path: &Path, name: &str) -> io::Result<Self> {
        let file = private().write(true).create_new(true).open(path)?;
        Ok(Self { file, name: name.to_owned(), number: 0, block: Vec::with_capacity(BLOCK) })
    }

    fn write_block(&mut self, last: bool) -> io::Result<()> {
        let sum = sum(&self.name, self.number, last, &self.block);
        self.block.extend_from_slice(&sum);
        self.file.write_all(&self.block)?;
        self.number += 1;
        self.block.clear();
        Ok(())
    }

    /// Ends the file. Without that, it is damaged.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.write_block(true)
    }
}

impl Write for BlockWriter {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.block.len() == CONTENT {
            self.write_block(false)?;
        }
        let taken = octets.len().min(CONTENT - self.block.len());
        self.block.extend_from_slice(&octets[..taken]);
        Ok(taken)
    }

    /// Nothing can be read before the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that was written to its end.
#[derive(Debug)]
pub(super) struct BlockFile {
    file: File,
    name: String,
    blocks: u64,
    length: u64,
    /// The block that was read last: what is read is often near what was read before.
    recent: Mutex<Option<(u64, Arc<[u8]>)>>,
}

impl BlockFile {
    /// The file at `path`, which is called `name`.
    pub(super) fn open(path: &Path, name: &str) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let blocks = size.div_ceil(BLOCK as u64);
        let length = size.checked_sub(blocks * SUM as u64).filter(|_| {
            let last = size - blocks.saturating_sub(1) * BLOCK as u64;
            blocks > 0 && last >= SUM as u64
        });
        let length = length.ok_or_else(|| damaged(name))?;
        let file = Self { file, name: name.to_owned(), blocks, length, recent: Mutex::default() };
        // The last block says that it is the last; its content is asked for first, as a rule.
        file.blocks(blocks - 1, 1)?;
        Ok(file)
    }

    /// Octets of its content.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Octets of its content; [`ErrorKind::InvalidData`] if they are not what was written, or if there are not so many.
    pub(super) fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.end > self.length || range.start > range.end {
            return Err(damaged(&self.name));
        }
        let mut octets = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        while at < range.end {
            let first = at / CONTENT as u64;
            let last = (range.end - 1) / CONTENT as u64;
            let blocks = self.blocks(first, (last - first + 1).min(RUN))?;
            let begin = (at - first * CONTENT as u64) as usize;
            let end = blocks.len().min((range.end - first * CONTENT as u64) as usize);
            octets.extend_from_slice(blocks.get(begin..end).ok_or_else(|| damaged(&self.name))?);
            at = first * CONTENT as u64 + end as u64;
        }
        Ok(octets)
    }

    /// The content of some blocks.
    fn blocks(&self, first: u64, count: u64) -> io::Result<Arc<[u8]>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, content)) = recent.as_ref().filter(|(number, _)| count == 1 && *number == first) {
            return Ok(content.clone());
        }
        let size = self.length + self.blocks * SUM as u64;
        let begin = first * BLOCK as u64;
        let end = (begin + count * BLOCK as u64).min(size);
        let mut read = vec![0; end.saturating_sub(begin) as usize];
        self.read_at(&mut read, begin)?;
        let mut content = Vec::with_capacity(read.len());
        for (block, number) in read.chunks(BLOCK).zip(first..) {
            let (octets, found) = block.split_last_chunk::<SUM>().ok_or_else(|| damaged(&self.name))?;
            if *found != sum(&self.name, number, number + 1 == self.blocks, octets) {
                return Err(damaged(&self.name));
            }
            content.extend_from_slice(octets);
        }
        let content: Arc<[u8]> = content.into();
        if count == 1 {
            *recent = Some((first, content.clone()));
        }
        Ok(content)
    }

    #[cfg(unix)]
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        let read = std::os::unix::fs::FileExt::read_exact_at(&self.file, into, at);
        read.map_err(|e| if e.kind() == ErrorKind::UnexpectedEof { damaged(&self.name) } else { e })
    }

    #[cfg(not(unix))]
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        let mut file = self.file.try_clone()?;
        std::io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
        let read = std::io::Read::read_exact(&mut file, into);
        read.map_err(|e| if e.kind() == ErrorKind::UnexpectedEof { damaged(&self.name) } else { e })
    }
}

/// The whole content of a small file.
pub(super) fn read_whole(path: &Path, name: &str) -> io::Result<Vec<u8>> {
    let file = BlockFile::open(path, name)?;
    file.read(0..file.length())
}

/// Puts `content` into the place of what the file held, at once.
pub(super) fn replace_whole(path: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = std::path::PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut writer = BlockWriter::create(&beside, name)?;
    writer.write_all(content)?;
    writer.end()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, content: &[u8]) -> std::path::PathBuf {
        let path = folder.join(format!("f{}", content.len()));
        let mut writer = BlockWriter::create(&path, "f").unwrap();
        writer.write_all(content).unwrap();
        writer.end().unwrap();
        path
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 % 251) as u8).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 1, CONTENT - 1, CONTENT, CONTENT + 1, 40 * CONTENT, 40 * CONTENT + 5] {
            let content = content(length);
            let file = BlockFile::open(&written(folder.path(), &content), "f").unwrap();
            assert_eq!(file.length(), length as u64);
            assert_eq!(file.read(0..length as u64).unwrap(), content);
            for at in [0, 1, CONTENT - 1, CONTENT, 17 * CONTENT - 3] {
                let range = at.min(length)..(at + 9).min(length);
                let read = file.read(range.start as u64..range.end as u64).unwrap();
                assert_eq!(read, content[range]);
            }
            assert!(file.read(0..length as u64 + 1).is_err());
        }
    }

    #[test]
    fn damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let good = written(folder.path(), &content(3 * CONTENT));
        let octets = std::fs::read(&good).unwrap();
        let path = folder.path().join("bad");
        let bad = |octets: &[u8], name: &str| {
            std::fs::write(&path, octets).unwrap();
            read_whole(&path, name).is_err_and(|e| e.kind() == ErrorKind::InvalidData)
        };
        for at in [0, BLOCK - 1, BLOCK, octets.len() - 1] {
            let mut flipped = octets.clone();
            flipped[at] ^= 4;
            assert!(bad(&flipped, "f"), "flipped {at}");
        }
        for length in [0, 3, 4, BLOCK, 2 * BLOCK, octets.len() - 1] {
            assert!(bad(&octets[..length], "f"), "cut at {length}");
        }
        assert!(bad(&[&octets[..], &octets[..BLOCK]].concat(), "f"), "longer");
        assert!(bad(&[&octets[BLOCK..2 * BLOCK], &octets[..BLOCK], &octets[2 * BLOCK..]].concat(), "f"));
        assert!(bad(&octets, "g"), "another's");
        assert!(!bad(&octets, "f"));
    }

    #[test]
    fn a_file_is_replaced_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        for content in [&b"one"[..], b"two"] {
            replace_whole(&path, "f", content).unwrap();
            assert_eq!(read_whole(&path, "f").unwrap(), content);
        }
    }
}
