//! `[imap]` and `[pop3]`: what mailbox sessions may cost and do.

use std::sync::Arc;
use std::time::Duration;

use iems_access::pop3::UidlFormat;
use iems_store::mailbox::UsualMailbox;

use super::leaf::Size;
use super::mailbox::{WrittenMailbox, usual};
use super::problem::Notes;
use super::read::{At, section};

section! {
    /// IMAP.
    WrittenImap {
        /// Connections of one account at once.
        connections_per_account: u32 = "100";
        /// What the sessions of one account may hold together.
        memory_per_account: Size = r#""512MiB""#;
        /// Messages of a mailbox that can be opened.
        messages: u32 = "2000000";
        /// How long a session may be silent.
        idle: Duration = r#""30m""#;
        /// Whether others may log in over the same connection.
        unauthenticate: bool = "false";
    }

    /// POP3.
    WrittenPop3 {
        /// Whether what was read counts as read.
        mark_seen: bool = "true";
        /// What unique ids look like, as another server had them.
        uidl: UidlFormat;
    }
}

/// The least a session may be silent (RFC 9051 section 5.4).
const LEAST: Duration = Duration::from_secs(1800);

/// With less, one session could not open a large mailbox, nor take a large message.
const MEMORY: u64 = 16 << 20;

/// What holds for IMAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImapSettings {
    /// Connections of one account at once.
    pub(crate) per_account: usize,
    /// What the sessions of one account may hold together, in octets.
    pub(crate) memory: u64,
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
    /// What unique ids of POP3 look like.
    pub(crate) uidl: Option<UidlFormat>,
}

/// What the sections mean.
pub(super) fn imap(
    (written, pop3): (&WrittenImap, &WrittenPop3),
    mailboxes: &[At<WrittenMailbox>],
    notes: &mut Notes<'_>,
) -> ImapSettings {
    if written.idle.value < LEAST {
        let least = "at least \"30m\" (RFC 9051 section 5.4)";
        notes.expected(written.idle.span.as_ref(), "imap.idle", least);
    }
    let memory = &written.memory_per_account;
    if memory.value.0 < MEMORY {
        notes.expected(memory.span.as_ref(), "imap.memory_per_account", "at least \"16MiB\"");
    }
    ImapSettings {
        per_account: written.connections_per_account.value as usize,
        memory: written.memory_per_account.value.0,
        messages: written.messages.value as usize,
        idle: written.idle.value,
        unauthenticate: written.unauthenticate.value,
        usual: usual(mailboxes, notes),
        pop3_seen: pop3.mark_seen.value,
        uidl: pop3.uidl.as_ref().map(|uidl| uidl.value.clone()),
    }
}
