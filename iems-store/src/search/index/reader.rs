//! Asking an index: which messages it holds, and which of them may have a text.

use std::sync::Arc;

use iems_core::message::Body;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Index, ReloadPolicy, Searcher, SegmentReader, TERMINATED, Term};

use super::super::{KnownTexts, Needle, TELLING};
use super::error::IndexError;
use super::grams;
use super::schema::{Fields, mark_of};
use crate::mailbox::MessageInfo;

/// How many triples of a needle are asked for: the rarest. What has them all has nearly always the needle.
const ASKED: usize = 48;
/// The place of what was removed.
const NOWHERE: u32 = u32::MAX;

/// A message that an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    pub(super) email: u64,
    pub(super) mark: u64,
    /// All of its texts were taken in.
    pub(super) whole: bool,
}

/// An index as it was at one commit.
pub(super) struct Reader {
    searcher: Searcher,
    fields: Fields,
    /// In order; each once.
    held: Vec<Held>,
    /// By segment and document, the place among `held`.
    places: Vec<Vec<u32>>,
}

impl Reader {
    /// The last commit.
    pub(super) fn open(index: &Index, fields: Fields) -> Result<Self, IndexError> {
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let searcher = reader.searcher();
        let mut columns = Vec::new();
        for segment in searcher.segment_readers() {
            columns.push(documents(segment)?);
        }
        let mut held: Vec<Held> = columns.iter().flatten().flatten().copied().collect();
        held.sort_unstable();
        held.dedup_by_key(|one| (one.email, one.mark));
        let place = |one: &Option<Held>| {
            let found =
                held.binary_search_by_key(&one.map(|one| (one.email, one.mark)), |h| Some((h.email, h.mark)));
            found.map_or(NOWHERE, |place| u32::try_from(place).unwrap_or(NOWHERE))
        };
        let places = columns.iter().map(|documents| documents.iter().map(place).collect()).collect();
        Ok(Self { searcher, fields, held, places })
    }

    /// All messages that it holds, in the order of their EMAILIDs.
    pub(super) fn held(&self) -> &[Held] {
        &self.held
    }

    fn place(&self, message: &MessageInfo) -> Option<usize> {
        self.place_of(message.email, &message.body)
    }

    fn place_of(&self, email: u64, body: &Body) -> Option<usize> {
        let first = self.held.partition_point(|one| one.email < email);
        let same = self.held.get(first..)?.iter().take_while(|one| one.email == email);
        let mark = mark_of(body);
        same.zip(first..).find(|(one, _)| one.mark == mark).map(|(_, place)| place)
    }

    /// Which of the messages may have a needle.
    fn may_have(&self, needle: &Needle) -> Result<Bits, IndexError> {
        let grams = grams::distinct(needle.text.as_bytes());
        let mut bits = Bits::new(self.held.len());
        let fields = [Some(self.fields.body), needle.headers.then_some(self.fields.header)];
        for (segment, places) in self.searcher.segment_readers().iter().zip(&self.places) {
            for field in fields.into_iter().flatten() {
                for document in having_all(segment, field, &grams)? {
                    bits.set(places.get(document as usize).copied().unwrap_or(NOWHERE));
                }
            }
        }
        Ok(bits)
    }

    /// What is known about some needles.
    pub(super) fn ask(self: Arc<Self>, needles: &[Needle]) -> Result<Known, IndexError> {
        let mut all = Vec::with_capacity(needles.len());
        for needle in needles {
            let telling = needle.text.len() >= TELLING;
            all.push(if telling { Some(self.may_have(needle)?) } else { None });
        }
        Ok(Known { reader: self, may_have: all })
    }
}

/// The messages of a segment by document; `None` for those that were removed.
fn documents(segment: &SegmentReader) -> Result<Vec<Option<Held>>, IndexError> {
    let [email, mark, whole] = Fields::COLUMNS;
    let columns = segment.fast_fields();
    let (email, mark, whole) = (columns.u64(email)?, columns.u64(mark)?, columns.u64(whole)?);
    let of = |document: DocId| {
        if segment.is_deleted(document) {
            return Ok(None);
        }
        let held = || {
            let whole = whole.first(document)? == 1;
            Some(Held { email: email.first(document)?, mark: mark.first(document)?, whole })
        };
        held().map(Some).ok_or_else(|| IndexError::damage("a message without its number"))
    };
    (0..segment.max_doc()).map(of).collect()
}

/// The documents of a segment that have all triples in a field.
fn having_all(
    segment: &SegmentReader,
    field: tantivy::schema::Field,
    grams: &[[u8; TELLING]],
) -> Result<Vec<DocId>, IndexError> {
    let inverted = segment.inverted_index(field)?;
    let mut terms = Vec::with_capacity(grams.len());
    for gram in grams {
        match inverted.get_term_info(&Term::from_field_bytes(field, gram))? {
            Some(term) => terms.push(term),
            None => return Ok(Vec::new()),
        }
    }
    terms.sort_by_key(|term| term.doc_freq);
    let mut documents: Option<Vec<DocId>> = None;
    for term in terms.iter().take(ASKED) {
        let mut postings = inverted.read_postings_from_terminfo(term, IndexRecordOption::Basic)?;
        let documents = documents.get_or_insert_with(Vec::new);
        if std::ptr::eq(term, &terms[0]) {
            let mut document = postings.doc();
            while document != TERMINATED {
                documents.push(document);
                document = postings.advance();
            }
        } else {
            documents.retain(|document| match postings.doc() < *document {
                true => postings.seek(*document) == *document,
                false => postings.doc() == *document,
            });
        }
        if documents.is_empty() {
            break;
        }
    }
    Ok(documents.unwrap_or_default())
}

/// One bit for each message.
struct Bits(Vec<u64>);

impl Bits {
    fn new(length: usize) -> Self {
        Self(vec![0; length.div_ceil(64)])
    }

    fn set(&mut self, place: u32) {
        if let Some(word) = self.0.get_mut(place as usize / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}

/// What one index knows about some needles.
pub(super) struct Known {
    reader: Arc<Reader>,
    may_have: Vec<Option<Bits>>,
}

impl KnownTexts for Known {
    fn holds(&self, message: &MessageInfo) -> bool {
        self.reader.place(message).is_some()
    }

    fn rules_out(&self, nth: usize, message: &MessageInfo) -> bool {
        let Some(bits) = self.may_have.get(nth).and_then(Option::as_ref) else { return false };
        let Some(place) = self.reader.place(message) else { return false };
        self.reader.held.get(place).is_some_and(|held| held.whole) && !bits.has(place)
    }
}
