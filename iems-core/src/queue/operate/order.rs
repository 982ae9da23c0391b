//! Orders: what an operator may do with groups, how far, and what came of it.

use super::{Entry, Mark};
use crate::message::{ChannelId, Mailbox, NextHop};

/// What is to be done with the groups that a filter means. Each group is changed in a commit of its own; the rows of the
/// same names stand in the state table of [`crate::queue`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// They are not tried until released. An attempt under way goes on; what it defers stays held. Expiry goes on.
    Hold,
    /// What is held is tried now, or when its sender wants; what only waits for that moment is tried now.
    Release,
    /// What waits or is deferred, and not what is scheduled, is tried now, and its site is asked even if it is down. Expiry stays.
    Retry,
    /// They are removed, without a report to anybody. An attempt under way may still reach its recipient.
    Purge,
    /// The recipients fail, and the sender is told as ever, with this text.
    Bounce(Option<String>),
    /// The message goes to this address instead, as a new one from the same sender.
    Redirect(Mailbox),
    /// They wait for this channel and next hop from now on, and are tried there now. Recipients stay.
    Via(ChannelId, NextHop),
}

impl Order {
    /// The word for it in stories and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
            Self::Purge => "purge",
            Self::Bounce(_) => "bounce",
            Self::Redirect(_) | Self::Via(..) => "redirect",
        }
    }

    /// Whether it must not meet an attempt under way: a message that was delivered is not to be reported as failed, or sent
    /// elsewhere as well.
    pub(super) fn is_exclusive(&self) -> bool {
        matches!(self, Self::Bounce(_) | Self::Redirect(_) | Self::Via(..))
    }
}

/// How far an order goes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Extent {
    /// Nothing is changed; what would be is counted. Default `false`.
    pub trial: bool,
    /// How many of the groups it means to show. Default 0.
    pub show: usize,
    /// Only groups behind this mark. Default none.
    pub after: Option<Mark>,
    /// At most so many groups; the answer says where to go on. Default all.
    pub most: usize,
}

impl Default for Extent {
    fn default() -> Self {
        Self { trial: false, show: 0, after: None, most: usize::MAX }
    }
}

/// What came of an order.
#[derive(Debug, Clone, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Done {
    /// Groups that were changed, or would be.
    pub changed: u64,
    /// Groups that it does not concern as they are: to hold what is held, to release what is not.
    pub unchanged: u64,
    /// Groups that were left alone because an attempt was under way, or because another engine on the store works for their
    /// hop and may be at it.
    pub under_way: u64,
    /// The first of the groups that are changed, as they were.
    pub first: Vec<Entry>,
    /// Where to go on; `None` if nothing is left.
    pub next: Option<Mark>,
}
