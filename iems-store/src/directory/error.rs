//! Why a change of the directory was not made, in words for people.

use iems_core::message::{Domain, Mailbox};
use iems_core::storage::StoreError;

/// Why a change was not made. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The domain is there already.
    #[error("the domain {0} exists already")]
    DomainExists(Domain),
    /// There is no such domain.
    #[error("there is no domain {domain}{}", did_you_mean(nearest))]
    NoSuchDomain {
        /// What was asked for.
        domain: Domain,
        /// What may have been meant.
        nearest: Option<Domain>,
    },
    /// A domain with accounts or aliases cannot be removed.
    #[error("the domain {domain} still has {members} accounts and aliases: remove them first")]
    DomainNotEmpty {
        /// The domain.
        domain: Domain,
        /// How many accounts and aliases it has.
        members: u64,
    },
    /// The address belongs to an account.
    #[error("the account {0} exists already")]
    AccountExists(Mailbox),
    /// The address belongs to an alias.
    #[error("the alias {0} exists already")]
    AliasExists(Mailbox),
    /// There is no such account.
    #[error("there is no account {mailbox}{}", did_you_mean(nearest))]
    NoSuchAccount {
        /// What was asked for.
        mailbox: Mailbox,
        /// What may have been meant.
        nearest: Option<Mailbox>,
    },
    /// A certificate is for one account.
    #[error("the certificate is bound to the account {0}: remove it there first")]
    CertificateTaken(Mailbox),
    /// What an app password cannot be called.
    #[error(
        "{0:?} is no name of an app password: expected 1 to 32 of a-z, 0-9, dot, hyphen and underscore, such as \"phone\""
    )]
    AppPasswordName(String),
    /// The account has one with this name.
    #[error("there is an app password {0:?} already: remove it first, or choose another name")]
    AppPasswordExists(String),
    /// The account has as many as it may have.
    #[error("an account may have at most {0} app passwords: remove one that nobody uses")]
    TooManyAppPasswords(usize),
    /// There is no such alias.
    #[error("there is no alias {mailbox}{}", did_you_mean(nearest))]
    NoSuchAlias {
        /// What was asked for.
        mailbox: Mailbox,
        /// What may have been meant.
        nearest: Option<Mailbox>,
    },
    /// An alias needs somebody to go to.
    #[error("an alias needs at least one target")]
    NoTargets,
    /// More targets than one address may have.
    #[error("{0} targets are too many: at most {1} are allowed; make it a list instead")]
    TooManyTargets(usize, usize),
    /// Mail would run in a circle, or through too many aliases.
    #[error("mail for {0} would never arrive: {1}")]
    Circle(Mailbox, String),
    /// A user's rules cannot refuse or defer: when they are asked, it is too late for that.
    #[error("a user's rule may accept, tag, junk or discard, but not {0}")]
    RuleNotAllowed(iems_core::preprocess::Action),
    /// The password cannot be one.
    #[error("this password cannot be used: {0}")]
    Password(String),
    /// Somebody else keeps changing the same entry.
    #[error("the entry is being changed by somebody else: try again")]
    Busy,
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChangeError {
    /// Whether trying the same again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Store(e) => e.is_temporary(),
            _ => false,
        }
    }
}

fn did_you_mean<T: std::fmt::Display>(nearest: &Option<T>) -> String {
    nearest.as_ref().map(|n| format!(": did you mean {n}?")).unwrap_or_default()
}
