//! Double bounces: messages without a sender that fail. The postmaster hears of some one by one, and of the rest in
//! one notice, an hour or a little more after the first of them: a flood is a number, not a full mailbox.
//!
//! How many were told in this hour is known in memory only: a restart begins a new hour. How many were not is in the
//! store, counted in the commit that ends their wait, so that the sum is right whatever crashes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::compose::Memo;
use super::template::Place;
use super::{DoubleBounces, Reported, issue, people};
use crate::engine::Shared;
use crate::message::{Kind, Mailbox};
use crate::seam::Timestamp;
use crate::settings::Settings;
use crate::storage::{Batch, CommitError, StoreError, counter};

/// The counter of those that were not told, and since when. Below `q`, as all that the queue keeps.
const COUNT: &[u8] = b"qbn";
const SINCE: &[u8] = b"qbs";

/// What the rate counts in.
const HOUR: Duration = Duration::from_secs(3600);

/// How many were told since when.
#[derive(Debug, Default)]
pub(crate) struct Hour(Mutex<(Timestamp, u32)>);

impl Hour {
    /// Takes one of `rate` for the hour of `now`, if any is left.
    fn take(&self, now: Timestamp, rate: u32) -> bool {
        let mut hour = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, told) = *hour;
        // A clock that was set back begins a new hour as well.
        if told == 0 || now < since || now.since(since) >= HOUR {
            *hour = (now, 0);
        }
        let free = hour.1 < rate;
        hour.1 += u32::from(free);
        free
    }
}

/// Who hears of double bounces, if anybody.
pub(super) fn postmaster(shared: &Shared, settings: &Settings) -> Option<Mailbox> {
    match &settings.reports.double_bounces {
        DoubleBounces::Postmaster => Some(shared.postmaster.clone()),
        DoubleBounces::To(mailbox) => Some(mailbox.clone()),
        DoubleBounces::Nobody => None,
    }
}

/// Whether one more may be told now. Asked once for each that is told.
pub(super) fn may_tell(shared: &Shared, settings: &Settings) -> bool {
    shared.bounces.take(shared.clock.now(), settings.reports.double_bounce_rate)
}

/// Counts one that is not told now.
pub(super) async fn count(shared: &Shared, batch: &mut Batch) -> Result<(), StoreError> {
    if shared.storage.store.get(SINCE).await?.is_none() {
        batch.put(SINCE, shared.clock.now().as_millis().to_be_bytes().to_vec());
    }
    batch.add(COUNT, 1);
    Ok(())
}

/// Sends the notice that sums up those that were not told, if it is time. Called a few times an hour.
pub(crate) async fn sum_up(shared: &Shared) -> Result<(), CommitError> {
    let (store, now) = (&shared.storage.store, shared.clock.now());
    let Some(row) = store.get(COUNT).await? else { return Ok(()) };
    let since =
        store.get(SINCE).await?.and_then(|since| Some(u64::from_be_bytes(since[..].try_into().ok()?)));
    let since = since.map_or(now, Timestamp::from_millis);
    if now >= since && now.since(since) < HOUR {
        return Ok(());
    }
    let settings = shared.settings();
    let mut batch = Batch::new();
    batch.require_equals(COUNT, &row);
    batch.delete(COUNT);
    batch.delete(SINCE);
    let mut queued = Vec::new();
    if let Some(postmaster) = postmaster(shared, &settings) {
        let number = u64::try_from(counter(Some(&row))?).unwrap_or_default();
        let memo = memo(shared, &settings, &postmaster, number, since);
        let composed = memo.compose(&*shared.random);
        queued = issue::post(shared, &settings, &mut batch, composed, Kind::Notice, &postmaster).await?.1;
    }
    match store.commit(batch).await {
        Ok(_) => {
            shared.metrics.told(Reported { notices: 1, ..Reported::default() });
            shared.runner.queued(queued);
            Ok(())
        }
        Err(CommitError::Conflict) => Ok(()), // one more was counted meanwhile: next time
        Err(error) => Err(error),
    }
}

fn memo<'a>(
    shared: &'a Shared,
    settings: &'a Settings,
    to: &'a Mailbox,
    number: u64,
    since: Timestamp,
) -> Memo<'a> {
    let language = settings.reports.language_for(to.domain(), &[]);
    let value = |place| match place {
        Place::Count => number.to_string(),
        Place::Since => people::moment(since),
        _ => shared.hostname.clone(),
    };
    let text = format!("{}\n\n{}\n", language.opening.fill(value), language.summary.text.fill(value));
    Memo {
        host: &shared.hostname,
        from: &shared.postmaster,
        to,
        now: shared.clock.now(),
        language,
        subject: language.summary.subject.fill(value),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_an_hour_whatever_the_clock_does() {
        let hour = Hour::default();
        let at = |secs: u64| Timestamp::from_millis(secs * 1000);
        let taken = (0..100).filter(|n| hour.take(at(10_000 + n), 3)).count();
        assert_eq!(taken, 3);
        assert!(!hour.take(at(10_000 + 3599), 3) && hour.take(at(10_000 + 3600), 3));
        assert!(hour.take(at(5), 3), "a clock set back does not silence us");
        assert!(!hour.take(at(6), 0), "none means none");
    }
}
