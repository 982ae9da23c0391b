//! `COPY`, `MOVE`, `EXPUNGE` (RFC 9051 sections 6.4.3, 6.4.7 and 6.4.8).

use iems_core::seam::Timestamp;
use iems_store::mailbox::{Flags, MailboxError, Rights, Uid};

use super::flags::spared;
use super::place::permits;
use super::{Outcome, Output, Session, Sink};
use crate::imap::types::{Code, NumberSet, SequenceSet, Status};

/// What a message costs that is named, that is copied or moved, and that is expunged, in octets.
const NUMBER: usize = 8;
const CARRIED: usize = 112;
const EXPUNGED: usize = 24;
/// What one costs of those that one commit takes at most: of the first so many.
const COPIED: (usize, usize) = (2048, 256);
const REMOVED: (usize, usize) = (3072, 256);

/// What so many messages cost, in octets.
fn cost(messages: usize, each: usize, at_once: (usize, usize)) -> usize {
    messages.saturating_mul(each) + messages.min(at_once.1) * at_once.0
}

impl Session {
    pub(super) async fn carry<S: Sink>(
        &mut self,
        uid: bool,
        messages: &SequenceSet,
        path: &str,
        moves: bool,
        now: Timestamp,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let selected = if moves { self.writable()? } else { self.selected()? };
        let from = (selected.account, selected.mailbox);
        let mut held = self.lend(selected.view.messages().len().saturating_mul(NUMBER))?;
        let numbers = selected.view.numbers(messages, uid, &selected.saved);
        held.resize(cost(numbers.len(), CARRIED, COPIED))?;
        let uids = selected.uids(&numbers);
        let missing = uids.len() < numbers.len();
        if moves {
            permits(selected.rights, Rights::DELETE_MESSAGES | Rights::EXPUNGE)?;
        }
        let mailboxes = self.accounts.mailboxes();
        let Some(place) = self.place(path).await? else {
            return Err(try_create());
        };
        place.permits(Rights::INSERT)?;
        let (account, mailbox) = (place.owner.id, place.mailbox);
        if missing {
            // All or nothing (RFC 9051 section 6.4.7).
            return Err(Status::no("Some of them are gone").with(Code::ExpungeIssued).into());
        }
        if uids.is_empty() {
            return Ok(Status::ok("There is nothing to do"));
        }
        if !moves || from.0 != account {
            let states = mailboxes.states(from.0, from.1, &uids).await?;
            let octets = states.iter().map(|state| state.size).sum();
            self.room_for(&place.owner, uids.len() as u64, octets).await?;
        }
        if moves {
            self.selected_mut()?.view.reserve(0, usize::MAX)?;
        }
        let (to, mailboxes) = ((account, mailbox), self.accounts.mailboxes());
        let carrying = mailboxes.carry(from, &uids, to, now, (moves, spared(place.rights)));
        let carried = match out.finish_off(carrying).await? {
            Err(MailboxError::NoMailbox) => return Err(try_create()),
            carried => carried?,
        };
        if carried.uids.is_empty() {
            return Ok(Status::ok("There is nothing left to do"));
        }
        let here = carried.uids.iter().map(|(here, _)| here.0).collect::<NumberSet>();
        let there = carried.uids.iter().map(|(_, there)| there.0).collect::<NumberSet>();
        let code = Code::CopyUid(mailbox.0, here, there);
        self.put(account, mailbox, carried.uids.iter().map(|(_, there)| *there));
        if !moves {
            return Ok(Status::ok("Copied").with(code));
        }
        let left: Vec<_> = carried.uids.iter().map(|(here, _)| *here).collect();
        self.selected_mut()?.view.leave(&left);
        // Before the EXPUNGEs (RFC 9051 section 6.4.8).
        out.status(Status::ok("They are there").with(code));
        Ok(Status::ok("Moved"))
    }

    pub(super) async fn expunge<S: Sink>(
        &mut self,
        uids: Option<&SequenceSet>,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        let selected = self.writable()?;
        permits(selected.rights, Rights::EXPUNGE)?;
        let (account, mailbox) = (selected.account, selected.mailbox);
        let deleted = selected.view.messages().iter().filter(|seen| seen.flags.contains(Flags::DELETED));
        let _held = self.lend(cost(deleted.count(), EXPUNGED, REMOVED))?;
        self.selected_mut()?.view.reserve(0, usize::MAX)?;
        let selected = self.selected()?;
        let only: Option<Vec<Uid>> = uids.map(|set| {
            let numbers = selected.view.numbers(set, true, &selected.saved);
            selected.uids(&numbers)
        });
        let expunging = self.accounts.mailboxes().expunge_deleted(account, mailbox, only.as_deref());
        let expunged = out.finish_off(expunging).await??;
        self.selected_mut()?.view.leave(&expunged.uids);
        Ok(Status::ok("What was deleted is gone"))
    }
}

fn try_create() -> super::Trouble {
    Status::no("There is no such mailbox; CREATE it first").with(Code::TryCreate).into()
}
