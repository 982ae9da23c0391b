//! The contract of a link: an open way to a next hop.

use async_trait::async_trait;

use super::{Attempt, Outcome};

/// An open way to a next hop, good for several messages.
///
/// - **Role**: carries messages over one connection.
/// - **Called when**: the queue has something for its hop.
/// - **Ordering**: one `transmit` at a time.
/// - **Cancellation**: dropping `transmit` leaves the outcome unknown (the engine records *deferred*), and the
///   link must then be dropped.
/// - **Idempotency**: none: the engine repeats only what was deferred. At-least-once.
/// - **Concurrency**: none; a hop has several links instead.
/// - **Errors**: are outcomes. A missing, cut or unreadable answer is `Deferred`.
/// - **Example**: `examples/custom_channel`.
#[async_trait]
pub trait Link: Send {
    /// Carries one message. One outcome per destination, in their order.
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome>;

    /// Whether another message may go over this link.
    fn is_reusable(&self) -> bool;

    /// Says good-bye. Bounded in time by the engine.
    async fn close(self: Box<Self>);
}
