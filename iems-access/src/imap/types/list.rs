//! `LIST` and what it tells (RFC 9051 section 6.3.9 and 7.3.1, RFC 5258, RFC 5819, RFC 6154).

use super::StatusAttribute;

/// What `LIST` asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListCommand {
    /// Which mailboxes count.
    pub selection: Vec<ListSelection>,
    /// Before the patterns.
    pub reference: String,
    /// With `%` and `*`; one at least.
    pub patterns: Vec<String>,
    /// What is told of them.
    pub returns: Vec<ListReturn>,
    /// Whether the form was that of RFC 5258. Only the other asks with an empty pattern for the delimiter.
    pub extended: bool,
}

/// Which mailboxes count (RFC 9051 section 6.3.9.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSelection {
    /// `SUBSCRIBED`.
    Subscribed,
    /// `REMOTE`.
    Remote,
    /// `RECURSIVEMATCH`; never alone or with `REMOTE` alone.
    RecursiveMatch,
    /// `SPECIAL-USE` (RFC 6154 section 2).
    SpecialUse,
}

/// What is told (RFC 9051 section 6.3.9.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListReturn {
    /// `SUBSCRIBED`.
    Subscribed,
    /// `CHILDREN`.
    Children,
    /// `SPECIAL-USE` (RFC 6154 section 2).
    SpecialUse,
    /// `STATUS (...)` (RFC 9051 section 6.3.9.3).
    Status(Vec<StatusAttribute>),
    /// `MYRIGHTS` (RFC 8440).
    MyRights,
    /// `METADATA (...)` (RFC 9590).
    Metadata(Vec<String>),
}

/// What `LIST` and `LSUB` tell of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListData {
    /// Its attributes.
    pub attributes: Vec<ListAttribute>,
    /// What is between levels of its name; `None` for `NIL`.
    pub delimiter: Option<char>,
    /// Its name.
    pub mailbox: String,
    /// `CHILDINFO`: selection options that hold for children (RFC 9051 section 6.3.9.6).
    pub child_info: Vec<String>,
    /// `OLDNAME`: the name it had (RFC 9051 section 6.3.9.7).
    pub old_name: Option<String>,
}

/// An attribute of a mailbox (RFC 9051 section 7.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListAttribute {
    /// `\NonExistent`.
    NonExistent,
    /// `\Noselect`.
    NoSelect,
    /// `\Noinferiors`.
    NoInferiors,
    /// `\HasChildren`.
    HasChildren,
    /// `\HasNoChildren`.
    HasNoChildren,
    /// `\Marked`.
    Marked,
    /// `\Unmarked`.
    Unmarked,
    /// `\Subscribed`.
    Subscribed,
    /// `\Remote`.
    Remote,
    /// `\NoAccess` (RFC 5465 section 5.6): a mailbox that can no longer be seen.
    NoAccess,
    /// What it is for.
    SpecialUse(SpecialUse),
}

/// What a mailbox is for (RFC 6154 section 2, RFC 8457).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\All`.
    All,
    /// `\Archive`.
    Archive,
    /// `\Drafts`.
    Drafts,
    /// `\Flagged`.
    Flagged,
    /// `\Important` (RFC 8457).
    Important,
    /// `\Junk`.
    Junk,
    /// `\Sent`.
    Sent,
    /// `\Trash`.
    Trash,
    /// Another, without the backslash: `USEATTR` answers it.
    Other(String),
}
