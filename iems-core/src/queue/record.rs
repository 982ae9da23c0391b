//! What the queue keeps about a message, and how it is written down.
//!
//! A record is one version byte and a postcard encoding. Another version is never guessed at.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lane::Lane;
use crate::deliver::Destination;
use crate::message::{Body, ChannelId, Domain, Envelope, Kind, NextHop, QueueId, Recipient, Reply, Verdict};
use crate::preprocess::Decision;
use crate::receive::Upstream;
use crate::report::Event;
use crate::seam::Timestamp;
use crate::storage::StoreError;

/// The version this engine writes.
const VERSION: u8 = 7;

/// Where a message came from, for trace and stories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The input channel.
    pub channel: ChannelId,
    /// Address and port of the peer.
    pub peer: Option<String>,
    /// Its verified host name.
    pub host: Option<String>,
    /// What it called itself.
    pub helo: String,
    /// The protocol keyword of RFC 3848.
    pub protocol: String,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    /// The account it proved to be.
    pub account: Option<String>,
    /// The name of what it was proved with, unless it was the main password.
    pub credential: Option<String>,
    /// For whom the peer passed it on.
    pub upstream: Option<Upstream>,
    /// On whose behalf it is carried: the domain of the account, or of the mailbox or list that sent it on. `None` for mail
    /// from outside.
    pub tenant: Option<Domain>,
}

impl Origin {
    /// Where the message first came in: what the peer said of that, else the peer itself. `id` is what we call the message.
    pub(crate) fn upstream(&self, id: QueueId) -> Upstream {
        let own = || {
            let peer = self.peer.as_ref().and_then(|peer| peer.parse::<std::net::SocketAddr>().ok());
            Upstream {
                name: self.host.clone(),
                address: peer.map(|peer| peer.ip().to_canonical().to_string()),
                port: peer.map(|peer| peer.port()),
                helo: Some(self.helo.clone()).filter(|helo| !helo.is_empty()),
                protocol: Some(self.protocol.clone()),
                local: Some(self.account.is_some() || peer.is_none()),
                ..Upstream::default()
            }
        };
        Upstream { ident: Some(id.to_string()), ..self.upstream.clone().unwrap_or_else(own) }
    }
}

/// One recipient as it was accepted, and where it was routed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// As the sender gave it.
    pub recipient: Recipient,
    /// Channel or agent, next hop and address there of each target.
    pub targets: Vec<(ChannelId, NextHop, String)>,
    /// Why it went there, for people.
    pub reason: String,
    /// What policy of site and channel decided.
    pub decision: Decision,
}

/// A message as it was accepted. Immutable; kept for the story after delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Somebody's mail, or a notice of ours.
    pub kind: Kind,
    /// The envelope.
    pub envelope: Envelope,
    /// Size in octets as stored.
    pub size: u64,
    /// When it arrived.
    pub arrived: Timestamp,
    /// Where it came from.
    pub origin: Origin,
    /// Its recipients.
    pub recipients: Vec<Accepted>,
    /// What was found.
    pub verdicts: Vec<Verdict>,
    /// What happened in the commit that accepted it.
    pub events: Vec<Event>,
}

impl Message {
    /// Whose share of a hop it uses: that of its account, or else of its sender.
    pub(crate) fn flow(&self) -> String {
        match &self.origin.account {
            Some(account) => account.to_lowercase(),
            None => self.envelope.sender.to_string().to_lowercase(),
        }
    }
}

/// Whether a group is tried when its time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is tried when due.
    Waiting,
    /// It was tried, and deferred; it is tried again when due.
    Deferred,
    /// An operator holds it: it is not tried until released. Its expiry goes on.
    Held,
    /// Its sender wants it to go later: it is tried when due.
    Scheduled,
}

/// Recipients of one message that share a next hop, while they wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Channel or agent.
    pub channel: ChannelId,
    /// The next hop in its words.
    pub hop: NextHop,
    /// Those still waiting.
    pub destinations: Vec<Destination>,
    /// The body for them. The group owns one link to its blob.
    pub body: Body,
    /// See there.
    pub state: State,
    /// Whose turn it takes in its hop.
    pub(crate) lane: Lane,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next.
    pub due: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// When the sender is told of the delay, if that is still to come.
    pub warn: Option<Timestamp>,
    /// What the last attempt got.
    pub last_reply: Option<Reply>,
}

/// What most records take, in octets: growing to it step by step costs more than the record.
const USUAL: usize = 320;

/// Writes a record down.
pub(crate) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    // Serialization into a growing vector cannot fail for our types (no maps of unknown length, no foreign impls).
    let mut bytes = Vec::with_capacity(USUAL);
    bytes.push(VERSION);
    postcard::to_extend(record, bytes).unwrap_or_default()
}

/// Reads a record.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|e| StoreError::Corrupt(format!("{what}: {e}")))
        }
        Some((version, _)) => Err(StoreError::Corrupt(format!(
            "{what}: written by another version (format {version}, this one reads {VERSION})"
        ))),
        None => Err(StoreError::Corrupt(format!("{what}: empty"))),
    }
}
