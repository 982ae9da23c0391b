//! `LIST`, `LSUB`, `NAMESPACE`, `STATUS` (RFC 9051 sections 6.3.9 to 6.3.11, RFC 5258, RFC 5819, RFC 6154).

use std::collections::{BTreeMap, BTreeSet};

use iems_store::mailbox::{AccountId, DELIMITER, MailboxId, MailboxInfo, Rights, Status as Counters, Uid};

use super::acl::letters;
use super::folders::mailbox_id;
use super::metadata::{noted, octets_of};
use super::pattern::{Pattern, above};
use super::place::OTHERS;
use super::uses::told_use;
use super::{Outcome, Output, Session, Sink, Trouble};
use crate::imap::types::{
    Code, Data, ListAttribute, ListCommand, ListData, ListReturn, ListSelection, Namespace, Status,
    StatusAttribute, StatusItem,
};
use crate::net::Loan;

/// What a name takes besides its texts, in octets: as it is read, in order, and as it is known.
const NAME: usize = 3 * size_of::<Name>();
/// How many patterns one `LIST` may have.
const PATTERNS: usize = 20;

/// A name that is there, or that somebody subscribed to.
pub(super) struct Name {
    pub(super) path: String,
    pub(super) owner: AccountId,
    /// `None` if there is nothing of this name.
    pub(super) info: Option<MailboxInfo>,
    pub(super) subscribed: bool,
}

impl Session {
    pub(super) async fn list<S: Sink>(&mut self, list: ListCommand, out: &mut Output<'_, S>) -> Outcome {
        for returned in &list.returns {
            if let ListReturn::Status(items) = returned {
                self.heeds_highest(items, out).await?;
            }
        }
        if list.patterns.len() > PATTERNS {
            return Err(Status::no("Too many patterns at once; 20 are allowed").with(Code::Limit).into());
        }
        if !list.extended && list.patterns.iter().all(String::is_empty) {
            // The peer asks for the delimiter.
            let attributes = vec![ListAttribute::NoSelect];
            let data = ListData { attributes, delimiter: Some(DELIMITER), ..ListData::default() };
            out.data(Data::List(data));
            return Ok(Status::ok("That is the delimiter"));
        }
        let patterns: Vec<_> = list.patterns.iter().map(|p| Pattern::new(&list.reference, p)).collect();
        let names = self.names().await?;
        let _held = self.held(&names)?;
        let subscribed = list.selection.contains(&ListSelection::Subscribed);
        let special = list.selection.contains(&ListSelection::SpecialUse);
        let recursive = list.selection.contains(&ListSelection::RecursiveMatch);
        let chosen = |name: &Name| {
            (!subscribed || name.subscribed)
                && (!special || name.info.as_ref().is_some_and(|info| info.special.is_some()))
        };
        let fitting = fitting(&names, &patterns).await;
        // Those above others that are told themselves have nothing to add (RFC 5258 section 3.5).
        let untold = |(name, fits): &(&Name, bool)| recursive && chosen(name) && !fits;
        let parents: BTreeSet<&str> = names
            .iter()
            .zip(fitting.iter().copied())
            .filter(untold)
            .flat_map(|(name, _)| above(&name.path))
            .collect();
        for (nth, (name, fits)) in names.iter().zip(fitting.iter().copied()).enumerate() {
            turn(nth).await;
            let is_parent = parents.contains(name.path.as_str());
            let exists = name.info.is_some() || subscribed && chosen(name) || is_parent;
            if !exists || !(chosen(name) || is_parent) || !fits {
                continue;
            }
            let mut data = told(name, &list);
            if is_parent {
                // What those below meet (RFC 9051 section 6.3.9.6).
                let met = [(subscribed, "SUBSCRIBED"), (special, "SPECIAL-USE")];
                data.child_info =
                    met.iter().filter(|(asked, _)| *asked).map(|(_, word)| (*word).into()).collect();
            }
            out.data(Data::List(data));
            // More is told of what was chosen itself (RFC 5819 section 2, RFC 8440 section 4).
            if chosen(name) {
                self.list_status(name, &list.returns, out).await?;
                self.list_more(name, &list.returns, out).await?;
            }
            out.pause().await?;
        }
        Ok(Status::ok("Those are the mailboxes"))
    }

    /// `RETURN (STATUS ...)`: none for what cannot be selected (RFC 5819 section 2).
    async fn list_status<S: Sink>(
        &self,
        name: &Name,
        returns: &[ListReturn],
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let asked = returns.iter().find_map(|wanted| match wanted {
            ListReturn::Status(items) => Some(items),
            _ => None,
        });
        if let (Some(items), Some(info)) = (asked, name.info.as_ref().filter(|info| info.selectable)) {
            let items = self.counters(name.owner, info.id, items).await?;
            out.data(Data::Status { mailbox: name.path.clone(), items });
        }
        Ok(())
    }

    /// `RETURN (MYRIGHTS)` and `RETURN (METADATA (...))` (RFC 8440, RFC 9590).
    async fn list_more<S: Sink>(
        &self,
        name: &Name,
        returns: &[ListReturn],
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let Some(info) = &name.info else { return Ok(()) };
        let (mailboxes, user) = (self.accounts.mailboxes(), self.user()?.info.id);
        // Others' mailboxes that may be listed and not be read have rights, too; names above them are nobody's.
        let is_there = info.selectable || name.owner != user && name.owner != AccountId(0);
        for wanted in returns {
            let mailbox = name.path.clone();
            match wanted {
                ListReturn::MyRights if is_there => {
                    let rights = mailboxes.rights(name.owner, info.id, user).await?;
                    out.data(Data::MyRights { mailbox, rights: letters(rights) });
                }
                ListReturn::Metadata(entries) if info.selectable => {
                    let mut there = mailboxes.annotations(name.owner, Some(info.id), user, true).await?;
                    self.tell_use(name.owner, Some(info.id), &mut there).await?;
                    let _held = self.lend(octets_of(&there))?;
                    let entries = entries.iter().flat_map(|entry| noted(&there, entry)).collect();
                    out.data(Data::Metadata { mailbox, entries });
                    out.pause().await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) async fn lsub<S: Sink>(
        &mut self,
        reference: &str,
        pattern: &str,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let whole = Pattern::new(reference, pattern);
        let names = self.names().await?;
        let _held = self.held(&names)?;
        let mut told: BTreeMap<&str, bool> = BTreeMap::new();
        for (nth, name) in names.iter().enumerate().filter(|(_, name)| name.subscribed) {
            turn(nth).await;
            if whole.fits(&name.path) {
                told.insert(&name.path, true);
            } else if pattern.ends_with('%') {
                // With `%`, a name above stands for those below it (RFC 3501 section 6.3.9).
                for parent in above(&name.path).filter(|parent| whole.fits(parent)) {
                    told.entry(parent).or_insert(false);
                }
            }
        }
        for (path, itself) in told {
            // They are in order.
            let named = names.binary_search_by(|name| name.path.as_str().cmp(path));
            let named = named.ok().and_then(|at| names.get(at)?.info.as_ref());
            let selectable = named.is_some_and(|info| info.selectable);
            let attributes = match itself && selectable {
                true => Vec::new(),
                false => vec![ListAttribute::NoSelect],
            };
            let (delimiter, mailbox) = (Some(DELIMITER), path.to_owned());
            out.data(Data::Lsub(ListData { attributes, delimiter, mailbox, ..ListData::default() }));
            out.pause().await?;
        }
        Ok(Status::ok("Those are the subscriptions"))
    }

    /// All names, in order.
    pub(super) async fn names(&self) -> Result<Vec<Name>, Trouble> {
        let (mailboxes, account) = (self.accounts.mailboxes(), self.user()?.info.id);
        let there = mailboxes.list(account).await?;
        let wanted: BTreeSet<_> = mailboxes.subscriptions(account).await?.into_iter().collect();
        let mut names: BTreeMap<String, Name> = BTreeMap::new();
        for path in wanted {
            names.insert(path.clone(), Name { path, owner: account, info: None, subscribed: true });
        }
        for info in there {
            let subscribed = info.subscribed;
            let name = Name { path: info.path.clone(), owner: account, info: Some(info), subscribed };
            names.insert(name.path.clone(), name);
        }
        for (owner, info) in self.shared().await? {
            let subscribed = names.get(&info.path).is_some_and(|name| name.subscribed);
            let name = Name { path: info.path.clone(), owner, info: Some(info), subscribed };
            names.insert(name.path.clone(), name);
        }
        let missing: BTreeSet<String> = names
            .keys()
            .flat_map(|path| above(path))
            .filter(|path| !names.contains_key(*path))
            .map(str::to_owned)
            .collect();
        for path in missing {
            names.insert(path.clone(), Name { path, owner: account, info: None, subscribed: false });
        }
        Ok(names.into_values().collect())
    }

    /// Memory for names.
    pub(super) fn held(&self, names: &[Name]) -> Result<Loan, Trouble> {
        let text = |name: &Name| name.path.len() * 2 + name.info.as_ref().map_or(0, |info| info.name.len());
        self.lend(names.iter().map(|name| NAME + text(name)).sum())
    }

    pub(super) fn namespace<S: Sink>(&self, out: &mut Output<'_, S>) -> Outcome {
        let personal = vec![Namespace { prefix: String::new(), delimiter: Some(DELIMITER) }];
        let other = vec![Namespace { prefix: OTHERS.into(), delimiter: Some(DELIMITER) }];
        out.data(Data::Namespace { personal, other, shared: Vec::new() });
        Ok(Status::ok("Those are the namespaces"))
    }

    pub(super) async fn status<S: Sink>(
        &mut self,
        path: &str,
        items: &[StatusAttribute],
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let place = self.known_place(path).await?;
        place.permits(Rights::READ)?;
        self.heeds_highest(items, out).await?;
        let items = self.counters(place.owner.id, place.mailbox, items).await?;
        out.data(Data::Status { mailbox: path.to_owned(), items });
        Ok(Status::ok("That is how it stands"))
    }

    /// Who asks for the highest MODSEQ knows of them (RFC 7162 section 3.1).
    async fn heeds_highest<S: Sink>(
        &mut self,
        items: &[StatusAttribute],
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        if items.contains(&StatusAttribute::HighestModSeq) && !self.enabled.condstore {
            self.enabled.condstore = true;
            self.tell_highest(out).await?;
        }
        Ok(())
    }

    /// How many messages were shown to nobody yet (RFC 3501 section 6.3.10).
    async fn recent(&self, of: (AccountId, MailboxId), status: &Counters) -> Result<u64, Trouble> {
        let shown = status.shown.max(self.accounts.recents().shown(of));
        if self.enabled.rev2 || u64::from(shown).saturating_add(1) >= status.uid_next {
            return Ok(0);
        }
        if shown == 0 {
            return Ok(status.messages);
        }
        Ok(self.accounts.mailboxes().count_after(of.0, of.1, Uid(shown)).await?)
    }

    async fn counters(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        items: &[StatusAttribute],
    ) -> Result<Vec<StatusItem>, Trouble> {
        let mailboxes = self.accounts.mailboxes();
        let status = mailboxes.status(account, mailbox).await?;
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut told = Vec::with_capacity(items.len());
        for item in items {
            told.push(match item {
                StatusAttribute::Messages => StatusItem::Messages(number(status.messages)),
                StatusAttribute::Recent => {
                    StatusItem::Recent(number(self.recent((account, mailbox), &status).await?))
                }
                StatusAttribute::UidNext => StatusItem::UidNext(number(status.uid_next)),
                StatusAttribute::UidValidity => StatusItem::UidValidity(mailbox.0),
                StatusAttribute::Unseen => StatusItem::Unseen(number(status.unseen)),
                StatusAttribute::Deleted => StatusItem::Deleted(number(status.deleted)),
                StatusAttribute::DeletedStorage => {
                    StatusItem::DeletedStorage(self.deleted_octets(account, mailbox).await?)
                }
                StatusAttribute::Size => StatusItem::Size(status.octets),
                StatusAttribute::HighestModSeq => StatusItem::HighestModSeq(status.highest_modseq),
                StatusAttribute::MailboxId => StatusItem::MailboxId(mailbox_id(account, mailbox)),
                StatusAttribute::AppendLimit => {
                    StatusItem::AppendLimit(Some(self.options.limits.message_size))
                }
            });
        }
        Ok(told)
    }
}

/// Which names fit one of the patterns.
async fn fitting(names: &[Name], patterns: &[Pattern]) -> Vec<bool> {
    let mut fitting = Vec::with_capacity(names.len());
    for (nth, name) in names.iter().enumerate() {
        turn(nth).await;
        fitting.push(patterns.iter().any(|pattern| pattern.fits(&name.path)));
    }
    fitting
}

/// Lets others have their turn, now and then.
async fn turn(nth: usize) {
    if nth % 64 == 63 {
        tokio::task::yield_now().await;
    }
}

/// What is told of a name.
pub(super) fn told(name: &Name, list: &ListCommand) -> ListData {
    let returns = |wanted: &ListReturn| list.returns.contains(wanted);
    let selects = |wanted: &ListSelection| list.selection.contains(wanted);
    let mut attributes = Vec::new();
    match &name.info {
        None => attributes.push(ListAttribute::NonExistent),
        Some(info) => {
            if !info.selectable {
                attributes.push(ListAttribute::NoSelect);
            }
            if !list.extended || returns(&ListReturn::Children) {
                attributes.push(match info.children {
                    true => ListAttribute::HasChildren,
                    false => ListAttribute::HasNoChildren,
                });
            }
            // Without RETURN the use may be told all the same (RFC 6154 section 2).
            attributes.extend(info.special.and_then(told_use).map(ListAttribute::SpecialUse));
        }
    }
    if name.subscribed && (returns(&ListReturn::Subscribed) || selects(&ListSelection::Subscribed)) {
        attributes.push(ListAttribute::Subscribed);
    }
    let (delimiter, mailbox) = (Some(DELIMITER), name.path.clone());
    ListData { attributes, delimiter, mailbox, ..ListData::default() }
}
