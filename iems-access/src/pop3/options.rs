//! What a server is told: plain values, each default with its reason.

use std::time::Duration;

use super::UidlFormat;
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
    /// Least time between two sessions of one account (`LOGIN-DELAY`, RFC 2449 section 6.5). Default zero: none.
    pub login_delay: Duration,
    /// Whether messages that were read whole have `\\Seen` once the session ends with `QUIT`. Default yes: who reads the
    /// same mail by IMAP elsewhere sees what is new.
    pub seen: bool,
    /// What unique ids look like. Default `None`: as we make them, of account, UIDVALIDITY and UID; another server's form is for accounts
    /// that come from there with their UIDs.
    pub uidl: Option<UidlFormat>,
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
            seen: true,
            uidl: None,
        }
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
    /// Errors after which the connection is closed. Default 20; from half of it on replies come a second late.
    pub errors: u32,
    /// Messages a session sees, the oldest first. Default 200,000, which take 3 MiB; the rest comes in the next session.
    pub messages: usize,
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
