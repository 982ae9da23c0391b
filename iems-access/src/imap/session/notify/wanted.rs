//! What a client wants to be told (RFC 5465 sections 5 and 6).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::imap::session::pattern::above;
use crate::imap::session::place::is_others;
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

/// A mailbox, as far as it matters for whether it is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) path: &'a str,
    pub(super) own: bool,
    pub(super) subscribed: bool,
}

/// What a client wants to be told. Nothing, by default. Groups may name thousands of mailboxes, each of which is asked for again and
/// again: they are looked up.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) selected: Option<OfSelected>,
    /// Of one's own mailboxes.
    own: Events,
    /// Of those that are subscribed to, if they are meant.
    subscribed: Option<Events>,
    /// Of these.
    named: BTreeMap<String, Events>,
    /// Of these, and all below them.
    trees: BTreeMap<String, Events>,
    /// Of any mailbox.
    any: Events,
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
                wanted.add(mailboxes, of_others(&events)?);
            }
        }
        Ok(wanted)
    }

    /// One group more; several add up.
    fn add(&mut self, mailboxes: MailboxFilter, events: Events) {
        self.any = self.any.and(events);
        let add = |into: &mut BTreeMap<String, Events>, names: Vec<String>| {
            for name in names {
                let of = into.entry(tidy_name(name)).or_default();
                *of = of.and(events);
            }
        };
        match mailboxes {
            MailboxFilter::Selected | MailboxFilter::SelectedDelayed => {}
            // Mail can be delivered into any folder: `user+folder`.
            MailboxFilter::Personal | MailboxFilter::Inboxes => self.own = self.own.and(events),
            MailboxFilter::Subscribed => {
                self.subscribed = Some(self.subscribed.unwrap_or_default().and(events));
            }
            MailboxFilter::Mailboxes(names) => add(&mut self.named, names),
            MailboxFilter::Subtree(names) => add(&mut self.trees, names),
        }
    }

    /// What is wanted of a mailbox that is not selected.
    pub(super) fn of(&self, named: Named<'_>) -> Events {
        let Named { path, own, subscribed } = named;
        let own = Some(self.own).filter(|_| own);
        let subscribed = self.subscribed.filter(|_| subscribed);
        let named = self.named.get(path).copied();
        let around = std::iter::once(path).chain(above(path)).filter(|_| !self.trees.is_empty());
        let around = around.filter_map(|path| self.trees.get(path).copied());
        let meant = [own, subscribed, named].into_iter().flatten().chain(around);
        meant.fold(Events::default(), Events::and)
    }

    /// What is wanted of any mailbox.
    pub(super) fn of_any(&self) -> Events {
        self.any
    }

    /// Whether mailboxes of others may be meant.
    pub(super) fn means_others(&self) -> bool {
        let mut names = self.named.keys().chain(self.trees.keys());
        self.subscribed.is_some() || names.any(|name| is_others(name))
    }

    /// Whether it matters what the user subscribed to.
    pub(super) fn heeds_subscriptions(&self) -> bool {
        self.subscribed.is_some() || self.any.subscription
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

/// A name as it is listed.
fn tidy_name(name: String) -> String {
    let mut name = name.strip_suffix('/').map(str::to_owned).unwrap_or(name);
    let first = name.split('/').next().unwrap_or_default();
    if first.eq_ignore_ascii_case("INBOX") {
        name.replace_range(..5, "INBOX");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Whether a mailbox is meant by a filter.
    fn means(filter: MailboxFilter, path: &str, own: bool, subscribed: bool) -> bool {
        let mut wanted = Wanted::default();
        wanted.add(filter, Events { messages: true, ..Events::default() });
        wanted.of(Named { path, own, subscribed }).messages
    }

    #[test]
    fn filters_mean_mailboxes() {
        let subtree = MailboxFilter::Subtree(names(&["a/", "inbox/x"]));
        for (path, meant) in [
            ("a", true),
            ("a/b", true),
            ("a/b/c", true),
            ("ab", false),
            ("b/a", false),
            ("INBOX/x/y", true),
            ("INBOX", false),
        ] {
            assert_eq!(means(subtree.clone(), path, true, false), meant, "{path}");
        }
        let mailboxes = MailboxFilter::Mailboxes(names(&["a*", "inbox"]));
        assert!(
            means(mailboxes.clone(), "a*", true, false) && means(mailboxes.clone(), "INBOX", true, false)
        );
        assert!(!means(mailboxes.clone(), "ab", true, false) && !means(mailboxes, "a*/b", true, false));
        assert!(means(MailboxFilter::Personal, "x", true, false));
        assert!(!means(MailboxFilter::Inboxes, "Other Users/x", false, true));
        assert!(means(MailboxFilter::Subscribed, "Other Users/x", false, true));
        assert!(!means(MailboxFilter::Subscribed, "x", true, false));
    }

    #[test]
    fn each_of_thousands_of_names_is_meant() {
        // As many mailboxes as an account has, and names as a command has room for.
        let all: Vec<_> = (0..10_000).map(|n| format!("mailbox {n}")).collect();
        let mut wanted = Wanted::default();
        let of = |path: &str, wanted: &Wanted| wanted.of(Named { path, own: true, subscribed: false });
        wanted.add(MailboxFilter::Mailboxes(all.clone()), Events { name: true, ..Events::default() });
        wanted.add(MailboxFilter::Subtree(all.clone()), Events { flags: true, ..Events::default() });
        for path in &all {
            let (exactly, below) = (of(path, &wanted), of(&format!("{path}/below"), &wanted));
            assert!(exactly.name && exactly.flags && !below.name && below.flags, "{path}");
        }
        assert_eq!(of("mailbox", &wanted), Events::default());
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
