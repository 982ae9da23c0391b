//! `iems queue list` and `show`.

use std::path::Path;

use iems_core::message::QueueId;
use serde_json::Value;

use super::super::output::{Table, octets, show, span};
use super::super::story;
use super::which::Which;
use crate::admin::ask;
use crate::admin::queue::{Filter, QueueAnswer};
use crate::admin::request::Request;
use crate::exit::Failure;

/// List messages that wait, and why each of them does
///
/// The oldest comes first, except with --domain (in the order of its addresses), --hop or --state (by state,
/// then by hop and age). Costs what it finds, however much waits.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  iems queue list --domain example.net --older 1h\n  iems queue list --hop smtp:example.net --state deferred\n  iems queue list --limit 100 --after 01JD3V9Q4C8R2T6W0X5Y7Z1ABC    the next hundred"
)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// At most so many
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Go on behind this message, or what the last listing said (`after` in JSON)
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// As JSON: an array of messages
    #[arg(long)]
    json: bool,
}

/// Show a message that waits, with its recipients, attempts and what holds it
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArgs {
    /// Its queue id
    id: QueueId,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let limit = self.limit;
        let filter = Filter { limit: Some(limit), after: self.after, ..self.which.filter() };
        let all: Vec<QueueAnswer> = ask(file, Request::QueueList { filter })?;
        show(&all, self.json, |all| {
            let more = all.last().filter(|_| all.len() >= limit);
            let more = more.map(|last| format!("there may be more: --after {}", last.after));
            [table(all), more.unwrap_or_default()].join("")
        })
    }
}

impl ShowArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let mut one: Value = ask(file, Request::QueueShow { id: self.id })?;
        show(&one.clone(), self.json, |_| {
            // For people, a reason is a line.
            if let Some(waits) = one["waits"].as_array_mut() {
                waits.iter_mut().for_each(|why| *why = why["text"].take());
            }
            one.as_object_mut().map(|one| one.remove("after"));
            story::text(&one)
        })
    }
}

/// Messages as a table.
pub(super) fn table(all: &[QueueAnswer]) -> String {
    if all.is_empty() {
        return "the queue is empty, or nothing in it matches".into();
    }
    let mut table =
        Table::new(&["ID", "STATE", "AGE", "SIZE", "TRIES", "SENDER", "RECIPIENTS", "WAITS", "LAST REPLY"]);
    for message in all {
        let more = message.recipients.len().saturating_sub(1);
        let first = message.recipients.first().map_or("-", |waiting| waiting.address.as_str());
        table.row([
            message.id.clone(),
            message.state.clone(),
            span(message.age),
            octets(message.size),
            message.attempts.to_string(),
            if message.sender.is_empty() { "<>".into() } else { message.sender.clone() },
            if more == 0 { first.to_owned() } else { format!("{first} and {more} more") },
            message.waits.first().map_or_else(|| "-".into(), |why| why.brief.clone()),
            message.last_reply.clone().unwrap_or_else(|| "-".into()),
        ]);
    }
    table.to_string()
}
