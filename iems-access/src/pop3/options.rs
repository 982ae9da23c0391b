//! What a server is told: plain values, each default with its reason.

use std::time::Duration;

use iems_core::limits::{Act, Bound, Limit, Per};
use iems_core::seam::sasl::Mechanism;

use super::Believed;

/// A server's options.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Our name, as the greeting gives it.
    pub hostname: String,
    /// Authentication.
    pub auth: AuthOptions,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
    /// Least time between two sessions of one account (`LOGIN-DELAY`, RFC 2449 section 6.5). Default zero: none.
    pub login_delay: Duration,
}

impl ServerOptions {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            auth: AuthOptions::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            login_delay: Duration::ZERO,
        }
    }
}

/// Who may authenticate, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthOptions {
    /// The mechanisms of `AUTH`, in the order in which they are offered. Default: those that need nothing but a password. Those
    /// that the channel gives nothing for are not offered.
    pub mechanisms: Vec<Mechanism>,
    /// Whom certificates of peers are believed from. Default: none is believed.
    pub believed: Option<Believed>,
    /// Whether passwords may come without TLS from peers that are not on this machine. Default no.
    pub without_tls: bool,
    /// From this secret come the verifiers that `SCRAM` makes up for unknown logins. Keep it over restarts, so that they
    /// stay the same. Default: a new one for each server.
    pub secret: Option<[u8; 32]>,
    /// The iteration count of made-up verifiers: the one the directory uses. Default 10,000, as the directory's.
    pub iterations: u32,
    /// Failures after which a connection is closed. Default 5.
    pub max_failures: u32,
    /// How late the first failure is answered; each further one twice as late, up to 16 s. Default 1 s: too slow for
    /// guessing, unnoticed after a slip of the finger.
    pub failure_delay: Duration,
}

impl std::fmt::Debug for AuthOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthOptions").field("mechanisms", &self.mechanisms).finish_non_exhaustive()
    }
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            mechanisms: Mechanism::WITH_PASSWORD.to_vec(),
            believed: None,
            without_tls: false,
            secret: None,
            iterations: 10_000,
            max_failures: 5,
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
    /// Connections at once from one IPv4 address or IPv6 /64; loopback is not counted. Default 100.
    pub per_address: usize,
    /// Errors after which the connection is closed. Default 20; from half of it on replies come a second late.
    pub errors: u32,
    /// Messages a session sees, the oldest first. Default 200,000, which take 3 MiB; the rest comes in the next session.
    pub messages: usize,
}

impl Limits {
    /// Those on connections, as the one place that counts wants them.
    pub(super) fn rules(&self) -> Vec<Limit> {
        let (all, each) = (Bound::AtOnce(self.connections as u64), Bound::AtOnce(self.per_address as u64));
        vec![
            Limit::new("limits.connections", Act::Connection, Per::All, all),
            Limit::new("limits.connections_per_address", Act::Connection, Per::Address, each),
        ]
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 12_000, per_address: 100, errors: 20, messages: 200_000 }
    }
}

/// Times.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a whole command once logged in, from the reply before it. Default 10 min: the least RFC 1939 section 3 allows.
    pub idle: Duration,
    /// For a whole command before login. Default 60 s: whoever says nothing is not a mail program.
    pub login: Duration,
    /// For the TLS handshake. Default 60 s.
    pub handshake: Duration,
    /// For the peer to take a piece of a reply. Default 5 min.
    pub reply: Duration,
    /// For replies in progress when the server shuts down. Default 10 s.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(600),
            login: Duration::from_secs(60),
            handshake: Duration::from_secs(60),
            reply: Duration::from_secs(300),
            drain: Duration::from_secs(10),
        }
    }
}
