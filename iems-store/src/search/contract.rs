//! The contract of an index of texts. No implementation.

use std::fmt;

use async_trait::async_trait;

use crate::mailbox::{AccountId, MessageInfo};

/// Octets of a [`Needle`] from which on an index can tell anything. For shorter ones, messages are read.
pub const TELLING: usize = 3;

/// A text that is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Needle {
    /// The text, after [`super::fold`].
    pub text: String,
    /// Whether it may be in headers, too, and not only in bodies.
    pub headers: bool,
}

/// An index of the texts of messages.
///
/// # Role
/// Rules messages out, so that searches need not read them. It is never the truth: it may be missing, old or half made,
/// and searches only take longer.
///
/// # Called when
/// `ask` once by each search for texts; `missed` when one had to read messages that the index does not hold; `left` when
/// the last session of an account ends.
///
/// # Ordering
/// None.
///
/// # Cancellation
/// The future of `ask` may be dropped at any time.
///
/// # Idempotency
/// All calls may be repeated.
///
/// # Concurrency
/// Called by many sessions at once. `missed` and `left` must return at once.
///
/// # Errors
/// None: an index that has trouble knows nothing.
///
/// # Example
/// The tests of searching in `iems-access`.
#[async_trait]
pub trait TextIndex: Send + Sync + fmt::Debug {
    /// What is known about `needles` in the mail of an account; `None` if nothing is.
    async fn ask(&self, account: AccountId, needles: &[Needle]) -> Option<Box<dyn KnownTexts>>;

    /// A search had to read so many messages that the index does not hold.
    fn missed(&self, account: AccountId, messages: u64);

    /// Nobody has the mail of an account open any more.
    fn left(&self, account: AccountId);
}

/// What an index knows about some needles.
pub trait KnownTexts: Send + Sync {
    /// Whether the index holds this very message: its EMAILID and its octets.
    fn holds(&self, message: &MessageInfo) -> bool;

    /// Whether the needle at place `nth` is surely not in the message. Never `true` for what the index does not hold.
    fn rules_out(&self, nth: usize, message: &MessageInfo) -> bool;
}
