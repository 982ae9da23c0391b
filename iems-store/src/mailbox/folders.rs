//! Mailboxes of an account: finding and listing.

use std::collections::{BTreeMap, BTreeSet};

use iems_core::storage::{Scan, StoreError};

use super::row::MailboxRow;
use super::schema::{self, AccountId, MailboxId, SpecialUse};
use super::{Mailboxes, name};
use crate::rows;

/// The most mailboxes of one account, and the most subscriptions.
pub const LISTED: usize = 10_000;

/// A mailbox of an account, or a name that has only others below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Its number, which is its UIDVALIDITY and, within the account, its MAILBOXID.
    pub id: MailboxId,
    /// Its whole name, parts divided by `/`.
    pub path: String,
    /// Its name below its parent.
    pub name: String,
    /// What it is below.
    pub parent: Option<MailboxId>,
    /// Whether it is a mailbox; otherwise it is `\Noselect`.
    pub selectable: bool,
    /// Whether there are others below it.
    pub children: bool,
    /// Whether the user subscribed to it.
    pub subscribed: bool,
    /// Its special use.
    pub special: Option<SpecialUse>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) id: MailboxId,
    pub(super) selectable: bool,
}

impl Mailboxes {
    /// The mailbox with this path. A name that has only others below it is not found.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, account: AccountId, path: &str) -> Result<Option<MailboxId>, StoreError> {
        let Ok(parts) = name::parts(path) else { return Ok(None) };
        let node = self.walk(account, &parts).await?;
        Ok(node.filter(|node| node.selectable).map(|node| node.id))
    }

    /// The INBOX of an account. An import may have put another in the place of the one that it was made with.
    ///
    /// # Errors
    /// The store's.
    pub async fn inbox(&self, account: AccountId) -> Result<Option<MailboxId>, StoreError> {
        let node = self.node(account, None, "INBOX").await?;
        Ok(node.map(|node| node.id))
    }

    /// The mailbox with this path, whatever its case. Only the first 10,000 of each level are looked at.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_in_any_case(
        &self,
        account: AccountId,
        path: &str,
    ) -> Result<Option<MailboxId>, StoreError> {
        let Ok(parts) = name::parts(path) else { return Ok(None) };
        let mut at: Option<Node> = None;
        for part in parts {
            let parent = at.map(|node| node.id);
            let wanted = part.to_lowercase();
            let prefix = schema::key(account, &schema::of_name(parent, ""));
            let rows = self.storage.store.scan(Scan::prefix(&prefix, LISTED)).await?;
            let found = rows.iter().find(|(key, _)| {
                let name = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
                name.is_some_and(|name| name.to_lowercase() == wanted)
            });
            let Some((_, row)) = found else { return Ok(None) };
            at = Some(read_node(row)?);
        }
        Ok(at.filter(|node| node.selectable).map(|node| node.id))
    }

    /// The mailbox with a special use.
    ///
    /// # Errors
    /// The store's.
    pub async fn special(
        &self,
        account: AccountId,
        special: SpecialUse,
    ) -> Result<Option<MailboxId>, StoreError> {
        let row = self.storage.store.get(&schema::key(account, &schema::of_special(special))).await?;
        row.map(|row| schema::mailbox(&row)).transpose()
    }

    /// The special use of a mailbox.
    ///
    /// # Errors
    /// The store's.
    pub async fn special_of(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<SpecialUse>, StoreError> {
        Ok(self.node_row(account, mailbox).await?.and_then(|(row, _)| row.special))
    }

    /// All names of an account, in the order of their paths: at most 10,000.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, account: AccountId) -> Result<Vec<MailboxInfo>, StoreError> {
        let nodes = self.nodes(account).await?;
        let subscribed: BTreeSet<_> = self.subscriptions(account).await?.into_iter().collect();
        let parents: BTreeSet<_> = nodes.values().filter_map(|(row, _)| row.parent).collect();
        let mut all: Vec<_> = nodes
            .iter()
            .filter_map(|(id, (row, selectable))| {
                let path = path_of(&nodes, *id)?;
                Some(MailboxInfo {
                    id: *id,
                    name: row.name.clone(),
                    parent: row.parent,
                    selectable: *selectable,
                    children: parents.contains(id),
                    subscribed: subscribed.contains(&path),
                    special: row.special,
                    path,
                })
            })
            .collect();
        all.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// The path of a mailbox or name.
    ///
    /// # Errors
    /// The store's.
    pub async fn path(&self, account: AccountId, mailbox: MailboxId) -> Result<Option<String>, StoreError> {
        let mut parts = Vec::new();
        let mut next = Some(mailbox);
        while let Some(at) = next.filter(|_| parts.len() <= name::MAX_DEPTH) {
            let Some((row, _)) = self.node_row(account, at).await? else { return Ok(None) };
            parts.push(row.name);
            next = row.parent;
        }
        parts.reverse();
        Ok(Some(parts.join("/")))
    }

    /// The row of a mailbox or name, and whether it is a mailbox.
    pub(super) async fn node_row(
        &self,
        account: AccountId,
        id: MailboxId,
    ) -> Result<Option<(MailboxRow, bool)>, StoreError> {
        for (tag, selectable) in [(b'b', true), (b'd', false)] {
            let row = self.storage.store.get(&schema::key(account, &schema::of_mailbox(tag, id))).await?;
            if let Some(row) = row {
                return Ok(Some((rows::decode(&row, "a mailbox")?, selectable)));
            }
        }
        Ok(None)
    }

    /// All names by their numbers, and whether they are mailboxes.
    pub(super) async fn nodes(&self, account: AccountId) -> Result<Nodes, StoreError> {
        let mut nodes = Nodes::new();
        for (tag, selectable) in [(b'b', true), (b'd', false)] {
            let prefix = schema::key(account, &[tag]);
            for (key, row) in self.storage.store.scan(Scan::prefix(&prefix, LISTED)).await? {
                nodes.insert(schema::mailbox(&key)?, (rows::decode(&row, "a mailbox")?, selectable));
            }
        }
        Ok(nodes)
    }

    /// What the last of `parts` stands for.
    pub(super) async fn walk(&self, account: AccountId, parts: &[&str]) -> Result<Option<Node>, StoreError> {
        let mut at: Option<Node> = None;
        for part in parts {
            match self.node(account, at.map(|node| node.id), part).await? {
                Some(node) => at = Some(node),
                None => return Ok(None),
            }
        }
        Ok(at)
    }

    /// What a name below `parent` stands for.
    pub(super) async fn node(
        &self,
        account: AccountId,
        parent: Option<MailboxId>,
        name: &str,
    ) -> Result<Option<Node>, StoreError> {
        let row = self.storage.store.get(&schema::key(account, &schema::of_name(parent, name))).await?;
        row.map(|row| read_node(&row)).transpose()
    }
}

/// Names by their numbers, and whether they are mailboxes.
pub(super) type Nodes = BTreeMap<MailboxId, (MailboxRow, bool)>;

/// The path of a name; `None` if something on the way is missing or it leads in a circle.
pub(super) fn path_of(nodes: &Nodes, id: MailboxId) -> Option<String> {
    let mut parts = Vec::new();
    let mut next = Some(id);
    while let Some(at) = next {
        let (row, _) = nodes.get(&at).filter(|_| parts.len() <= name::MAX_DEPTH)?;
        parts.push(row.name.as_str());
        next = row.parent;
    }
    parts.reverse();
    Some(parts.join("/"))
}

fn read_node(row: &[u8]) -> Result<Node, StoreError> {
    Ok(Node { id: schema::mailbox(row)?, selectable: row.first() == Some(&1) })
}
