//! The rules: what must hold at every step, each a small function with the number it has among the invariants of the engine.
//!
//! They read the ledger and what was just seen, and say what is wrong. Numbers: I1 to I3 custody, I4 duplicates,
//! I5 reports, I6 time, I7 bodies, I19 and I21 bounds.

mod arrival;
mod attempt;
mod bounds;
mod custody;
mod end;
mod schedule;
mod told;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::ledger::{Arrived, Ledger};
use super::peers::Contact;
use super::report::Violation;
use super::{Links, SimPeers};
use crate::message::QueueId;
use crate::queue::Entry;
use crate::report::Story;
use crate::seam::Timestamp;

pub(super) use custody::{ending, whole_story};
pub(super) use end::Closing;

/// What a rule says: nothing, or what is wrong.
type Finding = Result<(), String>;

/// What is to be seen after a step.
pub(super) struct Sight<'a> {
    pub(super) now: Timestamp,
    /// The queue as it is durable.
    pub(super) entries: &'a [Entry],
    pub(super) waiting: &'a HashSet<(QueueId, &'a str)>,
    /// Stories of letters of which a way is not in the queue any more, and did not arrive.
    pub(super) stories: &'a HashMap<QueueId, Story>,
    pub(super) peers: &'a SimPeers,
    /// Places that the operator stopped, or may have.
    pub(super) paused: &'a BTreeSet<String>,
    pub(super) hosts: &'a [HostSight],
    /// How long nothing has disturbed the engine: no fault, crash, jump, or change.
    pub(super) calm: Duration,
    /// How long the engine waits for one attempt.
    pub(super) patience: Duration,
    /// The longest wait between two attempts.
    pub(super) longest_wait: Duration,
}

/// What is to be seen of one engine.
pub(super) struct HostSight {
    pub(super) workers: u64,
    pub(super) links: Vec<(String, Links)>,
    /// The largest bounds that held lately: links to one hop, and in all.
    pub(super) per_hop: usize,
    pub(super) in_all: usize,
    /// Whether another worker could be started.
    pub(super) free: bool,
}

impl HostSight {
    /// Whether no link was at work with a place for some seconds.
    fn is_idle(&self, place: &str) -> bool {
        let links =
            self.links.iter().find(|(name, _)| name == place).map(|(_, links)| *links).unwrap_or_default();
        links.busy == 0 && links.last.is_none_or(|last| last.elapsed() > IDLE)
    }
}

/// How long an engine may take to write down what came of an attempt.
const IDLE: Duration = Duration::from_secs(5);

/// The first rule that is broken.
fn first_broken(findings: impl Iterator<Item = (&'static str, Finding)>) -> Result<(), Violation> {
    for (rule, finding) in findings {
        finding.map_err(|what| Violation { rule, what })?;
    }
    Ok(())
}

/// Asks the rules about a contact that is not taken down yet.
pub(super) fn contact(ledger: &Ledger, contact: &Contact) -> Result<(), Violation> {
    type Rule = (&'static str, fn(&Ledger, &Contact) -> Finding);
    const RULES: [Rule; 3] = [
        ("I4 no second attempt after an answer", attempt::not_after_an_answer),
        ("I4 no attempt beside another", attempt::not_beside_another),
        ("I4 no attempt after the end", attempt::not_after_the_end),
    ];
    first_broken(RULES.iter().map(|(rule, holds)| (*rule, holds(ledger, contact))))
}

/// Asks the rules about a message that arrived and is not taken down yet.
pub(super) fn arrival(ledger: &Ledger, arrived: &Arrived<'_>) -> Result<(), Violation> {
    type Rule = (&'static str, fn(&Ledger, &Arrived<'_>) -> Finding);
    const RULES: [Rule; 10] = [
        ("I7 unchanged", arrival::unchanged),
        ("I2 nothing of what was refused", arrival::not_refused),
        ("I3 to whom it was sent", arrival::addressed),
        ("I6 not before its time", arrival::not_before_its_time),
        ("I4 once into a mailbox", arrival::once_locally),
        ("I4 one copy for a member", arrival::one_copy),
        ("I5 told to the sender, as wished", told::to_the_sender),
        ("I5 told once", told::once),
        ("I5 told what is true", told::true_failure),
        ("I6 not given up early", told::not_early),
    ];
    first_broken(RULES.iter().map(|(rule, holds)| (*rule, holds(ledger, arrived))))
}

/// Asks the rules about what is to be seen after a step.
pub(super) fn state(ledger: &Ledger, sight: &Sight<'_>) -> Result<(), Violation> {
    type Rule = (&'static str, fn(&Ledger, &Sight<'_>) -> Finding);
    const RULES: [Rule; 7] = [
        ("I3 accepted = delivered + bounced + queued", custody::accounted),
        ("I6 expiry does not move", schedule::expiry_is_fixed),
        ("I6 never put off beyond expiry", schedule::within_expiry),
        ("I6 expiry holds", schedule::nothing_outlives_expiry),
        ("I21 nothing due is forgotten", schedule::nothing_overdue),
        ("I19 workers are bounded", bounds::workers),
        ("I19 links are bounded", bounds::links),
    ];
    first_broken(RULES.iter().map(|(rule, holds)| (*rule, holds(ledger, sight))))
}

/// Asks the rules about the end, when everything outside was well for long enough.
pub(super) fn end(ledger: &Ledger, closing: &Closing<'_>) -> Result<(), Violation> {
    type Rule = (&'static str, fn(&Ledger, &Closing<'_>) -> Finding);
    const RULES: [Rule; 5] = [
        ("the queue empties", end::empty),
        ("I3 every account is closed", end::closed),
        ("I3 copies of lists arrive", end::copies),
        ("I5 failure is told", end::failure_is_told),
        ("no body outlives its owners", end::no_leak),
    ];
    first_broken(RULES.iter().map(|(rule, holds)| (*rule, holds(ledger, closing))))
}
