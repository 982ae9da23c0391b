//! Takes batches that other programs lay into a folder.
//!
//! ```text
//! NAME.bsmtp, NAME.bsmtp.gz --rename--> work/ID-NAME --carried out--> done/ID-NAME      with the replies beside it,
//!                                            |                        failed/ID-NAME    in ID-NAME.answers
//!                                            +-- later: stays, and is carried out again
//! ```
//! Who lays a file there writes it under another name and renames it. The name in `work` is the batch's own, and each message
//! of it is taken once, so that a crash anywhere loses nothing and does nothing twice.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::message::{ChannelId, Reply};
use iems_core::receive::Intake;
use iems_core::seam::{Clock, Random, Timestamp};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::place::{Place, fresh, given};
use crate::batch::BatchLineEnds;
use crate::batch::inflate::{Inflate, InflateError};
use crate::batch::processor::{Answers, Job, Report, Source, SourceError, Terms, process};

/// Files that are taken over in one round, and listed.
const ROUND: usize = 1000;
/// The most octets of replies that are written down for one batch.
const LONGEST: usize = 16 << 20;
/// Octets read at a time.
const PIECE: usize = 64 * 1024;

/// What there is to know of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FolderInSettings {
    /// What people call it: appears in `Received` fields.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// How often it is looked at. Default 10 s.
    pub interval: Duration,
    /// How long to wait before a batch is carried out again whose messages could not all be taken. Default 5 min.
    pub retry: Duration,
    /// After which time what could not be taken is refused. Default 1 day.
    pub expire: Duration,
    /// How long files stay in `done`; zero for ever. Default 7 days.
    pub keep: Duration,
    /// The largest batch, unpacked, in octets. Default 1 GiB.
    pub size: u64,
    /// What their mail may be.
    pub terms: Terms,
}

impl FolderInSettings {
    /// With defaults.
    pub fn new(name: &str, folder: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            folder,
            interval: Duration::from_secs(10),
            retry: Duration::from_secs(300),
            expire: Duration::from_secs(86_400),
            keep: Duration::from_secs(7 * 86_400),
            size: 1 << 30,
            terms: Terms::default(),
        }
    }
}

/// A folder that batches come from.
pub struct FolderIn {
    settings: FolderInSettings,
    channel: ChannelId,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Its parts.
struct Places {
    work: Place,
    done: Place,
    failed: Place,
}

impl FolderIn {
    /// A folder whose mail comes in by `channel`.
    pub fn new(
        settings: FolderInSettings,
        channel: ChannelId,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { settings, channel, clock, random }
    }

    /// Takes batches until `shutdown`. A batch under way is left to the next start, between two of its pieces.
    pub async fn run(&self, intake: &Intake, shutdown: &CancellationToken) {
        let mut due = HashMap::new();
        while !shutdown.is_cancelled() {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                round = self.round(intake, &mut due) => if let Err(error) = round {
                    tracing::warn!(folder = %self.settings.folder.display(), %error, "batches could not be looked for");
                },
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.clock.sleep(self.settings.interval) => {}
            }
        }
    }

    /// Takes over what is there, and carries out what is due.
    async fn round(&self, intake: &Intake, due: &mut HashMap<String, Timestamp>) -> std::io::Result<()> {
        let folder = &self.settings.folder;
        let places = Places {
            work: Place::make(folder.join("work")).await?,
            done: Place::make(folder.join("done")).await?,
            failed: Place::make(folder.join("failed")).await?,
        };
        let door = Place::make(folder.clone()).await?;
        let is_batch =
            |name: &str| !name.starts_with('.') && (name.ends_with(".bsmtp") || name.ends_with(".bsmtp.gz"));
        for name in door.files(is_batch, ROUND).await? {
            let own = fresh(self.clock.now(), &*self.random, &name);
            places.work.take(&door.at(&name), &own).await?;
        }
        for name in places.work.files(|name| given(name).is_some(), ROUND).await? {
            if due.get(&name).is_some_and(|at| *at > self.clock.now()) {
                continue;
            }
            match self.carry_out(intake, &places, &name).await? {
                true => due.remove(&name),
                false => due.insert(name, self.clock.now().after(self.settings.retry)),
            };
        }
        self.tidy(&places.done).await
    }

    /// Carries a batch out; whether it has its end.
    async fn carry_out(&self, intake: &Intake, places: &Places, name: &str) -> std::io::Result<bool> {
        for to in [&places.done, &places.failed] {
            // It had its end; only the move is left to do.
            if tokio::fs::try_exists(to.at(&format!("{name}.answers"))).await? {
                to.take(&places.work.at(name), name).await?;
                return Ok(true);
            }
        }
        let begun = given(name).unwrap_or(self.clock.now());
        let last = self.clock.now().since(begun) >= self.settings.expire;
        let job = Job {
            channel: self.channel.clone(),
            origin: &self.settings.name,
            name: name.as_bytes(),
            ends: BatchLineEnds::AsFirst,
            terms: &self.settings.terms,
            last,
        };
        let file = tokio::fs::File::open(places.work.at(name)).await?;
        let mut source =
            FileSource { file, inflate: Some(Inflate::new(self.settings.size)), ready: Vec::new() };
        let mut answers = Written::default();
        let report = process(intake, &job, &mut source, &mut answers).await;
        let batch = name.split_once('-').map_or(name, |(_, given)| given);
        let folder = &self.settings.name;
        let clean = match report {
            Err(SourceError::Later(why)) if !last => {
                tracing::info!(folder, batch, why, "a batch waits");
                return Ok(false);
            }
            Ok(report) if report.later > 0 => {
                let why = report.why.as_ref().map(Reply::to_string);
                tracing::info!(folder, batch, %report, why, "a batch waits");
                return Ok(false);
            }
            Ok(report) => ended(folder, batch, &report, &mut answers),
            Err(SourceError::Later(why)) => {
                let _ = writeln!(answers.0, "given up: {why}");
                false
            }
            Err(SourceError::Never(reply)) => {
                tracing::warn!(folder, batch, %reply, "a batch failed");
                let _ = writeln!(answers.0, "{reply}");
                false
            }
        };
        let to = if clean { &places.done } else { &places.failed };
        self.answer(to, name, &answers.0).await?;
        to.take(&places.work.at(name), name).await?;
        Ok(true)
    }

    /// Writes the replies down, before the batch gets there.
    async fn answer(&self, to: &Place, name: &str, answers: &[u8]) -> std::io::Result<()> {
        use tokio::io::AsyncWriteExt;
        let draft = to.at(&format!(".{name}.answers"));
        let mut file = tokio::fs::File::create(&draft).await?;
        file.write_all(answers).await?;
        file.flush().await?;
        file.sync_all().await?;
        to.take(&draft, &format!("{name}.answers")).await
    }

    /// Removes what has been kept for long enough.
    async fn tidy(&self, done: &Place) -> std::io::Result<()> {
        if self.settings.keep.is_zero() {
            return Ok(());
        }
        let now = self.clock.now();
        let old = |name: &str| given(name).is_some_and(|at| now.since(at) > self.settings.keep);
        for name in done.files(old, ROUND).await? {
            tokio::fs::remove_file(done.at(&name)).await?;
        }
        Ok(())
    }
}

fn ended(folder: &str, batch: &str, report: &Report, answers: &mut Written) -> bool {
    if report.is_clean() {
        tracing::info!(folder, batch, %report, "a batch was carried out");
    } else {
        tracing::warn!(folder, batch, %report, "a batch was carried out in part");
    }
    let _ = writeln!(answers.0, "{report}");
    report.is_clean()
}

/// The replies of a batch, a line each, up to a bound.
#[derive(Default)]
struct Written(Vec<u8>);

impl Answers for Written {
    fn answer(&mut self, line: u64, reply: &Reply) {
        if self.0.len() < LONGEST {
            let _ = writeln!(self.0, "line {line}: {reply}");
        }
    }
}

/// A file, unpacked.
struct FileSource {
    file: tokio::fs::File,
    inflate: Option<Inflate>,
    ready: Vec<Bytes>,
}

#[async_trait]
impl Source for FileSource {
    async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        let mut buffer = vec![0; PIECE];
        loop {
            if !self.ready.is_empty() {
                return Ok(Some(self.ready.remove(0)));
            }
            let Some(inflate) = &mut self.inflate else { return Ok(None) };
            let read = self.file.read(&mut buffer).await;
            let read = read.map_err(|e| SourceError::Later(format!("the file cannot be read: {e}")))?;
            let ready = &mut self.ready;
            if read == 0 {
                if let Some(inflate) = self.inflate.take() {
                    inflate.finish(&mut |octets| ready.push(octets)).map_err(never)?;
                }
            } else {
                let octets = buffer.get(..read).unwrap_or_default();
                inflate.push(octets, &mut |octets| ready.push(octets)).map_err(never)?;
            }
        }
    }
}

fn never(error: InflateError) -> SourceError {
    use iems_core::message::EnhancedStatus;
    let text = match &error {
        InflateError::Damaged(_) => format!("{error}; pack it again"),
        _ => format!("{error}; make several batches of it"),
    };
    SourceError::Never(Reply::new(554, EnhancedStatus::new(5, 6, 0), text))
}
