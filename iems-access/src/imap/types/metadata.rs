//! Annotations of mailboxes and of the server (RFC 5464).

use std::fmt;

use bytes::Bytes;

/// Options of `GETMETADATA` (RFC 5464 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetadataOptions {
    /// `MAXSIZE`: values with more octets are not told.
    pub max_size: Option<u64>,
    /// `DEPTH`.
    pub depth: MetadataDepth,
}

/// How far below the entries named (RFC 5464 section 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataDepth {
    /// `0`: only themselves.
    #[default]
    Zero,
    /// `1`: and their children.
    One,
    /// `infinity`: and all below.
    Infinity,
}

/// An entry and its value.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryValue {
    /// The name, as given: `/private/comment`.
    pub entry: String,
    /// The value; `None` for `NIL`.
    pub value: Option<Bytes>,
}

impl fmt::Debug for EntryValue {
    /// Without the value, which may be long or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}={:?}", self.entry, self.value.as_ref().map(Bytes::len))
    }
}
