//! What happened in mailboxes that are not selected: their names, and what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use iems_store::mailbox::{AccountId, DELIMITER, MailboxId, Status as Counters};

use super::wanted::{Events, Named};
use super::{ACCOUNTS, Came, Dirty, Notifying, Place, overflow};
use crate::imap::session::list::{self, Name};
use crate::imap::session::pattern::above;
use crate::imap::session::place::is_others;
use crate::imap::session::{Output, Session, Sink, Trouble};
use crate::imap::types::{Code, Data, ListAttribute, ListCommand, ListData, ListReturn, Status, StatusItem};
use crate::net::Loan;

/// What a mailbox takes that is watched, in octets, with a name of usual length.
const PLACE: usize = 400;
/// How often names are read again because more accounts than before have to be watched.
const ROUNDS: usize = 4;

impl Session {
    /// Begins to watch: what there is now is known to the client, or told with `status` (RFC 5465 section 3.1).
    pub(super) async fn begin<S: Sink>(
        &self,
        notifying: &mut Notifying,
        status: bool,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let names = self.names_to_watch(notifying).await?;
        self.keep(notifying, names)?;
        for place in notifying.places.values().filter(|place| self.is_closed(notifying, &place.name)) {
            tell_closed(&place.name.path, out);
        }
        let all = self.counters_of_all(notifying).await?;
        for place in notifying.places.values_mut() {
            place.counters = counters(&all, &place.name);
            let events = self.events(&notifying.wanted, &place.name);
            if status
                && (events.messages || events.flags)
                && self.is_open(&place.name)
                && !self.is_here(&place.name)
            {
                tell_status(&place.name, &place.counters, events, self.enabled.condstore, out);
                out.pause().await?;
            }
        }
        self.learn_notes(notifying).await?;
        notifying.dirty = Dirty::default();
        Ok(())
    }

    /// Tells what happened in other mailboxes, as far as it is wanted.
    ///
    /// # Errors
    /// Those of the sink, and of the store: then it is told the next time.
    pub(in crate::imap::session) async fn elsewhere<S: Sink>(
        &mut self,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let Ok(user) = self.user_mut() else { return Ok(()) };
        let Some(mut notifying) = user.notify.take() else { return Ok(()) };
        notifying.look();
        let told = self.tell_elsewhere(&mut notifying, out).await;
        notifying.mine = super::Mine::default();
        if let Err(Trouble::Said(Status { code: Some(Code::NotificationOverflow), .. })) = told {
            // As after NOTIFY NONE (RFC 5465 section 5.8).
            let why = "There are too many mailboxes to watch; NOTIFY ended";
            out.status(Status::ok(why).with(Code::NotificationOverflow));
            self.user_mut()?.notify = Some(Box::default());
            return Ok(());
        }
        self.user_mut()?.notify = Some(notifying);
        told
    }

    async fn tell_elsewhere<S: Sink>(
        &self,
        notifying: &mut Notifying,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        if notifying.dirty.names {
            let names = self.names_to_watch(notifying).await?;
            self.tell_names(notifying, &names, out);
            self.keep(notifying, names)?;
            notifying.dirty.names = false;
            // Of mailboxes that are new.
            notifying.dirty.messages = true;
        }
        if notifying.dirty.messages {
            self.tell_messages(notifying, out).await?;
            notifying.dirty.messages = false;
        }
        if notifying.dirty.notes {
            self.tell_notes(notifying, out).await?;
            notifying.dirty.notes = false;
        }
        Ok(())
    }

    /// All names, once the alarms watch all accounts whose mailboxes are meant.
    async fn names_to_watch(&self, notifying: &mut Notifying) -> Result<Vec<Name>, Trouble> {
        let user = self.user()?.info.id;
        for _ in 0..ROUNDS {
            let names = self.names().await?;
            let meant = names.iter().filter(|name| name.info.is_some());
            let meant = meant.filter(|name| self.events(&notifying.wanted, name) != Events::default());
            let mut accounts: BTreeSet<_> =
                meant.map(|name| name.owner).filter(|owner| owner.0 != 0).collect();
            accounts.insert(user);
            if accounts.is_subset(&notifying.accounts) {
                return Ok(names);
            }
            if accounts.len() > ACCOUNTS {
                return Err(overflow());
            }
            notifying.alarms = self.alarms(&notifying.wanted, &accounts)?;
            notifying.accounts = accounts;
            notifying.dirty = Dirty { names: true, messages: true, notes: true };
        }
        Err(overflow())
    }

    /// Remembers the names that are meant.
    fn keep(&self, notifying: &mut Notifying, names: Vec<Name>) -> Result<(), Trouble> {
        let mut before = std::mem::take(&mut notifying.places);
        let all = names.iter().filter_map(|name| Some((identity(name)?, marked(&name.path))));
        notifying.all = all.collect();
        for name in names {
            if self.events(&notifying.wanted, &name) == Events::default() {
                continue;
            }
            let known = before.remove(&name.path).filter(|place| identity(&place.name) == identity(&name));
            let counters = known.map_or_else(Counters::empty, |place| place.counters);
            notifying.places.insert(name.path.clone(), Place { name, counters });
        }
        // Those that were renamed keep what was told of them.
        let mut left: BTreeMap<_, _> =
            before.into_values().filter_map(|place| Some((identity(&place.name)?, place.counters))).collect();
        for place in notifying.places.values_mut() {
            if let Some(counters) = identity(&place.name).and_then(|identity| left.remove(&identity)) {
                place.counters = counters;
            }
        }
        match notifying.places.len() > self.options.limits.watched {
            true => Err(overflow()),
            false => {
                notifying.loan = Loan::default();
                notifying.loan = self.lend(PLACE * notifying.places.len())?;
                Ok(())
            }
        }
    }

    pub(super) fn events(&self, wanted: &super::Wanted, name: &Name) -> Events {
        let own = self.user().is_ok_and(|user| user.info.id == name.owner) && !is_others(&name.path);
        wanted.of(Named { path: &name.path, own, subscribed: name.subscribed })
    }

    /// Whether it is a mailbox that the user may read.
    pub(super) fn is_open(&self, name: &Name) -> bool {
        name.info.as_ref().is_some_and(|info| info.selectable)
    }

    /// Whether it is another's mailbox that the user may see and not read, though that is wanted.
    fn is_closed(&self, notifying: &Notifying, name: &Name) -> bool {
        let others = self.user().is_ok_and(|user| user.info.id != name.owner);
        let closed = others && identity(name).is_some() && !self.is_open(name);
        closed && self.events(&notifying.wanted, name).read()
    }

    /// Whether it is selected: `sync` tells of it.
    fn is_here(&self, name: &Name) -> bool {
        let selected = self.user().ok().and_then(|user| user.selected.as_ref());
        selected.is_some_and(|selected| identity(name) == Some((selected.account, selected.mailbox)))
    }

    /// `LIST` of mailboxes that were made, deleted or renamed, of subscriptions, and of rights that came or went (RFC 5465
    /// sections 5.4, 5.5 and 5.9).
    fn tell_names<S: Sink>(&self, notifying: &Notifying, names: &[Name], out: &mut Output<'_, S>) {
        let by_path: BTreeMap<&str, &Name> = names.iter().map(|name| (&*name.path, name)).collect();
        let mut told = Changed::of(notifying, names).0;
        told.retain(|path, old| {
            let paths = [Some(&**path), old.as_deref()];
            let meant = |path: &str| {
                let now = by_path.get(path).copied();
                let was = notifying.places.get(path).map(|place| &place.name);
                now.into_iter().chain(was).any(|name| self.events(&notifying.wanted, name).name)
            };
            let mine = paths.into_iter().flatten().any(|path| notifying.mine.names.contains(path));
            path != "INBOX" && !mine && paths.into_iter().flatten().any(meant)
        });
        let paths: BTreeSet<&str> =
            notifying.places.keys().map(String::as_str).chain(by_path.keys().copied()).collect();
        for path in paths {
            let was = notifying.places.get(path).map(|place| &place.name);
            let now = by_path.get(path).copied();
            let either = |is: &dyn Fn(&Name) -> bool| was.is_some_and(is) || now.is_some_and(is);
            let subscription =
                was.is_some_and(|name| name.subscribed) != now.is_some_and(|name| name.subscribed);
            let wanted = either(&|name| self.events(&notifying.wanted, name).subscription);
            if subscription && wanted && !notifying.mine.names.contains(path) {
                told.entry(path.to_owned()).or_default();
            }
            if told.contains_key(path) {
                continue;
            }
            let closed = now.is_some_and(|name| self.is_closed(notifying, name));
            let others = was.is_some_and(|name| {
                name.owner.0 != 0 && self.user().is_ok_and(|user| user.info.id != name.owner)
            });
            let gone = others && now.is_none_or(|name| identity(name).is_none());
            let read = was.is_some_and(|name| self.events(&notifying.wanted, name).read());
            match was.map(|name| self.is_open(name)) {
                Some(true) if closed || (gone && read) => tell_closed(path, out),
                Some(false) if read && others && now.is_some_and(|name| self.is_open(name)) => {
                    told.insert(path.to_owned(), None);
                }
                _ => {}
            }
        }
        for (path, old_name) in told {
            let data = listed(&path, by_path.get(&*path).copied());
            out.data(Data::List(ListData { old_name, ..data }));
        }
    }

    /// `STATUS` of mailboxes that have other messages, or other flags (RFC 5465 sections 5.1 to 5.3).
    async fn tell_messages<S: Sink>(
        &self,
        notifying: &mut Notifying,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let all = self.counters_of_all(notifying).await?;
        let Notifying { places, wanted, mine, .. } = notifying;
        for place in places.values_mut() {
            let now = counters(&all, &place.name);
            let was = std::mem::replace(&mut place.counters, now);
            if was == now || !self.is_open(&place.name) || self.is_here(&place.name) {
                continue;
            }
            let mut events = self.events(wanted, &place.name);
            let other = (was.messages, was.uid_next) != (now.messages, now.uid_next);
            let own = mine.came.iter().any(|came| is_that(came, &place.name, &was, &now));
            events.messages &= other && !own;
            events.flags &= !own;
            if events.messages || events.flags {
                tell_status(&place.name, &now, events, self.enabled.condstore, out);
                out.pause().await?;
            }
        }
        Ok(())
    }

    /// The counters of all mailboxes of the accounts that are watched, if they matter.
    async fn counters_of_all(
        &self,
        notifying: &Notifying,
    ) -> Result<BTreeMap<(AccountId, MailboxId), Counters>, Trouble> {
        let mut all = BTreeMap::new();
        let events = notifying.wanted.of_any();
        if !events.messages && !events.flags {
            return Ok(all);
        }
        for account in &notifying.accounts {
            let counters = self.accounts.mailboxes().statuses(*account).await?;
            all.extend(counters.into_iter().map(|(mailbox, status)| ((*account, mailbox), status)));
        }
        Ok(all)
    }
}

/// Names that changed: what they were called before, if they were renamed.
struct Changed(BTreeMap<String, Option<String>>);

impl Changed {
    /// What is made or deleted, and the name above it; what was renamed, but for what is below it (RFC 5465 section 5.4).
    fn of(notifying: &Notifying, names: &[Name]) -> Self {
        let now: BTreeMap<_, &Name> = names.iter().filter_map(|name| Some((identity(name)?, name))).collect();
        let was: BTreeMap<_, &Name> = notifying
            .places
            .values()
            .filter_map(|place| Some((identity(&place.name)?, &place.name)))
            .collect();
        let mut renamed: BTreeMap<&str, &str> = BTreeMap::new();
        let mut changed = BTreeMap::new();
        for (identity, before) in &was {
            match now.get(identity) {
                Some(after) if after.path != before.path => {
                    renamed.insert(&before.path, &after.path);
                }
                Some(after) if is_mailbox(after) != is_mailbox(before) => changed.extend(both(&after.path)),
                Some(_) => {}
                None => changed.extend(both(&before.path)),
            }
        }
        for after in now.iter().filter(|(identity, _)| !was.contains_key(identity)).map(|(_, name)| name) {
            match identity(after).and_then(|identity| notifying.all.get(&identity)) {
                None => changed.extend(both(&after.path)),
                // It was there under a name that nothing was wanted of.
                Some(before) if *before != marked(&after.path) => {
                    changed.extend([(after.path.clone(), None)])
                }
                Some(_) => {}
            }
        }
        for (before, after) in &renamed {
            let followed = match (above(before).next(), above(after).next()) {
                (Some(before), Some(after)) => renamed.get(before) == Some(&after),
                _ => false,
            };
            if !followed {
                changed.insert((*after).to_owned(), Some((*before).to_owned()));
            }
        }
        Self(changed)
    }
}

/// A name, and the one above it.
fn both(path: &str) -> impl Iterator<Item = (String, Option<String>)> {
    std::iter::once(path).chain(above(path).next()).map(|path| (path.to_owned(), None))
}

/// What stands for a name.
fn marked(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// Which mailbox a name is; `None` if it is none.
fn identity(name: &Name) -> Option<(AccountId, MailboxId)> {
    name.info.as_ref().map(|info| (name.owner, info.id)).filter(|(_, mailbox)| mailbox.0 != 0)
}

/// Whether it is more than a name that is kept for what is below it. Of others' mailboxes, only those are listed.
fn is_mailbox(name: &Name) -> bool {
    is_others(&name.path) || name.info.as_ref().is_some_and(|info| info.selectable)
}

fn counters(all: &BTreeMap<(AccountId, MailboxId), Counters>, name: &Name) -> Counters {
    let found = identity(name).and_then(|identity| all.get(&identity)).copied();
    // What others were shown is no news.
    Counters { shown: 0, ..found.unwrap_or_else(Counters::empty) }
}

/// Whether what the client put into a mailbox is all that happened there.
fn is_that(came: &Came, name: &Name, was: &Counters, now: &Counters) -> bool {
    let count = u64::from(came.last.wrapping_sub(came.first)) + 1;
    identity(name) == Some((came.account, came.mailbox))
        && was.uid_next == u64::from(came.first)
        && now.uid_next == u64::from(came.last) + 1
        && now.messages == was.messages + count
}

/// A name as `LIST` tells it.
fn listed(path: &str, name: Option<&Name>) -> ListData {
    let list = ListCommand {
        extended: true,
        returns: vec![ListReturn::Subscribed, ListReturn::Children],
        ..ListCommand::default()
    };
    let mut data = match name {
        Some(name) => list::told(name, &list),
        None => ListData {
            attributes: vec![ListAttribute::NonExistent],
            delimiter: Some(DELIMITER),
            mailbox: path.to_owned(),
            ..ListData::default()
        },
    };
    // It is no mailbox, and only its name is left.
    if data.attributes.contains(&ListAttribute::NoSelect)
        && !data.attributes.contains(&ListAttribute::NonExistent)
    {
        data.attributes.insert(0, ListAttribute::NonExistent);
    }
    data
}

/// That a mailbox cannot be read (RFC 5465 section 3.1).
fn tell_closed<S: Sink>(path: &str, out: &mut Output<'_, S>) {
    let attributes = vec![ListAttribute::NoAccess];
    let (delimiter, mailbox) = (Some(DELIMITER), path.to_owned());
    out.data(Data::List(ListData { attributes, delimiter, mailbox, ..ListData::default() }));
}

fn tell_status<S: Sink>(
    name: &Name,
    counters: &Counters,
    events: Events,
    condstore: bool,
    out: &mut Output<'_, S>,
) {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let mut items = Vec::new();
    if events.messages {
        items.push(StatusItem::Messages(number(counters.messages)));
        items.push(StatusItem::UidNext(number(counters.uid_next)));
    }
    items.extend(identity(name).map(|(_, mailbox)| StatusItem::UidValidity(mailbox.0)));
    if events.flags {
        items.push(StatusItem::Unseen(number(counters.unseen)));
    }
    // By it, a client finds what changed (RFC 5465 section 5.1).
    if condstore || events.flags {
        items.push(StatusItem::HighestModSeq(counters.highest_modseq));
    }
    out.data(Data::Status { mailbox: name.path.clone(), items });
}
