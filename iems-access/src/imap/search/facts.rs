//! What is known of a message that is searched: more and more of it, until the key is answered.

use bytes::Bytes;
use iems_core::message::Body;
use iems_store::mailbox::{AccountId, MessageInfo, Uid};
use iems_store::search::{Field, HEADER, HeaderTexts, Needle, Sought, fields, is_searched, part_text};
use iems_store::structure::{
    Addresses, Envelope, KeptName, Part, Row, SentDate, Span, Structure, decode_field, read_range, unfolded,
};

use super::looked::Looked;
use super::query::{FIELD, Query, date_of};
use super::work::Work;
use super::{Candidate, SearchError, Searched, Spent};
use crate::net::Loan;

/// The longest message that is read at once, in octets.
const SMALL: u64 = 64 << 10;

/// An envelope, with octets of a row.
pub(super) type Told<'a> = Box<Envelope<&'a [u8]>>;

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
    /// The row of its structure.
    row: Option<Bytes>,
    /// Decoded fields of its header, once that was read.
    header: Option<Vec<Field>>,
    /// The texts that are looked for, and what is known of them without reading.
    looked: Option<&'a Looked>,
    /// Whether each of them was found, once texts were read.
    found: Option<Vec<bool>>,
    /// What was found of fields, by their places in the query, where that takes long.
    fields: Vec<Option<bool>>,
    /// The answer, if the row of its structure gave it while it was shown.
    pub(super) answer: Option<bool>,
}

/// What is known of a message, with the row of its structure, where that is.
#[derive(Clone, Copy)]
pub(super) struct Known<'f> {
    pub(super) facts: &'f Facts<'f>,
    row: Option<Row<'f>>,
}

/// From so many octets on, all that is asked of fields of one message is looked at piece by piece.
const MUCH: usize = 32 << 10;

impl<'a> Facts<'a> {
    /// What the session holds.
    pub(super) fn new(searched: &'a Searched<'a>, candidate: Candidate<'a>) -> Self {
        Self {
            candidate,
            searched,
            info: None,
            row: None,
            header: None,
            looked: None,
            found: None,
            fields: Vec::new(),
            answer: None,
        }
    }

    /// The same, for a search that looks for texts.
    pub(super) fn looking_for(self, looked: &'a Looked) -> Self {
        Self { looked: Some(looked), ..self }
    }

    pub(super) const fn account(&self) -> AccountId {
        self.searched.account
    }

    /// Learns more of messages, which are in order, with one reading for all.
    pub(super) async fn learn(
        all: &mut [(usize, Self)],
        level: Level,
        searched: &Searched<'_>,
    ) -> Result<(), SearchError> {
        let mut open: Vec<&mut Self> = all.iter_mut().map(|(_, facts)| facts).collect();
        open.retain(|facts| match level {
            Level::Info => facts.info.is_none(),
            Level::Structure => facts.row.is_none() && !facts.is_gone(),
        });
        let uids: Vec<_> = open.iter().map(|facts| Uid(facts.candidate.uid)).collect();
        if uids.is_empty() {
            return Ok(());
        }
        let (mailboxes, account, mailbox) = (searched.mailboxes, searched.account, searched.mailbox);
        if level == Level::Info {
            let mut infos = mailboxes.infos(account, mailbox, &uids).await?.into_iter().peekable();
            for (facts, uid) in open.into_iter().zip(uids) {
                facts.info = Some(infos.next_if(|info| info.uid == uid));
            }
            return Ok(());
        }
        let mut rows = mailboxes.structures(account, mailbox, &uids).await?.into_iter().peekable();
        for (facts, uid) in open.into_iter().zip(uids) {
            facts.row = rows.next_if(|(found, _)| *found == uid).map(|(_, row)| row);
        }
        Ok(())
    }

    /// Asks `query` of messages, which are in order, while the rows of their structures are shown. Those rows stay that are
    /// not enough for an answer, or in which very much is to be looked for.
    pub(super) async fn see(
        all: &mut [(usize, Self)],
        query: &Query,
        fields: &[&Query],
        searched: &Searched<'_>,
    ) -> Result<(), SearchError> {
        let mut open: Vec<&mut Self> =
            all.iter_mut().map(|(_, facts)| facts).filter(|facts| !facts.is_gone()).collect();
        let uids: Vec<_> = open.iter().map(|facts| Uid(facts.candidate.uid)).collect();
        let mut next = 0;
        let mut each = |uid: Uid, row: &[u8]| {
            while open.get(next).is_some_and(|facts| facts.candidate.uid < uid.0) {
                next += 1;
            }
            let Some(facts) = open.get_mut(next).filter(|facts| facts.candidate.uid == uid.0) else {
                return Ok(true);
            };
            let much = fields.len().saturating_mul(row.len()) >= MUCH;
            facts.answer = match much {
                true => None,
                false => query.answer(Known { facts, row: Row::of(row).ok() }),
            };
            if facts.answer.is_none() {
                facts.row = Some(Bytes::copy_from_slice(row));
            }
            Ok(true)
        };
        let (mailboxes, account, mailbox) = (searched.mailboxes, searched.account, searched.mailbox);
        Ok(mailboxes.visit_structures(account, mailbox, &uids, &mut each).await?)
    }

    /// Makes the structures of those that were stored without one, or before this form of it.
    pub(super) async fn complete(&mut self) -> Result<(), SearchError> {
        let fits = |row: &Bytes, body: &Body| Row::of(row).is_ok_and(|row| row.size() == body.size());
        let Some(body) = self.body() else { return Ok(()) };
        if !self.row.as_ref().is_some_and(|row| fits(row, body)) {
            let made = Structure::read(body, self.searched.mailboxes.blobs()).await?;
            self.row = Some(made.encode()?.into());
        }
        Ok(())
    }

    /// Whether `$` stands for it.
    pub(super) fn is_saved(&self) -> bool {
        self.searched.saved.contains(self.candidate.uid)
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

    /// All that is known of it.
    pub(super) fn known(&self) -> Known<'_> {
        Known { facts: self, row: self.row.as_deref().and_then(|row| Row::of(row).ok()) }
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

    /// How large the row of its structure is, if it is known.
    pub(super) fn row_octets(&self) -> usize {
        self.row.as_ref().map_or(0, Bytes::len)
    }

    /// What was found of the field at a place.
    pub(super) fn looked_at(&self, nth: usize) -> Option<bool> {
        *self.fields.get(nth)?
    }

    /// Counts what it costs to ask all of `fields`, as much as is known of the header; where that is much, looks at them, and
    /// others get their turn in between.
    pub(super) async fn look(&mut self, fields: &[&Query], work: &mut Work) -> Result<(), SearchError> {
        let octets = match &self.header {
            Some(header) => header.iter().map(|(name, value)| name.len() + value.len() + 4).sum(),
            None => self.row_octets(),
        };
        if fields.len().saturating_mul(octets) < MUCH {
            return Ok(());
        }
        self.fields.resize(fields.len(), None);
        for (nth, query) in fields.iter().enumerate() {
            if self.looked_at(nth).is_none() {
                work.look_on(octets, FIELD).await?;
                self.fields[nth] = query.answer(self.known());
            }
        }
        Ok(())
    }

    /// The answer, from the octets of the message if it has to be.
    pub(super) async fn read(
        &mut self,
        query: &Query,
        fields: &[&Query],
        spent: &Spent,
        work: &mut Work,
    ) -> Result<bool, SearchError> {
        self.complete().await?;
        if let Some(answer) = query.answer(self.known()) {
            return Ok(answer);
        }
        let (Some(body), Some(row)) = (self.body().cloned(), self.row.clone()) else { return Ok(false) };
        let made;
        let structure = match Row::of(&row)?.structure() {
            Ok(structure) => structure,
            // Damaged within: what it says is in the message, too.
            Err(_) => {
                made = Structure::read(&body, self.searched.mailboxes.blobs()).await?.encode()?;
                Row::of(&made)?.structure()?
            }
        };
        let reader = Reader::open(self.searched, body, spent).await?;
        let mut held = self.searched.budget.loan();
        if query.reads_headers() {
            let header = structure.parts.first().map(|part| part.header).unwrap_or_default();
            held.resize(decoded(header.length.min(HEADER)))?;
            self.header = Some(reader.header(header).await?);
            self.look(fields, work).await?;
            if let Some(answer) = query.answer(self.known()) {
                return Ok(answer);
            }
        }
        // Of each part, all is forgotten before the next one.
        let mut held = (held, self.searched.budget.loan());
        self.found = Some(self.search(&reader, &structure, work, &mut held.1).await?);
        Ok(query.answer(self.known()).unwrap_or(false))
    }

    /// Looks for texts in all headers and bodies, until all are found.
    async fn search(
        &self,
        reader: &Reader<'_>,
        structure: &Structure<&[u8]>,
        work: &mut Work,
        held: &mut Loan,
    ) -> Result<Vec<bool>, SearchError> {
        let needles = self.looked.map(Looked::needles).unwrap_or_default();
        let mut found = vec![false; needles.len()];
        for part in &structure.parts {
            if found.iter().all(|found| *found) {
                break;
            }
            let text = if is_searched(part) { part.body.length } else { 0 };
            let (header, text) = (part.header.length.min(HEADER), text.min(self.searched.limits.text));
            held.resize(decoded(header.max(text)))?;
            if needles.iter().any(|needle| needle.headers) {
                let octets = reader.octets(part.header, HEADER).await?;
                let mut texts = HeaderTexts::of(&octets);
                while let Some(text) = texts.next() {
                    mark(&mut found, needles, text, |needle| needle.headers, work).await?;
                }
            }
            if let Some(text) = reader.text(part).await? {
                // As much again for reading it.
                work.look(text.len()).await?;
                mark(&mut found, needles, &text, |_| true, work).await?;
            }
        }
        Ok(found)
    }
}

/// What a text takes that is decoded, of so many octets: as it is read, and up to four forms of it. Short ones do not count.
fn decoded(octets: u64) -> usize {
    if octets <= SMALL { 0 } else { 5 * usize::try_from(octets).unwrap_or(usize::MAX / 5) }
}

impl<'f> Known<'f> {
    /// Its envelope, if it is known: the inner `None` if there is none.
    pub(super) fn envelope(&self) -> Option<Option<Told<'f>>> {
        self.row?.envelope().ok()
    }

    /// When it was sent.
    pub(super) fn sent(&self) -> Option<Option<SentDate>> {
        if self.facts.is_gone() {
            return Some(None);
        }
        Some(date_of(self.envelope()??.date))
    }

    /// Whether a field with a name has a text in it.
    pub(super) fn field_has(&self, name: &Name, sought: &Sought) -> Option<bool> {
        if self.facts.is_gone() {
            return Some(false);
        }
        if let Some(header) = &self.facts.header {
            let mut named =
                header.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name.written.as_bytes()));
            return Some(named.any(|(_, value)| sought.is_in(value)));
        }
        self.row?.kept().any(name.kept?, |field| sought.is_in_field(field))
    }

    /// Whether a field with addresses has a folded text in it, as it stands or as one of its addresses is told in the envelope
    /// (RFC 9051 section 6.4.4): without comments, and `Name <mailbox@host>`.
    pub(super) fn addresses_have(&self, which: Addresses, name: &Name, sought: &Sought) -> Option<bool> {
        match self.field_has(name, sought) {
            Some(false) if !self.facts.is_gone() => {}
            answer => return answer,
        }
        self.row?.any_address(which, |address| sought.is_in_address(address)).ok()
    }

    /// The decoded values of a field, if they are known.
    pub(super) fn values(&self, name: &str) -> Option<Vec<String>> {
        let fields = self.row?.kept().named(KeptName::of(name)?)?;
        let values = fields.into_iter().flat_map(unfolded);
        Some(values.map(|(_, value)| decode_field(&value)).collect())
    }
}

/// The name of a field.
#[derive(Debug, Clone)]
pub(super) struct Name {
    written: String,
    /// If such fields are kept beside messages.
    kept: Option<KeptName>,
}

impl Name {
    pub(super) fn new(written: &str) -> Self {
        Self { written: written.to_owned(), kept: KeptName::of(written) }
    }
}

/// Marks the texts that are in `text`.
async fn mark(
    found: &mut [bool],
    needles: &[Needle],
    text: &str,
    counts: impl Fn(&Needle) -> bool,
    work: &mut Work,
) -> Result<(), SearchError> {
    for (found, needle) in found.iter_mut().zip(needles).filter(|(found, needle)| !**found && counts(needle))
    {
        work.look(text.len()).await?;
        *found = memchr::memmem::find(text.as_bytes(), needle.text.as_bytes()).is_some();
    }
    Ok(())
}

/// Reads octets of one message, as far as the budget goes.
struct Reader<'a> {
    searched: &'a Searched<'a>,
    body: Body,
    /// All octets of its blob, if they are few.
    small: Option<Bytes>,
    spent: &'a Spent,
}

impl<'a> Reader<'a> {
    async fn open(searched: &'a Searched<'a>, body: Body, spent: &'a Spent) -> Result<Self, SearchError> {
        let small = match body.blob_size <= SMALL && body.prefix.is_empty() {
            true => Some(searched.mailboxes.blobs().read(body.blob, 0..body.blob_size).await?),
            false => None,
        };
        Ok(Self { searched, body, small, spent })
    }

    async fn octets(&self, span: Span, most: u64) -> Result<Bytes, SearchError> {
        let span = span.partial(0, most);
        self.spent.take(span.length, &self.searched.limits)?;
        if let Some(small) = &self.small {
            let end = span.end().min(small.len() as u64);
            return Ok(small.slice(span.start.min(end) as usize..end as usize));
        }
        Ok(read_range(&self.body, self.searched.mailboxes.blobs(), span.range()).await?.into())
    }

    /// The fields of a header, decoded.
    async fn header(&self, span: Span) -> Result<Vec<Field>, SearchError> {
        Ok(fields(&self.octets(span, HEADER).await?))
    }

    /// What is searched of a part, if it is a text.
    async fn text(&self, part: &Part<&[u8]>) -> Result<Option<String>, SearchError> {
        if !is_searched(part) {
            return Ok(None);
        }
        let octets = self.octets(part.body, self.searched.limits.text).await?;
        Ok(Some(part_text(part, &octets)))
    }
}
