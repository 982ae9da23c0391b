//! Quotas: the ledger and the limits in the words of the administration.

use iems_core::message::{Domain, Mailbox};
use iems_core::seam::Timestamp;
use iems_store::directory::{AccountInfo, DomainInfo, Quota};

use super::Site;
use crate::admin::quota::{QuotaAnswer, QuotaChange, Recounted};
use crate::admin::request::{Change, Owner};
use crate::exit::Failure;

/// Rows read at a time.
const PAGE: usize = 1000;

impl Site {
    pub(super) async fn quotas(&self, domain: Option<Domain>) -> Result<Vec<QuotaAnswer>, Failure> {
        let mut answers = Vec::new();
        for domain in self.domain_names(domain).await? {
            answers.push(self.domain_quota(&domain).await?);
            for account in self.all_accounts(&domain).await? {
                answers.push(self.account_quota(&account).await?);
            }
        }
        Ok(answers)
    }

    pub(super) async fn quota(&self, owner: Owner) -> Result<QuotaAnswer, Failure> {
        match owner {
            Owner::Domain(domain) => self.domain_quota(&domain).await,
            Owner::User(address) => {
                let account = self.directory.account(&address).await?;
                let account = account.ok_or_else(|| no_account(&address))?;
                self.account_quota(&account).await
            }
        }
    }

    pub(super) async fn set_quota(&self, owner: Owner, change: QuotaChange) -> Result<(), Failure> {
        match owner {
            Owner::Domain(domain) => {
                let changed = self.directory.update_domain(&domain, |settings| {
                    apply(&mut settings.quota.total, &change.storage, &change.messages);
                    apply(&mut settings.quota.each, &change.each_storage, &change.each_messages);
                });
                Ok(changed.await?)
            }
            Owner::User(address) => {
                if change.each_storage != Change::Keep || change.each_messages != Change::Keep {
                    let why = "limits for each account are set for a domain, not for an account";
                    return Err(Failure::usage(why));
                }
                let changed = self.directory.update_account(&address, |settings| {
                    apply(&mut settings.quota, &change.storage, &change.messages);
                });
                Ok(changed.await?)
            }
        }
    }

    /// Counts one account anew, or all.
    pub(super) async fn recount(&self, address: Option<Mailbox>) -> Result<Vec<Recounted>, Failure> {
        let mut accounts = Vec::new();
        match &address {
            Some(address) => {
                let account = self.directory.account(address).await?;
                accounts.push(account.ok_or_else(|| no_account(address))?.as_ref().clone());
            }
            None => {
                accounts = self.every_account().await?;
            }
        }
        let mut answers = Vec::new();
        for account in accounts {
            let counted = self.directory.mailboxes().recount(account.id).await?;
            let (before, now) = counted.ok_or_else(|| {
                Failure::later(format!("{} changes all the time: try again", account.mailbox))
            })?;
            answers.push(Recounted {
                address: account.mailbox.to_string(),
                used_before: before.octets,
                used: now.octets,
                messages_before: before.messages,
                messages: now.messages,
            });
        }
        Ok(answers)
    }

    /// Every account of every domain.
    pub(crate) async fn every_account(&self) -> Result<Vec<AccountInfo>, Failure> {
        let mut all = Vec::new();
        for domain in self.domain_names(None).await? {
            all.extend(self.all_accounts(&domain).await?);
        }
        Ok(all)
    }

    pub(super) async fn all_accounts(&self, domain: &Domain) -> Result<Vec<AccountInfo>, Failure> {
        let mut all: Vec<AccountInfo> = Vec::new();
        loop {
            let after = all.last().map(|info| info.mailbox.clone());
            let page = self.directory.accounts(domain, after.as_ref(), PAGE).await?;
            let full = page.len() == PAGE;
            all.extend(page);
            if !full {
                return Ok(all);
            }
        }
    }

    async fn account_quota(&self, account: &AccountInfo) -> Result<QuotaAnswer, Failure> {
        let standing = self.directory.standing(account).await?;
        Ok(QuotaAnswer {
            name: account.mailbox.to_string(),
            used: standing.usage.octets,
            messages: standing.usage.messages,
            storage_limit: standing.limits.octets,
            message_limit: standing.limits.messages,
            percent: standing.percent(),
            warned: standing.state.warned,
            over_since: standing.state.over_since.map(rfc3339),
            each_storage: None,
            each_messages: None,
        })
    }

    async fn domain_quota(&self, name: &Domain) -> Result<QuotaAnswer, Failure> {
        let domain = self.directory.domain(name).await?;
        let domain = domain.ok_or_else(|| Failure::no_host(format!("there is no domain {name} here")))?;
        let DomainInfo { settings, .. } = &*domain;
        let usage = self.directory.domain_usage(name).await?;
        let part = |used: u64, most: u64| used.saturating_mul(100).checked_div(most).unwrap_or(100);
        let total = settings.quota.total;
        let octets = total.octets.map(|most| part(usage.octets, most));
        Ok(QuotaAnswer {
            name: name.to_string(),
            used: usage.octets,
            messages: usage.messages,
            storage_limit: total.octets,
            message_limit: total.messages,
            percent: octets.max(total.messages.map(|most| part(usage.messages, most))),
            warned: false,
            over_since: None,
            each_storage: settings.quota.each.octets,
            each_messages: settings.quota.each.messages,
        })
    }
}

/// A time for programs.
fn rfc3339(time: Timestamp) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

fn apply(quota: &mut Quota, storage: &Change<u64>, messages: &Change<u64>) {
    storage.apply(&mut quota.octets);
    messages.apply(&mut quota.messages);
}

fn no_account(address: &Mailbox) -> Failure {
    Failure::no_user(format!("there is no account {address} here"))
}
