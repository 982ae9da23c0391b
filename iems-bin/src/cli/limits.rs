//! `iems limits`: which limits hold, whom they hit, who is banned.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use iems_core::limits::Key;

use super::output::{Table, say, show};
use crate::admin::limits::LimitsAnswer;
use crate::admin::request::Request;
use crate::admin::{ask, order};
use crate::exit::Failure;

/// Limits: which hold, whom they hit, and who is banned.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Somebody is an address (192.0.2.1), a network (192.0.2.0/24, 2001:db8::/64), an account (ann@example.org), or a login at a\nnetwork (\"ann@example.org from 192.0.2.0/24\").\n\nExamples:\n  iems limits list\n  iems limits ban 198.51.100.0/24 --for 1d --reason \"guesses passwords\"\n  iems limits clear 192.0.2.7"
)]
pub(super) enum Args {
    /// Show the limits, whom they hit of late, and the bans
    List {
        /// As JSON: {limits, hits, bans}
        #[arg(long)]
        json: bool,
    },
    /// Ban somebody for a while
    Ban {
        /// Whom
        who: Key,
        /// How long, such as 30m, 12h or 7d
        #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = time)]
        span: Duration,
        /// Why; the log and the list show it
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Lift a ban, and forget what was counted of somebody
    Clear {
        /// Whom; a ban of a network is lifted by naming the network
        #[arg(required_unless_present = "all")]
        who: Option<Key>,
        /// All bans
        #[arg(long, conflicts_with = "who")]
        all: bool,
    },
}

fn time(text: &str) -> Result<Duration, String> {
    let span = crate::config::duration(text).filter(|span| !span.is_zero());
    span.ok_or_else(|| "expected a duration such as 30m, 12h or 7d".into())
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::List { json } => {
                let answer: LimitsAnswer = ask(file, Request::LimitsList)?;
                show(&answer, json, text)
            }
            Self::Ban { who, span, reason } => order(file, Request::LimitsBan { who, span, reason }),
            Self::Clear { who, .. } => {
                let named = who.as_ref().map(Key::to_string);
                let lifted: usize = ask(file, Request::LimitsClear { who })?;
                match (lifted, named) {
                    (0, Some(who)) => {
                        say(format!("{who} was not banned; what was counted of it is forgotten"))
                    }
                    (1, Some(who)) => say(format!("{who} is banned no more")),
                    (lifted, _) => say(format!("bans lifted: {lifted}")),
                }
            }
        }
    }
}

fn text(answer: &LimitsAnswer) -> String {
    let mut limits = Table::new(&["LIMIT", "MOST", "LISTENER", "HITS", "SET IN"]);
    for limit in &answer.limits {
        let listener = if limit.listener.is_empty() { "all" } else { &limit.listener };
        let (name, most, origin) = (limit.name.clone(), limit.most.clone(), limit.origin.clone());
        limits.row([name, most, listener.to_owned(), limit.hits.to_string(), origin]);
    }
    let mut hits = Table::new(&["WHO", "HIT", "TIMES", "LAST", "SET IN"]);
    for hit in &answer.hits {
        let (limit, count) = (hit.limit.clone(), hit.count.to_string());
        hits.row([hit.key.to_string(), limit, count, hit.last.clone(), hit.origin.clone()]);
    }
    let mut bans = Table::new(&["BANNED", "UNTIL", "TIMES", "BECAUSE OF", "SET IN"]);
    for ban in &answer.bans {
        let (until, count) = (ban.until.to_string(), ban.count.to_string());
        bans.row([ban.key.to_string(), until, count, ban.rule.clone(), ban.origin.clone()]);
    }
    format!("{limits}\n{hits}\n{bans}")
}
