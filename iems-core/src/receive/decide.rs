//! Deciding: which copy of the message each recipient gets, and what the site's floor does with it.

use std::collections::BTreeMap;

use super::judge;
use super::transaction::Transaction;
use crate::message::{Body, Reply};
use crate::preprocess::{self, Action, Decision, Findings, Found, Scope, Stage, Subject};
use crate::route::Way;

/// The name of the verdict about authors that are not those of the account.
pub(super) const AUTHORS: &str = "sender/header";

/// A body and the verdicts that recipients with the same modules share.
pub(super) struct Copy {
    pub(super) flow: Vec<usize>,
    pub(super) body: Body,
    pub(super) found: Vec<Found>,
}

/// One way of one recipient, decided.
pub(super) struct Part {
    pub(super) recipient: usize,
    pub(super) copy: usize,
    pub(super) way: Way,
    pub(super) decision: Decision,
}

impl Transaction {
    /// One copy for each set of modules that some way of some recipient runs.
    pub(super) async fn copies(&self, body: Body) -> Result<Vec<Copy>, Reply> {
        let mut copies: Vec<Copy> = Vec::new();
        let mut known: BTreeMap<usize, Findings> = BTreeMap::new();
        for way in self.recipients.iter().flat_map(|(_, route)| &route.ways) {
            let flow = self.shared.chain.on_flow(&self.connection.channel, &way.channel);
            if copies.iter().all(|copy| copy.flow != flow) {
                copies.push(self.copy(flow, body.clone(), &mut known).await?);
            }
        }
        if copies.is_empty() {
            copies.push(self.copy(Vec::new(), body, &mut known).await?); // for nobody but the sender's report
        }
        Ok(copies)
    }

    async fn copy(
        &self,
        flow: Vec<usize>,
        body: Body,
        known: &mut BTreeMap<usize, Findings>,
    ) -> Result<Copy, Reply> {
        let on_flow = |at: &usize| *at == judge::DOOR || flow.contains(at);
        let found = self.found.iter().filter(|(at, _)| on_flow(at)).cloned().collect();
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
            trusted: self.settings.relay.trusts(&self.connection),
            ways: &[],
        };
        self.shared.chain.run(at, &subject, &*self.shared.clock).await
    }

    /// What the site's floor, and the default of channels that cannot decide, do with each way.
    pub(super) fn decide(
        &self,
        copies: &[Copy],
        refused: &mut BTreeMap<usize, Reply>,
    ) -> Result<Vec<Part>, Reply> {
        let mut parts = Vec::new();
        for (recipient, (_, route)) in self.recipients.iter().enumerate() {
            for way in &route.ways {
                let flow = self.shared.chain.on_flow(&self.connection.channel, &way.channel);
                let copy = copies.iter().position(|copy| copy.flow == flow).unwrap_or_default();
                let decision = self.decide_way(way, &copies[copy]);
                if let Some(reply) = judge::refusal(&self.shared, &decision, &copies[copy].found) {
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
        let decision = match (output, self.settings.channel_policies.get(&way.channel)) {
            (Some(output), Some(default)) if !output.capabilities().decides => {
                self.settings.policy.clone().and(default).decide(&verdicts)
            }
            _ => self.settings.policy.decide(&verdicts),
        };
        let told = verdicts
            .iter()
            .find(|verdict| verdict.check == AUTHORS)
            .filter(|_| decision.action < Action::Tag);
        match told {
            // The listener wants it told, whatever the site's rules say.
            Some(verdict) => Decision {
                action: Action::Tag,
                scope: Scope::Site,
                rule: format!("{AUTHORS}=fail → tag"),
                reason: preprocess::reason(verdict),
            },
            None => decision,
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
