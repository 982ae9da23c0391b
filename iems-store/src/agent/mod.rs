//! The local delivery agent: puts messages into the mailboxes of our accounts.
//!
//! It stands on the accept path: the common case reads nothing from the store but the quota of accounts that have one,
//! and the message itself once, for its structure. It writes nothing but its effects, and mailboxes that are made on demand.
//!
//! The owner's rules come too late to refuse, so what they refuse or defer goes to the junk folder: an accepted message
//! is never returned because of a verdict. Fields called `X-IEMS-Verdict` of foreign making were removed at the door, so
//! one in a mailbox is always ours.

mod fields;
mod folder;
mod judge;
mod lines;
mod quota;
mod warning;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Destination, Outcome};
use iems_core::message::{ChannelId, EnhancedStatus, Mailbox, Reply};
use iems_core::preprocess::{Action, Decision, Scope};
use iems_core::storage::{Batch, StoreError};

use crate::directory::{AccountInfo, StoreDirectory};
use crate::mailbox::{AccountId, MailboxId, Mailboxes, NewMessage, Usage, UsualMailbox};

use fields::{Seen, fields};
pub use judge::{PersonalJudge, PersonalSubject};

/// The agent `local`.
pub struct LocalAgent {
    id: ChannelId,
    directory: Arc<StoreDirectory>,
    encoder: lines::Encoder,
    options: AgentOptions,
    judges: Vec<Arc<dyn PersonalJudge>>,
}

/// How the agent delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentOptions {
    /// Whether a message is dropped if the folder it would go to has one with the same Message-ID. Default: no, as two
    /// different messages may have the same by mistake.
    pub drop_duplicates: bool,
    /// Whether a subaddress makes the mailbox that it names, if it is not there. Default: no, as anybody could fill an
    /// account with mailboxes; what names none goes to INBOX.
    pub make_mailboxes: bool,
    /// The mailboxes that are usual here: what the one for junk is called. Default: those that most mail programs know.
    pub usual: Arc<[UsualMailbox]>,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self { drop_duplicates: false, make_mailboxes: false, usual: UsualMailbox::defaults().into() }
    }
}

impl LocalAgent {
    /// An agent for the accounts of `directory`, whose mailboxes are in the same storage.
    pub fn new(directory: Arc<StoreDirectory>) -> Self {
        let (encoder, options) = (lines::Encoder::default(), AgentOptions::default());
        Self { id: ChannelId::new("local"), directory, encoder, options, judges: Vec::new() }
    }

    /// The same with options.
    #[must_use]
    pub fn with_options(self, options: AgentOptions) -> Self {
        Self { options, ..self }
    }

    /// The same with one more judge, behind those before it.
    #[must_use]
    pub fn with_judge(mut self, judge: Arc<dyn PersonalJudge>) -> Self {
        self.judges.push(judge);
        self
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

    /// The steps that deliver to one destination.
    async fn place(
        &self,
        attempt: &Attempt,
        destination: &Destination,
        seen: &Seen,
        before: &mut Before,
    ) -> Result<Placed, Reply> {
        let account = self.account(&destination.mailbox).await?;
        if !account.settings.enabled {
            return Err(Reply::new(
                450,
                EnhancedStatus::new(4, 2, 1),
                "The mailbox is disabled; try again later",
            ));
        }
        if seen.delivered_to(&account.mailbox) {
            let reply = Reply::new(
                554,
                EnhancedStatus::new(5, 4, 6),
                "This mailbox got the message before; mend the forwarding that brings it back",
            );
            return Err(reply.because("a Delivered-To field names the account: a forwarding loop"));
        }
        let own = self.decide(attempt, &account, seen).await?;
        let decision = combine(&destination.decision, own.clone());
        let mut batch = Batch::new();
        if decision.action == Action::Discard {
            return Ok(Placed { batch, own });
        }
        let fields = fields(attempt, destination, &account, &decision);
        let body = attempt.body.with_prefix(fields.as_bytes());
        let coming = before.and(account.id, body.size());
        let mut admission = self.admit(&account, 0, coming, attempt.now).await?;
        let folder = self.folder(attempt, destination, &account, &decision).await?;
        let twice = before.is_there(account.id, folder, destination)
            || self.is_duplicate(&account, folder, seen, before).await.map_err(store_trouble)?;
        if twice {
            return Ok(Placed { batch, own });
        }
        if before.warned.contains(&account.id) {
            admission.warn = None;
        }
        let structure = seen.structure.clone().behind(fields.len() as u64).encode().map_err(store_trouble)?;
        let thread = self.mailboxes().thread_of(account.id, &seen.ids).await.map_err(store_trouble)?;
        let mut message = NewMessage::new(attempt.arrived, body).in_thread(&seen.ids, thread);
        message.saved = attempt.now;
        message.structure = Some(structure.into());
        Mailboxes::append(&mut batch, account.id, folder, &message).map_err(store_trouble)?;
        self.note_quota(&mut batch, attempt, &account, &admission).await.map_err(store_trouble)?;
        before.coming.insert(account.id, coming);
        before.warned.extend(admission.warn.map(|_| account.id));
        before.places.push((account.id, folder, recipient(destination)));
        Ok(Placed { batch, own })
    }

    /// Whether the folder has a message with this Message-ID already, where that matters.
    async fn is_duplicate(
        &self,
        account: &AccountInfo,
        folder: MailboxId,
        seen: &Seen,
        before: &Before,
    ) -> Result<bool, StoreError> {
        let Some(id) = seen.ids.own.as_ref().filter(|_| self.options.drop_duplicates) else {
            return Ok(false);
        };
        let there = before.places.iter().any(|(of, place, _)| (*of, *place) == (account.id, folder));
        Ok(there || self.mailboxes().has_message_id(account.id, folder, id).await?)
    }
}

/// What an attempt put into mailboxes for the destinations before.
#[derive(Default)]
struct Before {
    /// Where, and for which address with which detail.
    places: Vec<(AccountId, MailboxId, (Mailbox, Option<String>))>,
    /// How much, by account.
    coming: BTreeMap<AccountId, Usage>,
    /// Whose owners are told that they have little room.
    warned: BTreeSet<AccountId>,
}

impl Before {
    /// What comes into an account with one more message of `octets`.
    fn and(&self, account: AccountId, octets: u64) -> Usage {
        let before = self.coming.get(&account).copied().unwrap_or_default();
        Usage { octets: before.octets.saturating_add(octets), messages: before.messages.saturating_add(1) }
    }

    /// Whether the same recipient, named twice, has it there.
    fn is_there(&self, account: AccountId, folder: MailboxId, destination: &Destination) -> bool {
        self.places.contains(&(account, folder, recipient(destination)))
    }
}

fn recipient(destination: &Destination) -> (Mailbox, Option<String>) {
    (destination.recipient.mailbox.clone(), destination.detail.clone())
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
        let coming = Usage { octets: size, messages: 1 };
        self.admit(&account, size, coming, self.directory.now()).await.map(|_| ())
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        let lines;
        let attempt = match lines::of(attempt, &self.encoder).await {
            Ok(None) => attempt,
            Ok(Some(body)) => {
                lines = Attempt { body, ..attempt.clone() };
                &lines
            }
            Err(reply) => {
                let outcome = Outcome::from_reply(Arrival::Delivered, reply);
                delivery.outcomes = vec![outcome; attempt.destinations.len()];
                return delivery;
            }
        };
        let seen = Seen::in_message_of(attempt).await;
        let mut before = Before::default();
        for destination in &attempt.destinations {
            let placed = match &seen {
                Ok(seen) => self.place(attempt, destination, seen, &mut before).await,
                Err(e) => Err(store_trouble(e.clone())),
            };
            let (outcome, own) = match placed {
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
