//! Addresses that lead to several others (RFC 3461 section 5.2.7): whoever wants to hear of success hears of the
//! expansion, once and at once; what becomes of each copy is told only if it fails.

use super::decide::Part;
use super::transaction::Transaction;
use crate::deliver::Destination;
use crate::message::{EnhancedStatus, Notify, Recipient, Reply};
use crate::preprocess;
use crate::report::{Action, Told};

impl Transaction {
    /// What there is to tell of expansions.
    pub(super) fn expanded(&self, parts: &[Part]) -> Vec<Told> {
        let reply = Reply::new(250, EnhancedStatus::new(2, 1, 5), "expanded");
        let expanded = (0..self.recipients.len()).filter(|at| self.is_expanded(*at));
        let goes_on = |part: &&Part| part.decision.action != preprocess::Action::Discard;
        let firsts = expanded.filter_map(|at| parts.iter().filter(goes_on).find(|part| part.recipient == at));
        let told = |part: &Part| {
            let recipient = self.recipients[part.recipient].0.clone();
            Told::new(Action::Expanded, &destination(part, recipient), &reply)
        };
        firsts.map(told).collect()
    }

    /// The recipient at `at` as it goes on: without a wish that the expansion has fulfilled.
    pub(super) fn recipient_beyond(&self, at: usize) -> Recipient {
        let mut recipient = self.recipients[at].0.clone();
        if self.is_expanded(at) {
            recipient.notify = recipient.notify.map(|notify| Notify { success: false, ..notify });
        }
        recipient
    }

    fn is_expanded(&self, at: usize) -> bool {
        let (recipient, route) = &self.recipients[at];
        route.ways.len() > 1 && recipient.notify().success
    }
}

/// Where a part goes, and for whom.
pub(super) fn destination(part: &Part, recipient: Recipient) -> Destination {
    let (mailbox, detail) = (part.way.mailbox.clone(), part.way.detail.clone());
    Destination { mailbox, detail, recipient, decision: part.decision.clone() }
}
