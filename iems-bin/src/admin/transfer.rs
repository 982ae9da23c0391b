//! Mail in and out as files, in the words of the administration.

use std::path::PathBuf;

use iems_core::message::Mailbox;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// What is to be brought in or out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransferOrder {
    /// Whether it goes out.
    pub(crate) out: bool,
    /// The account.
    pub(crate) address: Mailbox,
    /// Where from or where to: an absolute path.
    pub(crate) place: PathBuf,
    /// `maildir`, `mbox` or `eml`.
    pub(crate) format: String,
    /// The only mailbox that goes out; the one for what stands in no folder of its own when it comes in.
    pub(crate) mailbox: Option<String>,
    /// Whether messages that come in get new UIDs, also where they could keep theirs.
    #[serde(default)]
    pub(crate) new_uids: bool,
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransferAnswer {
    /// Its number, by which it is asked about.
    pub(crate) id: u64,
    /// The mailbox that it is at.
    pub(crate) mailbox: String,
    /// Mailboxes that are done.
    pub(crate) mailboxes: u64,
    /// Messages that went in or out.
    pub(crate) messages: u64,
    /// Their octets.
    pub(crate) octets: u64,
    /// Messages that were there.
    pub(crate) left_out: u64,
    /// Files and folders that were refused.
    pub(crate) refused: u64,
    /// Problems that were not told yet.
    pub(crate) problems: Vec<Trouble>,
    /// At the end, for each mailbox that came in, whether UIDs were kept.
    #[serde(default)]
    pub(crate) uids: Vec<Kept>,
    /// Whether it has ended; it is forgotten then.
    pub(crate) ended: bool,
    /// Why it ended before its time.
    pub(crate) failure: Option<Failure>,
}

/// Whether the messages of a mailbox have the UIDs that they had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Its path.
    pub(crate) mailbox: String,
    /// Whether they have.
    pub(crate) kept: bool,
    /// Its UIDVALIDITY.
    pub(crate) uid_validity: u32,
    /// Why not, or what else is to be known.
    pub(crate) why: String,
}

/// A file or folder that was refused, or what of it was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// Which.
    pub(crate) path: String,
    /// What about it.
    pub(crate) why: String,
}
