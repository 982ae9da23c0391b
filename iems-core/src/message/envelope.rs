//! The envelope: who a message is from and for, and what the sender asked of the transport
//! (RFC 5321 section 2.3.1, RFC 3461, RFC 6152, RFC 6531, RFC 8689, RFC 6710, RFC 2852, RFC 4865).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Mailbox, ReversePath};
use crate::seam::Timestamp;

/// `RET=` of RFC 3461 section 4.3: how much of the message a failure report returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Only its header section.
    Headers,
}

/// `BODY=` of RFC 6152 and RFC 3030.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum BodyType {
    /// Only octets below 128, lines up to 998 octets.
    #[default]
    SevenBit,
    /// Octets above 127 may occur.
    EightBitMime,
    /// No line structure at all.
    BinaryMime,
}

/// How a message must be protected on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Secrecy {
    /// As far as each next system allows.
    #[default]
    Usual,
    /// `REQUIRETLS` (RFC 8689): encrypted, to systems that are known to be the right ones and promise the same. Otherwise it fails.
    Required,
    /// `TLS-Required: No` (RFC 8689 section 3): rather unprotected than not at all, whatever the recipient's system asks for.
    Waived,
}

/// `NOTIFY=` of RFC 3461 section 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// Report delivery.
    pub success: bool,
    /// Report failure.
    pub failure: bool,
    /// Report delay.
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
}

impl Default for Notify {
    /// What holds without `NOTIFY`: failure, and delay as a matter of local policy
    /// (RFC 3461 section 4.1).
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

/// `ORCPT=` of RFC 3461 section 4.2: the recipient as the sender knew it, decoded from xtext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalRecipient {
    /// The address type: `rfc822`, `utf-8`, ...
    pub kind: String,
    /// The address in that type's syntax.
    pub address: String,
}

impl fmt::Display for OriginalRecipient {
    /// `type;address`, as in a report (RFC 3464 section 2.3.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.kind, self.address)
    }
}

/// One recipient as the sender gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Where to.
    pub mailbox: Mailbox,
    /// What to report. `None` if the sender did not say.
    pub notify: Option<Notify>,
    /// The original recipient, if the sender said.
    pub original: Option<OriginalRecipient>,
}

impl Recipient {
    /// A recipient without wishes.
    pub const fn new(mailbox: Mailbox) -> Self {
        Self { mailbox, notify: None, original: None }
    }

    /// What to report, with the default filled in.
    pub fn notify(&self) -> Notify {
        self.notify.unwrap_or_default()
    }
}

/// What becomes of a message that is not delivered by the time its sender set (RFC 2852 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Late {
    /// It is given up, and the sender told.
    Return,
    /// The sender is told, and it is tried on.
    Notify,
}

/// By when a message is to be delivered (`BY=`, RFC 2852).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverBy {
    /// The moment.
    pub at: Timestamp,
    /// What follows if it is over.
    pub late: Late,
    /// Whether the sender wants to hear of each system that passes the message on.
    pub trace: bool,
}

/// When a message may go, and how its sender said so (RFC 4865).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Not before this moment.
    pub at: Timestamp,
    /// The seconds it was to be held (`HOLDFOR`); `None` if the moment itself was given (`HOLDUNTIL`).
    pub held: Option<u64>,
}

impl fmt::Display for Release {
    /// As a report tells it (RFC 4865 section 5.1.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.held {
            Some(seconds) => write!(f, "for;{seconds}"),
            None => write!(f, "until;{}", self.at),
        }
    }
}

/// What is said once for all recipients of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who is told about failures.
    pub sender: ReversePath,
    /// The sender's own name for the transaction (`ENVID=`), decoded from xtext.
    pub id: Option<String>,
    /// How much a failure report returns; `None` if the sender did not say.
    pub ret: Option<Ret>,
    /// What octets the body may hold.
    pub body: BodyType,
    /// Whether addresses or headers may hold UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// `MT-PRIORITY=` (RFC 6710): from -9, what can wait, to 9, what cannot; `None` if the sender did not say.
    #[serde(default)]
    pub priority: Option<i8>,
    /// `REQUIRETLS`, or that TLS is not required (RFC 8689).
    #[serde(default)]
    pub secrecy: Secrecy,
    /// When it may go.
    #[serde(default)]
    pub release: Option<Release>,
    /// By when it is to be delivered.
    #[serde(default)]
    pub by: Option<DeliverBy>,
    /// Who submitted it first, as far as that is known for certain (`AUTH=`, RFC 4954 section 5); null if it is not. In an envelope from
    /// outside this is what the peer says, `None` if it says nothing; the engine decides what is to be believed.
    #[serde(default)]
    pub submitter: Option<ReversePath>,
}

impl Envelope {
    /// An envelope without wishes.
    pub const fn new(sender: ReversePath) -> Self {
        Self {
            sender,
            id: None,
            ret: None,
            body: BodyType::SevenBit,
            smtputf8: false,
            priority: None,
            secrecy: Secrecy::Usual,
            release: None,
            by: None,
            submitter: None,
        }
    }
}
