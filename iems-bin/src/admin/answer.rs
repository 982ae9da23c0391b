//! What an administration answers: the shapes that `--json` prints, documented in `docs/config.md`.
//! Fields are only ever added.

use iems_core::message::{Domain, Mailbox};
use serde::{Deserialize, Serialize};

/// A domain of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DomainAnswer {
    /// Its name.
    pub(crate) name: Domain,
    /// How many accounts and aliases it has.
    pub(crate) members: u64,
    /// Where mail for unknown addresses goes.
    pub(crate) catch_all: Option<Mailbox>,
    /// Who gets mail for postmaster and abuse, if these are nobody's.
    pub(crate) postmaster: Option<Mailbox>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountAnswer {
    /// Its address and login name.
    pub(crate) address: Mailbox,
    /// Whether it takes mail and may log in.
    pub(crate) enabled: bool,
    /// Messages in its mailbox.
    pub(crate) messages: u64,
    /// Octets in its mailbox.
    pub(crate) used: u64,
    /// The most octets it may hold.
    pub(crate) quota: Option<u64>,
    /// Where its mail goes on to.
    pub(crate) forward: Vec<Mailbox>,
    /// Whether forwarded mail is kept as well.
    pub(crate) keep: bool,
    /// Whom it may name as sender besides itself: addresses and domains.
    pub(crate) senders: Vec<String>,
    /// Services for which the main password is not taken.
    #[serde(default)]
    pub(crate) only_app_passwords: Vec<String>,
}

/// An app password that was just made. Its secret is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AppPasswordMade {
    /// The account.
    pub(crate) account: String,
    /// What it is called.
    pub(crate) name: String,
    /// The login that names it.
    pub(crate) login: String,
    /// The secret.
    pub(crate) password: String,
    /// The services it is for; empty: all.
    pub(crate) scopes: Vec<String>,
    /// From when on it is not taken any more.
    pub(crate) expires: Option<String>,
}

/// An app password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AppPasswordAnswer {
    /// What it is called.
    pub(crate) name: String,
    /// The services it is for; empty: all.
    pub(crate) scopes: Vec<String>,
    /// When it was made.
    pub(crate) created: String,
    /// From when on it is not taken any more.
    pub(crate) expires: Option<String>,
    /// When it was used last, up to an hour too early.
    pub(crate) used: Option<String>,
    /// For which service.
    pub(crate) used_for: Option<String>,
}

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AliasAnswer {
    /// The address.
    pub(crate) from: Mailbox,
    /// Where its mail goes.
    pub(crate) to: Vec<Mailbox>,
}

/// The story of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExplainAnswer {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) story: serde_json::Value,
}

/// Where mail for an address would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteAnswer {
    /// The address that was asked about.
    pub(crate) address: String,
    /// Whether mail for it would be taken.
    pub(crate) accepted: bool,
    /// Whether it is one of ours, so that anybody may write to it.
    pub(crate) local: bool,
    /// The ways it would take.
    pub(crate) ways: Vec<WayAnswer>,
    /// Why, step by step.
    pub(crate) reason: String,
    /// The reply that refuses it.
    pub(crate) reply: Option<String>,
}

/// One way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WayAnswer {
    /// The channel or agent.
    pub(crate) channel: String,
    /// The next hop.
    pub(crate) hop: String,
    /// The address there.
    pub(crate) address: String,
    /// The place it leads to now, whose limits it shares with other next hops; nothing for an agent.
    pub(crate) site: Option<String>,
    /// Whose rules hold there: `default`, or file, line and pattern of a `[[peer]]`.
    pub(crate) peer: String,
    /// The hosts there, in the order in which they are tried, and what their TLS is owed.
    #[serde(default)]
    pub(crate) hosts: Vec<HostAnswer>,
}

/// How TLS sessions with a domain went on a day, under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TlsSessionsAnswer {
    /// The day, UTC.
    pub(crate) day: String,
    /// The domain.
    pub(crate) domain: String,
    /// `tlsa`, `sts` or `no-policy-found`.
    pub(crate) policy: String,
    /// Sessions as the policy wants them.
    pub(crate) good: u64,
    /// Sessions that were not.
    pub(crate) bad: u64,
    /// Why not.
    pub(crate) failures: Vec<FlawAnswer>,
}

/// Sessions that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FlawAnswer {
    /// The result type of RFC 8460.
    pub(crate) result: String,
    /// The host.
    pub(crate) host: Option<String>,
    /// In words.
    pub(crate) reason: String,
    /// How many.
    pub(crate) sessions: u64,
}

/// One host that mail would go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostAnswer {
    /// Its name or address.
    pub(crate) host: String,
    /// What must hold before mail goes to it, and the policy that wants it.
    pub(crate) tls: String,
}

/// What a submission got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Submitted {
    /// The queue id.
    pub(crate) id: String,
}
