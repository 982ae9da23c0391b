//! What is told of a message's structure, and where the octets are that a section names.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use iems_core::message::Body;
use iems_core::storage::{Blobs, StoreError};
use iems_store::mailbox::{AccountId, MailboxId, Mailboxes, MessageInfo};
use iems_store::structure::{self as stored, Kind, Part, Structure, Text, header_fields};

use crate::imap::types::{
    Address, BodyExtension, BodyFields, BodyStructure, Disposition, Envelope, Partial, Section, SectionText,
};

/// How much is read at a time, in octets.
const PIECE: u64 = 64 * 1024;
/// The longest header out of which fields are picked, in octets.
const HEADER: u64 = 4 << 20;

/// A message's structure: as it was stored, or made again.
pub(super) async fn structure(
    mailboxes: &Mailboxes,
    (account, mailbox): (AccountId, MailboxId),
    info: &MessageInfo,
) -> Result<Structure, StoreError> {
    let rows = mailboxes.structures(account, mailbox, &[info.uid]).await?;
    match rows.first().and_then(|(_, row)| Structure::decode(row).ok()) {
        Some(structure) if structure.size == info.body.size() => Ok(structure),
        _ => Structure::read(&info.body, mailboxes.blobs()).await,
    }
}

/// Where octets come from.
#[derive(Debug)]
pub(super) enum Source {
    /// There are none.
    Missing,
    /// They are at hand.
    Octets(Bytes),
    /// They are these of the message.
    Range(Range<u64>),
}

impl Source {
    /// What `<origin.octets>` leaves.
    pub(super) fn cut(self, partial: Option<Partial>) -> Self {
        let Some(Partial { origin, octets }) = partial else { return self };
        match self {
            Self::Missing => Self::Missing,
            Self::Octets(all) => {
                let start = usize::try_from(origin).unwrap_or(usize::MAX).min(all.len());
                let length = usize::try_from(octets).unwrap_or(usize::MAX).min(all.len() - start);
                Self::Octets(all.slice(start..start + length))
            }
            Self::Range(range) => {
                let start = range.start.saturating_add(origin).min(range.end);
                Self::Range(start..start.saturating_add(octets).min(range.end))
            }
        }
    }
}

/// The octets that a section names. A part that is not there is empty, as old clients expect.
pub(super) async fn find(
    section: &Section,
    structure: Option<&Structure>,
    info: &MessageInfo,
    blobs: &dyn Blobs,
) -> Result<Source, StoreError> {
    let Some(structure) = structure else { return Ok(Source::Range(0..info.body.size())) };
    let (text, fields) = match &section.text {
        None => (Text::All, None),
        Some(SectionText::Header) => (Text::Header, None),
        Some(SectionText::Text) => (Text::Text, None),
        Some(SectionText::Mime) => (Text::Mime, None),
        Some(SectionText::HeaderFields(names)) => (Text::Header, Some((names, false))),
        Some(SectionText::HeaderFieldsNot(names)) => (Text::Header, Some((names, true))),
    };
    let Some(span) = structure.section(&section.part, text) else { return Ok(Source::Missing) };
    let Some((names, except)) = fields else { return Ok(Source::Range(span.range())) };
    if section.part.is_empty()
        && !except
        && let Some(fields) = structure.kept_fields(names)
    {
        return Ok(Source::Octets(fields.into()));
    }
    let mut header = Vec::new();
    let range = span.start..span.end().min(span.start.saturating_add(HEADER));
    let mut pieces = Pieces::new(&info.body, blobs, range);
    while let Some(piece) = pieces.next().await? {
        header.extend_from_slice(&piece);
    }
    Ok(Source::Octets(header_fields(&header, names, except).into()))
}

/// Octets of a message, piece by piece.
pub(super) struct Pieces<'a> {
    body: &'a Body,
    blobs: &'a dyn Blobs,
    left: Range<u64>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(body: &'a Body, blobs: &'a dyn Blobs, range: Range<u64>) -> Self {
        let end = range.end.min(body.size());
        Self { body, blobs, left: range.start.min(end)..end }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let prefix = self.body.prefix.len() as u64;
        let piece = if self.left.start < prefix {
            let (start, end) = (self.left.start as usize, self.left.end.min(prefix) as usize);
            self.body.prefix.slice(start..end)
        } else {
            let start = self.left.start - prefix;
            let end = (self.left.end - prefix).min(start + PIECE);
            self.blobs.read(self.body.blob, start..end).await?
        };
        if piece.is_empty() {
            return Err(StoreError::Corrupt(format!("blob {} is too short", self.body.blob)));
        }
        self.left.start += piece.len() as u64;
        Ok(Some(piece))
    }
}

/// Appends octets; NUL, which no literal may hold (RFC 9051 section 4.3), becomes an octet that is none of ASCII.
pub(super) fn without_nul(octets: &[u8], out: &mut BytesMut) {
    let mut pieces = octets.split(|octet| *octet == 0);
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(&[0x80]);
        out.extend_from_slice(piece);
    }
}

/// An envelope, as it is told.
pub(super) fn envelope(envelope: &stored::Envelope) -> Envelope {
    Envelope {
        date: envelope.date.clone(),
        subject: envelope.subject.clone(),
        from: addresses(&envelope.from),
        sender: addresses(envelope.sender()),
        reply_to: addresses(envelope.reply_to()),
        to: addresses(&envelope.to),
        cc: addresses(&envelope.cc),
        bcc: addresses(&envelope.bcc),
        in_reply_to: envelope.in_reply_to.clone(),
        message_id: envelope.message_id.clone(),
    }
}

fn addresses(all: &[stored::Address]) -> Vec<Address> {
    let told = all.iter().cloned();
    told.map(|stored::Address { name, route, mailbox, host }| Address { name, route, mailbox, host })
        .collect()
}

/// The structure of a part, as it is told. As deep as the parser lets messages be.
pub(super) fn structured(structure: &Structure, at: usize) -> BodyStructure {
    let empty = Part::default();
    let part = structure.parts.get(at).unwrap_or(&empty);
    let extension = Some(BodyExtension {
        md5: part.md5.clone(),
        disposition: part.disposition.clone().map(|(kind, parameters)| Disposition { kind, parameters }),
        language: part.language.clone(),
        location: part.location.clone(),
    });
    let (main, subtype, mut parameters) = match &part.media {
        Some(media) => (media.main.clone(), media.sub.clone(), media.parameters.to_vec()),
        None if part.kind == Kind::Message => {
            (Bytes::from_static(b"message"), Bytes::from_static(b"rfc822"), Vec::new())
        }
        None => (Bytes::from_static(b"text"), Bytes::from_static(b"plain"), Vec::new()),
    };
    if part.kind == Kind::Multipart {
        let parts = structure.children(at).map(|child| structured(structure, child)).collect();
        return BodyStructure::Multipart { parts, subtype, parameters, extension };
    }
    let is_text = part.kind == Kind::Single && main.eq_ignore_ascii_case(b"text");
    if is_text && !parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"charset")) {
        // What RFC 2046 section 4.1.2 says of text that says nothing.
        parameters.push((Bytes::from_static(b"charset"), Bytes::from_static(b"us-ascii")));
    }
    let fields = BodyFields {
        parameters,
        id: part.id.clone(),
        description: part.description.clone(),
        encoding: part.encoding.clone().unwrap_or_default(),
        octets: part.body.length,
    };
    if part.kind == Kind::Message {
        let inner = structure.parts.get(at + 1).and_then(|inner| inner.envelope.as_deref());
        let inner = Box::new(inner.map(envelope).unwrap_or_default());
        let body = Box::new(structured(structure, at + 1));
        return BodyStructure::Message {
            subtype,
            fields,
            envelope: inner,
            body,
            lines: part.lines,
            extension,
        };
    }
    match is_text {
        true => BodyStructure::Text { subtype, fields, lines: part.lines, extension },
        false => BodyStructure::Basic { media_type: main, subtype, fields, extension },
    }
}
