//! Time: nothing due is forgotten, and nothing waits longer than its expiry.

use std::time::Duration;

use super::{Finding, Sight};
use crate::queue::{Entry, State};
use crate::sim::ledger::Ledger;

/// How long after its time something may begin, while nothing disturbs the engine.
const LATE: Duration = Duration::from_secs(30);
/// No schedule has such a wait.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Neither a restart nor other settings move the expiry of what was accepted.
pub(super) fn expiry_is_fixed(ledger: &Ledger, sight: &Sight<'_>) -> Finding {
    for entry in sight.entries {
        match ledger.expiries.get(&(entry.id, entry.group)) {
            Some(first) if *first != entry.expires => {
                return Err(format!("{} expires at {}, and did at {first}", entry.id, entry.expires));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The next attempt is not after the expiry. What was put off by a clock that was wrong by years, and is right again, is ready
/// all the same; its record keeps the time.
pub(super) fn within_expiry(_: &Ledger, sight: &Sight<'_>) -> Finding {
    let beyond = |entry: &&Entry| {
        let sane = entry.next_attempt < sight.now.after(YEAR);
        entry.next_attempt > entry.expires && entry.attempts > 0 && entry.state != State::Held && sane
    };
    match sight.entries.iter().find(beyond) {
        Some(entry) if entry.expires > sight.now && sight.calm > LATE => Err(format!(
            "{} is due at {} and expires at {}: {entry:?}",
            entry.id, entry.next_attempt, entry.expires
        )),
        _ => Ok(()),
    }
}

/// What is over its time is gone, once the attempt that may be under way has ended.
pub(super) fn nothing_outlives_expiry(_: &Ledger, sight: &Sight<'_>) -> Finding {
    let patience = sight.patience * 3 + LATE;
    let outlived = |entry: &&Entry| {
        let rests = is_stopped(entry, sight) && sight.hosts.iter().any(|host| host.free);
        sight.now > entry.expires.after(patience) && (rests || may_be_judged(entry, sight))
    };
    match sight.entries.iter().find(outlived) {
        Some(entry) if sight.calm > patience => {
            Err(format!("{} expired at {} and is there at {}: {entry:?}", entry.id, entry.expires, sight.now))
        }
        _ => Ok(()),
    }
}

/// What is due is tried soon: other hops, and other messages, do not hold it up.
pub(super) fn nothing_overdue(_: &Ledger, sight: &Sight<'_>) -> Finding {
    let overdue = |entry: &&Entry| sight.now > entry.next_attempt.after(LATE) && may_be_judged(entry, sight);
    match sight.entries.iter().find(overdue) {
        Some(entry) if sight.calm > LATE => Err(format!(
            "{} was due at {} and waits at {}: {entry:?}",
            entry.id, entry.next_attempt, sight.now
        )),
        _ => Ok(()),
    }
}

/// Whether nothing that is allowed holds the hop of an entry up: a link at work, no free worker, a place that is, or
/// was not long ago, not to be reached.
fn may_be_judged(entry: &Entry, sight: &Sight<'_>) -> bool {
    let places = sight.peers.neighbours(entry.hop.as_str());
    let wait = sight.longest_wait + sight.patience * 2;
    let reachable = places.iter().all(|place| sight.peers.harmless_for(place) > wait);
    let free = |host: &super::HostSight| host.free && places.iter().all(|place| host.is_idle(place));
    reachable && !is_stopped(entry, sight) && !sight.hosts.is_empty() && sight.hosts.iter().all(free)
}

/// Whether an operator wants it so.
fn is_stopped(entry: &Entry, sight: &Sight<'_>) -> bool {
    entry.state == State::Held || sight.paused.contains(entry.hop.as_str())
}
