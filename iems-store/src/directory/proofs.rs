//! Logins without a password: by a certificate, by a token.
//!
//! A certificate is bound to the number of an account, which is never used again: when the account goes, what is bound to it
//! is worth nothing.

use iems_core::message::Mailbox;
use iems_core::seam::{Account, CertificateMark, DirectoryError, PeerCertificate};
use iems_core::storage::{Batch, Scan, StoreError};

use super::answer::unavailable;
use super::cache::Entry;
use super::schema::{self, CertificateRow, Of};
use super::{ChangeError, StoreDirectory, TRIES, fold};
use crate::rows;

/// The most certificates that are listed at once.
const LISTED: usize = 10_000;

impl StoreDirectory {
    /// Binds a certificate to an account, and to no other.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`], [`ChangeError::CertificateTaken`], [`ChangeError::Busy`]; the store's.
    pub async fn add_certificate(&self, mailbox: &Mailbox, mark: CertificateMark) -> Result<(), ChangeError> {
        let mailbox = fold(mailbox);
        let key = schema::certificate(&mark);
        for _ in 0..TRIES {
            let (account, id, _) = self.account_row(&mailbox).await?;
            let before = self.storage.store.get(&key).await?;
            if let Some(owner) = self.owner(before.as_deref()).await?
                && owner.mailbox != mailbox
            {
                return Err(ChangeError::CertificateTaken(owner.mailbox));
            }
            let mut batch = Batch::new();
            batch.require_equals(&schema::one(Of::Account, &mailbox), &account);
            match &before {
                Some(row) => batch.require_equals(&key, row),
                None => batch.require_absent(&key),
            }
            batch.put(key.clone(), rows::encode(&CertificateRow { account: id, mailbox: mailbox.clone() })?);
            if self.try_commit(batch).await? {
                return Ok(());
            }
        }
        Err(ChangeError::Busy)
    }

    /// Unbinds a certificate. Says whether it was bound to this account.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`], [`ChangeError::Busy`]; the store's.
    pub async fn remove_certificate(
        &self,
        mailbox: &Mailbox,
        mark: CertificateMark,
    ) -> Result<bool, ChangeError> {
        let mailbox = fold(mailbox);
        let key = schema::certificate(&mark);
        for _ in 0..TRIES {
            self.account_row(&mailbox).await?;
            let Some(row) = self.storage.store.get(&key).await? else { return Ok(false) };
            if self.owner(Some(&row)).await?.is_none_or(|owner| owner.mailbox != mailbox) {
                return Ok(false);
            }
            let mut batch = Batch::new();
            batch.require_equals(&key, &row);
            batch.delete(&key);
            if self.try_commit(batch).await? {
                return Ok(true);
            }
        }
        Err(ChangeError::Busy)
    }

    /// The certificates that are bound to an account.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`]; the store's.
    pub async fn certificates(&self, mailbox: &Mailbox) -> Result<Vec<CertificateMark>, ChangeError> {
        let mailbox = fold(mailbox);
        let (_, id, _) = self.account_row(&mailbox).await?;
        let prefix = schema::certificates();
        let mut marks = Vec::new();
        for (key, row) in self.storage.store.scan(Scan::prefix(&prefix, LISTED)).await? {
            let row: CertificateRow = rows::decode(&row, "a certificate")?;
            if let (true, Ok(mark)) = (row.account == id, key[prefix.len()..].try_into()) {
                marks.push(CertificateMark(mark));
            }
        }
        Ok(marks)
    }

    /// The account of a row, if it is still there.
    async fn owner(&self, row: Option<&[u8]>) -> Result<Option<Account>, StoreError> {
        let Some(row) = row else { return Ok(None) };
        let row: CertificateRow = rows::decode(row, "a certificate")?;
        Ok(match self.entry(&row.mailbox).await? {
            Entry::Account(info) if info.id == row.account => Some(Account::new(info.mailbox.clone())),
            _ => None,
        })
    }

    /// The account with this address, if it may log in.
    pub(super) async fn enabled(&self, mailbox: &Mailbox) -> Result<Option<Account>, StoreError> {
        Ok(match self.entry(&fold(mailbox)).await? {
            Entry::Account(info) if info.settings.enabled => Some(Account::new(info.mailbox.clone())),
            _ => None,
        })
    }

    /// Accounts that a certificate stands for: that it is bound to, and, if it is believed, those it names.
    async fn bearers(&self, certificate: &PeerCertificate) -> Result<Vec<Account>, StoreError> {
        let row = self.storage.store.get(&schema::certificate(&certificate.mark)).await?;
        let mut bearers = Vec::new();
        if let Some(owner) = self.owner(row.as_deref()).await? {
            bearers.extend(self.enabled(&owner.mailbox).await?);
        }
        for name in certificate.mailboxes.iter().filter(|_| certificate.verified) {
            if let Ok(mailbox) = name.parse::<Mailbox>() {
                bearers.extend(self.enabled(&mailbox).await?);
            }
        }
        Ok(bearers)
    }

    pub(super) async fn whose_certificate(
        &self,
        certificate: &PeerCertificate,
        identity: Option<&str>,
    ) -> Result<Option<Account>, DirectoryError> {
        let bearers = self.bearers(certificate).await.map_err(unavailable)?;
        let mut bearers = bearers.into_iter();
        match identity.map(|identity| self.login_mailbox(identity)) {
            None => Ok(bearers.next()),
            Some(None) => Ok(None),
            Some(Some(wanted)) => Ok(bearers.find(|account| account.mailbox == wanted)),
        }
    }

    pub(super) async fn whose_token(
        &self,
        login: Option<&str>,
        token: &str,
    ) -> Result<Option<Account>, DirectoryError> {
        let Some(tokens) = &self.tokens else { return Ok(None) };
        let claimed = tokens.login(token).await?;
        let Some(mailbox) = claimed.and_then(|claimed| self.login_mailbox(&claimed)) else { return Ok(None) };
        if login.is_some_and(|login| self.login_mailbox(login).as_ref() != Some(&mailbox)) {
            return Ok(None);
        }
        self.enabled(&mailbox).await.map_err(unavailable)
    }
}
