//! Which session is the first that a message is shown to: `\Recent` (RFC 3501 section 2.3.2).
//!
//! UIDs only grow, so one mark for each mailbox says it: messages above it were shown to nobody. While a mailbox is open, its
//! mark is here, and claims are settled without the store; when the last session leaves, a mark that grew is written. A crash
//! shows messages as recent once more, which the RFC allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iems_store::mailbox::{AccountId, MailboxId, Uid};

use super::Accounts;

/// A mailbox and whose it is.
type Where = (AccountId, MailboxId);

/// The mailboxes that are open, and those whose mark is yet to be written.
#[derive(Debug, Default)]
pub(crate) struct Recents(Mutex<HashMap<Where, Mark>>);

#[derive(Debug, Default)]
struct Mark {
    /// Up to which UID messages were shown.
    shown: u32,
    /// What the store has of it.
    stored: u32,
    sessions: u32,
}

impl Recents {
    fn marks(&self) -> MutexGuard<'_, HashMap<Where, Mark>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to which UID messages of a mailbox were shown, where the store may not know it yet; otherwise 0.
    pub(crate) fn shown(&self, mailbox: Where) -> u32 {
        self.marks().get(&mailbox).map_or(0, |mark| mark.shown)
    }

    /// One session less; the mark, if it has to be written.
    fn part(&self, mailbox: Where) -> Option<u32> {
        let mut marks = self.marks();
        let mark = marks.get_mut(&mailbox)?;
        mark.sessions = mark.sessions.saturating_sub(1);
        let last = mark.sessions == 0;
        if last && mark.shown > mark.stored {
            return Some(mark.shown);
        }
        if last {
            marks.remove(&mailbox);
        }
        None
    }

    /// A mark was written, or cannot be.
    fn written(&self, mailbox: Where, shown: u32) {
        let mut marks = self.marks();
        if let Some(mark) = marks.get_mut(&mailbox) {
            mark.stored = mark.stored.max(shown);
            if mark.sessions == 0 && mark.shown <= mark.stored {
                marks.remove(&mailbox);
            }
        }
    }
}

/// A session in a mailbox. It should [`Witness::leave`]; a mark that is dropped stays until the next one does.
#[derive(Debug)]
pub(crate) struct Witness {
    accounts: Arc<Accounts>,
    mailbox: Where,
    left: bool,
}

impl Witness {
    /// To be made before the stored mark is read, for [`Self::learn`].
    pub(crate) fn new(accounts: &Arc<Accounts>, mailbox: Where) -> Self {
        accounts.recents().marks().entry(mailbox).or_default().sessions += 1;
        Self { accounts: accounts.clone(), mailbox, left: false }
    }

    /// Takes note of what the store has.
    pub(crate) fn learn(&self, stored: u32) {
        let mut marks = self.accounts.recents().marks();
        let mark = marks.entry(self.mailbox).or_default();
        mark.stored = mark.stored.max(stored);
        mark.shown = mark.shown.max(stored);
    }

    /// Up to which UID messages were shown before this session sees those up to `uid`; with `takes`, they are shown by that.
    pub(crate) fn show(&self, uid: u32, takes: bool) -> u32 {
        let mut marks = self.accounts.recents().marks();
        let mark = marks.entry(self.mailbox).or_default();
        let before = mark.shown;
        if takes {
            mark.shown = before.max(uid);
        }
        before
    }

    /// The session leaves the mailbox. If it is the last one, what was shown is written down.
    pub(crate) async fn leave(mut self) {
        self.left = true;
        let recents = self.accounts.recents();
        let Some(shown) = recents.part(self.mailbox) else { return };
        let (account, mailbox) = self.mailbox;
        if let Err(error) = self.accounts.mailboxes().set_shown(account, mailbox, Uid(shown)).await {
            tracing::debug!(%error, "messages will be shown as recent once more");
        }
        recents.written(self.mailbox, shown);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if !self.left {
            self.accounts.recents().part(self.mailbox);
        }
    }
}
