//! Who is connecting: what an input channel knows about its peer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::senders::{AuthorMatch, SenderMatch};
use super::upstream::Upstream;
use crate::message::ChannelId;
use crate::queue::Origin;
use crate::seam::{Account, PeerCertificate};

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
    /// The certificate that it has shown, if it was asked for one.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// Who it proved to be.
    pub account: Option<Account>,
    /// Whether this is submission by a user's program: an account is required, sender rights hold, missing fields
    /// are added (RFC 6409).
    pub submission: bool,
    /// Whether the peer hears about each recipient after the body (LMTP). Otherwise a message that the policy refuses
    /// for some recipients and not for others is delivered to the former as junk.
    pub answers_each: bool,
    /// Whose reverse-paths are taken.
    pub senders: SenderMatch,
    /// What follows where the authors in the header section are not those of the account.
    pub authors: AuthorMatch,
    /// For whom the peer passes the message on, if it is a host of the site and says so. No right comes of it.
    pub upstream: Option<Upstream>,
}

impl Connection {
    /// A connection over `channel` of which nothing else is known yet.
    pub fn new(channel: ChannelId, peer: Option<SocketAddr>) -> Self {
        Self {
            channel,
            peer,
            host: None,
            helo: String::new(),
            protocol: "ESMTP".into(),
            tls: None,
            certificate: None,
            account: None,
            submission: false,
            answers_each: false,
            senders: SenderMatch::default(),
            authors: AuthorMatch::default(),
            upstream: None,
        }
    }

    /// The peer's IP address; an IPv4-mapped one as IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip().to_canonical())
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            channel: self.channel.clone(),
            peer: self.peer.map(|peer| peer.to_string()),
            host: self.host.clone(),
            helo: self.helo.clone(),
            protocol: self.protocol.clone(),
            tls: self.tls.clone(),
            account: self.account.as_ref().map(|account| account.mailbox.to_string()),
            credential: self.account.as_ref().and_then(|a| a.credential.name.as_deref().map(str::to_owned)),
            upstream: self.upstream.clone(),
            tenant: self.account.as_ref().map(|account| account.mailbox.domain().clone()),
        }
    }
}
