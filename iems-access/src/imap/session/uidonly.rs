//! `UIDONLY` (RFC 9586): once it is enabled, messages have no numbers in either direction.

use crate::imap::types::{Code, CommandBody, Sort, Status, Thread};

/// The answer to a command that names messages by number (RFC 9586 section 3).
pub(super) fn refusal() -> Status {
    Status::bad("UIDONLY is enabled: name messages by UID").with(Code::UidRequired)
}

/// Whether a command names messages by number. `REPLACE` is for its literal to be refused with.
pub(super) fn has_numbers(body: &CommandBody) -> bool {
    use CommandBody as C;
    match body {
        C::Fetch { uid, .. } | C::Store { uid, .. } | C::Copy { uid, .. } | C::Move { uid, .. } => !uid,
        C::Search { uid, search } => !uid || search.key.has_numbers(),
        C::Sort { uid, sort: Sort { key, .. } } => !uid || key.has_numbers(),
        C::Thread { uid, thread: Thread { key, .. } } => !uid || key.has_numbers(),
        // The numbers that a client remembers of its UIDs (RFC 7162 section 3.2.5.2).
        C::Select { parameters, .. } | C::Examine { parameters, .. } => {
            parameters.qresync.as_ref().is_some_and(|resync| resync.matching.is_some())
        }
        _ => false,
    }
}
