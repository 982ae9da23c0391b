//! What wakes a session that waits for news.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use iems_core::storage::Watch;

/// What may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Which mailboxes there are, who may see them, who subscribed to them.
    Names,
    /// What is in them.
    Messages,
    /// Their annotations.
    Notes,
}

/// A watch that remembers that it woke.
pub(super) struct Alarm {
    pub(super) kind: Kind,
    watch: Watch,
    rang: AtomicBool,
}

impl Alarm {
    pub(super) const fn new(kind: Kind, watch: Watch) -> Self {
        Self { kind, watch, rang: AtomicBool::new(false) }
    }

    async fn rings(&self) {
        self.watch.changed().await;
        self.rang.store(true, Ordering::Relaxed);
    }

    /// Whether it rang since the last time it was asked.
    pub(super) fn take(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let now = pin!(self.watch.changed()).poll(&mut cx).is_ready();
        self.rang.swap(false, Ordering::Relaxed) || now
    }
}

/// What a session waits for. One that only waits for its mailbox costs no more than the watch.
pub struct Waiting {
    pub(super) mailbox: Option<Watch>,
    pub(super) alarms: Arc<[Alarm]>,
}

impl Waiting {
    /// Returns when there may be news. Cancel-safe: nothing is missed that was not waited for to the end.
    pub async fn changed(&self) {
        match (&self.mailbox, self.alarms.is_empty()) {
            (Some(watch), true) => watch.changed().await,
            (None, true) => std::future::pending().await,
            (_, false) => Box::pin(self.any()).await,
        }
    }

    async fn any(&self) {
        type Rings<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
        let mut all: Vec<Rings<'_>> = Vec::with_capacity(self.alarms.len() + 1);
        if let Some(watch) = &self.mailbox {
            all.push(Box::pin(watch.changed()));
        }
        all.extend(self.alarms.iter().map(|alarm| Box::pin(alarm.rings()) as Rings<'_>));
        poll_fn(|cx| match all.iter_mut().any(|one| one.as_mut().poll(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use iems_core::storage::Watchers;

    use super::*;

    #[tokio::test]
    async fn an_alarm_rings_once() {
        let watchers = Watchers::default();
        let alarms: Arc<[Alarm]> =
            ["a", "b"].map(|key| Alarm::new(Kind::Names, watchers.watch(key.as_bytes()))).into();
        let waiting = Waiting { mailbox: Some(watchers.watch(b"c")), alarms: alarms.clone() };
        watchers.wrote(b"b1");
        watchers.wrote(b"a1");
        waiting.changed().await;
        assert!(alarms[0].take() && alarms[1].take(), "that of b is not lost when that of a woke");
        assert!(!alarms[0].take() && !alarms[1].take());
        watchers.wrote(b"c1");
        waiting.changed().await;
        assert!(!alarms[0].take() && !alarms[1].take());
    }
}
