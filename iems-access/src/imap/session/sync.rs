//! The one place where a session learns what happened in its mailbox, and tells it; and `IDLE` (RFC 9051 section 6.3.13).

use std::io;

use super::notify::Notifying;
use super::select::is_read_only;
use super::user::Selected;
use super::{Enabled, News, Output, Session, Sink, Stage, Then, Trouble};
use crate::imap::types::{Code, Condition, Data, FetchItem, NumberSet, Response, Status};
use crate::net::{Budget, Loan};
use iems_store::mailbox::{Changes, Mailboxes, MessageState, Rights, Uid};

impl Session {
    /// Learns what happened in the selected mailbox, and tells it. What left is told only where numbers may change.
    pub(super) async fn sync<S: Sink>(
        &mut self,
        numbers_may_change: bool,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let numbers = if numbers_may_change { Numbers::Change } else { Numbers::AsNotified };
        self.sync_but(&[], numbers, out).await?;
        if let Ok(selected) = self.selected()
            && let Some(modseq) = selected.view.held().filter(|_| self.enabled.condstore)
        {
            // Whoever goes by the MODSEQ of some FETCH would never hear of what left before (RFC 7162 section 3.2).
            out.status(Status::ok("Some left, which is told later").with(Code::HighestModSeq(modseq)));
        }
        Ok(())
    }

    /// Where messages were told to be gone, up to where the peer knows of all now (RFC 7162 sections 3.2.7 and 3.2.9): at
    /// the end of a command that went well.
    pub(super) fn tell_advance<S: Sink>(&mut self, status: Status, out: &mut Output<'_, S>) -> Status {
        let Stage::User(user) = &mut self.stage else { return status };
        // Who does not hear of flags does not know of all.
        let hears_flags = user.hears_flags();
        let Some(selected) = user.selected.as_deref_mut() else { return status };
        if !self.enabled.condstore || !hears_flags || status.condition != Condition::Ok {
            return status;
        }
        let Some(modseq) = selected.view.advanced() else { return status };
        if status.code.is_none() {
            return status.with(Code::HighestModSeq(modseq));
        }
        out.status(Status::ok("The last change").with(Code::HighestModSeq(modseq)));
        status
    }

    /// The same before messages are found or fetched, so that the answer is of the mailbox as it is. Numbers stay: the
    /// command names messages by them, as they were when it was said.
    pub(super) async fn catch_up<S: Sink>(
        &mut self,
        told: &[Uid],
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        self.sync_but(told, Numbers::Stay, out).await
    }

    /// The same; of `told` (in order) the caller tells the flags itself.
    pub(super) async fn sync_but<S: Sink>(
        &mut self,
        told: &[Uid],
        numbers: Numbers,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let enabled = self.enabled;
        let mailboxes = self.accounts.mailboxes();
        let Stage::User(user) = &mut self.stage else { return Ok(()) };
        let Some(selected) = user.selected.as_deref_mut() else { return Ok(()) };
        let wanted = user.notify.as_deref().map(Notifying::selected);
        if let Some(None) = wanted {
            // The client wants to hear of nothing, but for what it does itself.
            if numbers == Numbers::Change {
                selected.tell_gone(enabled, out);
            }
            return Ok(());
        }
        let wanted = wanted.flatten();
        let updates = selected.learn(mailboxes, enabled.condstore).await?;
        let at_once = wanted.is_some_and(|wanted| !wanted.delayed);
        if numbers == Numbers::Change || numbers == Numbers::AsNotified && at_once {
            selected.tell_gone(enabled, out);
        }
        if updates.named {
            selected.tell_flag_names(out);
        }
        let count = selected.view.announce();
        if let Some(count) = count {
            out.data(Data::Exists(count));
            selected.settle_recent();
        }
        let recent = selected.view.announce_recent().or_else(|| count.map(|_| selected.view.recent()));
        if let Some(recent) = recent.filter(|_| selected.witness.is_some()) {
            out.data(Data::Recent(recent));
        }
        if wanted.is_none_or(|wanted| wanted.flags) {
            let uid_too = wanted.is_some();
            for uid in updates.changed.into_iter().filter(|uid| told.binary_search(&Uid(*uid)).is_err()) {
                selected.tell_flags(uid, uid_too, enabled, out);
                out.pause().await?;
            }
        }
        let (account, mailbox) = (selected.account, selected.mailbox);
        if let (Some(notify), Some(wanted)) = (&user.notify, wanted)
            && !wanted.attributes.is_empty()
        {
            let attributes = wanted.attributes.clone();
            let others = updates.new.into_iter().filter(|uid| !notify.is_mine(account, mailbox, *uid));
            let others: Vec<_> = others.collect();
            Box::pin(self.tell_new(&others, &attributes, out)).await?;
        }
        Ok(())
    }

    /// Others may give rights and take them while their mailbox is open here. Without `r`, it looks empty from now on, until
    /// it is selected again.
    pub(super) async fn heed_rights<S: Sink>(&mut self, out: &mut Output<'_, S>) -> Result<(), Trouble> {
        let mailboxes = self.accounts.mailboxes();
        let Stage::User(user) = &mut self.stage else { return Ok(()) };
        let me = user.info.id;
        let Some(selected) = user.selected.as_deref_mut() else { return Ok(()) };
        if selected.account == me || !selected.rights.contains(Rights::READ) {
            return Ok(());
        }
        let rights = mailboxes.rights(selected.account, selected.mailbox, me).await?;
        if rights == selected.rights {
            return Ok(());
        }
        let was_read_only = selected.read_only;
        selected.rights = rights;
        selected.read_only = selected.examined || is_read_only(rights);
        if !rights.contains(Rights::READ) {
            selected.rights = Rights::none();
            selected.leave_all();
            return Ok(());
        }
        selected.tell_flag_names(out);
        match (was_read_only, selected.read_only) {
            (false, true) => out.status(Status::ok("Nothing can be changed any more").with(Code::ReadOnly)),
            (true, false) => out.status(Status::ok("It can be changed now").with(Code::ReadWrite)),
            _ => {}
        }
        Ok(())
    }

    /// Whether an `IDLE` goes on.
    pub fn is_idle(&self) -> bool {
        matches!(&self.stage, Stage::User(user) if user.idle.is_some())
    }

    /// Whether what comes next is a line, and no command.
    pub fn awaits_line(&self) -> bool {
        self.is_idle() || matches!(self.stage, Stage::Proving(_))
    }

    /// Tells news: within `IDLE`, or at any time after `NOTIFY`. See [`Session::waiting`].
    ///
    /// # Errors
    /// Those of the sink.
    pub async fn news<S: Sink>(&mut self, out: &mut Output<'_, S>) -> io::Result<()> {
        self.prepare(out);
        // Between commands, numbers stay unless NOTIFY said otherwise.
        let idle = self.is_idle();
        let told = match self.heed_rights(out).await {
            Ok(()) => self.sync(idle, out).await,
            trouble => trouble,
        };
        match told {
            Err(Trouble::Io(error)) => return Err(error),
            Err(Trouble::Said(status)) if status.condition == Condition::Bye => {
                self.depart(status, out);
                return Ok(());
            }
            Err(Trouble::Said(status)) => out.status(status),
            Ok(()) => {}
        }
        match Box::pin(self.elsewhere(out)).await {
            Err(Trouble::Io(error)) => Err(error),
            Ok(()) | Err(Trouble::Said(_)) => Ok(()),
        }
    }

    pub(super) async fn idle<S: Sink>(&mut self, tag: String, out: &mut Output<'_, S>) -> io::Result<Then> {
        match &mut self.stage {
            Stage::User(user) => user.idle = Some(tag),
            _ => {
                out.say(&Status::bad("Log in first").tagged(tag));
                return Ok(Then::Read);
            }
        }
        out.say(&Response::Continue("Waiting for news; say DONE to end".into()));
        self.news(out).await?;
        Ok(if self.is_over() { Then::Close } else { Then::ReadLine })
    }

    /// The line that ends `IDLE`.
    pub(super) async fn done<S: Sink>(
        &mut self,
        line: Option<&[u8]>,
        out: &mut Output<'_, S>,
    ) -> io::Result<Then> {
        let Stage::User(user) = &mut self.stage else { return Ok(Then::Read) };
        let Some(tag) = user.idle.take() else { return Ok(Then::Read) };
        let outcome = match line.is_some_and(|line| line.eq_ignore_ascii_case(b"DONE")) {
            true => Ok(Status::ok("That was it")),
            false => Err(Status::bad("DONE ends IDLE").into()),
        };
        self.finish(tag, outcome, News::All, out).await
    }

    /// With `CONDSTORE` from now on, the peer has to know where it stands (RFC 7162 section 3.1).
    pub(super) async fn tell_highest<S: Sink>(&mut self, out: &mut Output<'_, S>) -> Result<(), Trouble> {
        if let Stage::User(user) = &self.stage
            && let Some(selected) = &user.selected
        {
            let modseq = selected.view.modseq;
            out.status(Status::ok("The last change").with(Code::HighestModSeq(modseq)));
        }
        Ok(())
    }
}

/// Whether what left may be told, by which the numbers of messages change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    Change,
    /// Only if `NOTIFY` asked for it at any time.
    AsNotified,
    Stay,
}

/// What is to be told of a mailbox.
#[derive(Default)]
pub(super) struct Updates {
    /// There are new keywords.
    named: bool,
    /// UIDs of new messages.
    new: Vec<u32>,
    /// UIDs of messages with other flags.
    changed: Vec<u32>,
}

/// What changes take that were read, in octets.
pub(super) fn changes_held(budget: &Budget, changes: &Changes) -> Loan {
    let of = |state: &MessageState| size_of::<MessageState>() + 2 * state.keywords.len();
    let updated: usize = changes.updated.iter().map(of).sum();
    let mut held = budget.loan();
    held.owe(updated + size_of::<Uid>() * changes.expunged.len());
    held
}

impl Selected {
    /// Whether something happened that it does not know of.
    pub(super) async fn is_behind(&self, mailboxes: &Mailboxes) -> Result<bool, Trouble> {
        Ok(mailboxes.highest_modseq(self.account, self.mailbox).await? != self.view.modseq)
    }

    pub(super) async fn learn(&mut self, mailboxes: &Mailboxes, condstore: bool) -> Result<Updates, Trouble> {
        let mut updates = Updates::default();
        self.behind = false;
        if !self.rights.contains(Rights::READ) {
            return Ok(updates);
        }
        let highest = mailboxes.highest_modseq(self.account, self.mailbox).await?;
        if highest == self.view.modseq {
            // A mailbox that never had a message can make room for one that was brought in from elsewhere. Its UIDVALIDITY is another,
            // which a client can only learn anew.
            if highest == 1 && mailboxes.made_room(self.account, self.mailbox).await? {
                return Err(Status::bye("The mailbox is another one now; open it again").into());
            }
            return Ok(updates);
        }
        if highest < self.view.modseq {
            // Its counters are gone, and so is the mailbox.
            self.leave_all();
            return Ok(updates);
        }
        let (since, own) = (self.view.modseq, self.view.own.take());
        if own == Some(highest) && since.checked_add(1) == own {
            // MODSEQs are given out one by one in an account: between what is known and what was done here nothing happened.
            self.view.modseq = highest;
            self.view.settle();
            return Ok(updates);
        }
        let changes = mailboxes.changes_but(self.account, self.mailbox, since, own).await?;
        let _held = changes_held(&self.budget, &changes);
        let last = self.view.last_uid();
        let new = changes.updated.iter().filter(|state| state.uid.0 > last).count();
        // Where some left, all behind them move.
        let moved = if changes.expunged.is_empty() && changes.complete { 0 } else { usize::MAX };
        self.behind = self.view.reserve(new, (changes.updated.len() - new).saturating_add(moved)).is_err();
        if self.behind {
            // The view stays what it is, which is true as of then, until there is room to learn more.
            self.view.own = own;
            return Ok(updates);
        }
        updates.named = self.know_keywords(&changes.updated, mailboxes).await?;
        for state in &changes.updated {
            match self.view.take(state, condstore) {
                Some(true) => updates.new.push(state.uid.0),
                Some(false) => updates.changed.push(state.uid.0),
                None => {}
            }
        }
        self.view.leave(&changes.expunged);
        if !changes.complete {
            self.compare(mailboxes).await?;
        }
        self.view.modseq = changes.modseq;
        self.view.settle();
        Ok(updates)
    }

    /// Nothing is there any more.
    fn leave_all(&mut self) {
        let all: Vec<_> = (1..=self.view.count()).collect();
        let uids = self.uids(&all);
        self.view.leave(&uids);
    }

    /// Reads the names of keywords again, if there are some that are not known. Whether there were.
    pub(super) async fn know_keywords(
        &mut self,
        states: &[MessageState],
        mailboxes: &Mailboxes,
    ) -> Result<bool, Trouble> {
        let mut keywords = states.iter().flat_map(|state| state.keywords.iter());
        let new = keywords.any(|keyword| self.keywords.name(keyword).is_none());
        if new {
            self.keywords = mailboxes.keywords(self.account).await?;
        }
        Ok(new)
    }

    /// The log no longer has all that left: whatever is not there any more did.
    async fn compare(&mut self, mailboxes: &Mailboxes) -> Result<(), Trouble> {
        let known: Vec<_> = (1..=self.view.count()).collect();
        let known = self.uids(&known);
        for page in known.chunks(1000) {
            let there = mailboxes.states(self.account, self.mailbox, page).await?;
            let gone: Vec<_> = page
                .iter()
                .copied()
                .filter(|uid| there.binary_search_by_key(uid, |state| state.uid).is_err())
                .collect();
            self.view.leave(&gone);
        }
        Ok(())
    }

    /// `EXPUNGE`, or `VANISHED` (RFC 7162 section 3.2.10).
    fn tell_gone<S: Sink>(&mut self, enabled: Enabled, out: &mut Output<'_, S>) {
        let gone = self.view.remove();
        if gone.is_empty() {
            return;
        }
        if enabled.qresync || enabled.uid_only {
            let uids = NumberSet::from_ranges(gone.iter().map(|(_, uid)| (*uid, *uid)));
            return out.data(Data::Vanished { earlier: false, uids });
        }
        for (number, _) in gone {
            out.data(Data::Expunge(number));
        }
    }

    /// The flags of a message, as `FETCH` tells them unasked.
    pub(super) fn tell_flags<S: Sink>(
        &self,
        uid: u32,
        uid_too: bool,
        enabled: Enabled,
        out: &mut Output<'_, S>,
    ) {
        let Some(number) = self.view.number_of(uid) else { return };
        let Some(seen) = self.view.get(number).filter(|seen| !seen.gone) else { return };
        let mut items = vec![FetchItem::Flags(self.view.flags(seen, &self.keywords))];
        if uid_too && !enabled.uid_only || enabled.tells_uids() {
            items.insert(0, FetchItem::Uid(uid));
        }
        if enabled.condstore {
            items.push(FetchItem::ModSeq(seen.modseq));
        }
        match enabled.uid_only {
            true => out.data(Data::UidFetch { uid, items }),
            false => out.data(Data::Fetch { number, items }),
        }
    }
}
