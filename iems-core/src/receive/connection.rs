//! Who is connecting: what an input channel knows about its peer.

use std::net::{IpAddr, SocketAddr};

use crate::message::ChannelId;
use crate::seam::Account;

/// The peer of an input channel, filled in as more becomes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The channel it came by: `smtp`, `submission`, `lmtp`, `sendmail`.
    pub channel: ChannelId,
    /// Its address; `None` for a local program.
    pub peer: Option<SocketAddr>,
    /// Its verified host name (forward-confirmed), if there is one.
    pub host: Option<String>,
    /// What it called itself.
    pub helo: String,
    /// The protocol keyword of RFC 3848 for the `Received` field: `ESMTP`, `ESMTPS`, `ESMTPSA`, ...
    pub protocol: String,
    /// TLS version and cipher suite, for people; `None` in the clear.
    pub tls: Option<String>,
    /// Who it proved to be.
    pub account: Option<Account>,
    /// Whether this is submission by a user's program: sender rights hold, missing fields are added
    /// (RFC 6409).
    pub submission: bool,
}

impl Connection {
    /// A connection over `channel` of which nothing else is known yet.
    pub fn new(channel: ChannelId, peer: Option<SocketAddr>) -> Self {
        let (helo, protocol) = (String::new(), String::from("ESMTP"));
        Self { channel, peer, host: None, helo, protocol, tls: None, account: None, submission: false }
    }

    /// The peer's IP address; an IPv4-mapped one as IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip().to_canonical())
    }
}
