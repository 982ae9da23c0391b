//! What a client wants to be told (RFC 5465 sections 5 and 6).

use std::sync::Arc;

use crate::imap::types::{Code, EventGroup, FetchAttribute, MailboxFilter, NotifyEvent, Status};

/// The events that are known here; `ANNOTATE`, which `AnnotationChange` is about, is not.
const KNOWN: [&str; 7] = [
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
];

/// What is to be told of the selected mailbox. New messages and expunged ones always are.
#[derive(Debug, Clone)]
pub(in crate::imap::session) struct OfSelected {
    /// Expunged messages wait for a command.
    pub(in crate::imap::session) delayed: bool,
    /// Flags that change are told.
    pub(in crate::imap::session) flags: bool,
    /// What is told of new messages.
    pub(in crate::imap::session) attributes: Arc<[FetchAttribute]>,
}

/// Events of mailboxes that are not selected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// New messages, and expunged ones.
    pub(super) messages: bool,
    pub(super) flags: bool,
    pub(super) name: bool,
    pub(super) subscription: bool,
    pub(super) notes: bool,
    /// Of the account, whatever the mailbox.
    pub(super) server_notes: bool,
}

impl Events {
    fn and(self, other: Self) -> Self {
        Self {
            messages: self.messages || other.messages,
            flags: self.flags || other.flags,
            name: self.name || other.name,
            subscription: self.subscription || other.subscription,
            notes: self.notes || other.notes,
            server_notes: self.server_notes || other.server_notes,
        }
    }

    /// Whether the mailbox has to be read for them.
    pub(super) const fn read(self) -> bool {
        self.messages || self.flags || self.notes
    }
}

struct Group {
    mailboxes: MailboxFilter,
    events: Events,
}

/// A mailbox, as far as it matters for whether it is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) path: &'a str,
    pub(super) own: bool,
    pub(super) subscribed: bool,
}

/// What a client wants to be told. Nothing, by default.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) selected: Option<OfSelected>,
    groups: Vec<Group>,
}

impl Wanted {
    /// What groups of events ask for.
    pub(super) fn new(groups: Vec<EventGroup>) -> Result<Self, Status> {
        let mut wanted = Self::default();
        let mut selected = false;
        for EventGroup { mailboxes, events } in groups {
            if events
                .iter()
                .any(|event| matches!(event, NotifyEvent::Other(_) | NotifyEvent::AnnotationChange))
            {
                let known = Code::BadEvent(KNOWN.map(String::from).into());
                return Err(Status::no("One of the events is not known here").with(known));
            }
            if matches!(mailboxes, MailboxFilter::Selected | MailboxFilter::SelectedDelayed) {
                if std::mem::replace(&mut selected, true) {
                    return Err(Status::bad("The selected mailbox has one group at most"));
                }
                wanted.selected = of_selected(mailboxes == MailboxFilter::SelectedDelayed, events)?;
            } else {
                wanted.groups.push(Group { mailboxes: tidy(mailboxes), events: of_others(&events)? });
            }
        }
        Ok(wanted)
    }

    /// What is wanted of a mailbox that is not selected.
    pub(super) fn of(&self, named: Named<'_>) -> Events {
        let meant = self.groups.iter().filter(|group| means(&group.mailboxes, named));
        meant.fold(Events::default(), |events, group| events.and(group.events))
    }

    /// What is wanted of any mailbox.
    pub(super) fn of_any(&self) -> Events {
        self.groups.iter().fold(Events::default(), |events, group| events.and(group.events))
    }

    /// Whether mailboxes of others may be meant.
    pub(super) fn means_others(&self) -> bool {
        self.groups.iter().any(|group| match &group.mailboxes {
            MailboxFilter::Subscribed => true,
            MailboxFilter::Subtree(names) | MailboxFilter::Mailboxes(names) => {
                names.iter().any(|name| crate::imap::session::place::is_others(name))
            }
            _ => false,
        })
    }

    /// Whether it matters what the user subscribed to.
    pub(super) fn heeds_subscriptions(&self) -> bool {
        let filtered = self.groups.iter().any(|group| group.mailboxes == MailboxFilter::Subscribed);
        filtered || self.of_any().subscription
    }
}

fn of_selected(delayed: bool, events: Vec<NotifyEvent>) -> Result<Option<OfSelected>, Status> {
    let (mut attributes, mut flags) = (None, false);
    for event in events {
        match event {
            NotifyEvent::MessageNew(wanted) => attributes = Some(wanted),
            NotifyEvent::MessageExpunge => {}
            NotifyEvent::FlagChange => flags = true,
            _ => return Err(Status::bad("Of the selected mailbox, only what happens to messages is told")),
        }
    }
    // The codec sees to it that new messages are wanted if anything is.
    Ok(attributes.map(|attributes| OfSelected { delayed, flags, attributes: attributes.into() }))
}

fn of_others(events: &[NotifyEvent]) -> Result<Events, Status> {
    let mut all = Events::default();
    for event in events {
        match event {
            NotifyEvent::MessageNew(attributes) if !attributes.is_empty() => {
                return Err(Status::bad("What is fetched of new messages is said with SELECTED only"));
            }
            NotifyEvent::MessageNew(_) | NotifyEvent::MessageExpunge => all.messages = true,
            NotifyEvent::FlagChange => all.flags = true,
            NotifyEvent::MailboxName => all.name = true,
            NotifyEvent::SubscriptionChange => all.subscription = true,
            NotifyEvent::MailboxMetadataChange => all.notes = true,
            NotifyEvent::ServerMetadataChange => all.server_notes = true,
            NotifyEvent::AnnotationChange | NotifyEvent::Other(_) => {}
        }
    }
    Ok(all)
}

/// Names as they are listed.
fn tidy(mailboxes: MailboxFilter) -> MailboxFilter {
    let tidy = |names: Vec<String>| names.into_iter().map(tidy_name).collect();
    match mailboxes {
        MailboxFilter::Subtree(names) => MailboxFilter::Subtree(tidy(names)),
        MailboxFilter::Mailboxes(names) => MailboxFilter::Mailboxes(tidy(names)),
        other => other,
    }
}

fn tidy_name(name: String) -> String {
    let mut name = name.strip_suffix('/').map(str::to_owned).unwrap_or(name);
    let first = name.split('/').next().unwrap_or_default();
    if first.eq_ignore_ascii_case("INBOX") {
        name.replace_range(..5, "INBOX");
    }
    name
}

fn means(mailboxes: &MailboxFilter, named: Named<'_>) -> bool {
    let Named { path, own, subscribed } = named;
    match mailboxes {
        MailboxFilter::Selected | MailboxFilter::SelectedDelayed => false,
        // Mail can be delivered into any folder: `user+folder`.
        MailboxFilter::Personal | MailboxFilter::Inboxes => own,
        MailboxFilter::Subscribed => subscribed,
        MailboxFilter::Mailboxes(names) => names.iter().any(|name| name == path),
        MailboxFilter::Subtree(names) => names.iter().any(|name| match path.strip_prefix(&**name) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_mean_mailboxes() {
        let named = |path, own, subscribed| Named { path, own, subscribed };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let subtree = tidy(MailboxFilter::Subtree(names(&["a/", "inbox/x"])));
        for (path, meant) in
            [("a", true), ("a/b", true), ("ab", false), ("INBOX/x/y", true), ("INBOX", false)]
        {
            assert_eq!(means(&subtree, named(path, true, false)), meant, "{path}");
        }
        assert!(means(&MailboxFilter::Mailboxes(names(&["a*"])), named("a*", true, false)));
        assert!(!means(&MailboxFilter::Mailboxes(names(&["a*"])), named("ab", true, false)));
        assert!(means(&MailboxFilter::Personal, named("x", true, false)));
        assert!(!means(&MailboxFilter::Inboxes, named("Other Users/x", false, true)));
        assert!(means(&MailboxFilter::Subscribed, named("Other Users/x", false, true)));
    }

    #[test]
    fn several_groups_add_up() {
        let group = |mailboxes, events| EventGroup { mailboxes, events };
        let new = || vec![NotifyEvent::MessageNew(Vec::new()), NotifyEvent::MessageExpunge];
        let wanted = Wanted::new(vec![
            group(MailboxFilter::Mailboxes(vec!["INBOX".into()]), new()),
            group(MailboxFilter::Personal, vec![NotifyEvent::SubscriptionChange]),
        ]);
        let wanted = wanted.unwrap();
        let events = wanted.of(Named { path: "INBOX", own: true, subscribed: false });
        assert!(events.messages && events.subscription && !events.name);
        assert!(wanted.selected.is_none() && !wanted.means_others() && wanted.heeds_subscriptions());
        let twice =
            vec![group(MailboxFilter::Selected, new()), group(MailboxFilter::SelectedDelayed, vec![])];
        assert!(Wanted::new(twice).is_err());
        let name = vec![group(MailboxFilter::Selected, vec![NotifyEvent::MailboxName])];
        assert!(Wanted::new(name).is_err());
    }
}
