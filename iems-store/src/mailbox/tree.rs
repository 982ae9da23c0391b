//! Making and deleting mailboxes (RFC 9051 sections 6.3.4 and 6.3.5).
//!
//! A change of names requires the tree to be as it was read, so two of them never meet half-way. What is below a mailbox
//! knows it by its number: renaming one touches only its own row.

use bytes::Bytes;
use iems_core::seam::Timestamp;
use iems_core::storage::{Batch, Scan, StoreError, counter};

use super::account::{first_number, put_mailbox, put_node};
use super::acl::{self, AclEntry};
use super::folders::{LISTED, Node};
use super::row::{MailboxRow, TreeRow};
use super::schema::{self, AccountId, MailboxId, Owner, SpecialUse};
use super::{MailboxError, Mailboxes, TRIES, name};
use crate::rows;

/// The tree as it was read.
pub(super) struct Tree {
    before: Bytes,
    row: TreeRow,
}

impl Tree {
    /// Adds the condition that nobody changed names meanwhile, and that `more` names are there now.
    pub(super) fn change(
        &self,
        batch: &mut Batch,
        account: AccountId,
        more: i64,
    ) -> Result<(), MailboxError> {
        let key = schema::key(account, b"t");
        let names = i64::from(self.row.names).saturating_add(more);
        if more > 0 && names > LISTED as i64 {
            return Err(MailboxError::TooMany("mailboxes", LISTED));
        }
        let names = u32::try_from(names).unwrap_or_default();
        batch.require_equals(&key, &self.before);
        batch.put(key, rows::encode(&TreeRow { changes: self.row.changes.wrapping_add(1), names })?);
        Ok(())
    }
}

impl Mailboxes {
    /// Makes a mailbox, and those above it that are missing.
    ///
    /// # Errors
    /// [`MailboxError::BadName`], [`MailboxError::Exists`], [`MailboxError::UseTaken`], [`MailboxError::TooMany`],
    /// [`MailboxError::NoAccount`], [`MailboxError::Busy`]; the store's.
    pub async fn create(
        &self,
        account: AccountId,
        path: &str,
        special: Option<SpecialUse>,
        now: Timestamp,
    ) -> Result<MailboxId, MailboxError> {
        self.create_with(account, path, special, now, |_| {}).await
    }

    /// The same, and its owner is subscribed to it.
    ///
    /// # Errors
    /// As for [`Self::create`].
    pub async fn create_subscribed(
        &self,
        account: AccountId,
        path: &str,
        special: Option<SpecialUse>,
        now: Timestamp,
    ) -> Result<MailboxId, MailboxError> {
        self.create_with(account, path, special, now, |batch| Self::subscribe_in(batch, account, path)).await
    }

    async fn create_with(
        &self,
        account: AccountId,
        path: &str,
        special: Option<SpecialUse>,
        now: Timestamp,
        more: impl Fn(&mut Batch) + Send + Sync,
    ) -> Result<MailboxId, MailboxError> {
        for _ in 0..TRIES {
            let mut batch = Batch::new();
            let mailbox = self.create_in(&mut batch, account, path, special, now).await?;
            more(&mut batch);
            if self.try_commit(batch).await?.is_some() {
                return Ok(mailbox);
            }
        }
        Err(MailboxError::Busy)
    }

    /// Adds the steps that make a mailbox, under the condition that nobody changes names meanwhile. Its number is good
    /// for further steps of the same batch.
    ///
    /// # Errors
    /// As for [`Self::create`]. If the account is gone, the batch will conflict.
    pub async fn create_in(
        &self,
        batch: &mut Batch,
        account: AccountId,
        path: &str,
        special: Option<SpecialUse>,
        now: Timestamp,
    ) -> Result<MailboxId, MailboxError> {
        let parts = name::new_parts(path)?;
        if let Some(special) = special {
            if self.special(account, special).await?.is_some() {
                return Err(MailboxError::UseTaken);
            }
            batch.require_absent(&schema::key(account, &schema::of_special(special)));
        }
        let tree = self.tree(account).await?;
        let mut making = Making::new(self, account, now).await?;
        let (parent, missing) = self.deepest(account, &parts).await?;
        making.inherit(self, parent).await?;
        let (last, above) =
            missing.split_last().map_or((None, missing), |(last, above)| (Some(*last), above));
        let mut parent = parent;
        for part in above {
            parent = Some(Node { id: making.make(batch, parent, part, None)?, selectable: true });
        }
        let mailbox = match (last, parent) {
            (Some(last), parent) => making.make(batch, parent, last, special)?,
            (None, Some(node)) if !node.selectable => {
                self.revive(batch, &mut making, account, node, special).await?
            }
            (None, _) => return Err(MailboxError::Exists),
        };
        tree.change(batch, account, missing.len() as i64)?;
        batch.put(schema::key(account, b"v"), i64::from(mailbox.0).to_le_bytes().to_vec());
        Ok(mailbox)
    }

    /// Deletes a mailbox and its mail. If others are below it, its name stays for their sake; subscriptions stay anyway.
    /// When it returns early the mailbox is gone whole or there whole; left-over mail is removed by
    /// [`Self::purge_removed`].
    ///
    /// # Errors
    /// [`MailboxError::Inbox`], [`MailboxError::NoMailbox`], [`MailboxError::HasChildren`] (for a name without a mailbox),
    /// [`MailboxError::Busy`]; the store's.
    pub async fn delete(&self, account: AccountId, path: &str) -> Result<(), MailboxError> {
        let parts = name::parts(path)?;
        if name::is_inbox(&parts.join("/")) {
            return Err(MailboxError::Inbox);
        }
        for _ in 0..TRIES {
            let tree = self.tree(account).await?;
            let node = self.walk(account, &parts).await?.ok_or(MailboxError::NoMailbox)?;
            let row = self.node_row(account, node.id).await?;
            let Some((row, _)) = row else { continue };
            let below = schema::key(account, &schema::of_name(Some(node.id), ""));
            let parent = !self.storage.store.scan(Scan::prefix(&below, 1)).await?.is_empty();
            if parent && !node.selectable {
                return Err(MailboxError::HasChildren);
            }
            let mut batch = Batch::new();
            remove_node(&mut batch, account, node, &row);
            self.remember_past(&mut batch, account, node.id).await?;
            let acl = acl::read(self.acl_row(account, node.id).await?.as_ref())?;
            acl::put_acl(&mut batch, account, node.id, &acl, &[])?;
            if parent {
                let row = MailboxRow { special: None, ..row };
                put_node(&mut batch, Owner::Known(account), node.id, &row, false)?;
            }
            tree.change(&mut batch, account, -i64::from(!parent))?;
            if node.selectable {
                batch.put(schema::deleted(account, node.id), vec![rows::VERSION]);
            }
            if self.try_commit(batch).await?.is_none() {
                continue;
            }
            if node.selectable {
                self.purge_mailbox(account, node.id).await?;
            }
            return Ok(());
        }
        Err(MailboxError::Busy)
    }

    /// Gives a mailbox a special use, or takes it away. Where another mailbox had the use, it has none afterwards.
    ///
    /// # Errors
    /// [`MailboxError::NoMailbox`], [`MailboxError::Busy`]; the store's.
    pub async fn set_special(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        special: Option<SpecialUse>,
    ) -> Result<(), MailboxError> {
        for _ in 0..TRIES {
            let tree = self.tree(account).await?;
            let row = self.node_row(account, mailbox).await?;
            let Some((mut row, true)) = row else { return Err(MailboxError::NoMailbox) };
            let mut batch = Batch::new();
            if let Some(before) = row.special.take() {
                batch.delete(&schema::key(account, &schema::of_special(before)));
            }
            if let Some(special) = special
                && let Some(other) = self.special(account, special).await?.filter(|other| *other != mailbox)
                && let Some((other_row, true)) = self.node_row(account, other).await?
            {
                let other_row = MailboxRow { special: None, ..other_row };
                put_node(&mut batch, Owner::Known(account), other, &other_row, true)?;
            }
            row.special = special;
            put_mailbox(&mut batch, Owner::Known(account), mailbox, &row)?;
            tree.change(&mut batch, account, 0)?;
            if self.try_commit(batch).await?.is_some() {
                return Ok(());
            }
        }
        Err(MailboxError::Busy)
    }

    pub(super) async fn tree(&self, account: AccountId) -> Result<Tree, MailboxError> {
        let before = self.storage.store.get(&schema::key(account, b"t")).await?;
        let before = before.ok_or(MailboxError::NoAccount)?;
        Ok(Tree { row: rows::decode(&before, "the tree of an account")?, before })
    }

    /// The deepest of `parts` that is there, and the parts that are missing below it.
    pub(super) async fn deepest<'a>(
        &self,
        account: AccountId,
        parts: &'a [&'a str],
    ) -> Result<(Option<Node>, &'a [&'a str]), StoreError> {
        let mut at = None;
        for (nth, part) in parts.iter().enumerate() {
            match self.node(account, at.map(|node: Node| node.id), part).await? {
                Some(node) => at = Some(node),
                None => return Ok((at, parts.get(nth..).unwrap_or_default())),
            }
        }
        Ok((at, &[]))
    }

    /// Makes a mailbox of a name without one. It gets a new number; what is below it follows.
    async fn revive(
        &self,
        batch: &mut Batch,
        making: &mut Making,
        account: AccountId,
        node: Node,
        special: Option<SpecialUse>,
    ) -> Result<MailboxId, MailboxError> {
        let nodes = self.nodes(account).await?;
        let Some((row, _)) = nodes.get(&node.id) else { return Err(MailboxError::Busy) };
        batch.delete(&schema::key(account, &schema::of_mailbox(b'd', node.id)));
        let parent = row.parent.map(|id| Node { id, selectable: true });
        making.inherit(self, parent).await?;
        let mailbox = making.make(batch, parent, &row.name, special)?;
        for (child, (row, selectable)) in nodes.iter().filter(|(_, (row, _))| row.parent == Some(node.id)) {
            batch.delete(&schema::key(account, &schema::of_name(row.parent, &row.name)));
            let row = MailboxRow { parent: Some(mailbox), ..row.clone() };
            put_node(batch, Owner::Known(account), *child, &row, *selectable)?;
        }
        Ok(mailbox)
    }
}

/// Numbers for new mailboxes.
pub(super) struct Making {
    account: AccountId,
    next: u64,
    acl: Vec<AclEntry>,
}

impl Making {
    /// Numbers from the next one on; they hold as long as the tree is not changed.
    pub(super) async fn new(
        mailboxes: &Mailboxes,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Self, MailboxError> {
        let last = mailboxes.storage.store.get(&schema::key(account, b"v")).await?;
        let last = last.ok_or(MailboxError::NoAccount)?;
        let next = counter(Some(&last))?.max(0).unsigned_abs().saturating_add(1);
        Ok(Self { account, next: next.max(u64::from(first_number(now).0)), acl: Vec::new() })
    }

    /// What is made from now on has the access control list of `parent`.
    pub(super) async fn inherit(
        &mut self,
        mailboxes: &Mailboxes,
        parent: Option<Node>,
    ) -> Result<(), StoreError> {
        self.acl = match parent {
            Some(parent) => mailboxes.acl(self.account, parent.id).await?,
            None => Vec::new(),
        };
        Ok(())
    }

    /// Adds the rows of a mailbox below `parent`.
    pub(super) fn make(
        &mut self,
        batch: &mut Batch,
        parent: Option<Node>,
        name: &str,
        special: Option<SpecialUse>,
    ) -> Result<MailboxId, MailboxError> {
        let id = u32::try_from(self.next).map_err(|_| MailboxError::TooMany("mailboxes", LISTED))?;
        self.next += 1;
        self.make_as(batch, MailboxId(id), parent, name, special)
    }

    /// The same with a number that is reserved for it.
    pub(super) fn make_as(
        &self,
        batch: &mut Batch,
        id: MailboxId,
        parent: Option<Node>,
        name: &str,
        special: Option<SpecialUse>,
    ) -> Result<MailboxId, MailboxError> {
        let name = match parent.is_none() && name::is_inbox(name) {
            true => "INBOX".to_owned(),
            false => name.to_owned(),
        };
        let row = MailboxRow { name, parent: parent.map(|node| node.id), special };
        put_mailbox(batch, Owner::Known(self.account), id, &row)?;
        if !self.acl.is_empty() {
            acl::put_acl(batch, self.account, id, &[], &self.acl)?;
        }
        Ok(id)
    }
}

/// Adds the steps by which a mailbox or name is not there any more.
pub(super) fn remove_node(batch: &mut Batch, account: AccountId, node: Node, row: &MailboxRow) {
    let tag = if node.selectable { b'b' } else { b'd' };
    batch.delete(&schema::key(account, &schema::of_mailbox(tag, node.id)));
    batch.delete(&schema::key(account, &schema::of_name(row.parent, &row.name)));
    if let Some(special) = row.special {
        batch.delete(&schema::key(account, &schema::of_special(special)));
    }
}
