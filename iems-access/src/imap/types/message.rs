//! What is told of a message's header and structure (RFC 9051 section 7.5.2).
//!
//! Values are octets as the message has them, without folding: old messages hold anything. The encoder sees to it that
//! they are safe on the wire.

use bytes::Bytes;

/// `ENVELOPE`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// `Date`.
    pub date: Option<Bytes>,
    /// `Subject`.
    pub subject: Option<Bytes>,
    /// `From`.
    pub from: Vec<Address>,
    /// `Sender`; `From` if there is none.
    pub sender: Vec<Address>,
    /// `Reply-To`; `From` if there is none.
    pub reply_to: Vec<Address>,
    /// `To`.
    pub to: Vec<Address>,
    /// `Cc`.
    pub cc: Vec<Address>,
    /// `Bcc`.
    pub bcc: Vec<Address>,
    /// `In-Reply-To`.
    pub in_reply_to: Option<Bytes>,
    /// `Message-ID`.
    pub message_id: Option<Bytes>,
}

/// An address. A group begins with one that has a mailbox (the group's name) and no host, and ends with one that has neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// The name for people.
    pub name: Option<Bytes>,
    /// The source route (`@a,@b`).
    pub route: Option<Bytes>,
    /// Before the `@`.
    pub mailbox: Option<Bytes>,
    /// Behind the `@`.
    pub host: Option<Bytes>,
}

/// Names and values of a MIME field.
pub type Parameters = Vec<(Bytes, Bytes)>;

/// `BODY` and `BODYSTRUCTURE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStructure {
    /// `TEXT`.
    Text {
        /// The subtype.
        subtype: Bytes,
        /// What all parts have.
        fields: BodyFields,
        /// Lines of the (encoded) body.
        lines: u64,
        /// More, if it is told.
        extension: Option<BodyExtension>,
    },
    /// `MESSAGE/RFC822` and `MESSAGE/GLOBAL`.
    Message {
        /// The subtype.
        subtype: Bytes,
        /// What all parts have.
        fields: BodyFields,
        /// The enclosed message's.
        envelope: Box<Envelope>,
        /// The enclosed message's.
        body: Box<BodyStructure>,
        /// Lines of the (encoded) body.
        lines: u64,
        /// More, if it is told.
        extension: Option<BodyExtension>,
    },
    /// Another part that is no multipart.
    Basic {
        /// The type.
        media_type: Bytes,
        /// The subtype.
        subtype: Bytes,
        /// What all parts have.
        fields: BodyFields,
        /// More, if it is told.
        extension: Option<BodyExtension>,
    },
    /// `MULTIPART`. Without parts, one empty text part is told (the grammar wants one).
    Multipart {
        /// The parts.
        parts: Vec<BodyStructure>,
        /// The subtype.
        subtype: Bytes,
        /// The type's parameters, if extensions are told.
        parameters: Parameters,
        /// More, if it is told.
        extension: Option<BodyExtension>,
    },
}

/// What all parts that are no multiparts have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BodyFields {
    /// Of the type.
    pub parameters: Parameters,
    /// `Content-ID`.
    pub id: Option<Bytes>,
    /// `Content-Description`.
    pub description: Option<Bytes>,
    /// `Content-Transfer-Encoding`; empty for `7BIT`.
    pub encoding: Bytes,
    /// Of the (encoded) body.
    pub octets: u64,
}

/// What only `BODYSTRUCTURE` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BodyExtension {
    /// `Content-MD5`; not told of a multipart.
    pub md5: Option<Bytes>,
    /// `Content-Disposition`.
    pub disposition: Option<Disposition>,
    /// `Content-Language`.
    pub language: Vec<Bytes>,
    /// `Content-Location`.
    pub location: Option<Bytes>,
}

/// `Content-Disposition`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disposition {
    /// `attachment`, `inline`.
    pub kind: Bytes,
    /// Of it.
    pub parameters: Parameters,
}
