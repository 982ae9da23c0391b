//! Custody: each recipient that was accepted is in the queue, or has one end that the story names.

use super::{Finding, Sight};
use crate::deliver::Outcome;
use crate::message::Mailbox;
use crate::report::{Story, What};
use crate::route::UNROUTED;
use crate::seam::Timestamp;
use crate::sim::ledger::Ledger;
use crate::sim::letter::{End, Way};

/// Every open way is in the queue, or ended as its story says.
pub(super) fn accounted(ledger: &Ledger, sight: &Sight<'_>) -> Finding {
    for key in &ledger.open {
        let Some(way) = ledger.ways.get(key) else { continue };
        let Some(id) = ledger.id_of(way) else { continue };
        if sight.waiting.contains(&(id, way.to.as_str())) || way.is_delivered() {
            continue;
        }
        let Some(story) = sight.stories.get(&id) else {
            return Err(format!("{id} for {} has no story and is not in the queue", way.to));
        };
        let Some((end, at)) = ending(way, story) else {
            return Err(format!("{id} for {} is lost. Its story:\n{story}", way.to));
        };
        ended_rightly(ledger, way, story, end, at)?;
    }
    Ok(())
}

/// How the wait of a way that did not arrive ended, as its story tells it.
pub(crate) fn ending(way: &Way, story: &Story) -> Option<(End, Timestamp)> {
    let is_it = |mailbox: &Mailbox| mailbox.to_string() == way.to;
    let refused =
        |(mailbox, outcome): &(Mailbox, Outcome)| is_it(mailbox) && matches!(outcome, Outcome::Failed(_));
    let routed =
        |(mailbox, outcome): &(Mailbox, Outcome)| is_it(mailbox) && matches!(outcome, Outcome::Done(..));
    story.events.iter().find_map(|event| {
        let end = match &event.what {
            // What could not be routed when it was sent on goes as one more message.
            What::Attempt { channel, outcomes, .. }
                if way.id.is_some() && channel.as_str() == UNROUTED && outcomes.iter().any(routed) =>
            {
                End::Redirected
            }
            What::Attempt { outcomes, .. } if outcomes.iter().any(refused) => End::Bounced,
            What::Expired { mailbox } if is_it(mailbox) => End::Expired,
            What::Administered { action } if action == "purge" && way.dismissed => End::Purged,
            What::Bounced { mailboxes, .. } if way.dismissed && mailboxes.iter().any(is_it) => End::Bounced,
            What::Redirected { mailboxes, .. } if mailboxes.iter().any(is_it) => End::Redirected,
            _ => return None,
        };
        Some((end, event.at))
    })
}

/// Nobody is given up without a cause, and the sender is told in the same commit.
fn ended_rightly(ledger: &Ledger, way: &Way, story: &Story, end: End, at: Timestamp) -> Finding {
    let place = way.to.rsplit('@').next().unwrap_or_default();
    let refusable = way.never
        || ledger.closed.contains(place)
        || (way.rerouted && !ledger.closed.is_empty())
        || (way.is_local() && ledger.boxes_refuse)
        || way.dismissed;
    if end == End::Bounced && !refusable {
        return Err(format!("{} for {} bounced, and nobody refused it:\n{story}", story.id, way.to));
    }
    let told = |what: &What| match way.sender {
        Some(_) => matches!(what, What::Reported { .. }),
        None => matches!(what, What::Reported { .. } | What::NotReported { .. }),
    };
    let failed = matches!(end, End::Bounced | End::Expired);
    let is_told = story.events.iter().any(|event| event.at.after(ledger.set_back) >= at && told(&event.what));
    if failed && way.notify.failure && !is_told {
        return Err(format!("{} for {} failed, and nobody was told:\n{story}", story.id, way.to));
    }
    Ok(())
}

/// The recipients that the story has are those that were accepted.
pub(crate) fn whole_story(story: &Story, recipients: &std::collections::BTreeSet<String>) -> Finding {
    let known: std::collections::BTreeSet<String> =
        story.message.recipients.iter().map(|accepted| accepted.recipient.mailbox.to_string()).collect();
    match known == *recipients {
        true => Ok(()),
        false => Err(format!("{} was accepted for {recipients:?}, and is kept for {known:?}", story.id)),
    }
}
