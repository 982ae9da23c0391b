//! What peers are told in trouble: texts that tell one kind from another, and no cause.

use super::machine::Machine;
use super::told::Condition;
use crate::message::{EnhancedStatus, Reply};
use crate::storage::StoreError;

/// To a peer from outside that connects: refused where a connection would be of no use, or costs what is short.
pub(super) fn at_connect(machine: &Machine) -> Option<Reply> {
    let (condition, detail, text) = match machine.worst() {
        Condition::Failing if machine.holds(Condition::Full) => {
            (Condition::Full, 1, "there is no space left at all; try again later")
        }
        Condition::Failing => (Condition::Failing, 0, "storage does not work now; try again later"),
        _ if machine.holds(Condition::Memory) => {
            (Condition::Memory, 2, "too little memory for another connection; try again later")
        }
        _ => return None,
    };
    Some(Reply::new(421, EnhancedStatus::new(4, 3, detail), text).because(machine.reason(condition)))
}

/// To somebody who begins a message. Local programs are refused only what cannot be stored.
pub(super) fn at_begin(machine: &Machine, outside: bool) -> Option<Reply> {
    let reply = match machine.worst() {
        Condition::Low if outside => {
            Reply::new(452, EnhancedStatus::new(4, 3, 1), "little space is left for mail; try again later")
        }
        Condition::Memory if outside => Reply::new(
            452,
            EnhancedStatus::new(4, 3, 1),
            "too little memory for another message now; try again later",
        ),
        Condition::Slow if outside => {
            Reply::defer(3, 2, "storage is too slow for more messages now; try again later")
        }
        _ => return under_way(machine),
    };
    Some(reply.because(machine.reason(machine.worst())))
}

/// To somebody whose message is under way: what cannot be stored need not be sent.
pub(super) fn under_way(machine: &Machine) -> Option<Reply> {
    let (reply, condition) = match machine.worst() {
        _ if machine.holds(Condition::Full) => (no_space(), Condition::Full),
        Condition::Failing => (broken(), Condition::Failing),
        _ => return None,
    };
    Some(reply.because(machine.reason(condition)))
}

/// To whoever met the error itself.
pub(super) fn to_error(error: &StoreError) -> Reply {
    let reply = match error {
        StoreError::NoSpace(_) => no_space(),
        StoreError::TooLarge(_) => {
            let text =
                "the message cannot be stored: too much for one transaction; send it to fewer recipients";
            Reply::new(552, EnhancedStatus::new(5, 3, 4), text)
        }
        _ => broken(),
    };
    reply.because(error.to_string())
}

fn no_space() -> Reply {
    Reply::new(452, EnhancedStatus::new(4, 3, 1), "there is no space for mail now; try again later")
}

fn broken() -> Reply {
    Reply::defer(3, 0, "storage does not work now; try again later")
}
