//! Writing down: the batch that accepts a message, with what agents deliver at once inside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decide::{Copy, Part};
use super::expanded;
use super::judge;
use super::transaction::Transaction;
use crate::deliver::{Attempt, Destination, Outcome};
use crate::message::{Body, ChannelId, Kind, Mailbox, NextHop, Reply, Verdict};
use crate::preprocess::{Action, Decision};
use crate::queue::{self, Accepted, GroupId, HopKey, Maker, Message, Queued};
use crate::report::{self, Event, Reported, Told, What};
use crate::route::Way;
use crate::storage::Batch;

/// Parts that share channel, next hop and body.
struct Bundle {
    channel: ChannelId,
    hop: NextHop,
    agent: bool,
    body: Body,
    verdicts: Arc<[Verdict]>,
    destinations: Vec<Destination>,
    owners: Vec<usize>,
}

/// What goes into the batch that accepts.
#[derive(Default)]
pub(super) struct Written {
    pub(super) batch: Batch,
    pub(super) queued: Vec<Queued>,
    pub(super) events: Vec<Event>,
    pub(super) refused: BTreeMap<usize, Reply>,
    /// What the batch tells the sender.
    pub(super) told: Reported,
    /// What agents delivered, for the log.
    pub(super) delivered: Vec<(ChannelId, Mailbox, Reply)>,
}

impl Transaction {
    /// The batch that accepts the message. With `at_once`, agents deliver inside it.
    pub(super) async fn write_down(
        &self,
        copies: &[Copy],
        parts: &[Part],
        refused: &BTreeMap<usize, Reply>,
        at_once: bool,
    ) -> Result<Written, Reply> {
        let mut written = Written { refused: refused.clone(), ..Written::default() };
        let mut message = self.message(copies, parts);
        let later = self.envelope.release.is_some_and(|release| release.at > self.shared.clock.now());
        let mut waiting = Vec::new();
        let mut reports = self.expanded(parts);
        reports.extend(self.failed());
        for bundle in self.bundles(copies, parts, &mut written.events) {
            match (bundle.agent && at_once && !later, self.shared.agents.contains_key(&bundle.channel)) {
                (true, true) => {
                    waiting.extend(self.deliver(bundle, &message, &mut written, &mut reports).await)
                }
                _ => waiting.push(bundle),
            }
        }
        if self.connection.answers_each
            && written.refused.len() == self.recipients.len()
            && let Some(reply) = written.refused.values().next()
        {
            return Err(reply.clone());
        }
        let now = self.shared.clock.now();
        for (number, bundle) in waiting.into_iter().enumerate() {
            let hop = queue::hop_of(&self.shared, self.envelope.secrecy, bundle.channel, bundle.hop);
            let group = queue::group(&self.settings, now, &message, hop, bundle.destinations, bundle.body);
            let at = GroupId { id: self.id, group: number as u16 };
            written.queued.push(queue::insert(&mut written.batch, &message, at, &group));
        }
        self.report_success(&message, &copies[0].body, &reports, &mut written).await?;
        message.events = std::mem::take(&mut written.events);
        queue::put_message(&mut written.batch, self.id, &message);
        if let Some(once) = &self.once {
            once.add(&mut written.batch, now, self.id);
        }
        Ok(written)
    }

    /// Parts by what they share. What the policy discards ends here.
    fn bundles(&self, copies: &[Copy], parts: &[Part], events: &mut Vec<Event>) -> Vec<Bundle> {
        let mut bundles: Vec<Bundle> = Vec::new();
        let verdicts: Vec<Arc<[Verdict]>> =
            copies.iter().map(|copy| judge::plain(&copy.found).into()).collect();
        for part in parts {
            let (way, decision) = (&part.way, &part.decision);
            if decision.action == Action::Discard {
                let what = What::Discarded { mailbox: way.mailbox.clone(), decision: decision.clone() };
                events.push(Event { at: self.shared.clock.now(), what });
                continue;
            }
            let body = self.body_for(way, &copies[part.copy].body, decision);
            let most =
                self.shared.outputs.get(&way.channel).map_or(1000, |output| output.capabilities().recipients);
            let fits = |b: &&mut Bundle| {
                b.channel == way.channel && b.hop == way.hop && b.body == body && b.destinations.len() < most
            };
            let destination = expanded::destination(part, self.recipient_beyond(part.recipient));
            match bundles.iter_mut().find(fits) {
                Some(bundle) => {
                    bundle.destinations.push(destination);
                    bundle.owners.push(part.recipient);
                }
                None => bundles.push(Bundle {
                    channel: way.channel.clone(),
                    hop: way.hop.clone(),
                    agent: way.agent,
                    body,
                    verdicts: verdicts[part.copy].clone(),
                    destinations: vec![destination],
                    owners: vec![part.recipient],
                }),
            }
        }
        bundles
    }

    /// A channel's far side reads of the decision in a field; an agent is told it.
    fn body_for(&self, way: &Way, body: &Body, decision: &Decision) -> Body {
        match decision.action {
            Action::Tag | Action::Junk if !way.agent => {
                body.with_prefix(report::verdict_field(decision).as_bytes())
            }
            _ => body.clone(),
        }
    }

    /// Delivers a bundle inside the commit; gives back what has to wait.
    async fn deliver(
        &self,
        bundle: Bundle,
        message: &Message,
        written: &mut Written,
        reports: &mut Vec<Told>,
    ) -> Option<Bundle> {
        let agent = self.shared.agents.get(&bundle.channel)?.clone();
        let now = self.shared.clock.now();
        let attempt = Attempt {
            id: self.id,
            number: 1,
            envelope: Arc::new(self.envelope.clone()),
            body: bundle.body.clone(),
            blobs: self.shared.storage.blobs.clone(),
            destinations: bundle.destinations.clone(),
            verdicts: bundle.verdicts.clone(),
            upstream: None,
            arrived: self.id.arrived(),
            now,
        };
        let delivery = agent.deliver(&attempt).await;
        let all_done = delivery.outcomes.len() == bundle.destinations.len()
            && delivery.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(..)));
        if !all_done {
            return Some(bundle);
        }
        written.batch.merge(delivery.effects.batch);
        for submission in delivery.effects.submissions {
            let added = queue::put_submission(
                &self.shared,
                &self.settings,
                &mut written.batch,
                submission,
                Maker {
                    channel: bundle.channel.as_str(),
                    tenant: bundle.destinations.first().map(|d| d.mailbox.domain()),
                },
            );
            written.queued.extend(added.await.1);
        }
        for (destination, decision) in bundle.destinations.iter().zip(delivery.decisions) {
            if let Some(decision) = decision {
                let what = What::Decided { mailbox: destination.mailbox.clone(), decision };
                written.events.push(Event { at: now, what });
            }
        }
        let hop = HopKey { channel: bundle.channel.clone(), hop: bundle.hop.clone() };
        let group = queue::group(&self.settings, now, message, hop, bundle.destinations, bundle.body);
        let schedule = &self.settings.peers.at(&group.hop).schedule;
        let next = queue::settle(&group, &delivery.outcomes, now, true, schedule, &*self.shared.random);
        reports.extend(next.reports);
        for (destination, outcome) in group.destinations.iter().zip(&delivery.outcomes) {
            let (mailbox, reply) = (destination.mailbox.clone(), outcome.reply().clone());
            written.delivered.push((group.channel.clone(), mailbox, reply));
        }
        written.events.push(queue::attempt_event(&group, &delivery.outcomes, 1, None, now));
        None
    }

    /// What the sender wants to hear of success goes into the commit that accepts, or the message is not accepted.
    async fn report_success(
        &self,
        message: &Message,
        body: &Body,
        reports: &[Told],
        written: &mut Written,
    ) -> Result<(), Reply> {
        let batch = &mut written.batch;
        let issued = report::add(&self.shared, &self.settings, batch, self.id, message, body, reports).await;
        let issued = issued.map_err(|error| self.shared.health.failed(error))?;
        written.events.extend(issued.events);
        written.queued.extend(issued.queued);
        written.told = issued.told;
        Ok(())
    }

    /// Who will not get the message.
    fn failed(&self) -> impl Iterator<Item = Told> {
        self.failed.iter().map(|(recipient, reply)| {
            let (mailbox, decision) = (recipient.mailbox.clone(), self.settings.policy.decide(&[]));
            let destination = Destination { mailbox, detail: None, recipient: recipient.clone(), decision };
            Told::new(report::Action::Failed, &destination, reply)
        })
    }

    fn message(&self, copies: &[Copy], parts: &[Part]) -> Message {
        let mut verdicts: Vec<Verdict> = Vec::new();
        for (_, verdict) in copies.iter().flat_map(|copy| &copy.found) {
            if !verdicts.contains(verdict) {
                verdicts.push(verdict.clone());
            }
        }
        let recipients = self.recipients.iter().enumerate().map(|(at, (recipient, route))| Accepted {
            recipient: recipient.clone(),
            targets: route.ways.iter().map(queue::target).collect(),
            reason: route.reason.clone(),
            decision: parts
                .iter()
                .find(|part| part.recipient == at)
                .map_or_else(|| self.settings.policy.decide(&[]), |part| part.decision.clone()),
        });
        let failed = self.failed.iter().map(|(recipient, reply)| Accepted {
            recipient: recipient.clone(),
            targets: Vec::new(),
            reason: format!("not taken: {reply}"),
            decision: self.settings.policy.decide(&[]),
        });
        Message {
            kind: Kind::Ordinary,
            envelope: self.envelope.clone(),
            size: copies.first().map_or(0, |copy| copy.body.size()),
            arrived: self.id.arrived(),
            origin: self.connection.origin(),
            recipients: recipients.chain(failed).collect(),
            verdicts,
            events: Vec::new(),
        }
    }
}
