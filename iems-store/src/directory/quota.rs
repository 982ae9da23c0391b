//! Quotas: how much accounts and domains may hold, and what happens at the mark, at the limit, and after it.
//!
//! An account has its own limits, else those that its domain gives to each, else those of the site. A domain may also have
//! limits for all its accounts together; what they hold is added up at most every half minute, so that these are not exact
//! to the octet.

use std::time::Duration;

use bytes::Bytes;
use iems_core::message::Domain;
use iems_core::seam::Timestamp;
use iems_core::storage::StoreError;
use serde::{Deserialize, Serialize};

use super::{AccountInfo, Quota, StoreDirectory};
use crate::mailbox::{QuotaState, Usage};

/// How long a domain's sum is believed.
const SUMMED: Duration = Duration::from_secs(30);
/// How many domains' sums are remembered.
const REMEMBERED: usize = 10_000;
/// Accounts read at a time.
const PAGE: usize = 1000;

/// What holds for quotas everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaOptions {
    /// The limits of accounts for which neither they nor their domain have any. Default: none.
    pub account: Quota,
    /// From which share of a limit on, in percent, the owner is warned by a message; 0 for never. Default: 90, which leaves
    /// time to do something.
    pub warn_percent: u32,
    /// How long mail is still taken after the limit was passed. Default: not at all.
    pub grace: Duration,
    /// By how much the limit may be passed in that time, in percent of it. Default: 10.
    pub grace_percent: u32,
    /// Whether mail over the limit is refused for now only, so that its sender tries again for some days. Default: no,
    /// senders should know.
    pub temporary: bool,
}

impl Default for QuotaOptions {
    fn default() -> Self {
        let account = Quota::default();
        Self { account, warn_percent: 90, grace: Duration::ZERO, grace_percent: 10, temporary: false }
    }
}

/// The limits of a domain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainQuota {
    /// Of all its accounts together.
    pub total: Quota,
    /// Of each account that has none of its own.
    pub each: Quota,
}

/// Which limit is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// That of the account.
    Account,
    /// That of the domain.
    Domain,
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it holds.
    pub usage: Usage,
    /// What it may hold.
    pub limits: Quota,
    /// Whether its owner was warned, and since when it is over.
    pub state: QuotaState,
}

impl Standing {
    /// How much of its limits it holds, in percent; the greater of both. `None` without limits.
    pub fn percent(&self) -> Option<u64> {
        percent(self.usage, self.limits)
    }
}

/// Whether a message may come in, and what changes with it.
pub(crate) struct Admission {
    pub(crate) over: Option<Over>,
    pub(crate) before: Option<Bytes>,
    pub(crate) state: QuotaState,
    pub(crate) after: QuotaState,
    /// How full the account is then, in percent, if its owner is to be warned.
    pub(crate) warn: Option<u64>,
}

impl Admission {
    fn unbounded() -> Self {
        let state = QuotaState::default();
        Self { over: None, before: None, state, after: state, warn: None }
    }
}

impl StoreDirectory {
    /// What holds for quotas everywhere.
    pub fn quota_options(&self) -> &QuotaOptions {
        &self.options.quota
    }

    /// How much an account may hold now, whenever `account` was read.
    ///
    /// # Errors
    /// The store's.
    pub async fn limits(&self, account: &AccountInfo) -> Result<Quota, StoreError> {
        let domain = self.domain(account.mailbox.domain()).await?;
        let each = domain.map(|domain| domain.settings.quota.each).unwrap_or_default();
        let now = self.account(&account.mailbox).await?.filter(|now| now.id == account.id);
        let own = now.map_or(account.settings.quota, |now| now.settings.quota);
        let site = self.options.quota.account;
        Ok(Quota {
            octets: own.octets.or(each.octets).or(site.octets),
            messages: own.messages.or(each.messages).or(site.messages),
        })
    }

    /// Where an account stands.
    ///
    /// # Errors
    /// The store's.
    pub async fn standing(&self, account: &AccountInfo) -> Result<Standing, StoreError> {
        let limits = self.limits(account).await?;
        let usage = self.mailboxes.usage(account.id).await?;
        let (_, state) = self.mailboxes.quota_state(account.id).await?;
        Ok(Standing { usage, limits, state: self.still(state, usage, limits) })
    }

    /// Which limit stands against `messages` more messages of `octets` together, if one does. For what users themselves
    /// put into a mailbox (OVERQUOTA, RFC 9208 section 4.3).
    ///
    /// # Errors
    /// The store's.
    pub async fn over_quota(
        &self,
        account: &AccountInfo,
        octets: u64,
        messages: u64,
    ) -> Result<Option<Over>, StoreError> {
        let limits = self.limits(account).await?;
        if limits != Quota::default() {
            let usage = self.mailboxes.usage(account.id).await?;
            if exceeds(usage, octets, messages, limits) {
                return Ok(Some(Over::Account));
            }
        }
        self.domain_is_over(account.mailbox.domain(), octets, messages).await
    }

    /// Whether a message of `octets` may come in, as far as is known at `now`; `coming` is what will really have come with it.
    pub(crate) async fn admit(
        &self,
        account: &AccountInfo,
        octets: u64,
        coming: Usage,
        now: Timestamp,
    ) -> Result<Admission, StoreError> {
        let over = self.domain_is_over(account.mailbox.domain(), octets.max(1), 1).await?;
        let limits = self.limits(account).await?;
        if limits == Quota::default() {
            return Ok(Admission { over, ..Admission::unbounded() });
        }
        let usage = self.mailboxes.usage(account.id).await?;
        let (before, state) = self.mailboxes.quota_state(account.id).await?;
        let options = &self.options.quota;
        let now_is = self.still(state, usage, limits);
        let then = Usage {
            octets: usage.octets.saturating_add(coming.octets),
            messages: usage.messages.saturating_add(coming.messages),
        };
        let mut after = now_is;
        let mut own = None;
        after.over_since = match exceeds(usage, octets.max(1), 1, limits) {
            true => {
                let since = now_is.over_since.unwrap_or(now);
                let late = options.grace.is_zero() || now > since.after(options.grace);
                if late || exceeds(usage, octets.max(1), 1, stretched(limits, options.grace_percent)) {
                    own = Some(Over::Account);
                }
                Some(since)
            }
            // What comes now passes it.
            false => exceeds(then, 0, 0, limits).then_some(now),
        };
        let full = self.past_mark(then, limits);
        after.warned = full.is_some();
        let warn = full.filter(|_| !now_is.warned);
        Ok(Admission { over: own.or(over), before, state, after, warn })
    }

    /// How full an account is, in percent, if that is at the mark or above it.
    fn past_mark(&self, usage: Usage, limits: Quota) -> Option<u64> {
        let mark = u64::from(self.options.quota.warn_percent);
        percent(usage, limits).filter(|full| mark > 0 && *full >= mark)
    }

    /// What of a remembered state still holds. Owners delete mail, and nobody writes down then that an account fell below the
    /// mark or the limit; when it comes there again it is as if for the first time.
    fn still(&self, state: QuotaState, usage: Usage, limits: Quota) -> QuotaState {
        let warned = state.warned && self.past_mark(usage, limits).is_some();
        QuotaState { warned, over_since: state.over_since.filter(|_| exceeds(usage, 0, 0, limits)) }
    }

    async fn domain_is_over(
        &self,
        domain: &Domain,
        octets: u64,
        messages: u64,
    ) -> Result<Option<Over>, StoreError> {
        let total = self.domain(domain).await?.map(|domain| domain.settings.quota.total).unwrap_or_default();
        if total == Quota::default() {
            return Ok(None);
        }
        let usage = self.domain_usage(domain).await?;
        Ok(exceeds(usage, octets, messages, total).then_some(Over::Domain))
    }

    /// What all accounts of a domain hold, as it was at most half a minute ago.
    ///
    /// # Errors
    /// The store's.
    pub async fn domain_usage(&self, domain: &Domain) -> Result<Usage, StoreError> {
        let now = self.clock.now();
        if let Some((at, usage)) = self.sums().get(domain)
            && now >= *at
            && now < at.after(SUMMED)
        {
            return Ok(*usage);
        }
        let mut sum = Usage::default();
        let mut after = None;
        loop {
            let page = self.accounts(domain, after.as_ref(), PAGE).await?;
            for account in &page {
                let usage = self.mailboxes.usage(account.id).await?;
                sum.octets = sum.octets.saturating_add(usage.octets);
                sum.messages = sum.messages.saturating_add(usage.messages);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.mailbox.clone()),
                _ => break,
            }
        }
        let mut sums = self.sums();
        if sums.len() >= REMEMBERED {
            sums.clear();
        }
        sums.insert(domain.clone(), (now, sum));
        Ok(sum)
    }

    fn sums(&self) -> std::sync::MutexGuard<'_, super::Sums> {
        self.sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn exceeds(usage: Usage, octets: u64, messages: u64, limits: Quota) -> bool {
    limits.octets.is_some_and(|most| usage.octets.saturating_add(octets) > most)
        || limits.messages.is_some_and(|most| usage.messages.saturating_add(messages) > most)
}

/// Limits with `percent` more.
fn stretched(limits: Quota, percent: u32) -> Quota {
    let more = |most: u64| most.saturating_add(most.saturating_mul(u64::from(percent)) / 100);
    Quota { octets: limits.octets.map(more), messages: limits.messages.map(more) }
}

fn percent(usage: Usage, limits: Quota) -> Option<u64> {
    let part = |used: u64, most: u64| used.saturating_mul(100).checked_div(most).unwrap_or(100);
    let octets = limits.octets.map(|most| part(usage.octets, most));
    octets.max(limits.messages.map(|most| part(usage.messages, most)))
}
