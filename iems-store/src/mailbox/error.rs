//! Why something was not done with a mailbox.

use iems_core::storage::StoreError;

/// Why something was not done with a mailbox. Unless said otherwise, nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxError {
    /// The name cannot be one, and why.
    #[error("this name cannot be used: {0}")]
    BadName(&'static str),
    /// There is something of this name already.
    #[error("it exists already")]
    Exists,
    /// There is no such mailbox, or not any more.
    #[error("there is no such mailbox")]
    NoMailbox,
    /// The account is gone.
    #[error("there is no such account any more")]
    NoAccount,
    /// A name that is kept only for the mailboxes below it.
    #[error("there are mailboxes below it: delete them first")]
    HasChildren,
    /// INBOX is always there.
    #[error("INBOX is always there")]
    Inbox,
    /// Another mailbox has this special use.
    #[error("another mailbox has this use")]
    UseTaken,
    /// A mailbox cannot be moved below itself.
    #[error("a mailbox cannot be moved below itself")]
    BelowItself,
    /// There are as many as there may be.
    #[error("there are too many {0}: at most {1} are allowed")]
    TooMany(&'static str, usize),
    /// It is larger than it may be, in octets.
    #[error("{0} may have {1} octets at most")]
    TooLarge(&'static str, usize),
    /// Others change the same again and again.
    #[error("it is being changed by too many at once: try again")]
    Busy,
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MailboxError {
    /// Whether trying the same again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Store(e) => e.is_temporary(),
            _ => false,
        }
    }
}
