//! Access control lists (RFC 4314): who may do what with a mailbox besides its owner, who may do all.
//!
//! A list is one row of the mailbox. An index by grantee finds what is shared with somebody; both change in one commit. New
//! mailboxes have the list of the one above them.

use bytes::Bytes;
use iems_core::storage::{Batch, Scan, StoreError};
use serde::{Deserialize, Serialize};

use super::folders::LISTED;
use super::rights::Rights;
use super::schema::{self, AccountId, MailboxId};
use super::{MailboxError, Mailboxes, TRIES};
use crate::rows;

/// The most entries of one list.
pub const MAX_ACL: usize = 500;

/// Whose rights an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Grantee {
    /// `anyone`: every account.
    Anyone,
    /// One account.
    Account(AccountId),
}

impl Grantee {
    /// In the index; no account has the number 0.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Anyone => 0,
            Self::Account(account) => account.0,
        }
    }
}

/// An entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    /// Who.
    pub grantee: Grantee,
    /// The identifier as it was given, for display.
    pub name: String,
    /// What they may do.
    pub granted: Rights,
    /// What they may not do, whoever else may (an identifier with `-` in front).
    pub denied: Rights,
}

/// How an entry changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightsChange {
    /// To exactly these.
    Set(Rights),
    /// These too.
    Add(Rights),
    /// These no more.
    Remove(Rights),
}

impl RightsChange {
    fn apply(self, before: Rights) -> Rights {
        match self {
            Self::Set(rights) => rights,
            Self::Add(rights) => before | rights,
            Self::Remove(rights) => before - rights,
        }
    }
}

impl Mailboxes {
    /// The list of a mailbox; its owner is not in it.
    ///
    /// # Errors
    /// The store's.
    pub async fn acl(&self, owner: AccountId, mailbox: MailboxId) -> Result<Vec<AclEntry>, StoreError> {
        read(self.acl_row(owner, mailbox).await?.as_ref())
    }

    /// Changes the rights of somebody, or with `denied` what they are denied. An entry without any is removed.
    ///
    /// # Errors
    /// [`MailboxError::NoMailbox`], [`MailboxError::TooMany`], [`MailboxError::Busy`]; the store's.
    pub async fn set_rights(
        &self,
        owner: AccountId,
        mailbox: MailboxId,
        (grantee, name): (Grantee, &str),
        denied: bool,
        change: RightsChange,
    ) -> Result<(), MailboxError> {
        for _ in 0..TRIES {
            let tree = self.tree(owner).await?;
            if !self.exists(owner, mailbox).await? {
                return Err(MailboxError::NoMailbox);
            }
            let before = read(self.acl_row(owner, mailbox).await?.as_ref())?;
            let mut after = before.clone();
            let at = match after.iter().position(|entry| entry.grantee == grantee) {
                Some(at) => at,
                None => {
                    let (granted, denied) = (Rights::none(), Rights::none());
                    after.push(AclEntry { grantee, name: name.to_owned(), granted, denied });
                    after.len() - 1
                }
            };
            if let Some(entry) = after.get_mut(at) {
                let rights = if denied { &mut entry.denied } else { &mut entry.granted };
                *rights = change.apply(*rights);
            }
            after.retain(|entry| !entry.granted.is_empty() || !entry.denied.is_empty());
            if after.len() > MAX_ACL {
                return Err(MailboxError::TooMany("entries of an access control list", MAX_ACL));
            }
            let mut batch = Batch::new();
            put_acl(&mut batch, owner, mailbox, &before, &after)?;
            tree.change(&mut batch, owner, 0)?;
            if self.try_commit(batch).await?.is_some() {
                return Ok(());
            }
        }
        Err(MailboxError::Busy)
    }

    /// What `account` may do with a mailbox: all if it is the owner, else what it and anyone is granted, without what it and
    /// anyone is denied.
    ///
    /// # Errors
    /// The store's.
    pub async fn rights(
        &self,
        owner: AccountId,
        mailbox: MailboxId,
        account: AccountId,
    ) -> Result<Rights, StoreError> {
        if owner == account {
            return Ok(Rights::all());
        }
        let entries = self.acl(owner, mailbox).await?;
        Ok(effective(&entries, account))
    }

    /// The mailboxes of others that `account` may look up, or see in any other way: at most 10,000 given to it and to
    /// anyone each.
    ///
    /// # Errors
    /// The store's.
    pub async fn shared_with(&self, account: AccountId) -> Result<Vec<(AccountId, MailboxId)>, StoreError> {
        let mut all = Vec::new();
        for grantee in [Grantee::Account(account), Grantee::Anyone] {
            let rows =
                self.storage.store.scan(Scan::prefix(&schema::shares(grantee.number()), LISTED)).await?;
            for (key, _) in rows {
                let (owner, mailbox) = schema::share_of(&key)?;
                if owner != account {
                    all.push((owner, mailbox));
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// Takes a removed account out of all lists.
    pub(super) async fn forget_grantee(&self, account: AccountId) -> Result<(), StoreError> {
        let grantee = Grantee::Account(account);
        loop {
            let scan = Scan::prefix(&schema::shares(account.0), 1);
            let Some((key, _)) = self.storage.store.scan(scan).await?.into_iter().next() else {
                return Ok(());
            };
            let (owner, mailbox) = schema::share_of(&key)?;
            for denied in [false, true] {
                let change = RightsChange::Set(Rights::none());
                let set = self.set_rights(owner, mailbox, (grantee, ""), denied, change).await;
                if let Err(MailboxError::Store(e)) = set {
                    return Err(e);
                }
            }
            // Where there was no such entry, the index was wrong.
            let mut batch = Batch::new();
            batch.delete(&key);
            self.try_commit(batch).await?;
        }
    }

    pub(super) async fn acl_row(
        &self,
        owner: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<Bytes>, StoreError> {
        self.storage.store.get(&schema::key(owner, &schema::of_mailbox(b'a', mailbox))).await
    }
}

/// What a list gives to an account that is not the owner.
pub(super) fn effective(entries: &[AclEntry], account: AccountId) -> Rights {
    let about = |grantee: Grantee| grantee == Grantee::Anyone || grantee == Grantee::Account(account);
    let (mut granted, mut denied) = (Rights::none(), Rights::none());
    for entry in entries.iter().filter(|entry| about(entry.grantee)) {
        granted = granted | entry.granted;
        denied = denied | entry.denied;
    }
    granted - denied
}

pub(super) fn read(row: Option<&Bytes>) -> Result<Vec<AclEntry>, StoreError> {
    row.map_or(Ok(Vec::new()), |row| rows::decode(row, "an access control list"))
}

/// Adds the steps by which a mailbox's list, and the index, change.
pub(super) fn put_acl(
    batch: &mut Batch,
    owner: AccountId,
    mailbox: MailboxId,
    before: &[AclEntry],
    after: &[AclEntry],
) -> Result<(), StoreError> {
    for entry in before {
        batch.delete(&schema::share(entry.grantee.number(), owner, mailbox));
    }
    for entry in after {
        batch.put(schema::share(entry.grantee.number(), owner, mailbox), &[rows::VERSION]);
    }
    let key = schema::key(owner, &schema::of_mailbox(b'a', mailbox));
    match after.is_empty() {
        true => batch.delete(&key),
        false => batch.put(key, rows::encode(&after)?),
    }
    Ok(())
}
