//! `NOTIFY` (RFC 5465).

use super::FetchAttribute;

/// What a client wants to be told unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// `NONE`: nothing.
    None,
    /// `SET`.
    Set {
        /// `STATUS`: the state of all mailboxes named, first (RFC 5465 section 4).
        status: bool,
        /// Which mailboxes, and which events of them.
        groups: Vec<EventGroup>,
    },
}

/// Mailboxes and events (RFC 5465 section 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// Which mailboxes.
    pub mailboxes: MailboxFilter,
    /// Which events; empty for `NONE`.
    pub events: Vec<NotifyEvent>,
}

/// Which mailboxes (RFC 5465 section 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxFilter {
    /// `selected`.
    Selected,
    /// `selected-delayed`.
    SelectedDelayed,
    /// `inboxes`.
    Inboxes,
    /// `personal`.
    Personal,
    /// `subscribed`.
    Subscribed,
    /// `subtree`: these and all below them.
    Subtree(Vec<String>),
    /// `mailboxes`: these.
    Mailboxes(Vec<String>),
}

/// An event (RFC 5465 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyEvent {
    /// `MessageNew`, with what is to be told of new messages of the selected mailbox.
    MessageNew(Vec<FetchAttribute>),
    /// `MessageExpunge`.
    MessageExpunge,
    /// `FlagChange`.
    FlagChange,
    /// `AnnotationChange`.
    AnnotationChange,
    /// `MailboxName`.
    MailboxName,
    /// `SubscriptionChange`.
    SubscriptionChange,
    /// `MailboxMetadataChange`.
    MailboxMetadataChange,
    /// `ServerMetadataChange`.
    ServerMetadataChange,
    /// One that is not known: `BADEVENT` answers it.
    Other(String),
}
