//! The contract of a channel: the way between this engine and another system.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Link, Site};
use crate::message::{ChannelId, Mailbox, NextHop, Reply};
use crate::receive::Intake;

/// What a channel can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether the far side can act on verdicts that travel with the message. If not, the administrator's
    /// default for the channel is applied before the message is queued.
    pub decides: bool,
    /// The most recipients one attempt may have.
    pub recipients: usize,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { decides: false, recipients: 100 }
    }
}

impl Capabilities {
    /// The same, with a far side that acts on verdicts.
    #[must_use]
    pub fn deciding(mut self) -> Self {
        self.decides = true;
        self
    }

    /// The same, with another bound on recipients.
    #[must_use]
    pub fn with_recipients(mut self, recipients: usize) -> Self {
        self.recipients = recipients.max(1);
        self
    }
}

/// A channel. Both sides are optional.
///
/// - **Role**: carries messages between this engine and another system. It owns the wire; the engine owns
///   concurrency, fairness, retry and reuse of links.
/// - **Called when**: `serve` once, when the engine starts; `next_hop` when a recipient is routed to it; `site` when
///   a hop gets work, and again every few minutes while it has some; `open` when the queue has something for a hop and no
///   link is free.
/// - **Ordering**: none between hops.
/// - **Cancellation**: `serve` ends soon after `shutdown` is cancelled, having finished what it had acknowledged;
///   dropping `open` gives up the attempt, dropping `site` the question.
/// - **Idempotency**: external effects are at-least-once.
/// - **Concurrency**: several `open` calls at once, also for one hop.
/// - **Errors**: `site` has none. `open` gives a [`Reply`]: 5xx fails all recipients of the hop's messages (as for a domain that takes no
///   mail), anything else defers.
/// - **Example**: `examples/custom_channel`.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Its name: `smtp`.
    fn id(&self) -> &ChannelId;

    /// What it can do.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Takes messages from the other system until `shutdown`. The default serves nothing.
    async fn serve(&self, intake: Intake, shutdown: CancellationToken) -> std::io::Result<()> {
        let _ = intake;
        shutdown.cancelled().await;
        Ok(())
    }

    /// The virtual queue in which a recipient waits. The default is its domain.
    fn next_hop(&self, recipient: &Mailbox) -> NextHop {
        NextHop::new(recipient.domain().as_str())
    }

    /// The physical place a next hop leads to. Hops of this channel with an equal site share one set of limits. Never
    /// fails: a hop whose place cannot be found out now is its own site, as every hop is by default.
    async fn site(&self, hop: &NextHop) -> Site {
        Site::new(hop.as_str())
    }

    /// The channel that carries, to the same next hops, messages whose senders would rather have them go unprotected than not at all
    /// ([`Secrecy::Waived`](crate::message::Secrecy::Waived)): what keeps other mail waiting does not keep those. The default: this
    /// channel carries them as any.
    fn waiving(&self) -> Option<&ChannelId> {
        None
    }

    /// Opens a link to a next hop. The default refuses: a channel without an outbound side.
    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        Err(Reply::refuse(3, 5, format!("channel {} carries nothing to {hop}", self.id())))
    }
}
