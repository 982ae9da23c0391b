//! The contract of a delivery agent: delivery inside the engine's own store.

use async_trait::async_trait;

use super::{Attempt, Effects, Outcome};
use crate::message::{ChannelId, Mailbox, Reply};
use crate::preprocess::Decision;

/// What an agent brings back.
#[derive(Debug, Default)]
pub struct Delivery {
    /// One per destination, in their order.
    pub outcomes: Vec<Outcome>,
    /// What takes effect together with them.
    pub effects: Effects,
    /// For each destination, what the owner's policy decided, where the agent asked it.
    pub decisions: Vec<Option<Decision>>,
}

/// An agent that delivers for the recipients it owns, inside the engine's store.
///
/// - **Role**: puts messages into mailboxes, or expands them to a list's members.
/// - **Called when**: for each attempt; for the first one possibly before the message is accepted, so that
///   acceptance and delivery are one commit.
/// - **Ordering**: attempts for one mailbox may be prepared at once; the commit orders them, so what must not
///   race stands in conditions or slots of the batch.
/// - **Cancellation**: nothing has happened until the engine commits the effects; dropping is harmless.
/// - **Idempotency**: may be called again for the same attempt when the commit met a conflict. It must not do
///   anything outside its effects: that is what makes delivery exactly-once.
/// - **Concurrency**: called for many messages at once.
/// - **Errors**: are outcomes: trouble with the store is `Deferred`.
/// - **Example**: `examples/custom_agent`, and the local agent of `iems-store`.
#[async_trait]
pub trait DeliveryAgent: Send + Sync + 'static {
    /// Its name, as [`crate::seam::Target`] uses it: `local`.
    fn id(&self) -> &ChannelId;

    /// Whether a message of `size` octets (0 if unknown) is welcome for `mailbox` now: the quota, asked at
    /// each recipient before the message is accepted.
    async fn accepts(&self, mailbox: &Mailbox, size: u64) -> Result<(), Reply>;

    /// Prepares the delivery.
    async fn deliver(&self, attempt: &Attempt) -> Delivery;
}
