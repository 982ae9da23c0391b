//! What is told of a message's header and structure (RFC 9051 section 7.5.2).
//!
//! Values are octets as the message has them, without folding: old messages hold anything. The encoder sees to it that
//! they are safe on the wire. Whose the octets are is open: `Bytes`, or slices of a stored row.

use bytes::Bytes;

/// `ENVELOPE`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope<B = Bytes> {
    /// `Date`.
    pub date: Option<B>,
    /// `Subject`.
    pub subject: Option<B>,
    /// `From`.
    pub from: Vec<Address<B>>,
    /// `Sender`; `From` if there is none.
    pub sender: Vec<Address<B>>,
    /// `Reply-To`; `From` if there is none.
    pub reply_to: Vec<Address<B>>,
    /// `To`.
    pub to: Vec<Address<B>>,
    /// `Cc`.
    pub cc: Vec<Address<B>>,
    /// `Bcc`.
    pub bcc: Vec<Address<B>>,
    /// `In-Reply-To`.
    pub in_reply_to: Option<B>,
    /// `Message-ID`.
    pub message_id: Option<B>,
}

/// An address. A group begins with one that has a mailbox (the group's name) and no host, and ends with one that has neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address<B = Bytes> {
    /// The name for people.
    pub name: Option<B>,
    /// The source route (`@a,@b`).
    pub route: Option<B>,
    /// Before the `@`.
    pub mailbox: Option<B>,
    /// Behind the `@`.
    pub host: Option<B>,
}

/// Names and values of a MIME field.
pub type Parameters<B = Bytes> = Vec<(B, B)>;

/// `BODY` and `BODYSTRUCTURE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStructure<B = Bytes> {
    /// `TEXT`.
    Text {
        /// The subtype.
        subtype: B,
        /// What all parts have.
        fields: BodyFields<B>,
        /// Lines of the (encoded) body.
        lines: u64,
        /// More, if it is told.
        extension: Option<BodyExtension<B>>,
    },
    /// `MESSAGE/RFC822` and `MESSAGE/GLOBAL`.
    Message {
        /// The subtype.
        subtype: B,
        /// What all parts have.
        fields: BodyFields<B>,
        /// The enclosed message's.
        envelope: Box<Envelope<B>>,
        /// The enclosed message's.
        body: Box<BodyStructure<B>>,
        /// Lines of the (encoded) body.
        lines: u64,
        /// More, if it is told.
        extension: Option<BodyExtension<B>>,
    },
    /// Another part that is no multipart.
    Basic {
        /// The type.
        media_type: B,
        /// The subtype.
        subtype: B,
        /// What all parts have.
        fields: BodyFields<B>,
        /// More, if it is told.
        extension: Option<BodyExtension<B>>,
    },
    /// `MULTIPART`. Without parts, one empty text part is told (the grammar wants one).
    Multipart {
        /// The parts.
        parts: Vec<BodyStructure<B>>,
        /// The subtype.
        subtype: B,
        /// The type's parameters, if extensions are told.
        parameters: Parameters<B>,
        /// More, if it is told.
        extension: Option<BodyExtension<B>>,
    },
}

/// What all parts that are no multiparts have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BodyFields<B = Bytes> {
    /// Of the type.
    pub parameters: Parameters<B>,
    /// `Content-ID`.
    pub id: Option<B>,
    /// `Content-Description`.
    pub description: Option<B>,
    /// `Content-Transfer-Encoding`; empty for `7BIT`.
    pub encoding: B,
    /// Of the (encoded) body.
    pub octets: u64,
}

/// What only `BODYSTRUCTURE` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BodyExtension<B = Bytes> {
    /// `Content-MD5`; not told of a multipart.
    pub md5: Option<B>,
    /// `Content-Disposition`.
    pub disposition: Option<Disposition<B>>,
    /// `Content-Language`.
    pub language: Vec<B>,
    /// `Content-Location`.
    pub location: Option<B>,
}

/// `Content-Disposition`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disposition<B = Bytes> {
    /// `attachment`, `inline`.
    pub kind: B,
    /// Of it.
    pub parameters: Parameters<B>,
}
