//! Questions about one thing: `route`, `explain`.

use std::path::Path;

use clap::Args;
use iems_core::message::{Mailbox, QueueId};

use super::output::{printable, show};
use crate::admin::answer::{ExplainAnswer, RouteAnswer};
use crate::admin::ask;
use crate::admin::request::Request;
use crate::exit::Failure;

/// Where would mail for an address go, and why?
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  iems route someone@example.net --json\n\nExit code 67 if nobody has the address, 69 if mail for it is refused for another reason."
)]
pub(super) struct RouteArgs {
    /// The address
    address: Mailbox,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// The whole story of one message: every check, verdict, policy rule, route and attempt, with times.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  iems explain 01JD3V9Q4C8R2T6W0X5Y7Z1ABC\n\nThe queue id stands in the reply that accepted the message, in its Received field and in the log.\nThe story of a finished message is kept for `queue.history` (7 days unless configured)."
)]
pub(super) struct ExplainArgs {
    /// The queue id
    id: QueueId,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl RouteArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let route: RouteAnswer = ask(file, Request::Route { address: self.address.clone() })?;
        show(&route, self.json, route_text)?;
        match (route.accepted, route.reply) {
            (true, _) => Ok(()),
            (false, Some(reply)) if reply.contains(" 5.1.1 ") => Err(Failure::no_user(reply)),
            (false, reply) => Err(Failure::unavailable(reply.unwrap_or_else(|| "mail is not taken".into()))),
        }
    }
}

impl ExplainArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let told: ExplainAnswer = ask(file, Request::Explain { id: self.id })?;
        show(&told.story, self.json, |_| told.text.lines().map(printable).collect::<Vec<_>>().join("\n"))
    }
}

fn route_text(route: &RouteAnswer) -> String {
    let mut lines = vec![route.address.clone()];
    for way in &route.ways {
        lines.push(format!("  goes to {} by {} ({})", way.address, way.channel, way.hop));
        if let Some(site) = &way.site {
            lines.push(format!("    to the site {site}, under the peer rule {}", way.peer));
        }
        for host in &way.hosts {
            lines.push(format!("    host {}: {}", host.host, printable(&host.tls)));
        }
    }
    if !route.reason.is_empty() {
        lines.push(format!("  because {}", route.reason));
    }
    if let Some(reply) = &route.reply {
        lines.push(format!("  is refused: {reply}"));
    }
    lines.join("\n")
}
