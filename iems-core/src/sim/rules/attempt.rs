//! Rules about attempts: at least once outside, and no more often than an unheard answer demands.

use super::Finding;
use crate::sim::ledger::Ledger;
use crate::sim::letter::End;
use crate::sim::peers::{Contact, Step};

/// What a far system answered, and the engine heard, is not tried again; unless the process ended before it
/// could write that down.
pub(super) fn not_after_an_answer(ledger: &Ledger, contact: &Contact) -> Finding {
    match contact.step {
        Step::Begun if ledger.track(contact.id, &contact.to).ended => {
            Err(format!("{} for {} is tried again, and its answer was heard", contact.id, contact.to))
        }
        _ => Ok(()),
    }
}

/// What is not in the queue any more is not tried.
pub(super) fn not_after_the_end(ledger: &Ledger, contact: &Contact) -> Finding {
    let Some(way) = ledger.known(contact.id, &contact.to) else { return Ok(()) };
    match (&contact.step, way.end) {
        (Step::Begun, Some(end)) if end != End::Purged && !way.purged => {
            Err(format!("{} for {} is tried, and its end was {end:?}", contact.id, contact.to))
        }
        _ => Ok(()),
    }
}
