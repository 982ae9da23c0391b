//! Aliases: one address that leads to others. Set, remove, show, list.

use std::sync::Arc;

use iems_core::message::{Domain, Mailbox};
use iems_core::storage::{Batch, StoreError};

use super::cache::Entry;
use super::schema::{self, Of};
use super::{ChangeError, StoreDirectory, TRIES, fold};
use crate::rows;

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasInfo {
    /// Its address, in lower case.
    pub mailbox: Mailbox,
    /// Where it leads: to accounts, other aliases, or foreign addresses.
    pub targets: Vec<Mailbox>,
}

impl StoreDirectory {
    /// Makes an alias.
    ///
    /// # Errors
    /// As for [`StoreDirectory::set_alias`], and [`ChangeError::AliasExists`].
    pub async fn add_alias(&self, from: &Mailbox, targets: &[Mailbox]) -> Result<(), ChangeError> {
        let from = fold(from);
        let row = self.check_alias(&from, targets).await?;
        match self.try_commit(new_alias(&from, row)).await? {
            true => Ok(()),
            false => Err(self.why_not_added(&from).await?),
        }
    }

    /// Makes an alias, or gives it other targets.
    ///
    /// # Errors
    /// [`ChangeError::NoTargets`], [`ChangeError::TooManyTargets`], [`ChangeError::Circle`],
    /// [`ChangeError::AccountExists`], [`ChangeError::NoSuchDomain`]; the store's.
    pub async fn set_alias(&self, from: &Mailbox, targets: &[Mailbox]) -> Result<(), ChangeError> {
        let from = fold(from);
        let row = self.check_alias(&from, targets).await?;
        for _ in 0..TRIES {
            let key = schema::one(Of::Alias, &from);
            let mut batch = Batch::new();
            batch.require_present(&key);
            batch.put(key, row.clone());
            if self.try_commit(batch).await? || self.try_commit(new_alias(&from, row.clone())).await? {
                return Ok(());
            }
            match self.why_not_added(&from).await? {
                ChangeError::AliasExists(_) | ChangeError::Busy => {}
                other => return Err(other),
            }
        }
        Err(ChangeError::Busy)
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAlias`]; the store's.
    pub async fn remove_alias(&self, from: &Mailbox) -> Result<(), ChangeError> {
        let from = fold(from);
        let key = schema::one(Of::Alias, &from);
        let mut batch = Batch::new();
        batch.require_present(&key);
        batch.delete(&key);
        batch.add(&schema::members(from.domain()), -1);
        if self.try_commit(batch).await? {
            return Ok(());
        }
        let nearest = self.nearest(Of::Alias, &from).await?;
        Err(ChangeError::NoSuchAlias { mailbox: from, nearest })
    }

    /// The alias with exactly this address, whatever its case.
    ///
    /// # Errors
    /// The store's.
    pub async fn alias(&self, from: &Mailbox) -> Result<Option<AliasInfo>, StoreError> {
        let from = fold(from);
        Ok(match self.entry(&from).await? {
            Entry::Alias(targets) => Some(AliasInfo { mailbox: from, targets: targets.to_vec() }),
            _ => None,
        })
    }

    /// The aliases of a domain in alphabetical order, those behind `after`, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn aliases(
        &self,
        domain: &Domain,
        after: Option<&Mailbox>,
        limit: usize,
    ) -> Result<Vec<AliasInfo>, StoreError> {
        let rows = self.page(Of::Alias, domain, after, limit).await?;
        rows.into_iter().map(|(mailbox, row)| Ok(AliasInfo { mailbox, targets: read(&row)? })).collect()
    }

    async fn check_alias(&self, from: &Mailbox, targets: &[Mailbox]) -> Result<Vec<u8>, ChangeError> {
        let mut distinct: Vec<Mailbox> = Vec::with_capacity(targets.len());
        for target in targets {
            if !distinct.iter().any(|t| fold(t) == fold(target)) {
                distinct.push(target.clone());
            }
        }
        let most = self.options.targets;
        match distinct.len() {
            0 => return Err(ChangeError::NoTargets),
            n if n > most => return Err(ChangeError::TooManyTargets(n, most)),
            _ => {}
        }
        let row = rows::encode(&distinct)?;
        self.check_leads_somewhere(from, Some(Entry::Alias(distinct.into()))).await?;
        Ok(row)
    }
}

fn new_alias(from: &Mailbox, row: Vec<u8>) -> Batch {
    let key = schema::one(Of::Alias, from);
    let mut batch = Batch::new();
    batch.require_present(&schema::domain(from.domain()));
    batch.require_absent(&key);
    batch.require_absent(&schema::one(Of::Account, from));
    batch.put(key, row);
    batch.add(&schema::members(from.domain()), 1);
    batch
}

/// The targets of a row.
pub(super) fn read(row: &[u8]) -> Result<Vec<Mailbox>, StoreError> {
    rows::decode(row, "an alias")
}

/// The entry of a row.
pub(super) fn entry(row: &[u8]) -> Result<Entry, StoreError> {
    Ok(Entry::Alias(Arc::from(read(row)?)))
}
