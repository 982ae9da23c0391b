//! `THREAD` (RFC 5256 section 3): by subject alone, or by who answers whom.

mod forest;
mod references;

use std::collections::HashMap;

use super::work::Work;
use super::{STEP, SearchError, Searched, sortable};
use crate::imap::types::{ThreadAlgorithm, ThreadNode};
use crate::net::Loan;

use super::sort::{AROUND, sent_seconds, subject};
use references::ids;

/// How many references of one letter count: the nearest.
const REFERENCES: usize = 100;

/// What a letter costs besides its texts, in octets: here, as a node of the threads, and as it is told.
const LETTER: usize = size_of::<Letter>() + 2 * AROUND + forest::NODE;

/// What threads are made of.
#[derive(Debug, Default)]
struct Letter {
    /// What it is called in the answer.
    number: u32,
    /// Folded.
    subject: String,
    /// It answers or forwards.
    answer: bool,
    sent: i64,
    /// Its Message-ID.
    id: Option<Id>,
    /// Those it answers, the nearest last.
    references: Vec<Id>,
}

/// An id, by its number: there are few of them, and many references.
type Id = usize;

/// Numbers for ids.
#[derive(Debug, Default)]
struct Ids(HashMap<Box<[u8]>, Id>);

impl Ids {
    /// What an id costs until the threads are told: here, and as a node of them, in octets.
    const COST: usize = 96 + forest::NODE;

    /// The number of an id.
    fn number(&mut self, id: &[u8], work: &mut Work) -> Result<Id, SearchError> {
        if let Some(number) = self.0.get(id) {
            return Ok(*number);
        }
        work.hold(Self::COST + id.len())?;
        let number = self.0.len();
        self.0.insert(id.into(), number);
        Ok(number)
    }
}

pub(super) async fn thread(
    searched: &Searched<'_>,
    places: Vec<usize>,
    algorithm: ThreadAlgorithm,
    uid: bool,
) -> Result<(Vec<ThreadNode>, Loan), SearchError> {
    let mut letters = Vec::with_capacity(places.len());
    let mut work = Work::new(searched);
    let mut rows = searched.budget.loan();
    let mut known = Ids::default();
    for step in places.chunks(STEP) {
        for facts in searched.facts(step, &mut rows).await? {
            work.decode(facts.row_octets()).await?;
            let number = if uid { facts.candidate.uid } else { facts.candidate.number };
            let envelope = facts.known().envelope().flatten();
            let envelope = envelope.as_deref();
            let (subject, answer) = subject(envelope);
            let subject = sortable(subject);
            let mut letter =
                Letter { number, subject, answer, sent: sent_seconds(&facts), ..Letter::default() };
            if let Some(envelope) = envelope.filter(|_| algorithm != ThreadAlgorithm::OrderedSubject) {
                let id = envelope.message_id.and_then(|id| ids(id).into_iter().next());
                letter.id = id.map(|id| known.number(&id, &mut work)).transpose()?;
                let fields = facts.known().values("references").unwrap_or_default();
                let mut answered: Vec<_> = fields.iter().flat_map(|field| ids(field.as_bytes())).collect();
                if answered.is_empty() {
                    answered = envelope.in_reply_to.map(ids).unwrap_or_default();
                    answered.truncate(1);
                }
                for id in answered.iter().skip(answered.len().saturating_sub(REFERENCES)) {
                    letter.references.push(known.number(id, &mut work)?);
                }
                letter.references.shrink_to_fit();
            }
            let content = letter.subject.len() + letter.references.len() * size_of::<Id>();
            work.hold(LETTER + content)?;
            letters.push(letter);
        }
    }
    drop((rows, places));
    let (known, held) = (known.0.len(), work.into_loan());
    Searched::aside(letters.len(), move || {
        // It goes on though nobody waits for it any more; what is told is of it, too.
        let threads = match algorithm {
            ThreadAlgorithm::OrderedSubject => by_subject(letters),
            ThreadAlgorithm::References => references::by_references(&letters, known, true),
            ThreadAlgorithm::Refs => references::by_references(&letters, known, false),
        };
        (threads, held)
    })
    .await
}

/// The first of each subject is answered by all others of it; by date.
fn by_subject(mut letters: Vec<Letter>) -> Vec<ThreadNode> {
    letters.sort_by(|a, b| a.subject.cmp(&b.subject).then(a.sent.cmp(&b.sent)).then(a.number.cmp(&b.number)));
    let mut threads: Vec<_> = letters.chunk_by(|a, b| a.subject == b.subject).collect();
    threads.sort_by_key(|thread| thread.first().map_or((0, 0), |first| (first.sent, first.number)));
    let leaf = |letter: &Letter| ThreadNode { number: Some(letter.number), children: Vec::new() };
    let one = |thread: &[Letter]| {
        let (first, rest) = thread.split_first()?;
        Some(ThreadNode { number: Some(first.number), children: rest.iter().map(leaf).collect() })
    };
    threads.into_iter().filter_map(one).collect()
}
