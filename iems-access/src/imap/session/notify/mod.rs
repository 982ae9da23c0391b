//! `NOTIFY` (RFC 5465): a client is told what happens as it happens, also in mailboxes that it has not selected.
//!
//! `wanted` is what it asked for, `alarm` what wakes the session, `elsewhere` finds out what happened in other mailboxes,
//! by comparing what is there with what was told last, and tells it. Of the selected mailbox `sync` tells.
//!
//! What a client causes itself is told by the answers to its commands, and not once more.

mod alarm;
mod elsewhere;
mod notes;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iems_store::mailbox::{AccountId, MailboxId, Status as Counters, Uid};

use super::list::Name;
use super::pattern::above;
use super::{Outcome, Output, Session, Sink, Stage, Trouble};
use crate::imap::types::{Code, FetchAttribute, Notify, Status};
use crate::net::Loan;
use alarm::{Alarm, Kind};
use notes::Notes;
use wanted::Wanted;

pub use alarm::Waiting;
pub(super) use wanted::OfSelected;

/// Of how many accounts one session may watch mailboxes.
const ACCOUNTS: usize = 50;

/// What a session tells unasked.
#[derive(Default)]
pub(super) struct Notifying {
    wanted: Wanted,
    alarms: Arc<[Alarm]>,
    /// Whose mailboxes the alarms watch.
    accounts: BTreeSet<AccountId>,
    dirty: Dirty,
    /// Mailboxes that are meant, by name, as they were told last.
    places: BTreeMap<String, Place>,
    /// All mailboxes, and what stands for their names.
    all: BTreeMap<(AccountId, MailboxId), u64>,
    notes: Notes,
    mine: Mine,
    /// Memory for the places.
    loan: Loan,
}

/// A mailbox, as it was told last.
struct Place {
    name: Name,
    /// Of what is in it.
    counters: Counters,
}

/// What may have changed.
#[derive(Default)]
struct Dirty {
    names: bool,
    messages: bool,
    notes: bool,
}

/// What the client did itself.
#[derive(Default)]
struct Mine {
    names: BTreeSet<String>,
    notes: BTreeSet<(String, String)>,
    came: Vec<Came>,
}

/// Messages that the client put into a mailbox.
#[derive(Debug, Clone, Copy)]
struct Came {
    account: AccountId,
    mailbox: MailboxId,
    first: u32,
    last: u32,
}

/// Why nothing more is told: it would be too much.
fn overflow() -> Trouble {
    let why = Status::no("So many mailboxes are not watched for one session; name fewer");
    why.with(Code::NotificationOverflow).into()
}

impl Notifying {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// What is to be told of the selected mailbox.
    pub(super) const fn selected(&self) -> Option<&OfSelected> {
        self.wanted.selected.as_ref()
    }

    /// Whether any of it waits for alarms.
    fn is_elsewhere(&self) -> bool {
        self.wanted.of_any() != wanted::Events::default()
    }

    /// Takes the alarms that rang.
    fn look(&mut self) {
        for alarm in self.alarms.iter().filter(|alarm| alarm.take()) {
            match alarm.kind {
                Kind::Names => self.dirty.names = true,
                Kind::Messages => self.dirty.messages = true,
                Kind::Notes => self.dirty.notes = true,
            }
        }
    }

    /// Whether the client put this message there.
    pub(super) fn is_mine(&self, account: AccountId, mailbox: MailboxId, uid: u32) -> bool {
        self.mine.came.iter().any(|came| {
            (came.account, came.mailbox) == (account, mailbox) && (came.first..=came.last).contains(&uid)
        })
    }
}

impl Session {
    /// `NOTIFY`. What happened so far is told first, as by `NOOP` (RFC 5465 section 3.1).
    pub(super) async fn notify<S: Sink>(&mut self, notify: Notify, out: &mut Output<'_, S>) -> Outcome {
        let (status, groups) = match notify {
            Notify::None => {
                self.user_mut()?.notify = Some(Box::default());
                return Ok(Status::ok("You will hear nothing"));
            }
            Notify::Set { status, groups } => (status, groups),
        };
        let mut notifying = Box::new(Notifying::new(Wanted::new(groups)?));
        if notifying.is_elsewhere() {
            self.begin(&mut notifying, status, out).await?;
        }
        let modseq = notifying.selected().is_some_and(|of| of.attributes.contains(&FetchAttribute::ModSeq));
        if modseq && !self.enabled.condstore {
            self.enabled.condstore = true;
            self.tell_highest(out).await?;
        }
        self.user_mut()?.notify = None;
        let told = Box::pin(self.sync(true, out)).await;
        self.user_mut()?.notify = Some(notifying);
        told?;
        Ok(Status::ok("You will hear of it"))
    }

    /// The alarms for what is wanted of the mailboxes of `accounts`.
    fn alarms(&self, wanted: &Wanted, accounts: &BTreeSet<AccountId>) -> Result<Arc<[Alarm]>, Trouble> {
        let (mailboxes, user) = (self.accounts.mailboxes(), self.user()?.info.id);
        let events = wanted.of_any();
        let mut alarms = Vec::new();
        for account in accounts {
            alarms.push(Alarm::new(Kind::Names, mailboxes.watch_names(*account)));
            if events.messages || events.flags {
                alarms.push(Alarm::new(Kind::Messages, mailboxes.watch_messages(*account)));
            }
            if events.notes || (events.server_notes && *account == user) {
                alarms.push(Alarm::new(Kind::Notes, mailboxes.watch_annotations(*account)));
            }
        }
        if wanted.heeds_subscriptions() {
            alarms.push(Alarm::new(Kind::Names, mailboxes.watch_subscriptions(user)));
        }
        if wanted.means_others() {
            alarms.extend(mailboxes.watch_shares(user).map(|watch| Alarm::new(Kind::Names, watch)));
        }
        Ok(alarms.into())
    }

    /// The user changed these names: nothing is told of it.
    pub(super) fn changed_names(&mut self, paths: &[&str]) {
        let Some(notifying) = self.notifying() else { return };
        for path in paths {
            let all = std::iter::once(*path).chain(above(path)).map(str::to_owned);
            notifying.mine.names.extend(all);
        }
    }

    /// The user set these annotations.
    pub(super) fn changed_notes<'a>(&mut self, path: &str, entries: impl Iterator<Item = &'a str>) {
        let Some(notifying) = self.notifying() else { return };
        let all = entries.map(|entry| (path.to_owned(), entry.to_ascii_lowercase()));
        notifying.mine.notes.extend(all);
    }

    /// The user put messages with these UIDs into a mailbox.
    pub(super) fn put(&mut self, account: AccountId, mailbox: MailboxId, uids: impl Iterator<Item = Uid>) {
        let Some(notifying) = self.notifying() else { return };
        let (first, last) =
            uids.fold((u32::MAX, 0), |(first, last), uid| (first.min(uid.0), last.max(uid.0)));
        notifying.mine.came.push(Came { account, mailbox, first, last });
    }

    fn notifying(&mut self) -> Option<&mut Notifying> {
        match &mut self.stage {
            Stage::User(user) => user.notify.as_deref_mut(),
            _ => None,
        }
    }

    /// What to wait for; `None` if news are told with commands only. Within a command, also then.
    pub fn waiting(&self, within: bool) -> Option<Waiting> {
        let Stage::User(user) = &self.stage else { return None };
        let idle = user.idle.is_some();
        let pushes = user.notify.is_some() && !within && user.appending.is_none();
        if !idle && !pushes {
            return None;
        }
        let notify = user.notify.as_ref();
        let tells = notify.is_none_or(|notify| notify.selected().is_some());
        let mailbox = user.selected.as_ref().filter(|_| tells).map(|selected| selected.watch.clone());
        let alarms = notify.map(|notify| notify.alarms.clone()).unwrap_or_default();
        Some(Waiting { mailbox, alarms })
    }
}
