//! Deciding: a pure function from what was found, and who it concerns, to what is done.
//!
//! Order: site floor (nobody can lower it), then domain, then user or list, then the default.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::message::{CheckResult, Verdict};

/// What is done with a message for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Deliver as it is.
    Accept,
    /// Deliver with a field that tells of the verdict.
    Tag,
    /// Deliver into the junk folder (elsewhere than in mailboxes: like `Tag`).
    Junk,
    /// Accept and drop.
    Discard,
    /// Ask the sender to come again.
    Defer,
    /// Refuse.
    Refuse,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Tag => "tag",
            Self::Junk => "junk",
            Self::Discard => "discard",
            Self::Defer => "defer",
            Self::Refuse => "refuse",
        })
    }
}

impl std::str::FromStr for Action {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Ok(match text {
            "accept" => Self::Accept,
            "tag" => Self::Tag,
            "junk" => Self::Junk,
            "discard" => Self::Discard,
            "defer" => Self::Defer,
            "refuse" => Self::Refuse,
            other => return Err(PolicyError::Action(other.into())),
        })
    }
}

/// Why a rule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not one of the actions.
    #[error("unknown action {0:?}: expected accept, tag, junk, discard, defer or refuse")]
    Action(String),
}

/// Whose rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The site's floor, which holds for everybody.
    Site,
    /// The recipient's domain.
    Domain,
    /// The recipient, or the owner of a list.
    User,
    /// The default of an output channel that cannot decide by itself.
    Channel,
    /// Nobody's: no rule matched.
    Default,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Site => "site",
            Self::Domain => "domain",
            Self::User => "user",
            Self::Channel => "channel",
            Self::Default => "default",
        })
    }
}

/// One rule: for verdicts like this, do that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The check: its exact name, or a prefix followed by `*`, such as `dnsbl/*`.
    pub check: String,
    /// The results it applies to; empty means `fail`.
    #[serde(default)]
    pub results: Vec<CheckResult>,
    /// Only verdicts with at least this score.
    #[serde(default)]
    pub score: Option<f32>,
    /// What is done.
    pub action: Action,
}

impl Rule {
    /// Whether the rule speaks about `verdict`.
    pub fn matches(&self, verdict: &Verdict) -> bool {
        let name = match self.check.strip_suffix('*') {
            Some(prefix) => verdict.check.starts_with(prefix),
            None => verdict.check == self.check,
        };
        let result = match self.results.is_empty() {
            true => verdict.result == CheckResult::Fail,
            false => self.results.contains(&verdict.result),
        };
        name && result && self.score.is_none_or(|least| verdict.score >= least)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.check)?;
        if !self.results.is_empty() {
            let results: Vec<String> = self.results.iter().map(CheckResult::to_string).collect();
            write!(f, "={}", results.join("|"))?;
        }
        if let Some(least) = self.score {
            write!(f, " with a score of {least} or more")?;
        }
        write!(f, " → {}", self.action)
    }
}

/// Rules of several scopes, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    rules: Vec<(Scope, Rule)>,
}

/// What was decided, and by which rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What is done.
    pub action: Action,
    /// Whose rule it was.
    pub scope: Scope,
    /// The rule, for people; empty where none matched.
    pub rule: String,
    /// The verdict it acted on, by check and evidence, for people.
    pub reason: String,
}

impl Policy {
    /// No rules: everything is accepted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule of a scope, behind those of the same scope.
    #[must_use]
    pub fn rule(mut self, scope: Scope, rule: Rule) -> Self {
        self.rules.push((scope, rule));
        self
    }

    /// Adds all rules of another policy, behind ours.
    #[must_use]
    pub fn and(mut self, other: &Policy) -> Self {
        self.rules.extend(other.rules.iter().cloned());
        self
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &(Scope, Rule)> {
        self.rules.iter()
    }

    /// Decides. Scopes are asked in the order site, domain, user, channel; in each the first rule that
    /// matches any verdict wins. A site rule ends the matter unless a later scope is stricter
    /// (see [`Action`]'s order): the floor can be raised, never lowered.
    pub fn decide(&self, verdicts: &[Verdict]) -> Decision {
        let floor = self.first(&[Scope::Site], verdicts);
        let own = self.first(&[Scope::User], verdicts).or_else(|| self.first(&[Scope::Domain], verdicts));
        let own = own.or_else(|| self.first(&[Scope::Channel], verdicts));
        match (floor, own) {
            (Some(floor), Some(own)) if own.action > floor.action => own,
            (Some(floor), _) => floor,
            (None, Some(own)) => own,
            (None, None) => Decision {
                action: Action::Accept,
                scope: Scope::Default,
                rule: String::new(),
                reason: String::new(),
            },
        }
    }

    fn first(&self, scopes: &[Scope], verdicts: &[Verdict]) -> Option<Decision> {
        let rules = self.rules.iter().filter(|(scope, _)| scopes.contains(scope));
        for (scope, rule) in rules {
            if let Some(verdict) = verdicts.iter().find(|v| rule.matches(v)) {
                let reason = reason(verdict);
                return Some(Decision { action: rule.action, scope: *scope, rule: rule.to_string(), reason });
            }
        }
        None
    }
}

/// What a decision says of the verdict it acted on.
pub(crate) fn reason(verdict: &Verdict) -> String {
    format!("{}={} {}", verdict.check, verdict.result, verdict.evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Verdict {
        Verdict {
            check: "dnsbl/zen.example".into(),
            result: CheckResult::Fail,
            score: 5.0,
            evidence: "127.0.0.2".into(),
        }
    }

    fn rule(action: Action) -> Rule {
        Rule { check: "dnsbl/*".into(), results: vec![], score: None, action }
    }

    #[test]
    fn the_floor_can_be_raised_but_not_lowered() {
        let floor = Policy::new().rule(Scope::Site, rule(Action::Junk));
        let lower = floor.clone().rule(Scope::User, rule(Action::Accept)).decide(&[listed()]);
        assert_eq!((lower.action, lower.scope), (Action::Junk, Scope::Site));
        let raised = floor.rule(Scope::User, rule(Action::Discard)).decide(&[listed()]);
        assert_eq!((raised.action, raised.scope), (Action::Discard, Scope::User));
    }

    #[test]
    fn the_user_decides_before_the_domain_and_the_domain_before_the_channel() {
        let policy = Policy::new()
            .rule(Scope::Channel, rule(Action::Discard))
            .rule(Scope::Domain, rule(Action::Junk))
            .rule(Scope::User, rule(Action::Tag));
        assert_eq!(policy.decide(&[listed()]).action, Action::Tag);
        assert_eq!(policy.decide(&[]).action, Action::Accept);
    }

    #[test]
    fn a_rule_without_results_means_fail() {
        let verdict = Verdict { result: CheckResult::TempError, ..listed() };
        assert!(!rule(Action::Refuse).matches(&verdict));
    }
}
