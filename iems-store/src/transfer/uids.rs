//! Which UIDs the messages of a mailbox get that comes in: those that they had, where nobody can have seen others under the same name and
//! number (RFC 9051 section 2.3.1.1); new ones elsewhere, and why.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::dovecot::{self, UidList};
use super::incoming::{Incoming, header_size, with_crlf};
use super::{Import, Progress, TransferError, maildir};
use crate::mailbox::{AccountId, MAX_KEPT_UID, MailboxId, Mailboxes, NotKept, Staged, Uid};

/// How many messages are compared with those of the source, to see whether UIDs that were given here are the same there.
const COMPARED: u64 = 10_000;
/// Why UIDs cannot be kept of what comes without.
const UNSAID: &str = "nothing says which UIDs they had";

/// What a source holds, as far as it is known before its messages are read.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) list: UidList,
    /// Files whose UID is known, in the order of UIDs.
    pub(super) listed: Vec<maildir::File>,
    /// The others.
    pub(super) others: Vec<maildir::File>,
    pub(super) keywords: BTreeMap<char, String>,
}

impl Source {
    pub(super) fn maildir(place: &Path, progress: &mut Progress) -> Self {
        let (list, keywords) = (dovecot::uidlist_of(place), dovecot::keywords(place));
        let mut listed = maildir::files(place, &list, progress);
        let others = listed.split_off(listed.partition_point(|file| file.uid().is_some()));
        Self { list, listed, others, keywords }
    }

    fn file(&self, uid: u32) -> Option<&maildir::File> {
        let at = self.listed.binary_search_by_key(&Some(uid), maildir::File::uid).ok()?;
        self.listed.get(at)
    }
}

/// Which UIDs messages get.
#[derive(Debug)]
pub(super) enum Way {
    /// New ones.
    New,
    /// Those that they had, in a mailbox that nobody sees until all are there.
    Staged(Staged),
    /// Those that they had, behind the last one of the mailbox.
    Behind(u64),
}

/// Reserves the number that a mailbox had, before mailboxes that are made on the way can get it.
pub(super) async fn reserve(
    mailboxes: &Mailboxes,
    account: AccountId,
    place: &Path,
    path: &str,
) -> Result<(), TransferError> {
    let Some(validity) = dovecot::uidlist_of(place).validity else { return Ok(()) };
    if mailboxes.find(account, path).await? == Some(MailboxId(validity)) {
        return Ok(());
    }
    match mailboxes.stage(account, path, validity).await {
        // What stands in the way is told when its turn comes.
        Ok(_) => Ok(()),
        Err(error) if !error.is_temporary() => Ok(()),
        Err(error) => Err(TransferError::Mailbox { path: path.to_owned(), error }),
    }
}

impl Incoming<'_> {
    /// Whether UIDs are kept, and how.
    pub(super) async fn choose(
        &mut self,
        found: Option<MailboxId>,
        order: &Import<'_>,
        source: &Source,
    ) -> Result<(), TransferError> {
        let (mailboxes, account) = (self.mailboxes, self.account);
        let why = match source.list.validity {
            None => UNSAID.to_owned(),
            Some(_) if order.new_uids => "new ones were asked for".to_owned(),
            Some(validity) if source.list.next > MAX_KEPT_UID => NotKept::Exhausted(validity).to_string(),
            Some(_) => String::new(),
        };
        let validity = source.list.validity.filter(|_| why.is_empty());
        // What an import left that was cut short, and now goes another way.
        if let Some(left) = mailboxes.staged_for(account, &self.path).await?
            && Some(left.mailbox().0) != validity
        {
            mailboxes.unstage(&left).await?;
        }
        let Some(validity) = validity else {
            self.why = why;
            return Ok(());
        };
        if let Some(found) = found.filter(|found| found.0 == validity)
            && let Some((kept, last)) = mailboxes.kept(account, found).await?
        {
            return self.go_on(found, kept, last, source).await;
        }
        match mailboxes.stage(account, &self.path, validity).await.map_err(|error| self.trouble(error))? {
            Ok(staged) => {
                self.mailbox = staged.mailbox();
                self.kept = true;
                self.match_uids(source, u64::MAX).await?;
                self.way = Way::Staged(staged);
            }
            Err(why) => self.why = why.to_string(),
        }
        Ok(())
    }

    /// The mailbox came from this source: what is new there comes behind what is here, unless something else came since.
    async fn go_on(
        &mut self,
        mailbox: MailboxId,
        kept: u64,
        last: u64,
        source: &Source,
    ) -> Result<(), TransferError> {
        self.mailbox = mailbox;
        self.kept = true;
        let same = kept >= last || self.are_same(kept, last, source).await?;
        self.up_to = if same { last } else { kept };
        self.match_uids(source, self.up_to).await?;
        // What its owner deleted or moved here stays away.
        let gone = self.mailboxes.gone(self.account, mailbox).await?;
        self.matched.extend(gone.iter().map(|uid| uid.0).filter(|uid| u64::from(*uid) <= self.up_to));
        self.way = Way::Behind(last);
        if !same {
            self.why = "messages got UIDs here since the last import that they do not have in the source: what is new there got new \
                        UIDs, and programs that saw it there under its UIDs have to fetch the mailbox anew"
                .into();
        }
        Ok(())
    }

    /// Whether the messages that got UIDs here are those that have these UIDs in the source.
    async fn are_same(&mut self, kept: u64, last: u64, source: &Source) -> Result<bool, TransferError> {
        if last - kept > COMPARED {
            return Ok(false);
        }
        let after = Uid(u32::try_from(kept).unwrap_or(u32::MAX));
        let here = self.mailboxes.messages(self.account, self.mailbox, after, COMPARED as usize).await?;
        if here.len() as u64 != last - kept {
            return Ok(false);
        }
        for message in here {
            let Some(file) = source.file(message.uid.0) else { return Ok(false) };
            let Ok(letter) = maildir::read(&file.path, file.received, &source.keywords) else {
                return Ok(false);
            };
            let octets = Bytes::from(with_crlf(letter.octets));
            let header = header_size(&octets);
            let body = self.body(octets, header).await?;
            if message.body.blob != body.blob || !message.body.prefix.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Learns which messages of the source are there by their UIDs.
    async fn match_uids(&mut self, source: &Source, up_to: u64) -> Result<(), TransferError> {
        let mut after = Uid(0);
        loop {
            let page = self.mailboxes.view(self.account, self.mailbox, after, 4096).await?;
            let uids = page.iter().map(|state| state.uid.0).filter(|uid| u64::from(*uid) <= up_to);
            self.matched.extend(uids.filter(|uid| source.file(*uid).is_some()));
            match page.last() {
                Some(last) => after = last.uid,
                None => return Ok(()),
            }
        }
    }
}
