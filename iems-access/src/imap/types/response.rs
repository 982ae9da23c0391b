//! What a server says (RFC 9051 section 7).

use super::{Code, Data};

/// A line (or more, with literals) from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The end of a command: `tag OK ...`.
    Tagged {
        /// The command's.
        tag: String,
        /// `OK`, `NO` or `BAD`.
        status: Status,
    },
    /// `* OK ...`, `* BYE ...`: of no command, or the greeting.
    Status(Status),
    /// `* ...`: data.
    Data(Data),
    /// `+ ...`: a literal or an `IDLE` may come (RFC 9051 section 7.6).
    Continue(String),
    /// `+ base64`: a challenge (RFC 9051 section 6.2.2); the octets before base 64.
    Challenge(Vec<u8>),
}

/// How it stands (RFC 9051 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The word.
    pub condition: Condition,
    /// For programs.
    pub code: Option<Code>,
    /// For people. What is no printable ASCII becomes `?`, and an empty text a word: the grammar wants one.
    pub text: String,
}

/// The word of a [`Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `OK`.
    Ok,
    /// `NO`.
    No,
    /// `BAD`.
    Bad,
    /// `PREAUTH`; only as a greeting.
    PreAuth,
    /// `BYE`; never with a tag.
    Bye,
}

impl Status {
    /// `OK`.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { condition: Condition::Ok, code: None, text: text.into() }
    }

    /// `NO`.
    pub fn no(text: impl Into<String>) -> Self {
        Self { condition: Condition::No, code: None, text: text.into() }
    }

    /// `BAD`.
    pub fn bad(text: impl Into<String>) -> Self {
        Self { condition: Condition::Bad, code: None, text: text.into() }
    }

    /// `BYE`.
    pub fn bye(text: impl Into<String>) -> Self {
        Self { condition: Condition::Bye, code: None, text: text.into() }
    }

    /// This, with a code.
    #[must_use]
    pub fn with(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }

    /// This as the end of the command with this tag.
    pub fn tagged(self, tag: impl Into<String>) -> Response {
        Response::Tagged { tag: tag.into(), status: self }
    }
}
