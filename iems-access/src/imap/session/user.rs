//! Who is logged in, and what is selected.

use std::sync::Arc;

use iems_core::storage::Watch;
use iems_store::directory::AccountInfo;
use iems_store::mailbox::{AccountId, KeywordTable, MailboxId, Rights, Uid};

use super::append::Appending;
use super::effort::Effort;
use super::notify::Notifying;
use super::view::View;
use crate::imap::accounts::Seat;
use crate::imap::recent::Witness;
use crate::imap::types::NumberSet;
use crate::net::{Budget, Loan};

/// Who is logged in.
pub(super) struct User {
    pub(super) info: Arc<AccountInfo>,
    pub(super) selected: Option<Box<Selected>>,
    pub(super) appending: Option<Box<Appending>>,
    /// The tag of the `IDLE` that goes on.
    pub(super) idle: Option<String>,
    /// What is told unasked; `None` before `NOTIFY`, and what happens to the selected mailbox is told with commands.
    pub(super) notify: Option<Box<Notifying>>,
    /// What all sessions of the account may hold together.
    pub(super) budget: Budget,
    /// Of that, what goes on in this session as long as it lasts.
    pub(super) lasting: Loan,
    _seat: Seat,
}

impl User {
    pub(super) fn new(info: Arc<AccountInfo>, seat: Seat, budget: Budget) -> Self {
        let lasting = budget.loan();
        let (selected, appending, idle, notify) = (None, None, None, None);
        Self { info, selected, appending, idle, notify, budget, lasting, _seat: seat }
    }

    /// Whether others' changes of flags in the selected mailbox are told.
    pub(super) fn hears_flags(&self) -> bool {
        self.notify.as_deref().is_none_or(|notify| notify.selected().is_some_and(|wanted| wanted.flags))
    }
}

/// The mailbox that is selected.
pub(super) struct Selected {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    /// By `EXAMINE`, or because the user may change nothing.
    pub(super) read_only: bool,
    /// By `EXAMINE`.
    pub(super) examined: bool,
    /// What the user may do with it.
    pub(super) rights: Rights,
    /// Who knows which messages were shown to others before; `None` where nothing is `\Recent`.
    pub(super) witness: Option<Witness>,
    pub(super) view: View,
    pub(super) keywords: KeywordTable,
    /// What `$` stands for: UIDs (RFC 9051 section 6.4.4.1).
    pub(super) saved: NumberSet,
    /// The memory that it takes.
    pub(super) saved_loan: Loan,
    /// What its user's sessions may hold together.
    pub(super) budget: Budget,
    /// There was no memory to learn of what happened: it is tried again.
    pub(super) behind: bool,
    pub(super) watch: Watch,
    /// Of the `FETCH` that goes on.
    pub(super) effort: Effort,
}

impl Selected {
    /// `$` stands for nothing.
    pub(super) fn forget_saved(&mut self) {
        (self.saved, self.saved_loan) = (NumberSet::default(), self.budget.loan());
    }

    /// Which of the messages of the view are `\Recent`: those above what was shown to others so far. By that, they are
    /// shown; but not by `EXAMINE` (RFC 3501 section 6.3.2).
    pub(super) fn settle_recent(&mut self) {
        if let Some(witness) = &self.witness {
            let last = self.view.last_uid();
            let shown = witness.show(last, !self.read_only);
            self.view.recent_above(shown);
        }
    }

    /// Sequence numbers and UIDs of the messages that are there, of these.
    pub(super) fn there(&self, numbers: &[u32]) -> Vec<(u32, Uid)> {
        let seen = numbers.iter().filter_map(|number| Some((*number, self.view.get(*number)?)));
        seen.filter(|(_, seen)| !seen.gone).map(|(number, seen)| (number, Uid(seen.uid))).collect()
    }

    /// The UIDs of messages, by their sequence numbers; those that left are not among them.
    pub(super) fn uids(&self, numbers: &[u32]) -> Vec<Uid> {
        let seen = numbers.iter().filter_map(|number| self.view.get(*number));
        seen.filter(|seen| !seen.gone).map(|seen| Uid(seen.uid)).collect()
    }
}
