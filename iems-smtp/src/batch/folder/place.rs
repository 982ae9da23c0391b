//! Folders and file names: made, moved and listed so that a crash at any point leaves a file in one place, whole.

use std::io;
use std::path::{Path, PathBuf};

use iems_core::message::QueueId;
use iems_core::seam::{Random, Timestamp};

/// A folder of ours.
#[derive(Debug, Clone)]
pub(crate) struct Place(pub(super) PathBuf);

impl Place {
    /// The folder, made if it is not there.
    pub(crate) async fn make(folder: PathBuf) -> io::Result<Self> {
        tokio::fs::create_dir_all(&folder).await?;
        Ok(Self(folder))
    }

    /// A file in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names of the plain files in it, smallest first; at most `most`. Links and whatever else is no file are left alone.
    pub(crate) async fn files(&self, fits: impl Fn(&str) -> bool, most: usize) -> io::Result<Vec<String>> {
        let (mut entries, mut names) = (tokio::fs::read_dir(&self.0).await?, Vec::new());
        while let Some(entry) = entries.next_entry().await? {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if fits(&name) && entry.file_type().await?.is_file() {
                names.push(name);
            }
            if names.len() >= most {
                break;
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Renames within or between our folders and makes both durable.
    pub(crate) async fn take(&self, from: &Path, name: &str) -> io::Result<()> {
        tokio::fs::rename(from, self.at(name)).await?;
        self.sync().await?;
        match from.parent() {
            Some(parent) if parent != self.0 => Self(parent.to_owned()).sync().await,
            _ => Ok(()),
        }
    }

    /// Makes the names in it durable.
    pub(crate) async fn sync(&self) -> io::Result<()> {
        sync_folder(self.0.clone()).await
    }
}

#[cfg(unix)]
async fn sync_folder(folder: PathBuf) -> io::Result<()> {
    tokio::fs::File::open(folder).await?.sync_all().await
}

/// Names are durable with what they name.
#[cfg(not(unix))]
async fn sync_folder(_: PathBuf) -> io::Result<()> {
    Ok(())
}

/// A name that no other file gets, which tells when it was given: a queue id, then `rest`.
pub(super) fn fresh(now: Timestamp, random: &dyn Random, rest: &str) -> String {
    format!("{}-{rest}", QueueId::new(now, random))
}

/// When such a name was given.
pub(super) fn given(name: &str) -> Option<Timestamp> {
    let (id, _) = name.split_once('-')?;
    id.parse::<QueueId>().ok().map(QueueId::arrived)
}
