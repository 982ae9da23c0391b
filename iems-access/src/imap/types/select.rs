//! What `SELECT` and `EXAMINE` may ask besides (RFC 7162 section 3.1.8 and 3.2.5).

use super::SequenceSet;

/// Parameters of `SELECT` and `EXAMINE`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectParameters {
    /// `CONDSTORE`.
    pub condstore: bool,
    /// `QRESYNC (...)`.
    pub qresync: Option<Resync>,
}

/// What a client remembers of a mailbox (RFC 7162 section 3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// Its UIDVALIDITY; not 0.
    pub uid_validity: u32,
    /// The highest MODSEQ; not 0.
    pub modseq: u64,
    /// The UIDs, if given; without `*`.
    pub known_uids: Option<SequenceSet>,
    /// Sequence numbers and the UIDs that belong to them, of the same count; without `*`.
    pub matching: Option<(SequenceSet, SequenceSet)>,
}
