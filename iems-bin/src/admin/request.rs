//! What can be asked of an administration: one value per command, the same over the socket and here.

use std::time::Duration;

use iems_core::limits::Key;
use iems_core::message::{Domain, Envelope, Mailbox, Notify, OriginalRecipient, QueueId};
use iems_core::preprocess::Rule;
use iems_core::seam::{CertificateMark, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::queue::{Extent, Filter, HopName, Order};
use super::quota::QuotaChange;
use super::transfer::TransferOrder;

/// One command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Makes a domain ours.
    DomainAdd { name: Domain },
    /// Gives it up; refused while it has accounts or aliases.
    DomainRemove { name: Domain },
    /// All domains.
    DomainList,
    /// One domain.
    DomainShow { name: Domain },
    /// Changes a domain.
    DomainSet { name: Domain, change: DomainChange },
    /// A new account.
    AccountAdd { address: Mailbox, password: Secret, hashed: bool, quota: Option<u64> },
    /// Removes an account with its mailbox.
    AccountRemove { address: Mailbox },
    /// All accounts, or those of a domain.
    AccountList { domain: Option<Domain> },
    /// One account.
    AccountShow { address: Mailbox },
    /// Changes an account.
    AccountSet { address: Mailbox, change: AccountChange },
    /// A new password.
    AccountPassword { address: Mailbox, password: Secret, hashed: bool },
    /// Binds a certificate to an account, or unbinds it.
    AccountCertificate { address: Mailbox, mark: Mark, add: bool },
    /// The certificates of an account.
    AccountCertificates { address: Mailbox },
    /// A new app password of an account.
    AppPasswordAdd { address: Mailbox, name: Option<String>, scopes: Vec<String>, expires: Option<Duration> },
    /// Takes an app password away.
    AppPasswordRemove { address: Mailbox, name: String },
    /// The app passwords of an account.
    AppPasswordList { address: Mailbox },
    /// Mail for `from` goes to all of `to` as well.
    AliasAdd { from: Mailbox, to: Vec<Mailbox> },
    /// Takes targets away, or the whole alias if none are named.
    AliasRemove { from: Mailbox, to: Vec<Mailbox> },
    /// All aliases, or those of a domain.
    AliasList { domain: Option<Domain> },
    /// Replaces the rules of a domain or user.
    PolicySet { owner: Owner, rules: Vec<Rule> },
    /// The rules of a domain or user.
    PolicyList { owner: Owner },
    /// What all accounts and domains hold, or those of a domain.
    QuotaList { domain: Option<Domain> },
    /// What one of them holds.
    QuotaShow { owner: Owner },
    /// Changes its limits.
    QuotaSet { owner: Owner, change: QuotaChange },
    /// Counts an account anew, or all.
    QuotaRecount { address: Option<Mailbox> },
    /// How the indexes of some accounts are, or of all that have one.
    #[cfg(feature = "search")]
    SearchStatus { addresses: Vec<Mailbox> },
    /// Has some accounts indexed, or all.
    #[cfg(feature = "search")]
    SearchBuild { addresses: Vec<Mailbox> },
    /// Removes the indexes of some accounts, or all.
    #[cfg(feature = "search")]
    SearchDrop { addresses: Vec<Mailbox> },
    /// Begins to bring an account's mail in or out as files.
    StoreTransfer { order: TransferOrder },
    /// How far that is; of its problems all but the first.
    StoreTransferred { id: u64, told: usize },
    /// What waits.
    QueueList { filter: Filter },
    /// One message.
    QueueShow { id: QueueId },
    /// Does something with what waits.
    QueueOrder { filter: Filter, order: Order, extent: Extent },
    /// Stops a hop, or all.
    QueuePause { hop: Option<HopName>, reason: String },
    /// Lets a hop, or all, go on.
    QueueResume { hop: Option<HopName> },
    /// The queue at a glance, with its first hops.
    QueueHops { by_name: bool, limit: usize },
    /// Where mail for an address would go.
    Route { address: Mailbox },
    /// The story of a message.
    Explain { id: QueueId },
    /// What was counted for reports about TLS.
    TlsReportsList { domain: Option<Domain> },
    /// Sends them.
    TlsReportsSend { today: bool },
    /// What others told about TLS with us, the latest first.
    TlsReportsReceived { domain: Option<Domain>, since: Option<Timestamp>, failed: bool, most: usize },
    /// The certificates that listeners show.
    TlsShow,
    /// Limits, whom they hit, and bans.
    LimitsList,
    /// Bans somebody.
    LimitsBan { who: Key, span: Duration, reason: String },
    /// Lifts the ban of somebody, or all.
    LimitsClear { who: Option<Key> },
    /// What the server is doing.
    Status,
    /// Whether mail for an address would be taken: the reply that refuses it.
    Verify { address: Mailbox },
    /// A message follows, in pieces.
    Sendmail { letter: Letter },
}

/// Whom a message is from and for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// The sender and its wishes; what the body holds is found out.
    pub(crate) envelope: Envelope,
    /// The recipients: all are taken, or none.
    pub(crate) recipients: Vec<Addressee>,
}

/// A recipient of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Addressee {
    /// Its address.
    pub(crate) address: Mailbox,
    /// What the sender wants to hear (RFC 3461).
    pub(crate) notify: Option<Notify>,
    /// The address as the sender knew it.
    pub(crate) original: Option<OriginalRecipient>,
}

/// The SHA-256 of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) CertificateMark);

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A password, or another server's hash of one. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What becomes of a value that may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change<T> {
    /// It stays.
    #[default]
    Keep,
    /// It becomes this.
    Set(T),
    /// It goes.
    Clear,
}

impl<T: Clone> Change<T> {
    /// Makes the change.
    pub(crate) fn apply(&self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Set(new) => *value = Some(new.clone()),
            Self::Clear => *value = None,
        }
    }
}

/// What to change about a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DomainChange {
    /// Where mail for unknown addresses goes.
    pub(crate) catch_all: Change<Mailbox>,
    /// Who gets mail for postmaster and abuse.
    pub(crate) postmaster: Change<Mailbox>,
}

/// What to change about an account; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountChange {
    /// The most its mailbox may hold, in octets; 0 lifts the bound.
    pub(crate) quota: Option<u64>,
    /// Whether it takes mail and may log in.
    pub(crate) enabled: Option<bool>,
    /// Where its mail goes on to; empty ends forwarding.
    pub(crate) forward: Option<Vec<Mailbox>>,
    /// Whether forwarded mail is kept as well.
    pub(crate) keep: bool,
    /// Whom it may name as sender besides itself.
    pub(crate) senders: Option<Vec<Owner>>,
    /// The services for which the main password is not taken.
    pub(crate) only_app_passwords: Option<Vec<String>>,
}

/// A domain, or one of its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Owner {
    /// A domain.
    Domain(Domain),
    /// A user.
    User(Mailbox),
}

impl std::str::FromStr for Owner {
    type Err = iems_core::message::AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.contains('@') {
            true => text.parse().map(Self::User),
            false => text.parse().map(Self::Domain),
        }
    }
}
