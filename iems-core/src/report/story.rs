//! The story of one message: all that is known, for `explain`.

use std::fmt;

use serde::Serialize;

use super::{Event, What};
use crate::deliver::Outcome;
use crate::message::{Kind, Mailbox, QueueId, Secrecy};
use crate::preprocess::{Decision, Scope};
use crate::queue::{Group, Message, State, Waits};

/// Everything that is known about one message. `Display` tells it in lines for people.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// The message.
    pub id: QueueId,
    /// As it was accepted: envelope, origin, recipients with routes and decisions, verdicts.
    pub message: Message,
    /// Groups that still wait.
    pub waiting: Vec<Group>,
    /// For each of them, all that holds it, what holds it first in front.
    pub waits: Vec<Vec<Waits>>,
    /// What happened since, in order.
    pub events: Vec<Event>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, origin) = (&self.message, &self.message.origin);
        write!(f, "message {} of {} octets", self.id, message.size)?;
        match message.kind {
            Kind::Ordinary => writeln!(f)?,
            Kind::Report => writeln!(f, ", a report to a sender")?,
            Kind::SpamReport => writeln!(f, ", a report about a message tagged as spam")?,
            Kind::Notice => writeln!(f, ", a notice to the postmaster")?,
        }
        write!(f, "{}  accepted from <{}> by {}", message.arrived, message.envelope.sender, origin.channel)?;
        if let Some(peer) = &origin.peer {
            write!(
                f,
                ", peer {peer} ({}) as {}",
                origin.host.as_deref().unwrap_or("no verified name"),
                origin.helo
            )?;
        }
        if let Some(account) = &origin.account {
            write!(f, ", account {account}")?;
        }
        if let Some(name) = &origin.credential {
            write!(f, " (app password {name})")?;
        }
        if let Some(tls) = &origin.tls {
            write!(f, ", {tls}")?;
        }
        match message.envelope.secrecy {
            Secrecy::Usual => {}
            Secrecy::Required => write!(f, ", to be protected all the way (RFC 8689)")?,
            Secrecy::Waived => write!(f, ", rather unprotected than not at all (RFC 8689)")?,
        }
        writeln!(f)?;
        if let Some(upstream) = &origin.upstream {
            writeln!(f, "    passed on for {upstream}")?;
        }
        for verdict in &message.verdicts {
            let (check, result, score, evidence) =
                (&verdict.check, verdict.result, verdict.score, &verdict.evidence);
            writeln!(f, "    verdict {check}={result} score {score}: {evidence}")?;
        }
        for accepted in &message.recipients {
            writeln!(f, "    for <{}>: {}", accepted.recipient.mailbox, accepted.reason)?;
            for (channel, hop, address) in &accepted.targets {
                writeln!(f, "        through {channel}, next hop {hop}, as <{address}>")?;
            }
            decision(f, "        ", &accepted.decision)?;
        }
        self.events.iter().try_for_each(|event| tell(f, event))?;
        for (number, group) in self.waiting.iter().enumerate() {
            let names: Vec<String> = group.destinations.iter().map(|d| d.mailbox.to_string()).collect();
            let (names, attempts) = (names.join(", "), group.attempts);
            let state = match group.state {
                State::Waiting => "waiting",
                State::Deferred => "deferred",
                State::Held => "held",
                State::Scheduled => "scheduled",
            };
            write!(f, "{state}: {names} through {}, next hop {}, ", group.channel, group.hop)?;
            write!(f, "{attempts} attempts, next at {}, given up at {}", group.due, group.expires)?;
            match &group.last_reply {
                Some(reply) => writeln!(f, "; last answer: {reply}")?,
                None => writeln!(f)?,
            }
            for why in self.waits.get(number).into_iter().flatten() {
                writeln!(f, "    {why}")?;
            }
        }
        if self.waiting.is_empty() {
            writeln!(f, "nothing waits any more")?;
        }
        Ok(())
    }
}

fn decision(f: &mut fmt::Formatter<'_>, indent: &str, decision: &Decision) -> fmt::Result {
    match decision.scope {
        Scope::Default => Ok(()),
        scope => writeln!(
            f,
            "{indent}decided: {} by the {scope} rule “{}”, because of {}",
            decision.action, decision.rule, decision.reason
        ),
    }
}

fn tell(f: &mut fmt::Formatter<'_>, event: &Event) -> fmt::Result {
    let at = event.at;
    match &event.what {
        What::Attempt { channel, hop, number, outcomes, next } => {
            writeln!(f, "{at}  attempt {number} through {channel}, next hop {hop}")?;
            for (mailbox, outcome) in outcomes {
                let word = match outcome {
                    Outcome::Done(..) => "done",
                    Outcome::Deferred(_) => "deferred",
                    Outcome::Failed(_) => "failed",
                };
                let reply = outcome.reply();
                write!(f, "    <{mailbox}> {word}: {reply}")?;
                match &reply.cause {
                    Some(cause) => writeln!(f, " ({cause})")?,
                    None => writeln!(f)?,
                }
            }
            match next {
                Some(next) => writeln!(f, "    tried again at {next}"),
                None => Ok(()),
            }
        }
        What::Decided { mailbox, decision: made } => {
            writeln!(
                f,
                "{at}  <{mailbox}> decided {} by the {} rule “{}”, because of {}",
                made.action, made.scope, made.rule, made.reason
            )
        }
        What::Expired { mailbox } => writeln!(f, "{at}  <{mailbox}> given up: its time was over"),
        What::Reported { action, report, to, kind } => match kind {
            Kind::Notice => {
                writeln!(f, "{at}  the postmaster <{to}> was told ({action}) by message {report}")
            }
            Kind::SpamReport => {
                writeln!(f, "{at}  the sender was told ({action}) by message {report}, a report about spam")
            }
            _ => writeln!(f, "{at}  the sender was told ({action}) by message {report}"),
        },
        What::NotReported { action, why } => writeln!(f, "{at}  nobody was told ({action}): {why}"),
        What::Discarded { mailbox, decision: made } => {
            writeln!(
                f,
                "{at}  <{mailbox}> discarded by the {} rule “{}”, because of {}",
                made.scope, made.rule, made.reason
            )
        }
        What::Administered { action } => writeln!(f, "{at}  {action} by an operator"),
        What::Bounced { mailboxes, reply } => {
            writeln!(f, "{at}  given up by an operator for {}: {reply}", names(mailboxes))
        }
        What::Redirected { mailboxes, to, message } => {
            writeln!(
                f,
                "{at}  sent by an operator to <{to}> as message {message}, not to {}",
                names(mailboxes)
            )
        }
        What::Rerouted { from, to } => {
            writeln!(
                f,
                "{at}  sent by an operator through {}, next hop {}, not {} {}",
                to.0, to.1, from.0, from.1
            )
        }
    }
}

fn names(mailboxes: &[Mailbox]) -> String {
    mailboxes.iter().map(|mailbox| format!("<{mailbox}>")).collect::<Vec<_>>().join(", ")
}
