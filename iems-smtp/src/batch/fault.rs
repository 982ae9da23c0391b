//! What can be wrong with a batch, and where.

use std::fmt;

use iems_core::message::{EnhancedStatus, Reply};

use crate::proto::{CommandError, LineError};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A line is no command.
    #[error("{0}")]
    Command(#[from] CommandError),
    /// A line is too long, or has a bare CR or LF.
    #[error("{0}")]
    Line(#[from] LineError),
    /// A command that has no place here; holds what to do.
    #[error("bad sequence of commands")]
    OutOfOrder(&'static str),
    /// A command that needs an answer.
    #[error("a command that has no meaning without a server's answer")]
    NeedsAnswer,
    /// The text of a message holds a bare CR or LF.
    #[error("a bare CR or LF in the message")]
    BareLineEnd,
    /// The batch ends in the middle of a line or message.
    #[error("Unexpected end of file")]
    UnexpectedEnd,
    /// More messages than a batch may have.
    #[error("too many messages in one batch")]
    TooManyMessages,
    /// More recipients than a message may have.
    #[error("too many recipients for one message")]
    TooManyRecipients,
    /// A larger message than a batch may have.
    #[error("a message is too large")]
    TooLarge,
}

impl Fault {
    /// What a server would have answered.
    pub fn reply(&self) -> Reply {
        let (code, subject, detail, hint) = match self {
            Self::Command(error) => return error.reply(),
            Self::Line(LineError::TooLong) => (500, 5, 2, "break the line"),
            Self::Line(LineError::BareLineEnd) | Self::BareLineEnd => (550, 5, 2, "end lines with CRLF only"),
            Self::OutOfOrder(hint) => (503, 5, 1, *hint),
            Self::NeedsAnswer => (502, 5, 1, "leave it out of a batch"),
            Self::UnexpectedEnd => (554, 6, 0, "end each message with a line of a single dot"),
            Self::TooManyMessages => (552, 3, 4, "make several batches"),
            Self::TooManyRecipients => (552, 5, 3, "send the message in several transactions"),
            Self::TooLarge => (552, 3, 4, "send a smaller message"),
        };
        Reply::new(code, EnhancedStatus::new(5, subject, detail), format!("{self}; {hint}"))
    }
}

/// What is wrong, and where. The parser reads no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchError {
    /// What is wrong.
    pub fault: Fault,
    /// The line with the `MAIL` of the transaction that is open, counted from 1.
    pub started: Option<u64>,
    /// The line with the error, counted from 1.
    pub line: u64,
    /// The beginning of the command, if the error is in one; printable.
    pub command: Option<String>,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {}", self.fault, self.line)?;
        match self.started {
            Some(started) => write!(f, " (transaction started in line {started})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BatchError {}
