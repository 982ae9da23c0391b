//! What `FETCH` asks and tells (RFC 9051 section 6.4.5 and 7.5.2, and the extensions named).

use bytes::Bytes;

use super::{BodyStructure, DateTime, Envelope, Flag, PartialRange, SequenceSet};

/// What `FETCH` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Of which messages.
    pub messages: SequenceSet,
    /// What of them; macros are resolved. One at least.
    pub attributes: Vec<FetchAttribute>,
    /// `CHANGEDSINCE`: only those with a greater MODSEQ (RFC 7162 section 3.1.4); not 0.
    pub changed_since: Option<u64>,
    /// `VANISHED`: and those that went since (RFC 7162 section 3.2.6). Only with `UID` and `changed_since`.
    pub vanished: bool,
    /// `PARTIAL`: only some of them (RFC 9394 section 3.3). Only with `UID`.
    pub partial: Option<PartialRange>,
}

/// One thing that is asked of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FetchAttribute {
    /// `ENVELOPE`.
    Envelope,
    /// `FLAGS`.
    Flags,
    /// `INTERNALDATE`.
    InternalDate,
    /// `UID`.
    Uid,
    /// `BODY`: the structure without extensions.
    Body,
    /// `BODYSTRUCTURE`.
    BodyStructure,
    /// `BODY[...]`, `BODY.PEEK[...]`.
    BodySection {
        /// Which part.
        section: Section,
        /// Which octets of it.
        partial: Option<Partial>,
        /// `PEEK`: without setting `\Seen`.
        peek: bool,
    },
    /// `BINARY[...]`, `BINARY.PEEK[...]`: a part, decoded (RFC 9051 section 6.4.5.1).
    Binary {
        /// Which part; empty for the whole message.
        part: Vec<u32>,
        /// Which octets of it.
        partial: Option<Partial>,
        /// `PEEK`: without setting `\Seen`.
        peek: bool,
    },
    /// `BINARY.SIZE[...]`: the decoded size of a part.
    BinarySize {
        /// Which part; empty for the whole message.
        part: Vec<u32>,
    },
    /// `RFC822` (RFC 3501): as `BODY[]`, told by another name.
    Rfc822,
    /// `RFC822.HEADER` (RFC 3501): as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.SIZE`.
    Rfc822Size,
    /// `RFC822.TEXT` (RFC 3501): as `BODY[TEXT]`.
    Rfc822Text,
    /// `MODSEQ` (RFC 7162 section 3.1.5).
    ModSeq,
    /// `EMAILID` (RFC 8474 section 5.1).
    EmailId,
    /// `THREADID` (RFC 8474 section 5.2).
    ThreadId,
    /// `SAVEDATE` (RFC 8514).
    SaveDate,
    /// `PREVIEW` (RFC 8970).
    Preview {
        /// `LAZY`: only if it is at hand.
        lazy: bool,
    },
}

impl FetchAttribute {
    /// Whether telling it sets `\Seen` (RFC 9051 section 6.4.5).
    pub const fn sets_seen(&self) -> bool {
        match self {
            Self::BodySection { peek, .. } | Self::Binary { peek, .. } => !*peek,
            Self::Rfc822 | Self::Rfc822Text => true,
            _ => false,
        }
    }

    /// Whether there are messages of which it cannot be told, and the command fails (RFC 9051 section 7.1, `UNKNOWN-CTE`).
    pub const fn may_fail(&self) -> bool {
        matches!(self, Self::Binary { .. } | Self::BinarySize { .. })
    }
}

/// Octets of a section: `<origin.octets>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partial {
    /// The first, counted from 0.
    pub origin: u64,
    /// How many at most; not 0.
    pub octets: u64,
}

/// A part of a message: `1.2.HEADER` (RFC 9051 section 6.4.5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Section {
    /// Numbers of parts, outermost first; none is 0. Empty for the message itself.
    pub part: Vec<u32>,
    /// What of the part; `None` for all of it.
    pub text: Option<SectionText>,
}

/// What of a part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `HEADER`.
    Header,
    /// `HEADER.FIELDS (...)`; one name at least.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (...)`; one name at least.
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`.
    Text,
    /// `MIME`: the part's MIME header. Only with a part.
    Mime,
}

/// One thing that is told of a message (RFC 9051 section 7.5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// `FLAGS`.
    Flags(Vec<Flag>),
    /// `UID`.
    Uid(u32),
    /// `INTERNALDATE`.
    InternalDate(DateTime),
    /// `RFC822.SIZE`.
    Rfc822Size(u64),
    /// `ENVELOPE`.
    Envelope(Box<Envelope>),
    /// `BODY`: what is there of extensions is not told.
    Body(Box<BodyStructure>),
    /// `BODYSTRUCTURE`.
    BodyStructure(Box<BodyStructure>),
    /// `BODY[...]`.
    BodySection {
        /// Which part.
        section: Section,
        /// The first octet, if octets were asked for.
        origin: Option<u64>,
        /// The octets.
        content: Content,
    },
    /// `BINARY[...]`.
    Binary {
        /// Which part.
        part: Vec<u32>,
        /// The first octet, if octets were asked for.
        origin: Option<u64>,
        /// The octets; a `literal8` if there is NUL among them.
        content: Content,
    },
    /// `BINARY.SIZE[...]`.
    BinarySize {
        /// Which part.
        part: Vec<u32>,
        /// Octets.
        octets: u64,
    },
    /// `RFC822`.
    Rfc822(Content),
    /// `RFC822.HEADER`.
    Rfc822Header(Content),
    /// `RFC822.TEXT`.
    Rfc822Text(Content),
    /// `MODSEQ`.
    ModSeq(u64),
    /// `EMAILID`.
    EmailId(String),
    /// `THREADID`; `None` for `NIL`.
    ThreadId(Option<String>),
    /// `SAVEDATE`; `None` for `NIL`.
    SaveDate(Option<DateTime>),
    /// `PREVIEW`; `None` for `NIL`.
    Preview(Option<String>),
}

/// Octets that are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// `NIL`: the part is not there.
    Nil,
    /// At hand.
    Octets(Bytes),
    /// So many octets follow, which whoever called the encoder writes next, before anything else.
    Streamed {
        /// How many.
        octets: u64,
        /// Whether there may be NUL among them: announced as `literal8`. For `BINARY` only.
        binary: bool,
    },
}
