//! An account: what it is, what holds for it, and how a new one is described.

use iems_core::message::{Domain, Mailbox};
use iems_core::preprocess::Rule;
use iems_core::seam::Timestamp;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::mailbox::{AccountId, MailboxId};

/// How much mail an account may hold. `None` is without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Octets of all messages, fields added at delivery included.
    pub octets: Option<u64>,
    /// Number of messages.
    pub messages: Option<u64>,
}

/// Whom an account may name as sender besides itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SenderRight {
    /// This address.
    Mailbox(Mailbox),
    /// Every address of this domain.
    Domain(Domain),
}

/// What holds for an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AccountSettings {
    /// Whether it takes mail and may log in. Default: yes.
    pub enabled: bool,
    /// How much mail it may hold. Default: without limit.
    pub quota: Quota,
    /// Whom it may name as sender besides itself, its subaddresses, and aliases that lead to it alone.
    pub senders: Vec<SenderRight>,
    /// Where its mail goes on to. Default: nowhere.
    pub forwards: Vec<Mailbox>,
    /// Whether forwarded mail is kept as well. Default: yes.
    pub keep_copy: bool,
    /// What the user wants done about verdicts.
    pub rules: Vec<Rule>,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            quota: Quota::default(),
            senders: Vec::new(),
            forwards: Vec::new(),
            keep_copy: true,
            rules: Vec::new(),
        }
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountInfo {
    /// Its address, in lower case.
    pub mailbox: Mailbox,
    /// Its number, never used again.
    pub id: AccountId,
    /// Its INBOX.
    pub inbox: MailboxId,
    /// When it was made.
    pub created: Timestamp,
    /// What holds for it.
    pub settings: AccountSettings,
}

/// How an account proves itself.
#[derive(Clone, Default)]
pub enum Password {
    /// Not at all: nobody can log in.
    #[default]
    None,
    /// By this password. Only what it is derived to is kept.
    Clear(String),
    /// By a secret from another directory.
    Derived(Secret),
    /// By the password of which another server made this hash: of crypt(3), or with a scheme in front as Dovecot and LDAP
    /// write it. It is replaced when its owner logs in.
    Hashed(String),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// An account to be made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewAccount {
    /// Its address.
    pub mailbox: Mailbox,
    /// How it proves itself.
    pub password: Password,
    /// What holds for it.
    pub settings: AccountSettings,
}

impl NewAccount {
    /// An account without password, and with default settings.
    pub fn new(mailbox: Mailbox) -> Self {
        Self { mailbox, password: Password::None, settings: AccountSettings::default() }
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Password::Clear(password.into());
        self
    }

    /// The same with a quota.
    #[must_use]
    pub fn with_quota(mut self, quota: Quota) -> Self {
        self.settings.quota = quota;
        self
    }
}
