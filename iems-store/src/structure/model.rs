//! What is kept of a message: envelope, parts, and where everything is. Plain data; no octets of any body.
//!
//! Parts stand in one row, each before what it contains, so that nothing here is recursive. Values of fields are as the
//! message has them, without folding: encoded words stay encoded, and octets above 127 stay what they are.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The structure of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// Octets of the message: its `RFC822.SIZE`.
    pub size: u64,
    /// The message itself, and behind it all that it contains, each before its own contents. Never empty.
    pub parts: Vec<Part>,
    /// Fields of the message's header that clients ask for all the time.
    pub kept: Kept,
}

/// A part: the message, a body part, or an enclosed message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Part {
    /// Its header, with the empty line.
    pub header: Span,
    /// Its body, without the line end that belongs to a boundary behind it (RFC 2046 section 5.1.1).
    pub body: Span,
    /// Line ends in the body.
    pub lines: u64,
    /// How many parts are within it, at any depth; they stand behind it.
    pub within: u32,
    /// What its body is made of.
    pub kind: Kind,
    /// The envelope, if this is the message or an enclosed one.
    pub envelope: Option<Box<Envelope>>,
    /// `Content-Type`; `None` if there is none.
    pub media: Option<Media>,
    /// `Content-Transfer-Encoding`, if it is a single token.
    pub encoding: Option<Bytes>,
    /// `Content-ID`.
    pub id: Option<Bytes>,
    /// `Content-Description`.
    pub description: Option<Bytes>,
    /// `Content-MD5`.
    pub md5: Option<Bytes>,
    /// `Content-Disposition` and its parameters.
    pub disposition: Option<(Bytes, Parameters)>,
    /// `Content-Language`.
    pub language: Vec<Bytes>,
    /// `Content-Location`.
    pub location: Option<Bytes>,
}

/// What the body of a part is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    /// Octets.
    #[default]
    Single,
    /// Other parts, or none at all if no boundary was found.
    Multipart,
    /// A message, which is the one part within it.
    Message,
}

/// A range of octets of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// The first.
    pub start: u64,
    /// How many.
    pub length: u64,
}

/// `Content-Type` (RFC 2045 section 5.1), with the case that it was written in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Media {
    /// Before the slash.
    pub main: Bytes,
    /// Behind it; empty if it is missing.
    pub sub: Bytes,
    /// Its parameters.
    pub parameters: Parameters,
}

/// Names and values of parameters. What RFC 2231 section 3 splits is joined, under `name*` if any piece was encoded.
pub type Parameters = Vec<(Bytes, Bytes)>;

/// An envelope (RFC 9051 section 7.5.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// `Date`.
    pub date: Option<Bytes>,
    /// `Subject`.
    pub subject: Option<Bytes>,
    /// `From`.
    pub from: Vec<Address>,
    /// `Sender`, as far as there is one: see [`Envelope::sender`].
    pub own_sender: Vec<Address>,
    /// `Reply-To`, as far as there is one: see [`Envelope::reply_to`].
    pub own_reply_to: Vec<Address>,
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

/// An address. A group begins with one that has a mailbox (the group's name) and no host, and ends with one that has
/// neither (RFC 9051 section 7.5.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Address {
    /// The display name, or the comment that took its place.
    pub name: Option<Bytes>,
    /// The source route.
    pub route: Option<Bytes>,
    /// Before the `@`.
    pub mailbox: Option<Bytes>,
    /// Behind the `@`.
    pub host: Option<Bytes>,
}

/// Fields of the message's header with one of the names in [`super::KEPT`], in the order of the header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Each as it is in the header: with its name, its folding and its line end.
    pub fields: Vec<Bytes>,
    /// Some were too long to be kept: only the message can tell.
    pub incomplete: bool,
}

impl Span {
    /// Where it ends.
    pub const fn end(self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// As a range.
    pub const fn range(self) -> Range<u64> {
        self.start..self.end()
    }
}

impl Envelope {
    /// Who sent it: who it is from unless said otherwise (RFC 9051 section 7.5.2).
    pub fn sender(&self) -> &[Address] {
        if self.own_sender.is_empty() { &self.from } else { &self.own_sender }
    }

    /// Where answers go: to who it is from unless said otherwise (RFC 9051 section 7.5.2).
    pub fn reply_to(&self) -> &[Address] {
        if self.own_reply_to.is_empty() { &self.from } else { &self.own_reply_to }
    }
}

impl Part {
    /// The type without regard to case, `text` if there is none.
    pub fn is_type(&self, main: &str) -> bool {
        match &self.media {
            Some(media) => media.main.eq_ignore_ascii_case(main.as_bytes()),
            None => main.eq_ignore_ascii_case(if self.kind == Kind::Message { "message" } else { "text" }),
        }
    }

    /// Whether it is `text/SUB`; what has no type is `text/plain`.
    pub fn is_text(&self, sub: &str) -> bool {
        let named = self.media.as_ref().map_or(&b"plain"[..], |media| &media.sub);
        self.kind == Kind::Single && self.is_type("text") && named.eq_ignore_ascii_case(sub.as_bytes())
    }

    /// A parameter of its type.
    pub fn parameter(&self, name: &str) -> Option<&Bytes> {
        let media = self.media.as_ref()?;
        media
            .parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

impl Structure {
    /// The parts directly within part `of`, by their places in [`Structure::parts`].
    pub fn children(&self, of: usize) -> impl Iterator<Item = usize> {
        let end =
            self.parts.get(of).map_or(0, |part| of.saturating_add(part.within as usize).saturating_add(1));
        let mut next = of.saturating_add(1);
        std::iter::from_fn(move || {
            let child = self.parts.get(next).filter(|_| next < end)?;
            let this = next;
            next = next.saturating_add(child.within as usize).saturating_add(1);
            Some(this)
        })
    }
}
