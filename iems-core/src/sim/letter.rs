//! What the simulation knows about the letters it sent.

use std::time::Duration;

use tokio::time::Instant;

use crate::message::{Notify, QueueId};
use crate::seam::Timestamp;

/// What became of a letter at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The sender is still at the door.
    Pending,
    /// It is the engine's.
    Accepted,
    /// It is not.
    Refused,
}

/// One letter.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) id: Option<QueueId>,
    pub(super) digest: [u8; 32],
    pub(super) fate: Fate,
    /// When it was accepted, by the time that really passed.
    pub(super) accepted: Duration,
    /// When its sender lets it go, by the clock on the wall; nothing if that is at once.
    pub(super) release: Option<Timestamp>,
    /// How far that clock had been set back, in all, when it was sent.
    pub(super) set_back: Duration,
}

/// How the wait of one recipient ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Delivered,
    Bounced,
    Expired,
    Purged,
    /// The operator sent it on as another message, to another address.
    Redirected,
}

/// One letter on its way to one address.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) number: u64,
    /// The address at its end.
    pub(super) to: String,
    /// The recipient as the sender gave it.
    pub(super) recipient: String,
    /// Who is told; nobody for the null sender.
    pub(super) sender: Option<String>,
    pub(super) notify: Notify,
    /// Its message, where that is another one than the letter's.
    pub(super) id: Option<QueueId>,
    /// The operator may have let it go before its time.
    pub(super) early: bool,
    /// The operator may have sent it through another place.
    pub(super) rerouted: bool,
    /// A copy that a list made: its queue id is not known beforehand.
    pub(super) copy: bool,
    /// The message in which the copy was seen.
    pub(super) copy_id: Option<QueueId>,
    /// The operator may have removed it, or failed it.
    pub(super) dismissed: bool,
    /// Rows of mailboxes.
    pub(super) rows: u64,
    /// A far system took it, and said so.
    pub(super) done: bool,
    /// A far system refused it for good.
    pub(super) never: bool,
    /// An answer was lost in a crash.
    pub(super) excused: bool,
    /// Reports of failure, of delay and of success that were seen.
    pub(super) told: [u64; 3],
    pub(super) end: Option<End>,
}

impl Way {
    /// Whether it ends in a mailbox of ours.
    pub(super) fn is_local(&self) -> bool {
        self.to.ends_with("@here.example")
    }

    /// Whether it arrived.
    pub(super) fn is_delivered(&self) -> bool {
        self.rows > 0 || self.done
    }

    /// Whether its failure must be told to somebody.
    pub(super) fn must_tell(&self) -> bool {
        self.sender.is_some() && self.notify.failure
    }
}

/// What happened between the engine and a far system about one message and one recipient.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Track {
    /// This engine heard how it ended: nobody must begin again.
    pub(super) ended: Option<u64>,
    /// This engine began then, and has not heard how it ended.
    pub(super) begun: Option<(u64, Instant)>,
    /// Times the far system took it.
    pub(super) taken: u64,
}
