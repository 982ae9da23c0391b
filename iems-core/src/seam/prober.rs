//! Questions to other systems as an argument: whether somebody is there, and whether an address would be taken.

use async_trait::async_trait;

use crate::message::{Mailbox, NextHop, Reply};

/// What another system said about an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It would take mail for the address.
    Takes(Reply),
    /// It said for good that it would not.
    Refuses(Reply),
    /// It did not say: it could not be reached, put us off, or would not be asked.
    Unknown(Reply),
}

/// Asks other systems, without sending them anything.
///
/// - **Role**: lets judges find out what only another system knows.
/// - **Called when**: a judge that is configured to do so doubts a sender, or a recipient of another system is named.
/// - **Ordering**: none.
/// - **Cancellation**: dropping the future ends the connection. The caller sets the time limit.
/// - **Idempotency**: asking changes nothing there, and costs there: callers keep answers and bound their rate.
/// - **Concurrency**: any number of questions at once; the caller bounds it.
/// - **Errors**: those of `reach` say why nobody answers; of `ask`, [`Probe::Unknown`].
/// - **Example**: `SmtpClient` of `iems-smtp`.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Whether a system that takes mail answers at `hop`.
    async fn reach(&self, hop: &NextHop) -> Result<(), Reply>;

    /// Whether the system at `hop` would take mail from nobody (the null reverse-path) for `mailbox`.
    async fn ask(&self, hop: &NextHop, mailbox: &Mailbox) -> Probe;
}
