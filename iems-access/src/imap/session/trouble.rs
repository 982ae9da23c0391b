//! Why a command ended early: the peer is gone, or hears why not.

use std::io;

use iems_core::storage::StoreError;
use iems_store::mailbox::MailboxError;

use crate::imap::search::SearchError;
use crate::imap::types::{Code, Status};
use crate::net::Spent;

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The peer cannot be told anything.
    Io(io::Error),
    /// What it is told.
    Said(Status),
}

/// How a command ended.
pub(super) type Outcome = Result<Status, Trouble>;

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        Self::Said(status)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "no answer for a mail program");
        Self::Said(Status::no("The mail cannot be reached now; try again later").with(Code::Unavailable))
    }
}

impl From<Spent> for Trouble {
    fn from(_: Spent) -> Self {
        Self::Said(spent())
    }
}

/// The account holds as much memory as it may.
pub(in crate::imap) fn spent() -> Status {
    let why = "Your sessions hold all the memory that your account may have; wait until others are done, or ask for less";
    Status::no(why).with(Code::Limit)
}

impl From<SearchError> for Trouble {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Store(error) => error.into(),
            SearchError::Spent(spent) => spent.into(),
            _ => Self::Said(Status::no("This would read too much; search fewer messages").with(Code::Limit)),
        }
    }
}

impl From<MailboxError> for Trouble {
    fn from(error: MailboxError) -> Self {
        let code = match &error {
            MailboxError::Store(_) | MailboxError::NoAccount => return unavailable(&error),
            MailboxError::Exists => Code::AlreadyExists,
            MailboxError::NoMailbox => Code::NonExistent,
            MailboxError::HasChildren => Code::HasChildren,
            MailboxError::UseTaken => Code::UseAttr,
            MailboxError::TooMany(..) => Code::Limit,
            MailboxError::Busy => Code::InUse,
            _ => Code::Cannot,
        };
        Self::Said(Status::no(sentence(&error.to_string())).with(code))
    }
}

fn unavailable(error: &MailboxError) -> Trouble {
    tracing::warn!(%error, "no answer for a mail program");
    Trouble::Said(Status::no("The mail cannot be reached now; try again later").with(Code::Unavailable))
}

/// With a capital letter at the beginning.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
