//! The directory's answers to the engine.

use async_trait::async_trait;
use iems_core::message::{Domain, Mailbox};
use iems_core::preprocess::{Policy, Scope};
use iems_core::seam::{
    Account, Directory, DirectoryError, PeerCertificate, Resolution, ScramVerifier, split_login,
};
use iems_core::storage::StoreError;

use super::cache::Entry;
use super::expand::split_detail;
use super::{AccountInfo, Secret, SenderRight, StoreDirectory, fold};

#[async_trait]
impl Directory for StoreDirectory {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        let mailbox = fold(mailbox);
        let epoch = match self.cache.resolution(&mailbox) {
            Ok(resolution) => return Ok(resolution),
            Err(epoch) => epoch,
        };
        let resolution = self.expand(&mailbox, None).await?;
        if resolution != Resolution::Foreign {
            self.cache.put_resolution(epoch, &mailbox, resolution.clone());
        }
        Ok(resolution)
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        Ok(self.domain(domain).await.map_err(unavailable)?.is_some())
    }

    async fn may_send_as(&self, account: &Account, sender: &Mailbox) -> Result<bool, DirectoryError> {
        let (own, sender) = (fold(&account.mailbox), fold(sender));
        let is_own =
            |mailbox: &Mailbox| *mailbox == own || split_detail(mailbox).is_some_and(|(base, _)| base == own);
        let Entry::Account(info) = self.entry(&own).await.map_err(unavailable)? else {
            return Ok(false);
        };
        let granted = |right: &SenderRight| match right {
            SenderRight::Mailbox(mailbox) => fold(mailbox) == sender,
            SenderRight::Domain(domain) => domain == sender.domain(),
        };
        if !info.settings.enabled {
            return Ok(false);
        }
        if is_own(&sender) || info.settings.senders.iter().any(granted) {
            return Ok(true);
        }
        let alias = self.entry(&sender).await.map_err(unavailable)?;
        Ok(matches!(alias, Entry::Alias(targets) if matches!(&*targets, [one] if is_own(&fold(one)))))
    }

    async fn check_password(&self, login: &str, password: &str) -> Result<Option<Account>, DirectoryError> {
        let known = self.login(login, Some(password)).await.map_err(unavailable)?;
        let hash = known.as_ref().map(|(_, secret)| secret.hash.clone());
        let right = self.verifier.verify(login, password, hash, self.clock.now()).await?;
        let Some((account, secret)) = known.filter(|_| right) else { return Ok(None) };
        if secret.is_foreign() {
            self.make_ours(&account.mailbox, &secret, password).await;
        }
        Ok(Some(account))
    }

    async fn scram(&self, login: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        let known = self.login(login, None).await.map_err(unavailable)?;
        Ok(known.and_then(|(account, secret)| Some((account, secret.verifier()?))))
    }

    async fn by_certificate(
        &self,
        certificate: &PeerCertificate,
        identity: Option<&str>,
    ) -> Result<Option<Account>, DirectoryError> {
        self.whose_certificate(certificate, identity).await
    }

    async fn by_token(&self, login: Option<&str>, token: &str) -> Result<Option<Account>, DirectoryError> {
        self.whose_token(login, token).await
    }

    async fn known_as(&self, login: &str) -> Result<Option<Account>, DirectoryError> {
        match self.login_mailbox(split_login(login).0) {
            Some(mailbox) => self.enabled(&mailbox).await.map_err(unavailable),
            None => Ok(None),
        }
    }

    async fn used(&self, account: &Account, service: &str) -> Result<(), DirectoryError> {
        self.note_use(account, service).await.map_err(unavailable)
    }

    async fn policy(&self, mailbox: &Mailbox) -> Result<Policy, DirectoryError> {
        let mut policy = Policy::new();
        if let Some(domain) = self.domain(mailbox.domain()).await.map_err(unavailable)? {
            for rule in &domain.settings.rules {
                policy = policy.rule(Scope::Domain, rule.clone());
            }
        }
        if let Entry::Account(info) = self.entry(&fold(mailbox)).await.map_err(unavailable)? {
            for rule in &info.settings.rules {
                policy = policy.rule(Scope::User, rule.clone());
            }
        }
        Ok(policy)
    }
}

impl StoreDirectory {
    /// The enabled account that `login` names, with the one secret of it that is meant: that of the app password which the login
    /// names or the password looks like, else the main one. `None` also if there is none.
    async fn login(
        &self,
        login: &str,
        password: Option<&str>,
    ) -> Result<Option<(Account, Secret)>, StoreError> {
        let (login, name) = split_login(login);
        let Some(mailbox) = self.login_mailbox(login) else { return Ok(None) };
        let Entry::Account(info) = self.entry(&mailbox).await? else { return Ok(None) };
        let AccountInfo { mailbox, id, settings, .. } = &*info;
        if !settings.enabled {
            return Ok(None);
        }
        let app = match (name, password) {
            (Some(name), _) => self.app_password_named(mailbox, *id, name).await?,
            (None, Some(password)) => self.app_password_like(mailbox, *id, password).await?,
            (None, None) => None,
        };
        let meant = match app {
            None if name.is_none() => {
                let secret = self.secret(mailbox).await?;
                let credential = self.main_credential(mailbox, *id).await?;
                secret.map(|secret| (credential, secret))
            }
            app => app,
        };
        Ok(meant.map(|(credential, secret)| (Account { mailbox: mailbox.clone(), credential }, secret)))
    }

    pub(super) fn login_mailbox(&self, login: &str) -> Option<Mailbox> {
        if login.len() > 512 {
            return None;
        }
        match (login.parse::<Mailbox>(), &self.options.login_domain) {
            (Ok(mailbox), _) => Some(fold(&mailbox)),
            (Err(_), Some(domain)) => Some(fold(&Mailbox::new(login.parse().ok()?, domain.clone()))),
            (Err(_), None) => None,
        }
    }
}

pub(super) fn unavailable(e: StoreError) -> DirectoryError {
    DirectoryError::Unavailable(e.to_string())
}
