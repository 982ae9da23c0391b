//! Subscriptions (RFC 9051 sections 6.3.7 and 6.3.8): names, whether or not there is such a mailbox now.

use iems_core::storage::{Batch, Scan, StoreError};

use super::folders::LISTED;
use super::schema::{self, AccountId};
use super::{MailboxError, Mailboxes, name};
use crate::rows;

impl Mailboxes {
    /// Subscribes to a name, or ends the subscription. Doing either twice is fine.
    ///
    /// # Errors
    /// [`MailboxError::BadName`], [`MailboxError::TooMany`], [`MailboxError::NoAccount`]; the store's.
    pub async fn subscribe(
        &self,
        account: AccountId,
        path: &str,
        subscribed: bool,
    ) -> Result<(), MailboxError> {
        let path = name::canonical(&name::parts(path)?);
        let key = schema::key(account, &schema::of_subscription(&path));
        if self.storage.store.get(&key).await?.is_some() == subscribed {
            return Ok(());
        }
        if subscribed && self.subscriptions(account).await?.len() >= LISTED {
            return Err(MailboxError::TooMany("subscriptions", LISTED));
        }
        let mut batch = Batch::new();
        batch.require_present(&schema::key(account, b"v"));
        match subscribed {
            true => batch.put(key, &[rows::VERSION]),
            false => batch.delete(&key),
        }
        match self.try_commit(batch).await? {
            Some(_) => Ok(()),
            None => Err(MailboxError::NoAccount),
        }
    }

    /// Adds the step that subscribes to a mailbox that the same batch makes.
    pub(crate) fn subscribe_in(batch: &mut Batch, account: AccountId, path: &str) {
        if let Ok(parts) = name::parts(path) {
            let path = name::canonical(&parts);
            batch.put(schema::key(account, &schema::of_subscription(&path)), &[rows::VERSION]);
        }
    }

    /// All names that the user subscribed to, in order; some may not be mailboxes any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        let prefix = schema::key(account, b"y");
        let rows = self.storage.store.scan(Scan::prefix(&prefix, LISTED)).await?;
        let names = rows.iter().map(|(key, _)| {
            let name = key.get(prefix.len()..).unwrap_or_default();
            std::str::from_utf8(name).map(str::to_owned)
        });
        names.collect::<Result<_, _>>().map_err(|_| StoreError::Corrupt("a subscription".into()))
    }
}
