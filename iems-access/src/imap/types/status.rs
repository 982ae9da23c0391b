//! What `STATUS` asks and tells (RFC 9051 section 6.3.11 and 7.3.4).

/// What is asked of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusAttribute {
    /// `MESSAGES`.
    Messages,
    /// `RECENT` (RFC 3501 section 6.3.10).
    Recent,
    /// `UIDNEXT`.
    UidNext,
    /// `UIDVALIDITY`.
    UidValidity,
    /// `UNSEEN`.
    Unseen,
    /// `DELETED`.
    Deleted,
    /// `DELETED-STORAGE` (RFC 9208 section 4.1.4).
    DeletedStorage,
    /// `SIZE`.
    Size,
    /// `HIGHESTMODSEQ` (RFC 7162 section 3.1.7).
    HighestModSeq,
    /// `MAILBOXID` (RFC 8474 section 4.3).
    MailboxId,
    /// `APPENDLIMIT` (RFC 7889 section 3.1).
    AppendLimit,
}

/// What is told of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusItem {
    /// How many messages.
    Messages(u32),
    /// How many with `\Recent`.
    Recent(u32),
    /// The next UID.
    UidNext(u32),
    /// The UIDVALIDITY.
    UidValidity(u32),
    /// How many without `\Seen`.
    Unseen(u32),
    /// How many with `\Deleted`.
    Deleted(u32),
    /// Octets of those with `\Deleted`.
    DeletedStorage(u64),
    /// Octets of all.
    Size(u64),
    /// The highest MODSEQ.
    HighestModSeq(u64),
    /// The object id.
    MailboxId(String),
    /// The largest message that is taken; `None` for `NIL`.
    AppendLimit(Option<u64>),
}
