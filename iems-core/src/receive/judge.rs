//! Judging at the door: modules look at each stage; the site's floor may refuse at once.

use super::Connection;
use crate::engine::Shared;
use crate::message::{EnhancedStatus, Envelope, Mailbox, Reply, Verdict};
use crate::preprocess::{self, Action, Decision, Found, Scope, Stage, Subject};
use crate::route::Way;
use crate::settings::Settings;

/// What there is to look at before there is a body.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) stage: Stage,
    pub(super) envelope: Option<&'a Envelope>,
    pub(super) recipients: &'a [Mailbox],
    pub(super) ways: &'a [Way],
}

impl<'a> Seen<'a> {
    /// The peer, and its reverse-path if it gave one.
    pub(super) fn peer(stage: Stage, envelope: Option<&'a Envelope>) -> Self {
        Self { stage, envelope, recipients: &[], ways: &[] }
    }
}

/// Runs the modules that may run on any flow from this input channel.
pub(super) async fn look(
    shared: &Shared,
    settings: &Settings,
    connection: &Connection,
    seen: Seen<'_>,
    found: &[Found],
) -> Vec<Found> {
    let Seen { stage, envelope, recipients, ways } = seen;
    let trusted = settings.relay.trusts(connection);
    let mut running: Vec<usize> = Vec::new();
    for output in shared.outputs.keys().chain(shared.agents.keys()) {
        let flow = shared.chain.on_flow(&connection.channel, output);
        running.extend(flow.into_iter().filter(|at| !running.contains(at)).collect::<Vec<_>>());
    }
    running.sort_unstable();
    let mut verdicts = plain(found);
    let mut seen = Vec::new();
    for at in running {
        let (body, verdicts_so_far) = (None, &verdicts[..]);
        let subject = Subject {
            stage,
            connection,
            envelope,
            recipients,
            body,
            verdicts: verdicts_so_far,
            trusted,
            ways,
        };
        let findings = shared.chain.run(at, &subject, &*shared.clock).await;
        verdicts.extend(findings.verdicts.iter().cloned());
        seen.extend(findings.verdicts.into_iter().map(|verdict| (at, verdict)));
    }
    seen
}

/// Lets the site's floor refuse or defer before there is a message. Other actions wait until there is one.
/// Only where the matrix runs the module on every flow: otherwise the flow decides, at the end.
pub(super) fn at_the_door(shared: &Shared, settings: &Settings, found: &[Found]) -> Result<(), Reply> {
    let everywhere = |at: usize| shared.chain.modules.get(at).is_none_or(|module| !module.matrix.has_cells());
    let verdicts: Vec<Verdict> =
        found.iter().filter(|(at, _)| everywhere(*at)).map(|(_, v)| v.clone()).collect();
    let decision = settings.policy.decide(&verdicts);
    match (decision.scope, refusal(shared, &decision, found)) {
        (Scope::Site, Some(reply)) => Err(reply),
        _ => Ok(()),
    }
}

/// The reply that an action demands, if it is one that refuses. The module that found what decided says under which status.
pub(super) fn refusal(shared: &Shared, decision: &Decision, found: &[Found]) -> Option<Reply> {
    let cause = found.iter().find(|(_, verdict)| preprocess::reason(verdict) == decision.reason);
    let status = |(at, verdict): &Found| match shared.chain.modules.get(*at) {
        Some(module) => module.preprocessor.status(verdict),
        None => own_status(verdict),
    };
    let (subject, detail) = cause.map_or((7, 1), status);
    let reply = match decision.action {
        Action::Refuse => Reply::new(
            550,
            EnhancedStatus::new(5, subject, detail),
            format!(
                "refused by the policy of this site: {}; write to its postmaster if that is wrong",
                decision.reason
            ),
        ),
        Action::Defer => Reply::new(
            451,
            EnhancedStatus::new(4, subject, detail),
            format!("not now, by the policy of this site: {}; try again later", decision.reason),
        ),
        _ => return None,
    };
    Some(reply.because(decision.rule.clone()))
}

/// In place of a module: found by the door itself, whatever the flow.
pub(super) const DOOR: usize = usize::MAX;

fn own_status(verdict: &Verdict) -> (u16, u16) {
    if verdict.check == super::looped::CHECK { (4, 6) } else { (7, 1) }
}

/// The verdicts without their modules.
pub(super) fn plain(found: &[Found]) -> Vec<Verdict> {
    found.iter().map(|(_, verdict)| verdict.clone()).collect()
}
