//! A mailbox that mail comes into, batch by batch. What it has already, octet for octet, is left out, as often as it has it; where UIDs
//! are kept, what has the UID.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use iems_core::message::Body;
use iems_core::seam::Timestamp;
use iems_core::storage::{BlobId, StoreError};

use super::uids::{Source, Way};
use super::{Import, Letter, Listener, Progress, TransferError, Uids, maildir};
use crate::mailbox::{
    AccountId, Keyword, KeywordSet, MailboxError, MailboxId, Mailboxes, MessageIdMark, MessageIds,
    NewMessage, SpecialUse, Uid,
};
use crate::structure::{Structure, sent_date};

/// How many messages come in with one commit.
const AT_ONCE: usize = if cfg!(test) { 3 } else { 200 };
/// From how many octets of messages and structures on a batch is full.
const BATCH: u64 = 8 << 20;
/// How much of a message is looked at for its header section, in octets.
const HEADER: usize = 64 * 1024;

/// A mailbox that mail comes into.
pub(super) struct Incoming<'a> {
    pub(super) mailboxes: &'a Mailboxes,
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    /// Whether it was made now.
    pub(super) made: bool,
    pub(super) path: String,
    now: Timestamp,
    pub(super) way: Way,
    /// Whether UIDs are kept, and what is to be said about it.
    pub(super) kept: bool,
    pub(super) why: String,
    /// What the mailbox is made with where it is staged: its use, and whether it is subscribed to.
    making: (Option<SpecialUse>, bool),
    /// UIDs of messages that are there and have the UIDs that they had.
    pub(super) matched: HashSet<u32>,
    /// Up to which UID messages have those.
    pub(super) up_to: u64,
    /// Files that are to come in with new UIDs, by the place in the source.
    late: Vec<usize>,
    /// How often the mailbox has each body, less what was met so far.
    there: HashMap<BlobId, u64>,
    batch: Vec<(Uid, NewMessage)>,
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
        source: &Source,
        subscribed: Option<&BTreeSet<String>>,
    ) -> Result<Self, TransferError> {
        let special = mailboxes.usual_use(account, &order.usual, path).await?;
        let subscribe = subscribed.is_none_or(|paths| paths.contains(path));
        let found = mailboxes.find(account, path).await?;
        let mut this = Self {
            mailboxes,
            account,
            mailbox: found.unwrap_or(MailboxId(0)),
            made: found.is_none(),
            path: path.to_owned(),
            now: order.now,
            way: Way::New,
            kept: false,
            why: String::new(),
            making: (special, subscribe),
            matched: HashSet::new(),
            up_to: 0,
            late: Vec::new(),
            there: HashMap::new(),
            batch: Vec::new(),
            octets: 0,
            pending: Vec::new(),
            keywords: HashMap::new(),
        };
        this.choose(found, order, source).await?;
        if let Way::New = this.way {
            this.make_there().await?;
            this.load(None).await?;
        }
        Ok(this)
    }

    /// Makes the mailbox if it is not there.
    async fn make_there(&mut self) -> Result<(), TransferError> {
        if let Some(found) = self.mailboxes.find(self.account, &self.path).await? {
            self.mailbox = found;
            return Ok(());
        }
        let (special, subscribe) = self.making;
        let new = self.mailboxes.create(self.account, &self.path, special, self.now).await;
        self.mailbox = new.map_err(|error| self.trouble(error))?;
        if subscribe {
            let done = self.mailboxes.subscribe(self.account, &self.path, true).await;
            done.map_err(|error| self.trouble(error))?;
        }
        Ok(())
    }

    /// Learns which bodies the mailbox has, but for those of messages that are known by their UIDs.
    async fn load(&mut self, but: Option<&HashSet<u32>>) -> Result<(), TransferError> {
        let mut after = Uid(0);
        loop {
            let page = self.mailboxes.messages(self.account, self.mailbox, after, 1000).await?;
            for message in page.iter().filter(|message| message.body.prefix.is_empty()) {
                if but.is_none_or(|but| !but.contains(&message.uid.0)) {
                    *self.there.entry(message.body.blob).or_default() += 1;
                }
            }
            match page.last() {
                Some(last) => after = last.uid,
                None => return Ok(()),
            }
        }
    }

    pub(super) fn trouble(&self, error: MailboxError) -> TransferError {
        TransferError::Mailbox { path: self.path.clone(), error }
    }

    /// Takes the message of a file whose UID is known.
    pub(super) async fn listed(
        &mut self,
        (nth, file): (usize, &maildir::File),
        keywords: &BTreeMap<char, String>,
        progress: &mut Progress,
        listener: Listener<'_>,
    ) -> Result<(), TransferError> {
        let uid = file.uid().unwrap_or_default();
        if self.matched.contains(&uid) {
            left_out(progress, listener);
            return Ok(());
        }
        let fits = match &self.way {
            Way::New => true,
            Way::Staged(_) => true,
            // Below are messages that were refused or have left; above it has to be what nobody else took.
            Way::Behind(last) => u64::from(uid) > *last && self.why.is_empty(),
        };
        if !fits {
            self.late.push(nth);
            return Ok(());
        }
        let read = maildir::read(&file.path, file.received, keywords);
        self.take(Uid(uid), &file.path, read, progress, listener).await
    }

    /// All files whose UIDs are known were taken: from now on messages get new ones.
    pub(super) async fn end_listed(
        &mut self,
        source: &Source,
        progress: &mut Progress,
        listener: Listener<'_>,
    ) -> Result<(), TransferError> {
        self.flush(progress, listener).await?;
        let (next, place) = (source.list.next, (self.account, self.mailbox));
        match std::mem::replace(&mut self.way, Way::New) {
            Way::New => return Ok(()),
            Way::Behind(last) => {
                if self.why.is_empty() {
                    let done = self.mailboxes.append_kept(place, last, &[], next).await;
                    done.map_err(|error| self.trouble(error))?;
                }
            }
            Way::Staged(staged) => {
                let numbers = (next, next.saturating_sub(1));
                let (special, subscribe) = self.making;
                let done = self.mailboxes.unveil(staged, numbers, special, subscribe, self.now).await;
                if let Err(staged) = done.map_err(|error| self.trouble(error))? {
                    self.make_there().await?;
                    let done = self.mailboxes.drain(staged, self.mailbox, self.now).await;
                    done.map_err(|error| self.trouble(error))?;
                    (self.kept, self.why) = (false, "mail came in here during the import".into());
                    self.matched.clear();
                    // All that came is there with other UIDs.
                    self.late.clear();
                }
            }
        }
        if !self.late.is_empty() || !source.others.is_empty() {
            let matched = std::mem::take(&mut self.matched);
            self.load(Some(&matched)).await?;
        }
        Ok(())
    }

    /// The files that come in with new UIDs, after those whose UIDs are known.
    pub(super) fn late<'s>(&mut self, source: &'s Source) -> Vec<&'s maildir::File> {
        let late = std::mem::take(&mut self.late);
        late.iter().filter_map(|nth| source.listed.get(*nth)).chain(&source.others).collect()
    }

    /// Whether UIDs were kept.
    pub(super) fn outcome(self) -> Uids {
        let Self { path: mailbox, kept, why, mailbox: MailboxId(validity), .. } = self;
        Uids { mailbox, kept, validity, why }
    }

    /// Takes a message that stood in `file`, or hears why it cannot. It gets a new UID.
    pub(super) async fn letter(
        &mut self,
        file: &Path,
        letter: Result<Letter, String>,
        progress: &mut Progress,
        listener: Listener<'_>,
    ) -> Result<(), TransferError> {
        self.take(Uid(0), file, letter, progress, listener).await
    }

    async fn take(
        &mut self,
        uid: Uid,
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
            left_out(progress, listener);
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
        self.batch.push((uid, message));
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

    pub(super) async fn body(&self, octets: Bytes, header: usize) -> Result<Body, StoreError> {
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
        let batch = std::mem::take(&mut self.batch);
        let done = self.commit(&batch).await;
        done.map_err(|error| self.trouble(error))?;
        progress.messages += batch.len() as u64;
        progress.octets += batch.iter().map(|(_, message)| message.body.size()).sum::<u64>();
        self.pending.clear();
        self.octets = 0;
        listener(progress);
        Ok(())
    }

    async fn commit(&mut self, batch: &[(Uid, NewMessage)]) -> Result<(), MailboxError> {
        let place = (self.account, self.mailbox);
        match &mut self.way {
            Way::New => {}
            Way::Staged(staged) => return self.mailboxes.stage_messages(staged, batch).await,
            Way::Behind(last) => {
                if self.why.is_empty() && self.mailboxes.append_kept(place, *last, batch, 0).await? {
                    *last = batch.last().map_or(*last, |(uid, _)| u64::from(uid.0));
                    return Ok(());
                }
                self.why = "mail came in here during the import: what was new in the source since then got new UIDs, and programs \
                            that saw it there have to fetch the mailbox anew"
                    .into();
            }
        }
        let messages: Vec<_> = batch.iter().map(|(_, message)| message.clone()).collect();
        self.mailboxes.append_all(place.0, place.1, &messages).await.map(drop)
    }
}

/// Counts a message that is there, and tells of each so many: a run that goes on has nothing else to tell for long.
fn left_out(progress: &mut Progress, listener: Listener<'_>) {
    progress.left_out += 1;
    if progress.left_out.is_multiple_of(AT_ONCE as u64) {
        listener(progress);
    }
}

/// When a message says it was sent.
fn sent(structure: &Structure) -> Option<Timestamp> {
    let date = structure.parts.first()?.envelope.as_deref()?.date.as_ref()?;
    let seconds = u64::try_from(sent_date(date)?.unix_seconds()).ok()?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
}

/// The octets with CRLF for every LF that stands alone.
pub(super) fn with_crlf(octets: Vec<u8>) -> Vec<u8> {
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
pub(super) fn header_size(octets: &[u8]) -> usize {
    if octets.starts_with(b"\r\n") {
        return 2;
    }
    octets.windows(4).position(|four| four == b"\r\n\r\n").map_or(octets.len(), |at| at + 4)
}
