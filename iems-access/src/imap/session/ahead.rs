//! Reading ahead: while the messages of one step are told, those of the next are read beside it.
//!
//! To read a message and to send it take about as long, so who fetches many gets them sooner where a processor is idle. Only small messages are read so: large ones are told in pieces, of which memory holds one.

use std::collections::VecDeque;

use bytes::Bytes;
use iems_core::storage::StoreError;
use iems_store::mailbox::{AccountId, MailboxId, Mailboxes, MessageInfo, Uid};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;

use super::body::PIECE;
use super::user::Selected;
use crate::imap::Accounts;
use crate::net::Loan;

/// How many octets of messages are read ahead at most.
const AHEAD: usize = 1 << 20;

/// A message that was read whole.
pub(super) type Whole = (MessageInfo, Bytes);

/// Messages that are being read.
pub(super) struct Ahead(JoinHandle<Found>);

/// Messages that were read, in the order of their UIDs, and the memory of them.
#[derive(Default)]
pub(super) struct Found {
    messages: VecDeque<Whole>,
    _held: Loan,
}

impl Ahead {
    /// Begins to read the first of these, as far as they are small; `None` where there is nobody to do it, or no memory for it.
    pub(super) fn begin(accounts: &Accounts, selected: &Selected, uids: Vec<Uid>) -> Option<Self> {
        let runtime = Handle::try_current().ok().filter(|runtime| {
            runtime.runtime_flavor() == RuntimeFlavor::MultiThread && runtime.metrics().num_workers() > 1
        })?;
        if uids.is_empty() {
            return None;
        }
        let (reader, held) = (accounts.reader()?, selected.budget.spare(AHEAD)?);
        let (mailboxes, place) = (accounts.mailboxes().clone(), (selected.account, selected.mailbox));
        // What cannot be read is read again when its turn comes, and told then.
        let reading = runtime.clone().spawn_blocking(move || {
            let mut found = Found { messages: VecDeque::new(), _held: held };
            let _ = runtime.block_on(read(&mailboxes, place, &uids, &mut found.messages));
            drop(reader);
            found
        });
        Some(Self(reading))
    }

    /// Waits for them.
    pub(super) async fn found(self) -> Found {
        self.0.await.unwrap_or_default()
    }
}

impl Found {
    /// Takes out those that are among `uids`, which are in order; what is before them is not needed any more.
    pub(super) fn take(&mut self, uids: &[Uid]) -> Vec<Whole> {
        let mut taken = Vec::new();
        for uid in uids {
            while self.messages.front().is_some_and(|(info, _)| info.uid < *uid) {
                self.messages.pop_front();
            }
            if self.messages.front().is_some_and(|(info, _)| info.uid == *uid) {
                taken.extend(self.messages.pop_front());
            }
        }
        taken
    }
}

async fn read(
    mailboxes: &Mailboxes,
    (account, mailbox): (AccountId, MailboxId),
    uids: &[Uid],
    found: &mut VecDeque<Whole>,
) -> Result<(), StoreError> {
    let mut left = AHEAD as u64;
    for info in mailboxes.infos(account, mailbox, uids).await? {
        let size = info.body.blob_size;
        let Some(after) = left.checked_sub(size).filter(|_| size <= PIECE) else { break };
        left = after;
        let octets = mailboxes.blobs().read(info.body.blob, 0..size).await?;
        found.push_back((info, octets));
    }
    Ok(())
}
