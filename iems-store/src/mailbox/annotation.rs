//! Annotations of mailboxes and of the whole account (METADATA, RFC 5464): private ones for each account, and shared ones.

use bytes::Bytes;
use iems_core::storage::{Batch, Scan, StoreError, Template};

use super::schema::{self, AccountId, Count, MailboxId};
use super::{MailboxError, Mailboxes};
use crate::rows;

/// The most annotations of one mailbox that one account sees, private and shared each.
pub const MAX_ANNOTATIONS: usize = 100;
/// The largest value of an annotation, in octets.
pub const MAX_ANNOTATION: usize = 16 * 1024;
/// The longest name of an entry, in octets.
const MAX_ENTRY: usize = 255;

/// An annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Its entry, in lower case, such as `/private/comment`.
    pub entry: String,
    /// Its value.
    pub value: Bytes,
}

impl Mailboxes {
    /// The annotations that `account` sees: its private ones, and the shared ones if `shared`. Without a mailbox, those
    /// of the whole account `owner` (RFC 5464 calls them the server's).
    ///
    /// # Errors
    /// The store's.
    pub async fn annotations(
        &self,
        owner: AccountId,
        mailbox: Option<MailboxId>,
        account: AccountId,
        shared: bool,
    ) -> Result<Vec<Annotation>, StoreError> {
        let mut all = Vec::new();
        for (prefix, head) in prefixes(owner, mailbox, account).into_iter().take(1 + usize::from(shared)) {
            for (key, row) in self.storage.store.scan(Scan::prefix(&prefix, MAX_ANNOTATIONS)).await? {
                let rest = key.get(prefix.len()..).and_then(|rest| std::str::from_utf8(rest).ok());
                let rest = rest.ok_or_else(|| StoreError::Corrupt("the name of an annotation".into()))?;
                let length = rows::versioned(&row, "an annotation")?.len();
                let value = row.slice(row.len() - length..);
                all.push(Annotation { entry: format!("{head}{rest}"), value });
            }
        }
        Ok(all)
    }

    /// Sets an annotation, or removes it. Which rights that takes is for the caller to know. If it is another one then, the
    /// mailbox has a new highest MODSEQ (RFC 7162 section 3.2).
    ///
    /// # Errors
    /// [`MailboxError::BadName`], [`MailboxError::TooLarge`], [`MailboxError::TooMany`], [`MailboxError::NoMailbox`],
    /// [`MailboxError::NoAccount`]; the store's.
    pub async fn annotate(
        &self,
        owner: AccountId,
        mailbox: Option<MailboxId>,
        account: AccountId,
        entry: &str,
        value: Option<&[u8]>,
    ) -> Result<(), MailboxError> {
        let entry = entry.to_ascii_lowercase();
        check(&entry)?;
        let both = prefixes(owner, mailbox, account);
        let found = both.into_iter().find_map(|(prefix, head)| Some((entry.strip_prefix(head)?, prefix)));
        let (rest, prefix) =
            found.ok_or(MailboxError::BadName("it begins with neither /private/ nor /shared/"))?;
        let key = [&prefix[..], rest.as_bytes()].concat();
        let mut batch = Batch::new();
        batch.require_present(&schema::key(owner, b"v"));
        let before = self.storage.store.get(&key).await?;
        let before = before.as_deref().map(|row| rows::versioned(row, "an annotation")).transpose()?;
        if let Some(mailbox) = mailbox {
            batch.require_present(&schema::key(owner, &schema::of_mailbox(b'b', mailbox)));
            if before != value {
                let modseq = batch.allocate(&schema::key(owner, b"q"), 1);
                let highest = schema::key(owner, &schema::of_count(mailbox, Count::Highest));
                batch.put(highest, Template::default().number(modseq, 0));
            }
        }
        match value {
            Some(value) => {
                self.check_room(&prefix, &key, value).await?;
                batch.put(key, Template::from(&[rows::VERSION]).bytes(value));
            }
            None => batch.delete(&key),
        }
        if self.try_commit(batch).await?.is_none() {
            self.require_account(owner).await?;
            return Err(MailboxError::NoMailbox);
        }
        Ok(())
    }

    async fn check_room(&self, prefix: &[u8], key: &[u8], value: &[u8]) -> Result<(), MailboxError> {
        if value.len() > MAX_ANNOTATION {
            return Err(MailboxError::TooLarge("an annotation", MAX_ANNOTATION));
        }
        let there = self.storage.store.scan(Scan::prefix(prefix, MAX_ANNOTATIONS)).await?;
        match there.len() >= MAX_ANNOTATIONS && there.iter().all(|(known, _)| known != key) {
            true => Err(MailboxError::TooMany("annotations", MAX_ANNOTATIONS)),
            false => Ok(()),
        }
    }
}

/// Where private and shared annotations are, and how their entries begin.
fn prefixes(
    owner: AccountId,
    mailbox: Option<MailboxId>,
    account: AccountId,
) -> [(Vec<u8>, &'static str); 2] {
    let mailbox = schema::of_mailbox(b'z', mailbox.unwrap_or(MailboxId(0)));
    let private = [&mailbox[..], b"p", &account.0.to_be_bytes()].concat();
    let shared = [&mailbox[..], b"s"].concat();
    [(schema::key(owner, &private), "/private/"), (schema::key(owner, &shared), "/shared/")]
}

/// An entry is a path of parts (RFC 5464 section 3.2).
fn check(entry: &str) -> Result<(), MailboxError> {
    let graphic = entry.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'%');
    match graphic && entry.len() <= MAX_ENTRY && !entry.ends_with('/') && !entry.contains("//") {
        true => Ok(()),
        false => Err(MailboxError::BadName("an entry is a path of ASCII characters without * and %")),
    }
}
