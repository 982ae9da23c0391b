//! Accounts: add, remove, show, set, list, and their passwords.

use std::sync::Arc;

use bytes::Bytes;
use iems_core::message::{Domain, Mailbox};
use iems_core::preprocess::Action;
use iems_core::storage::{Batch, CommitError, Scan, StoreError, Template};

use super::account::{AccountInfo, AccountSettings, NewAccount, Password};
use super::cache::Entry;
use super::schema::{self, AccountRow, Of};
use super::{COMPARED, ChangeError, Secret, StoreDirectory, TRIES, fold, nearest};
use crate::mailbox::{self, AccountId};
use crate::rows;

/// How many domains an account is looked for in.
const DOMAINS: usize = 1000;

impl StoreDirectory {
    /// Makes an account, with its INBOX.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchDomain`], [`ChangeError::AccountExists`], [`ChangeError::AliasExists`],
    /// [`ChangeError::Password`], [`ChangeError::RuleNotAllowed`]; the store's.
    pub async fn add_account(&self, new: NewAccount) -> Result<AccountId, ChangeError> {
        let mailbox = fold(&new.mailbox);
        check_settings(&new.settings, self.options.targets)?;
        let secret = self.derive(new.password).await?;
        let key = schema::one(Of::Account, &mailbox);
        let now = self.clock.now();
        let mut batch = Batch::new();
        batch.require_present(&schema::domain(mailbox.domain()));
        batch.require_absent(&key);
        batch.require_absent(&schema::one(Of::Alias, &mailbox));
        let number = batch.allocate(schema::LAST_ACCOUNT, 1);
        let inbox = mailbox::create_account(&mut batch, number, now)?;
        let row = AccountRow { inbox, created: now, settings: new.settings };
        batch.put(key, schema::new_account(number, &row)?);
        let by_age = Template::from(schema::by_age(mailbox.domain()));
        batch.put(by_age.number(number, 0), mailbox.local().as_str().as_bytes());
        batch.add(&schema::members(mailbox.domain()), 1);
        if let Some(secret) = secret {
            batch.put(schema::one(Of::Secret, &mailbox), rows::encode(&secret)?);
        }
        match self.storage.store.commit(batch).await {
            Ok(committed) => Ok(AccountId(committed.firsts.first().copied().unwrap_or_default())),
            Err(CommitError::Conflict) => Err(self.why_not_added(&mailbox).await?),
            Err(CommitError::Store(e)) => Err(e.into()),
        }
    }

    /// Why a new address met a condition that did not hold.
    pub(super) async fn why_not_added(&self, mailbox: &Mailbox) -> Result<ChangeError, StoreError> {
        let has = async |key: Vec<u8>| Ok::<_, StoreError>(self.storage.store.get(&key).await?.is_some());
        if !has(schema::domain(mailbox.domain())).await? {
            return self.no_such_domain(mailbox.domain()).await;
        }
        if has(schema::one(Of::Alias, mailbox)).await? {
            return Ok(ChangeError::AliasExists(mailbox.clone()));
        }
        if has(schema::one(Of::Account, mailbox)).await? {
            return Ok(ChangeError::AccountExists(mailbox.clone()));
        }
        Ok(ChangeError::Busy)
    }

    /// Removes an account and all its mail. Mail under way to it fails from now on. When it returns early, by an error
    /// or because it is dropped, the account is gone whole or there whole; left-over mail is removed by
    /// [`crate::mailbox::Mailboxes::purge_removed`].
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`], [`ChangeError::Busy`]; the store's.
    pub async fn remove_account(&self, mailbox: &Mailbox) -> Result<(), ChangeError> {
        let mailbox = fold(mailbox);
        for _ in 0..TRIES {
            let (row, id, _) = self.account_row(&mailbox).await?;
            let key = schema::one(Of::Account, &mailbox);
            let mut batch = Batch::new();
            batch.require_equals(&key, &row);
            batch.delete(&key);
            batch.delete(&schema::one(Of::Secret, &mailbox));
            self.forget_app_passwords(&mailbox, &mut batch).await?;
            batch.delete(&schema::by_age_one(mailbox.domain(), id));
            batch.delete(&schema::inbox(id));
            batch.add(&schema::members(mailbox.domain()), -1);
            mailbox::remove_account(&mut batch, id);
            if self.try_commit(batch).await? {
                self.mailboxes.purge(id).await?;
                return Ok(());
            }
        }
        Err(ChangeError::Busy)
    }

    /// The account with exactly this address, whatever its case.
    ///
    /// # Errors
    /// The store's.
    pub async fn account(&self, mailbox: &Mailbox) -> Result<Option<Arc<AccountInfo>>, StoreError> {
        Ok(match self.entry(&fold(mailbox)).await? {
            Entry::Account(info) => Some(info),
            _ => None,
        })
    }

    /// The account with this number. It is looked for in `near` first, then in the other domains, 1000 at most.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_numbered(
        &self,
        id: AccountId,
        near: &Domain,
    ) -> Result<Option<Arc<AccountInfo>>, StoreError> {
        if let Some(info) = self.account_in(id, near).await? {
            return Ok(Some(info));
        }
        for other in self.domains(None, DOMAINS).await? {
            if let Some(info) = self.account_in(id, &other.domain).await? {
                return Ok(Some(info));
            }
        }
        Ok(None)
    }

    async fn account_in(
        &self,
        id: AccountId,
        domain: &Domain,
    ) -> Result<Option<Arc<AccountInfo>>, StoreError> {
        let row = self.storage.store.get(&schema::by_age_one(domain, id)).await?;
        match row {
            Some(row) => self.account(&schema::local(&row, domain)?).await,
            None => Ok(None),
        }
    }

    /// Changes what holds for an account. `change` may be called more than once.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`], [`ChangeError::RuleNotAllowed`], [`ChangeError::TooManyTargets`],
    /// [`ChangeError::Circle`], [`ChangeError::Busy`]; the store's.
    pub async fn update_account(
        &self,
        mailbox: &Mailbox,
        mut change: impl FnMut(&mut AccountSettings),
    ) -> Result<(), ChangeError> {
        let mailbox = fold(mailbox);
        let key = schema::one(Of::Account, &mailbox);
        for _ in 0..TRIES {
            let (before, id, mut row) = self.account_row(&mailbox).await?;
            let forwards = row.settings.forwards.clone();
            change(&mut row.settings);
            check_settings(&row.settings, self.options.targets)?;
            if row.settings.forwards != forwards || !row.settings.keep_copy {
                let entry = Entry::Account(Arc::new(info(mailbox.clone(), id, row.clone())));
                self.check_leads_somewhere(&mailbox, Some(entry)).await?;
            }
            let mut batch = Batch::new();
            batch.require_equals(&key, &before);
            batch.put(key.clone(), schema::account(id, &row)?);
            if self.try_commit(batch).await? {
                return Ok(());
            }
        }
        Err(ChangeError::Busy)
    }

    /// Sets, changes or removes a password. What was remembered of the old one no longer counts.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`], [`ChangeError::Password`]; the store's.
    pub async fn set_password(&self, mailbox: &Mailbox, password: Password) -> Result<(), ChangeError> {
        let mailbox = fold(mailbox);
        let secret = self.derive(password).await?;
        let key = schema::one(Of::Secret, &mailbox);
        let mut batch = Batch::new();
        batch.require_present(&schema::one(Of::Account, &mailbox));
        match secret {
            Some(secret) => batch.put(key, rows::encode(&secret)?),
            None => batch.delete(&key),
        }
        match self.try_commit(batch).await? {
            true => Ok(()),
            false => Err(self.no_such_account(&mailbox).await?),
        }
    }

    /// Puts a secret of our own in the place of a hash from another server, now that the password is known. If that fails, the
    /// next login tries again.
    pub(super) async fn make_ours(&self, mailbox: &Mailbox, before: &Secret, password: &str) {
        let change = async {
            let _turn = self.verifier.turn().await;
            let Some(secret) = self.derive(Password::Clear(password.to_owned())).await? else {
                return Ok(());
            };
            let key = schema::one(Of::Secret, &fold(mailbox));
            let mut batch = Batch::new();
            batch.require_equals(&key, &rows::encode(before)?);
            batch.put(key, rows::encode(&secret)?);
            // Whoever was quicker knew better.
            self.try_commit(batch).await?;
            Ok::<_, ChangeError>(())
        };
        if let Err(error) = change.await {
            tracing::warn!(account = %mailbox, %error, "the hash of another server could not be replaced");
        }
    }

    /// The secret of an account, for export to another directory.
    ///
    /// # Errors
    /// The store's.
    pub async fn secret(&self, mailbox: &Mailbox) -> Result<Option<Secret>, StoreError> {
        let row = self.storage.store.get(&schema::one(Of::Secret, &fold(mailbox))).await?;
        row.map(|row| rows::decode(&row, "a secret")).transpose()
    }

    /// The accounts of a domain in alphabetical order, those behind `after`, at most `limit`; with the INBOX that each was made with.
    ///
    /// # Errors
    /// The store's.
    pub async fn accounts(
        &self,
        domain: &Domain,
        after: Option<&Mailbox>,
        limit: usize,
    ) -> Result<Vec<AccountInfo>, StoreError> {
        let rows = self.page(Of::Account, domain, after, limit).await?;
        rows.into_iter().map(|(mailbox, row)| read(mailbox, &row)).collect()
    }

    /// A page of the rows of one kind in a domain.
    pub(super) async fn page(
        &self,
        of: Of,
        domain: &Domain,
        after: Option<&Mailbox>,
        limit: usize,
    ) -> Result<Vec<(Mailbox, Bytes)>, StoreError> {
        let prefix = schema::all(of, domain);
        let mut scan = Scan::prefix(&prefix, limit);
        if let Some(after) = after {
            scan = scan.starting_at(&[&schema::one(of, &fold(after))[..], &[0]].concat());
        }
        let rows = self.storage.store.scan(scan).await?;
        rows.into_iter().map(|(key, row)| Ok((schema::mailbox(&key, prefix.len(), domain)?, row))).collect()
    }

    /// The account's row as it stands in the store.
    pub(super) async fn account_row(
        &self,
        mailbox: &Mailbox,
    ) -> Result<(Bytes, AccountId, AccountRow), ChangeError> {
        match self.storage.store.get(&schema::one(Of::Account, mailbox)).await? {
            Some(bytes) => {
                let (id, row) = schema::read_account(&bytes)?;
                Ok((bytes, id, row))
            }
            None => Err(self.no_such_account(mailbox).await?),
        }
    }

    async fn no_such_account(&self, mailbox: &Mailbox) -> Result<ChangeError, StoreError> {
        let nearest = self.nearest(Of::Account, mailbox).await?;
        Ok(ChangeError::NoSuchAccount { mailbox: mailbox.clone(), nearest })
    }

    /// The address of a kind that may have been meant.
    pub(super) async fn nearest(&self, of: Of, mailbox: &Mailbox) -> Result<Option<Mailbox>, StoreError> {
        let all = self.page(of, mailbox.domain(), None, COMPARED).await?;
        let nearest = nearest(mailbox.local().as_str(), all.iter().map(|(m, _)| m.local().as_str()));
        Ok(nearest.and_then(|name| schema::local(name.as_bytes(), mailbox.domain()).ok()))
    }
}

/// The account of a row.
pub(super) fn read(mailbox: Mailbox, row: &[u8]) -> Result<AccountInfo, StoreError> {
    let (id, row) = schema::read_account(row)?;
    Ok(info(mailbox, id, row))
}

fn info(mailbox: Mailbox, id: AccountId, row: AccountRow) -> AccountInfo {
    AccountInfo { mailbox, id, inbox: row.inbox, created: row.created, settings: row.settings }
}

fn check_settings(settings: &AccountSettings, targets: usize) -> Result<(), ChangeError> {
    if settings.forwards.len() > targets {
        return Err(ChangeError::TooManyTargets(settings.forwards.len(), targets));
    }
    let late = settings.rules.iter().find(|r| matches!(r.action, Action::Refuse | Action::Defer));
    late.map_or(Ok(()), |rule| Err(ChangeError::RuleNotAllowed(rule.action)))
}
