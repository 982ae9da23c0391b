//! Who is who: local recipients, accounts, rights and settings.

use async_trait::async_trait;

use crate::message::{ChannelId, Domain, Mailbox, NextHop, Reply};
use crate::preprocess::Policy;

use super::{Credential, PeerCertificate};

/// Where mail for one local address goes, after aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To an agent of this engine.
    Agent {
        /// Which one.
        agent: ChannelId,
        /// The canonical address there: the account, without detail.
        mailbox: Mailbox,
        /// What stood behind the `+` of a subaddress (RFC 5233), if anything.
        detail: Option<String>,
    },
    /// To an output channel: the address is the door of another system, or of a part of this one.
    Channel {
        /// Which one.
        channel: ChannelId,
        /// The next hop in its words.
        hop: NextHop,
        /// The address there.
        mailbox: Mailbox,
    },
    /// On to another address, local or not, with the same envelope sender.
    Forward(Mailbox),
}

/// What the directory says about a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The domain is not one of ours.
    Foreign,
    /// The domain is ours, and nobody has this address.
    Unknown,
    /// Somebody has it, but mail is refused now.
    Refused(Reply),
    /// Mail goes to all of these. Never empty, no target twice.
    Targets(Vec<Target>),
}

/// Somebody who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's own address, which is also its canonical login name.
    pub mailbox: Mailbox,
    /// What it was proved with.
    pub credential: Credential,
}

impl Account {
    /// An account that was proved with its main credential.
    pub fn new(mailbox: Mailbox) -> Self {
        Self { mailbox, credential: Credential::default() }
    }
}

/// What a SCRAM exchange needs to check a password it never sees (RFC 5803, RFC 7677).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// The iteration count.
    pub iterations: u32,
    /// The salt.
    pub salt: Vec<u8>,
    /// `StoredKey` of RFC 5802, for SHA-256.
    pub stored_key: Vec<u8>,
    /// `ServerKey` of RFC 5802, for SHA-256.
    pub server_key: Vec<u8>,
}

impl std::fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramVerifier(..)")
    }
}

/// Why the directory has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It cannot be asked now.
    #[error("the directory is not available: {0}")]
    Unavailable(String),
    /// Aliases and forwards lead in a circle, or to too many addresses.
    #[error("the address leads in a circle or to too many addresses: {0}")]
    Circle(String),
}

/// A directory.
///
/// - **Role**: answers who is local, where a recipient's mail goes, who may send as whom, and
///   checks credentials.
/// - **Called when**: at each recipient, at authentication, and when an agent delivers.
/// - **Ordering**: an answer may be as old as the last change, never older than a few seconds.
/// - **Cancellation**: dropping a future gives up the question.
/// - **Idempotency**: asking changes nothing, except that `check_password` may count failures.
/// - **Concurrency**: any number of questions. `check_password` bounds its own cost.
/// - **Errors**: [`DirectoryError`], always read as temporary by the engine.
/// - **Example**: the directory of `iems-store`; `examples/embed_minimal`.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Where mail for `mailbox` goes.
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError>;

    /// Whether `domain` is one of ours.
    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError>;

    /// Whether `account` may use `sender` as reverse-path.
    async fn may_send_as(&self, account: &Account, sender: &Mailbox) -> Result<bool, DirectoryError>;

    /// The account, if `password` is one of its passwords. `login` is what the user typed; it may name a credential
    /// ([`super::split_login`]).
    async fn check_password(&self, login: &str, password: &str) -> Result<Option<Account>, DirectoryError>;

    /// The account and its SCRAM verifier. For a login that does not exist, engines of the exchange
    /// go on with a made-up verifier, so that this cannot be seen from outside. `login` as above: without a name, the main password is
    /// meant.
    async fn scram(&self, login: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError>;

    /// The account that a certificate stands for. `identity` is whom the peer wants to act as; without it, the certificate
    /// says who that is. By default, nobody logs in by certificate.
    async fn by_certificate(
        &self,
        _certificate: &PeerCertificate,
        _identity: Option<&str>,
    ) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    /// The account that a bearer token stands for; `login` is what the peer calls itself, if it does, and has to be the same
    /// account. By default, nobody logs in by token.
    async fn by_token(&self, _login: Option<&str>, _token: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    /// The account with this login, which it has proved to somebody whom the site trusts. By default, nobody is known.
    async fn known_as(&self, _login: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    /// An account was proved, and uses `service` from now on: the moment to write down when its credential was last used. By
    /// default, nobody does.
    async fn used(&self, _account: &Account, _service: &str) -> Result<(), DirectoryError> {
        Ok(())
    }

    /// What the owner of a local mailbox wants done about verdicts: the rules of the domain,
    /// then those of the user.
    async fn policy(&self, mailbox: &Mailbox) -> Result<Policy, DirectoryError>;
}
