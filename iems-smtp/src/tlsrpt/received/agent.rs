//! Where mail with reports is delivered: the agent that keeps them, and the judge that turns away at the door what is none.

use std::sync::Arc;

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Outcome};
use iems_core::message::{ChannelId, CheckResult, EnhancedStatus, Mailbox, Reply, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};

use super::AGENT;
use super::receiver::Receiver;

/// Reads mail and keeps the reports in it. What is no report is taken all the same: somebody else gets it, too, or
/// [`ReportJudge`] did not run.
pub struct ReportAgent {
    id: ChannelId,
    receiver: Arc<Receiver>,
}

impl ReportAgent {
    /// The agent called `id`: [`AGENT`] or [`super::COPIES`].
    pub fn new(id: &str, receiver: Arc<Receiver>) -> Self {
        Self { id: ChannelId::new(id), receiver }
    }
}

#[async_trait]
impl DeliveryAgent for ReportAgent {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn accepts(&self, _: &Mailbox, _: u64) -> Result<(), Reply> {
        Ok(())
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        let outcome = match self.receiver.take(attempt, &mut delivery.effects.batch).await {
            Ok(text) => {
                let reply = Reply::new(250, EnhancedStatus::new(2, 0, 0), text);
                Outcome::Done(Arrival::Delivered, reply)
            }
            Err(error) => {
                let text = "The report cannot be stored now; try again later";
                Outcome::Deferred(Reply::defer(3, 0, text).because(error.to_string()))
            }
        };
        delivery.outcomes = vec![outcome; attempt.destinations.len()];
        delivery.decisions = vec![None; attempt.destinations.len()];
        delivery
    }
}

impl std::fmt::Debug for ReportAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReportAgent({})", self.id)
    }
}

/// The judge `tls-reports`, for flows to the agent [`AGENT`]: fails what is no report that can be read, while its sender still hears the reply.
pub struct ReportJudge {
    receiver: Arc<Receiver>,
}

impl ReportJudge {
    /// The judge beside the agent.
    pub fn new(receiver: Arc<Receiver>) -> Self {
        Self { receiver }
    }
}

#[async_trait]
impl Preprocessor for ReportJudge {
    fn id(&self) -> &str {
        AGENT
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Body]
    }

    /// RFC 3463: what it is cannot be used here.
    fn status(&self, _: &Verdict) -> (u16, u16) {
        (6, 1)
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let Some((body, blobs)) = subject.body else { return Findings::default() };
        let (result, evidence) = match self.receiver.look(body, &**blobs).await {
            Ok(Ok(report)) => (CheckResult::Pass, format!("a TLS report of {}", report.organization)),
            Ok(Err(why)) => {
                self.receiver.count_unreadable();
                (CheckResult::Fail, format!("this address takes reports about TLS (RFC 8460) only: {why}"))
            }
            Err(error) => (CheckResult::TempError, error.to_string()),
        };
        let verdict = Verdict { check: AGENT.into(), result, score: 0.0, evidence };
        Findings { verdicts: vec![verdict], edits: Vec::new() }
    }
}

impl std::fmt::Debug for ReportJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReportJudge")
    }
}
