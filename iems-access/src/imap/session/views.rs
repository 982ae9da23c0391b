//! What sessions believed when they opened large mailboxes: whoever opens one again begins with that, and learns what
//! changed since.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use iems_store::mailbox::{AccountId, MailboxId};

use super::view::View;

/// From how many messages on a mailbox is large.
const LARGE: usize = 256;
/// How many messages are kept in all: 16 octets for each.
const MOST: usize = 512 << 10;

/// The views of large mailboxes that were opened last.
#[derive(Debug, Default)]
pub(in crate::imap) struct Views {
    /// The last one in front.
    all: Mutex<VecDeque<((AccountId, MailboxId), View)>>,
}

impl Views {
    /// The view of a mailbox, as it was at some time.
    pub(super) fn get(&self, account: AccountId, mailbox: MailboxId) -> Option<View> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(known, _)| *known == (account, mailbox))?;
        let found = all.remove(at)?;
        let view = found.1.afresh();
        all.push_front(found);
        Some(view)
    }

    /// Keeps a view, if it is worth while. Those that were not used for the longest time go.
    pub(super) fn keep(&self, account: AccountId, mailbox: MailboxId, view: &View) {
        if view.messages().len() < LARGE || view.weight() > MOST {
            return;
        }
        let view = view.afresh();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| *known != (account, mailbox));
        all.push_front(((account, mailbox), view));
        let mut sum = 0;
        all.retain(|(_, view)| {
            sum += view.weight();
            sum <= MOST
        });
    }
}

#[cfg(test)]
mod tests {
    use iems_store::mailbox::{Flags, KeywordSet, MessageState, Uid};

    use super::*;

    fn view(messages: u32) -> View {
        let mut view = View::new(7);
        for uid in 1..=messages {
            let keywords = KeywordSet::default();
            view.take(
                &MessageState { uid: Uid(uid), flags: Flags::empty(), modseq: 1, size: 1, keywords },
                false,
            );
        }
        view
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let views = Views::default();
        let keep = |n: u32, messages| views.keep(AccountId(1), MailboxId(n), &view(messages));
        let has = |n: u32| views.get(AccountId(1), MailboxId(n)).map(|view| view.count());
        keep(1, LARGE as u32 - 1);
        assert_eq!(has(1), None, "it is quickly read");
        let half = MOST as u32 / 2;
        keep(2, half);
        keep(3, half);
        assert_eq!((has(3), has(2)), (Some(half), Some(half)));
        keep(4, 1000);
        assert_eq!((has(2), has(3), has(4)), (Some(half), None, Some(1000)));
        keep(4, 1001);
        assert_eq!(has(4), Some(1001));
    }

    #[test]
    fn what_left_is_not_handed_on() {
        let views = Views::default();
        let mut left = view(300);
        left.leave(&[Uid(5)]);
        views.keep(AccountId(1), MailboxId(1), &left);
        let found = views.get(AccountId(1), MailboxId(1)).unwrap();
        assert_eq!((found.count(), found.number_of(5), found.modseq, found.last_uid()), (299, None, 7, 300));
    }
}
