//! Bringing mail in: folder by folder, batch by batch. What a mailbox has already, octet for octet, is left out, as often
//! as it has it.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{BlobId, StoreError};

use super::{
    Format, Letter, Listener, MAX_MESSAGE, Progress, TransferError, entries, maildir, mbox, names, trouble,
    written_at,
};
use crate::mailbox::{
    AccountId, MailboxError, MailboxId, Mailboxes, MessageIdMark, MessageIds, NewMessage, Uid,
};
use crate::structure::Structure;

/// How many messages come in with one commit.
const AT_ONCE: usize = 200;
/// From how many octets of messages and structures on a batch is full.
const BATCH: u64 = 8 << 20;
/// How much of a message is looked at for its header section, in octets.
const HEADER: usize = 64 * 1024;

/// Brings all mail below `source` into an account. What stands for no mailbox of its own goes to `into`. Bare line ends
/// become CRLF.
///
/// # Errors
/// [`TransferError`]; what came in before stays.
pub async fn import(
    mailboxes: &Mailboxes,
    account: AccountId,
    (source, format): (&Path, Format),
    into: &str,
    now: Timestamp,
    listener: Listener<'_>,
) -> Result<Progress, TransferError> {
    let sources = sources(source, format, into)?;
    if sources.is_empty() {
        return Err(TransferError::NoMail(source.to_owned()));
    }
    let mut progress = Progress::default();
    for (place, path) in sources {
        progress.mailbox.clone_from(&path);
        let mut incoming = Incoming::open(mailboxes, account, &path, now).await?;
        match format {
            Format::Maildir => {
                let keywords = maildir::keywords(&place);
                for file in maildir::files(&place)? {
                    incoming.letter(maildir::read(&file, &keywords)?, &mut progress, listener).await?;
                }
            }
            Format::Mbox => {
                let file = File::open(&place).map_err(trouble(&place))?;
                let mut reader = mbox::Reader::new(BufReader::new(file));
                while let Some(next) = reader.next().map_err(trouble(&place))? {
                    let letter = match next {
                        mbox::Next::Letter(letter) => Some(letter),
                        mbox::Next::Refused => None,
                    };
                    incoming.letter(letter, &mut progress, listener).await?;
                }
            }
            Format::Eml => {
                for file in entries(&place)?.into_iter().filter(|file| is_eml(file)) {
                    incoming.letter(read_eml(&file)?, &mut progress, listener).await?;
                }
            }
        }
        incoming.flush(&mut progress, listener).await?;
        progress.mailboxes += 1;
        listener(&progress);
    }
    Ok(progress)
}

/// Files or folders, and the mailboxes that they stand for.
fn sources(source: &Path, format: Format, into: &str) -> Result<Vec<(PathBuf, String)>, TransferError> {
    match format {
        Format::Maildir => names::folders(source, into, &maildir::is_one),
        Format::Eml => names::folders(source, into, &|folder| {
            entries(folder).is_ok_and(|all| all.iter().any(|file| is_eml(file)))
        }),
        Format::Mbox if source.is_file() => Ok(vec![(source.to_owned(), into.to_owned())]),
        Format::Mbox => {
            let mut found = Vec::new();
            for (folder, path) in names::folders(source, "", &|_| true)? {
                for file in entries(&folder)?.into_iter().filter(|file| file.is_file()) {
                    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
                    let Some(name) = name.strip_suffix(".mbox") else { continue };
                    let above = if path.is_empty() { String::new() } else { format!("{path}/") };
                    found.push((file.clone(), format!("{above}{}", names::part_of(name))));
                }
            }
            Ok(found)
        }
    }
}

fn is_eml(file: &Path) -> bool {
    file.is_file() && file.extension().is_some_and(|end| end.eq_ignore_ascii_case("eml"))
}

fn read_eml(file: &Path) -> Result<Option<Letter>, TransferError> {
    if std::fs::metadata(file).map_err(trouble(file))?.len() > MAX_MESSAGE {
        return Ok(None);
    }
    let octets = std::fs::read(file).map_err(trouble(file))?;
    let (received, flags, keywords) = (written_at(file)?, Default::default(), Vec::new());
    Ok(Some(Letter { octets, received, flags, keywords }))
}

/// A mailbox that mail comes into.
struct Incoming<'a> {
    mailboxes: &'a Mailboxes,
    account: AccountId,
    mailbox: MailboxId,
    path: String,
    now: Timestamp,
    /// How often the mailbox has each body, less what was met so far.
    there: HashMap<BlobId, u64>,
    batch: Vec<NewMessage>,
    octets: u64,
    /// Message-IDs in the batch, whose threads are not known yet.
    pending: Vec<MessageIdMark>,
}

impl<'a> Incoming<'a> {
    async fn open(
        mailboxes: &'a Mailboxes,
        account: AccountId,
        path: &str,
        now: Timestamp,
    ) -> Result<Self, TransferError> {
        let trouble = |error| TransferError::Mailbox { path: path.to_owned(), error };
        let mailbox = match mailboxes.find(account, path).await? {
            Some(mailbox) => mailbox,
            None => {
                let made = mailboxes.create(account, path, None, now).await.map_err(trouble)?;
                mailboxes.subscribe(account, path, true).await.map_err(trouble)?;
                made
            }
        };
        let (mut there, mut after) = (HashMap::new(), Uid(0));
        loop {
            let page = mailboxes.messages(account, mailbox, after, 1000).await?;
            for message in page.iter().filter(|message| message.body.prefix.is_empty()) {
                *there.entry(message.body.blob).or_default() += 1;
            }
            match page.last() {
                Some(last) => after = last.uid,
                None => break,
            }
        }
        let (path, batch, pending) = (path.to_owned(), Vec::new(), Vec::new());
        Ok(Self { mailboxes, account, mailbox, path, now, there, batch, octets: 0, pending })
    }

    async fn letter(
        &mut self,
        letter: Option<Letter>,
        progress: &mut Progress,
        listener: Listener<'_>,
    ) -> Result<(), TransferError> {
        let Some(letter) = letter.filter(|letter| !letter.octets.is_empty()) else {
            progress.refused += 1;
            return Ok(());
        };
        let octets = Bytes::from(with_crlf(letter.octets));
        let header = header_size(&octets);
        let body = self.body(octets.clone(), header).await?;
        if let Some(known) = self.there.get_mut(&body.blob).filter(|known| **known > 0) {
            *known -= 1;
            progress.left_out += 1;
            return Ok(());
        }
        let ids = MessageIds::of(octets.get(..header.min(HEADER)).unwrap_or_default());
        // What answers a message of this batch must wait until that one's thread is known.
        if ids.references.iter().any(|mark| self.pending.contains(mark)) {
            self.flush(progress, listener).await?;
        }
        let thread = self.mailboxes.thread_of(self.account, &ids).await?;
        let mut message =
            NewMessage::new(letter.received, body).with_flags(letter.flags).in_thread(&ids, thread);
        message.saved = self.now;
        let structure = Bytes::from(Structure::of(&octets).encode()?);
        self.octets += structure.len() as u64;
        message.structure = Some(structure);
        let names: Vec<_> = letter.keywords.iter().map(String::as_str).collect();
        match self.mailboxes.keywords_named(self.account, &names).await {
            Ok(keywords) => message.keywords = keywords.into_iter().collect(),
            Err(MailboxError::Store(e)) => return Err(e.into()),
            // A keyword that IMAP cannot have.
            Err(_) => {}
        }
        self.octets += message.body.size();
        self.pending.extend(ids.own);
        self.batch.push(message);
        if self.batch.len() >= AT_ONCE || self.octets >= BATCH {
            self.flush(progress, listener).await?;
        }
        Ok(())
    }

    async fn body(&self, octets: Bytes, header: usize) -> Result<Body, StoreError> {
        let size = octets.len() as u64;
        let mut writer = self.mailboxes.blobs().create().await?;
        let mut rest = octets;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(64 * 1024));
            writer.write(piece).await?;
        }
        let blob = writer.finish().await?;
        Ok(Body { prefix: Bytes::new(), blob, blob_size: size, header_size: header as u64 })
    }

    async fn flush(&mut self, progress: &mut Progress, listener: Listener<'_>) -> Result<(), TransferError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let appended = self.mailboxes.append_all(self.account, self.mailbox, &self.batch).await;
        appended.map_err(|error| TransferError::Mailbox { path: self.path.clone(), error })?;
        progress.messages += self.batch.len() as u64;
        progress.octets += self.batch.iter().map(|message| message.body.size()).sum::<u64>();
        self.batch.clear();
        self.pending.clear();
        self.octets = 0;
        listener(progress);
        Ok(())
    }
}

/// The octets with CRLF for every LF that stands alone.
fn with_crlf(octets: Vec<u8>) -> Vec<u8> {
    let mut bare = 0;
    let mut before = 0;
    for octet in &octets {
        bare += usize::from(*octet == b'\n' && before != b'\r');
        before = *octet;
    }
    if bare == 0 {
        return octets;
    }
    let mut all = Vec::with_capacity(octets.len() + bare);
    for octet in octets {
        if octet == b'\n' && all.last() != Some(&b'\r') {
            all.push(b'\r');
        }
        all.push(octet);
    }
    all
}

/// Where the header section ends: behind the empty line.
fn header_size(octets: &[u8]) -> usize {
    if octets.starts_with(b"\r\n") {
        return 2;
    }
    octets.windows(4).position(|four| four == b"\r\n\r\n").map_or(octets.len(), |at| at + 4)
}
