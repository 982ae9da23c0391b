//! Renaming mailboxes (RFC 9051 section 6.3.6).

use iems_core::seam::Timestamp;
use iems_core::storage::Batch;

use super::account::put_node;
use super::folders::{Node, Nodes, path_of};
use super::row::MailboxRow;
use super::schema::{self, AccountId, MailboxId, Owner, Uid};
use super::tree::Making;
use super::{MailboxError, Mailboxes, TRIES, name};

/// How many messages of an INBOX are looked for in one step.
const PAGE: usize = 1000;

impl Mailboxes {
    /// Renames a mailbox, and with it what is below it; mailboxes above the new name that are missing are made. INBOX
    /// stays, and gives its mail to a new mailbox; what is below it stays too. That takes a commit for the mailbox and one for
    /// each 1000 messages: whatever happens, each message is in one of the two. Subscriptions do not follow.
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
        let (from, to) = (name::parts(from)?, name::parts(to)?);
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

    async fn rename_inbox(&self, account: AccountId, to: &str, now: Timestamp) -> Result<(), MailboxError> {
        let inbox = self.find(account, "INBOX").await?.ok_or(MailboxError::NoAccount)?;
        let to = self.create(account, to, None, now).await?;
        // Those that come in while this goes on stay.
        let last = self.status(account, inbox).await?.uid_next;
        loop {
            let page = self.view(account, inbox, Uid(0), PAGE).await?;
            let uids: Vec<_> =
                page.iter().map(|state| state.uid).filter(|uid| u64::from(uid.0) < last).collect();
            if uids.is_empty() {
                return Ok(());
            }
            self.move_messages((account, inbox), &uids, (account, to), now).await?;
        }
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
