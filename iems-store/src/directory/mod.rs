//! Directory data in the store: domains, accounts, aliases, policies, passwords.
//!
//! [`StoreDirectory`] answers the engine through [`Directory`](iems_core::seam::Directory) and is changed by people through its own
//! methods. It needs nothing but a [`Storage`], so it works on a server that runs as on one that does not. Never holds
//! more accounts in memory than its cache allows.

mod account;
mod accounts;
mod aliases;
mod answer;
mod app_passwords;
mod cache;
mod domains;
mod error;
mod expand;
mod foreign;
mod options;
mod proofs;
mod quota;
mod schema;
mod secret;
#[cfg(test)]
mod tests;
mod verify;

pub use account::{AccountInfo, AccountSettings, NewAccount, Password, Quota, SenderRight};
pub use aliases::AliasInfo;
pub use app_passwords::{AppPassword, MOST_APP_PASSWORDS, NewAppPassword};
pub use domains::{DomainInfo, DomainSettings};
pub use error::ChangeError;
pub(crate) use expand::{SEPARATOR, split_detail};
pub use options::{DirectoryOptions, PasswordOptions};
pub(crate) use quota::Admission;
pub use quota::{DomainQuota, Over, QuotaOptions, Standing};
pub(crate) use schema::inbox as inbox_key;
pub use schema::{NAMESPACE, USES};
pub use secret::Secret;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use iems_core::message::{ChannelId, Domain, LocalPart, Mailbox};
use iems_core::seam::{Clock, Timestamp, TokenVerifier};
use iems_core::storage::{Batch, CommitError, Storage, StoreError};

use cache::Cache;
use verify::Verifier;

use crate::mailbox::{Mailboxes, Usage};

/// How often a change is tried again when others change the same row.
const TRIES: usize = 16;
/// How many names are compared to find the one that was meant.
const COMPARED: usize = 1000;

/// The directory in the store. Share it in an `Arc`: its cache is the dearer the more copies there are.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use iems_core::seam::{Directory, Resolution, SystemClock};
/// use iems_core::storage::MemoryStorage;
/// use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};
/// let storage = MemoryStorage::new().storage();
/// let directory = StoreDirectory::new(storage, Arc::new(SystemClock), DirectoryOptions::default());
/// directory.add_domain(&"example.org".parse()?, Default::default()).await?;
/// directory.add_account(NewAccount::new("ann@example.org".parse()?)).await?;
/// let resolution = directory.resolve(&"Ann+lists@example.org".parse()?).await?;
/// assert!(matches!(resolution, Resolution::Targets(targets) if targets.len() == 1));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct StoreDirectory {
    storage: Storage,
    mailboxes: Mailboxes,
    clock: Arc<dyn Clock>,
    options: DirectoryOptions,
    agent: ChannelId,
    cache: Cache,
    verifier: Verifier,
    tokens: Option<Arc<dyn TokenVerifier>>,
    uses: app_passwords::Uses,
    sums: Mutex<Sums>,
}

/// What domains hold in all, and when it was added up.
type Sums = HashMap<Domain, (Timestamp, Usage)>;

impl StoreDirectory {
    /// The directory that is kept in `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>, options: DirectoryOptions) -> Self {
        let cache = Cache::new(storage.store.watch(&[NAMESPACE]), options.cache);
        let verifier = Verifier::new(&options.passwords);
        let mailboxes = Mailboxes::new(storage.clone());
        Self {
            storage,
            mailboxes,
            clock,
            agent: ChannelId::new("local"),
            cache,
            verifier,
            options,
            tokens: None,
            sums: Mutex::default(),
            uses: Default::default(),
        }
    }

    /// The same, where accounts may also log in by tokens that `tokens` finds good.
    #[must_use]
    pub fn with_tokens(self, tokens: Arc<dyn TokenVerifier>) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// The time, by the directory's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The mailboxes of the accounts.
    pub fn mailboxes(&self) -> &Mailboxes {
        &self.mailboxes
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

impl fmt::Debug for StoreDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreDirectory").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The canonical spelling: local parts meet whatever their case.
pub(crate) fn fold(mailbox: &Mailbox) -> Mailbox {
    let text = mailbox.local().as_str();
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return mailbox.clone();
    }
    match LocalPart::from_content(&text.to_lowercase()) {
        Ok(local) => Mailbox::new(local, mailbox.domain().clone()),
        Err(_) => mailbox.clone(),
    }
}

/// The candidate most like `wanted`, if one is alike enough to be what was meant.
fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.map(|c| (strsim::damerau_levenshtein(wanted, c), c));
    scored.filter(|(distance, _)| *distance * 3 <= wanted.len().max(3)).min().map(|(_, c)| c)
}
