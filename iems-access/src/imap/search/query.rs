//! A search key made ready: texts folded, numbers resolved. It answers from what is known so far, or not yet.

use iems_core::seam::Timestamp;
use iems_store::mailbox::{Flags, Keyword};
use iems_store::search::{Needle, Sought, fold, fold_field};
use iems_store::structure::{Addresses, SentDate, sent_date};

use super::facts::{Known, Level, Name};
use super::looked::Needles;
use super::{Searched, email_id, thread_id};
use crate::imap::types::{Date, NumberSet, SearchKey, SequenceSet};

/// What a look at a field costs, in units of [`super::work`].
pub(super) const FIELD: u64 = 128;

/// A key, ready to be asked of many messages.
#[derive(Debug)]
pub(super) enum Query {
    Always(bool),
    And(Vec<Query>),
    Or(Box<[Query; 2]>),
    Not(Box<Query>),
    Number(NumberSet),
    Uid(NumberSet),
    /// `$`: what was found before may be half a mailbox, and is asked where it is, however often it is named.
    Saved,
    Flag(Flags, bool),
    Recent(bool),
    Keyword(Keyword, bool),
    ModSeq(u64),
    /// From this day to that one, both included, of a date.
    Days(Which, i64, i64),
    /// From this size to that one, both included.
    Size(u64, u64),
    /// From this moment to that one, both included.
    Received(u64, u64),
    EmailId(String),
    ThreadId(String),
    /// A field's name, what is in it, and its place among all fields that are asked of.
    Field(Name, Sought, usize),
    /// A field with addresses, its name, what is in it or in one of them, and its place.
    Addresses(Addresses, Name, Sought, usize),
    /// What is in a text, and its place among all texts that are looked for.
    Text(Needle, usize),
}

/// Which date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Received,
    Saved,
    Sent,
}

impl Query {
    pub(super) fn of(key: &SearchKey, searched: &Searched<'_>) -> Self {
        let last = searched.candidates.last();
        let has = |flag| Self::Flag(flag, true);
        let hasnt = |flag| Self::Flag(flag, false);
        match key {
            SearchKey::And(keys) => Self::And(keys.iter().map(|key| Self::of(key, searched)).collect()),
            SearchKey::Or(one, other) => {
                Self::Or(Box::new([Self::of(one, searched), Self::of(other, searched)]))
            }
            SearchKey::Not(key) => Self::Not(Box::new(Self::of(key, searched))),
            SearchKey::All | SearchKey::SaveDateSupported => Self::Always(true),
            SearchKey::Sequence(SequenceSet::Saved) | SearchKey::Uid(SequenceSet::Saved) => Self::Saved,
            SearchKey::Sequence(set) => {
                Self::Number(set.resolve(last.map_or(0, |last| last.number), searched.saved))
            }
            SearchKey::Uid(set) => Self::Uid(set.resolve(last.map_or(0, |last| last.uid), searched.saved)),
            SearchKey::Answered => has(Flags::ANSWERED),
            SearchKey::Deleted => has(Flags::DELETED),
            SearchKey::Draft => has(Flags::DRAFT),
            SearchKey::Flagged => has(Flags::FLAGGED),
            SearchKey::Seen => has(Flags::SEEN),
            SearchKey::Unanswered => hasnt(Flags::ANSWERED),
            SearchKey::Undeleted => hasnt(Flags::DELETED),
            SearchKey::Undraft => hasnt(Flags::DRAFT),
            SearchKey::Unflagged => hasnt(Flags::FLAGGED),
            SearchKey::Unseen => hasnt(Flags::SEEN),
            SearchKey::New => Self::And(vec![Self::Recent(true), hasnt(Flags::SEEN)]),
            SearchKey::Old => Self::Recent(false),
            SearchKey::Recent => Self::Recent(true),
            SearchKey::Keyword(name) => Self::keyword(name, true, searched),
            SearchKey::Unkeyword(name) => Self::keyword(name, false, searched),
            SearchKey::ModSeq { modseq, .. } => Self::ModSeq(*modseq),
            _ => Self::of_content(key, searched),
        }
    }

    /// Keys of what the session does not hold.
    fn of_content(key: &SearchKey, searched: &Searched<'_>) -> Self {
        let field = |name: &str, text: &str| Self::Field(Name::new(name), Sought::new(text), 0);
        let within = |text: &str, headers| Self::Text(Needle { text: fold(text), headers }, 0);
        let addresses = |which: Addresses, text: &str| {
            Self::Addresses(which, Name::new(which.name()), Sought::new(text), 0)
        };
        let ago = |seconds: u32| searched.now.as_secs().saturating_sub(u64::from(seconds));
        match key {
            SearchKey::Bcc(text) => addresses(Addresses::Bcc, text),
            SearchKey::Cc(text) => addresses(Addresses::Cc, text),
            SearchKey::From(text) => addresses(Addresses::From, text),
            SearchKey::Subject(text) => field("subject", text),
            SearchKey::To(text) => addresses(Addresses::To, text),
            SearchKey::Header(name, text) => field(name, text),
            SearchKey::Body(text) => within(text, false),
            SearchKey::Text(text) => {
                let (inner, outer) = (fold(text), fold_field(text));
                match inner == outer {
                    true => within(text, true),
                    // Spaces count as they are in bodies, and as one in headers.
                    false => Self::Or(Box::new([within(text, false), within(&outer, true)])),
                }
            }
            SearchKey::Before(date) => Self::before(Which::Received, *date),
            SearchKey::On(date) => Self::on(Which::Received, *date),
            SearchKey::Since(date) => Self::since(Which::Received, *date),
            SearchKey::SentBefore(date) => Self::before(Which::Sent, *date),
            SearchKey::SentOn(date) => Self::on(Which::Sent, *date),
            SearchKey::SentSince(date) => Self::since(Which::Sent, *date),
            SearchKey::SavedBefore(date) => Self::before(Which::Saved, *date),
            SearchKey::SavedOn(date) => Self::on(Which::Saved, *date),
            SearchKey::SavedSince(date) => Self::since(Which::Saved, *date),
            SearchKey::Larger(0) => Self::Size(1, u64::MAX),
            SearchKey::Larger(size) => Self::Size(size.saturating_add(1), u64::MAX),
            SearchKey::Smaller(0) => Self::Always(false),
            SearchKey::Smaller(size) => Self::Size(0, size - 1),
            // A message of just that age is older, and younger as well (RFC 5032 section 3).
            SearchKey::Older(seconds) => Self::Received(0, ago(*seconds)),
            SearchKey::Younger(seconds) => Self::Received(ago(*seconds), u64::MAX),
            SearchKey::EmailId(id) => Self::EmailId(id.clone()),
            SearchKey::ThreadId(id) => Self::ThreadId(id.clone()),
            _ => Self::Always(false),
        }
    }

    fn keyword(name: &str, has: bool, searched: &Searched<'_>) -> Self {
        match searched.keywords.find(name) {
            Some(keyword) => Self::Keyword(keyword, has),
            None => Self::Always(!has),
        }
    }

    fn before(which: Which, date: Date) -> Self {
        Self::Days(which, i64::MIN, date.days() - 1)
    }

    fn on(which: Which, date: Date) -> Self {
        Self::Days(which, date.days(), date.days())
    }

    fn since(which: Which, date: Date) -> Self {
        Self::Days(which, date.days(), i64::MAX)
    }

    /// The answer for a message, if what is known of it is enough.
    pub(super) fn answer(&self, known: Known<'_>) -> Option<bool> {
        let facts = known.facts;
        let candidate = &facts.candidate;
        match self {
            Self::Always(answer) => Some(*answer),
            Self::And(queries) => all(queries.iter().map(|query| query.answer(known)), true),
            Self::Or(queries) => all(queries.iter().map(|query| query.answer(known)), false),
            Self::Not(query) => query.answer(known).map(|answer| !answer),
            Self::Number(numbers) => Some(numbers.contains(candidate.number)),
            Self::Uid(uids) => Some(uids.contains(candidate.uid)),
            Self::Saved => Some(facts.is_saved()),
            Self::Flag(flag, has) => Some(candidate.flags.contains(*flag) == *has),
            Self::Recent(is) => Some(candidate.recent == *is),
            Self::Keyword(keyword, has) => Some(candidate.keywords.contains(*keyword) == *has),
            Self::ModSeq(least) => Some(candidate.modseq >= *least),
            Self::Days(Which::Sent, first, last) => {
                let date = known.sent()?;
                Some(date.is_some_and(|date| (*first..=*last).contains(&date.days())))
            }
            Self::Days(which, first, last) => facts.info(|info| {
                let moment = if *which == Which::Saved { info.saved } else { info.received };
                (*first..=*last).contains(&day(moment))
            }),
            Self::Size(least, most) => facts.info(|info| (*least..=*most).contains(&info.body.size())),
            Self::Received(first, last) => {
                facts.info(|info| (*first..=*last).contains(&info.received.as_secs()))
            }
            Self::EmailId(id) => facts.info(|info| email_id(facts.account(), info.email) == *id),
            Self::ThreadId(id) => facts.info(|info| thread_id(facts.account(), info.thread) == *id),
            Self::Field(name, needle, nth) => facts.looked_at(*nth).or_else(|| known.field_has(name, needle)),
            Self::Addresses(which, name, needle, nth) => {
                facts.looked_at(*nth).or_else(|| known.addresses_have(*which, name, needle))
            }
            Self::Text(needle, nth) => facts.text_has(*nth, needle),
        }
    }

    /// Whether it asks of what is known at a level.
    pub(super) fn asks(&self, level: Level) -> bool {
        match self {
            Self::And(queries) => queries.iter().any(|query| query.asks(level)),
            Self::Or(queries) => queries.iter().any(|query| query.asks(level)),
            Self::Not(query) => query.asks(level),
            Self::Days(Which::Sent, ..) | Self::Field(..) | Self::Addresses(..) => level == Level::Structure,
            Self::Days(..) | Self::Size(..) | Self::Received(..) => level == Level::Info,
            Self::EmailId(_) | Self::ThreadId(_) | Self::Text(..) => level == Level::Info,
            _ => false,
        }
    }

    /// What it costs to ask it of one message with a small header, in units of [`super::work`].
    pub(super) fn weight(&self) -> u64 {
        let sum = |queries: &[Self]| 1 + queries.iter().map(Self::weight).sum::<u64>();
        match self {
            Self::And(queries) => sum(queries),
            Self::Or(queries) => sum(&queries[..]),
            Self::Not(query) => query.weight(),
            Self::Days(Which::Sent, ..) | Self::Field(..) | Self::Addresses(..) => FIELD,
            Self::EmailId(_) | Self::ThreadId(_) | Self::Text(..) | Self::Saved => 16,
            // It is looked for by halves.
            Self::Number(numbers) | Self::Uid(numbers) => {
                1 + u64::from(numbers.ranges().len().max(1).ilog2())
            }
            _ => 1,
        }
    }

    /// Adds all that ask of fields to `into`, in the order of their places.
    pub(super) fn fields<'q>(&'q self, into: &mut Vec<&'q Self>) {
        match self {
            Self::And(queries) => queries.iter().for_each(|query| query.fields(into)),
            Self::Or(queries) => queries.iter().for_each(|query| query.fields(into)),
            Self::Not(query) => query.fields(into),
            Self::Field(..) | Self::Addresses(..) => into.push(self),
            _ => {}
        }
    }

    /// Whether it asks of headers as they stand in the message.
    pub(super) fn reads_headers(&self) -> bool {
        match self {
            Self::And(queries) => queries.iter().any(Self::reads_headers),
            Self::Or(queries) => queries.iter().any(Self::reads_headers),
            Self::Not(query) => query.reads_headers(),
            Self::Field(..) | Self::Addresses(..) => true,
            Self::Text(needle, _) => needle.headers,
            _ => false,
        }
    }

    /// Adds all texts that are looked for to `into`, each once, and takes down their places, and those of fields.
    pub(super) fn collect(&mut self, into: &mut Needles) {
        match self {
            Self::And(queries) => queries.iter_mut().for_each(|query| query.collect(into)),
            Self::Or(queries) => queries.iter_mut().for_each(|query| query.collect(into)),
            Self::Not(query) => query.collect(into),
            Self::Text(needle, nth) => *nth = into.place(needle),
            Self::Field(_, _, nth) | Self::Addresses(_, _, _, nth) => *nth = into.field(),
            _ => {}
        }
    }
}

/// `AND` of answers if `and`, or else `OR`: one that decides is enough, and one that is not known may still decide.
fn all(answers: impl Iterator<Item = Option<bool>>, and: bool) -> Option<bool> {
    let mut known = true;
    for answer in answers {
        match answer {
            Some(answer) if answer != and => return Some(!and),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(and)
}

/// The day of a moment, as `INTERNALDATE` tells it: in UTC.
fn day(moment: Timestamp) -> i64 {
    i64::try_from(moment.as_secs() / 86_400).unwrap_or(i64::MAX)
}

/// The date of a field.
pub(super) fn date_of(value: Option<&[u8]>) -> Option<SentDate> {
    value.and_then(sent_date)
}
