//! What is told of a message's structure, and where the octets are that a section names.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use iems_core::message::Body;
use iems_core::storage::{Blobs, StoreError};
use iems_store::mailbox::{AccountId, MailboxId, Mailboxes, MessageInfo};
use iems_store::structure::{Row, Structure, Text, header_fields};

use super::effort::Effort;
use crate::imap::types::{Partial, Section, SectionText};

/// How much is read at a time, in octets.
pub(super) const PIECE: u64 = 64 * 1024;
/// The longest header out of which fields are picked, in octets.
const HEADER: u64 = 4 << 20;

/// The row of a message's structure: as it was stored, or made again.
pub(super) async fn row(
    mailboxes: &Mailboxes,
    (account, mailbox): (AccountId, MailboxId),
    info: &MessageInfo,
) -> Result<Bytes, StoreError> {
    let rows = mailboxes.structures(account, mailbox, &[info.uid]).await?;
    let fits = |row: &Bytes| Row::of(row).is_ok_and(|row| row.size() == info.body.size());
    match rows.into_iter().map(|(_, row)| row).find(fits) {
        Some(row) => Ok(row),
        None => made(info, mailboxes.blobs()).await,
    }
}

/// The same, made again of the message.
pub(super) async fn made(info: &MessageInfo, blobs: &dyn Blobs) -> Result<Bytes, StoreError> {
    Ok(Structure::read(&info.body, blobs).await?.encode()?.into())
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

/// The octets of a message that a section names. A part that is not there is empty, as old clients expect.
pub(super) async fn find(
    section: &Section,
    structure: Option<&Structure<&[u8]>>,
    message: Option<Pieces<'_>>,
    effort: &Effort,
) -> Result<Source, StoreError> {
    let Some(message) = message else { return Ok(Source::Missing) };
    let Some(structure) = structure else { return Ok(Source::Range(message.left)) };
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
    let mut header = Vec::new();
    let mut pieces = message.within(span.start..span.end().min(span.start.saturating_add(HEADER)));
    while let Some(piece) = pieces.next().await? {
        header.extend_from_slice(&piece);
    }
    let found = header_fields(&header, names, except);
    effort.work(header.len() as u64).await;
    effort.sent(found.len() as u64);
    Ok(Source::Octets(found.into()))
}

/// Octets of the header out of which a section picks fields, if it does.
pub(super) fn picked_from(section: &Section, structure: &Structure<&[u8]>) -> usize {
    let fields = matches!(section.text, Some(SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)));
    let span = structure.section(&section.part, Text::Header).filter(|_| fields);
    span.map_or(0, |span| usize::try_from(span.length.min(HEADER)).unwrap_or(usize::MAX))
}

/// Octets of a message, piece by piece.
pub(super) struct Pieces<'a> {
    body: &'a Body,
    blobs: &'a dyn Blobs,
    /// The octets of its blob, if they are at hand.
    small: Option<&'a Bytes>,
    left: Range<u64>,
}

impl<'a> Pieces<'a> {
    /// All of them.
    pub(super) fn new(body: &'a Body, blobs: &'a dyn Blobs, small: Option<&'a Bytes>) -> Self {
        Self { body, blobs, small, left: 0..body.size() }
    }

    /// Those in a range of the message.
    pub(super) fn within(self, range: Range<u64>) -> Self {
        let end = range.end.min(self.body.size());
        Self { left: range.start.min(end)..end, ..self }
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
            match self.small {
                Some(small) => small.slice(start as usize..end as usize),
                None => self.blobs.read(self.body.blob, start..end).await?,
            }
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
    let mut rest = octets;
    while let Some(at) = memchr::memchr(0, rest) {
        let (before, behind) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(&[0x80]);
        rest = behind.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
