//! The far end of a tunnel: whole batches, each wrapped into a message to the other end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use iems_core::message::{BodyType, ChannelId, Envelope, ForwardPath, Mailbox, Reply, ReversePath};
use iems_core::receive::{Connection, Intake, OnceKey, Transaction};
use iems_core::seam::{Clock, Random};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::seal::{FIELD, Key, Sealer};
use crate::batch::folder::{Place, Spool};
use crate::batch::{BatchLimits, BatchLineEnds, BatchParser, CHANNEL, Event};

/// Octets of a batch in one encoded line (RFC 2045 section 6.8).
const LINE: usize = 57;
/// Octets read at a time: whole lines.
const PIECE: usize = LINE * 1024;
/// How long names of batches are kept: longer than a file stays behind.
const KEEP: Duration = Duration::from_secs(30 * 86_400);
/// How long to wait after trouble.
const REST: Duration = Duration::from_secs(60);

/// What there is to know of a tunnel that mail leaves by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelOutSettings {
    /// The address of the other end.
    pub to: Mailbox,
    /// Who hears of batches that the other end refuses.
    pub from: Mailbox,
    /// The key that the other end knows.
    pub key: Key,
    /// Whether bodies go as they are where no octet forbids it, instead of in base 64. Default not: lines of a batch may be longer
    /// than mail allows, and whoever changes one on the way breaks the seal.
    pub eight_bit: bool,
}

impl TunnelOutSettings {
    /// With defaults.
    pub fn new(to: Mailbox, from: Mailbox, key: Key) -> Self {
        Self { to, from, key, eight_bit: false }
    }
}

/// A tunnel that mail leaves by.
pub struct TunnelOut {
    settings: TunnelOutSettings,
    folder: PathBuf,
    /// Where messages are collected.
    pub(crate) spool: Arc<Spool>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// What is found when a batch is read before it is wrapped.
struct Found {
    required: String,
    plain: bool,
}

impl TunnelOut {
    /// A tunnel whose batches are collected by `spool`, unpacked, in `folder`, which is nobody else's.
    pub fn new(
        settings: TunnelOutSettings,
        folder: PathBuf,
        spool: Arc<Spool>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { settings, folder, spool, clock, random }
    }

    /// Sends what is whole. One after the other, oldest first.
    pub(crate) async fn send_all(&self, intake: &Intake, shutdown: &CancellationToken) {
        let sent = async {
            let place = Place::make(self.folder.clone()).await?;
            let whole = |name: &str| name.ends_with(".bsmtp") && !name.starts_with('.');
            for name in place.files(whole, 1000).await? {
                if shutdown.is_cancelled() {
                    return Ok(());
                }
                let file = place.at(&name);
                self.send(intake, &file, &name).await.map_err(std::io::Error::other)?;
                tokio::fs::remove_file(&file).await?;
            }
            Ok::<_, std::io::Error>(())
        };
        if let Err(error) = sent.await {
            let to = &self.settings.to;
            tracing::warn!(%to, %error, "a batch could not be sent through its tunnel; tried again in a minute");
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = self.clock.sleep(REST) => {}
            }
        }
    }

    /// Sends one batch, once: its file's name is the message's, and is in the commit that accepts it.
    async fn send(&self, intake: &Intake, file: &Path, name: &str) -> Result<(), Reply> {
        let key = OnceKey::of(&[b"tunnel out", name.as_bytes()]);
        if intake.knows(&key).await? {
            return Ok(());
        }
        let mut sealer = Sealer::new(&self.settings.key, &self.settings.to, self.clock.now(), &*self.random);
        let found = self.read(file, &mut sealer).await?;
        let mut connection = Connection::new(ChannelId::new(CHANNEL), None);
        connection.protocol = "local".into();
        let mut session = intake.open(connection).await?;
        session.hello("localhost").await?;
        let mut envelope = Envelope::new(ReversePath::Mailbox(self.settings.from.clone()));
        let plain = self.settings.eight_bit && found.plain;
        envelope.body = if plain { BodyType::EightBitMime } else { BodyType::SevenBit };
        let mut transaction = session.begin(envelope, 0).await?;
        transaction.recipient(ForwardPath::Mailbox(self.settings.to.clone()), None, None).await?;
        transaction.once(key, KEEP);
        let header = self.header(intake.hostname(), &found.required, plain, &sealer.finish().field());
        transaction.write(header.into()).await?;
        self.body(&mut transaction, file, plain).await?;
        let receipt = transaction.commit().await?;
        tracing::info!(to = %self.settings.to, batch = name, id = %receipt.id, "a batch goes through its tunnel");
        Ok(())
    }

    /// Reads a batch for its seal, and for what is in it.
    async fn read(&self, file: &Path, sealer: &mut Sealer) -> Result<Found, Reply> {
        let mut parser = BatchParser::new(BatchLineEnds::Crlf, BatchLimits::default());
        let (mut eight, mut utf8, mut dsn, mut priority) = (false, false, false, false);
        let (mut plain, mut line) = (true, 0);
        let mut input = tokio::fs::File::open(file).await.map_err(lost)?;
        let mut buffer = vec![0; PIECE];
        loop {
            let read = input.read(&mut buffer).await.map_err(lost)?;
            let octets = buffer.get(..read).unwrap_or_default();
            if read == 0 {
                break;
            }
            sealer.feed(octets);
            for octet in octets {
                line = if *octet == b'\n' { 0 } else { line + 1 };
                plain &= *octet != 0 && line <= 999;
            }
            parser.push(octets);
            while let Some(event) = parser.event().map_err(|e| spoilt(&e))? {
                match event {
                    Event::Mail(mail) => {
                        eight |= mail.envelope.body != BodyType::SevenBit;
                        utf8 |= mail.envelope.smtputf8;
                        priority |= mail.envelope.priority.is_some();
                        dsn |= mail.envelope.ret.is_some() || mail.envelope.id.is_some();
                    }
                    Event::Rcpt(rcpt) => dsn |= rcpt.notify.is_some() || rcpt.original.is_some(),
                    _ => {}
                }
            }
        }
        let used = [(eight, "8BITMIME"), (utf8, "SMTPUTF8"), (dsn, "DSN"), (priority, "MT-PRIORITY")];
        let used: Vec<&str> = used.into_iter().filter(|(used, _)| *used).map(|(_, name)| name).collect();
        Ok(Found { required: used.join(","), plain })
    }

    fn header(&self, host: &str, required: &str, plain: bool, seal: &str) -> String {
        let TunnelOutSettings { to, from, .. } = &self.settings;
        let required = match required {
            "" => String::new(),
            words => format!(";\r\n\trequired-extensions=\"{words}\""),
        };
        let (now, noise) = (self.clock.now(), self.random.next_u64());
        format!(
            "From: <{from}>\r\nTo: <{to}>\r\nDate: {}\r\nMessage-ID: <{:x}.{noise:016x}@{host}>\r\n\
             Subject: A batch of mail\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: application/batch-SMTP{required}\r\nContent-Transfer-Encoding: {}\r\n{FIELD}: {seal}\r\n\r\n",
            now.to_rfc5322(),
            now.as_millis(),
            if plain { "8bit" } else { "base64" },
        )
    }

    async fn body(&self, transaction: &mut Transaction, file: &Path, plain: bool) -> Result<(), Reply> {
        let mut input = tokio::fs::File::open(file).await.map_err(lost)?;
        loop {
            let mut buffer = Vec::with_capacity(PIECE);
            (&mut input).take(PIECE as u64).read_to_end(&mut buffer).await.map_err(lost)?;
            if buffer.is_empty() {
                return Ok(());
            }
            let octets: Bytes = match plain {
                true => buffer.into(),
                false => {
                    let lines = buffer.chunks(LINE).map(|line| BASE64_STANDARD.encode(line) + "\r\n");
                    lines.collect::<String>().into()
                }
            };
            transaction.write(octets).await?;
        }
    }
}

fn lost(error: std::io::Error) -> Reply {
    Reply::defer(3, 0, "the batch cannot be read now; try again later").because(error.to_string())
}

fn spoilt(error: &crate::batch::BatchError) -> Reply {
    Reply::defer(3, 0, "a file of the tunnel is no batch; remove it from its folder")
        .because(error.to_string())
}
