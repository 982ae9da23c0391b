//! Commit: the body is complete. Judge it, decide, deliver what can be delivered at once, and make all
//! of it durable in one batch; only then is the message ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::judge;
use super::transaction::{Receipt, Transaction};
use crate::deliver::{Attempt, Destination, Outcome};
use crate::message::{Body, ChannelId, EnhancedStatus, NextHop, Reply, Verdict};
use crate::preprocess::{self, Action, Decision, Edit, Findings, Found, Stage, Subject};
use crate::queue::{self, Accepted, GroupId, Message, Queued};
use crate::report::{self, Event, What};
use crate::route::Way;
use crate::storage::{Batch, CommitError};

/// How often delivery inside the commit is tried before the message waits in the queue instead.
const TRIES: u32 = 3;

/// A body and the verdicts that recipients with the same modules share.
struct Copy {
    flow: Vec<usize>,
    body: Body,
    found: Vec<Found>,
}

/// One way of one recipient, decided.
struct Part {
    recipient: usize,
    copy: usize,
    way: Way,
    decision: Decision,
}

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
struct Written {
    batch: Batch,
    queued: Vec<Queued>,
    events: Vec<Event>,
    refused: BTreeMap<usize, Reply>,
    delivered: u64,
}

impl Transaction {
    /// The body is complete. Judges it, decides, and makes it durable; only then returns.
    /// Dropping the future gives the message up, unless its commit was under way: then it is there whole or not at all.
    pub async fn commit(mut self) -> Result<Receipt, Reply> {
        let outcome = self.accept().await;
        let counter = match &outcome {
            Ok(_) => &self.shared.metrics.accepted,
            Err(_) => &self.shared.metrics.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    async fn accept(&mut self) -> Result<Receipt, Reply> {
        if self.recipients.is_empty() {
            return Err(Reply::new(554, EnhancedStatus::new(5, 5, 1), "no valid recipients"));
        }
        let body = self.seal().await?;
        let copies = self.copies(body).await?;
        let mut refused = BTreeMap::new();
        let parts = self.decide(&copies, &mut refused)?;
        for attempt in 1..=TRIES + 1 {
            let written = self.write_down(&copies, &parts, &refused, attempt <= TRIES).await?;
            let Written { batch, queued, refused, delivered, .. } = written;
            match self.shared.storage.store.commit(batch).await {
                Ok(_) => return Ok(self.accepted(queued, refused, delivered)),
                Err(CommitError::Conflict) if attempt <= TRIES => continue,
                Err(error) => {
                    self.shared.runner.queued(queued); // if it took effect all the same, it is found
                    return Err(self.shared.health.commit(error));
                }
            }
        }
        Err(self.shared.health.commit(CommitError::Conflict))
    }

    fn accepted(&self, queued: Vec<Queued>, mut refused: BTreeMap<usize, Reply>, delivered: u64) -> Receipt {
        self.shared.metrics.delivered.fetch_add(delivered, Ordering::Relaxed);
        self.shared.runner.queued(queued);
        let recipients =
            (0..self.recipients.len()).map(|at| refused.remove(&at).map_or(Ok(()), Err)).collect();
        let (id, sender, size) = (self.id, &self.envelope.sender, self.spool.size);
        tracing::info!(%id, %sender, size, recipients = self.recipients.len(), delivered, channel = %self.connection.channel, "accepted");
        Receipt { id, recipients }
    }

    /// Ends the spool: loops are refused, foreign verdict fields removed, missing fields of submissions added.
    async fn seal(&mut self) -> Result<Body, Reply> {
        if let Some(trouble) = &self.spool.trouble {
            return Err(trouble.clone());
        }
        if self.spool.writer.is_none() {
            self.open_spool().await?;
        }
        if !self.spool.ended {
            self.write(Bytes::from_static(b"\r\n")).await?; // a last line that BDAT left open
        }
        let hostname = &self.shared.hostname;
        let spool = &mut self.spool;
        spool.scan.finish(hostname);
        let (hops, own) = (spool.scan.hops().saturating_sub(1), spool.scan.own_hops());
        if hops > self.settings.limits.hops || own > self.settings.limits.own_hops {
            let reply = Reply::new(554, EnhancedStatus::new(5, 4, 6), "the message goes round in circles");
            return Err(reply.because(format!("{hops} Received fields, {own} of them ours")));
        }
        if spool.scan.is_overrun() {
            let text = "the message has too many header fields whose names begin with X-IEMS-";
            return Err(Reply::new(554, EnhancedStatus::new(5, 6, 0), text));
        }
        let Some(writer) = spool.writer.take() else {
            return Err(Reply::defer(3, 0, "the message could not be stored"));
        };
        let blob = writer.finish().await.map_err(|e| self.shared.health.storage(e))?;
        let (blob_size, header_size) = (spool.front + spool.size, spool.scan.header_size());
        let body = Body { prefix: Default::default(), blob, blob_size, header_size };
        let forged: Vec<Edit> = spool
            .scan
            .foreign()
            .iter()
            .map(|range| Edit::Splice { range: range.clone(), with: Default::default() })
            .collect();
        let body = match forged.is_empty() {
            true => body,
            false => self.edit(&body, &forged).await?.0,
        };
        Ok(self.with_missing_fields(body))
    }

    async fn edit(&self, body: &Body, edits: &[Edit]) -> Result<(Body, Vec<String>), Reply> {
        let edited = preprocess::apply(body, edits, &*self.shared.storage.blobs).await;
        edited.map_err(|e| self.shared.health.storage(e))
    }

    /// RFC 6409 section 8: a submission server may add `Date` and `Message-ID`.
    fn with_missing_fields(&self, body: Body) -> Body {
        if !self.connection.submission {
            return body;
        }
        let mut fields = String::new();
        if !self.spool.scan.has_date() {
            fields.push_str(&format!("Date: {}\r\n", self.id.arrived().to_rfc5322()));
        }
        if !self.spool.scan.has_message_id() {
            fields.push_str(&format!("Message-ID: <{}@{}>\r\n", self.id, self.shared.hostname));
        }
        if fields.is_empty() { body } else { body.with_prefix(fields.as_bytes()) }
    }

    /// One copy for each set of modules that some way of some recipient runs.
    async fn copies(&self, body: Body) -> Result<Vec<Copy>, Reply> {
        let mut copies: Vec<Copy> = Vec::new();
        let mut known: BTreeMap<usize, Findings> = BTreeMap::new();
        for way in self.recipients.iter().flat_map(|(_, route)| &route.ways) {
            let flow = self.shared.chain.on_flow(&self.connection.channel, &way.channel);
            if copies.iter().all(|copy| copy.flow != flow) {
                copies.push(self.copy(flow, body.clone(), &mut known).await?);
            }
        }
        Ok(copies)
    }

    async fn copy(
        &self,
        flow: Vec<usize>,
        body: Body,
        known: &mut BTreeMap<usize, Findings>,
    ) -> Result<Copy, Reply> {
        let found = self.found.iter().filter(|(at, _)| flow.contains(at)).cloned().collect();
        let mut copy = Copy { flow, body, found };
        let mut original = true;
        for at in copy.flow.clone() {
            let findings = match known.get(&at) {
                Some(findings) if original => findings.clone(),
                _ => {
                    let findings = self.inspect(at, &copy).await;
                    if original {
                        known.insert(at, findings.clone());
                    }
                    findings
                }
            };
            copy.found.extend(findings.verdicts.into_iter().map(|verdict| (at, verdict)));
            if !findings.edits.is_empty() {
                let (edited, dropped) = self.edit(&copy.body, &findings.edits).await?;
                for why in dropped {
                    let module = self.shared.chain.modules[at].preprocessor.id();
                    tracing::warn!(id = %self.id, module, why, "an edit was left out");
                }
                original &= edited == copy.body;
                copy.body = edited;
            }
        }
        Ok(copy)
    }

    async fn inspect(&self, at: usize, copy: &Copy) -> Findings {
        let mailboxes: Vec<_> =
            self.recipients.iter().map(|(recipient, _)| recipient.mailbox.clone()).collect();
        let verdicts = judge::plain(&copy.found);
        let subject = Subject {
            stage: Stage::Body,
            connection: &self.connection,
            envelope: Some(&self.envelope),
            recipients: &mailboxes,
            body: Some((&copy.body, &self.shared.storage.blobs)),
            verdicts: &verdicts,
        };
        self.shared.chain.run(at, &subject, &*self.shared.clock).await
    }

    /// What the site's floor, and the default of channels that cannot decide, do with each way.
    fn decide(&self, copies: &[Copy], refused: &mut BTreeMap<usize, Reply>) -> Result<Vec<Part>, Reply> {
        let mut parts = Vec::new();
        for (recipient, (_, route)) in self.recipients.iter().enumerate() {
            for way in &route.ways {
                let flow = self.shared.chain.on_flow(&self.connection.channel, &way.channel);
                let copy = copies.iter().position(|copy| copy.flow == flow).unwrap_or_default();
                let decision = self.decide_way(way, &copies[copy]);
                if let Some(reply) = judge::refusal(&decision) {
                    refused.insert(recipient, reply);
                }
                parts.push(Part { recipient, copy, way: way.clone(), decision });
            }
        }
        match refused.values().next() {
            Some(reply) if refused.len() == self.recipients.len() => return Err(reply.clone()),
            Some(_) if self.connection.answers_each => {
                parts.retain(|part| !refused.contains_key(&part.recipient))
            }
            Some(_) => soften(&mut parts, refused),
            None => {}
        }
        Ok(parts)
    }

    fn decide_way(&self, way: &Way, copy: &Copy) -> Decision {
        let verdicts = judge::plain(&copy.found);
        let output = self.shared.outputs.get(&way.channel);
        match (output, self.settings.channel_policies.get(&way.channel)) {
            (Some(output), Some(default)) if !output.capabilities().decides => {
                self.settings.policy.clone().and(default).decide(&verdicts)
            }
            _ => self.settings.policy.decide(&verdicts),
        }
    }

    /// The batch that accepts the message. With `at_once`, agents deliver inside it.
    async fn write_down(
        &self,
        copies: &[Copy],
        parts: &[Part],
        refused: &BTreeMap<usize, Reply>,
        at_once: bool,
    ) -> Result<Written, Reply> {
        let mut written = Written { refused: refused.clone(), ..Written::default() };
        let mut waiting = Vec::new();
        let mut reports = Vec::new();
        for bundle in self.bundles(copies, parts, &mut written.events) {
            match (bundle.agent && at_once, self.shared.agents.contains_key(&bundle.channel)) {
                (true, true) => waiting.extend(self.deliver(bundle, &mut written, &mut reports).await),
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
            let group = queue::group(
                &self.settings,
                now,
                bundle.channel,
                bundle.hop,
                bundle.destinations,
                bundle.body,
            );
            let at = GroupId { id: self.id, group: number as u16 };
            written.queued.push(queue::put_group(&mut written.batch, at, &group));
        }
        let mut message = self.message(copies, parts, Vec::new());
        self.report_success(&message, &copies[0].body, reports, &mut written).await;
        message.events = std::mem::take(&mut written.events);
        queue::put_message(&mut written.batch, self.id, &message);
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
            let destination = Destination {
                mailbox: way.mailbox.clone(),
                detail: way.detail.clone(),
                recipient: self.recipients[part.recipient].0.clone(),
                decision: decision.clone(),
            };
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
        written: &mut Written,
        reports: &mut Vec<(queue::Report, Destination, Reply)>,
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
                bundle.channel.as_str(),
            );
            written.queued.extend(added.await.1);
        }
        for (destination, decision) in bundle.destinations.iter().zip(delivery.decisions) {
            if let Some(decision) = decision {
                let what = What::Decided { mailbox: destination.mailbox.clone(), decision };
                written.events.push(Event { at: now, what });
            }
        }
        let group = queue::group(
            &self.settings,
            now,
            bundle.channel.clone(),
            bundle.hop.clone(),
            bundle.destinations,
            bundle.body,
        );
        let next =
            queue::settle(&group, &delivery.outcomes, now, &self.settings.schedule, &*self.shared.random);
        reports.extend(next.reports);
        written.delivered += delivery.outcomes.len() as u64;
        written.events.push(queue::attempt_event(&group, &delivery.outcomes, 1, None, now));
        None
    }

    async fn report_success(
        &self,
        message: &Message,
        body: &Body,
        reports: Vec<(queue::Report, Destination, Reply)>,
        written: &mut Written,
    ) {
        if reports.is_empty() {
            return;
        }
        match report::add(&self.shared, &self.settings, &mut written.batch, self.id, message, body, &reports)
            .await
        {
            Ok((events, queued)) => {
                written.events.extend(events);
                written.queued.extend(queued);
            }
            Err(error) => tracing::warn!(id = %self.id, %error, "a report of success could not be written"),
        }
    }

    fn message(&self, copies: &[Copy], parts: &[Part], events: Vec<Event>) -> Message {
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
        Message {
            envelope: self.envelope.clone(),
            size: copies.first().map_or(0, |copy| copy.body.size()),
            arrived: self.id.arrived(),
            origin: self.connection.origin(),
            recipients: recipients.collect(),
            verdicts,
            events,
        }
    }
}

/// The peer hears one answer for all: those who refused get the message as junk.
fn soften(parts: &mut [Part], refused: &mut BTreeMap<usize, Reply>) {
    for part in parts.iter_mut().filter(|part| part.decision.action >= Action::Defer) {
        part.decision.rule = format!("{} (as junk: others take the message)", part.decision.rule);
        part.decision.action = Action::Junk;
    }
    refused.clear();
}
