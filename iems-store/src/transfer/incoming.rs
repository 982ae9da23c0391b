//! A mailbox that mail comes into, batch by batch. What it has already, octet for octet, is left out, as often as it has it.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{BlobId, StoreError};

use super::{Import, Letter, Listener, Progress, TransferError};
use crate::mailbox::{
    AccountId, Keyword, KeywordSet, MailboxError, MailboxId, Mailboxes, MessageIdMark, MessageIds,
    NewMessage, Uid,
};
use crate::structure::{Structure, sent_date};

/// How many messages come in with one commit.
const AT_ONCE: usize = 200;
/// From how many octets of messages and structures on a batch is full.
const BATCH: u64 = 8 << 20;
/// How much of a message is looked at for its header section, in octets.
const HEADER: usize = 64 * 1024;

/// A mailbox that mail comes into.
pub(super) struct Incoming<'a> {
    mailboxes: &'a Mailboxes,
    account: AccountId,
    pub(super) mailbox: MailboxId,
    /// Whether it was made now.
    pub(super) made: bool,
    path: String,
    now: Timestamp,
    /// How often the mailbox has each body, less what was met so far.
    there: HashMap<BlobId, u64>,
    batch: Vec<NewMessage>,
    octets: u64,
    /// Message-IDs in the batch, whose threads are not known yet.
    pending: Vec<MessageIdMark>,
    /// Keywords that were met, and their numbers.
    keywords: HashMap<String, Option<Keyword>>,
}

impl<'a> Incoming<'a> {
    /// Opens a mailbox, which is made if it is not there.
    pub(super) async fn open(
        mailboxes: &'a Mailboxes,
        account: AccountId,
        path: &str,
        order: &Import<'_>,
        subscribed: Option<&BTreeSet<String>>,
    ) -> Result<Self, TransferError> {
        let trouble = |error| TransferError::Mailbox { path: path.to_owned(), error };
        let now = order.now;
        let known = mailboxes.find(account, path).await?;
        let made = known.is_none();
        let mailbox = match known {
            Some(mailbox) => mailbox,
            None => {
                let special = mailboxes.usual_use(account, &order.usual, path).await?;
                let new = mailboxes.create(account, path, special, now).await.map_err(trouble)?;
                if subscribed.is_none_or(|paths| paths.contains(path)) {
                    mailboxes.subscribe(account, path, true).await.map_err(trouble)?;
                }
                new
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
        let (path, batch, pending, keywords) = (path.to_owned(), Vec::new(), Vec::new(), HashMap::new());
        Ok(Self { mailboxes, account, mailbox, made, path, now, there, batch, octets: 0, pending, keywords })
    }

    /// Takes a message that stood in `file`, or hears why it cannot.
    pub(super) async fn letter(
        &mut self,
        file: &Path,
        letter: Result<Letter, String>,
        progress: &mut Progress,
        listener: Listener<'_>,
    ) -> Result<(), TransferError> {
        let letter = match letter {
            Ok(letter) if !letter.octets.is_empty() => letter,
            Ok(_) => {
                progress.refuse(file, "there is an empty message");
                return Ok(());
            }
            Err(why) => {
                progress.refuse(file, why);
                return Ok(());
            }
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
        let structure = Structure::of(&octets);
        let received = letter.received.or_else(|| sent(&structure)).unwrap_or(self.now);
        let mut message = NewMessage::new(received, body).with_flags(letter.flags).in_thread(&ids, thread);
        message.saved = self.now;
        let structure = Bytes::from(structure.encode()?);
        self.octets += structure.len() as u64;
        message.structure = Some(structure);
        message.keywords = self.keywords(file, &letter.keywords, progress).await?;
        self.octets += message.body.size();
        self.pending.extend(ids.own);
        self.batch.push(message);
        if self.batch.len() >= AT_ONCE || self.octets >= BATCH {
            self.flush(progress, listener).await?;
        }
        Ok(())
    }

    /// The numbers of keywords. One that IMAP cannot have is left out.
    async fn keywords(
        &mut self,
        file: &Path,
        names: &[String],
        progress: &mut Progress,
    ) -> Result<KeywordSet, TransferError> {
        let mut found = Vec::new();
        for name in names {
            if let Some(known) = self.keywords.get(name) {
                found.extend(*known);
                continue;
            }
            let numbered = match self.mailboxes.keywords_named(self.account, &[name]).await {
                Ok(numbers) => numbers.first().copied(),
                Err(MailboxError::Store(e)) => return Err(e.into()),
                Err(error) => {
                    progress.note(file, format!("the keyword \"{name}\" is left out everywhere: {error}"));
                    None
                }
            };
            self.keywords.insert(name.clone(), numbered);
            found.extend(numbered);
        }
        Ok(found.into_iter().collect())
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

    /// Commits what is at hand.
    pub(super) async fn flush(
        &mut self,
        progress: &mut Progress,
        listener: Listener<'_>,
    ) -> Result<(), TransferError> {
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

/// When a message says it was sent.
fn sent(structure: &Structure) -> Option<Timestamp> {
    let date = structure.parts.first()?.envelope.as_deref()?.date.as_ref()?;
    let seconds = u64::try_from(sent_date(date)?.unix_seconds()).ok()?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
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
