//! Domains, accounts, aliases and their rules: the directory in the words of the administration.

use iems_core::message::{Domain, Mailbox};
use iems_core::preprocess::Rule;
use iems_core::seam::CertificateMark;
use iems_store::directory::{AccountInfo, AliasInfo, DomainInfo, NewAccount, Password, Quota, SenderRight};

use super::Site;
use crate::admin::answer::{AccountAnswer, AliasAnswer, DomainAnswer};
use crate::admin::request::{AccountChange, DomainChange, Owner, Secret};
use crate::exit::Failure;

/// Rows read at a time.
const PAGE: usize = 1000;

/// How an account proves itself, by what the administration sent.
pub(super) fn proof(secret: Secret, hashed: bool) -> Password {
    match hashed {
        true => Password::Hashed(secret.0),
        false => Password::Clear(secret.0),
    }
}

impl Site {
    pub(crate) async fn add_domain(&self, name: &Domain) -> Result<(), Failure> {
        Ok(self.directory.add_domain(name, Default::default()).await?)
    }

    pub(super) async fn remove_domain(&self, name: &Domain) -> Result<(), Failure> {
        Ok(self.directory.remove_domain(name).await?)
    }

    pub(super) async fn domain(&self, name: &Domain) -> Result<DomainAnswer, Failure> {
        match self.directory.domain(name).await? {
            Some(info) => self.describe_domain(&info).await,
            None => Err(Failure::no_host(format!("there is no domain {name} here"))),
        }
    }

    pub(super) async fn domains(&self) -> Result<Vec<DomainAnswer>, Failure> {
        let mut answers = Vec::new();
        for name in self.domain_names(None).await? {
            answers.push(self.domain(&name).await?);
        }
        Ok(answers)
    }

    async fn describe_domain(&self, info: &DomainInfo) -> Result<DomainAnswer, Failure> {
        let members = self.directory.members(&info.domain).await?;
        let (name, settings) = (info.domain.clone(), info.settings.clone());
        Ok(DomainAnswer { name, members, catch_all: settings.catch_all, postmaster: settings.postmaster })
    }

    pub(super) async fn set_domain(&self, name: &Domain, change: DomainChange) -> Result<(), Failure> {
        let changed = self.directory.update_domain(name, |settings| {
            change.catch_all.apply(&mut settings.catch_all);
            change.postmaster.apply(&mut settings.postmaster);
        });
        Ok(changed.await?)
    }

    pub(crate) async fn add_account(
        &self,
        address: Mailbox,
        password: Password,
        quota: Option<u64>,
    ) -> Result<(), Failure> {
        let mut account = NewAccount::new(address);
        account.password = password;
        self.directory.add_account(account.with_quota(Quota { octets: quota, messages: None })).await?;
        Ok(())
    }

    pub(super) async fn remove_account(&self, address: &Mailbox) -> Result<(), Failure> {
        #[cfg(feature = "search")]
        let account = self.directory.account(address).await?;
        self.directory.remove_account(address).await?;
        #[cfg(feature = "search")]
        if let Some(account) = account
            && let Err(error) = self.search.remove(account.id).await
        {
            tracing::warn!(%address, %error, "the index of its texts is still there; it goes when the server starts");
        }
        Ok(())
    }

    pub(super) async fn account(&self, address: &Mailbox) -> Result<AccountAnswer, Failure> {
        match self.directory.account(address).await? {
            Some(info) => self.describe_account(&info).await,
            None => Err(Failure::no_user(format!("there is no account {address} here"))),
        }
    }

    pub(super) async fn accounts(&self, domain: Option<Domain>) -> Result<Vec<AccountAnswer>, Failure> {
        let mut answers = Vec::new();
        for domain in self.domain_names(domain).await? {
            let mut after: Option<Mailbox> = None;
            loop {
                let page = self.directory.accounts(&domain, after.as_ref(), PAGE).await?;
                for info in &page {
                    answers.push(self.describe_account(info).await?);
                }
                after = page.last().map(|info| info.mailbox.clone());
                if page.len() < PAGE {
                    break;
                }
            }
        }
        Ok(answers)
    }

    async fn describe_account(&self, info: &AccountInfo) -> Result<AccountAnswer, Failure> {
        let usage = self.directory.mailboxes().usage(info.id).await?;
        let settings = &info.settings;
        let senders = settings.senders.iter().map(|right| match right {
            SenderRight::Mailbox(mailbox) => mailbox.to_string(),
            SenderRight::Domain(domain) => domain.to_string(),
        });
        Ok(AccountAnswer {
            address: info.mailbox.clone(),
            enabled: settings.enabled,
            messages: usage.messages,
            used: usage.octets,
            quota: settings.quota.octets,
            forward: settings.forwards.clone(),
            keep: settings.keep_copy,
            senders: senders.collect(),
            only_app_passwords: self.directory.app_passwords_only(&info.mailbox).await?,
        })
    }

    pub(super) async fn set_account(&self, address: &Mailbox, change: AccountChange) -> Result<(), Failure> {
        let changed = self.directory.update_account(address, |settings| {
            if let Some(quota) = change.quota {
                settings.quota.octets = Some(quota).filter(|octets| *octets > 0);
            }
            if let Some(enabled) = change.enabled {
                settings.enabled = enabled;
            }
            if let Some(forward) = &change.forward {
                settings.forwards = forward.clone();
                settings.keep_copy = change.keep || forward.is_empty();
            }
            if let Some(senders) = &change.senders {
                let rights = senders.iter().map(|owner| match owner {
                    Owner::User(mailbox) => SenderRight::Mailbox(mailbox.clone()),
                    Owner::Domain(domain) => SenderRight::Domain(domain.clone()),
                });
                settings.senders = rights.collect();
            }
        });
        changed.await?;
        if let Some(services) = &change.only_app_passwords {
            self.directory.set_app_passwords_only(address, services).await?;
        }
        Ok(())
    }

    pub(super) async fn set_password(&self, address: &Mailbox, password: Password) -> Result<(), Failure> {
        Ok(self.directory.set_password(address, password).await?)
    }

    pub(super) async fn bind_certificate(
        &self,
        address: &Mailbox,
        mark: CertificateMark,
        add: bool,
    ) -> Result<(), Failure> {
        if add {
            return Ok(self.directory.add_certificate(address, mark).await?);
        }
        match self.directory.remove_certificate(address, mark).await? {
            true => Ok(()),
            false => Err(Failure::no_user(format!("the certificate {mark} is not bound to {address}"))),
        }
    }

    pub(super) async fn certificates(&self, address: &Mailbox) -> Result<Vec<String>, Failure> {
        let marks = self.directory.certificates(address).await?;
        Ok(marks.iter().map(ToString::to_string).collect())
    }

    /// Adds to the targets an alias has.
    pub(super) async fn add_alias(&self, from: &Mailbox, to: Vec<Mailbox>) -> Result<(), Failure> {
        let known = self.directory.alias(from).await?.map(|alias| alias.targets);
        let targets: Vec<Mailbox> = known.into_iter().flatten().chain(to).collect();
        Ok(self.directory.set_alias(from, &targets).await?)
    }

    /// Takes targets away; the alias goes with its last one.
    pub(super) async fn remove_alias(&self, from: &Mailbox, to: &[Mailbox]) -> Result<(), Failure> {
        let alias = self.directory.alias(from).await?;
        let targets = alias.map(|alias| alias.targets).unwrap_or_default();
        if let Some(stranger) = to.iter().find(|t| !targets.iter().any(|known| known.folded() == t.folded()))
        {
            return Err(Failure::no_user(format!("the alias {from} does not lead to {stranger}")));
        }
        let left: Vec<Mailbox> =
            targets.into_iter().filter(|known| !to.iter().any(|t| t.folded() == known.folded())).collect();
        match to.is_empty() || left.is_empty() {
            true => Ok(self.directory.remove_alias(from).await?),
            false => Ok(self.directory.set_alias(from, &left).await?),
        }
    }

    pub(super) async fn aliases(&self, domain: Option<Domain>) -> Result<Vec<AliasAnswer>, Failure> {
        let mut answers = Vec::new();
        for domain in self.domain_names(domain).await? {
            let mut after: Option<Mailbox> = None;
            loop {
                let page = self.directory.aliases(&domain, after.as_ref(), PAGE).await?;
                after = page.last().map(|alias| alias.mailbox.clone());
                let full = page.len() == PAGE;
                answers.extend(
                    page.into_iter()
                        .map(|AliasInfo { mailbox, targets }| AliasAnswer { from: mailbox, to: targets }),
                );
                if !full {
                    break;
                }
            }
        }
        Ok(answers)
    }

    pub(super) async fn rules(&self, owner: Owner) -> Result<Vec<Rule>, Failure> {
        match owner {
            Owner::Domain(name) => match self.directory.domain(&name).await? {
                Some(info) => Ok(info.settings.rules.clone()),
                None => Err(Failure::no_host(format!("there is no domain {name} here"))),
            },
            Owner::User(address) => match self.directory.account(&address).await? {
                Some(info) => Ok(info.settings.rules.clone()),
                None => Err(Failure::no_user(format!("there is no account {address} here"))),
            },
        }
    }

    pub(super) async fn set_rules(&self, owner: Owner, rules: Vec<Rule>) -> Result<(), Failure> {
        let changed = match owner {
            Owner::Domain(name) => self.directory.update_domain(&name, |s| s.rules.clone_from(&rules)).await,
            Owner::User(address) => {
                self.directory.update_account(&address, |s| s.rules.clone_from(&rules)).await
            }
        };
        Ok(changed?)
    }

    /// One domain, or all of ours.
    pub(super) async fn domain_names(&self, one: Option<Domain>) -> Result<Vec<Domain>, Failure> {
        if let Some(name) = one {
            return match self.directory.domain(&name).await? {
                Some(_) => Ok(vec![name]),
                None => Err(Failure::no_host(format!("there is no domain {name} here"))),
            };
        }
        let mut names: Vec<Domain> = Vec::new();
        loop {
            let page = self.directory.domains(names.last(), PAGE).await?;
            let full = page.len() == PAGE;
            names.extend(page.into_iter().map(|info| info.domain));
            if !full {
                return Ok(names);
            }
        }
    }
}
