//! Mailboxes: what an account holds, and the one quota ledger. The schema is in `schema.rs`.
//!
//! What delivers only adds steps to a batch (`append`); what users do reads first and commits under conditions. Cost
//! per message does not depend on what is there already.

mod account;
mod append;
mod expunge;
mod flags;
mod folders;
mod purge;
mod query;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use account::{create_account, remove_account};
pub use append::NewMessage;
pub use expunge::Expunged;
pub use flags::Flags;
pub use folders::MailboxInfo;
pub use query::{Change, Message, Usage};
pub use schema::{AccountId, MailboxId, NAMESPACE, SpecialUse, Uid};

use iems_core::storage::{Batch, Blobs, CommitError, Storage, StoreError};

/// How often a change is tried again when others change the same rows.
const TRIES: usize = 16;

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

    /// Commits; `false` if a condition did not hold.
    async fn try_commit(&self, batch: Batch) -> Result<bool, StoreError> {
        match self.storage.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict) => Ok(false),
            Err(CommitError::Store(e)) => Err(e),
        }
    }
}

/// The rows of one account were changed by others again and again.
fn busy() -> StoreError {
    StoreError::Io("the mailbox is being changed by too many at once".into())
}
