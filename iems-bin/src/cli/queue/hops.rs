//! `iems queue hops`, `pause` and `resume`.

use std::path::Path;

use super::super::output::{Table, say, show, span};
use crate::admin::queue::{HopAnswer, OverviewAnswer};
use crate::admin::request::Request;
use crate::admin::{ask, order};
use crate::exit::Failure;

/// List the destinations that something waits for, and those that are paused
#[derive(Debug, clap::Args)]
#[command(
    after_help = "States: open; paused by an operator; down (cannot be reached: one message is tried at a time); resting after trouble;\nfull (all links or attempts taken); limited by a rate; unknown (no such channel, or no server runs).\n\nExample:\n  iems queue hops --limit 10"
)]
pub(in crate::cli) struct HopsArgs {
    /// By name, not by length
    #[arg(long)]
    by_name: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// As JSON: an array of hops
    #[arg(long)]
    json: bool,
}

/// Stop a hop, or all of them, until it is resumed: also across restarts
///
/// Attempts under way end. Warnings and expiry go on.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  iems queue pause smtp:example.net --reason 'they asked us to wait until Monday'"
)]
pub(in crate::cli) struct PauseArgs {
    /// The hop, as `iems queue hops` names it
    #[arg(required_unless_present = "all")]
    hop: Option<String>,
    /// All hops: nothing is delivered at all
    #[arg(long, conflicts_with = "hop")]
    all: bool,
    /// Why, for whoever asks
    #[arg(long, default_value = "")]
    reason: String,
}

/// Let a hop, or all of them, go on
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResumeArgs {
    /// The hop, as `iems queue hops` names it
    #[arg(required_unless_present = "all")]
    hop: Option<String>,
    /// The stop of all hops; one that was stopped by itself stays so
    #[arg(long, conflicts_with = "hop")]
    all: bool,
}

impl HopsArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let request = Request::QueueHops { by_name: self.by_name, limit: self.limit };
        let overview: OverviewAnswer = ask(file, request)?;
        show(&overview.first, self.json, |hops| text(&overview, hops))
    }
}

impl PauseArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let name = self.hop.clone().unwrap_or_else(|| "everything".into());
        order(file, Request::QueuePause { hop: self.hop, reason: self.reason })?;
        say(format!("{name} is paused"))
    }
}

impl ResumeArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let name = self.hop.clone().unwrap_or_else(|| "everything".into());
        order(file, Request::QueueResume { hop: self.hop })?;
        say(format!("{name} goes on"))
    }
}

fn text(overview: &OverviewAnswer, hops: &[HopAnswer]) -> String {
    let mut lines = Vec::new();
    if let Some(paused) = &overview.paused {
        lines.push(format!("everything is paused since {} {}", paused.since, paused.reason));
    }
    if hops.is_empty() {
        lines.push("nothing waits".into());
        return lines.join("\n");
    }
    let mut table = Table::new(&[
        "HOP", "STATE", "DEPTH", "DEFERRED", "HELD", "OLDEST", "WORKERS", "LINKS", "SITE", "WHY",
    ]);
    for hop in hops {
        table.row([
            hop.name.clone(),
            hop.state.clone(),
            hop.depth.depth.to_string(),
            hop.depth.deferred.to_string(),
            hop.depth.held.to_string(),
            hop.oldest.map_or_else(|| "-".into(), span),
            hop.workers.to_string(),
            format!("{}/{}", hop.links, hop.links_allowed),
            hop.site.clone().unwrap_or_else(|| "-".into()),
            hop.waits.first().map_or_else(|| "-".into(), |why| why.text.clone()),
        ]);
    }
    lines.push(table.to_string());
    let shown = hops.len() as u64;
    if overview.hops > shown {
        lines.push(format!("and {} more hops: --limit {}", overview.hops - shown, overview.hops));
    }
    lines.join("\n")
}
