//! The words of IMAP as types: what clients say ([`Command`]) and what servers say ([`Response`]).
//!
//! Plain enums that own their data and validate nothing: what the decoder made is valid, and the encoder writes what
//! it is given in a form that is safe on the wire. Mailbox names are UTF-8 here, whatever they are on the wire;
//! `INBOX` is in upper case. No I/O.
//!
//! RFC 9051 (IMAP4rev2), RFC 3501 (IMAP4rev1), and the extensions that each type names.

mod access;
mod append;
mod code;
mod command;
mod data;
mod date;
mod debug;
mod fetch;
mod flag;
mod list;
mod metadata;
mod notify;
mod numbers;
mod quota;
mod response;
mod search;
mod select;
mod sequence;
mod sort;
mod status;
mod store;

pub use access::{AclChange, AclEntry};
pub use append::{AppendPart, LiteralInfo};
pub use code::Code;
pub use command::{Command, CommandBody};
pub use data::{Data, ESearch, Namespace};
pub use date::{Date, DateTime};
pub use fetch::{Content, Fetch, FetchAttribute, FetchItem, Partial, Section, SectionText};
pub use flag::{Flag, PermanentFlag};
pub use iems_store::told::{
    Address, BodyExtension, BodyFields, BodyStructure, Disposition, Envelope, Parameters,
};
pub use list::{ListAttribute, ListCommand, ListData, ListReturn, ListSelection, SpecialUse};
pub use metadata::{EntryValue, MetadataDepth, MetadataOptions};
pub use notify::{EventGroup, MailboxFilter, Notify, NotifyEvent};
pub use numbers::NumberSet;
pub use quota::{QuotaLimit, QuotaResource, QuotaUsage};
pub use response::{Condition, Response, Status};
pub use search::{EntryType, PartialRange, Search, SearchKey, SearchReturn};
pub use select::{Resync, SelectParameters};
pub use sequence::{Bound, SequenceRange, SequenceSet};
pub use sort::{Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm, ThreadNode};
pub use status::{StatusAttribute, StatusItem};
pub use store::{Store, StoreAction};
