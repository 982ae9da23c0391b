//! What a server tells untagged (RFC 9051 section 7.2 to 7.5, and the extensions named).

use super::{
    AclEntry, EntryValue, FetchItem, Flag, ListData, NumberSet, PartialRange, QuotaUsage, StatusItem,
    ThreadNode,
};

/// Untagged data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// `CAPABILITY` (RFC 9051 section 7.2.2).
    Capability(Vec<String>),
    /// `ENABLED` (RFC 9051 section 7.2.1).
    Enabled(Vec<String>),
    /// `ID`; `None` for `NIL` (RFC 2971).
    Id(Option<Vec<(String, Option<String>)>>),
    /// `FLAGS` (RFC 9051 section 7.3.5).
    Flags(Vec<Flag>),
    /// `EXISTS` (RFC 9051 section 7.4.1).
    Exists(u32),
    /// `RECENT` (RFC 3501 section 7.3.2).
    Recent(u32),
    /// `EXPUNGE` (RFC 9051 section 7.5.1).
    Expunge(u32),
    /// `VANISHED` (RFC 7162 section 3.2.10). An empty set is not told.
    Vanished {
        /// `(EARLIER)`.
        earlier: bool,
        /// Which.
        uids: NumberSet,
    },
    /// `FETCH` (RFC 9051 section 7.5.2). What is streamed goes through `Encoder::fetch_begin`.
    Fetch {
        /// The sequence number.
        number: u32,
        /// What of it.
        items: Vec<FetchItem>,
    },
    /// `UIDFETCH` (RFC 9586 section 3.3).
    UidFetch {
        /// The UID.
        uid: u32,
        /// What of it.
        items: Vec<FetchItem>,
    },
    /// `LIST` (RFC 9051 section 7.3.1).
    List(ListData),
    /// `LSUB` (RFC 3501 section 7.2.3).
    Lsub(ListData),
    /// `NAMESPACE` (RFC 9051 section 7.3.3); empty for `NIL`.
    Namespace {
        /// One's own.
        personal: Vec<Namespace>,
        /// Those of other users.
        other: Vec<Namespace>,
        /// Those of nobody.
        shared: Vec<Namespace>,
    },
    /// `STATUS` (RFC 9051 section 7.3.4).
    Status {
        /// Of which.
        mailbox: String,
        /// What of it.
        items: Vec<StatusItem>,
    },
    /// `SEARCH` (RFC 3501 section 7.2.5).
    Search {
        /// What was found.
        numbers: Vec<u32>,
        /// The highest among them, if `MODSEQ` was asked for (RFC 7162 section 3.1.5).
        modseq: Option<u64>,
    },
    /// `ESEARCH` (RFC 9051 section 7.3.4).
    ESearch(ESearch),
    /// `SORT` (RFC 5256).
    Sort {
        /// What was found, in order.
        numbers: Vec<u32>,
        /// The highest among them, if `MODSEQ` was asked for.
        modseq: Option<u64>,
    },
    /// `THREAD` (RFC 5256).
    Thread(Vec<ThreadNode>),
    /// `QUOTA` (RFC 9208 section 4.2.1).
    Quota {
        /// The quota root.
        root: String,
        /// What is limited.
        usage: Vec<QuotaUsage>,
    },
    /// `QUOTAROOT` (RFC 9208 section 4.2.2).
    QuotaRoot {
        /// Of which.
        mailbox: String,
        /// The quota roots.
        roots: Vec<String>,
    },
    /// `ACL` (RFC 4314 section 3.6).
    Acl {
        /// Of which.
        mailbox: String,
        /// Who may what.
        entries: Vec<AclEntry>,
    },
    /// `LISTRIGHTS` (RFC 4314 section 3.7).
    ListRights {
        /// Of which.
        mailbox: String,
        /// Of whom.
        identifier: String,
        /// What is always given.
        required: String,
        /// What can be given; letters in one go together.
        optional: Vec<String>,
    },
    /// `MYRIGHTS` (RFC 4314 section 3.8).
    MyRights {
        /// Of which.
        mailbox: String,
        /// Letters and digits.
        rights: String,
    },
    /// `METADATA` with values (RFC 5464 section 4.4.1).
    Metadata {
        /// Of which; empty for the server.
        mailbox: String,
        /// What it has.
        entries: Vec<EntryValue>,
    },
    /// `METADATA` without values: these changed (RFC 5464 section 4.4.2).
    MetadataChanged {
        /// Of which; empty for the server.
        mailbox: String,
        /// Which entries.
        entries: Vec<String>,
    },
}

/// `ESEARCH` (RFC 9051 section 7.3.4). What is `None` or empty is not told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ESearch {
    /// The command's tag.
    pub tag: Option<String>,
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// `MIN`.
    pub min: Option<u32>,
    /// `MAX`.
    pub max: Option<u32>,
    /// `ALL`, as ranges in the order of the result. `SEARCH` gives the ranges of a [`NumberSet`]; `SORT` may not.
    pub all: Vec<(u32, u32)>,
    /// `COUNT`.
    pub count: Option<u64>,
    /// `MODSEQ` (RFC 7162 section 3.1.10).
    pub modseq: Option<u64>,
    /// `PARTIAL` (RFC 9394): what was asked for, and what is there of it; empty for `NIL`.
    pub partial: Option<(PartialRange, Vec<(u32, u32)>)>,
}

/// A namespace (RFC 9051 section 7.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// What names in it begin with.
    pub prefix: String,
    /// What is between levels; `None` for `NIL`.
    pub delimiter: Option<char>,
}
