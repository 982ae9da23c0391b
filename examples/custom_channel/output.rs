//! The outbound side: writes every message as a file, in a folder for each next hop.
//!
//! A file appears under its name only when it is whole and on the disk. If the answer to that is lost in a crash,
//! the message is written again, under another name: at-least-once.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Channel, Link, Outcome};
use iems_core::message::{ChannelId, EnhancedStatus, NextHop, Reply};
use tokio::io::AsyncWriteExt;

/// Messages go into a folder.
pub(crate) struct FolderOutput {
    id: ChannelId,
    folder: PathBuf,
}

impl FolderOutput {
    /// The channel called `name` over `folder`.
    pub(crate) fn new(name: &str, folder: &Path) -> Self {
        Self { id: ChannelId::new(name), folder: folder.into() }
    }
}

#[async_trait]
impl Channel for FolderOutput {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    /// A link is a folder that exists. The default of `next_hop` names it after the recipient's domain, which
    /// cannot hold a separator; an address literal is refused, for some systems cannot have it as a name.
    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        if hop.as_str().starts_with('[') {
            return Err(Reply::refuse(1, 2, format!("{hop} cannot be the name of a folder")));
        }
        let folder = self.folder.join(hop.as_str());
        match tokio::fs::create_dir_all(&folder).await {
            Ok(()) => Ok(Box::new(FolderLink { folder })),
            Err(e) => Err(Reply::defer(3, 0, "the folder cannot be made").because(e.to_string())),
        }
    }
}

struct FolderLink {
    folder: PathBuf,
}

impl FolderLink {
    async fn write(&self, attempt: &Attempt) -> Result<PathBuf, Box<dyn std::error::Error + Send + Sync>> {
        let file = tempfile::NamedTempFile::new_in(&self.folder)?;
        let mut out = tokio::fs::File::from_std(file.reopen()?);
        let recipients: Vec<String> = attempt.destinations.iter().map(|d| d.mailbox.to_string()).collect();
        let head = format!("{}\n{}\n\n", attempt.envelope.sender, recipients.join(" "));
        out.write_all(head.as_bytes()).await?;
        let mut body = attempt.body.reader(&*attempt.blobs);
        while let Some(piece) = body.next().await? {
            out.write_all(&piece).await?;
        }
        out.flush().await?;
        out.sync_all().await?;
        Ok(self.keep(file, attempt)?)
    }

    /// Gives the file a name that is not taken: a message has several files if its recipients got different copies.
    fn keep(&self, mut file: tempfile::NamedTempFile, attempt: &Attempt) -> io::Result<PathBuf> {
        for number in 0..1000 {
            let path = self.folder.join(format!("{}-{number}.mail", attempt.id));
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => file = e.file,
                Err(e) => return Err(e.error),
            }
        }
        Err(io::Error::other("there are a thousand files of this message"))
    }
}

#[async_trait]
impl Link for FolderLink {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let outcome = match self.write(attempt).await {
            Ok(path) => {
                let reply =
                    Reply::new(250, EnhancedStatus::new(2, 0, 0), format!("written to {}", path.display()));
                Outcome::Done(Arrival::Delivered, reply)
            }
            Err(e) => {
                Outcome::Deferred(Reply::defer(3, 0, "the file was not written").because(e.to_string()))
            }
        };
        vec![outcome; attempt.destinations.len()]
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}
