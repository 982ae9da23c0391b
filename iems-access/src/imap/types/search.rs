//! `SEARCH` (RFC 9051 section 6.4.4, and the extensions named).

use std::ops::Range;

use super::{Date, SequenceSet};

/// What `SEARCH` asks. The character set is no longer there: all text is UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// `RETURN (...)`; `None` for the old answer of IMAP4rev1, `ALL` where it was empty.
    pub returns: Option<Vec<SearchReturn>>,
    /// Which messages.
    pub key: SearchKey,
}

/// What is told (RFC 9051 section 6.4.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchReturn {
    /// `MIN`: the least number.
    Min,
    /// `MAX`: the greatest number.
    Max,
    /// `ALL`: all numbers.
    All,
    /// `COUNT`: how many.
    Count,
    /// `SAVE`: nothing; it is kept for `$` (RFC 9051 section 6.4.4.1).
    Save,
    /// `PARTIAL`: some of the numbers (RFC 9394).
    Partial(PartialRange),
}

/// Places in a result, from 1, both included (RFC 9394 section 3.1). `first <= last`, neither is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    /// The nearest.
    pub first: u32,
    /// The farthest.
    pub last: u32,
    /// Whether it is counted from the end of the result: `-1:-100`.
    pub from_end: bool,
}

impl PartialRange {
    /// The places of this page in a result of so many, from 0. Empty where all of it is behind the ends.
    pub fn within(self, count: usize) -> Range<usize> {
        let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (first, last) = (place(self.first).saturating_sub(1), place(self.last).min(count));
        match self.from_end {
            _ if first >= last => 0..0,
            false => first..last,
            true => count - last..count - first,
        }
    }
}

/// Which messages (RFC 9051 section 6.4.4). Text is UTF-8, and compared as the RFC says without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// All of these hold; empty for none asked. Lists in parentheses and keys in a row.
    And(Vec<SearchKey>),
    /// `OR`.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// `NOT`.
    Not(Box<SearchKey>),
    /// `ALL`.
    All,
    /// Sequence numbers.
    Sequence(SequenceSet),
    /// `UID`.
    Uid(SequenceSet),
    /// `ANSWERED`.
    Answered,
    /// `DELETED`.
    Deleted,
    /// `DRAFT`.
    Draft,
    /// `FLAGGED`.
    Flagged,
    /// `SEEN`.
    Seen,
    /// `UNANSWERED`.
    Unanswered,
    /// `UNDELETED`.
    Undeleted,
    /// `UNDRAFT`.
    Undraft,
    /// `UNFLAGGED`.
    Unflagged,
    /// `UNSEEN`.
    Unseen,
    /// `NEW` (RFC 3501): recent and not seen.
    New,
    /// `OLD` (RFC 3501): not recent.
    Old,
    /// `RECENT` (RFC 3501).
    Recent,
    /// `KEYWORD`.
    Keyword(String),
    /// `UNKEYWORD`.
    Unkeyword(String),
    /// `BCC`.
    Bcc(String),
    /// `CC`.
    Cc(String),
    /// `FROM`.
    From(String),
    /// `SUBJECT`.
    Subject(String),
    /// `TO`.
    To(String),
    /// `HEADER`: field name and text; an empty text finds all with the field.
    Header(String, String),
    /// `BODY`.
    Body(String),
    /// `TEXT`: header or body.
    Text(String),
    /// `BEFORE`: internal date, without time and zone.
    Before(Date),
    /// `ON`.
    On(Date),
    /// `SINCE`.
    Since(Date),
    /// `SENTBEFORE`: the field `Date`, without time and zone.
    SentBefore(Date),
    /// `SENTON`.
    SentOn(Date),
    /// `SENTSINCE`.
    SentSince(Date),
    /// `LARGER`: than so many octets.
    Larger(u64),
    /// `SMALLER`: than so many octets.
    Smaller(u64),
    /// `OLDER`: than so many seconds (RFC 5032).
    Older(u32),
    /// `YOUNGER`: than so many seconds (RFC 5032).
    Younger(u32),
    /// `MODSEQ`: this or greater (RFC 7162 section 3.1.5). Its presence has the answer tell the highest.
    ModSeq {
        /// The flag whose change counts, and whose view of it; one MODSEQ for the message answers for all.
        entry: Option<(String, EntryType)>,
        /// The least; may be 0.
        modseq: u64,
    },
    /// `SAVEDBEFORE` (RFC 8514).
    SavedBefore(Date),
    /// `SAVEDON` (RFC 8514).
    SavedOn(Date),
    /// `SAVEDSINCE` (RFC 8514).
    SavedSince(Date),
    /// `SAVEDATESUPPORTED` (RFC 8514).
    SaveDateSupported,
    /// `EMAILID` (RFC 8474 section 5.1).
    EmailId(String),
    /// `THREADID` (RFC 8474 section 5.1).
    ThreadId(String),
}

/// Whose view of a flag (RFC 7162 section 3.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryType {
    /// `all`.
    All,
    /// `priv`.
    Private,
    /// `shared`.
    Shared,
}

impl SearchKey {
    /// Whether `MODSEQ` is anywhere in it, so that the answer tells the highest (RFC 7162 section 3.1.5).
    pub fn has_modseq(&self) -> bool {
        match self {
            Self::ModSeq { .. } => true,
            Self::And(keys) => keys.iter().any(Self::has_modseq),
            Self::Or(one, other) => one.has_modseq() || other.has_modseq(),
            Self::Not(key) => key.has_modseq(),
            _ => false,
        }
    }

    /// Whether message numbers are anywhere in it; `$` is none (RFC 9586 section 3).
    pub fn has_numbers(&self) -> bool {
        match self {
            Self::Sequence(set) => *set != SequenceSet::Saved,
            Self::And(keys) => keys.iter().any(Self::has_numbers),
            Self::Or(one, other) => one.has_numbers() || other.has_numbers(),
            Self::Not(key) => key.has_numbers(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_cut_to_what_is_there() {
        let page = |first, last, from_end| PartialRange { first, last, from_end };
        assert_eq!(page(1, 2, false).within(5), 0..2);
        assert_eq!(page(4, 9, false).within(5), 3..5);
        assert_eq!(page(6, 9, false).within(5), 0..0);
        assert_eq!(page(1, 2, true).within(5), 3..5);
        assert_eq!(page(4, 9, true).within(5), 0..2);
        assert_eq!(page(1, u32::MAX, true).within(0), 0..0);
    }
}
