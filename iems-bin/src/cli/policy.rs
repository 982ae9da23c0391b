//! `iems policy`: what a domain or a user wants done about verdicts.

use std::path::Path;

use clap::Subcommand;
use iems_core::message::CheckResult;
use iems_core::preprocess::{Action, Rule};

use super::output::{Table, say, show};
use crate::admin::request::{Owner, Request};
use crate::admin::{ask, order};
use crate::exit::Failure;

/// What a domain or a user wants done about what the checks found.
///
/// Checks find facts; rules decide. The site's rules stand in the configuration (`[[policy]]`) and are a
/// floor: rules of a user can be stricter, never milder. A user's rules are asked before the domain's.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems policy set ann@example.org 'dnsbl/*' junk\n  iems policy set example.org 'dnsbl/*' tag --result fail --result temperror\n  iems policy list ann@example.org\n  iems policy remove ann@example.org 'dnsbl/*'"
)]
pub(super) enum Args {
    /// Set the rule for a check; one that it already has is replaced
    Set {
        /// A domain or an address
        owner: Owner,
        /// The check: its name, or a beginning with `*`, such as dnsbl/*
        check: String,
        /// accept, tag, junk, discard, defer or refuse
        action: Action,
        /// For this result: pass, neutral, fail, temperror or permerror; several times for several [default: fail]
        #[arg(long = "result", value_parser = result)]
        results: Vec<CheckResult>,
        /// Only for verdicts with at least this score
        #[arg(long)]
        score: Option<f32>,
    },
    /// Remove the rule for a check
    Remove {
        /// A domain or an address
        owner: Owner,
        /// The check, as it was set
        check: String,
    },
    /// List the rules of a domain or an address, in the order in which they are asked
    List {
        /// A domain or an address
        owner: Owner,
        /// As JSON: an array of rules
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::Set { owner, check, action, results, score } => {
                let mut rules: Vec<Rule> = ask(file, Request::PolicyList { owner: owner.clone() })?;
                let rule = Rule { check, results, score, action };
                let said = format!("set: {rule}");
                match rules
                    .iter_mut()
                    .find(|known| known.check == rule.check && known.results == rule.results)
                {
                    Some(known) => *known = rule,
                    None => rules.push(rule),
                }
                order(file, Request::PolicySet { owner, rules })?;
                say(said)
            }
            Self::Remove { owner, check } => {
                let mut rules: Vec<Rule> = ask(file, Request::PolicyList { owner: owner.clone() })?;
                let before = rules.len();
                rules.retain(|rule| rule.check != check);
                if rules.len() == before {
                    return Err(Failure::data(format!("there is no rule for {check:?}")));
                }
                order(file, Request::PolicySet { owner, rules })?;
                say(format!("removed: {check}"))
            }
            Self::List { owner, json } => {
                let rules: Vec<Rule> = ask(file, Request::PolicyList { owner })?;
                show(&rules, json, |rules| table(rules))
            }
        }
    }
}

fn result(text: &str) -> Result<CheckResult, String> {
    let quoted = serde_json::Value::String(text.to_owned());
    serde_json::from_value(quoted).map_err(|_| "expected pass, neutral, fail, temperror or permerror".into())
}

fn table(rules: &[Rule]) -> String {
    let mut table = Table::new(&["CHECK", "RESULTS", "SCORE", "ACTION"]);
    for rule in rules {
        let results = match rule.results.is_empty() {
            true => "fail".to_owned(),
            false => rule.results.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        let score = rule.score.map_or("-".into(), |score| format!(">={score}"));
        table.row([rule.check.clone(), results, score, rule.action.to_string()]);
    }
    table.to_string()
}
