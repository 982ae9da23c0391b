//! `STORE` (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).

use iems_store::mailbox::{
    Believed, FlagAction, FlagChange, Flags, KeywordSet, MessageState, Rights, Spared, Uid,
};

use super::sync::Numbers;
use super::user::Selected;
use super::{Outcome, Output, Session, Sink, Stage, Trouble};
use crate::imap::types::{Code, Data, FetchItem, Flag, NumberSet, Status, Store, StoreAction};

/// A client's flags: those of the system, and the names of keywords.
pub(super) fn split(flags: &[Flag]) -> Result<(Flags, Vec<String>), Trouble> {
    let (mut system, mut keywords) = (Flags::empty(), Vec::new());
    for flag in flags {
        match flag {
            Flag::Seen => system |= Flags::SEEN,
            Flag::Answered => system |= Flags::ANSWERED,
            Flag::Flagged => system |= Flags::FLAGGED,
            Flag::Deleted => system |= Flags::DELETED,
            Flag::Draft => system |= Flags::DRAFT,
            // Nobody's to set (RFC 3501 section 2.3.2); old programs copy it along.
            Flag::Recent => {}
            Flag::Keyword(name) => keywords.push(name.clone()),
            Flag::Extension(name) => {
                return Err(Status::bad(format!("There is no flag \\{name}")).into());
            }
        }
    }
    Ok((system, keywords))
}

/// What a message costs that is named, and that is changed, until all is told, in octets.
const NUMBER: usize = 8;
const CHANGED: usize = 72;
/// The same of one whose row is written, besides its keywords; and of each that one commit takes.
const WRITTEN: usize = 64;
const COMMITTED: (usize, usize) = (400, 512);

impl Session {
    pub(super) async fn store<S: Sink>(
        &mut self,
        uid: bool,
        store: Store,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let (flags, names) = split(&store.flags)?;
        if store.unchanged_since.is_some() && !self.enabled.condstore {
            self.enabled.condstore = true;
            self.tell_highest(out).await?;
        }
        let selected = self.writable()?;
        let account = selected.account;
        let mut held = self.lend(selected.view.messages().len().saturating_mul(NUMBER))?;
        let numbers = selected.view.numbers(&store.messages, uid, &selected.saved);
        held.resize(numbers.len().saturating_mul(CHANGED))?;
        let mailboxes = self.accounts.mailboxes();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let keywords = match names.is_empty() {
            true => KeywordSet::default(),
            false => KeywordSet::from_iter(mailboxes.keywords_named(account, &names).await?),
        };
        let (flags, keywords, spared) = allowed(selected.rights, store.action, flags, keywords)?;
        let action = match store.action {
            StoreAction::Replace => FlagAction::Replace,
            StoreAction::Add => FlagAction::Add,
            StoreAction::Remove => FlagAction::Remove,
        };
        let change = FlagChange { action, flags, keywords, unchanged_since: store.unchanged_since, spared };
        self.selected_mut()?.view.reserve(0, numbers.len())?;
        let done = match self.sweep(&numbers, &change, out).await.transpose() {
            Some(done) => done,
            None => self.store_each(&numbers, &change, store.silent, out).await,
        };
        let Done { uids, modified, missing, mut surprising } = done?;
        if !self.user()?.hears_flags() {
            surprising = Vec::new();
        }
        // What others did before, and did since, is told first: the numbers of messages do not change by that.
        let told = if store.silent { &surprising } else { &uids };
        self.sync_but(told, Numbers::AsNotified, out).await?;
        for one in uids {
            // With `.SILENT`, what others did to the flags is told nonetheless (RFC 9051 section 6.4.6).
            let silent = store.silent && surprising.binary_search(&one).is_err();
            // With CONDSTORE the new MODSEQ is told even of what is silent (RFC 7162 section 3.1.3).
            if silent && !self.enabled.condstore {
                continue;
            }
            self.tell_stored(one, Told { uid, silent }, out)?;
            out.pause().await?;
        }
        let modified = self.named(&modified, uid)?;
        if !modified.is_empty() {
            return Ok(Status::ok("Some have changed meanwhile").with(Code::Modified(modified)));
        }
        Ok(match missing {
            true => Status::ok("Some are gone").with(Code::ExpungeIssued),
            false => Status::ok("Stored"),
        })
    }

    /// Changes very many messages with one row, if the session knows them as they are.
    async fn sweep<S: Sink>(
        &mut self,
        numbers: &[u32],
        change: &FlagChange,
        out: &mut Output<'_, S>,
    ) -> Result<Option<Done>, Trouble> {
        let selected = self.selected()?;
        let (view, believed) = (&selected.view, selected.believed(numbers));
        // What is not known by name yet is told, and for that it is read.
        if change.keywords.iter().any(|keyword| selected.keywords.name(keyword).is_none()) {
            return Ok(None);
        }
        let (account, mailbox) = (selected.account, selected.mailbox);
        let mailboxes = self.accounts.mailboxes();
        let sweeping = mailboxes.sweep(account, mailbox, view.modseq, &believed, change);
        let swept = out.finish_off(sweeping).await??;
        let Some(swept) = swept else { return Ok(None) };
        let missing = believed.len() < numbers.len();
        let mut uids: Vec<_> = believed.iter().map(|message| message.uid).collect();
        if !swept.modified.is_empty() {
            uids.retain(|uid| swept.modified.binary_search(uid).is_err());
        }
        self.selected_mut()?.view.sweep(&swept, change);
        // They were as they are known here.
        Ok(Some(Done { uids, modified: swept.modified, missing, surprising: Vec::new() }))
    }

    /// Changes messages row by row.
    async fn store_each<S: Sink>(
        &mut self,
        numbers: &[u32],
        change: &FlagChange,
        silent: bool,
        out: &mut Output<'_, S>,
    ) -> Result<Done, Trouble> {
        let selected = self.selected()?;
        let uids = selected.uids(numbers);
        let missing = uids.len() < numbers.len();
        let (keywords, (each, at_once)) = (2 * change.keywords.len(), COMMITTED);
        let batch = uids.len().min(at_once) * (each + 2 * keywords);
        let _held = self.lend(uids.len().saturating_mul(WRITTEN + keywords) + batch)?;
        let (account, mailbox) = (selected.account, selected.mailbox);
        // What is known here tells whether it was just these flags that changed meanwhile.
        let conditional = change.unchanged_since.is_some();
        let believed = if conditional { selected.believed(numbers) } else { Vec::new() };
        let mailboxes = self.accounts.mailboxes();
        let storing = mailboxes.store_believed(account, mailbox, &uids, &believed, change);
        let stored = out.finish_off(storing).await??;
        let view = &self.selected()?.view;
        // Where all is told, nobody has to know what is news.
        let surprising = stored.states.iter().filter(|state| silent && view.is_surprising(state, change));
        let surprising = surprising.map(|state| state.uid).collect();
        self.adopt(&stored.states, out).await?;
        self.selected_mut()?.view.own = stored.modseq;
        let uids = stored.states.iter().map(|state| state.uid).collect();
        Ok(Done { uids, modified: stored.modified, missing, surprising })
    }

    /// Takes over flags that were just stored. Others may have set keywords whose names are new to the client.
    pub(super) async fn adopt<S: Sink>(
        &mut self,
        states: &[MessageState],
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let Stage::User(user) = &mut self.stage else { return Ok(()) };
        let Some(selected) = user.selected.as_deref_mut() else { return Ok(()) };
        if selected.know_keywords(states, self.accounts.mailboxes()).await? {
            selected.tell_flag_names(out);
        }
        for state in states {
            selected.view.take(state, false);
        }
        Ok(())
    }

    /// As the command named them: UIDs, or sequence numbers.
    fn named(&self, uids: &[Uid], by_uid: bool) -> Result<NumberSet, Trouble> {
        let selected = self.selected()?;
        let name = |uid: &Uid| if by_uid { Some(uid.0) } else { selected.view.number_of(uid.0) };
        Ok(uids.iter().filter_map(name).collect())
    }

    fn tell_stored<S: Sink>(&self, uid: Uid, told: Told, out: &mut Output<'_, S>) -> Result<(), Trouble> {
        let enabled = self.enabled;
        let selected = self.selected()?;
        let Some(number) = selected.view.number_of(uid.0) else { return Ok(()) };
        let Some(seen) = selected.view.get(number).filter(|seen| !seen.gone) else { return Ok(()) };
        let mut items = Vec::new();
        if told.uid && !enabled.uid_only || enabled.tells_uids() {
            items.push(FetchItem::Uid(uid.0));
        }
        if !told.silent {
            items.push(FetchItem::Flags(selected.view.flags(seen, &selected.keywords)));
        }
        if enabled.condstore {
            items.push(FetchItem::ModSeq(seen.modseq));
        }
        match enabled.uid_only {
            true => out.data(Data::UidFetch { uid: uid.0, items }),
            false => out.data(Data::Fetch { number, items }),
        }
        Ok(())
    }
}

impl Selected {
    /// Messages as they are known, of those that did not leave.
    fn believed(&self, numbers: &[u32]) -> Vec<Believed<'_>> {
        let view = &self.view;
        let there = numbers.iter().filter_map(|number| view.get(*number)).filter(|seen| !seen.gone);
        let believed = there.map(|seen| Believed {
            uid: Uid(seen.uid),
            flags: seen.flags,
            keywords: view.keywords(seen),
            modseq: seen.modseq,
        });
        believed.collect()
    }
}

/// The flags of the system that these rights let one change (RFC 4314 section 4).
pub(super) fn permitted(rights: Rights) -> Flags {
    let mut flags = Flags::empty();
    for (right, these) in [
        (Rights::SEEN, Flags::SEEN),
        (Rights::DELETE_MESSAGES, Flags::DELETED),
        (Rights::WRITE, Flags::ANSWERED | Flags::FLAGGED | Flags::DRAFT),
    ] {
        if rights.contains(right) {
            flags |= these;
        }
    }
    flags
}

/// What who has these rights has to leave as it is.
pub(super) fn spared(rights: Rights) -> Spared {
    Spared { flags: Flags::all() - permitted(rights), keywords: !rights.contains(Rights::WRITE) }
}

/// What of a change may be done: of flags as a whole, those that may not be changed stay as they are. If nothing that the
/// command names may be changed, it is refused (RFC 4314 section 4).
fn allowed(
    rights: Rights,
    action: StoreAction,
    flags: Flags,
    keywords: KeywordSet,
) -> Result<(Flags, KeywordSet, Spared), Trouble> {
    let may = permitted(rights);
    if may == Flags::all() {
        return Ok((flags, keywords, Spared::default()));
    }
    let names_none = flags == Flags::empty() && keywords.is_empty();
    let clears = action == StoreAction::Replace && names_none && may != Flags::empty();
    let words = rights.contains(Rights::WRITE);
    let kept = if words { keywords } else { KeywordSet::default() };
    if (flags & may) == Flags::empty() && kept.is_empty() && !clears {
        return Err(Status::no("Its owner does not let you").with(Code::NoPerm).into());
    }
    Ok((flags & may, kept, spared(rights)))
}

/// What a `STORE` did.
struct Done {
    /// The messages that are as asked, in order.
    uids: Vec<Uid>,
    /// Those that changed meanwhile and were left alone.
    modified: Vec<Uid>,
    /// Some were gone.
    missing: bool,
    /// Where the command is silent, those whose flags are others than it made of what the client knew: others changed them, too.
    /// In order.
    surprising: Vec<Uid>,
}

/// How the answer to a `STORE` looks.
#[derive(Clone, Copy)]
struct Told {
    uid: bool,
    silent: bool,
}
