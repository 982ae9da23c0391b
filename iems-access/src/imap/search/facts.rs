//! What is known of a message that is searched: more and more of it, until the key is answered.

use std::collections::HashMap;

use iems_core::message::Body;
use iems_store::mailbox::{AccountId, MessageInfo, Uid};
use iems_store::structure::{Kind, Part, SentDate, Span, Structure, decode_field, read_range, unfolded};

use super::fold::{fold, has};
use super::query::{Query, date_of};
use super::{Candidate, SearchError, Searched, Spent};

/// The longest header that is read for fields, in octets.
const HEADER: u64 = 1 << 20;

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
    header: Option<Vec<(Vec<u8>, String)>>,
    /// Whether a text was found, once texts were read.
    found: Option<HashMap<(String, bool), bool>>,
}

impl<'a> Facts<'a> {
    /// What the session holds.
    pub(super) fn new(searched: &'a Searched<'a>, candidate: Candidate<'a>) -> Self {
        Self { candidate, searched, info: None, structure: None, header: None, found: None }
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

    /// The decoded values of a field, if they are known.
    pub(super) fn values(&self, name: &str) -> Option<Vec<String>> {
        let kept = self.structure.as_ref()?.kept_field(name)?;
        Some(
            kept.flat_map(|field| unfolded(field).into_iter().map(|(_, value)| decode_field(&value)))
                .collect(),
        )
    }

    /// Whether a text has a folded one in it.
    pub(super) fn text_has(&self, needle: &str, headers: bool) -> Option<bool> {
        if self.is_gone() {
            return Some(false);
        }
        if needle.is_empty() {
            return Some(true);
        }
        self.found.as_ref()?.get(&(needle.to_owned(), headers)).copied()
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
        let mut needles = Vec::new();
        query.needles(&mut needles);
        self.found = Some(self.search(&reader, &needles).await?);
        tokio::task::yield_now().await;
        Ok(query.answer(self).unwrap_or(false))
    }

    /// Looks for texts in all headers and bodies, until all are found.
    async fn search(
        &self,
        reader: &Reader<'_>,
        needles: &[(&str, bool)],
    ) -> Result<HashMap<(String, bool), bool>, SearchError> {
        let mut found = vec![false; needles.len()];
        let parts = self.structure.as_ref().map(|structure| &structure.parts[..]).unwrap_or_default();
        for (at, part) in parts.iter().enumerate() {
            if found.iter().all(|found| *found) {
                break;
            }
            if needles.iter().any(|(_, headers)| *headers) {
                let read;
                let header = match (&self.header, at) {
                    (Some(header), 0) => header,
                    _ => {
                        read = reader.header(part.header).await?;
                        &read
                    }
                };
                for (name, value) in header {
                    let text = format!("{}: {value}", String::from_utf8_lossy(name));
                    mark(&mut found, needles, &fold(&text), |headers| headers);
                }
            }
            if let Some(text) = reader.text(part).await? {
                mark(&mut found, needles, &fold(&text), |_| true);
            }
        }
        let keys = needles.iter().map(|(needle, headers)| ((*needle).to_owned(), *headers));
        Ok(keys.zip(found).collect())
    }
}

/// Marks the texts that are in `text`.
fn mark(found: &mut [bool], needles: &[(&str, bool)], text: &str, counts: impl Fn(bool) -> bool) {
    for (found, (needle, headers)) in found.iter_mut().zip(needles) {
        *found |= counts(*headers) && memchr::memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
    }
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
    async fn header(&self, span: Span) -> Result<Vec<(Vec<u8>, String)>, SearchError> {
        let octets = self.octets(span, HEADER).await?;
        let fields = unfolded(&octets).into_iter();
        Ok(fields.map(|(name, value)| (name.to_vec(), decode_field(&value))).collect())
    }

    /// The text of a part, if it is one.
    async fn text(&self, part: &Part) -> Result<Option<String>, SearchError> {
        if part.kind != Kind::Single || !part.is_type("text") {
            return Ok(None);
        }
        let octets = self.octets(part.body, self.searched.limits.text).await?;
        Ok(Some(part.text(&octets)))
    }
}
