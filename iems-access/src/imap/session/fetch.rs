//! `FETCH` (RFC 9051 section 6.4.5): from what is stored beside a message where that will do; bodies piece by piece.

use std::collections::BTreeMap;

use iems_core::storage::StoreError;
use iems_store::mailbox::{FlagAction, FlagChange, Flags, MessageInfo, Rights, Uid};
use iems_store::structure::Structure;

use super::binary::{self, Counted, Encoded};
use super::body::{self, Pieces, Source};
use super::user::Selected;
use super::{Enabled, Outcome, Output, Session, Sink, Trouble};
use crate::imap::codec::FetchEncoder;
use crate::imap::search::{email_id, thread_id};
use crate::imap::types::{
    Code, Content, Data, DateTime, Fetch, FetchAttribute, FetchItem, NumberSet, Partial, Section,
    SectionText, Status,
};

/// How many messages are read at a time.
const STEP: usize = 64;

/// What a `FETCH` needs of each message.
#[derive(Clone, Copy)]
struct Needs {
    info: bool,
    structure: bool,
    octets: bool,
    seen: bool,
}

impl Needs {
    fn of(attributes: &[FetchAttribute]) -> Self {
        use FetchAttribute as A;
        let structure = attributes.iter().any(|a| match a {
            A::Envelope | A::Body | A::BodyStructure => true,
            A::BodySection { section, .. } => *section != Section::default(),
            A::Binary { .. } | A::BinarySize { .. } | A::Rfc822Header | A::Rfc822Text => true,
            A::Preview { .. } => true,
            _ => false,
        });
        let info = structure || attributes.iter().any(|a| !matches!(a, A::Flags | A::Uid | A::ModSeq));
        let octets = attributes.iter().any(|a| {
            matches!(
                a,
                A::BodySection { .. }
                    | A::Binary { .. }
                    | A::BinarySize { .. }
                    | A::Preview { .. }
                    | A::Rfc822
                    | A::Rfc822Header
                    | A::Rfc822Text
            )
        });
        Self { info, structure, octets, seen: attributes.iter().any(A::sets_seen) }
    }
}

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
        let selected = self.selected()?;
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
        let mut missing = false;
        for step in numbers.chunks(STEP) {
            missing |= self.fetch_some(step, &attributes, needs, out).await?;
        }
        Ok(match missing {
            true => Status::ok("Some are gone").with(Code::ExpungeIssued),
            false => Status::ok("That is what was asked for"),
        })
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
        let step = if attributes.iter().any(FetchAttribute::may_fail) { 1 } else { STEP };
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
        let last = u32::try_from(next.saturating_sub(1)).unwrap_or(u32::MAX);
        let uids = selected.vanished(&known.within(1, last), &changes);
        if !uids.is_empty() {
            out.data(Data::Vanished { earlier: true, uids });
        }
        Ok(())
    }

    /// Some messages; whether any is gone.
    async fn fetch_some<S: Sink>(
        &mut self,
        numbers: &[u32],
        attributes: &[FetchAttribute],
        needs: Needs,
        out: &mut Output<'_, S>,
    ) -> Result<bool, Trouble> {
        let lit = self.light(numbers, needs).await?;
        let enabled = self.enabled;
        let mailboxes = self.accounts.mailboxes();
        let selected = self.selected()?;
        let uids = selected.uids(numbers);
        let mut missing = uids.len() < numbers.len();
        let mut infos = BTreeMap::new();
        if needs.info {
            let read = mailboxes.infos(selected.account, selected.mailbox, &uids).await?;
            infos.extend(read.into_iter().map(|info| (info.uid, info)));
        }
        for uid in uids {
            let info = infos.get(&uid);
            if needs.info && info.is_none() {
                missing = true;
                continue;
            }
            let read = async {
                // What others expunge meanwhile may lose its octets at any time.
                if let Some(info) = info.filter(|_| needs.octets) {
                    mailboxes.blobs().size(info.body.blob).await?;
                }
                match info.filter(|_| needs.structure) {
                    Some(info) => {
                        body::structure(mailboxes, (selected.account, selected.mailbox), info).await.map(Some)
                    }
                    None => Ok(None),
                }
            };
            let structure = match read.await {
                Err(StoreError::NoBlob(_)) => {
                    missing = true;
                    continue;
                }
                structure => structure?,
            };
            let flags_too = lit.contains(&uid) && !attributes.contains(&FetchAttribute::Flags);
            let one =
                One { selected, enabled, info, structure: structure.as_ref(), blobs: mailboxes.blobs() };
            one.tell(uid, attributes, flags_too, out).await?;
            out.pause().await?;
        }
        Ok(missing)
    }

    /// Marks messages as seen that are about to be read. Which were not before.
    async fn light(&mut self, numbers: &[u32], needs: Needs) -> Result<Vec<Uid>, Trouble> {
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
        let selected = self.selected_mut()?;
        for state in &stored.states {
            selected.view.take(state);
        }
        Ok(uids)
    }
}

/// One message that is told.
struct One<'a> {
    selected: &'a Selected,
    enabled: Enabled,
    info: Option<&'a MessageInfo>,
    structure: Option<&'a Structure>,
    blobs: &'a dyn iems_core::storage::Blobs,
}

impl One<'_> {
    async fn tell<S: Sink>(
        &self,
        uid: Uid,
        attributes: &[FetchAttribute],
        flags_too: bool,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let Some(number) = self.selected.view.number_of(uid.0) else { return Ok(()) };
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
        }
        if flags_too && let Some(item) = self.item(number, &FetchAttribute::Flags) {
            let _ = fetch.item(&item, out.buffer);
            if self.enabled.condstore
                && !attributes.contains(&FetchAttribute::ModSeq)
                && let Some(item) = self.item(number, &FetchAttribute::ModSeq)
            {
                let _ = fetch.item(&item, out.buffer);
            }
        }
        fetch.end(out.buffer);
        Ok(())
    }

    /// What is at hand; `None` for octets of the message.
    fn item(&self, number: u32, attribute: &FetchAttribute) -> Option<FetchItem> {
        let seen = self.selected.view.get(number)?;
        let root = || self.structure.and_then(|structure| structure.parts.first());
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
            FetchAttribute::Envelope => {
                let envelope = root().and_then(|part| part.envelope.as_deref());
                FetchItem::Envelope(Box::new(envelope.map(body::envelope).unwrap_or_default()))
            }
            FetchAttribute::Body => FetchItem::Body(Box::new(body::structured(self.structure?, 0))),
            FetchAttribute::BodyStructure => {
                FetchItem::BodyStructure(Box::new(body::structured(self.structure?, 0)))
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
        Ok(encoded.count(partial, info, self.blobs).await.map_err(std::io::Error::other)?)
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
        let mut decoding = encoded.decode(partial, info, self.blobs);
        while let Some(octets) = decoding.next().await.map_err(std::io::Error::other)? {
            left = left.saturating_sub(octets.len() as u64);
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
        let Some(info) = self.info else { return Ok(()) };
        let text = |text| Section { part: Vec::new(), text: Some(text) };
        let (section, partial) = match attribute {
            FetchAttribute::BodySection { section, partial, .. } => (section.clone(), *partial),
            FetchAttribute::Rfc822 => (Section::default(), None),
            FetchAttribute::Rfc822Header => (text(SectionText::Header), None),
            FetchAttribute::Rfc822Text => (text(SectionText::Text), None),
            _ => return Ok(()),
        };
        let source = body::find(&section, self.structure, info, self.blobs).await?.cut(partial);
        let content = match &source {
            Source::Missing => Content::Nil,
            Source::Octets(octets) => Content::Octets(octets.clone()),
            Source::Range(range) => Content::Streamed { octets: range.end - range.start, binary: false },
        };
        let origin = partial.map(|Partial { origin, .. }| origin);
        let item = match attribute {
            FetchAttribute::Rfc822 => FetchItem::Rfc822(content),
            FetchAttribute::Rfc822Header => FetchItem::Rfc822Header(content),
            FetchAttribute::Rfc822Text => FetchItem::Rfc822Text(content),
            _ => FetchItem::BodySection { section, origin, content },
        };
        let mut left = fetch.item(&item, out.buffer);
        if let Source::Range(range) = source {
            let mut pieces = Pieces::new(&info.body, self.blobs, range);
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
}
