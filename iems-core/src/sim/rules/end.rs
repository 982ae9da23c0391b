//! Rules about the end, when everything outside was well for long enough: the queue is empty and every account is closed.

use std::collections::HashMap;

use super::{Finding, ending};
use crate::message::{ChannelId, QueueId};
use crate::queue::Entry;
use crate::report::{Story, What};
use crate::route::UNROUTED;
use crate::sim::ledger::Ledger;
use crate::sim::letter::{End, Fate, Way};

/// What is to be seen at the end.
pub(crate) struct Closing<'a> {
    /// What still waits.
    pub(crate) entries: &'a [Entry],
    /// Stories of letters of which a way did not arrive, and of the reports about them.
    pub(crate) stories: &'a HashMap<QueueId, Story>,
    /// Bodies that are kept, though the queue and the mailboxes are empty.
    pub(crate) bodies: usize,
}

pub(super) fn empty(_: &Ledger, closing: &Closing<'_>) -> Finding {
    match closing.entries.first() {
        Some(entry) => Err(format!("{} wait, one of them {entry:?}", closing.entries.len())),
        None => Ok(()),
    }
}

pub(super) fn closed(ledger: &Ledger, _: &Closing<'_>) -> Finding {
    if let Some((number, _)) = ledger.letters.iter().find(|(_, letter)| letter.fate == Fate::Pending) {
        return Err(format!("letter {number} is neither accepted nor refused"));
    }
    match ledger.open.first() {
        Some((number, to)) => Err(format!("letter {number} for {to} has no end")),
        None => Ok(()),
    }
}

pub(super) fn copies(ledger: &Ledger, _: &Closing<'_>) -> Finding {
    let expanded = |way: &Way| ledger.way(way.number, "list@here.example").is_some_and(Way::is_delivered);
    let lost =
        |way: &&Way| way.copy && expanded(way) && !way.is_delivered() && way.told[0] == 0 && !way.dismissed;
    match ledger.ways.values().find(lost) {
        Some(way) => Err(format!("the copy of letter {} for {} is lost", way.number, way.to)),
        None => Ok(()),
    }
}

/// Whoever is one of ours and wished to know has been told; unless the report itself had an end of its own.
pub(super) fn failure_is_told(ledger: &Ledger, closing: &Closing<'_>) -> Finding {
    let failed = |way: &&Way| matches!(way.end, Some(End::Bounced | End::Expired)) && way.must_tell();
    let ours = |way: &&Way| way.sender.as_deref().is_some_and(|sender| sender.ends_with("@here.example"));
    for way in ledger.ways.values().filter(failed).filter(ours).filter(|way| way.told[0] == 0) {
        let story = ledger.id_of(way).and_then(|id| closing.stories.get(&id));
        if !story.is_some_and(|story| report_ended(ledger, story, way, closing)) {
            let told = story.map_or_else(|| "it has no story".to_owned(), |story| reports(story, closing));
            let (number, to) = (way.number, &way.to);
            return Err(format!("letter {number} for {to} failed, and its sender does not know: {told}"));
        }
    }
    Ok(())
}

/// Whether the report of what ended a way did not reach its reader for a cause that its own story names.
fn report_ended(ledger: &Ledger, story: &Story, way: &Way, closing: &Closing<'_>) -> bool {
    let Some((_, at)) = ending(way, story) else { return false };
    story.events.iter().filter(|event| event.at.after(ledger.set_back) >= at).any(|event| {
        let What::Reported { report, .. } = &event.what else { return false };
        let story = report.parse().ok().and_then(|id: QueueId| closing.stories.get(&id));
        story.is_some_and(|story| {
            let ends = |what: &What| {
                // What was routed late went on as a message of its own, which may have ended like that too.
                let late = |what: &What| matches!(what, What::Attempt { channel, .. } if *channel == ChannelId::new(UNROUTED));
                matches!(what, What::Expired { .. } | What::Administered { .. } | What::Bounced { .. }) || late(what)
            };
            story.events.iter().any(|event| ends(&event.what))
        })
    })
}

pub(super) fn no_leak(_: &Ledger, closing: &Closing<'_>) -> Finding {
    match closing.bodies {
        0 => Ok(()),
        kept => Err(format!("{kept} bodies are kept, and nothing is left that they belong to")),
    }
}

/// The story of a letter and those of the reports about it, for people.
fn reports(story: &Story, closing: &Closing<'_>) -> String {
    let mut text = format!("\n{story}");
    for event in &story.events {
        if let What::Reported { report, .. } = &event.what
            && let Some(report) = report.parse().ok().and_then(|id: QueueId| closing.stories.get(&id))
        {
            text += &format!("\n{report}");
        }
    }
    text
}
