//! Renaming mailboxes (RFC 9051 section 6.3.6).

use iems_core::seam::Timestamp;
use iems_core::storage::Batch;
use serde::{Deserialize, Serialize};

use super::account::put_node;
use super::folders::{Node, Nodes, path_of};
use super::row::MailboxRow;
use super::schema::{self, AccountId, MailboxId, Owner, Uid};
use super::tree::Making;
use super::{MailboxError, Mailboxes, TRIES, name};
use crate::rows;

/// How many messages of an INBOX move in one step.
const PAGE: usize = if cfg!(test) { 4 } else { 1000 };

/// An INBOX that is renamed, and not all of whose messages are moved.
#[derive(Debug, Serialize, Deserialize)]
struct Renaming {
    /// What it became.
    to: MailboxId,
    /// Messages below this UID belong there.
    below: u64,
    now: Timestamp,
}

impl Mailboxes {
    /// Renames a mailbox, and with it what is below it; mailboxes above the new name that are missing are made. INBOX
    /// stays, and gives its mail to a new mailbox; what is below it stays too. One commit decides that; where it cannot take all
    /// messages, others for up to 1000 follow, also after a crash, by [`Self::purge_removed`]. Subscriptions do not follow.
    ///
    /// # Errors
    /// [`MailboxError::BadName`], [`MailboxError::NoMailbox`], [`MailboxError::Exists`], [`MailboxError::BelowItself`],
    /// [`MailboxError::TooMany`], [`MailboxError::NoAccount`], [`MailboxError::Busy`]; the store's.
    pub async fn rename(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let (from, to) = (name::parts(from)?, name::new_parts(to)?);
        if let [only] = &from[..]
            && name::is_inbox(only)
        {
            return self.rename_inbox(account, &to.join("/"), now).await;
        }
        for _ in 0..TRIES {
            let mut batch = Batch::new();
            self.renaming(&mut batch, account, &from, &to, now).await?;
            if self.try_commit(batch).await?.is_some() {
                return Ok(());
            }
        }
        Err(MailboxError::Busy)
    }

    /// One commit makes the mailbox, moves the first messages into it, and writes down that the others are its own too, if there are more
    /// than one commit can take: then [`Self::finish_renaming`] moves them, now or when the server starts again.
    async fn rename_inbox(&self, account: AccountId, path: &str, now: Timestamp) -> Result<(), MailboxError> {
        self.finish_renaming(account).await?;
        for _ in 0..TRIES {
            let inbox = self.find(account, "INBOX").await?.ok_or(MailboxError::NoAccount)?;
            // Those that come in while this goes on stay.
            let below = self.status(account, inbox).await?.uid_next;
            let uids = self.uids_below(account, inbox, below).await?;
            let mut batch = Batch::new();
            let to = self.create_in(&mut batch, account, path, None, now).await?;
            let moved = match uids.is_empty() {
                true => 0,
                false => self.move_to_new(&mut batch, (account, inbox), &uids, to, now).await?,
            };
            let more = moved < uids.len() || uids.len() == PAGE;
            let intent = schema::renaming(account);
            batch.require_absent(&intent);
            if more {
                batch.put(intent, rows::encode(&Renaming { to, below, now })?);
            }
            if self.try_commit(batch).await?.is_some() {
                return if more { self.finish_renaming(account).await } else { Ok(()) };
            }
        }
        Err(MailboxError::Busy)
    }

    /// The first UIDs of a mailbox, below this one.
    async fn uids_below(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        below: u64,
    ) -> Result<Vec<Uid>, MailboxError> {
        let page = self.view(account, mailbox, Uid(0), PAGE).await?;
        Ok(page.iter().map(|state| state.uid).filter(|uid| u64::from(uid.0) < below).collect())
    }

    /// Moves what still stands in an INBOX that was renamed. Where the mailbox that it became is gone, it stays.
    pub(super) async fn finish_renaming(&self, account: AccountId) -> Result<(), MailboxError> {
        let intent = schema::renaming(account);
        let Some(row) = self.storage.store.get(&intent).await? else { return Ok(()) };
        let Renaming { to, below, now } = rows::decode(&row, "an INBOX that is renamed")?;
        if let Some(inbox) = self.find(account, "INBOX").await? {
            loop {
                let uids = self.uids_below(account, inbox, below).await?;
                if uids.is_empty() {
                    break;
                }
                match self.move_messages((account, inbox), &uids, (account, to), now).await {
                    Ok(_) => {}
                    Err(MailboxError::NoMailbox | MailboxError::NoAccount) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        let mut batch = Batch::new();
        batch.require_equals(&intent, &row);
        batch.delete(&intent);
        // Whoever was quicker did the same.
        self.try_commit(batch).await?;
        Ok(())
    }

    async fn renaming(
        &self,
        batch: &mut Batch,
        account: AccountId,
        from: &[&str],
        to: &[&str],
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let tree = self.tree(account).await?;
        let node = self.walk(account, from).await?.ok_or(MailboxError::NoMailbox)?;
        let (mut parent, missing) = self.deepest(account, to).await?;
        let Some((last, above)) = missing.split_last() else { return Err(MailboxError::Exists) };
        let nodes = self.nodes(account).await?;
        if parent.is_some_and(|parent| is_below(&nodes, parent.id, node.id)) {
            return Err(MailboxError::BelowItself);
        }
        check_length(&nodes, node.id, from, to)?;
        let mut making = Making::new(self, account, now).await?;
        making.inherit(self, parent).await?;
        let mut made = None;
        for part in above {
            let id = making.make(batch, parent, part, None)?;
            (parent, made) = (Some(Node { id, selectable: true }), Some(id));
        }
        if let Some(last) = made {
            batch.put(schema::key(account, b"v"), i64::from(last.0).to_le_bytes().to_vec());
        }
        let Some((row, selectable)) = nodes.get(&node.id) else { return Err(MailboxError::Busy) };
        batch.delete(&schema::key(account, &schema::of_name(row.parent, &row.name)));
        let parent = parent.map(|node| node.id);
        let row = MailboxRow { name: (*last).to_owned(), parent, special: row.special };
        put_node(batch, Owner::Known(account), node.id, &row, *selectable)?;
        batch.require_present(&schema::key(account, b"v"));
        tree.change(batch, account, above.len() as i64)
    }
}

/// Whether `id` is `above`, or below it.
fn is_below(nodes: &Nodes, id: MailboxId, above: MailboxId) -> bool {
    let mut next = Some(id);
    for _ in 0..=name::MAX_DEPTH {
        let Some(at) = next else { return false };
        if at == above {
            return true;
        }
        next = nodes.get(&at).and_then(|(row, _)| row.parent);
    }
    true
}

/// What is below the mailbox must still have names that can be names.
fn check_length(nodes: &Nodes, id: MailboxId, from: &[&str], to: &[&str]) -> Result<(), MailboxError> {
    let (before, after) = (from.join("/"), to.join("/"));
    for below in nodes.keys().filter(|below| is_below(nodes, **below, id)) {
        let Some(path) = path_of(nodes, *below) else { continue };
        let rest = path.get(before.len()..).unwrap_or_default();
        name::parts(&format!("{after}{rest}"))?;
    }
    Ok(())
}
