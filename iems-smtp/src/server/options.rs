//! What a server is told: plain values, each default with its reason.

use std::time::Duration;

use iems_core::limits::{Act, Bound, Budget, Limit, Per};
use iems_core::message::ChannelId;
use iems_core::receive::{AuthorMatch, SenderMatch};
use iems_core::seam::sasl::Mechanism;

use super::{Believed, SharedSecrets};

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Mail from other servers (RFC 5321).
    Relay,
    /// Mail from users' programs (RFC 6409): nothing without authentication, and only from addresses of the account.
    Submission,
    /// Mail from a trusted neighbour, with one reply for each recipient (RFC 2033).
    Lmtp,
    /// No mail, but accounts that come for what waits for their domains (`ATRN`, RFC 2645), where the server can turn its
    /// connections round.
    Collection,
}

/// To whom `VRFY` says which mailboxes there are (RFC 5321 section 3.5.3, section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// To nobody: the answer is 252, whatever is asked.
    #[default]
    Off,
    /// To peers with an account.
    Authenticated,
    /// To everybody. What is asked counts as recipients do, and what there is not as errors.
    Local,
}

/// A server's options.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// What kind of server it is.
    pub mode: Mode,
    /// The channel's name, by which routes, policies and the matrix know it.
    pub channel: ChannelId,
    /// Our name, as greetings and `EHLO` replies give it.
    pub hostname: String,
    /// Text of the greeting behind the name and `ESMTP`. Default: `IEMS`.
    pub greeting: String,
    /// Largest message in octets. Default 50 MiB: what large providers take.
    pub max_size: u64,
    /// Whether `MAIL` is refused outside TLS. Default no: RFC 3207 section 4 forbids it for public relays, and submission
    /// is protected by not offering `AUTH` there.
    pub require_tls: bool,
    /// Whether the peer's address is looked up in the DNS. Default yes; loopback and private peers never are.
    pub reverse_dns: bool,
    /// How long a peer without TLS from the start waits for its greeting. Whoever talks meanwhile is turned away: programs that
    /// send without listening send spam. Default zero: nobody waits.
    pub greeting_delay: Duration,
    /// Whose reverse-paths are taken. Default: of whoever has logged in, only their own.
    pub senders: SenderMatch,
    /// What follows where the authors in the header section are not those of the account. Default nothing: lists and secretaries write for
    /// others.
    pub authors: AuthorMatch,
    /// How long a submitted message may be held, if its sender wishes (RFC 4865). Default zero: that is not offered.
    pub future_release: Duration,
    /// The least time in which a message may have to be delivered or returned (RFC 2852). Default zero: no bound.
    pub deliver_by_minimum: Duration,
    /// To whom `VRFY` says which mailboxes there are. Default nobody: who harvests addresses asks too.
    pub verify: Verify,
    /// Authentication.
    pub auth: AuthOptions,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
}

impl ServerOptions {
    /// The defaults for a server of this kind. Only submission and collection offer authentication by default.
    pub fn new(mode: Mode, channel: ChannelId, hostname: impl Into<String>) -> Self {
        let enabled = matches!(mode, Mode::Submission | Mode::Collection);
        let auth = AuthOptions { enabled, ..AuthOptions::default() };
        Self {
            mode,
            channel,
            hostname: hostname.into(),
            greeting: "IEMS".into(),
            max_size: 50 << 20,
            require_tls: false,
            reverse_dns: mode == Mode::Relay,
            greeting_delay: Duration::ZERO,
            senders: SenderMatch::default(),
            authors: AuthorMatch::default(),
            future_release: Duration::ZERO,
            deliver_by_minimum: Duration::ZERO,
            verify: Verify::default(),
            auth,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Who may authenticate, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthOptions {
    /// Whether `AUTH` is offered at all.
    pub enabled: bool,
    /// The mechanisms, in the order in which they are offered. Default: those that need nothing but a password. Those that
    /// the channel gives nothing for are not offered.
    pub mechanisms: Vec<Mechanism>,
    /// Whom certificates of peers are believed from. Default: none is believed.
    pub believed: Option<Believed>,
    /// Secrets of accounts, for `CRAM-MD5`, which is offered only where there are some. Default: none.
    pub shared_secrets: SharedSecrets,
    /// Whether it is offered without TLS to peers that are not on this machine. Default no.
    pub without_tls: bool,
    /// From this secret come the verifiers that `SCRAM` makes up for unknown logins. Keep it over restarts, so that they
    /// stay the same. Default: a new one for each server.
    pub secret: Option<[u8; 32]>,
    /// The iteration count of made-up verifiers: the one the directory uses. Default 10,000, which is that of `StoreDirectory`.
    pub iterations: u32,
    /// Failures after which a connection is closed. Default 3.
    pub max_failures: u32,
    /// How long a failure is answered late. Default 1 s: too slow for guessing, unnoticed after a slip of the finger.
    pub failure_delay: Duration,
}

impl std::fmt::Debug for AuthOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthOptions")
            .field("enabled", &self.enabled)
            .field("mechanisms", &self.mechanisms)
            .finish_non_exhaustive()
    }
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            enabled: false,
            mechanisms: Mechanism::WITH_PASSWORD.to_vec(),
            believed: None,
            shared_secrets: SharedSecrets::default(),
            without_tls: false,
            secret: None,
            iterations: 10_000,
            max_failures: 3,
            failure_delay: Duration::from_secs(1),
        }
    }
}

/// Bounds for all that a peer could make large.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once. Default 12,000: an idle one costs a few KiB.
    pub connections: usize,
    /// Connections at once from one IPv4 address or IPv6 /64. Default 100.
    pub per_address: usize,
    /// New connections a minute from one IPv4 address or IPv6 /64. Default 0: no bound.
    pub per_address_minute: u32,
    /// Whether the two bounds per address hold for loopback too. Default no: many programs share it.
    pub count_loopback: bool,
    /// Recipients of a message. Default 1000; RFC 5321 section 4.5.3.1.8 wants at least 100.
    pub recipients: usize,
    /// Errors after which replies to further errors come late. Default 10.
    pub soft_errors: u32,
    /// Errors after which the connection is closed. Default 20. An accepted message sets the count back.
    pub hard_errors: u32,
    /// How late. Default 1 s.
    pub error_delay: Duration,
    /// Commands between two messages that do not lead to one (`NOOP`, `RSET`, `VRFY`, ...); more count as errors.
    /// Default 100.
    pub idle_commands: u32,
    /// Least octets a second of a message on its way in, after `Timeouts::rate_grace`. Default 64: the slowest modem
    /// passes, a socket held open by single octets does not.
    pub min_rate: u32,
}

impl Limits {
    /// Those on connections, as the one place that counts wants them.
    pub(super) fn rules(&self) -> Vec<Limit> {
        let (all, each) = (Bound::AtOnce(self.connections as u64), Bound::AtOnce(self.per_address as u64));
        let minute = Bound::Budget(Budget::per_minute(self.per_address_minute.into()));
        let mut rules = vec![
            Limit::new("limits.connections", Act::Connection, Per::All, all),
            Limit::new("limits.connections_per_address", Act::Connection, Per::Address, each),
        ];
        if self.per_address_minute > 0 {
            rules.push(Limit::new("limits.connections_per_minute", Act::Connection, Per::Address, minute));
        }
        match self.count_loopback {
            true => rules.into_iter().map(|rule| rule.excepting([])).collect(),
            false => rules,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            per_address: 100,
            per_address_minute: 0,
            count_loopback: false,
            recipients: 1000,
            soft_errors: 10,
            hard_errors: 20,
            error_delay: Duration::from_secs(1),
            idle_commands: 100,
            min_rate: 64,
        }
    }
}

/// Times (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a whole command line, from the reply before it. Default 5 min: the least section 4.5.3.2.7 allows.
    pub command: Duration,
    /// For the next octets of a message. Default 3 min (section 4.5.3.2.5).
    pub data: Duration,
    /// How long a message may come slower than `Limits::min_rate`. Default 60 s.
    pub rate_grace: Duration,
    /// For the TLS handshake. Default 60 s.
    pub handshake: Duration,
    /// For the peer to take a reply. Default 5 min.
    pub reply: Duration,
    /// For the names of the peer's address, from its connecting; it is not waited for before `EHLO`. Default 2 s.
    pub reverse_dns: Duration,
    /// For transactions in progress when the server shuts down. Default 30 s.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(300),
            data: Duration::from_secs(180),
            rate_grace: Duration::from_secs(60),
            handshake: Duration::from_secs(60),
            reply: Duration::from_secs(300),
            reverse_dns: Duration::from_secs(2),
            drain: Duration::from_secs(30),
        }
    }
}
