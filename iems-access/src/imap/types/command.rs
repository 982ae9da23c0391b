//! What a client says (RFC 9051 section 6, RFC 3501 section 6, and the extensions named).

use iems_core::seam::sasl::Password;

use super::{
    AclChange, EntryValue, Fetch, ListCommand, MetadataOptions, Notify, QuotaLimit, Search, SelectParameters,
    SequenceSet, Sort, SpecialUse, StatusAttribute, Store, Thread,
};

/// A command with its tag (RFC 9051 section 2.2.1). `Debug` shows no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The client's name for it, which the answer repeats.
    pub tag: String,
    /// What is wanted.
    pub body: CommandBody,
    /// A mailbox name in it whose letters were not composed: as it came, and as it was taken (RFC 9051 section 5.1). Of
    /// several, the last.
    pub composed: Option<(String, String)>,
}

impl Command {
    /// A command whose names came as they are taken.
    pub fn new(tag: impl Into<String>, body: CommandBody) -> Self {
        Self { tag: tag.into(), body, composed: None }
    }
}

/// What is wanted. Where there is a `uid`, it says whether the command had `UID` before it (RFC 9051 section 6.4.9).
#[derive(Clone, PartialEq, Eq)]
pub enum CommandBody {
    /// `CAPABILITY` (RFC 9051 section 6.1.1).
    Capability,
    /// `NOOP` (RFC 9051 section 6.1.2).
    Noop,
    /// `LOGOUT` (RFC 9051 section 6.1.3).
    Logout,
    /// `ID`, `None` for `NIL` (RFC 2971).
    Id(Option<Vec<(String, Option<String>)>>),
    /// `STARTTLS` (RFC 9051 section 6.2.1).
    StartTls,
    /// `AUTHENTICATE` (RFC 9051 section 6.2.2); the lines that follow come from `Decoder::expect_line`.
    Authenticate {
        /// The mechanism's name, in upper case.
        mechanism: String,
        /// The initial response (RFC 4959), still in base 64; `=` stands for an empty one.
        initial: Option<String>,
    },
    /// `LOGIN` (RFC 9051 section 6.2.3).
    Login {
        /// Who.
        login: String,
        /// The proof.
        password: Password,
    },
    /// `UNAUTHENTICATE` (RFC 8437).
    Unauthenticate,
    /// `COMPRESS` (RFC 4978), with the mechanism in upper case.
    Compress(String),
    /// `ENABLE` (RFC 9051 section 6.3.1), in upper case. Unknown ones are for the session to pass over.
    Enable(Vec<String>),
    /// `SELECT` (RFC 9051 section 6.3.2).
    Select {
        /// Which.
        mailbox: String,
        /// `CONDSTORE`, `QRESYNC`.
        parameters: SelectParameters,
    },
    /// `EXAMINE` (RFC 9051 section 6.3.3).
    Examine {
        /// Which.
        mailbox: String,
        /// `CONDSTORE`, `QRESYNC`.
        parameters: SelectParameters,
    },
    /// `CREATE` (RFC 9051 section 6.3.4). A delimiter at the end of the name is still there.
    Create {
        /// The new name.
        mailbox: String,
        /// `USE (...)` (RFC 6154 section 3).
        special_use: Vec<SpecialUse>,
    },
    /// `DELETE` (RFC 9051 section 6.3.5).
    Delete(String),
    /// `RENAME` (RFC 9051 section 6.3.6).
    Rename {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// `SUBSCRIBE` (RFC 9051 section 6.3.7).
    Subscribe(String),
    /// `UNSUBSCRIBE` (RFC 9051 section 6.3.8).
    Unsubscribe(String),
    /// `LIST` (RFC 9051 section 6.3.9).
    List(ListCommand),
    /// `LSUB` (RFC 3501 section 6.3.9).
    Lsub {
        /// Before the pattern.
        reference: String,
        /// With `%` and `*`.
        pattern: String,
    },
    /// `NAMESPACE` (RFC 9051 section 6.3.10).
    Namespace,
    /// `STATUS` (RFC 9051 section 6.3.11).
    Status {
        /// Which.
        mailbox: String,
        /// What about it.
        items: Vec<StatusAttribute>,
    },
    /// `APPEND` (RFC 9051 section 6.3.12). The messages follow as [`super::AppendPart`].
    Append {
        /// To where.
        mailbox: String,
    },
    /// `REPLACE`, `UID REPLACE` (RFC 8508). The one message follows as [`super::AppendPart`].
    Replace {
        /// Whether `message` is a UID.
        uid: bool,
        /// Which message goes; `None` for `*`.
        message: Option<u32>,
        /// To where the new one goes.
        mailbox: String,
    },
    /// `IDLE` (RFC 9051 section 6.3.13); `DONE` comes from `Decoder::expect_line`.
    Idle,
    /// `CLOSE` (RFC 9051 section 6.4.1).
    Close,
    /// `UNSELECT` (RFC 9051 section 6.4.2).
    Unselect,
    /// `CHECK` (RFC 3501 section 6.4.1).
    Check,
    /// `EXPUNGE` (RFC 9051 section 6.4.3), `UID EXPUNGE` with UIDs (RFC 9051 section 6.4.9).
    Expunge {
        /// Only these.
        uids: Option<SequenceSet>,
    },
    /// `SEARCH` (RFC 9051 section 6.4.4).
    Search {
        /// Whether UIDs are told.
        uid: bool,
        /// What is searched.
        search: Search,
    },
    /// `SORT` (RFC 5256, RFC 5267).
    Sort {
        /// Whether UIDs are told.
        uid: bool,
        /// What is searched, and how it is ordered.
        sort: Sort,
    },
    /// `THREAD` (RFC 5256).
    Thread {
        /// Whether UIDs are told.
        uid: bool,
        /// What is searched, and how it is put together.
        thread: Thread,
    },
    /// `FETCH` (RFC 9051 section 6.4.5). With `uid`, [`super::FetchAttribute::Uid`] may be missing and is told all the same.
    Fetch {
        /// Whether the numbers are UIDs.
        uid: bool,
        /// What is fetched.
        fetch: Fetch,
    },
    /// `STORE` (RFC 9051 section 6.4.6).
    Store {
        /// Whether the numbers are UIDs.
        uid: bool,
        /// What is stored.
        store: Store,
    },
    /// `COPY` (RFC 9051 section 6.4.7).
    Copy {
        /// Whether the numbers are UIDs.
        uid: bool,
        /// Which.
        messages: SequenceSet,
        /// To where.
        mailbox: String,
    },
    /// `MOVE` (RFC 9051 section 6.4.8).
    Move {
        /// Whether the numbers are UIDs.
        uid: bool,
        /// Which.
        messages: SequenceSet,
        /// To where.
        mailbox: String,
    },
    /// `GETQUOTA` (RFC 9208 section 4.1.2).
    GetQuota(String),
    /// `GETQUOTAROOT` (RFC 9208 section 4.1.3).
    GetQuotaRoot(String),
    /// `SETQUOTA` (RFC 9208 section 4.1.1).
    SetQuota {
        /// The quota root.
        root: String,
        /// The new limits; resources that are not named have none.
        limits: Vec<QuotaLimit>,
    },
    /// `GETACL` (RFC 4314 section 3.3).
    GetAcl(String),
    /// `SETACL` (RFC 4314 section 3.1).
    SetAcl {
        /// Of which.
        mailbox: String,
        /// For whom.
        identifier: String,
        /// Whether the rights are given, added or taken.
        change: AclChange,
        /// Letters and digits (RFC 4314 section 2.1).
        rights: String,
    },
    /// `DELETEACL` (RFC 4314 section 3.2).
    DeleteAcl {
        /// Of which.
        mailbox: String,
        /// Of whom.
        identifier: String,
    },
    /// `LISTRIGHTS` (RFC 4314 section 3.4).
    ListRights {
        /// Of which.
        mailbox: String,
        /// Of whom.
        identifier: String,
    },
    /// `MYRIGHTS` (RFC 4314 section 3.5).
    MyRights(String),
    /// `GETMETADATA` (RFC 5464 section 4.2).
    GetMetadata {
        /// Of which; empty for the server.
        mailbox: String,
        /// `MAXSIZE`, `DEPTH`.
        options: MetadataOptions,
        /// Entries, as given.
        entries: Vec<String>,
    },
    /// `SETMETADATA` (RFC 5464 section 4.3).
    SetMetadata {
        /// Of which; empty for the server.
        mailbox: String,
        /// Entries and values; those without a value go.
        entries: Vec<EntryValue>,
    },
    /// `NOTIFY` (RFC 5465).
    Notify(Notify),
}
