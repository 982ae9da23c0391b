//! How much a client may say.

/// Bounds of a decoder. The session sets others when its state changes; they hold from the next command on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a command: its lines, and the literals among its arguments, but not the messages of `APPEND`. Also
    /// of a line of an authentication exchange.
    pub command: usize,
    /// Octets of a literal of `APPEND` or `REPLACE`.
    pub append: u64,
    /// Octets of a literal that is sent without asking: 4096 where `LITERAL-` is told, `None` where `LITERAL+` is
    /// (RFC 7888 section 5).
    pub unasked: Option<u64>,
    /// Octets that are read over, at most, to get to the end of a command that was refused. Behind them the connection
    /// has to be closed.
    pub skip: u64,
}

impl Limits {
    /// Before it is known who speaks: room for the longest `ID` (RFC 2971 section 3.3) and a large token, and for no message.
    pub const fn before_login() -> Self {
        Self { command: 36 * 1024, append: 0, unasked: Some(4096), skip: 64 * 1024 }
    }

    /// Behind the login: `LITERAL+`, because a client that has to ask for each message waits once more for each. 64 KiB are
    /// room for about 10,000 messages named one by one.
    pub const fn after_login(append: u64) -> Self {
        Self { command: 64 * 1024, append, unasked: None, skip: 64 * 1024 * 1024 }
    }
}

/// Literals among the arguments of one command.
pub(super) const LITERALS: usize = 100;
/// Search keys within search keys.
pub(super) const DEPTH: usize = 128;
/// Search keys of one command.
pub(super) const KEYS: usize = 4096;
/// Members of a list; search keys and sequence sets are bounded otherwise.
pub(super) const ITEMS: usize = 1000;
/// Things that one `FETCH` asks of each message: each may cost a look into the message.
pub(super) const ATTRIBUTES: usize = 100;
/// How often one `FETCH` asks for octets of one part decoded: each time, all in front of them is decoded, too.
pub(super) const DECODED: usize = 10;
/// Levels of a body part's number.
pub(super) const PARTS: usize = 100;
/// Octets of a tag.
pub(super) const TAG: usize = 128;
/// Fields of `ID` (RFC 2971 section 3.3).
pub(super) const ID_FIELDS: usize = 30;
