//! `SELECT`, `EXAMINE`, `CLOSE`, `UNSELECT` (RFC 9051 sections 6.3.2 and 6.4, RFC 7162 sections 3.1.8 and 3.2.5).

use iems_store::mailbox::{Flags, Mailboxes, Rights, Uid};

use super::effort::Effort;
use super::flags::permitted;
use super::sync::changes_held;
use super::user::Selected;
use super::view::{View, system_flags};
use super::{Enabled, Outcome, Output, Session, Sink, Stage, Trouble};
use crate::imap::types::{
    Code, Data, FetchItem, Flag, ListData, NumberSet, PermanentFlag, Resync, SelectParameters, SequenceSet,
    Status,
};
use crate::net::Spent;

/// How many messages are read at a time.
const PAGE: usize = 4096;

/// Rights without any of which a mailbox is opened to be read only (RFC 4314 section 5.2).
const CHANGING: Rights = Rights::changing();

impl Session {
    pub(super) async fn select<S: Sink>(
        &mut self,
        path: &str,
        parameters: &SelectParameters,
        read_only: bool,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        if parameters.qresync.is_some() && !self.enabled.qresync {
            return Err(Status::bad("ENABLE QRESYNC first").into());
        }
        // Also without QRESYNC (RFC 7162 section 3.2.11).
        if self.leave_mailbox() {
            out.status(Status::ok("The mailbox before is closed").with(Code::Closed));
        }
        self.enabled.condstore |= parameters.condstore || parameters.qresync.is_some();
        let place = self.known_place(path).await?;
        place.permits(Rights::READ)?;
        let (account, mailbox, rights) = (place.owner.id, place.mailbox, place.rights);
        let mailboxes = self.accounts.mailboxes();
        let examined = read_only;
        let read_only = examined || is_read_only(rights);
        let witness = (!self.enabled.rev2).then(|| self.accounts.witness(account, mailbox));
        let watch = mailboxes.watch_mailbox(account, mailbox);
        let status = mailboxes.status(account, mailbox).await?;
        if let Some(witness) = &witness {
            witness.learn(status.shown);
        }
        if status.messages > self.options.limits.messages as u64 {
            return Err(Status::no("The mailbox has too many messages; move some").with(Code::Limit).into());
        }
        let keywords = mailboxes.keywords(account).await?;
        let known = self.accounts.views().get(account, mailbox);
        let is_known = known.is_some();
        let mut view = known.unwrap_or_else(|| View::new(status.highest_modseq));
        let budget = self.user()?.budget.clone();
        view.charge(&budget);
        let new = usize::try_from(status.messages).unwrap_or(usize::MAX);
        view.reserve(new.saturating_sub(view.messages().len()), 0)?;
        let saved = NumberSet::default();
        let mut selected = Selected {
            account,
            mailbox,
            read_only,
            examined,
            rights,
            witness,
            view,
            keywords,
            saved,
            saved_loan: budget.loan(),
            budget,
            behind: false,
            watch,
            effort: Effort::default(),
        };
        let before = is_known.then_some(selected.view.modseq);
        if !is_known {
            selected.load(mailboxes).await?;
        }
        selected.learn(mailboxes, false).await?;
        if selected.behind {
            return Err(Spent.into());
        }
        selected.view.remove();
        selected.view.settle();
        if before != Some(selected.view.modseq) {
            self.accounts.views().keep(account, mailbox, &selected.view);
        }
        selected.settle_recent();
        let uid_next = u32::try_from(status.uid_next).unwrap_or(u32::MAX).max(selected.view.greatest() + 1);
        selected.tell_flag_names(out);
        selected.view.announce();
        out.data(Data::Exists(selected.view.count()));
        if !self.enabled.rev2 {
            selected.view.announce_recent();
            out.data(Data::Recent(selected.view.recent()));
        }
        // A message number (RFC 9586 section 3).
        if !self.enabled.rev2 && !self.enabled.uid_only {
            // The counters tell where there is none.
            let none = status.unseen == 0 && status.highest_modseq == selected.view.modseq;
            let mut messages = selected.view.messages().iter().zip(1u32..);
            if let Some((_, number)) = messages.find(|(seen, _)| !none && !seen.flags.contains(Flags::SEEN)) {
                out.status(Status::ok("The first unseen message").with(Code::Unseen(number)));
            }
        }
        out.status(Status::ok("Names are good for this").with(Code::UidValidity(mailbox.0)));
        out.status(Status::ok("The next name").with(Code::UidNext(uid_next)));
        let modseq = selected.view.modseq;
        out.status(Status::ok("The last change").with(Code::HighestModSeq(modseq)));
        let id = super::folders::mailbox_id(account, mailbox);
        out.status(Status::ok("The mailbox's own name").with(Code::MailboxId(id)));
        if self.enabled.rev2 {
            out.data(Data::List(ListData {
                delimiter: Some('/'),
                mailbox: path.to_owned(),
                ..ListData::default()
            }));
        }
        if let Some(resync) = &parameters.qresync
            && resync.uid_validity == mailbox.0
        {
            selected.resync(resync, uid_next, self.enabled, mailboxes, out).await?;
        }
        self.user_mut()?.selected = Some(Box::new(selected));
        Ok(match read_only {
            true => Status::ok("Opened to be read").with(Code::ReadOnly),
            false => Status::ok("Opened").with(Code::ReadWrite),
        })
    }

    /// `CLOSE`: what is marked leaves, and nothing is told of it.
    pub(super) async fn close<S: Sink>(&mut self, out: &mut Output<'_, S>) -> Outcome {
        let selected = self.selected()?;
        if !selected.read_only && selected.rights.contains(Rights::EXPUNGE) {
            let (account, mailbox) = (selected.account, selected.mailbox);
            let expunging = self.accounts.mailboxes().expunge_deleted(account, mailbox, None);
            out.finish_off(expunging).await??;
        }
        self.unselect()
    }

    pub(super) fn unselect(&mut self) -> Outcome {
        self.leave_mailbox();
        Ok(Status::ok("Closed"))
    }

    /// Leaves the selected mailbox; whether there was one.
    pub(super) fn leave_mailbox(&mut self) -> bool {
        let Stage::User(user) = &mut self.stage else { return false };
        let Some(selected) = user.selected.take() else { return false };
        self.parting.extend(selected.witness);
        true
    }
}

/// Whether who has these rights can only read.
pub(super) fn is_read_only(rights: Rights) -> bool {
    (rights & CHANGING).is_empty()
}

impl Selected {
    /// Reads the whole mailbox.
    async fn load(&mut self, mailboxes: &Mailboxes) -> Result<(), Trouble> {
        let mut after = Uid(0);
        loop {
            let page = mailboxes.view(self.account, self.mailbox, after, PAGE).await?;
            for state in &page {
                self.view.take(state, false);
            }
            // Sets of keywords are seen only as they come.
            if self.budget.is_spent() {
                return Err(Spent.into());
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.uid,
                _ => {
                    self.view.settle();
                    return Ok(());
                }
            }
        }
    }

    /// `FLAGS` and `PERMANENTFLAGS`.
    pub(super) fn tell_flag_names<S: Sink>(&self, out: &mut Output<'_, S>) {
        let mut flags = system_flags(Flags::all());
        flags.extend(self.keywords.names().iter().cloned().map(Flag::Keyword));
        out.data(Data::Flags(flags.clone()));
        let mut permanent = Vec::new();
        if !self.read_only {
            // What of them this user may change (RFC 4314 section 4).
            let writes = self.rights.contains(Rights::WRITE);
            let system = system_flags(permitted(self.rights));
            let keywords = flags.into_iter().filter(|flag| writes && matches!(flag, Flag::Keyword(_)));
            permanent.extend(system.into_iter().chain(keywords).map(PermanentFlag::Flag));
            permanent.extend(writes.then_some(PermanentFlag::New));
        }
        out.status(Status::ok("What can be kept").with(Code::PermanentFlags(permanent)));
    }

    /// What a client missed since it was here last (RFC 7162 section 3.2.5).
    async fn resync<S: Sink>(
        &self,
        resync: &Resync,
        uid_next: u32,
        enabled: Enabled,
        mailboxes: &Mailboxes,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let last = uid_next.saturating_sub(1);
        let known = match &resync.known_uids {
            Some(known) => known.resolve(last, &NumberSet::default()).within(1, last),
            None => NumberSet::from_ranges((last > 0).then_some((1, last))),
        };
        // What the log does not tell, the client's own numbers may.
        let agreed = self.agreed(resync);
        let changes = mailboxes.changes(self.account, self.mailbox, resync.modseq).await?;
        let _held = changes_held(&self.budget, &changes);
        let above = if changes.complete { 0 } else { agreed };
        let gone = self.vanished(&known.within(above.saturating_add(1), u32::MAX), &changes);
        if !gone.is_empty() {
            out.data(Data::Vanished { earlier: true, uids: gone });
        }
        for state in changes.updated.iter().filter(|state| known.contains(state.uid.0)) {
            let Some(number) = self.view.number_of(state.uid.0) else { continue };
            let Some(seen) = self.view.get(number) else { continue };
            let flags = FetchItem::Flags(self.view.flags(seen, &self.keywords));
            let (uid, mut items) = (seen.uid, vec![flags, FetchItem::ModSeq(seen.modseq)]);
            if enabled.uid_only {
                out.data(Data::UidFetch { uid, items });
            } else {
                items.insert(0, FetchItem::Uid(uid));
                out.data(Data::Fetch { number, items });
            }
            out.pause().await?;
        }
        Ok(())
    }

    /// The UID up to which the client knows of all that left, as the sequence numbers that it remembers are still those of
    /// their UIDs (RFC 7162 section 3.2.5.2); 0 if there are none.
    fn agreed(&self, resync: &Resync) -> u32 {
        let Some((numbers, uids)) = &resync.matching else { return 0 };
        let resolved = |set: &SequenceSet| set.resolve(u32::MAX, &NumberSet::default());
        let (numbers, uids) = (resolved(numbers), resolved(uids));
        let known = |number: u32| self.view.get(number).map(|seen| seen.uid);
        let pairs = numbers.iter().zip(uids.iter());
        pairs.take_while(|(number, uid)| known(*number) == Some(*uid)).last().map_or(0, |(_, uid)| uid)
    }

    /// Which of `known` left, by the log; or by what is there, if the log no longer knows. Those that still have a number here
    /// are told to be gone without `EARLIER`, later.
    pub(super) fn vanished(&self, known: &NumberSet, changes: &iems_store::mailbox::Changes) -> NumberSet {
        if changes.complete {
            let gone = changes.expunged.iter().map(|uid| uid.0).filter(|uid| known.contains(*uid));
            return gone.filter(|uid| self.view.number_of(*uid).is_none()).collect();
        }
        // The gaps between the messages that are there.
        let mut gaps = Vec::new();
        for &(first, last) in known.ranges() {
            let mut from = first;
            let messages = self.view.messages();
            for seen in messages.from(messages.place(first)).take_while(|seen| seen.uid <= last) {
                if seen.uid > from {
                    gaps.push((from, seen.uid - 1));
                }
                from = seen.uid.saturating_add(1);
            }
            if from <= last {
                gaps.push((from, last));
            }
        }
        NumberSet::from_ranges(gaps)
    }
}
