//! Rules about reports: who is told what, how often, and whether it is so.

use super::Finding;
use crate::sim::ledger::{Arrived, Ledger, kind};
use crate::sim::letter::Way;
use crate::sim::{Seen, Told};

/// Asks `holds` about each recipient of a report that was not seen before. Of a notice about a report, which names the
/// sender of a letter as its recipient, nothing is asked.
fn each(ledger: &Ledger, arrived: &Arrived<'_>, holds: impl Fn(u64, &Told) -> Finding) -> Finding {
    let (number, all) = match arrived.seen {
        Seen::Report { about: Some(number), told } | Seen::Notice { about: Some(number), told } => {
            (*number, told)
        }
        _ => return Ok(()),
    };
    let about_letter = |told: &&Told| !ledger.is_told_about(number, &told.recipient);
    match ledger.reports.contains(&arrived.id) {
        true => Ok(()),
        false => all.iter().filter(about_letter).try_for_each(|told| holds(number, told)),
    }
}

/// Reports go to the sender, about what was wished; notices to the postmaster, about what has no sender.
pub(super) fn to_the_sender(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    let is_notice = matches!(arrived.seen, Seen::Notice { .. });
    each(ledger, arrived, |number, told| {
        let wished = ledger.ways_of(number, &told.recipient).any(|way| {
            let wish = [way.notify.failure, way.notify.delay, way.notify.success][kind(&told.action)];
            match &way.sender {
                Some(sender) => wish && !is_notice && sender == arrived.to,
                None => is_notice && told.action == "failed",
            }
        });
        match wished {
            true => Ok(()),
            false => Err(format!("{} is told of letter {number}, which nobody wished: {told:?}", arrived.to)),
        }
    })
}

/// Each recipient's failure, delay and success is told at most once for each way that it leads.
pub(super) fn once(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    each(ledger, arrived, |number, told| {
        let ways = ledger.ways_of(number, &told.recipient).count() as u64;
        let before = ledger.ways_of(number, &told.recipient).map(|way| way.told[kind(&told.action)]).max();
        match before.unwrap_or(0) < ways {
            true => Ok(()),
            false => Err(format!("{} is told again of letter {number}: {told:?}", arrived.to)),
        }
    })
}

/// Failure is told of what failed: not of what arrived, unless the engine could not know, or the one that knew was taken for dead.
pub(super) fn true_failure(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    each(ledger, arrived, |number, told| {
        let mut ways = ledger.ways_of(number, &told.recipient).peekable();
        let known_to = |way: &Way| ledger.id_of(way).and_then(|id| ledger.track(id, &way.to).ended);
        let excused = |way: &Way| way.excused || known_to(way).is_some_and(|by| ledger.shaky.contains(&by));
        let all_arrived = ways.peek().is_some() && ways.all(|way| way.is_delivered() && !excused(way));
        match told.action == "failed" && all_arrived {
            true => Err(format!("failure of letter {number} is told, and it arrived: {told:?}")),
            false => Ok(()),
        }
    })
}

/// Nothing is given up before its time.
pub(super) fn not_early(ledger: &Ledger, arrived: &Arrived<'_>) -> Finding {
    each(ledger, arrived, |number, told| {
        let waited = ledger.letters.get(&number).map(|letter| ledger.elapsed.saturating_sub(letter.accepted));
        let early = waited.is_some_and(|waited| waited + ledger.leapt < ledger.lifetime);
        match told.status == "5.4.7" && early {
            true => Err(format!("letter {number} is given up after {waited:?}: {told:?}")),
            false => Ok(()),
        }
    })
}
