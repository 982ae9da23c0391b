//! `SORT` (RFC 5256 section 3) and its display keys (RFC 5957).

use std::cmp::Ordering;

use iems_store::structure::{Address, Envelope, base_subject, decode_field};

use super::facts::Facts;
use super::work::Work;
use super::{STEP, SearchError, Searched, sortable};
use crate::imap::types::{SortCriterion, SortKey};
use iems_store::search::fold;

/// What something costs that is held by itself, besides its octets.
pub(super) const AROUND: usize = 16;
/// What a message costs that is sorted, besides its values: its place, here and there, and room to sort it.
const MESSAGE: usize = 64 + AROUND;

/// A value by which is sorted.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

impl Value {
    /// A folded text. The collation goes by upper case, where `[` and `_` are behind the letters (RFC 5051 section 2).
    fn text(folded: String) -> Self {
        let mut text = sortable(folded).to_uppercase();
        text.shrink_to_fit();
        Self::Text(text)
    }

    /// What it takes, in octets.
    fn octets(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Number(_) => 0,
                Self::Text(text) => text.len() + AROUND,
            }
    }
}

/// The criteria that make a difference: what is equal in one is equal in it again, and backwards.
fn telling(criteria: &[SortCriterion]) -> Vec<SortCriterion> {
    let mut telling: Vec<SortCriterion> = Vec::new();
    for criterion in criteria {
        if telling.iter().all(|before| before.key != criterion.key) {
            telling.push(*criterion);
        }
    }
    telling
}

/// The places in the order of the criteria; what is equal in all of them, by sequence number.
pub(super) async fn sort(
    searched: &Searched<'_>,
    places: Vec<usize>,
    criteria: &[SortCriterion],
) -> Result<Vec<usize>, SearchError> {
    let criteria = telling(criteria);
    let mut work = Work::new(searched);
    work.hold(places.len().saturating_mul(MESSAGE))?;
    let mut keyed = Vec::with_capacity(places.len());
    let mut rows = searched.budget.loan();
    for step in places.chunks(STEP) {
        for (place, facts) in step.iter().zip(searched.facts(step, &mut rows).await?) {
            work.decode(facts.row_octets()).await?;
            let values: Vec<_> = criteria.iter().map(|criterion| value(&facts, criterion.key)).collect();
            work.hold(values.iter().map(Value::octets).sum())?;
            keyed.push((values, *place));
        }
    }
    drop((rows, places));
    let held = work.into_loan();
    Searched::aside(keyed.len(), move || {
        // It goes on though nobody waits for it any more.
        let _held = held;
        keyed.sort_by(|one, other| compare(one, other, &criteria));
        keyed.into_iter().map(|(_, place)| place).collect()
    })
    .await
}

fn compare(one: &(Vec<Value>, usize), other: &(Vec<Value>, usize), criteria: &[SortCriterion]) -> Ordering {
    for ((a, b), criterion) in one.0.iter().zip(&other.0).zip(criteria) {
        let order = if criterion.reverse { b.cmp(a) } else { a.cmp(b) };
        if order != Ordering::Equal {
            return order;
        }
    }
    one.1.cmp(&other.1)
}

fn value<'a>(facts: &'a Facts<'_>, key: SortKey) -> Value {
    let envelope = facts.known().envelope().flatten();
    let envelope = envelope.as_deref();
    let first = |pick: for<'e> fn(&'e Told<'a>) -> &'e Vec<Address<&'a [u8]>>| {
        envelope.and_then(|envelope| pick(envelope).first())
    };
    let mailbox = |address: Option<&Address<&[u8]>>| Value::text(address.map(mailbox_of).unwrap_or_default());
    match key {
        SortKey::Arrival => Value::Number(arrival(facts)),
        SortKey::Date => Value::Number(sent_seconds(facts)),
        SortKey::Size => {
            let size = facts.known_info().map_or(0, |info| info.body.size());
            Value::Number(i64::try_from(size).unwrap_or(i64::MAX))
        }
        SortKey::Subject => Value::text(subject(envelope).0),
        SortKey::From => mailbox(first(|envelope| &envelope.from)),
        SortKey::To => mailbox(first(|envelope| &envelope.to)),
        SortKey::Cc => mailbox(first(|envelope| &envelope.cc)),
        SortKey::DisplayFrom => {
            Value::text(first(|envelope| &envelope.from).map(display).unwrap_or_default())
        }
        SortKey::DisplayTo => Value::text(first(|envelope| &envelope.to).map(display).unwrap_or_default()),
    }
}

/// An envelope, with octets of a row.
type Told<'a> = Envelope<&'a [u8]>;

fn arrival(facts: &Facts<'_>) -> i64 {
    facts.known_info().map_or(0, |info| i64::try_from(info.received.as_secs()).unwrap_or(i64::MAX))
}

/// When a message was sent, or else came in (RFC 5256 section 2.2).
pub(super) fn sent_seconds(facts: &Facts<'_>) -> i64 {
    facts.known().sent().flatten().map_or_else(|| arrival(facts), |date| date.unix_seconds())
}

/// The folded base subject, and whether the message answers or forwards.
pub(super) fn subject(envelope: Option<&Told<'_>>) -> (String, bool) {
    let subject = envelope.and_then(|envelope| envelope.subject);
    let (base, answer) = base_subject(&subject.map(decode_field).unwrap_or_default());
    (fold(&base), answer)
}

fn mailbox_of(address: &Address<&[u8]>) -> String {
    fold(&text(address.mailbox))
}

/// A name, or an address where there is none (RFC 5957 section 3).
fn display(address: &Address<&[u8]>) -> String {
    let name = decode_field(address.name.unwrap_or_default());
    match (name.trim(), &address.host) {
        ("", None) => mailbox_of(address),
        ("", Some(_)) => fold(&format!("{}@{}", text(address.mailbox), text(address.host))),
        (name, _) => fold(name),
    }
}

fn text(octets: Option<&[u8]>) -> String {
    octets.map(decode_field).unwrap_or_default()
}
