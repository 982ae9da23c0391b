//! `FETCH` (RFC 9051 section 6.4.5): from what is stored beside a message where that will do; bodies piece by piece.

use bytes::{Bytes, BytesMut};
use iems_core::storage::StoreError;
use iems_store::mailbox::{FlagAction, FlagChange, Flags, MessageInfo, Rights, Uid};
use iems_store::structure::{Kept, Row, Structure};
use iems_store::told;

use super::binary::{self, Counted, Encoded};
use super::body::{self, Pieces, Source};
use super::effort::Effort;
use super::reading::{Needs, Reading};
use super::user::Selected;
use super::{Enabled, Outcome, Output, Session, Sink, Trouble};
use crate::imap::codec::FetchEncoder;
use crate::imap::search::{email_id, thread_id};
use crate::imap::types::{
    Code, Content, Data, DateTime, Fetch, FetchAttribute, FetchItem, NumberSet, Partial, Section,
    SectionText, SequenceSet, Status,
};

/// How many messages are read at a time: at first, at most, and where their rows are large.
const STEPS: (usize, usize, usize) = (16, 128, 4);
/// What a message costs that may be named, in octets.
const NUMBER: usize = 8;
/// Rows of so many octets are large.
const LARGE: usize = 256 << 10;

impl Session {
    pub(super) async fn fetch<S: Sink>(
        &mut self,
        uid: bool,
        fetch: Fetch,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let Fetch { messages, mut attributes, changed_since, vanished, partial } = fetch;
        if vanished && !self.enabled.qresync {
            return Err(Status::bad("ENABLE QRESYNC first").into());
        }
        // UIDFETCH names it already (RFC 9586 section 3.3).
        if uid && !self.enabled.uid_only && !attributes.contains(&FetchAttribute::Uid) {
            attributes.insert(0, FetchAttribute::Uid);
        }
        if changed_since.is_some() && !attributes.contains(&FetchAttribute::ModSeq) {
            attributes.push(FetchAttribute::ModSeq);
        }
        if attributes.contains(&FetchAttribute::ModSeq) && !self.enabled.condstore {
            self.enabled.condstore = true;
            self.tell_highest(out).await?;
        }
        let paged = partial.is_some() || changed_since.is_some();
        self.catch_up_for(&messages, uid, &attributes, paged, out).await?;
        let selected = self.selected()?;
        let _held = selected.budget.take(selected.view.messages().len().saturating_mul(NUMBER))?;
        let mut numbers = selected.view.numbers(&messages, uid, &selected.saved);
        if let Some(range) = partial {
            // The page first, then what changed of it (RFC 9394 section 3.4).
            numbers.retain(|number| selected.view.get(*number).is_some_and(|seen| !seen.gone));
            numbers = numbers[range.within(numbers.len())].to_vec();
        }
        if let Some(since) = changed_since {
            numbers.retain(|number| selected.view.get(*number).is_some_and(|seen| seen.modseq > since));
            if vanished {
                let known = messages.resolve(selected.view.greatest(), &selected.saved);
                self.tell_vanished(&known, since, out).await?;
            }
        }
        let needs = Needs::of(&attributes);
        self.selected_mut()?.effort = Effort::default();
        let (mut missing, mut rest) = (false, &numbers[..]);
        let (mut step, most, least) = STEPS;
        while !rest.is_empty() {
            let (these, later) = rest.split_at(step.min(rest.len()));
            rest = later;
            let (gone, octets) = self.fetch_some(these, &attributes, needs, out).await?;
            missing |= gone;
            step = match octets {
                small if small <= LARGE / 2 => (2 * step).min(most),
                fair if fair <= LARGE => step,
                _ => least,
            };
        }
        Ok(match missing {
            true => Status::ok("Some are gone").with(Code::ExpungeIssued),
            false => Status::ok("That is what was asked for"),
        })
    }

    /// What is told is the mailbox as it is now. Flags that the command tells anyway are not told before; of a page of the
    /// messages, it is not known yet which those are.
    async fn catch_up_for<S: Sink>(
        &mut self,
        messages: &SequenceSet,
        uid: bool,
        attributes: &[FetchAttribute],
        paged: bool,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let selected = self.selected()?;
        if !selected.is_behind(self.accounts.mailboxes()).await? {
            return Ok(());
        }
        let tells = |attribute| attributes.contains(&attribute);
        let tells_all =
            tells(FetchAttribute::Flags) && (!self.enabled.condstore || tells(FetchAttribute::ModSeq));
        let told = match tells_all && !paged {
            true => selected.uids(&selected.view.numbers(messages, uid, &selected.saved)),
            false => Vec::new(),
        };
        self.catch_up(&told, out).await
    }

    /// What `NOTIFY` asked for of new messages. None of it sets `\Seen`, and what cannot be told of a message is left out.
    pub(super) async fn tell_new<S: Sink>(
        &mut self,
        uids: &[u32],
        attributes: &[FetchAttribute],
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let needs = Needs { seen: false, ..Needs::of(attributes) };
        // One that cannot be told takes others of its step along.
        let step = if attributes.iter().any(FetchAttribute::may_fail) { 1 } else { STEPS.0 };
        let selected = self.selected()?;
        let numbers: Vec<_> = uids.iter().filter_map(|uid| selected.view.number_of(*uid)).collect();
        for step in numbers.chunks(step) {
            match self.fetch_some(step, attributes, needs, out).await {
                Err(Trouble::Io(error)) => return Err(error.into()),
                Ok(_) | Err(Trouble::Said(_)) => {}
            }
        }
        Ok(())
    }

    /// What left since a MODSEQ (RFC 7162 section 3.2.6).
    async fn tell_vanished<S: Sink>(
        &self,
        known: &NumberSet,
        since: u64,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let selected = self.selected()?;
        let (account, mailbox) = (selected.account, selected.mailbox);
        let mailboxes = self.accounts.mailboxes();
        let changes = mailboxes.changes(account, mailbox, since).await?;
        let next = mailboxes.status(account, mailbox).await?.uid_next;
        let mut last = u32::try_from(next.saturating_sub(1)).unwrap_or(u32::MAX);
        if !changes.complete {
            // What came a moment ago is not in the view yet, and is there.
            let new = mailboxes.view(account, mailbox, Uid(selected.view.last_uid()), 1).await?;
            last = new.first().map_or(last, |state| last.min(state.uid.0 - 1));
        }
        let uids = selected.vanished(&known.within(1, last), &changes);
        if !uids.is_empty() {
            out.data(Data::Vanished { earlier: true, uids });
        }
        Ok(())
    }

    /// Some messages; whether any is gone, and how many octets of rows were read.
    async fn fetch_some<S: Sink>(
        &mut self,
        numbers: &[u32],
        attributes: &[FetchAttribute],
        needs: Needs,
        out: &mut Output<'_, S>,
    ) -> Result<(bool, usize), Trouble> {
        let lit = self.light(numbers, needs, out).await?;
        let enabled = self.enabled;
        let mailboxes = self.accounts.mailboxes();
        let selected = self.selected()?;
        let there = selected.there(numbers);
        let mut missing = there.len() < numbers.len();
        let mut reading = Reading::begin(mailboxes, selected, &there, needs).await?;
        let octets = reading.octets();
        // As they are stored, and twice as much as they are read and told. What is told of a header comes on top.
        let mut held = selected.budget.take(3 * octets)?;
        for (number, uid) in there {
            let stored = reading.row(uid);
            let mut row = stored.as_deref().and_then(|row| Row::of(row).ok());
            let kept = row.as_ref().filter(|_| needs.fields).and_then(body::kept);
            let needs = if needs.fields && kept.is_none() { needs.of_message() } else { needs };
            let Some(known) = reading.known(uid, needs, stored.is_some()).await? else {
                missing = true;
                continue;
            };
            let made;
            row = row.filter(|row| known.fits(row.size()));
            if row.is_none() && needs.has_row() {
                let Some(again) = reading.made(uid, known.info.as_ref()).await? else {
                    missing = true;
                    continue;
                };
                made = again;
                row = Some(Row::of(&made)?);
            }
            let structure = row.filter(|_| needs.structure).map(|row| row.structure()).transpose()?;
            let lit = lit.contains(&uid);
            let one = One {
                selected,
                enabled,
                info: known.info.as_ref(),
                kept: kept.as_ref().or(structure.as_ref().map(|structure| &structure.kept)),
                row,
                structure: structure.as_ref(),
                blobs: mailboxes.blobs(),
                small: known.small.as_ref(),
            };
            held.resize(3 * octets + one.header_octets(attributes))?;
            one.tell(number, uid, attributes, lit, out).await?;
            out.pause().await?;
        }
        Ok((missing, octets))
    }

    /// Marks messages as seen that are about to be read. Which were not before.
    async fn light<S: Sink>(
        &mut self,
        numbers: &[u32],
        needs: Needs,
        out: &mut Output<'_, S>,
    ) -> Result<Vec<Uid>, Trouble> {
        let selected = self.selected()?;
        if !needs.seen || selected.read_only || !selected.rights.contains(Rights::SEEN) {
            return Ok(Vec::new());
        }
        let dark = |uid: &Uid| {
            let seen = selected.view.number_of(uid.0).and_then(|number| selected.view.get(number));
            seen.is_some_and(|seen| !seen.flags.contains(Flags::SEEN))
        };
        let uids: Vec<_> = selected.uids(numbers).into_iter().filter(dark).collect();
        if uids.is_empty() {
            return Ok(uids);
        }
        let (account, mailbox) = (selected.account, selected.mailbox);
        let change = FlagChange::new(FlagAction::Add, Flags::SEEN);
        let stored = self.accounts.mailboxes().store_flags(account, mailbox, &uids, &change).await?;
        self.adopt(&stored.states, out).await?;
        Ok(uids)
    }
}

/// One message that is told.
struct One<'a> {
    selected: &'a Selected,
    enabled: Enabled,
    info: Option<&'a MessageInfo>,
    /// Fields of its header, if they were read.
    kept: Option<&'a Kept<&'a [u8]>>,
    /// What is stored of its structure.
    row: Option<Row<'a>>,
    /// All of that, if it is wanted.
    structure: Option<&'a Structure<&'a [u8]>>,
    blobs: &'a dyn iems_core::storage::Blobs,
    /// The octets of its blob, if they are few and were read.
    small: Option<&'a Bytes>,
}

impl One<'_> {
    async fn tell<S: Sink>(
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
        let mut fetch = match self.enabled.uid_only {
            true => out.encoder.uid_fetch_begin(uid.0, out.buffer),
            false => out.encoder.fetch_begin(number, out.buffer),
        };
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
        // What telling it changed is told, too; with CONDSTORE also when (RFC 7162 section 3.1.4.1).
        let changed = [(true, FetchAttribute::Flags), (self.enabled.condstore, FetchAttribute::ModSeq)];
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
    fn header_octets(&self, attributes: &[FetchAttribute]) -> usize {
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
            Some(fields) if partial.is_none() => {
                let content = Content::Streamed { octets: fields.len() as u64, binary: false };
                let _ = fetch.section(section, None, &content, out.buffer);
                body::without_nul(&fields, out.buffer);
                return Ok(());
            }
            Some(fields) => Source::Octets(fields.into()),
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
    fn fields(&self, section: &Section) -> Option<Vec<u8>> {
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
