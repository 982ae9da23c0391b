//! Why octets are no command.

use std::borrow::Cow;

use crate::imap::types::{Code, Condition, Response, Status};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) condition: Condition,
    pub(super) code: Option<Code>,
    pub(super) message: Cow<'static, str>,
    /// The octet of the command, counted from 1, if it is of interest.
    pub(super) at: Option<usize>,
    /// Whether what the command was to save stands for nothing now.
    pub(super) forgets: bool,
}

/// Why a parser stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The octets of a literal are to come; so far nothing is wrong.
    More,
    /// Something is wrong.
    Wrong(Box<SyntaxError>),
}

/// What a parser found.
pub(super) type Parsed<T> = Result<T, Trouble>;

impl SyntaxError {
    /// The grammar does not know it.
    pub(super) fn bad(message: impl Into<Cow<'static, str>>, at: usize) -> Self {
        Self {
            condition: Condition::Bad,
            code: None,
            message: message.into(),
            at: Some(at + 1),
            forgets: false,
        }
    }

    /// A limit is passed.
    pub(super) fn limit(message: &'static str) -> Self {
        Self {
            condition: Condition::Bad,
            code: Some(Code::Limit),
            message: message.into(),
            at: None,
            forgets: false,
        }
    }

    /// The grammar knows it, and it cannot be done.
    pub(super) fn no(code: Code, message: &'static str) -> Self {
        Self { condition: Condition::No, code: Some(code), message: message.into(), at: None, forgets: false }
    }
}

impl Trouble {
    /// This without a place: behind a message, octets are no longer counted.
    pub(super) fn nowhere(self) -> Self {
        match self {
            Self::More => Self::More,
            Self::Wrong(error) => SyntaxError { at: None, ..*error }.into(),
        }
    }
}

impl From<SyntaxError> for Trouble {
    fn from(error: SyntaxError) -> Self {
        Self::Wrong(Box::new(error))
    }
}

/// An answer to what was no command, or one that is over its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The command's tag, if one could be read.
    pub tag: Option<String>,
    /// `BAD` or `NO`.
    pub status: Status,
    /// Whether `$` stands for nothing now: a `SEARCH` that was to save what it finds ended in `NO` (RFC 9051 section 6.4.4.1).
    pub forgets: bool,
}

impl Refusal {
    pub(super) fn new(tag: Option<String>, error: SyntaxError) -> Self {
        let text = match error.at {
            Some(at) => format!("{} (octet {at} of the command)", error.message),
            None => error.message.into_owned(),
        };
        Self {
            tag,
            status: Status { condition: error.condition, code: error.code, text },
            forgets: error.forgets,
        }
    }
}

impl From<Refusal> for Response {
    /// Untagged where there is no tag (RFC 9051 section 7.1.3).
    fn from(refusal: Refusal) -> Self {
        match refusal.tag {
            Some(tag) => Self::Tagged { tag, status: refusal.status },
            None => Self::Status(refusal.status),
        }
    }
}
