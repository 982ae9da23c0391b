//! One header, line by line: only fields that the structure tells are held, one at a time (RFC 5322 section 2.2).

use bytes::Bytes;

use super::addresses::addresses;
use super::budget::{Budget, Limits};
use super::parameters;
use crate::structure::{Envelope, Kept, Media, Part};

/// The names of fields that are kept whole: what clients list messages by. In lower case.
///
/// Adding a name needs a new version of the row: old rows would answer that the field is not there.
pub const KEPT: &[&str] = &[
    "bcc",
    "cc",
    "content-description",
    "content-transfer-encoding",
    "content-type",
    "date",
    "disposition-notification-to",
    "from",
    "importance",
    "in-reply-to",
    "lines",
    "list-id",
    "list-post",
    "list-subscribe",
    "list-unsubscribe",
    "message-id",
    "mime-version",
    "newsgroups",
    "priority",
    "references",
    "reply-to",
    "sender",
    "subject",
    "to",
    "x-label",
    "x-original-to",
    "x-priority",
];

/// A header being read.
#[derive(Debug)]
pub(super) struct Header {
    /// Whose header it is: a message's has an envelope.
    message: bool,
    /// Whether fields are kept.
    keeps: bool,
    /// The field so far, if it is of interest.
    field: Vec<u8>,
    /// It was longer than is looked at.
    cut: bool,
    /// A `Content-Type` was there, right or not: later ones do not count.
    typed: bool,
    /// The rules of MIME hold: there is a `MIME-Version` or a `Content-Type`.
    mime: bool,
}

impl Header {
    /// The header of a body part, or of a `message`; of the outermost one some fields are kept.
    pub(super) const fn new(message: bool, keeps: bool) -> Self {
        Self { message, keeps, field: Vec::new(), cut: false, typed: false, mime: !message }
    }

    /// The next line with its end; `cut` if it is longer than `line`.
    pub(super) fn line(&mut self, line: &[u8], cut: bool, part: &mut Part, into: &mut Sink<'_>) {
        let continues = line.first().is_some_and(|octet| matches!(octet, b' ' | b'\t'));
        if !continues {
            self.finish(part, into);
            if !name_of(line).is_some_and(|name| self.wants(name)) {
                return;
            }
        } else if self.field.is_empty() {
            return;
        }
        let room = into.limits.field.saturating_sub(self.field.len());
        self.cut |= cut || room < line.len();
        self.field.extend_from_slice(&line[..line.len().min(room)]);
    }

    fn wants(&self, name: &[u8]) -> bool {
        let content = name.get(..8).is_some_and(|head| head.eq_ignore_ascii_case(b"content-"));
        content || (self.message && is_kept(name))
    }

    /// The last field ends.
    pub(super) fn finish(&mut self, part: &mut Part, into: &mut Sink<'_>) {
        let field = std::mem::take(&mut self.field);
        let cut = std::mem::take(&mut self.cut);
        let Some(name) = name_of(&field) else { return };
        let lower = name.to_ascii_lowercase();
        if self.keeps && is_kept(name) {
            match (!cut).then(|| into.budget.text(&field)).flatten() {
                Some(text) => into.kept.fields.push(text),
                None => into.kept.incomplete = true,
            }
        }
        let value = value_of(&field);
        self.mime |= matches!(&lower[..], b"mime-version" | b"content-type");
        match &lower[..] {
            b"content-type" if std::mem::replace(&mut self.typed, true) => {}
            b"content-type" => media(&value, part, into.budget),
            _ => content(&lower, &value, part, into.budget),
        }
        if let Some(envelope) = part.envelope.as_mut().filter(|_| self.message) {
            told(&lower, &value, envelope, into.budget);
        }
    }
}

impl Header {
    /// The header ends. Without MIME, a message is text, whatever other fields say (RFC 2045 section 4).
    pub(super) fn end(&mut self, part: &mut Part, into: &mut Sink<'_>) {
        self.finish(part, into);
        if !self.mime {
            let plain = Part { header: part.header, envelope: part.envelope.take(), ..Part::default() };
            *part = plain;
        }
    }
}

/// `Content-Type`. One that is none is `text/plain` (RFC 2045 section 5.2).
fn media(value: &[u8], part: &mut Part, budget: &mut Budget) {
    let mut media = parameters::media(value);
    if media.main.is_empty() || media.sub.is_empty() {
        media = Media {
            main: Bytes::from_static(b"text"),
            sub: Bytes::from_static(b"plain"),
            ..Media::default()
        };
    }
    if budget.take(media.main.len() + media.sub.len() + 8) {
        media.parameters = budget.parameters(media.parameters);
        part.media = Some(media);
    }
}

/// What all headers of a message share.
pub(super) struct Sink<'a> {
    pub(super) kept: &'a mut Kept,
    pub(super) budget: &'a mut Budget,
    pub(super) limits: &'a Limits,
}

/// Whether fields of this name are kept, whatever its case.
pub fn is_kept(name: &[u8]) -> bool {
    KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
}

/// The name of the field that begins with `line`.
pub(crate) fn name_of(line: &[u8]) -> Option<&[u8]> {
    let name = &line[..memchr::memchr(b':', line)?];
    let name = name.trim_ascii_end();
    (!name.is_empty() && !name.contains(&b'\n')).then_some(name)
}

/// The value of a field: behind the colon, without folding (RFC 5322 section 2.2.3) and the space in front.
pub(in crate::structure) fn value_of(field: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(field.len());
    lines_of(field).for_each(|line| value.extend_from_slice(line));
    value
}

/// The lines of a field's value, which are that value together.
pub(crate) fn lines_of(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let start = memchr::memchr(b':', field).map_or(0, |at| at + 1);
    let mut rest = &field[start..];
    while let Some((b' ' | b'\t', behind)) = rest.split_first() {
        rest = behind;
    }
    let mut rest = Some(rest);
    std::iter::from_fn(move || {
        let octets = rest?;
        let (line, behind) = match memchr::memchr(b'\n', octets) {
            Some(at) => (&octets[..at], Some(&octets[at + 1..])),
            None => (octets, None),
        };
        rest = behind;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Fields of every part (RFC 2045). Of several with one name, the first counts.
fn content(name: &[u8], value: &[u8], part: &mut Part, budget: &mut Budget) {
    let place = match name {
        b"content-disposition" if part.disposition.is_none() => {
            if let Some((kind, all)) =
                parameters::disposition(value).filter(|(kind, _)| budget.take(kind.len() + 8))
            {
                part.disposition = Some((kind, budget.parameters(all)));
            }
            return;
        }
        b"content-language" if part.language.is_empty() => {
            let tags = parameters::languages(value).into_iter();
            part.language = tags.take_while(|tag| budget.take(tag.len() + 4)).collect();
            return;
        }
        b"content-transfer-encoding" if part.encoding.is_none() => {
            part.encoding = parameters::encoding(value).filter(|token| budget.take(token.len() + 4));
            return;
        }
        b"content-id" => &mut part.id,
        b"content-description" => &mut part.description,
        b"content-md5" => &mut part.md5,
        b"content-location" => &mut part.location,
        _ => return,
    };
    if place.is_none() {
        *place = budget.text(value);
    }
}

/// Fields of an envelope. Addresses of several fields with one name are told together: who checks one of them must not
/// check another than the reader sees. Of other fields the last counts.
fn told(name: &[u8], value: &[u8], envelope: &mut Envelope, budget: &mut Budget) {
    let list = match name {
        b"from" => &mut envelope.from,
        b"sender" => &mut envelope.own_sender,
        b"reply-to" => &mut envelope.own_reply_to,
        b"to" => &mut envelope.to,
        b"cc" => &mut envelope.cc,
        b"bcc" => &mut envelope.bcc,
        _ => return said(name, value, envelope, budget),
    };
    addresses(value, list, budget);
}

fn said(name: &[u8], value: &[u8], envelope: &mut Envelope, budget: &mut Budget) {
    let place: &mut Option<Bytes> = match name {
        b"date" => &mut envelope.date,
        b"subject" => &mut envelope.subject,
        b"in-reply-to" => &mut envelope.in_reply_to,
        b"message-id" => &mut envelope.message_id,
        _ => return,
    };
    if let Some(text) = budget.text(value) {
        *place = Some(text);
    }
}
