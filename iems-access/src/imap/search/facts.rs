//! What is known of a message that is searched: more and more of it, until the key is answered.

use std::collections::HashMap;

use iems_core::message::Body;
use iems_store::mailbox::{AccountId, MessageInfo, Uid};
use iems_store::search::{Field, HEADER, Needle, field_text, fields, has, is_searched, part_text};
use iems_store::structure::{Address, Part, SentDate, Span, Structure, decode_field, read_range, unfolded};

use super::looked::Looked;
use super::query::{Addresses, Query, date_of};
use super::{Candidate, SearchError, Searched, Spent};

/// How much is to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// What never changes of it.
    Info,
    /// Its structure.
    Structure,
}

/// What is known of a message.
pub(super) struct Facts<'a> {
    pub(super) candidate: Candidate<'a>,
    searched: &'a Searched<'a>,
    /// `Some(None)` if it is gone.
    info: Option<Option<MessageInfo>>,
    pub(super) structure: Option<Structure>,
    /// Decoded fields of its header, once that was read.
    header: Option<Vec<Field>>,
    /// The texts that are looked for, and what is known of them without reading.
    looked: Option<&'a Looked>,
    /// Whether each of them was found, once texts were read.
    found: Option<Vec<bool>>,
}

impl<'a> Facts<'a> {
    /// What the session holds.
    pub(super) fn new(searched: &'a Searched<'a>, candidate: Candidate<'a>) -> Self {
        Self { candidate, searched, info: None, structure: None, header: None, looked: None, found: None }
    }

    /// The same, for a search that looks for texts.
    pub(super) fn looking_for(self, looked: &'a Looked) -> Self {
        Self { looked: Some(looked), ..self }
    }

    pub(super) const fn account(&self) -> AccountId {
        self.searched.account
    }

    /// Learns more of those at the places `of`, with one reading for all.
    pub(super) async fn learn(
        all: &mut [Self],
        of: &[usize],
        level: Level,
        searched: &Searched<'_>,
    ) -> Result<(), SearchError> {
        let there = |at: &&usize| all.get(**at).is_some_and(|facts| level == Level::Info || !facts.is_gone());
        let places: HashMap<Uid, usize> =
            of.iter().filter(there).map(|at| (Searched::uid_of(&all[*at].candidate), *at)).collect();
        if places.is_empty() {
            return Ok(());
        }
        let mut uids: Vec<_> = places.keys().copied().collect();
        uids.sort_unstable();
        let (mailboxes, account, mailbox) = (searched.mailboxes, searched.account, searched.mailbox);
        if level == Level::Info {
            for facts in of.iter().copied() {
                all[facts].info = Some(None);
            }
            for info in mailboxes.infos(account, mailbox, &uids).await? {
                if let Some(place) = places.get(&info.uid) {
                    all[*place].info = Some(Some(info));
                }
            }
            return Ok(());
        }
        for (uid, row) in mailboxes.structures(account, mailbox, &uids).await? {
            if let Some(facts) = places.get(&uid).map(|place| &mut all[*place]) {
                let fits =
                    |structure: &Structure| facts.body().is_some_and(|body| body.size() == structure.size);
                facts.structure = Structure::decode(&row).ok().filter(fits);
            }
        }
        // What was stored without one, or before this form of it.
        for place in places.into_values() {
            let facts = &mut all[place];
            if let (None, Some(body)) = (&facts.structure, facts.body().cloned()) {
                facts.structure = Some(Structure::read(&body, mailboxes.blobs()).await?);
            }
        }
        Ok(())
    }

    fn is_gone(&self) -> bool {
        matches!(self.info, Some(None))
    }

    fn body(&self) -> Option<&Body> {
        self.info.as_ref()?.as_ref().map(|info| &info.body)
    }

    /// What never changes of it, if it is there and known.
    pub(super) fn known_info(&self) -> Option<&MessageInfo> {
        self.info.as_ref()?.as_ref()
    }

    /// Whether something holds of what never changes; of a message that is gone, nothing does.
    pub(super) fn info(&self, holds: impl FnOnce(&MessageInfo) -> bool) -> Option<bool> {
        Some(self.info.as_ref()?.as_ref().is_some_and(holds))
    }

    /// When it was sent.
    pub(super) fn sent(&self) -> Option<Option<SentDate>> {
        if self.is_gone() {
            return Some(None);
        }
        let envelope = self.structure.as_ref()?.parts.first()?.envelope.as_ref()?;
        Some(date_of(envelope.date.as_deref()))
    }

    /// Whether a field with a name has a folded text in it.
    pub(super) fn field_has(&self, name: &str, needle: &str) -> Option<bool> {
        if self.is_gone() {
            return Some(false);
        }
        if let Some(header) = &self.header {
            let named = header.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
            return Some(named.into_iter().any(|(_, value)| has(value, needle)));
        }
        let mut kept = self.structure.as_ref()?.kept_field(name)?;
        Some(kept.any(|field| unfolded(field).iter().any(|(_, value)| has(&decode_field(value), needle))))
    }

    /// Whether a field with addresses has a folded text in it, as it stands or as one of its addresses is told in the envelope
    /// (RFC 9051 section 6.4.4): without comments, and `Name <mailbox@host>`.
    pub(super) fn addresses_have(&self, which: Addresses, needle: &str) -> Option<bool> {
        let name = match which {
            Addresses::From => "from",
            Addresses::To => "to",
            Addresses::Cc => "cc",
            Addresses::Bcc => "bcc",
        };
        match self.field_has(name, needle) {
            Some(false) if !self.is_gone() => {}
            answer => return answer,
        }
        let root = self.structure.as_ref()?.parts.first();
        let Some(envelope) = root.and_then(|root| root.envelope.as_ref()) else { return Some(false) };
        let addresses = match which {
            Addresses::From => &envelope.from,
            Addresses::To => &envelope.to,
            Addresses::Cc => &envelope.cc,
            Addresses::Bcc => &envelope.bcc,
        };
        Some(addresses.iter().any(|address| has(&written(address), needle)))
    }

    /// The decoded values of a field, if they are known.
    pub(super) fn values(&self, name: &str) -> Option<Vec<String>> {
        let kept = self.structure.as_ref()?.kept_field(name)?;
        Some(
            kept.flat_map(|field| unfolded(field).into_iter().map(|(_, value)| decode_field(&value)))
                .collect(),
        )
    }

    /// Whether the text at place `nth` of those that are looked for is in it.
    pub(super) fn text_has(&self, nth: usize, needle: &Needle) -> Option<bool> {
        if self.is_gone() {
            return Some(false);
        }
        if needle.text.is_empty() {
            return Some(true);
        }
        match &self.found {
            Some(found) => found.get(nth).copied(),
            None => self.looked?.rules_out(nth, self.known_info()?).then_some(false),
        }
    }

    /// Whether its texts had to be read for want of an index.
    pub(super) fn was_missed(&self) -> bool {
        let held = || Some(self.looked?.holds(self.known_info()?));
        self.found.is_some() && !held().unwrap_or(false)
    }

    /// Reads header and texts until the query is answered.
    pub(super) async fn read(&mut self, query: &Query, spent: &Spent) -> Result<bool, SearchError> {
        let (Some(body), Some(structure)) = (self.body().cloned(), self.structure.take()) else {
            return Ok(query.answer(self).unwrap_or(false));
        };
        let reader = Reader { searched: self.searched, body, spent };
        let header =
            reader.header(structure.parts.first().map(|part| part.header).unwrap_or_default()).await?;
        self.header = Some(header);
        self.structure = Some(structure);
        if let Some(answer) = query.answer(self) {
            return Ok(answer);
        }
        self.found = Some(self.search(&reader).await?);
        tokio::task::yield_now().await;
        Ok(query.answer(self).unwrap_or(false))
    }

    /// Looks for texts in all headers and bodies, until all are found.
    async fn search(&self, reader: &Reader<'_>) -> Result<Vec<bool>, SearchError> {
        let needles = self.looked.map(Looked::needles).unwrap_or_default();
        let mut found = vec![false; needles.len()];
        let parts = self.structure.as_ref().map(|structure| &structure.parts[..]).unwrap_or_default();
        for (at, part) in parts.iter().enumerate() {
            if found.iter().all(|found| *found) {
                break;
            }
            if needles.iter().any(|needle| needle.headers) {
                let read;
                let header = match (&self.header, at) {
                    (Some(header), 0) => header,
                    _ => {
                        read = reader.header(part.header).await?;
                        &read
                    }
                };
                for field in header {
                    mark(&mut found, needles, &field_text(field), |needle| needle.headers);
                }
            }
            if let Some(text) = reader.text(part).await? {
                mark(&mut found, needles, &text, |_| true);
            }
        }
        Ok(found)
    }
}

/// Marks the texts that are in `text`.
fn mark(found: &mut [bool], needles: &[Needle], text: &str, counts: impl Fn(&Needle) -> bool) {
    for (found, needle) in found.iter_mut().zip(needles) {
        *found |= counts(needle) && memchr::memmem::find(text.as_bytes(), needle.text.as_bytes()).is_some();
    }
}

/// An address as it is written without comments.
fn written(address: &Address) -> String {
    let text = |octets: Option<&bytes::Bytes>| octets.map(|octets| decode_field(octets)).unwrap_or_default();
    let (name, mailbox) = (text(address.name.as_ref()), text(address.mailbox.as_ref()));
    format!("{name} <{mailbox}@{}>", text(address.host.as_ref()))
}

/// Reads octets of one message, as far as the budget goes.
struct Reader<'a> {
    searched: &'a Searched<'a>,
    body: Body,
    spent: &'a Spent,
}

impl Reader<'_> {
    async fn octets(&self, span: Span, most: u64) -> Result<Vec<u8>, SearchError> {
        let span = Structure::partial(span, 0, most);
        self.spent.take(span.length, &self.searched.limits)?;
        Ok(read_range(&self.body, self.searched.mailboxes.blobs(), span.range()).await?)
    }

    /// The fields of a header, decoded.
    async fn header(&self, span: Span) -> Result<Vec<Field>, SearchError> {
        Ok(fields(&self.octets(span, HEADER).await?))
    }

    /// What is searched of a part, if it is a text.
    async fn text(&self, part: &Part) -> Result<Option<String>, SearchError> {
        if !is_searched(part) {
            return Ok(None);
        }
        let octets = self.octets(part.body, self.searched.limits.text).await?;
        Ok(Some(part_text(part, &octets)))
    }
}
