//! Which mailbox a message goes to; those that are missing are made with it.

use iems_core::deliver::{Attempt, Destination};
use iems_core::message::Reply;
use iems_core::preprocess::{Action, Decision};
use iems_core::seam::Timestamp;
use iems_core::storage::Batch;

use super::{LocalAgent, store_trouble, trouble};
use crate::directory::{AccountInfo, SEPARATOR};
use crate::mailbox::{AccountId, MailboxId, Mailboxes, SpecialUse, UsualMailbox, composed};

/// The name of the junk mailbox, where none is usual.
const JUNK: &str = "Junk";

/// The detail in the case in which the sender wrote it; the directory has all in one.
fn as_written<'a>(destination: &'a Destination, detail: &'a str) -> &'a str {
    let local = destination.recipient.mailbox.local().as_str();
    let written = local.split_once(SEPARATOR).map(|(_, written)| written);
    written.filter(|written| written.to_lowercase() == detail.to_lowercase()).unwrap_or(detail)
}

/// A mailbox, and whether the batch makes it.
pub(super) enum Folder {
    There(MailboxId),
    New(MailboxId),
}

/// What a mailbox is made with.
struct Making<'a> {
    batch: &'a mut Batch,
    account: &'a AccountInfo,
    now: Timestamp,
    made: &'a mut Made,
}

/// What the batch of an attempt makes: one mailbox for an account, as numbers are given before the commit.
#[derive(Default)]
pub(super) struct Made(Vec<(AccountId, String)>);

impl Made {
    /// Whether this may be made, too.
    fn takes(&mut self, account: AccountId, path: &str) -> bool {
        match self.0.iter().find(|(of, _)| *of == account) {
            Some((_, made)) => made == path,
            None => {
                self.0.push((account, path.to_owned()));
                true
            }
        }
    }
}

impl LocalAgent {
    pub(super) async fn folder(
        &self,
        batch: &mut Batch,
        attempt: &Attempt,
        destination: &Destination,
        account: &AccountInfo,
        decision: &Decision,
        made: &mut Made,
    ) -> Result<Folder, Reply> {
        let mut making = Making { batch, account, now: attempt.now, made };
        if decision.action == Action::Junk {
            return self.junk(&mut making).await;
        }
        match &destination.detail {
            Some(detail) if !detail.is_empty() => {
                self.subaddressed(&mut making, as_written(destination, detail)).await
            }
            _ => Ok(Folder::There(account.inbox)),
        }
    }

    /// The mailbox that a subaddress names, in any case; made on demand where that is wanted.
    async fn subaddressed(&self, making: &mut Making<'_>, detail: &str) -> Result<Folder, Reply> {
        let (account, detail) = (making.account, &*composed(detail));
        let found = self.mailboxes().find_in_any_case(account.id, detail).await.map_err(store_trouble)?;
        match found {
            Some(folder) => Ok(Folder::There(folder)),
            None if self.options.make_mailboxes => {
                // `+sent` means the usual `Sent`.
                let same = |one: &&UsualMailbox| one.path.to_lowercase() == detail.to_lowercase();
                let name = self.options.usual.iter().find(same).map_or(detail, |one| &one.path);
                let special = self.mailboxes().usual_use(account.id, &self.options.usual, name).await;
                self.make(making, name, special.map_err(store_trouble)?).await
            }
            None => Ok(Folder::There(account.inbox)),
        }
    }

    /// The junk mailbox, made on demand.
    async fn junk(&self, making: &mut Making<'_>) -> Result<Folder, Reply> {
        let (account, mailboxes) = (making.account, self.mailboxes());
        if let Some(junk) = mailboxes.special(account.id, SpecialUse::Junk).await.map_err(store_trouble)? {
            return Ok(Folder::There(junk));
        }
        let usual = self.options.usual.iter().find(|one| one.special == Some(SpecialUse::Junk));
        let name = usual.map_or(JUNK, |one| &one.path);
        if let Some(junk) = mailboxes.find(account.id, name).await.map_err(store_trouble)? {
            return Ok(Folder::There(junk));
        }
        self.make(making, name, Some(SpecialUse::Junk)).await
    }

    /// Makes a mailbox in the batch; INBOX where that cannot be done.
    async fn make(
        &self,
        making: &mut Making<'_>,
        path: &str,
        special: Option<SpecialUse>,
    ) -> Result<Folder, Reply> {
        let (account, now) = (making.account, making.now);
        if !making.made.takes(account.id, path) {
            return Err(Reply::defer(3, 0, "Another mailbox of the account is being made; try again later"));
        }
        // What is tried may have added steps when it fails.
        let mut steps = Batch::new();
        match self.mailboxes().create_in(&mut steps, account.id, path, special, now).await {
            Ok(made) => {
                Mailboxes::subscribe_in(&mut steps, account.id, path);
                making.batch.merge(steps);
                Ok(Folder::New(made))
            }
            // There are as many mailboxes as there may be, the name is none, or the like: mail must arrive all the same.
            Err(error) if !error.is_temporary() => {
                tracing::warn!(account = %account.mailbox, path, %error, "no mailbox can be made");
                Ok(Folder::There(account.inbox))
            }
            Err(error) => Err(trouble(error.to_string())),
        }
    }
}
