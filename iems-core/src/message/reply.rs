//! A reply: what the peer is told, and, apart from it, what the log is told.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{EnhancedStatus, Remote};

/// A refusal, a deferral or a success, in the terms of RFC 5321 section 4.2 and RFC 3463.
///
/// The peer sees `code`, `enhanced` and `text`; `cause` is for the log and for `explain`.
/// `text` never holds CR, LF or other control characters: [`Reply::new`] replaces them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The three-digit reply code, 200 to 599.
    pub code: u16,
    /// The enhanced status code; its class agrees with `code`.
    pub enhanced: EnhancedStatus,
    /// Public text, one line, without the codes.
    pub text: String,
    /// Private cause. Never sent to a peer.
    pub cause: Option<String>,
    /// What another system said, where the reply tells of that.
    pub remote: Option<Box<Remote>>,
}

impl Reply {
    /// A reply with a public text. The class of `enhanced` is made to agree with `code`.
    pub fn new(code: u16, enhanced: EnhancedStatus, text: impl AsRef<str>) -> Self {
        let class = (code / 100) as u8;
        let text = one_line(text.as_ref());
        Self { code, enhanced: enhanced.with_class(class), text, cause: None, remote: None }
    }

    /// A permanent refusal: `550` with `5.subject.detail`.
    pub fn refuse(subject: u16, detail: u16, text: impl AsRef<str>) -> Self {
        Self::new(550, EnhancedStatus::new(5, subject, detail), text)
    }

    /// A temporary refusal: `451` with `4.subject.detail`.
    pub fn defer(subject: u16, detail: u16, text: impl AsRef<str>) -> Self {
        Self::new(451, EnhancedStatus::new(4, subject, detail), text)
    }

    /// The same reply with a private cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same reply with the words of the system that it tells of.
    #[must_use]
    pub fn in_words_of(mut self, remote: Remote) -> Self {
        self.remote = Some(Box::new(remote));
        self
    }

    /// Whether the peer may try again later (4xx).
    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// Whether this is a success (2xx).
    pub fn is_success(&self) -> bool {
        self.code / 100 == 2
    }
}

impl fmt::Display for Reply {
    /// `code enhanced text`, as the peer sees it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.enhanced, self.text)
    }
}

/// A refusal can be handed on with `?`.
impl std::error::Error for Reply {}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_carry_a_second_line() {
        let reply = Reply::refuse(1, 1, "no\r\n250 ok");
        assert_eq!(reply.to_string(), "550 5.1.1 no  250 ok");
    }

    #[test]
    fn class_follows_the_code() {
        assert!(Reply::new(451, EnhancedStatus::new(5, 3, 0), "later").enhanced.is_temporary());
    }
}
