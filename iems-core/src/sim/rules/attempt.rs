//! Rules about attempts: at least once outside, and no more often than an unheard answer demands.

use super::Finding;
use crate::sim::ledger::Ledger;
use crate::sim::letter::End;
use crate::sim::peers::{Contact, Step};

/// What a far system answered, and the engine heard, is not tried again; unless the process ended before it
/// could write that down, or was taken for dead: what it had to write down is not taken from it then, should it come back.
pub(super) fn not_after_an_answer(ledger: &Ledger, contact: &Contact) -> Finding {
    match (&contact.step, ledger.track(contact.id, &contact.to).ended) {
        (Step::Begun, Some(by)) if !ledger.shaky.contains(&by) || (by == contact.host && !ledger.shared) => {
            Err(format!("{} for {} is tried again, and its answer was heard", contact.id, contact.to))
        }
        _ => Ok(()),
    }
}

/// Nobody begins while somebody is at it; unless that engine was taken for dead.
pub(super) fn not_beside_another(ledger: &Ledger, contact: &Contact) -> Finding {
    let Some((by, since)) = ledger.track(contact.id, &contact.to).begun else { return Ok(()) };
    let over = contact.moment.duration_since(since) >= ledger.patience;
    match contact.step {
        Step::Begun if !over && (by == contact.host || !ledger.shaky.contains(&by)) => {
            Err(format!("{} for {} is tried by {}, and {by} is at it", contact.id, contact.to, contact.host))
        }
        _ => Ok(()),
    }
}

/// What is not in the queue any more is not tried.
pub(super) fn not_after_the_end(ledger: &Ledger, contact: &Contact) -> Finding {
    let Some(way) = ledger.known(contact.id, &contact.to) else { return Ok(()) };
    match (&contact.step, way.end) {
        (Step::Begun, Some(end)) if end != End::Purged && !way.dismissed => {
            Err(format!("{} for {} is tried, and its end was {end:?}", contact.id, contact.to))
        }
        _ => Ok(()),
    }
}
