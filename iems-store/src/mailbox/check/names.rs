//! The tree of names and its indexes.

use std::collections::{BTreeMap, BTreeSet};

use iems_core::storage::StoreError;

use super::{TAGS, Work, present};
use crate::mailbox::Mailboxes;
use crate::mailbox::acl;
use crate::mailbox::folders::{Nodes, path_of};
use crate::mailbox::row::{MailboxRow, TreeRow};
use crate::mailbox::schema::{self, AccountId, MailboxId, Of};
use crate::rows;

impl Mailboxes {
    /// Checks names; returns the mailboxes that there are, or will be when what was found is mended.
    pub(super) async fn check_names(
        &self,
        account: AccountId,
        work: &mut Work<'_>,
    ) -> Result<Vec<MailboxId>, StoreError> {
        let mut nodes = self.nodes(account).await?;
        self.adopt_orphans(account, &mut nodes, work).await?;
        mend_paths(account, &mut nodes, work)?;
        let (mut names, mut uses) = (BTreeMap::new(), BTreeMap::new());
        for (id, (row, selectable)) in &nodes {
            let entry = [&[u8::from(*selectable)][..], &id.0.to_be_bytes()].concat();
            names.insert(schema::key(account, &schema::of_name(row.parent, &row.name)), entry);
            if let Some(special) = row.special.filter(|_| *selectable) {
                let key = schema::key(account, &schema::of_special(special));
                uses.entry(key).or_insert_with(|| id.0.to_be_bytes().to_vec());
            }
        }
        let found = self.every(&schema::key(account, b"n")).await?;
        work.compare("index of names", None, names, found);
        let found = self.every(&schema::key(account, b"s")).await?;
        work.compare("index of special uses", None, uses, found);
        self.check_shares(account, work).await?;
        self.check_tree(account, nodes.len(), work).await?;
        let named = nodes.iter().filter(|(_, (_, selectable))| *selectable).map(|(id, _)| *id);
        Ok(named.chain(self.all_staged(account).await?).collect())
    }

    /// The index of who has rights on mailboxes of this account.
    async fn check_shares(&self, account: AccountId, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut expected = BTreeMap::new();
        for (key, row) in self.every(&schema::key(account, b"a")).await? {
            for entry in acl::read(Some(&row))? {
                let key = schema::share(entry.grantee.number(), account, schema::mailbox(&key)?);
                expected.insert(key, present());
            }
        }
        let mut found = self.every(&[schema::NAMESPACE, b's']).await?;
        found.retain(|(key, _)| schema::share_of(key).is_ok_and(|(owner, _)| owner == account));
        work.compare("index of shared mailboxes", None, expected, found);
        Ok(())
    }

    async fn check_tree(
        &self,
        account: AccountId,
        names: usize,
        work: &mut Work<'_>,
    ) -> Result<(), StoreError> {
        let key = schema::key(account, b"t");
        let row = self.storage.store.get(&key).await?;
        let tree: TreeRow =
            row.as_ref().and_then(|row| rows::decode(row, "the tree").ok()).unwrap_or_default();
        let names = names as u32;
        if row.is_none() || tree.names != names {
            let detail = format!("it says {}, and there are {names}", tree.names);
            let right = rows::encode(&TreeRow { changes: tree.changes.wrapping_add(1), names })?;
            work.mend("number of names", None, detail, key, Some(right));
        }
        Ok(())
    }

    /// Rows of mailboxes that are not there: those with messages become mailboxes again, the others go.
    async fn adopt_orphans(
        &self,
        account: AccountId,
        nodes: &mut Nodes,
        work: &mut Work<'_>,
    ) -> Result<(), StoreError> {
        let mut orphans = BTreeSet::new();
        let staged = self.all_staged(account).await?;
        for tag in TAGS {
            for mailbox in self.mailboxes_under(account, tag).await? {
                let known = nodes.get(&mailbox).is_some_and(|(_, selectable)| *selectable);
                let purging = schema::deleted(account, mailbox);
                if !known && !staged.contains(&mailbox) && self.storage.store.get(&purging).await?.is_none() {
                    orphans.insert(mailbox);
                }
            }
        }
        for mailbox in orphans {
            let messages = schema::key(account, &schema::of_mailbox(Of::Info as u8, mailbox));
            match self.every(&messages).await?.is_empty() || nodes.contains_key(&mailbox) {
                true => self.drop_orphan(account, mailbox, work).await?,
                false => adopt(account, mailbox, nodes, work)?,
            }
        }
        Ok(())
    }

    async fn drop_orphan(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        work: &mut Work<'_>,
    ) -> Result<(), StoreError> {
        work.find("rows of no mailbox", Some(mailbox), "they are left over".into());
        for tag in TAGS {
            let prefix = schema::key(account, &schema::of_mailbox(tag, mailbox));
            let rows = self.every(&prefix).await?;
            work.steps.extend(rows.into_iter().map(|(key, _)| (key.to_vec(), None)));
        }
        Ok(())
    }
}

fn adopt(
    account: AccountId,
    mailbox: MailboxId,
    nodes: &mut Nodes,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let row = MailboxRow { name: format!("Recovered {}", mailbox.0), parent: None, special: None };
    let key = schema::key(account, &schema::of_mailbox(b'b', mailbox));
    let detail = format!("messages of a mailbox that is not there; they go to \"{}\"", row.name);
    work.mend("lost mailbox", Some(mailbox), detail, key, Some(rows::encode(&row)?));
    nodes.insert(mailbox, (row, true));
    Ok(())
}

/// Names that are below nothing, in a circle, or twice, get one of their own.
fn mend_paths(account: AccountId, nodes: &mut Nodes, work: &mut Work<'_>) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    for id in nodes.keys().copied().collect::<Vec<_>>() {
        let lost = path_of(nodes, id).is_none();
        let Some((row, selectable)) = nodes.get_mut(&id) else { continue };
        if !lost && seen.insert((row.parent, row.name.clone())) {
            continue;
        }
        row.name = format!("Recovered {}", id.0);
        if lost {
            row.parent = None;
        }
        seen.insert((row.parent, row.name.clone()));
        let key = schema::key(account, &schema::of_mailbox(if *selectable { b'b' } else { b'd' }, id));
        let detail = format!("it is below nothing, or its name is taken; it becomes \"{}\"", row.name);
        work.mend("name", Some(id), detail, key, Some(rows::encode(row)?));
    }
    Ok(())
}
