//! The disk of the operating system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(target_os = "linux")]
use super::FILLED;
use super::{Disk, DiskFile, Locked};

/// A folder of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The folder `root`; it is made when the engine first asks for it.
    pub fn new(root: impl AsRef<Path>) -> Self {
        Self { root: root.as_ref().to_owned() }
    }

    fn path(&self, relative: &str) -> PathBuf {
        if relative.is_empty() { self.root.clone() } else { self.root.join(relative) }
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.path(path))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(path))?;
        Ok(Arc::new(RealFile { file }))
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path(path))?;
        Ok(Arc::new(RealFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        if cfg!(unix) { File::open(self.path(path))?.sync_all() } else { Ok(()) }
    }

    #[cfg(unix)]
    fn free(&self) -> io::Result<Option<u64>> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }

    #[cfg(unix)]
    fn total(&self) -> io::Result<Option<u64>> {
        let stat = rustix::fs::statvfs(&self.root)?;
        let kept = stat.f_bfree.saturating_sub(stat.f_bavail);
        Ok(Some(stat.f_blocks.saturating_sub(kept).saturating_mul(stat.f_frsize)))
    }

    #[cfg(not(unix))]
    fn free(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    #[cfg(not(unix))]
    fn total(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn lock(&self) -> Result<Box<dyn Send + Sync>, Locked> {
        let path = self.path("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Locked::Failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Locked::By(holder(&mut file))),
            Err(TryLockError::Error(e)) => return Err(Locked::Failed(e)),
        }
        let note = format!("{}\n", std::process::id());
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
        written.map_err(Locked::Failed)?;
        Ok(Box::new(file))
    }
}

/// The process that wrote its id into the lock file.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, into, at)
    }

    #[cfg(windows)]
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < into.len() {
            let read =
                std::os::windows::fs::FileExt::seek_read(&self.file, &mut into[done..], at + done as u64)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            done += read;
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn read_at_once(&self, at: u64, into: &mut [u8]) -> io::Result<bool> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        let wanted = into.len();
        match preadv2(&self.file, &mut [io::IoSliceMut::new(into)], at, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(read == wanted),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    #[cfg(target_os = "linux")]
    fn write_at(&self, mut at: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        /// What one system call takes.
        const AT_ONCE: usize = 1024;
        for parts in parts.chunks(AT_ONCE) {
            let whole: usize = parts.iter().map(|part| part.len()).sum();
            let done = match rustix::io::pwritev(&self.file, parts, at) {
                Ok(done) => done,
                Err(rustix::io::Errno::INTR) => 0,
                Err(e) => return Err(e.into()),
            };
            if done < whole {
                let mut begin = 0;
                for part in parts {
                    let skip = done.saturating_sub(begin).min(part.len());
                    let from = at + (begin + skip) as u64;
                    std::os::unix::fs::FileExt::write_all_at(&self.file, &part[skip..], from)?;
                    begin += part.len();
                }
            }
            at += whole as u64;
        }
        Ok(())
    }

    #[cfg(all(unix, not(target_os = "linux")))]
    fn write_at(&self, mut at: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        for part in parts {
            std::os::unix::fs::FileExt::write_all_at(&self.file, part, at)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    #[cfg(windows)]
    fn write_at(&self, mut at: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        for part in parts {
            let mut part = &part[..];
            while !part.is_empty() {
                let written = std::os::windows::fs::FileExt::seek_write(&self.file, part, at)?;
                at += written as u64;
                part = &part[written..];
            }
        }
        Ok(())
    }

    /// Past the system's memory, which has better use, and without a copy; where that cannot be, like everything else.
    #[cfg(target_os = "linux")]
    fn fill(&self, at: u64, len: usize) -> io::Result<()> {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        use std::os::unix::fs::FileExt;
        let room = vec![0; len + FILLED];
        let skip = room.as_ptr().align_offset(FILLED);
        let zeros = room.get(skip..skip + len).unwrap_or(&room[..len]);
        let flags = fcntl_getfl(&self.file)?;
        if fcntl_setfl(&self.file, flags | OFlags::DIRECT).is_ok() {
            let written = self.file.write_all_at(zeros, at);
            fcntl_setfl(&self.file, flags)?;
            match written {
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {}
                written => return written,
            }
        }
        self.file.write_all_at(zeros, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    #[cfg(target_os = "linux")]
    fn allocate(&self, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP) => self.grow(len),
            Err(e) => Err(e.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.grow(len)
    }
}

impl RealFile {
    fn grow(&self, len: u64) -> io::Result<()> {
        if self.len()? < len { self.set_len(len) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_written_where_they_belong() {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::new(dir.path());
        let file = disk.create("f").expect("a file");
        file.write_at(0, &[IoSlice::new(&[7; 40_000])]).expect("a write");
        file.fill(8192, 16_384).expect("zeros");
        file.write_at(8200, &[IoSlice::new(b"later")]).expect("a write");
        let mut read = vec![1; 40_000];
        file.read_at(0, &mut read).expect("a read");
        let mut expected = vec![7; 40_000];
        expected[8192..24_576].fill(0);
        expected[8200..8205].copy_from_slice(b"later");
        assert!(read == expected);
        assert_eq!(file.len().expect("a length"), 40_000);
    }
}
