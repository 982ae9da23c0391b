//! Loops: how often a message has been here, and how many systems it has passed (RFC 5321 section 6.3).

use super::judge::DOOR;
use super::transaction::Transaction;
use crate::message::{CheckResult, EnhancedStatus, Reply, Verdict};
use crate::preprocess::{Found, Scope};

/// The name of the verdict.
pub(super) const CHECK: &str = "loop";

/// The score of a loop.
const SCORE: f32 = 10.0;

impl Transaction {
    /// Looks for a loop in the trace of the message, and writes down what it found. Where the site has no rule of its own for the
    /// check `loop`, and whatever its rules say for what has gone twice as far as it may, the message is refused.
    pub(super) fn look_for_loops(&mut self) -> Result<(), Reply> {
        let (limits, scan) = (&self.settings.limits, &self.spool.scan);
        // One field is that of this passage.
        let (hops, own) = (scan.hops().saturating_sub(1), scan.own_hops().saturating_sub(1));
        let goes_round = |times: u32| {
            hops > limits.hops.saturating_mul(times) || own > limits.own_hops.saturating_mul(times)
        };
        if own == 0 && !goes_round(1) {
            return Ok(());
        }
        let evidence = format!("{hops} Received fields, {own} of them ours");
        let (result, score) =
            if goes_round(1) { (CheckResult::Fail, SCORE) } else { (CheckResult::Neutral, 0.0) };
        let verdict = Verdict { check: CHECK.into(), result, score, evidence };
        let has_rule = || {
            let mut rules = self.settings.policy.rules();
            rules.any(|(scope, rule)| *scope == Scope::Site && rule.check == CHECK && rule.matches(&verdict))
        };
        if goes_round(2) || (goes_round(1) && !has_rule()) {
            let text = "the message goes round in circles; mend the forwarding that brings it back";
            return Err(Reply::new(554, EnhancedStatus::new(5, 4, 6), text).because(verdict.evidence));
        }
        let found: Found = (DOOR, verdict);
        self.found.push(found);
        Ok(())
    }
}
