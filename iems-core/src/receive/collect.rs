//! Who may collect mail that waits for a domain, over a connection of its own making.

use std::collections::HashMap;

use super::Session;
use crate::message::{Domain, EnhancedStatus, Mailbox, NextHop, Reply};
use crate::queue::{Collection, HopKey};
use crate::route::Via;

/// Which accounts may collect what waits for which domains. Default: nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collectors(HashMap<String, Vec<Domain>>);

impl Collectors {
    /// `account` may collect what waits for `domain` as well.
    #[must_use]
    pub fn with(mut self, account: &Mailbox, domain: Domain) -> Self {
        self.0.entry(account.folded()).or_default().push(domain);
        self
    }

    /// The domains of an account.
    pub fn of(&self, account: &Mailbox) -> &[Domain] {
        self.0.get(&account.folded()).map_or(&[], Vec::as_slice)
    }

    /// Whether nobody may collect anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Session {
    /// What waits for `domains`, or, without any, for all domains of the account, to be handed over.
    ///
    /// # Errors
    /// 530 without an account, 450 for domains that are not the account's or are being collected, 453 if nothing waits.
    pub async fn collect(&self, domains: &[Domain]) -> Result<Collection, Reply> {
        let settings = self.shared.settings();
        let Some(account) = &self.connection.account else {
            return Err(Reply::new(
                530,
                EnhancedStatus::new(5, 7, 0),
                "authentication required: log in first",
            ));
        };
        let own = settings.collectors.of(&account.mailbox);
        if own.is_empty() || domains.iter().any(|domain| !own.contains(domain)) {
            let text = "that mail is not for you to collect; ask the administrator, or name domains of yours";
            return Err(Reply::new(450, EnhancedStatus::new(4, 7, 1), text));
        }
        let mut hops: Vec<HopKey> = Vec::new();
        for domain in if domains.is_empty() { own } else { domains } {
            if let Some((_, Via::Channel { channel, hop })) = settings.routes.named(domain) {
                let hop = hop.clone().unwrap_or_else(|| NextHop::new(domain.as_str()));
                let key = HopKey { channel: channel.clone(), hop };
                if !hops.contains(&key) {
                    hops.push(key);
                }
            }
        }
        Collection::begin(&self.shared, hops).await
    }
}
