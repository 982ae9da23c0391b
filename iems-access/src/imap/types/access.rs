//! Access control lists (RFC 4314).

/// What `SETACL` does with the rights it names (RFC 4314 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclChange {
    /// They are all the identifier has then.
    Replace,
    /// `+`: the identifier gets them.
    Add,
    /// `-`: the identifier loses them.
    Remove,
}

/// One line of an access control list (RFC 4314 section 3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// For whom.
    pub identifier: String,
    /// Letters and digits.
    pub rights: String,
}
