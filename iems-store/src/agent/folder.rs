//! Which mailbox a message goes to; those that are missing are made before.

use iems_core::deliver::{Attempt, Destination};
use iems_core::message::Reply;
use iems_core::preprocess::{Action, Decision};
use iems_core::seam::Timestamp;

use super::{LocalAgent, store_trouble, trouble};
use crate::directory::{AccountInfo, SEPARATOR};
use crate::mailbox::{MailboxError, MailboxId, SpecialUse, UsualMailbox, composed};

/// The name of the junk mailbox, where none is usual.
const JUNK: &str = "Junk";

/// The detail in the case in which the sender wrote it; the directory has all in one.
fn as_written<'a>(destination: &'a Destination, detail: &'a str) -> &'a str {
    let local = destination.recipient.mailbox.local().as_str();
    let written = local.split_once(SEPARATOR).map(|(_, written)| written);
    written.filter(|written| written.to_lowercase() == detail.to_lowercase()).unwrap_or(detail)
}

impl LocalAgent {
    pub(super) async fn folder(
        &self,
        attempt: &Attempt,
        destination: &Destination,
        account: &AccountInfo,
        decision: &Decision,
    ) -> Result<MailboxId, Reply> {
        if decision.action == Action::Junk {
            return self.junk(account, attempt.now).await;
        }
        match &destination.detail {
            Some(detail) if !detail.is_empty() => {
                self.subaddressed(account, as_written(destination, detail), attempt.now).await
            }
            _ => Ok(account.inbox),
        }
    }

    /// The mailbox that a subaddress names, in any case; made on demand where that is wanted.
    async fn subaddressed(
        &self,
        account: &AccountInfo,
        detail: &str,
        now: Timestamp,
    ) -> Result<MailboxId, Reply> {
        let detail = &*composed(detail);
        let found = self.mailboxes().find_in_any_case(account.id, detail).await.map_err(store_trouble)?;
        match found {
            Some(folder) => Ok(folder),
            None if self.options.make_mailboxes => {
                // `+sent` means the usual `Sent`.
                let same = |one: &&UsualMailbox| one.path.to_lowercase() == detail.to_lowercase();
                let name = self.options.usual.iter().find(same).map_or(detail, |one| &one.path);
                let special = self.mailboxes().usual_use(account.id, &self.options.usual, name).await;
                self.make(account, name, special.map_err(store_trouble)?, now).await
            }
            None => Ok(account.inbox),
        }
    }

    /// The junk mailbox, made on demand.
    async fn junk(&self, account: &AccountInfo, now: Timestamp) -> Result<MailboxId, Reply> {
        let mailboxes = self.mailboxes();
        if let Some(junk) = mailboxes.special(account.id, SpecialUse::Junk).await.map_err(store_trouble)? {
            return Ok(junk);
        }
        let usual = self.options.usual.iter().find(|one| one.special == Some(SpecialUse::Junk));
        let name = usual.map_or(JUNK, |one| &one.path);
        if let Some(junk) = mailboxes.find(account.id, name).await.map_err(store_trouble)? {
            return Ok(junk);
        }
        self.make(account, name, Some(SpecialUse::Junk), now).await
    }

    /// Makes a mailbox at once: an empty one is no harm where the message does not follow. INBOX where it cannot be made.
    async fn make(
        &self,
        account: &AccountInfo,
        path: &str,
        special: Option<SpecialUse>,
        now: Timestamp,
    ) -> Result<MailboxId, Reply> {
        let mailboxes = self.mailboxes();
        match mailboxes.create_subscribed(account.id, path, special, now).await {
            Ok(made) => Ok(made),
            // Somebody was faster.
            Err(MailboxError::Exists | MailboxError::UseTaken) => {
                let found = mailboxes.find(account.id, path).await.map_err(store_trouble)?;
                Ok(found.unwrap_or(account.inbox))
            }
            // There are as many mailboxes as there may be, the name is none, or the like: mail must arrive all the same.
            Err(error) if !error.is_temporary() => {
                tracing::warn!(account = %account.mailbox, path, %error, "no mailbox can be made");
                Ok(account.inbox)
            }
            Err(error) => Err(trouble(error.to_string())),
        }
    }
}
