//! Maildrops: the INBOX of an account, for one session at a time (RFC 1939 section 4).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iems_core::message::Mailbox;
use iems_core::seam::Account;
use iems_core::storage::StoreError;
use iems_store::directory::{AccountInfo, StoreDirectory};
use iems_store::mailbox::{Mailboxes, Uid};

use super::UidlFormat;
use super::session::{Maildrop, Unopened};
use crate::net::{Loan, Memory};

/// What a message takes, in octets: as it is listed, in a list that grows, and as a session has it.
const MESSAGE: usize = 64;
/// How many messages are listed at a time.
const PAGE: usize = 1000;
/// From how many ended sessions on those are forgotten that no longer matter.
const SWEEP: usize = 10_000;

/// How long a login waits for another session to end before it is told that the maildrop is in use.
const PATIENCE: Duration = Duration::from_secs(1);

/// The maildrops of a directory. All servers of one process share it: it sees to it that no account has two sessions.
pub struct Maildrops {
    directory: Arc<StoreDirectory>,
    table: Mutex<Table>,
    memory: Arc<Memory>,
}

#[derive(Default)]
struct Table {
    open: HashSet<Mailbox>,
    ended: HashMap<Mailbox, Instant>,
}

impl Maildrops {
    /// The maildrops of the accounts in `directory`.
    pub fn new(directory: Arc<StoreDirectory>) -> Arc<Self> {
        Self::within(Arc::default(), directory)
    }

    /// The same; sessions take their account's part of `memory`, which those of other protocols share.
    pub fn within(memory: Arc<Memory>, directory: Arc<StoreDirectory>) -> Arc<Self> {
        Arc::new(Self { directory, table: Mutex::default(), memory })
    }

    pub(super) fn directory(&self) -> &StoreDirectory {
        &self.directory
    }

    pub(super) fn mailboxes(&self) -> &Mailboxes {
        self.directory.mailboxes()
    }

    /// Takes an account's maildrop, as it is now: its `most` oldest messages, with unique ids like `uidl`.
    pub(super) async fn open(
        self: &Arc<Self>,
        account: &Account,
        delay: Duration,
        (most, uidl): (usize, Option<&UidlFormat>),
    ) -> Result<(Held, Maildrop), Unopened> {
        let unavailable = |error: StoreError| {
            tracing::warn!(account = %account.mailbox, %error, "a maildrop cannot be read");
            Unopened::Unavailable
        };
        let info = self.directory.account(&account.mailbox).await.map_err(unavailable)?;
        let info = info.ok_or_else(|| {
            tracing::warn!(account = %account.mailbox, "it was proved, and has no maildrop here");
            Unopened::Unavailable
        })?;
        if !info.settings.enabled {
            return Err(Unopened::Disabled);
        }
        let mut held = self.take_soon(info, delay).await?;
        let status = self.mailboxes().status(held.info.id, held.info.inbox).await.map_err(unavailable)?;
        let messages = usize::try_from(status.messages).unwrap_or(usize::MAX).min(most);
        // As they are listed first, and as the session has them.
        held.loan.resize(messages.saturating_mul(MESSAGE)).map_err(|_| Unopened::TooMuch)?;
        let mut maildrop = self.snapshot(&held.info, most).await.map_err(unavailable)?;
        if let Some(uidl) = uidl {
            maildrop = maildrop.with_ids(uidl.clone(), held.info.inbox.0);
        }
        Ok((held, maildrop))
    }

    /// Takes it, and waits a little for a session that is just ending: a client that hangs up and calls again at once
    /// is often quicker than the news of its hanging up.
    async fn take_soon(self: &Arc<Self>, info: Arc<AccountInfo>, delay: Duration) -> Result<Held, Unopened> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.take(info.clone(), delay) {
                Err(Unopened::InUse) if Instant::now() < until => tokio::time::sleep(PATIENCE / 20).await,
                taken => return taken,
            }
        }
    }

    fn take(self: &Arc<Self>, info: Arc<AccountInfo>, delay: Duration) -> Result<Held, Unopened> {
        let mut table = self.table();
        if table.ended.get(&info.mailbox).is_some_and(|ended| ended.elapsed() < delay) {
            return Err(Unopened::TooSoon);
        }
        match table.open.insert(info.mailbox.clone()) {
            true => {
                let loan = self.memory.of(info.id).loan();
                Ok(Held { maildrops: self.clone(), info, delay, loan })
            }
            false => Err(Unopened::InUse),
        }
    }

    async fn snapshot(&self, info: &AccountInfo, most: usize) -> Result<Maildrop, StoreError> {
        let mut messages: Vec<(Uid, u64)> = Vec::new();
        loop {
            let after = messages.last().map_or(Uid(0), |(uid, _)| *uid);
            let wanted = (most - messages.len()).min(PAGE);
            let page = self.mailboxes().messages(info.id, info.inbox, after, wanted).await?;
            messages.extend(page.iter().map(|message| (message.uid, message.body.size())));
            if page.len() < PAGE {
                let name = format!("{:x}.{:x}", info.id.0, info.inbox.0);
                return Ok(Maildrop::new(&name, messages));
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Maildrops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maildrops").finish_non_exhaustive()
    }
}

/// The right to an account's maildrop. Dropping it gives it back.
pub(super) struct Held {
    maildrops: Arc<Maildrops>,
    pub(super) info: Arc<AccountInfo>,
    delay: Duration,
    /// Memory for what the session holds of the maildrop.
    loan: Loan,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = self.maildrops.table();
        table.open.remove(&self.info.mailbox);
        if self.delay.is_zero() {
            return;
        }
        if table.ended.len() >= SWEEP {
            table.ended.retain(|_, ended| ended.elapsed() < self.delay);
        }
        table.ended.insert(self.info.mailbox.clone(), Instant::now());
    }
}
