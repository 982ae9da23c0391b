//! A directory of one's own: a few addresses that never change, each with an agent and a policy.
//!
//! It has no passwords, so nobody can log in. On the path it answers at `route`.

use std::collections::HashMap;

use async_trait::async_trait;
use iems_core::message::{ChannelId, Domain, Mailbox};
use iems_core::preprocess::Policy;
use iems_core::seam::{Account, Directory, DirectoryError, Resolution, ScramVerifier, Target};

/// Addresses that were named beforehand. Every domain of theirs is local.
#[derive(Debug, Default)]
pub struct FixedDirectory {
    people: HashMap<String, (Mailbox, ChannelId, Policy)>,
}

impl FixedDirectory {
    /// A directory of nobody: every address is foreign.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with `mailbox` delivered by `agent`, under its owner's rules.
    #[must_use]
    pub fn with(mut self, mailbox: Mailbox, agent: &str, policy: Policy) -> Self {
        self.people.insert(mailbox.folded(), (mailbox, ChannelId::new(agent), policy));
        self
    }
}

#[async_trait]
impl Directory for FixedDirectory {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        if !self.is_local(mailbox.domain()).await? {
            return Ok(Resolution::Foreign);
        }
        Ok(match self.people.get(&mailbox.folded()) {
            Some((mailbox, agent, _)) => {
                let (agent, mailbox) = (agent.clone(), mailbox.clone());
                Resolution::Targets(vec![Target::Agent { agent, mailbox, detail: None }])
            }
            None => Resolution::Unknown,
        })
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        Ok(self.people.values().any(|(mailbox, ..)| mailbox.domain() == domain))
    }

    async fn may_send_as(&self, account: &Account, sender: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(account.mailbox.folded() == sender.folded())
    }

    async fn check_password(&self, _: &str, _: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    async fn scram(&self, _: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok(None)
    }

    async fn policy(&self, mailbox: &Mailbox) -> Result<Policy, DirectoryError> {
        let owner = self.people.get(&mailbox.folded());
        Ok(owner.map(|(_, _, policy)| policy.clone()).unwrap_or_default())
    }
}
