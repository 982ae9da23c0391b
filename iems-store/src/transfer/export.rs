//! Bringing mail out: mailbox by mailbox. What is there already is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use iems_core::storage::StoreError;

use super::{
    Format, Listener, Progress, TransferError, dovecot, entries, maildir, mbox, names, trouble, write_whole,
};
use crate::mailbox::{AccountId, KeywordTable, MailboxInfo, Mailboxes, Message, Uid};

/// How many messages are listed at a time.
const PAGE: usize = 200;
/// From how many octets on an mbox is written out.
const HELD: usize = 4 << 20;

/// Brings the mail of an account out, all of it or that of one mailbox, to files below `target`.
///
/// # Errors
/// [`TransferError`]; what was written before stays.
pub async fn export(
    mailboxes: &Mailboxes,
    account: AccountId,
    only: Option<&str>,
    (target, format): (&Path, Format),
    listener: Listener<'_>,
) -> Result<Progress, TransferError> {
    let mut progress = Progress::default();
    std::fs::create_dir_all(target).map_err(trouble(target))?;
    let keywords = mailboxes.keywords(account).await?;
    let all = mailboxes.list(account).await?;
    for mailbox in all.iter().filter(|info| info.selectable && only.is_none_or(|only| only == info.path)) {
        progress.mailbox.clone_from(&mailbox.path);
        let of = (mailboxes, account, mailbox);
        match one(of, &keywords, (target, format), &mut progress, listener).await {
            Ok(()) => progress.mailboxes += 1,
            // The others are wanted all the more then.
            Err(TransferError::File { path, error }) if is_of_one(&error) => {
                let why = format!("\"{}\" cannot be written: {error}", mailbox.path);
                progress.refuse(&path, why);
            }
            Err(error) => return Err(error),
        }
        listener(&progress);
    }
    if only.is_none() {
        let paths = mailboxes.subscriptions(account).await?;
        let name = if format == Format::Mbox { ".subscriptions" } else { "subscriptions" };
        write_new(&target.join(name), dovecot::subscribed(&paths).as_bytes())?;
    }
    match progress.mailboxes + progress.refused {
        0 => Err(TransferError::NoMailbox(only.unwrap_or_default().to_owned())),
        _ => Ok(progress),
    }
}

/// Brings one mailbox out.
async fn one(
    (mailboxes, account, mailbox): (&Mailboxes, AccountId, &MailboxInfo),
    keywords: &KeywordTable,
    (target, format): (&Path, Format),
    progress: &mut Progress,
    listener: Listener<'_>,
) -> Result<(), TransferError> {
    let mut outgoing = match format {
        Format::Maildir => Outgoing::maildir(target, mailbox, keywords)?,
        Format::Mbox => Outgoing::mbox(target, mailbox, keywords)?,
        Format::Eml => Outgoing::eml(target, mailbox)?,
    };
    match &outgoing.mbox {
        Some((file, _)) if outgoing.done => {
            progress.left_out += mailboxes.status(account, mailbox.id).await?.messages;
            progress.note(file, "it is there already, and stays as it is: to write it anew, remove it first");
            Ok(())
        }
        _ => outgoing.all(mailboxes, account, mailbox, progress, listener).await,
    }
}

/// Whether an error is one of a single file or folder: other mailboxes may well be written.
fn is_of_one(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    !matches!(
        error.kind(),
        Kind::StorageFull | Kind::QuotaExceeded | Kind::ReadOnlyFilesystem | Kind::OutOfMemory
    )
}

/// Files that the messages of a mailbox go to.
struct Outgoing<'a> {
    folder: PathBuf,
    /// Of a Maildir: names of files that are there, without flags; letters of keywords.
    there: BTreeSet<String>,
    letters: BTreeMap<u16, char>,
    /// The file of an mbox, and what of it is not written yet.
    mbox: Option<(PathBuf, Vec<u8>)>,
    eml: bool,
    /// There is nothing to do.
    done: bool,
    keywords: Option<&'a KeywordTable>,
    /// Of a Maildir: the files and their UIDs.
    uids: Vec<(Uid, String)>,
}

impl<'a> Outgoing<'a> {
    fn at(folder: PathBuf) -> Self {
        let (there, letters) = (BTreeSet::new(), BTreeMap::new());
        Self { folder, there, letters, mbox: None, eml: false, done: false, keywords: None, uids: Vec::new() }
    }

    fn maildir(
        target: &Path,
        mailbox: &MailboxInfo,
        keywords: &'a KeywordTable,
    ) -> Result<Self, TransferError> {
        let mut this = Self::at(names::folder_of(target, &mailbox.path));
        for part in ["cur", "new", "tmp"] {
            let part = this.folder.join(part);
            std::fs::create_dir_all(&part).map_err(trouble(&part))?;
        }
        for file in entries(&this.folder.join("cur"))? {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            this.there.insert(name.split(":2,").next().unwrap_or_default().to_owned());
        }
        // Letters that an earlier run gave stay.
        for (letter, name) in dovecot::keywords(&this.folder) {
            if let Some(keyword) = keywords.find(&name) {
                this.letters.insert(keyword.0, letter);
            }
        }
        this.keywords = Some(keywords);
        Ok(this)
    }

    fn mbox(target: &Path, mailbox: &MailboxInfo, keywords: &'a KeywordTable) -> Result<Self, TransferError> {
        let folder = names::folder_of(target, &mailbox.path);
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let file = folder.with_file_name(format!("{name}.mbox"));
        let above = file.parent().unwrap_or(target).to_owned();
        std::fs::create_dir_all(&above).map_err(trouble(&above))?;
        let mut this = Self::at(above);
        this.done = file.exists();
        let part = file.with_file_name(format!("{name}.mbox.part"));
        if !this.done {
            std::fs::write(&part, b"").map_err(trouble(&part))?;
        }
        this.mbox = Some((file, Vec::new()));
        this.keywords = Some(keywords);
        Ok(this)
    }

    fn eml(target: &Path, mailbox: &MailboxInfo) -> Result<Self, TransferError> {
        let mut this = Self::at(names::folder_of(target, &mailbox.path));
        std::fs::create_dir_all(&this.folder).map_err(trouble(&this.folder))?;
        this.eml = true;
        Ok(this)
    }

    async fn all(
        &mut self,
        mailboxes: &Mailboxes,
        account: AccountId,
        mailbox: &MailboxInfo,
        progress: &mut Progress,
        listener: Listener<'_>,
    ) -> Result<(), TransferError> {
        let mut after = Uid(0);
        loop {
            let page = mailboxes.messages(account, mailbox.id, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.uid;
            for message in &page {
                let Some(file) = self.file(mailbox, message, progress)? else { continue };
                let Some(octets) = self.octets((mailboxes, account, mailbox), message, progress).await?
                else {
                    continue;
                };
                progress.messages += 1;
                progress.octets += octets.len() as u64;
                match &mut self.mbox {
                    Some((_, held)) => {
                        let keywords = self.keywords.iter().flat_map(|table| {
                            message.keywords.iter().filter_map(|number| table.name(number))
                        });
                        let keywords: Vec<_> = keywords.collect();
                        mbox::write(held, &octets, message.received, message.flags, &keywords);
                        self.write_out(HELD)?;
                    }
                    None => {
                        let temporary =
                            if self.eml { ".part".into() } else { format!("tmp/{}", message.uid.0) };
                        write_whole(&self.folder.join(temporary), &file, &octets, message.received)?;
                    }
                }
            }
            listener(progress);
        }
        self.write_out(0)?;
        if !self.uids.is_empty() {
            let next = mailboxes.status(account, mailbox.id).await?.uid_next;
            let text = dovecot::uidlist(mailbox.id.0, next, &self.uids);
            write_new(&self.folder.join(dovecot::UIDLIST), text.as_bytes())?;
        }
        if let Some((file, _)) = &self.mbox {
            let part = part_of(file);
            std::fs::rename(&part, file).map_err(trouble(file))?;
        }
        Ok(())
    }

    /// What a message consists of; `None` if it has left meanwhile, or is damaged, which ends nothing: the others are wanted all the
    /// more then.
    async fn octets(
        &self,
        (mailboxes, account, mailbox): (&Mailboxes, AccountId, &MailboxInfo),
        message: &Message,
        progress: &mut Progress,
    ) -> Result<Option<Vec<u8>>, TransferError> {
        let error = match message.body.reader(mailboxes.blobs()).rest().await {
            Ok(octets) => return Ok(Some(octets)),
            Err(error) => error,
        };
        let before = Uid(message.uid.0.saturating_sub(1));
        let there = mailboxes.messages(account, mailbox.id, before, 1).await?;
        match error {
            _ if there.first().is_none_or(|there| there.uid != message.uid) => Ok(None),
            StoreError::Corrupt(why) => {
                let why = format!("message {} of {} is damaged: {why}", message.uid.0, mailbox.path);
                progress.refuse(&self.folder, why);
                Ok(None)
            }
            error => Err(error.into()),
        }
    }

    /// The file of a message; `None` if it is there. An mbox has one for all.
    fn file(
        &mut self,
        mailbox: &MailboxInfo,
        message: &Message,
        progress: &mut Progress,
    ) -> Result<Option<PathBuf>, TransferError> {
        if let Some((file, _)) = &self.mbox {
            return Ok(Some(file.clone()));
        }
        if self.eml {
            let file = self.folder.join(format!("{:010}.eml", message.uid.0));
            return Ok(match std::fs::metadata(&file) {
                Ok(there) if there.len() != message.body.size() => {
                    progress.refuse(&file, "another message is there: export into a folder of its own");
                    None
                }
                Ok(_) => {
                    progress.left_out += 1;
                    None
                }
                Err(_) => Some(file),
            });
        }
        let seconds = message.received.as_secs();
        let name = format!("{seconds}.U{}V{}.iems,S={}", message.uid.0, mailbox.id.0, message.body.size());
        self.uids.push((message.uid, name.clone()));
        if self.there.contains(&name) {
            progress.left_out += 1;
            return Ok(None);
        }
        let letters = self.letters_of(message)?;
        let name = format!("{name}{}", maildir::suffix(message.flags, letters.into_iter()));
        Ok(Some(self.folder.join("cur").join(name)))
    }

    /// The letters of a message's keywords. A folder has 26; later keywords are not kept.
    fn letters_of(&mut self, message: &Message) -> Result<BTreeSet<char>, TransferError> {
        let mut new = false;
        for keyword in message.keywords.iter() {
            let free = ('a'..='z').find(|letter| self.letters.values().all(|taken| taken != letter));
            if let Some(free) = free.filter(|_| !self.letters.contains_key(&keyword.0)) {
                self.letters.insert(keyword.0, free);
                new = true;
            }
        }
        if new {
            let name = |number: &u16| self.keywords?.name(crate::mailbox::Keyword(*number));
            let lines = self.letters.iter().filter_map(|(number, letter)| {
                Some(format!("{} {}\n", *letter as u32 - 'a' as u32, name(number)?))
            });
            let (file, text) = (self.folder.join(dovecot::KEYWORDS), lines.collect::<String>());
            std::fs::write(&file, text).map_err(trouble(&file))?;
        }
        Ok(message.keywords.iter().filter_map(|keyword| self.letters.get(&keyword.0).copied()).collect())
    }

    /// Writes what is held of an mbox, if it is more than `most`.
    fn write_out(&mut self, most: usize) -> Result<(), TransferError> {
        use std::io::Write;
        let Some((file, held)) = &mut self.mbox else { return Ok(()) };
        if held.len() <= most {
            return Ok(());
        }
        let part = part_of(file);
        let opened = std::fs::File::options().append(true).open(&part);
        opened
            .and_then(|mut file| file.write_all(held).and_then(|()| file.sync_all()))
            .map_err(trouble(&part))?;
        held.clear();
        Ok(())
    }
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Writes a file, unless it says so already.
fn write_new(file: &Path, octets: &[u8]) -> Result<(), TransferError> {
    if std::fs::read(file).is_ok_and(|there| there == octets) {
        return Ok(());
    }
    let part = part_of(file);
    std::fs::write(&part, octets).and_then(|()| std::fs::rename(&part, file)).map_err(trouble(file))
}
