//! Rules about messages that arrive in a mailbox or at a far system.

use super::Finding;
use crate::sim::ledger::{Arrived, Ledger};
use crate::sim::letter::Fate;
use crate::sim::{Seen, SimDirectory};

/// A letter arrives as it was sent, with nothing but the fields in front that were declared.
pub(super) fn unchanged(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    match arrived.seen {
        Seen::Letter { number, digest, front } => {
            let letter = ledger.letters.get(number).ok_or(format!("letter {number} was never sent"))?;
            let declared = |name: &String| name == "Received" || name == "List-Id";
            match letter.digest == *digest
                && front.iter().all(declared)
                && front.iter().any(|n| n == "Received")
            {
                true => Ok(()),
                false => Err(format!("letter {number} for {} was changed; in front {front:?}", arrived.to)),
            }
        }
        Seen::Report { about: Some(number), told }
            if ledger.letters.contains_key(number) && !told.is_empty() =>
        {
            Ok(())
        }
        Seen::Notice { .. } if arrived.to == SimDirectory::POSTMASTER => Ok(()),
        other => Err(format!("{} got what nobody sent: {other:?}", arrived.to)),
    }
}

/// A letter that was refused has not left a copy anywhere.
pub(super) fn not_refused(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    let Seen::Letter { number, .. } = arrived.seen else { return Ok(()) };
    match ledger.letters.get(number) {
        Some(letter) if letter.fate == Fate::Refused => {
            Err(format!("letter {number} was refused, and {} has it", arrived.to))
        }
        _ => Ok(()),
    }
}

/// It arrives where it was sent to, in the message that was accepted.
pub(super) fn addressed(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    let Seen::Letter { number, .. } = arrived.seen else { return Ok(()) };
    let Some(way) = ledger.way(*number, arrived.to) else {
        return Err(format!("letter {number} was not for {}", arrived.to));
    };
    let id = ledger.id_of(way);
    // What was sent on while it could not be routed goes as one more message.
    let once_more = way.id.is_some() && !ledger.numbers.contains_key(&arrived.id);
    match once_more || way.copy || id.is_none_or(|id| id == arrived.id) {
        true => Ok(()),
        false => Err(format!("letter {number} is {id:?}, and arrived as {}", arrived.id)),
    }
}

/// What its sender wants to go later does not go before, unless the operator lets it.
pub(super) fn not_before_its_time(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    let Seen::Letter { number, .. } = arrived.seen else { return Ok(()) };
    let Some(letter) = ledger.letters.get(number) else { return Ok(()) };
    let early = ledger.way(*number, arrived.to).is_some_and(|way| way.early);
    // A list may have taken it, or an attempt begun, by a clock that was ahead, and was set back since.
    let latest = arrived.at.after(ledger.set_back.saturating_sub(letter.set_back));
    match letter.release.filter(|release| latest < *release && !early) {
        Some(release) => {
            Err(format!("letter {number} is for {release}, and {} has it at {}", arrived.to, arrived.at))
        }
        None => Ok(()),
    }
}

/// A mailbox of ours gets a letter once, and a report once.
pub(super) fn once_locally(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    let again = match arrived.seen {
        _ if !arrived.local => false,
        Seen::Letter { number, .. } => ledger.way(*number, arrived.to).is_some_and(|way| way.rows > 0),
        _ => ledger.reports.contains(&arrived.id),
    };
    match again {
        true => Err(format!("{} has {} twice", arrived.to, arrived.id)),
        false => Ok(()),
    }
}

/// A list makes one copy for a member, however often it was tried.
pub(super) fn one_copy(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    let Seen::Letter { number, .. } = arrived.seen else { return Ok(()) };
    match ledger.way(*number, arrived.to).and_then(|way| way.copy_id) {
        Some(id) if id != arrived.id => {
            Err(format!("letter {number} for {} came as {id} and as {}", arrived.to, arrived.id))
        }
        _ => Ok(()),
    }
}
