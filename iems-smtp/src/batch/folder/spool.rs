//! Collects messages into batches, a file each.
//!
//! ```text
//! .ID-NAME.open --whole by size, number or age--> ID-NAME.bsmtp or ID-NAME.bsmtp.gz
//! ```
//! A message counts as written once it is on the disk. What a crash leaves half written at the end of an open batch is cut
//! off at the next start. In a packed batch each message is a member of its own (RFC 1952 section 2.2), so that this can be done.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use flate2::Compression;
use flate2::write::GzEncoder;
use iems_core::message::BodyReader;
use iems_core::seam::{Clock, Random, Timestamp};
use iems_core::storage::StoreError;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::Mutex;

use super::place::{Place, fresh};
use crate::batch::{BatchLimits, BatchLineEnds, BatchParser, BatchWriter, Parameters};
use crate::proto::{Mail, Rcpt};

/// Octets that are written at a time.
const PIECE: usize = 256 * 1024;

/// Why a message did not get into a batch.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The batch cannot be written.
    #[error("the batch cannot be written: {0}")]
    Batch(#[from] io::Error),
    /// The message cannot be read.
    #[error("the message cannot be read: {0}")]
    Body(#[from] StoreError),
}

/// How batches are made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolSettings {
    /// What people call it: part of file names.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// What we call ourselves in batches.
    pub hello: String,
    /// Whether batches are packed.
    pub gzip: bool,
    /// The most messages of a batch. Default 1000.
    pub messages: u64,
    /// The size at which a batch is whole, in octets of the file; one with a larger message holds that alone or last.
    /// Default 16 MiB.
    pub size: u64,
    /// How long a batch waits for more messages. Default 1 minute.
    pub age: Duration,
    /// What whoever reads the batches takes.
    pub parameters: Parameters,
}

impl SpoolSettings {
    /// With defaults.
    pub fn new(name: &str, folder: PathBuf, hello: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder,
            hello: hello.to_owned(),
            gzip: false,
            messages: 1000,
            size: 16 << 20,
            age: Duration::from_secs(60),
            parameters: Parameters::Usual,
        }
    }

    fn ending(&self) -> &'static str {
        if self.gzip { ".bsmtp.gz" } else { ".bsmtp" }
    }
}

/// A batch that grows.
struct Growing {
    name: String,
    file: tokio::fs::File,
    since: Timestamp,
    messages: u64,
    /// Octets that are on the disk and count.
    length: u64,
}

/// Collects messages.
pub struct Spool {
    settings: SpoolSettings,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    growing: Mutex<Option<Growing>>,
}

impl Spool {
    /// A spool; nothing is touched yet.
    pub fn new(settings: SpoolSettings, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { settings, clock, random, growing: Mutex::new(None) }
    }

    /// What whoever reads the batches takes.
    pub(crate) fn parameters(&self) -> Parameters {
        self.settings.parameters
    }

    /// Makes whole what an earlier process left open.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub async fn recover(&self) -> io::Result<()> {
        let growing = self.growing.lock().await;
        let place = Place::make(self.settings.folder.clone()).await?;
        let ours = format!("-{}.open", self.settings.name);
        for name in place.files(|name| name.starts_with('.') && name.ends_with(&ours), usize::MAX).await? {
            if growing.as_ref().is_some_and(|growing| growing.name == name) {
                continue;
            }
            let path = place.at(&name);
            let (length, messages) = match self.settings.gzip {
                true => whole_members(path.clone()).await?,
                false => whole_messages(path.clone()).await?,
            };
            tracing::info!(batch = name, messages, "an open batch was found");
            if messages == 0 {
                tokio::fs::remove_file(path).await?;
                continue;
            }
            let file = tokio::fs::OpenOptions::new().write(true).open(&path).await?;
            let since = self.clock.now();
            self.seal(&place, Growing { name, file, since, messages, length }).await?;
        }
        Ok(())
    }

    /// Writes a message; returns when it is on the disk.
    ///
    /// # Errors
    /// If it could not be written; then the batch does not hold it.
    pub async fn add(
        &self,
        mail: &Mail,
        recipients: &[Rcpt],
        mut body: BodyReader<'_>,
    ) -> Result<(), AddError> {
        let mut slot = self.growing.lock().await;
        let place = Place::make(self.settings.folder.clone()).await?;
        let mut growing = match slot.take() {
            Some(growing) => growing,
            None => self.begin(&place).await?,
        };
        // What an attempt that was broken off has left behind goes.
        growing.file.set_len(growing.length).await?;
        growing.file.seek(io::SeekFrom::Start(growing.length)).await?;
        let mut text = Text::new(self.settings.gzip);
        let mut writer = match growing.messages {
            0 => BatchWriter::new(&self.settings.hello, self.settings.parameters, &mut text.plain),
            _ => BatchWriter::within(self.settings.parameters),
        };
        writer.begin(mail, recipients, &mut text.plain);
        let written: Result<u64, AddError> = async {
            while let Some(octets) = body.next().await? {
                writer.octets(&octets, &mut text.plain);
                text.flush_to(&mut growing.file, false).await?;
            }
            writer.end(&mut text.plain);
            text.flush_to(&mut growing.file, true).await?;
            growing.file.flush().await?;
            growing.file.sync_data().await?;
            Ok(text.written)
        }
        .await;
        match written {
            Ok(octets) => {
                growing.length += octets;
                growing.messages += 1;
            }
            Err(error) => {
                *slot = Some(growing);
                return Err(error);
            }
        }
        let full = growing.messages >= self.settings.messages || growing.length >= self.settings.size;
        match full {
            // The message is in it, whatever becomes of the name now: the next start or round makes it whole.
            true => match self.seal(&place, growing).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    tracing::warn!(%error, spool = self.settings.name, "a batch could not be ended");
                    Ok(())
                }
            },
            false => {
                *slot = Some(growing);
                Ok(())
            }
        }
    }

    /// Makes the open batch whole if it is old enough, or in any case.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn seal_old(&self, anyhow: bool) -> io::Result<()> {
        let mut slot = self.growing.lock().await;
        let old = |growing: &Growing| anyhow || self.clock.now().since(growing.since) >= self.settings.age;
        let Some(growing) = slot.take_if(|growing| old(growing)) else { return Ok(()) };
        if growing.messages == 0 {
            *slot = (!anyhow).then_some(growing);
            return Ok(());
        }
        let place = Place::make(self.settings.folder.clone()).await?;
        self.seal(&place, growing).await
    }

    async fn begin(&self, place: &Place) -> io::Result<Growing> {
        let name = fresh(self.clock.now(), &*self.random, &format!("{}.open", self.settings.name));
        let name = format!(".{name}");
        let file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(place.at(&name)).await?;
        place.sync().await?;
        Ok(Growing { name, file, since: self.clock.now(), messages: 0, length: 0 })
    }

    /// Ends the batch and gives it its name.
    async fn seal(&self, place: &Place, mut growing: Growing) -> io::Result<()> {
        growing.file.set_len(growing.length).await?;
        growing.file.seek(io::SeekFrom::Start(growing.length)).await?;
        let mut text = Text::new(self.settings.gzip);
        BatchWriter::default().finish(&mut text.plain);
        text.flush_to(&mut growing.file, true).await?;
        growing.file.flush().await?;
        growing.file.sync_all().await?;
        drop(growing.file);
        let bare = growing.name.trim_start_matches('.').trim_end_matches(".open");
        let whole = format!("{bare}{}", self.settings.ending());
        place.take(&place.at(&growing.name), &whole).await?;
        tracing::info!(
            batch = whole,
            messages = growing.messages,
            octets = growing.length,
            "a batch is whole"
        );
        Ok(())
    }
}

/// What is to be written, packed if it is to be.
struct Text {
    plain: BytesMut,
    packed: Option<GzEncoder<Vec<u8>>>,
    written: u64,
}

impl Text {
    fn new(gzip: bool) -> Self {
        let packed = gzip.then(|| GzEncoder::new(Vec::new(), Compression::default()));
        Self { plain: BytesMut::new(), packed, written: 0 }
    }

    /// Writes what there is, if it is much or the last.
    async fn flush_to(&mut self, file: &mut tokio::fs::File, last: bool) -> io::Result<()> {
        if self.plain.len() < PIECE && !last {
            return Ok(());
        }
        let octets = self.plain.split();
        let octets = match &mut self.packed {
            None => octets.to_vec(),
            Some(encoder) => {
                encoder.write_all(&octets)?;
                if last {
                    encoder.try_finish()?;
                }
                std::mem::take(encoder.get_mut())
            }
        };
        file.write_all(&octets).await?;
        self.written += octets.len() as u64;
        Ok(())
    }
}

/// How many octets of a plain batch hold whole messages, and how many messages these are.
async fn whole_messages(path: PathBuf) -> io::Result<(u64, u64)> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut parser = BatchParser::new(BatchLineEnds::Crlf, BatchLimits::default());
    let (mut buffer, mut length) = (vec![0; PIECE], 0);
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok((length, parser.messages()));
        }
        parser.push(buffer.get(..read).unwrap_or_default());
        while let Ok(Some(event)) = parser.event() {
            if event == crate::batch::Event::End {
                length = parser.consumed();
            }
        }
    }
}

/// The same of a packed batch, where each message is a member.
async fn whole_members(path: PathBuf) -> io::Result<(u64, u64)> {
    let count = move || {
        let mut file = io::BufReader::new(std::fs::File::open(path)?);
        let (mut length, mut messages) = (0, 0);
        loop {
            let mut member = flate2::bufread::GzDecoder::new(&mut file);
            match io::copy(&mut member, &mut io::sink()) {
                // At the end of the file nothing comes, and it is no error to ask.
                Ok(0) | Err(_) => return Ok((length, messages)),
                Ok(_) => {
                    length = io::Seek::stream_position(&mut file)?;
                    messages += 1;
                }
            }
        }
    };
    tokio::task::spawn_blocking(count).await.map_err(io::Error::other)?
}
