//! Mailboxes: what an account holds, and the one quota ledger. The schema is in `schema.rs`.
//!
//! What delivers only adds steps to a batch (`append`); what users do reads first and commits under conditions. Cost
//! per message does not depend on what is there already.

mod account;
mod acl;
mod annotation;
mod append;
mod change;
mod changes;
mod check;
mod copy;
mod error;
mod expunge;
mod flags;
mod folders;
mod keyword;
mod name;
mod purge;
mod query;
mod quota;
mod rename;
mod replace;
mod rights;
mod row;
mod schema;
mod shown;
mod spans;
mod staging;
mod status;
mod subscribe;
mod sweep;
#[cfg(test)]
mod tests;
mod threads;
mod tree;
mod usual;

pub(crate) use account::{create_account, remove_account};
pub use acl::{AclEntry, Grantee, MAX_ACL, RightsChange};
pub use annotation::{Annotation, MAX_ANNOTATION, MAX_ANNOTATIONS};
pub use append::{Appended, MAX_APPENDED, NewMessage};
pub use change::{FlagAction, FlagChange, Spared, Stored};
pub use changes::{Change, Changes};
pub use check::{Checked, Finding};
pub use copy::Copied;
pub use error::MailboxError;
pub use expunge::{Expunged, LOG_KEPT};
pub use flags::Flags;
pub use folders::{LISTED, MailboxInfo};
pub use keyword::{Keyword, KeywordSet, KeywordTable, MAX_KEYWORD, MAX_KEYWORDS};
pub(crate) use name::fit_name;
pub use name::{DELIMITER, MAX_DEPTH, MAX_PART, MAX_PATH, OTHERS, composed};
pub use query::{Message, MessageInfo, MessageState, Usage};
pub use quota::QuotaState;
pub use rights::{NoRight, Rights};
pub use schema::{AccountId, MailboxId, NAMESPACE, SpecialUse, Uid};
pub use spans::EachRow;
pub(crate) use staging::inbox_of;
pub use staging::{MAX_KEPT_UID, NotKept, Staged};
pub use status::Status;
pub use sweep::{Believed, Swept};
pub use threads::{MessageIdMark, MessageIds};
pub use usual::{Provided, UsualMailbox};

use iems_core::storage::{Batch, Blobs, CommitError, Committed, Storage, StoreError};

/// How often a change is tried again when others change the same rows.
const TRIES: usize = 64;

/// All mailboxes of a storage. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    storage: Storage,
}

impl Mailboxes {
    /// The mailboxes kept in `storage`.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Where the bodies are, to be read with [`iems_core::message::Body::reader`].
    pub fn blobs(&self) -> &dyn Blobs {
        &*self.storage.blobs
    }

    /// Commits; `None` if a condition did not hold.
    async fn try_commit(&self, batch: Batch) -> Result<Option<Committed>, StoreError> {
        match self.storage.store.commit(batch).await {
            Ok(committed) => Ok(Some(committed)),
            Err(CommitError::Conflict) => Ok(None),
            Err(CommitError::Store(e)) => Err(e),
        }
    }

    /// Whether there is an account with this number.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_account(&self, account: AccountId) -> Result<bool, StoreError> {
        Ok(self.storage.store.get(&schema::key(account, b"v")).await?.is_some())
    }

    /// An account that is gone is an error.
    async fn require_account(&self, account: AccountId) -> Result<(), MailboxError> {
        match self.has_account(account).await? {
            true => Ok(()),
            false => Err(MailboxError::NoAccount),
        }
    }

    /// A mailbox that is gone is an error.
    async fn require_mailbox(&self, account: AccountId, mailbox: MailboxId) -> Result<(), MailboxError> {
        self.require_account(account).await?;
        match self.exists(account, mailbox).await? {
            true => Ok(()),
            false => Err(MailboxError::NoMailbox),
        }
    }

    /// Whether there is a mailbox with this number.
    ///
    /// # Errors
    /// The store's.
    pub async fn exists(&self, account: AccountId, mailbox: MailboxId) -> Result<bool, StoreError> {
        let key = schema::key(account, &schema::of_mailbox(b'b', mailbox));
        Ok(self.storage.store.get(&key).await?.is_some())
    }
}

/// The rows of one account were changed by others again and again.
fn busy() -> StoreError {
    StoreError::Io("the mailbox is being changed by too many at once".into())
}
