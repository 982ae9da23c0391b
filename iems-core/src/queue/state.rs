//! The state machine of a group: pure functions from what is, and what came out, to what is next.
//! The table they implement stands in the opening of [`super`].

use super::backoff::Schedule;
use super::record::{Group, State};
use crate::deliver::{Arrival, Destination, Outcome};
use crate::message::{EnhancedStatus, Reply};
use crate::report::{Action, Told};
use crate::seam::{Random, Timestamp};

/// What follows from an attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Next {
    /// The group as it waits on, if anybody is left.
    pub(crate) group: Option<Group>,
    /// What there is to tell. Failures are all here: who hears of them depends on more than their recipient.
    pub(crate) reports: Vec<Told>,
    /// Those whose time was over.
    pub(crate) expired: Vec<Destination>,
}

/// Takes the outcomes of an attempt that ended `now`. A destination without outcome is deferred. `over` says whether the
/// clock is to be believed about warnings and ends.
pub(crate) fn settle(
    group: &Group,
    outcomes: &[Outcome],
    now: Timestamp,
    over: bool,
    schedule: &Schedule,
    random: &dyn Random,
) -> Next {
    let missing = Outcome::deferred(4, 2, "the attempt ended without an answer");
    let mut next = Next { group: None, reports: Vec::new(), expired: Vec::new() };
    let mut waiting = Vec::new();
    let mut last_reply = None;
    for (at, destination) in group.destinations.iter().enumerate() {
        match outcomes.get(at).unwrap_or(&missing) {
            Outcome::Done(arrival, reply) => done(*arrival, destination, reply, &mut next),
            Outcome::Failed(reply) => failed(destination, reply, &mut next),
            Outcome::Deferred(reply) if over && now >= group.expires => {
                expired(destination, reply, &mut next)
            }
            Outcome::Deferred(reply) => {
                last_reply = Some(reply.clone());
                waiting.push(destination.clone());
            }
        }
    }
    if !waiting.is_empty() {
        let warns = over && group.warn.is_some_and(|warn| now >= warn);
        let mut left = wait_on(group, waiting, last_reply, now, schedule, random);
        if warns {
            next.reports.extend(warn(&mut left));
        }
        next.group = Some(left);
    }
    next
}

fn done(arrival: Arrival, destination: &Destination, reply: &Reply, next: &mut Next) {
    let action = match arrival {
        Arrival::Delivered => Action::Delivered,
        Arrival::RelayedWithoutDsn => Action::Relayed,
        Arrival::Expanded => Action::Expanded,
        Arrival::Relayed => return,
        Arrival::RelayedAndTold => {
            next.reports.push(Told::new(Action::Relayed, destination, reply).insisted());
            return;
        }
    };
    if destination.recipient.notify().success {
        next.reports.push(Told::new(action, destination, reply));
    }
}

fn failed(destination: &Destination, reply: &Reply, next: &mut Next) {
    next.reports.push(Told::new(Action::Failed, destination, reply));
}

fn expired(destination: &Destination, last: &Reply, next: &mut Next) {
    next.expired.push(destination.clone());
    let text = format!("not delivered in time; the last answer was: {last}");
    let mut reply = Reply::new(550, EnhancedStatus::new(5, 4, 7), text).because(last.to_string());
    reply.remote = last.remote.clone();
    failed(destination, &reply, next);
}

/// What is due without an attempt: the warning, or the end. `last` is the answer to tell of.
pub(crate) fn lapse(group: &Group, now: Timestamp, last: &Reply) -> Next {
    let mut next = Next { group: None, reports: Vec::new(), expired: Vec::new() };
    if now >= group.expires {
        group.destinations.iter().for_each(|destination| expired(destination, last, &mut next));
        next.reports = next.reports.into_iter().map(Told::untried).collect();
        return next;
    }
    let mut left = group.clone();
    if left.warn.take_if(|warn| now >= *warn).is_some() {
        let told = group.destinations.iter().filter(|d| d.recipient.notify().delay);
        next.reports.extend(told.map(|d| Told::new(Action::Delayed, d, last).until(group.expires).untried()));
    }
    next.group = Some(left);
    next
}

/// What follows when an operator gives a group up: its recipients fail with this reply.
pub(crate) fn bounce(group: &Group, reply: &Reply) -> Next {
    let mut next = Next::default();
    group.destinations.iter().for_each(|destination| failed(destination, reply, &mut next));
    next
}

/// What there is to tell of a group that got no answer so far.
pub(crate) fn waits() -> Reply {
    Reply::defer(4, 7, "the message is still waiting")
}

/// The group after an attempt that did not end it.
fn wait_on(
    group: &Group,
    waiting: Vec<Destination>,
    last_reply: Option<Reply>,
    now: Timestamp,
    schedule: &Schedule,
    random: &dyn Random,
) -> Group {
    let attempts = group.attempts + 1;
    // Beyond its end there is nothing to wait for, unless that end is doubted.
    let end = if now < group.expires { group.expires } else { Timestamp::from_millis(u64::MAX) };
    let due = schedule.next(attempts, now, end, random);
    let state = if group.state == State::Held { State::Held } else { State::Deferred };
    Group { destinations: waiting, state, attempts, due, last_reply, ..group.clone() }
}

/// Warns those who wish it, once.
fn warn(left: &mut Group) -> Vec<Told> {
    left.warn = None;
    let reply = left.last_reply.clone().unwrap_or_else(waits);
    let concerned = left.destinations.iter().filter(|d| d.recipient.notify().delay);
    concerned.map(|d| Told::new(Action::Delayed, d, &reply).until(left.expires)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Body, ChannelId, NextHop, Notify, Recipient};
    use crate::preprocess::Policy;
    use crate::seam::SeededRandom;
    use crate::storage::BlobId;
    use std::time::Duration;

    fn group(names: &[&str]) -> Group {
        let destination = |name: &&str| Destination {
            mailbox: name.parse().unwrap(),
            detail: None,
            recipient: Recipient::new(name.parse().unwrap()),
            decision: Policy::new().decide(&[]),
        };
        Group {
            channel: ChannelId::new("smtp"),
            hop: NextHop::new("example.org"),
            destinations: names.iter().map(destination).collect(),
            body: Body { prefix: Default::default(), blob: BlobId([0; 32]), blob_size: 0, header_size: 0 },
            state: State::Waiting,
            lane: crate::queue::lane::Lane::new(0, "s@x.example"),
            attempts: 0,
            due: Timestamp::from_millis(0),
            expires: Timestamp::from_millis(0).after(Duration::from_secs(3600)),
            warn: Some(Timestamp::from_millis(0).after(Duration::from_secs(600))),
            last_reply: None,
        }
    }

    fn run(group: &Group, outcomes: &[Outcome], secs: u64) -> Next {
        settle(
            group,
            outcomes,
            Timestamp::from_millis(1000 * secs),
            true,
            &Schedule::default(),
            &SeededRandom::new(1),
        )
    }

    #[test]
    fn each_recipient_has_its_own_end() {
        let ok = Outcome::Done(Arrival::Relayed, Reply::new(250, EnhancedStatus::new(2, 0, 0), "ok"));
        let no = Outcome::Failed(Reply::refuse(1, 1, "nobody"));
        let next = run(&group(&["a@x.example", "b@x.example", "c@x.example"]), &[ok, no], 1);
        let left = next.group.unwrap();
        assert_eq!(left.destinations.len(), 1);
        assert_eq!(left.destinations[0].mailbox.to_string(), "c@x.example");
        assert_eq!((left.attempts, left.state), (1, State::Deferred));
        assert_eq!(next.reports.len(), 1);
        assert_eq!(next.reports[0].action, Action::Failed);
    }

    #[test]
    fn a_delay_is_told_once() {
        let later = [Outcome::deferred(4, 1, "no")];
        let first = run(&group(&["a@x.example"]), &later, 601);
        assert_eq!(first.reports[0].action, Action::Delayed);
        assert_eq!(first.reports[0].until, Some(group(&[]).expires), "the group's own expiry");
        let second = run(&first.group.unwrap(), &later, 700);
        assert!(second.reports.is_empty());
    }

    #[test]
    fn expiry_ends_what_is_deferred_and_never_asks_of_notify() {
        let mut waiting = group(&["a@x.example", "b@x.example"]);
        waiting.destinations[1].recipient.notify = Some(Notify::NEVER);
        let next = run(&waiting, &[], 3600);
        assert!(next.group.is_none());
        assert_eq!((next.expired.len(), next.reports.len()), (2, 2));
        assert_eq!(next.reports[0].reply.enhanced, EnhancedStatus::new(5, 4, 7));
    }

    #[test]
    fn a_clock_that_is_doubted_ends_and_warns_nothing() {
        let (waiting, late) = (group(&["a@x.example"]), Timestamp::from_millis(1 << 40));
        let next = settle(&waiting, &[], late, false, &Schedule::default(), &SeededRandom::new(1));
        let left = next.group.unwrap();
        assert!(next.reports.is_empty() && next.expired.is_empty());
        assert!(left.due > late && left.warn == waiting.warn && left.expires == waiting.expires);
    }

    #[test]
    fn a_deadline_needs_no_attempt() {
        let waiting = group(&["a@x.example"]);
        let at = |secs: u64| Timestamp::from_millis(secs * 1000);
        let warned = lapse(&waiting, at(600), &waits());
        assert_eq!(warned.reports[0].action, Action::Delayed);
        let left = warned.group.unwrap();
        assert_eq!((left.warn, left.state, left.attempts, left.due), (None, State::Waiting, 0, waiting.due));
        let ended = lapse(&left, at(3600), &Reply::defer(4, 1, "the site is down"));
        assert!(ended.group.is_none() && ended.reports[0].reply.text.contains("the site is down"));
    }

    #[test]
    fn what_is_held_while_it_is_tried_stays_held() {
        let held = Group { state: State::Held, ..group(&["a@x.example"]) };
        assert_eq!(run(&held, &[Outcome::deferred(4, 1, "no")], 5).group.unwrap().state, State::Held);
    }
}
