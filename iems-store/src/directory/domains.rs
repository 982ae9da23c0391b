//! Domains: add, remove, show, set, list.

use std::sync::Arc;

use iems_core::message::{Domain, Mailbox};
use iems_core::preprocess::Rule;
use iems_core::storage::{Batch, Scan, StoreError, counter};
use serde::{Deserialize, Serialize};

use super::schema::{self, NAMESPACE};
use super::{COMPARED, ChangeError, DomainQuota, StoreDirectory, TRIES, nearest};
use crate::rows;

/// What holds for a domain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DomainSettings {
    /// Who gets mail for addresses that nobody has. Default: nobody, such mail is refused.
    pub catch_all: Option<Mailbox>,
    /// Who gets mail for `postmaster@` and `abuse@` if these are no account or alias. Default: the catch-all,
    /// then [`super::DirectoryOptions::postmaster`], then the oldest enabled account of the domain.
    pub postmaster: Option<Mailbox>,
    /// What is done about verdicts for all recipients of the domain.
    pub rules: Vec<Rule>,
    /// How much it, and each of its accounts, may hold. Default: without limit.
    pub quota: DomainQuota,
}

/// A domain.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainInfo {
    /// Its name.
    pub domain: Domain,
    /// What holds for it.
    pub settings: DomainSettings,
}

impl StoreDirectory {
    /// Makes `domain` one of ours.
    ///
    /// # Errors
    /// [`ChangeError::DomainExists`]; the store's.
    pub async fn add_domain(&self, domain: &Domain, settings: DomainSettings) -> Result<(), ChangeError> {
        let key = schema::domain(domain);
        let mut batch = Batch::new();
        batch.require_absent(&key);
        batch.put(key, rows::encode(&settings)?);
        match self.try_commit(batch).await? {
            true => Ok(()),
            false => Err(ChangeError::DomainExists(domain.clone())),
        }
    }

    /// Makes an empty domain foreign again.
    ///
    /// # Errors
    /// [`ChangeError::DomainNotEmpty`], [`ChangeError::NoSuchDomain`]; the store's.
    pub async fn remove_domain(&self, domain: &Domain) -> Result<(), ChangeError> {
        let (key, members) = (schema::domain(domain), schema::members(domain));
        let mut batch = Batch::new();
        batch.require_present(&key);
        batch.require_absent(&members);
        batch.delete(&key);
        if self.try_commit(batch).await? {
            return Ok(());
        }
        match self.members(domain).await? {
            0 => Err(self.no_such_domain(domain).await?),
            members => Err(ChangeError::DomainNotEmpty { domain: domain.clone(), members }),
        }
    }

    /// How many accounts and aliases a domain has.
    ///
    /// # Errors
    /// The store's.
    pub async fn members(&self, domain: &Domain) -> Result<u64, StoreError> {
        let value = self.storage.store.get(&schema::members(domain)).await?;
        Ok(counter(value.as_deref())?.unsigned_abs())
    }

    /// The domain, if it is one of ours.
    ///
    /// # Errors
    /// The store's.
    pub async fn domain(&self, domain: &Domain) -> Result<Option<Arc<DomainInfo>>, StoreError> {
        let epoch = match self.cache.domain(domain) {
            Ok(known) => return Ok(known),
            Err(epoch) => epoch,
        };
        let row = self.storage.store.get(&schema::domain(domain)).await?;
        let info = row.map(|row| read(domain.clone(), &row)).transpose()?.map(Arc::new);
        self.cache.put_domain(epoch, domain, info.clone());
        Ok(info)
    }

    /// Changes what holds for a domain. `change` may be called more than once.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchDomain`], [`ChangeError::Busy`], [`ChangeError::Circle`] if a catch-all or
    /// postmaster would lead nowhere; the store's.
    pub async fn update_domain(
        &self,
        domain: &Domain,
        mut change: impl FnMut(&mut DomainSettings),
    ) -> Result<(), ChangeError> {
        let key = schema::domain(domain);
        for _ in 0..TRIES {
            let Some(row) = self.storage.store.get(&key).await? else {
                return Err(self.no_such_domain(domain).await?);
            };
            let mut settings = read(domain.clone(), &row)?.settings;
            change(&mut settings);
            for leads_to in [&settings.catch_all, &settings.postmaster].into_iter().flatten() {
                self.check_leads_somewhere(leads_to, None).await?;
            }
            let mut batch = Batch::new();
            batch.require_equals(&key, &row);
            batch.put(key.clone(), rows::encode(&settings)?);
            if self.try_commit(batch).await? {
                return Ok(());
            }
        }
        Err(ChangeError::Busy)
    }

    /// The domains in alphabetical order, those behind `after`, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn domains(&self, after: Option<&Domain>, limit: usize) -> Result<Vec<DomainInfo>, StoreError> {
        let prefix = [NAMESPACE, b'd'];
        let mut scan = Scan::prefix(&prefix, limit);
        if let Some(after) = after {
            scan = scan.starting_at(&[&schema::domain(after)[..], &[0]].concat());
        }
        let rows = self.storage.store.scan(scan).await?;
        rows.iter()
            .map(|(key, row)| {
                let name = std::str::from_utf8(&key[prefix.len()..]).ok().and_then(|name| name.parse().ok());
                read(name.ok_or_else(|| StoreError::Corrupt("a domain's name".into()))?, row)
            })
            .collect()
    }

    pub(super) async fn no_such_domain(&self, domain: &Domain) -> Result<ChangeError, StoreError> {
        let all = self.domains(None, COMPARED).await?;
        let nearest = nearest(domain.as_str(), all.iter().map(|info| info.domain.as_str()));
        let nearest = nearest.and_then(|name| name.parse().ok());
        Ok(ChangeError::NoSuchDomain { domain: domain.clone(), nearest })
    }
}

fn read(domain: Domain, row: &[u8]) -> Result<DomainInfo, StoreError> {
    Ok(DomainInfo { domain, settings: rows::decode(row, "a domain")? })
}
