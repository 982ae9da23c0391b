//! The mailboxes that every account has, or may have: their names, what they are for (RFC 6154), and whether they are made
//! without being asked for.

use iems_core::seam::Timestamp;
use iems_core::storage::StoreError;

use super::schema::{AccountId, MailboxId, SpecialUse};
use super::{MailboxError, Mailboxes, name};

/// A mailbox that is usual at a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsualMailbox {
    /// Its path.
    pub path: String,
    /// What it is for. A mailbox of this name gets it when it is made, unless another mailbox of the account has it.
    pub special: Option<SpecialUse>,
    /// Whether it is made by itself.
    pub provided: Provided,
}

/// Whether a usual mailbox is made by itself, when its owner logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provided {
    /// No: programs make what they need.
    #[default]
    No,
    /// It is.
    Made,
    /// It is, and subscribed to.
    Subscribed,
}

impl UsualMailbox {
    /// One with a use, which is not made by itself.
    pub fn new(path: impl Into<String>, special: SpecialUse) -> Self {
        Self { path: path.into(), special: Some(special), provided: Provided::No }
    }

    /// Whether a usual mailbox can have this path: a name that is kept as it is written, and not INBOX.
    pub fn is_name(path: &str) -> bool {
        let parts = name::new_parts(path).unwrap_or_default();
        !parts.is_empty() && name::canonical(&parts) == path && !name::is_inbox(path)
    }

    /// Those that most mail programs know, none of which is made by itself.
    pub fn defaults() -> Vec<Self> {
        vec![
            Self::new("Archive", SpecialUse::Archive),
            Self::new("Drafts", SpecialUse::Drafts),
            Self::new("Junk", SpecialUse::Junk),
            Self::new("Sent", SpecialUse::Sent),
            Self::new("Trash", SpecialUse::Trash),
        ]
    }
}

impl Mailboxes {
    /// The use that a mailbox with this path gets when it is made: that of the usual one, if the account has none for it.
    ///
    /// # Errors
    /// The store's.
    pub async fn usual_use(
        &self,
        account: AccountId,
        usual: &[UsualMailbox],
        path: &str,
    ) -> Result<Option<SpecialUse>, StoreError> {
        let special = usual.iter().find(|one| one.path == path).and_then(|one| one.special);
        match special {
            Some(special) if self.special(account, special).await?.is_none() => Ok(Some(special)),
            _ => Ok(None),
        }
    }

    /// Makes what is to be there and is not. A mailbox whose use another one has already is not made. Doing it again
    /// changes nothing, and costs a read for each.
    ///
    /// # Errors
    /// As for [`Self::create`] and [`Self::subscribe`].
    pub async fn provide(
        &self,
        account: AccountId,
        usual: &[UsualMailbox],
        now: Timestamp,
    ) -> Result<Vec<MailboxId>, MailboxError> {
        let mut made = Vec::new();
        for one in usual.iter().filter(|one| one.provided != Provided::No) {
            if let Some(special) = one.special
                && self.special(account, special).await?.is_some()
            {
                continue;
            }
            if self.walk(account, &name::parts(&one.path)?).await?.is_some() {
                continue;
            }
            match self.create(account, &one.path, one.special, now).await {
                Ok(mailbox) => made.push(mailbox),
                // Another session was quicker.
                Err(MailboxError::Exists | MailboxError::UseTaken) => continue,
                Err(error) => return Err(error),
            }
            if one.provided == Provided::Subscribed {
                self.subscribe(account, &one.path, true).await?;
            }
        }
        Ok(made)
    }
}
