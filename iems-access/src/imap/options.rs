//! What a server is told: plain values, each default with its reason.

use std::sync::Arc;
use std::time::Duration;

use iems_store::mailbox::UsualMailbox;

use crate::net::{AuthOptions, Settings};

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
    /// The mailboxes that are usual here: what they are for, and which are made at login. Default: those that most mail
    /// programs know, none of which is made.
    pub usual: Arc<[UsualMailbox]>,
    /// Whether `UNAUTHENTICATE` lets others log in over the same connection. Default no: only programs that act for many
    /// users want it, and a proxy in front may rely on one login for each connection (RFC 8437 section 8).
    pub unauthenticate: bool,
}

impl ServerOptions {
    /// The defaults.
    pub fn new(hostname: impl Into<String>) -> Self {
        let (auth, limits, timeouts) = (AuthOptions::default(), Limits::default(), Timeouts::default());
        let usual = UsualMailbox::defaults().into();
        Self { hostname: hostname.into(), auth, limits, timeouts, usual, unauthenticate: false }
    }
}

impl Settings for ServerOptions {
    fn auth(&mut self) -> &mut AuthOptions {
        &mut self.auth
    }

    fn connections(&self) -> (usize, usize) {
        (self.limits.connections, self.limits.per_address)
    }

    fn drain(&self) -> Duration {
        self.timeouts.drain
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
    /// Connections at once of one account, over all IMAP listeners of a server. Default 100: ten programs with a connection for
    /// each of ten mailboxes.
    pub per_account: usize,
    /// Commands in a row that are none, after which the connection is closed. Default 20.
    pub errors: u32,
    /// Octets of a message that is appended. Default 50 MiB.
    pub message_size: u64,
    /// Messages of a mailbox that can be selected. Default 2,000,000, which take 32 MiB for each session.
    pub messages: usize,
    /// Mailboxes that one session may watch by `NOTIFY`. Default 5,000, which take 2 MiB for each session; whenever one of
    /// them changes, the counters of all are looked at.
    pub watched: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            per_address: 100,
            per_account: 100,
            errors: 20,
            message_size: 50 << 20,
            messages: 2_000_000,
            watched: 5_000,
        }
    }
}

/// Times.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the next command once logged in, also within `IDLE`. Default 30 min: the least RFC 9051 section 5.4 allows.
    pub idle: Duration,
    /// For a whole command before login. Default 60 s: whoever says nothing is not a mail program.
    pub login: Duration,
    /// For the TLS handshake. Default 60 s.
    pub handshake: Duration,
    /// For the peer to take a piece of a reply, and to go on with a command it has begun. Default 5 min.
    pub reply: Duration,
    /// For commands in progress when the server shuts down. Default 10 s.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(1800),
            login: Duration::from_secs(60),
            handshake: Duration::from_secs(60),
            reply: Duration::from_secs(300),
            drain: Duration::from_secs(10),
        }
    }
}
