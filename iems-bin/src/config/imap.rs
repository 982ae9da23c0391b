//! `[imap]` and `[pop3]`: what mailbox sessions may cost and do.

use std::sync::Arc;
use std::time::Duration;

use iems_store::mailbox::UsualMailbox;

use super::problem::Notes;
use super::written::File;

/// The least a session may be silent (RFC 9051 section 5.4).
const LEAST: Duration = Duration::from_secs(1800);

/// What holds for IMAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImapSettings {
    /// Connections of one account at once.
    pub(crate) per_account: usize,
    /// Messages of a mailbox that can be selected.
    pub(crate) messages: usize,
    /// How long a session may be silent.
    pub(crate) idle: Duration,
    /// Whether others may log in over the same connection.
    pub(crate) unauthenticate: bool,
    /// The mailboxes that are usual here.
    pub(crate) usual: Arc<[UsualMailbox]>,
    /// Whether what was read by POP3 counts as read.
    pub(crate) pop3_seen: bool,
}

pub(super) fn imap(file: &File, notes: &mut Notes<'_>) -> ImapSettings {
    let written = &file.imap;
    if written.idle.value < LEAST {
        let message = "imap.idle: expected at least \"30m\" (RFC 9051 section 5.4)";
        notes.add(written.idle.span.as_ref(), "imap.idle", message);
    }
    ImapSettings {
        per_account: written.connections_per_account.value as usize,
        messages: written.messages.value as usize,
        idle: written.idle.value,
        unauthenticate: written.unauthenticate.value,
        usual: super::mailbox::usual(&file.mailbox, notes),
        pop3_seen: file.pop3.mark_seen.value,
    }
}
