//! `THREAD` (RFC 5256 section 3): by subject alone, or by who answers whom.

mod forest;
mod references;

use super::{STEP, SearchError, Searched};
use crate::imap::types::{ThreadAlgorithm, ThreadNode};

use super::sort::{envelope, sent_seconds, subject};
use references::ids;

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
    id: Option<Vec<u8>>,
    /// Those it answers, the nearest last.
    references: Vec<Vec<u8>>,
}

pub(super) async fn thread(
    searched: &Searched<'_>,
    places: Vec<usize>,
    algorithm: ThreadAlgorithm,
    uid: bool,
) -> Result<Vec<ThreadNode>, SearchError> {
    let mut letters = Vec::with_capacity(places.len());
    for step in places.chunks(STEP) {
        for facts in searched.facts(step).await? {
            let number = if uid { facts.candidate.uid } else { facts.candidate.number };
            let structure = facts.structure();
            let envelope = structure.as_ref().and_then(envelope);
            let (subject, answer) = subject(envelope);
            let mut letter =
                Letter { number, subject, answer, sent: sent_seconds(&facts), ..Letter::default() };
            if let Some(envelope) = envelope.filter(|_| algorithm != ThreadAlgorithm::OrderedSubject) {
                letter.id = envelope.message_id.and_then(|id| ids(id).into_iter().next());
                let references = facts.values("references").unwrap_or_default();
                letter.references = references.iter().flat_map(|field| ids(field.as_bytes())).collect();
                if letter.references.is_empty() {
                    letter.references = envelope.in_reply_to.map(ids).unwrap_or_default();
                    letter.references.truncate(1);
                }
            }
            letters.push(letter);
        }
    }
    Ok(match algorithm {
        ThreadAlgorithm::OrderedSubject => by_subject(letters),
        ThreadAlgorithm::References => references::by_references(&letters, true),
        ThreadAlgorithm::Refs => references::by_references(&letters, false),
    })
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
