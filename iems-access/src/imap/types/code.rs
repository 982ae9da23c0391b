//! Response codes (RFC 9051 section 7.1, and the extensions named).

use super::{NumberSet, PermanentFlag};

/// A response code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// `ALERT`.
    Alert,
    /// `ALREADYEXISTS`.
    AlreadyExists,
    /// `APPENDUID`: UIDVALIDITY and the new UIDs (RFC 9051 section 7.1, RFC 3502).
    AppendUid(u32, NumberSet),
    /// `AUTHENTICATIONFAILED`.
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED`.
    AuthorizationFailed,
    /// `BADCHARSET`, with those that are known.
    BadCharset(Vec<String>),
    /// `BADEVENT`, with those that are known (RFC 5465 section 5).
    BadEvent(Vec<String>),
    /// `BADURL`, with the URL (RFC 4469 section 4).
    BadUrl(String),
    /// `CANNOT`.
    Cannot,
    /// `CAPABILITY`.
    Capability(Vec<String>),
    /// `CLIENTBUG`.
    ClientBug,
    /// `CLOSED` (RFC 7162 section 3.2.11).
    Closed,
    /// `COMPRESSIONACTIVE` (RFC 4978 section 3).
    CompressionActive,
    /// `CONTACTADMIN`.
    ContactAdmin,
    /// `COPYUID`: UIDVALIDITY, UIDs there, new UIDs here. The nth of the one is the nth of the other, so copies are
    /// numbered in the order of their UIDs.
    CopyUid(u32, NumberSet, NumberSet),
    /// `CORRUPTION`.
    Corruption,
    /// `EXPIRED`.
    Expired,
    /// `EXPUNGEISSUED`.
    ExpungeIssued,
    /// `HASCHILDREN`.
    HasChildren,
    /// `HIGHESTMODSEQ` (RFC 7162 section 3.1.2.1).
    HighestModSeq(u64),
    /// `INUSE`.
    InUse,
    /// `LIMIT`.
    Limit,
    /// `MAILBOXID` (RFC 8474 section 4.1).
    MailboxId(String),
    /// `METADATA LONGENTRIES`: the longest value that was left out (RFC 5464 section 4.2.1).
    MetadataLongEntries(u64),
    /// `METADATA MAXSIZE`: the longest value that is taken (RFC 5464 section 4.3).
    MetadataMaxSize(u64),
    /// `METADATA NOPRIVATE` (RFC 5464 section 4.3).
    MetadataNoPrivate,
    /// `METADATA TOOMANY` (RFC 5464 section 4.3).
    MetadataTooMany,
    /// `MODIFIED` (RFC 7162 section 3.1.3).
    Modified(NumberSet),
    /// `NOMODSEQ` (RFC 7162 section 3.1.2.2).
    NoModSeq,
    /// `NONEXISTENT`.
    NonExistent,
    /// `NOPERM`.
    NoPerm,
    /// `NOTIFICATIONOVERFLOW` (RFC 5465 section 5.8).
    NotificationOverflow,
    /// `NOTSAVED`.
    NotSaved,
    /// `OVERQUOTA`.
    OverQuota,
    /// `PARSE`.
    Parse,
    /// `PERMANENTFLAGS`.
    PermanentFlags(Vec<PermanentFlag>),
    /// `PRIVACYREQUIRED`.
    PrivacyRequired,
    /// `READ-ONLY`.
    ReadOnly,
    /// `READ-WRITE`.
    ReadWrite,
    /// `SERVERBUG`.
    ServerBug,
    /// `TOOBIG` (RFC 4469 section 4.2, RFC 7889).
    TooBig,
    /// `TRYCREATE`.
    TryCreate,
    /// `UIDNEXT`.
    UidNext(u32),
    /// `UIDNOTSTICKY`.
    UidNotSticky,
    /// `UIDREQUIRED` (RFC 9586 section 3).
    UidRequired,
    /// `UIDVALIDITY`.
    UidValidity(u32),
    /// `UNAVAILABLE`.
    Unavailable,
    /// `UNKNOWN-CTE`.
    UnknownCte,
    /// `UNSEEN` (RFC 3501 section 7.1): the first that is not seen.
    Unseen(u32),
    /// `USEATTR` (RFC 6154 section 3).
    UseAttr,
}
