//! Which accounts are to be indexed, and when.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::mailbox::AccountId;

/// Why an account is to be indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// Its owner left: what is new since the last run is taken in.
    Left,
    /// Messages were missed: whatever is thought of the index, all mail is looked through.
    Missed,
    /// Somebody asked for it, and waits. The same, without rests.
    Asked,
}

/// Accounts that wait, each once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    come: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    due: HashMap<AccountId, (Instant, Why)>,
    /// Those that failed, and until when they are left alone.
    resting: HashMap<AccountId, Instant>,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An account is to be indexed, after some time; what is asked for is not put off because it failed before.
    pub(super) fn want(&self, account: AccountId, after: Duration, why: Why) {
        let now = Instant::now();
        let mut waiting = self.waiting();
        let rest = waiting.resting.get(&account).copied().filter(|_| why != Why::Asked);
        let due = (now + after).max(rest.unwrap_or(now));
        let entry = waiting.due.entry(account).or_insert((due, why));
        *entry = (entry.0.min(due), entry.1.max(why));
        drop(waiting);
        self.come.notify_one();
    }

    /// An account failed.
    pub(super) fn rest(&self, account: AccountId, time: Duration) {
        let now = Instant::now();
        let mut waiting = self.waiting();
        waiting.resting.retain(|_, until| *until > now);
        waiting.resting.insert(account, now + time);
    }

    /// Whether an account waits.
    pub(super) fn has(&self, account: AccountId) -> bool {
        self.waiting().due.contains_key(&account)
    }

    /// An account waits no longer.
    pub(super) fn forget(&self, account: AccountId) {
        self.waiting().due.remove(&account);
    }

    /// The account that is due, and why; waits for one.
    pub(super) async fn next(&self) -> (AccountId, Why) {
        loop {
            let first = self.first();
            match first {
                Some((account, due, why)) if due <= Instant::now() => {
                    self.forget(account);
                    return (account, why);
                }
                Some((_, due, _)) => {
                    tokio::select! {
                        biased;
                        () = self.come.notified() => {}
                        () = sleep_until(due) => {}
                    }
                }
                None => self.come.notified().await,
            }
        }
    }

    fn first(&self) -> Option<(AccountId, Instant, Why)> {
        let waiting = self.waiting();
        let first = waiting.due.iter().min_by_key(|(_, (due, why))| (*why != Why::Asked, *due));
        first.map(|(account, (due, why))| (*account, *due, *why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AccountId = AccountId(1);
    const B: AccountId = AccountId(2);
    const SOME: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn accounts_come_when_they_are_due_each_once() {
        let queue = Queue::default();
        let began = Instant::now();
        queue.want(A, SOME * 2, Why::Left);
        queue.want(B, SOME, Why::Left);
        queue.want(B, SOME * 9, Why::Left);
        assert_eq!(queue.next().await, (B, Why::Left));
        assert_eq!(began.elapsed(), SOME);
        assert!(queue.has(A) && !queue.has(B));
        queue.want(B, Duration::ZERO, Why::Asked);
        queue.want(A, Duration::ZERO, Why::Missed);
        assert_eq!(queue.next().await, (B, Why::Asked));
        assert_eq!(queue.next().await, (A, Why::Missed));
        assert_eq!(began.elapsed(), SOME);
        assert!(tokio::time::timeout(SOME, queue.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_left_alone_for_a_while() {
        let queue = Queue::default();
        let began = Instant::now();
        queue.rest(A, SOME);
        queue.want(A, Duration::ZERO, Why::Left);
        queue.want(B, Duration::ZERO, Why::Left);
        assert_eq!(queue.next().await, (B, Why::Left));
        assert_eq!(queue.next().await, (A, Why::Left));
        assert_eq!(began.elapsed(), SOME);
        queue.rest(A, SOME);
        queue.want(A, Duration::ZERO, Why::Asked);
        assert_eq!(queue.next().await, (A, Why::Asked));
        assert_eq!(began.elapsed(), SOME);
    }
}
