//! `SORT` and `THREAD` (RFC 5256, RFC 5267, RFC 5957).

use super::{SearchKey, SearchReturn};

/// What `SORT` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// `RETURN (...)` (RFC 5267 section 3.1); `None` for the old answer, `ALL` where it was empty.
    pub returns: Option<Vec<SearchReturn>>,
    /// First the most important; one at least.
    pub criteria: Vec<SortCriterion>,
    /// Which messages.
    pub key: SearchKey,
}

/// By what is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    /// `REVERSE`: the greatest first.
    pub reverse: bool,
    /// The value.
    pub key: SortKey,
}

/// A value by which is sorted (RFC 5256 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// `ARRIVAL`: internal date and time.
    Arrival,
    /// `CC`: the first address's mailbox.
    Cc,
    /// `DATE`: when sent.
    Date,
    /// `DISPLAYFROM` (RFC 5957).
    DisplayFrom,
    /// `DISPLAYTO` (RFC 5957).
    DisplayTo,
    /// `FROM`: the first address's mailbox.
    From,
    /// `SIZE`: octets.
    Size,
    /// `SUBJECT`: base subject.
    Subject,
    /// `TO`: the first address's mailbox.
    To,
}

/// What `THREAD` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// How messages are put together.
    pub algorithm: ThreadAlgorithm,
    /// Which messages.
    pub key: SearchKey,
}

/// How messages are put together (RFC 5256 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThreadAlgorithm {
    /// `ORDEREDSUBJECT`.
    OrderedSubject,
    /// `REFERENCES`.
    References,
    /// `REFS`: as `REFERENCES`, without putting together by subject.
    Refs,
}

/// A message and what answers it (RFC 5256 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadNode {
    /// The message; `None` where it is missing and only holds its children together.
    pub number: Option<u32>,
    /// What answers it, in order.
    pub children: Vec<ThreadNode>,
}

impl Drop for ThreadNode {
    /// Without recursion: a chain of answers may be as long as a mailbox.
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.children);
        while let Some(mut node) = left.pop() {
            left.append(&mut node.children);
        }
    }
}
