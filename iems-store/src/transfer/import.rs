//! Bringing mail in: folder by folder. What cannot be read is named and left out, and the rest comes in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use iems_core::seam::Timestamp;

use super::incoming::Incoming;
use super::uids::{self, Source};
use super::{
    Format, Letter, Listener, Progress, TransferError, dovecot, entries, maildir, mbox, names, rights,
    rights::Names, written_at,
};
use crate::mailbox::{AccountId, Mailboxes, UsualMailbox};

/// What is brought in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Import<'a> {
    /// A folder, or an mbox.
    pub source: &'a Path,
    /// What it holds.
    pub format: Format,
    /// The mailbox for what stands in no folder of its own. Default: INBOX.
    pub into: &'a str,
    /// The mailboxes that are usual here: one that is made gets its special use. Default: those that most mail programs
    /// know.
    pub usual: Vec<UsualMailbox>,
    /// When mail is saved.
    pub now: Timestamp,
    /// Whether all messages get new UIDs, also where those that they had could be kept. Default: no, so that mail programs need not
    /// fetch again what they have.
    pub new_uids: bool,
    /// Who others are that have rights with Dovecot, so that they have them here. Default: nobody gets any, and
    /// [`Progress::problems`] tells.
    pub names: Option<Names<'a>>,
}

impl<'a> Import<'a> {
    /// All mail of this format below `source`.
    pub fn new(source: &'a Path, format: Format, now: Timestamp) -> Self {
        let (usual, new_uids, names) = (UsualMailbox::defaults(), false, None);
        Self { source, format, into: "INBOX", usual, now, new_uids, names }
    }
}

/// A file or folder with mail, and the mailbox that it stands for.
type Place = (PathBuf, String);

/// Brings mail into an account. Bare line ends become CRLF. A mailbox that is made is subscribed to, unless the source says
/// to which ones its user was.
///
/// # Errors
/// [`TransferError`]; what came in before stays. What is wrong with single files and folders stands in
/// [`Progress::problems`].
pub async fn import(
    mailboxes: &Mailboxes,
    account: AccountId,
    order: &Import<'_>,
    listener: Listener<'_>,
) -> Result<Progress, TransferError> {
    let mut progress = Progress::default();
    let places = places(order, &mut progress)?;
    if places.is_empty() {
        let path = order.source.to_owned();
        return Err(TransferError::NoMail { hint: hint(order), path });
    }
    let subscribed = subscribed(order);
    if order.format == Format::Maildir && !order.new_uids {
        for (place, path) in &places {
            uids::reserve(mailboxes, account, place, path).await?;
        }
    }
    for (place, path) in places {
        progress.mailbox.clone_from(&path);
        let source = match order.format {
            Format::Maildir => Source::maildir(&place, &mut progress),
            Format::Mbox | Format::Eml => Source::default(),
        };
        let opened = Incoming::open(mailboxes, account, &path, order, &source, subscribed.as_ref()).await;
        let mut incoming = match opened {
            Ok(incoming) => incoming,
            Err(TransferError::Mailbox { error, .. }) if !error.is_temporary() => {
                progress.refuse(&place, format!("the mailbox \"{path}\" cannot be made: {error}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        if order.format == Format::Maildir {
            for file in source.listed.iter().enumerate() {
                incoming.listed(file, &source.keywords, &mut progress, listener).await?;
            }
            incoming.end_listed(&source, &mut progress, listener).await?;
            let of = (account, incoming.mailbox, incoming.made);
            rights::give(mailboxes, of, &place, order.names, &mut progress).await?;
            note_unread(&place, &mut progress);
        }
        let done = all_of(&mut incoming, order.format, (&place, &source), &mut progress, listener).await;
        incoming.flush(&mut progress, listener).await?;
        done?;
        progress.uids.push(incoming.outcome());
        progress.mailboxes += 1;
        listener(&progress);
    }
    Ok(progress)
}

/// Names what Courier keeps beside the mail and nobody here reads.
fn note_unread(folder: &Path, progress: &mut Progress) {
    for (file, what) in [("courierimapkeywords/:list", "keywords"), ("courierimapacl", "rights")] {
        let file = folder.join(file);
        if std::fs::metadata(&file).is_ok_and(|about| about.len() > 0) {
            progress.note(&file, format!("the {what} that Courier keeps here do not come along"));
        }
    }
}

/// Brings in what one file or folder holds; of a Maildir, what has no UID or comes late.
async fn all_of(
    incoming: &mut Incoming<'_>,
    format: Format,
    (place, source): (&Path, &Source),
    progress: &mut Progress,
    listener: Listener<'_>,
) -> Result<(), TransferError> {
    match format {
        Format::Maildir => {
            for file in incoming.late(source) {
                let read = maildir::read(&file.path, file.received, &source.keywords);
                incoming.letter(&file.path, read, progress, listener).await?;
            }
        }
        Format::Mbox => return mbox(incoming, place, progress, listener).await,
        Format::Eml => {
            for file in entries(place)?.into_iter().filter(|file| is_eml(file)) {
                incoming.letter(&file, read_eml(&file), progress, listener).await?;
            }
        }
    }
    Ok(())
}

async fn mbox(
    incoming: &mut Incoming<'_>,
    place: &Path,
    progress: &mut Progress,
    listener: Listener<'_>,
) -> Result<(), TransferError> {
    let file = match File::open(place) {
        Ok(file) => file,
        Err(error) => {
            progress.refuse(place, format!("it cannot be read: {error}"));
            return Ok(());
        }
    };
    let mut reader = mbox::Reader::new(BufReader::with_capacity(1 << 16, file));
    let mut nth = 0u64;
    loop {
        let read = match reader.next() {
            Ok(None) => return Ok(()),
            Ok(Some(mbox::Next::Letter(letter))) => Ok(letter),
            Ok(Some(mbox::Next::Refused(why))) => Err(why),
            Err(error) => {
                progress.refuse(place, format!("it cannot be read to its end: {error}"));
                return Ok(());
            }
        };
        nth += 1;
        let read = read.map_err(|why| format!("message {nth}: {why}"));
        incoming.letter(place, read, progress, listener).await?;
    }
}

/// Files or folders, and the mailboxes that they stand for.
fn places(order: &Import<'_>, progress: &mut Progress) -> Result<Vec<Place>, TransferError> {
    let Import { source, format, into, .. } = order;
    let eml = |folder: &Path| entries(folder).is_ok_and(|all| all.iter().any(|file| is_eml(file)));
    let search = |is_one, dots, ending| names::Search { is_one, dots, ending };
    match format {
        Format::Maildir | Format::Eml if source.is_file() => Ok(Vec::new()),
        Format::Maildir => search(&maildir::is_one, true, "").folders(source, into, progress),
        Format::Eml => search(&eml, false, "").folders(source, into, progress),
        Format::Mbox if source.is_file() => Ok(vec![(source.to_path_buf(), (*into).to_owned())]),
        Format::Mbox => {
            let mut found = Vec::new();
            // Mozilla has what is below a mailbox in a folder that ends so.
            for (folder, path) in search(&|_| true, false, ".sbd").folders(source, "", progress)? {
                let Ok(files) = entries(&folder) else { continue };
                for file in files {
                    let Some(name) = mbox_name(&file, progress) else { continue };
                    let above = if path.is_empty() { String::new() } else { format!("{path}/") };
                    found.push((file, format!("{above}{}", names::part_of(&name))));
                }
            }
            Ok(found)
        }
    }
}

/// The name of the mailbox that a file in a folder of mboxes is, if it is one: by its ending or its beginning.
fn mbox_name(file: &Path, progress: &mut Progress) -> Option<String> {
    let name = file.file_name()?.to_string_lossy().into_owned();
    let about = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    if name.starts_with('.') || name.ends_with(".msf") || name.ends_with(".part") {
        return None;
    }
    if let Some(stem) = name.strip_suffix(".mbox") {
        return Some(stem.to_owned());
    }
    match mbox::begins(file) {
        Ok(begins) => (begins || about.len() == 0).then_some(name),
        Err(error) => {
            progress.refuse(file, format!("it cannot be read: {error}"));
            None
        }
    }
}

/// To which mailboxes the user was subscribed, if the source says so.
fn subscribed(order: &Import<'_>) -> Option<BTreeSet<String>> {
    let is_dotted = |entry: &PathBuf| {
        entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
            && maildir::is_one(entry)
    };
    let dots = || entries(order.source).is_ok_and(|all| all.iter().any(is_dotted));
    match order.format {
        Format::Maildir => dovecot::subscriptions(order.source, dots()),
        Format::Mbox | Format::Eml => dovecot::subscriptions(order.source, false),
    }
}

/// What there should have been.
fn hint(order: &Import<'_>) -> &'static str {
    if order.source.is_file() && order.format != Format::Mbox {
        return "this is a file, as an mbox is; name a folder";
    }
    dovecot::other_store(order.source).unwrap_or(match order.format {
        Format::Maildir => "a Maildir has the folders `cur` and `new`",
        Format::Mbox => "name an mbox, or a folder with files that end in .mbox or begin with \"From \"",
        Format::Eml => "name a folder with files that end in .eml",
    })
}

/// What begins with a dot is some program's own.
fn is_eml(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.')
        && file.is_file()
        && file.extension().is_some_and(|end| end.eq_ignore_ascii_case("eml"))
}

fn read_eml(file: &Path) -> Result<Letter, String> {
    let octets = maildir::octets(file)?;
    let (received, flags, keywords) = (Some(written_at(file)?), Default::default(), Vec::new());
    Ok(Letter { octets, received, flags, keywords })
}
