//! The inbound side: takes every file `*.mail` of a folder through the door.
//!
//! A file is removed once its message is durable. A crash between the two takes it in again: like any way between
//! two systems, this one is at-least-once. What the door refuses for good stays, as `*.refused`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::deliver::Channel;
use iems_core::message::{ChannelId, Envelope, ForwardPath, Reply, ReversePath};
use iems_core::receive::{Connection, Intake};
use tokio_util::sync::CancellationToken;

/// How often the folder is looked at.
const ROUND: Duration = Duration::from_millis(100);
/// The largest file that is read, in octets. A channel for larger ones would read piece by piece.
const MAX_FILE: u64 = 10 << 20;

/// Messages come from a folder.
pub(crate) struct FolderInput {
    id: ChannelId,
    folder: PathBuf,
}

impl FolderInput {
    /// The channel called `name` over `folder`.
    pub(crate) fn new(name: &str, folder: &Path) -> Self {
        Self { id: ChannelId::new(name), folder: folder.into() }
    }

    async fn take_all(&self, intake: &Intake) -> io::Result<()> {
        let mut entries = tokio::fs::read_dir(&self.folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "mail") {
                self.take(intake, &path).await?;
            }
        }
        Ok(())
    }

    /// Takes one file. What is refused for now stays for the next round.
    async fn take(&self, intake: &Intake, path: &Path) -> io::Result<()> {
        match self.submit(intake, path).await? {
            Ok(()) => tokio::fs::remove_file(path).await,
            Err(reply) if reply.is_temporary() => Ok(()),
            Err(reply) => {
                tokio::fs::write(path.with_extension("reply"), reply.to_string()).await?;
                tokio::fs::rename(path, path.with_extension("refused")).await
            }
        }
    }

    async fn submit(&self, intake: &Intake, path: &Path) -> io::Result<Result<(), Reply>> {
        if tokio::fs::metadata(path).await?.len() > MAX_FILE {
            return Ok(Err(Reply::refuse(3, 4, "the file is too large")));
        }
        let text = tokio::fs::read(path).await?;
        Ok(match parse(&text) {
            Some(mail) => self.through_the_door(intake, mail).await,
            None => {
                Err(Reply::refuse(6, 0, "not a file with a sender, recipients, an empty line and a message"))
            }
        })
    }

    /// Open, begin, recipient, write, commit: the same steps as for every other channel.
    async fn through_the_door(&self, intake: &Intake, mail: Mail) -> Result<(), Reply> {
        let mut session = intake.open(Connection::new(self.id.clone(), None)).await?;
        session.hello("folder").await?;
        let mut transaction = session.begin(Envelope::new(mail.sender), mail.message.len() as u64).await?;
        for recipient in mail.recipients {
            transaction.recipient(recipient, None, None).await?;
        }
        transaction.write(mail.message.into()).await?;
        transaction.commit().await.map(drop)
    }
}

#[async_trait]
impl Channel for FolderInput {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn serve(&self, intake: Intake, shutdown: CancellationToken) -> io::Result<()> {
        while !shutdown.is_cancelled() {
            self.take_all(&intake).await?;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        }
        Ok(())
    }
}

/// What a file holds, with the addresses read once and for all.
struct Mail {
    sender: ReversePath,
    recipients: Vec<ForwardPath>,
    message: Vec<u8>,
}

fn parse(text: &[u8]) -> Option<Mail> {
    let mut lines = text.splitn(4, |octet| *octet == b'\n');
    let mut line = || Some(std::str::from_utf8(lines.next()?).ok()?.trim().to_owned());
    let sender = format!("<{}>", line()?).parse().ok()?;
    let recipients =
        line()?.split_whitespace().map(|word| format!("<{word}>").parse().ok()).collect::<Option<_>>()?;
    line().filter(String::is_empty)?;
    Some(Mail { sender, recipients, message: lines.next()?.to_vec() })
}
