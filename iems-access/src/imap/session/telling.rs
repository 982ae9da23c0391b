//! One message told: from what is at hand, or from its octets, piece by piece.

use bytes::{Bytes, BytesMut};
use iems_core::storage::StoreError;
use iems_store::mailbox::{Mailboxes, MessageInfo, Uid};
use iems_store::structure::{Fields, Picked, Row, Structure};
use iems_store::told;

use super::binary::{self, Counted, Encoded};
use super::body::{self, Pieces, Source};
use super::user::Selected;
use super::{Enabled, Output, Sink, Trouble};
use crate::imap::codec::{Encoder, FetchEncoder};
use crate::imap::search::{email_id, thread_id};
use crate::imap::types::{Content, DateTime, FetchAttribute, FetchItem, Partial, Section, SectionText};

/// One message that is told.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    pub(super) selected: &'a Selected,
    pub(super) enabled: Enabled,
    pub(super) info: Option<&'a MessageInfo>,
    /// Fields of its header, if they are wanted and at hand.
    pub(super) kept: Option<Fields<'a>>,
    /// What is stored of its structure.
    pub(super) row: Option<Row<'a>>,
    /// All of that, if it is wanted.
    pub(super) structure: Option<&'a Structure<&'a [u8]>>,
    pub(super) blobs: &'a dyn iems_core::storage::Blobs,
    /// The octets of its blob, if they are few and were read.
    pub(super) small: Option<&'a Bytes>,
}

impl<'a> One<'a> {
    /// One of which nothing was read.
    pub(super) fn at_hand(selected: &'a Selected, enabled: Enabled, mailboxes: &'a Mailboxes) -> Self {
        let blobs = mailboxes.blobs();
        Self { selected, enabled, info: None, kept: None, row: None, structure: None, blobs, small: None }
    }
}

impl One<'_> {
    /// Tells it, if all that is asked for is at hand; otherwise nothing is told.
    pub(super) fn tell_at_once(
        &self,
        (number, uid): (u32, Uid),
        attributes: &[FetchAttribute],
        encoder: Encoder,
        out: &mut BytesMut,
    ) -> Result<bool, StoreError> {
        let before = out.len();
        let mut fetch = self.begin(number, uid, encoder, out);
        for attribute in attributes {
            let told = match self.item(number, attribute) {
                Some(item) => Ok(fetch.item(&item, out) == 0),
                None => self.is_told(attribute, &mut fetch, out),
            };
            if !matches!(told, Ok(true)) {
                out.truncate(before);
                return told;
            }
        }
        fetch.end(out);
        Ok(true)
    }

    fn begin(&self, number: u32, uid: Uid, encoder: Encoder, out: &mut BytesMut) -> FetchEncoder {
        match self.enabled.uid_only {
            true => encoder.uid_fetch_begin(uid.0, out),
            false => encoder.fetch_begin(number, out),
        }
    }

    pub(super) async fn tell<S: Sink>(
        &self,
        number: u32,
        uid: Uid,
        attributes: &[FetchAttribute],
        lit: bool,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        self.selected.effort.check()?;
        if let Some(structure) = self.structure {
            binary::check(structure, attributes)?;
        }
        let mut fetch = self.begin(number, uid, out.encoder, out.buffer);
        for attribute in attributes {
            match self.item(number, attribute) {
                Some(item) => {
                    let _ = fetch.item(&item, out.buffer);
                }
                None => self.read(attribute, &mut fetch, out).await?,
            }
            // One thing of a message may be as long as many messages.
            out.pause().await?;
        }
        // What telling it changed is told, too; with CONDSTORE also of which message and when (RFC 7162 section 3.2.4).
        let enabled = self.enabled;
        let changed = [
            (enabled.tells_uids(), FetchAttribute::Uid),
            (true, FetchAttribute::Flags),
            (enabled.condstore, FetchAttribute::ModSeq),
        ];
        for (_, attribute) in
            changed.iter().filter(|(told, attribute)| lit && *told && !attributes.contains(attribute))
        {
            if let Some(item) = self.item(number, attribute) {
                let _ = fetch.item(&item, out.buffer);
            }
        }
        fetch.end(out.buffer);
        Ok(())
    }

    /// What headers take out of which fields are picked, in octets: as they are read, and as they are told.
    pub(super) fn header_octets(&self, attributes: &[FetchAttribute]) -> usize {
        let Some(structure) = self.structure else { return 0 };
        let of = |attribute: &FetchAttribute| match attribute {
            FetchAttribute::BodySection { section, .. } => body::picked_from(section, structure),
            _ => 0,
        };
        2 * attributes.iter().map(of).max().unwrap_or_default()
    }

    /// What is at hand; `None` for what the structure tells, and for octets of the message.
    fn item(&self, number: u32, attribute: &FetchAttribute) -> Option<FetchItem> {
        let seen = self.selected.view.get(number)?;
        Some(match attribute {
            FetchAttribute::Uid => FetchItem::Uid(seen.uid),
            FetchAttribute::Flags => {
                FetchItem::Flags(self.selected.view.flags(seen, &self.selected.keywords))
            }
            FetchAttribute::ModSeq => FetchItem::ModSeq(seen.modseq),
            FetchAttribute::InternalDate => FetchItem::InternalDate(DateTime::from(self.info?.received)),
            FetchAttribute::SaveDate => FetchItem::SaveDate(Some(DateTime::from(self.info?.saved))),
            FetchAttribute::Rfc822Size => FetchItem::Rfc822Size(self.info?.body.size()),
            FetchAttribute::EmailId => FetchItem::EmailId(email_id(self.selected.account, self.info?.email)),
            FetchAttribute::ThreadId => {
                FetchItem::ThreadId(Some(thread_id(self.selected.account, self.info?.thread)))
            }
            _ => return None,
        })
    }

    /// What only the message's octets tell.
    async fn read<S: Sink>(
        &self,
        attribute: &FetchAttribute,
        fetch: &mut FetchEncoder,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        if self.is_told(attribute, fetch, out.buffer)? {
            return Ok(());
        }
        let (Some(info), Some(structure)) = (self.info, self.structure) else {
            return self.octets(attribute, fetch, out).await;
        };
        match attribute {
            FetchAttribute::Binary { part, partial, .. } => {
                let encoded = Encoded::find(structure, part)?;
                self.decoded(part, *partial, encoded, info, fetch, out).await
            }
            FetchAttribute::BinarySize { part } => {
                let octets = match Encoded::find(structure, part)? {
                    Some(encoded) => self.counted(&encoded, None, info).await?.octets,
                    None => 0,
                };
                let _ = fetch.item(&FetchItem::BinarySize { part: part.clone(), octets }, out.buffer);
                Ok(())
            }
            FetchAttribute::Preview { .. } => {
                let preview =
                    structure.preview(&info.body, self.blobs).await.map_err(std::io::Error::other)?;
                let _ = fetch.item(&FetchItem::Preview(Some(preview)), out.buffer);
                Ok(())
            }
            _ => self.octets(attribute, fetch, out).await,
        }
    }

    /// Trouble in the midst can only be told by closing.
    async fn counted(
        &self,
        encoded: &Encoded,
        partial: Option<Partial>,
        info: &MessageInfo,
    ) -> Result<Counted, Trouble> {
        Ok(encoded
            .count(partial, info, self.blobs, &self.selected.effort)
            .await
            .map_err(std::io::Error::other)?)
    }

    async fn decoded<S: Sink>(
        &self,
        part: &[u32],
        partial: Option<Partial>,
        encoded: Option<Encoded>,
        info: &MessageInfo,
        fetch: &mut FetchEncoder,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let (part, origin) = (part.to_vec(), partial.map(|Partial { origin, .. }| origin));
        let Some(encoded) = encoded else {
            let _ = fetch.item(&FetchItem::Binary { part, origin, content: Content::Nil }, out.buffer);
            return Ok(());
        };
        let Counted { octets, nul } = self.counted(&encoded, partial, info).await?;
        let content = Content::Streamed { octets, binary: nul };
        let mut left = fetch.item(&FetchItem::Binary { part, origin, content }, out.buffer);
        let mut decoding = encoded.decode(partial, info, self.blobs, &self.selected.effort);
        while let Some(octets) = decoding.next().await.map_err(std::io::Error::other)? {
            left = left.saturating_sub(octets.len() as u64);
            self.selected.effort.sent(3 * octets.len() as u64);
            out.buffer.extend_from_slice(&octets);
            out.pause().await?;
        }
        match left {
            0 => Ok(()),
            _ => Err(std::io::Error::other("a part is shorter than it was").into()),
        }
    }

    /// Octets of the message, as far as they are asked for.
    async fn octets<S: Sink>(
        &self,
        attribute: &FetchAttribute,
        fetch: &mut FetchEncoder,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let own;
        let (section, partial) = match attribute {
            FetchAttribute::BodySection { section, partial, .. } => (section, *partial),
            _ => {
                own = match attribute {
                    FetchAttribute::Rfc822 => Section::default(),
                    FetchAttribute::Rfc822Header => {
                        Section { part: Vec::new(), text: Some(SectionText::Header) }
                    }
                    FetchAttribute::Rfc822Text => Section { part: Vec::new(), text: Some(SectionText::Text) },
                    _ => return Ok(()),
                };
                (&own, None)
            }
        };
        let source = match self.fields(section) {
            Some(fields) => Source::Octets(fields.to_vec().into()),
            None => body::find(section, self.structure, self.pieces(), &self.selected.effort).await?,
        };
        let source = source.cut(partial);
        let content = match &source {
            Source::Missing => Content::Nil,
            Source::Octets(octets) => Content::Octets(octets.clone()),
            Source::Range(range) => Content::Streamed { octets: range.end - range.start, binary: false },
        };
        let mut left = match attribute {
            FetchAttribute::Rfc822 => fetch.item(&FetchItem::Rfc822(content), out.buffer),
            FetchAttribute::Rfc822Header => fetch.item(&FetchItem::Rfc822Header(content), out.buffer),
            FetchAttribute::Rfc822Text => fetch.item(&FetchItem::Rfc822Text(content), out.buffer),
            _ => {
                let origin = partial.map(|Partial { origin, .. }| origin);
                fetch.section(section, origin, &content, out.buffer)
            }
        };
        if let Source::Range(range) = source
            && let Some(pieces) = self.pieces()
        {
            let mut pieces = pieces.within(range);
            // Trouble in the midst can only be told by closing.
            while let Some(piece) = pieces.next().await.map_err(std::io::Error::other)? {
                left = left.saturating_sub(piece.len() as u64);
                body::without_nul(&piece, out.buffer);
                out.pause().await?;
            }
        }
        match left {
            0 => Ok(()),
            _ => Err(std::io::Error::other("a message is shorter than it was").into()),
        }
    }

    /// Tells what is stored beside the message; whether it is that.
    fn is_told(
        &self,
        attribute: &FetchAttribute,
        fetch: &mut FetchEncoder,
        out: &mut BytesMut,
    ) -> Result<bool, StoreError> {
        if let FetchAttribute::BodySection { section, partial: None, .. } = attribute {
            let Some(fields) = self.fields(section) else { return Ok(false) };
            let content = Content::Streamed { octets: fields.octets() as u64, binary: false };
            let _ = fetch.section(section, None, &content, out);
            fields.pieces().for_each(|piece| body::without_nul(piece, out));
            return Ok(true);
        }
        let Some(row) = &self.row else { return Ok(false) };
        match (attribute, self.structure) {
            (FetchAttribute::Envelope, _) => {
                let envelope = row.envelope()?;
                fetch.envelope(&envelope.as_deref().map(told::envelope).unwrap_or_default(), out);
            }
            (FetchAttribute::BodyStructure, _) => match row.body_structure() {
                Some(told) => fetch.body_structure(told, out),
                None => fetch.body(&told::body_structure(&row.structure()?, 0), true, out),
            },
            (FetchAttribute::Body, Some(structure)) => {
                fetch.body(&told::body_structure(structure, 0), false, out);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Fields of the header that are wanted, if they are at hand.
    fn fields(&self, section: &Section) -> Option<Picked<'_>> {
        match &section.text {
            Some(SectionText::HeaderFields(names)) if section.part.is_empty() => self.kept?.picked(names),
            _ => None,
        }
    }

    /// All octets of the message.
    fn pieces(&self) -> Option<Pieces<'_>> {
        Some(Pieces::new(&self.info?.body, self.blobs, self.small))
    }
}
