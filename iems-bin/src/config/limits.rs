//! `[limits]`: bounds for peers.

use std::time::Duration;

use iems_smtp::server::Verify;

use super::leaf::{Size, words};
use super::read::{FromToml, section};

section! {
    /// Bounds for peers.
    WrittenLimits {
        /// The largest message.
        message: Size = r#""50MiB""#;
        /// Recipients of one message.
        recipients: u32 = "1000";
        /// Connections of one listener.
        connections: u32 = "10000";
        /// Connections from one address to one listener.
        connections_per_address: u32 = "100";
        /// Systems that a message may have passed.
        hops: u32 = "100";
        /// Times that it may have passed this one.
        own_hops: u32 = "10";
        /// Refused commands before a peer is disconnected.
        errors: u32 = "20";
        /// How long a peer may stay silent.
        idle: Duration = r#""5m""#;
        /// How long a peer waits for its greeting.
        greeting_delay: Duration = r#""0s""#;
        /// How long a submitted message may be held, if its sender wishes.
        future_release: Duration = r#""7d""#;
        /// The least time in which a message may have to be delivered or returned.
        deliver_by_minimum: Duration = r#""0s""#;
        /// To whom `VRFY` says which mailboxes there are.
        vrfy: Verify = r#""off""#;
        /// Memory of the process over which no more connections and messages are taken.
        memory: Size;
    }
}

words! {
    Verify, "one of off, authenticated, local", {
        "off" => Verify::Off, "authenticated" => Verify::Authenticated, "local" => Verify::Local,
    };
}

/// Bounds for peers that the listeners keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections of one listener.
    pub(crate) connections: usize,
    /// Connections from one address.
    pub(crate) connections_per_address: usize,
    /// Refused commands.
    pub(crate) errors: u32,
    /// How long a peer waits for its greeting.
    pub(crate) greeting_delay: Duration,
    /// Silence.
    pub(crate) idle: Duration,
    /// How long a submitted message may be held.
    pub(crate) future_release: Duration,
    /// To whom `VRFY` says which mailboxes there are.
    pub(crate) verify: Verify,
    /// The least time in which a message may have to be delivered or returned.
    pub(crate) deliver_by_minimum: Duration,
}

/// What the listeners keep of them.
pub(super) fn limits(written: &WrittenLimits) -> Limits {
    Limits {
        connections: written.connections.value as usize,
        connections_per_address: written.connections_per_address.value as usize,
        errors: written.errors.value,
        greeting_delay: written.greeting_delay.value.min(Duration::from_secs(60)),
        idle: written.idle.value,
        future_release: written.future_release.value,
        verify: written.vrfy.value,
        deliver_by_minimum: written.deliver_by_minimum.value,
    }
}
