//! The local delivery agent: puts messages into the mailboxes of our accounts.
//!
//! It stands on the accept path: the common case reads nothing from the store but the quota of accounts that have one,
//! and the header section of the message. It writes nothing but its effects.
//!
//! The owner's rules come too late to refuse, so what they refuse or defer goes to the junk folder: an accepted message
//! is never returned because of a verdict. Fields called `X-IEMS-Verdict` of foreign making were removed at the door, so
//! one in a mailbox is always ours.

mod fields;

use std::sync::Arc;

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Destination, Outcome};
use iems_core::message::{ChannelId, EnhancedStatus, Mailbox, Reply};
use iems_core::preprocess::{Action, Decision, Scope};
use iems_core::seam::Directory;
use iems_core::storage::{Batch, StoreError};

use crate::directory::{AccountInfo, StoreDirectory};
use crate::mailbox::{Flags, MailboxId, Mailboxes, NewMessage, SpecialUse};

use fields::{Seen, fields};

/// The name of the junk folder where it has to be made.
const JUNK: &str = "Junk";

/// The agent `local`.
pub struct LocalAgent {
    id: ChannelId,
    directory: Arc<StoreDirectory>,
}

impl LocalAgent {
    /// An agent for the accounts of `directory`, whose mailboxes are in the same storage.
    pub fn new(directory: Arc<StoreDirectory>) -> Self {
        Self { id: ChannelId::new("local"), directory }
    }

    fn mailboxes(&self) -> &Mailboxes {
        self.directory.mailboxes()
    }

    async fn account(&self, mailbox: &Mailbox) -> Result<Arc<AccountInfo>, Reply> {
        match self.directory.account(mailbox).await.map_err(store_trouble)? {
            Some(account) => Ok(account),
            None => Err(Reply::refuse(1, 1, "There is no such mailbox any more; check the address")),
        }
    }

    /// Whether the account holds less than it may, `size` more octets included.
    async fn has_room(&self, account: &AccountInfo, size: u64) -> Result<(), Reply> {
        let quota = account.settings.quota;
        if quota.octets.is_none() && quota.messages.is_none() {
            return Ok(());
        }
        let usage = self.mailboxes().usage(account.id).await.map_err(store_trouble)?;
        let octets = quota.octets.is_none_or(|most| usage.octets.saturating_add(size.max(1)) <= most);
        let messages = quota.messages.is_none_or(|most| usage.messages < most);
        match octets && messages {
            true => Ok(()),
            false => Err(Reply::new(
                552,
                EnhancedStatus::new(5, 2, 2),
                "The mailbox is full; its owner has to make room",
            )),
        }
    }

    /// The steps that deliver to one destination.
    async fn place(
        &self,
        attempt: &Attempt,
        destination: &Destination,
        seen: &mut Seen,
    ) -> Result<Placed, Reply> {
        let account = self.account(&destination.mailbox).await?;
        if !account.settings.enabled {
            return Err(Reply::new(
                450,
                EnhancedStatus::new(4, 2, 1),
                "The mailbox is disabled; try again later",
            ));
        }
        if seen.delivered_to(attempt, &account.mailbox).await.map_err(store_trouble)? {
            let reply = Reply::new(
                554,
                EnhancedStatus::new(5, 4, 6),
                "This mailbox got the message before; mend the forwarding that brings it back",
            );
            return Err(reply.because("a Delivered-To field names the account: a forwarding loop"));
        }
        let own = self.decide(attempt, &account).await?;
        let decision = combine(&destination.decision, own.clone());
        let mut batch = Batch::new();
        if decision.action == Action::Discard {
            return Ok(Placed { batch, own });
        }
        self.has_room(&account, 0).await?;
        let folder = self.folder(&mut batch, attempt, destination, &account, &decision).await;
        let folder = folder.map_err(store_trouble)?;
        let body = attempt.body.with_prefix(fields(attempt, destination, &account, &decision).as_bytes());
        let message = NewMessage { received: attempt.arrived, flags: Flags::empty(), body };
        Mailboxes::append(&mut batch, account.id, folder, &message).map_err(store_trouble)?;
        Ok(Placed { batch, own })
    }

    /// What the owner and the owner's domain want done; `None` if no rule of theirs matches.
    async fn decide(&self, attempt: &Attempt, account: &AccountInfo) -> Result<Option<Decision>, Reply> {
        if attempt.verdicts.is_empty() {
            return Ok(None);
        }
        let policy = self.directory.policy(&account.mailbox).await;
        let policy = policy.map_err(|e| trouble(e.to_string()))?;
        let decision = policy.decide(&attempt.verdicts);
        Ok((decision.scope != Scope::Default).then(|| too_late_to_refuse(decision)))
    }

    async fn folder(
        &self,
        batch: &mut Batch,
        attempt: &Attempt,
        destination: &Destination,
        account: &AccountInfo,
        decision: &Decision,
    ) -> Result<MailboxId, StoreError> {
        let mailboxes = self.mailboxes();
        if decision.action == Action::Junk {
            if let Some(junk) = mailboxes.special(account.id, SpecialUse::Junk).await? {
                return Ok(junk);
            }
            if let Some(junk) = mailboxes.find(account.id, JUNK).await? {
                return Ok(junk);
            }
            return mailboxes.create(batch, account.id, JUNK, Some(SpecialUse::Junk), attempt.now).await;
        }
        match &destination.detail {
            Some(detail) if !detail.is_empty() => {
                let folder = mailboxes.find_in_any_case(account.id, detail).await?;
                Ok(folder.unwrap_or(account.inbox))
            }
            _ => Ok(account.inbox),
        }
    }
}

struct Placed {
    batch: Batch,
    own: Option<Decision>,
}

#[async_trait]
impl DeliveryAgent for LocalAgent {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn accepts(&self, mailbox: &Mailbox, size: u64) -> Result<(), Reply> {
        let account = self.account(mailbox).await?;
        if !account.settings.enabled {
            return Err(Reply::refuse(2, 1, "This mailbox is disabled; reach its owner in another way"));
        }
        self.has_room(&account, size).await
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        let mut seen = Seen::default();
        for destination in &attempt.destinations {
            let (outcome, own) = match self.place(attempt, destination, &mut seen).await {
                Ok(Placed { batch, own }) => {
                    delivery.effects.batch.merge(batch);
                    let reply = Reply::new(250, EnhancedStatus::new(2, 1, 5), "Delivered to the mailbox");
                    (Outcome::Done(Arrival::Delivered, reply), own)
                }
                Err(reply) => (Outcome::from_reply(Arrival::Delivered, reply), None),
            };
            delivery.outcomes.push(outcome);
            delivery.decisions.push(own);
        }
        delivery
    }
}

impl std::fmt::Debug for LocalAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalAgent").finish_non_exhaustive()
    }
}

/// The site's floor can be raised but not lowered; anything else yields to the owner.
fn combine(site: &Decision, own: Option<Decision>) -> Decision {
    match own {
        Some(own) if site.scope != Scope::Site || own.action > site.action => own,
        _ => site.clone(),
    }
}

fn too_late_to_refuse(mut decision: Decision) -> Decision {
    if matches!(decision.action, Action::Refuse | Action::Defer) {
        decision.rule = format!("{} (as junk: the message was accepted)", decision.rule);
        decision.action = Action::Junk;
    }
    decision
}

fn store_trouble(e: StoreError) -> Reply {
    trouble(e.to_string())
}

fn trouble(cause: String) -> Reply {
    Reply::defer(3, 0, "The mailbox cannot be reached now; try again later").because(cause)
}

#[cfg(test)]
mod tests;
