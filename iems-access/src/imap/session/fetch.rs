//! `FETCH` (RFC 9051 section 6.4.5): from what is stored beside a message where that will do; bodies piece by piece.

use iems_store::mailbox::{FlagAction, FlagChange, Flags, Rights, Uid};
use iems_store::structure::Row;

use super::ahead::{Ahead, Found};
use super::effort::Effort;
use super::output::ENOUGH;
use super::reading::{Needs, Reading};
use super::telling::One;
use super::{Outcome, Output, Session, Sink, Trouble};
use crate::imap::types::{Code, Data, Fetch, FetchAttribute, SequenceSet, Status};

/// How many messages are read at a time: at first, at most, and where their rows are large.
const STEPS: (usize, usize, usize) = (16, 128, 4);
/// What a message costs that may be named, in octets.
const NUMBER: usize = 8;
/// Rows of so many octets are large.
const LARGE: usize = 256 << 10;
/// Rows of so many octets are told where they lie.
const FAIR: usize = 16 << 10;
/// Octets of rows that are looked through in one turn, once for each attribute: some hundredths of a second at most.
const LOOKED: usize = 32 << 20;
/// How many messages are told of their rows at a time.
const AT_HAND: usize = 256;

impl Session {
    pub(super) async fn fetch<S: Sink>(
        &mut self,
        uid: bool,
        fetch: Fetch,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let Fetch { messages, mut attributes, changed_since, vanished, partial } = fetch;
        if vanished && !self.enabled.qresync {
            return Err(Status::bad("ENABLE QRESYNC first").into());
        }
        // UIDFETCH names it already (RFC 9586 section 3.3).
        if uid && !self.enabled.uid_only && !attributes.contains(&FetchAttribute::Uid) {
            attributes.insert(0, FetchAttribute::Uid);
        }
        if changed_since.is_some() && !attributes.contains(&FetchAttribute::ModSeq) {
            attributes.push(FetchAttribute::ModSeq);
        }
        if attributes.contains(&FetchAttribute::ModSeq) && !self.enabled.condstore {
            self.enabled.condstore = true;
            self.tell_highest(out).await?;
        }
        let paged = partial.is_some() || changed_since.is_some();
        self.catch_up_for(&messages, uid, &attributes, paged, out).await?;
        let selected = self.selected()?;
        let _held = selected.budget.take(selected.view.messages().len().saturating_mul(NUMBER))?;
        let mut numbers = selected.view.numbers(&messages, uid, &selected.saved);
        if let Some(range) = partial {
            // The page first, then what changed of it (RFC 9394 section 3.4).
            numbers.retain(|number| selected.view.get(*number).is_some_and(|seen| !seen.gone));
            numbers = numbers[range.within(numbers.len())].to_vec();
        }
        if let Some(since) = changed_since {
            numbers.retain(|number| selected.view.get(*number).is_some_and(|seen| seen.modseq > since));
            if vanished {
                self.tell_vanished(&messages, since, out).await?;
            }
        }
        let needs = Needs::of(&attributes);
        self.selected_mut()?.effort = Effort::default();
        let mut missing = false;
        if needs.is_at_hand() {
            for these in numbers.chunks(AT_HAND) {
                let left = self.fetch_at_hand(these, &attributes, needs, out).await?;
                if !left.is_empty() {
                    missing |= self.fetch_each(&left, &attributes, needs, out).await?;
                }
            }
        } else {
            missing = self.fetch_each(&numbers, &attributes, needs, out).await?;
        }
        Ok(match missing {
            true => Status::ok("Some are gone").with(Code::ExpungeIssued),
            false => Status::ok("That is what was asked for"),
        })
    }

    /// Messages one after the other; whether any is gone.
    async fn fetch_each<S: Sink>(
        &mut self,
        numbers: &[u32],
        attributes: &[FetchAttribute],
        needs: Needs,
        out: &mut Output<'_, S>,
    ) -> Result<bool, Trouble> {
        let (mut missing, mut rest, mut found) = (false, numbers, Found::default());
        let (mut step, most, least) = STEPS;
        while !rest.is_empty() {
            let (these, later) = rest.split_at(step.min(rest.len()));
            rest = later;
            // As many as the next step takes, most likely.
            let next = (2 * step).min(most).min(later.len());
            let ahead = self.read_ahead(later.get(..next).unwrap_or_default(), needs)?;
            let (gone, octets) = self.fetch_some(these, attributes, needs, &mut found, out).await?;
            missing |= gone;
            step = match octets {
                small if small <= LARGE / 2 => (2 * step).min(most),
                fair if fair <= LARGE => step,
                _ => least,
            };
            found = match ahead {
                Some(ahead) => ahead.found().await,
                None => Found::default(),
            };
        }
        Ok(missing)
    }

    /// Begins to read what comes next.
    fn read_ahead(&self, numbers: &[u32], needs: Needs) -> Result<Option<Ahead>, Trouble> {
        let selected = self.selected()?;
        let wanted = needs.octets.then(|| selected.uids(numbers));
        Ok(wanted.and_then(|uids| Ahead::begin(&self.accounts, selected, uids)))
    }

    /// Messages of which all that is asked for is known here or in their rows, told while these are read. What is left: those
    /// whose rows do not tell it, and those that are gone.
    async fn fetch_at_hand<S: Sink>(
        &self,
        numbers: &[u32],
        attributes: &[FetchAttribute],
        needs: Needs,
        out: &mut Output<'_, S>,
    ) -> Result<Vec<u32>, Trouble> {
        let mailboxes = self.accounts.mailboxes();
        let selected = self.selected()?;
        let (enabled, encoder) = (self.enabled, out.encoder);
        let (account, mailbox) = (selected.account, selected.mailbox);
        // What is told until it is sent, and what is read for that.
        let _held = selected.budget.take(ENOUGH + 3 * FAIR)?;
        let there = selected.there(numbers);
        let uids: Vec<_> = there.iter().map(|(_, uid)| *uid).collect();
        let infos = if needs.info { mailboxes.infos(account, mailbox, &uids).await? } else { Vec::new() };
        let mut infos = infos.iter().peekable();
        let mut left: Vec<_> = match there.len() < numbers.len() {
            true => {
                numbers.iter().copied().filter(|number| !there.iter().any(|(n, _)| n == number)).collect()
            }
            false => Vec::new(),
        };
        let one = One::at_hand(selected, enabled, mailboxes);
        if !needs.rows() {
            for (number, uid) in there {
                while infos.next_if(|info| info.uid < uid).is_some() {}
                let one = One { info: infos.next_if(|info| info.uid == uid), ..one };
                if !one.tell_at_once((number, uid), attributes, encoder, out.buffer)? {
                    left.push(number);
                }
                out.pause().await?;
            }
            return Ok(left);
        }
        let mut next = 0;
        while next < there.len() {
            let (buffer, rest) = (&mut *out.buffer, uids.get(next..).unwrap_or_default());
            let (mut paused, mut looked) = (false, 0);
            let mut each = |uid: Uid, row: &[u8]| {
                while let Some((number, _)) = there.get(next).filter(|(_, one)| *one < uid) {
                    left.push(*number);
                    next += 1;
                }
                let Some((number, _)) = there.get(next).filter(|(_, one)| *one == uid) else {
                    return Ok(false);
                };
                next += 1;
                while infos.next_if(|info| info.uid < uid).is_some() {}
                let info = infos.next_if(|info| info.uid == uid);
                // What is large is told one by one, and what that takes is counted.
                let octets = row.len();
                let row = Row::of(row).ok().filter(|_| octets <= FAIR).filter(|row| match info {
                    Some(info) => info.body.size() == row.size(),
                    None => !needs.info,
                });
                let one = One { info, kept: row.map(|row| row.kept()), row, ..one };
                if !one.tell_at_once((*number, uid), attributes, encoder, buffer).unwrap_or(false) {
                    left.push(*number);
                }
                // Each attribute may be a look through the whole row.
                looked += octets.saturating_mul(attributes.len());
                paused = buffer.len() >= ENOUGH || looked >= LOOKED;
                Ok(!paused)
            };
            mailboxes.visit_structures(account, mailbox, rest, &mut each).await?;
            if !paused {
                left.extend(there.iter().skip(next).map(|(number, _)| *number));
                break;
            }
            match out.buffer.len() >= ENOUGH {
                true => out.flush().await?,
                false => tokio::task::yield_now().await,
            }
        }
        Ok(left)
    }

    /// What is told is the mailbox as it is now. Flags that the command tells anyway are not told before; of a page of the
    /// messages, it is not known yet which those are.
    async fn catch_up_for<S: Sink>(
        &mut self,
        messages: &SequenceSet,
        uid: bool,
        attributes: &[FetchAttribute],
        paged: bool,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let selected = self.selected()?;
        if !selected.is_behind(self.accounts.mailboxes()).await? {
            return Ok(());
        }
        let tells = |attribute| attributes.contains(&attribute);
        let tells_all =
            tells(FetchAttribute::Flags) && (!self.enabled.condstore || tells(FetchAttribute::ModSeq));
        let told = match tells_all && !paged {
            true => selected.uids(&selected.view.numbers(messages, uid, &selected.saved)),
            false => Vec::new(),
        };
        self.catch_up(&told, out).await
    }

    /// What `NOTIFY` asked for of new messages, and what each `FETCH` unasked has (RFC 7162 sections 3.1 and 3.2.4). None of it
    /// sets `\Seen`, and what cannot be told of a message is left out.
    pub(super) async fn tell_new<S: Sink>(
        &mut self,
        uids: &[u32],
        attributes: &[FetchAttribute],
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let mut attributes = attributes.to_vec();
        if self.enabled.tells_uids() && !attributes.contains(&FetchAttribute::Uid) {
            attributes.insert(0, FetchAttribute::Uid);
        }
        if self.enabled.condstore && !attributes.contains(&FetchAttribute::ModSeq) {
            attributes.push(FetchAttribute::ModSeq);
        }
        let needs = Needs { seen: false, ..Needs::of(&attributes) };
        // One that cannot be told takes others of its step along.
        let step = if attributes.iter().any(FetchAttribute::may_fail) { 1 } else { STEPS.0 };
        let selected = self.selected()?;
        let numbers: Vec<_> = uids.iter().filter_map(|uid| selected.view.number_of(*uid)).collect();
        for step in numbers.chunks(step) {
            match self.fetch_some(step, &attributes, needs, &mut Found::default(), out).await {
                Err(Trouble::Io(error)) => return Err(error.into()),
                Ok(_) | Err(Trouble::Said(_)) => {}
            }
        }
        Ok(())
    }

    /// What left since a MODSEQ (RFC 7162 section 3.2.6). A client that asks for all it knows says `1:*`, also where the last
    /// of them left: `*` is the greatest UID there ever was.
    async fn tell_vanished<S: Sink>(
        &self,
        messages: &SequenceSet,
        since: u64,
        out: &mut Output<'_, S>,
    ) -> Result<(), Trouble> {
        let selected = self.selected()?;
        let (account, mailbox) = (selected.account, selected.mailbox);
        let mailboxes = self.accounts.mailboxes();
        let changes = mailboxes.changes(account, mailbox, since).await?;
        let next = mailboxes.status(account, mailbox).await?.uid_next;
        let mut last = u32::try_from(next.saturating_sub(1)).unwrap_or(u32::MAX);
        let known = messages.resolve(last, &selected.saved);
        if !changes.complete {
            // What came a moment ago is not in the view yet, and is there.
            let new = mailboxes.view(account, mailbox, Uid(selected.view.last_uid()), 1).await?;
            last = new.first().map_or(last, |state| last.min(state.uid.0 - 1));
        }
        let uids = selected.vanished(&known.within(1, last), &changes);
        if !uids.is_empty() {
            out.data(Data::Vanished { earlier: true, uids });
        }
        Ok(())
    }

    /// Some messages; whether any is gone, and how many octets of rows were read.
    async fn fetch_some<S: Sink>(
        &mut self,
        numbers: &[u32],
        attributes: &[FetchAttribute],
        needs: Needs,
        found: &mut Found,
        out: &mut Output<'_, S>,
    ) -> Result<(bool, usize), Trouble> {
        let lit = self.light(numbers, needs, out).await?;
        let enabled = self.enabled;
        let mailboxes = self.accounts.mailboxes();
        let selected = self.selected()?;
        let there = selected.there(numbers);
        let mut missing = there.len() < numbers.len();
        let mut reading = Reading::begin(mailboxes, selected, &there, needs, found).await?;
        let octets = reading.octets();
        // As they are stored, and twice as much as they are read and told. What is told of a header comes on top.
        let mut held = selected.budget.take(3 * octets)?;
        for (number, uid) in there {
            let stored = reading.row(uid);
            let mut row = stored.as_deref().and_then(|row| Row::of(row).ok());
            let told = row.as_ref().is_some_and(|row| row.kept().are_whole());
            let mut needs = if needs.fields && !told { needs.of_message() } else { needs };
            let mut known = reading.known(uid, needs, stored.is_some()).await?;
            row = row.filter(|row| known.as_ref().is_some_and(|known| known.fits(row.size())));
            if needs.fields && row.is_none() && !needs.octets {
                // It is another's.
                needs = needs.of_message();
                known = reading.known(uid, needs, false).await?;
            }
            let Some(known) = known else {
                missing = true;
                continue;
            };
            let made;
            let mut structure = row.filter(|_| needs.has_row()).and_then(|row| row.structure().ok());
            if structure.is_none() && needs.has_row() {
                let Some(again) = reading.made(uid, known.info.as_ref()).await? else {
                    missing = true;
                    continue;
                };
                made = again;
                let again = Row::of(&made)?;
                (row, structure) = (Some(again), Some(again.structure()?));
            }
            let lit = lit.contains(&uid);
            let one = One {
                selected,
                enabled,
                info: known.info.as_ref(),
                kept: row.map(|row| row.kept()),
                row,
                structure: structure.as_ref().filter(|_| needs.structure),
                blobs: mailboxes.blobs(),
                small: known.small.as_ref(),
            };
            held.resize(3 * octets + one.header_octets(attributes))?;
            one.tell(number, uid, attributes, lit, out).await?;
            out.pause().await?;
        }
        Ok((missing, octets))
    }

    /// Marks messages as seen that are about to be read. Which were not before.
    async fn light<S: Sink>(
        &mut self,
        numbers: &[u32],
        needs: Needs,
        out: &mut Output<'_, S>,
    ) -> Result<Vec<Uid>, Trouble> {
        let selected = self.selected()?;
        if !needs.seen || selected.read_only || !selected.rights.contains(Rights::SEEN) {
            return Ok(Vec::new());
        }
        let dark = |uid: &Uid| {
            let seen = selected.view.number_of(uid.0).and_then(|number| selected.view.get(number));
            seen.is_some_and(|seen| !seen.flags.contains(Flags::SEEN))
        };
        let uids: Vec<_> = selected.uids(numbers).into_iter().filter(dark).collect();
        if uids.is_empty() {
            return Ok(uids);
        }
        let (account, mailbox) = (selected.account, selected.mailbox);
        let change = FlagChange::new(FlagAction::Add, Flags::SEEN);
        let stored = self.accounts.mailboxes().store_flags(account, mailbox, &uids, &change).await?;
        self.adopt(&stored.states, out).await?;
        Ok(uids)
    }
}
