//! `STORE` (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).

use super::{Flag, SequenceSet};

/// What `STORE` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Of which messages.
    pub messages: SequenceSet,
    /// `UNCHANGEDSINCE`: not of those with a greater MODSEQ. May be 0.
    pub unchanged_since: Option<u64>,
    /// What happens.
    pub action: StoreAction,
    /// `.SILENT`: the new flags are not to be told.
    pub silent: bool,
    /// The flags.
    pub flags: Vec<Flag>,
}

/// What happens with the flags that `STORE` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`: they are all the message has then.
    Replace,
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
}
