//! `[[matrix]]`, `[[policy]]` and `[[channel_policy]]`: which judges run where, and what follows from what they found.

use std::collections::HashMap;
use std::ops::Range;

use iems_core::message::{ChannelId, CheckResult};
use iems_core::preprocess::{Action, Policy, Rule, Scope};

use super::leaf::words;
use super::problem::Notes;
use super::read::{At, FromToml, need, section};

type Span = Option<Range<usize>>;

section! {
    /// One cell of the channel action matrix.
    WrittenMatrix {
        /// The judge.
        judge: Judge = r#""dnsbl""#;
        /// The input channel.
        input: Input = r#""*""#;
        /// The output channel or agent.
        output: Output = r#""*""#;
        /// Whether it runs.
        run: bool;
    }

    /// One rule about verdicts.
    WrittenPolicy {
        /// Which check.
        check: String;
        /// Which results.
        results: Vec<CheckResult> = r#"["fail"]"#;
        /// The least score.
        score: f32;
        /// What is done.
        action: Action;
    }

    /// One rule for an output channel.
    WrittenChannelPolicy {
        /// The channel.
        channel: OutputChannel;
        /// Which check.
        check: String;
        /// Which results.
        results: Vec<CheckResult> = r#"["fail"]"#;
        /// The least score.
        score: f32;
        /// What is done.
        action: Action;
    }
}

/// A judge, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judge(pub(crate) &'static str);

/// An input channel, or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input(pub(crate) &'static str);

/// An output channel or agent, or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output(pub(crate) &'static str);

/// An output channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputChannel(pub(crate) &'static str);

words! {
    Judge, "one of dnsbl, iprev, helo, spf, sender/domain, sender/own, sender/site, sender/callback, recipient/forward, greylist", {
        "dnsbl" => Judge("dnsbl"), "iprev" => Judge("iprev"), "helo" => Judge("helo"), "spf" => Judge("spf"),
        "sender/domain" => Judge("sender/domain"), "sender/own" => Judge("sender/own"),
        "sender/site" => Judge("sender/site"), "sender/callback" => Judge("sender/callback"),
        "recipient/forward" => Judge("recipient/forward"), "greylist" => Judge("greylist"),
    };
    Input, "one of *, smtp, submission, lmtp, sendmail, batch", {
        "*" => Input("*"), "smtp" => Input("smtp"), "submission" => Input("submission"),
        "lmtp" => Input("lmtp"), "sendmail" => Input("sendmail"), "batch" => Input("batch"),
    };
    Output, "one of *, smtp, lmtp, batch, local", {
        "*" => Output("*"), "smtp" => Output("smtp"), "lmtp" => Output("lmtp"), "local" => Output("local"),
        "batch" => Output("batch"),
    };
    OutputChannel, "one of smtp, lmtp, batch", {
        "smtp" => OutputChannel("smtp"), "lmtp" => OutputChannel("lmtp"),
        "batch" => OutputChannel("batch"),
    };
}

/// The cells of the matrix.
pub(super) fn matrix(written: &[At<WrittenMatrix>], notes: &mut Notes<'_>) -> Vec<Cell> {
    let cell = |cell: &At<WrittenMatrix>| {
        let run = need(cell.run.clone(), "run", "matrix", &cell.span, notes)?;
        Some(Cell { judge: cell.judge.0, input: cell.input.0, output: cell.output.0, run })
    };
    written.iter().filter_map(cell).collect()
}

/// The site's rules.
pub(super) fn policy(written: &[At<WrittenPolicy>], notes: &mut Notes<'_>) -> Policy {
    written.iter().fold(Policy::new(), |policy, p| {
        let parts = (&p.check, &p.results.value[..], p.score.as_ref(), &p.action);
        match rule(parts, (&p.span, "policy"), notes) {
            Some(rule) => policy.rule(Scope::Site, rule),
            None => policy,
        }
    })
}

/// The rules of output channels.
pub(super) fn channel_policies(
    written: &[At<WrittenChannelPolicy>],
    notes: &mut Notes<'_>,
) -> HashMap<ChannelId, Policy> {
    let mut policies: HashMap<ChannelId, Policy> = HashMap::new();
    for p in written {
        let place = (&p.span, "channel_policy");
        let channel = need(p.channel.clone(), "channel", place.1, place.0, notes);
        let rule = rule((&p.check, &p.results.value[..], p.score.as_ref(), &p.action), place, notes);
        if let (Some(channel), Some(rule)) = (channel, rule) {
            let policy = policies.entry(ChannelId::new(channel.0)).or_default();
            *policy = std::mem::take(policy).rule(Scope::Channel, rule);
        }
    }
    policies
}

/// Check, results, least score and action, as written.
type RuleParts<'a> = (&'a Option<At<String>>, &'a [CheckResult], Option<&'a At<f32>>, &'a Option<At<Action>>);

/// One rule, if it is whole.
fn rule(
    (check, results, score, action): RuleParts<'_>,
    (span, section): (&Span, &str),
    notes: &mut Notes<'_>,
) -> Option<Rule> {
    let check = need(check.clone(), "check", section, span, notes);
    let action = need(action.clone(), "action", section, span, notes);
    let score = score.map(|score| score.value);
    Some(Rule { check: check?, results: results.to_vec(), score, action: action? })
}

/// A cell of the channel action matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The judge.
    pub(crate) judge: &'static str,
    /// The input channel, or `*`.
    pub(crate) input: &'static str,
    /// The output channel, or `*`.
    pub(crate) output: &'static str,
    /// Whether it runs.
    pub(crate) run: bool,
}
