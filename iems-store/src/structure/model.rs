//! What is kept of a message: envelope, parts, and where everything is. Plain data; no octets of any body.
//!
//! Parts stand in one row, each before what it contains, so that nothing here is recursive. Values of fields are as the
//! message has them, without folding: encoded words stay encoded, and octets above 127 stay what they are. Octets are
//! `Bytes`, or slices of the row that was read, where many messages are looked at and none is kept.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The structure of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure<B = Bytes> {
    /// Octets of the message: its `RFC822.SIZE`.
    pub size: u64,
    /// Fields of the message's header that clients ask for all the time.
    pub kept: Kept<B>,
    /// The message itself, and behind it all that it contains, each before its own contents. Never empty.
    pub parts: Vec<Part<B>>,
}

/// A part: the message, a body part, or an enclosed message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Part<B = Bytes> {
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
    pub envelope: Option<Box<Envelope<B>>>,
    /// `Content-Type`; `None` if there is none.
    pub media: Option<Media<B>>,
    /// `Content-Transfer-Encoding`, if it is a single token.
    pub encoding: Option<B>,
    /// `Content-ID`.
    pub id: Option<B>,
    /// `Content-Description`.
    pub description: Option<B>,
    /// `Content-MD5`.
    pub md5: Option<B>,
    /// `Content-Disposition` and its parameters.
    pub disposition: Option<(B, Parameters<B>)>,
    /// `Content-Language`.
    pub language: Vec<B>,
    /// `Content-Location`.
    pub location: Option<B>,
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
pub struct Media<B = Bytes> {
    /// Before the slash.
    pub main: B,
    /// Behind it; empty if it is missing.
    pub sub: B,
    /// Its parameters.
    pub parameters: Parameters<B>,
}

/// Names and values of parameters. What RFC 2231 section 3 splits is joined, under `name*` if any piece was encoded.
pub type Parameters<B = Bytes> = Vec<(B, B)>;

/// An envelope (RFC 9051 section 7.5.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelope<B = Bytes> {
    /// `From`. The lists that are searched are in front: see [`super::Row::any_address`].
    pub from: Vec<Address<B>>,
    /// `To`.
    pub to: Vec<Address<B>>,
    /// `Cc`.
    pub cc: Vec<Address<B>>,
    /// `Bcc`.
    pub bcc: Vec<Address<B>>,
    /// `Sender`, as far as there is one: see [`Envelope::sender`].
    pub own_sender: Vec<Address<B>>,
    /// `Reply-To`, as far as there is one: see [`Envelope::reply_to`].
    pub own_reply_to: Vec<Address<B>>,
    /// `Date`.
    pub date: Option<B>,
    /// `Subject`.
    pub subject: Option<B>,
    /// `In-Reply-To`.
    pub in_reply_to: Option<B>,
    /// `Message-ID`.
    pub message_id: Option<B>,
}

/// An address. A group begins with one that has a mailbox (the group's name) and no host, and ends with one that has
/// neither (RFC 9051 section 7.5.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Address<B = Bytes> {
    /// The display name, or the comment that took its place.
    pub name: Option<B>,
    /// The source route.
    pub route: Option<B>,
    /// Before the `@`.
    pub mailbox: Option<B>,
    /// Behind the `@`.
    pub host: Option<B>,
}

/// Fields of the message's header with one of the names in [`super::KEPT`], in the order of the header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kept<B = Bytes> {
    /// Each as it is in the header: with its name, its folding and its line end.
    pub fields: Vec<B>,
    /// Some were too long to be kept: only the message can tell.
    pub incomplete: bool,
    /// The message has a body: so an empty line stands behind its header.
    pub has_body: bool,
}

impl Span {
    /// Where it ends.
    pub const fn end(self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// What `<origin.octets>` leaves of it (RFC 9051 section 6.4.5.1).
    #[must_use]
    pub const fn partial(self, origin: u64, octets: u64) -> Self {
        let origin = if origin < self.length { origin } else { self.length };
        let left = self.length - origin;
        Self { start: self.start + origin, length: if octets < left { octets } else { left } }
    }

    /// As a range.
    pub const fn range(self) -> Range<u64> {
        self.start..self.end()
    }
}

impl<B> Envelope<B> {
    /// Who sent it: who it is from unless said otherwise (RFC 9051 section 7.5.2).
    pub fn sender(&self) -> &[Address<B>] {
        if self.own_sender.is_empty() { &self.from } else { &self.own_sender }
    }

    /// Where answers go: to who it is from unless said otherwise (RFC 9051 section 7.5.2).
    pub fn reply_to(&self) -> &[Address<B>] {
        if self.own_reply_to.is_empty() { &self.from } else { &self.own_reply_to }
    }
}

impl<B: AsRef<[u8]>> Part<B> {
    /// The type without regard to case, `text` if there is none.
    pub fn is_type(&self, main: &str) -> bool {
        match &self.media {
            Some(media) => media.main.as_ref().eq_ignore_ascii_case(main.as_bytes()),
            None => main.eq_ignore_ascii_case(if self.kind == Kind::Message { "message" } else { "text" }),
        }
    }

    /// Whether it is `text/SUB`; what has no type is `text/plain`.
    pub fn is_text(&self, sub: &str) -> bool {
        let named = self.media.as_ref().map_or(&b"plain"[..], |media| media.sub.as_ref());
        self.kind == Kind::Single && self.is_type("text") && named.eq_ignore_ascii_case(sub.as_bytes())
    }

    /// A parameter of its type.
    pub fn parameter(&self, name: &str) -> Option<&B> {
        let media = self.media.as_ref()?;
        media
            .parameters
            .iter()
            .find(|(key, _)| key.as_ref().eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

impl<B> Structure<B> {
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
