//! `iems queue`: what waits for delivery, and orders about it.

use std::path::Path;

use clap::Subcommand;
use iems_core::message::{Domain, Mailbox, QueueId};
use serde_json::Value;

use super::output::{Table, octets, say, show, span};
use super::story;
use crate::admin::answer::{Count, QueueAnswer};
use crate::admin::ask;
use crate::admin::request::{Filter, Request};
use crate::config::duration;
use crate::exit::Failure;

/// What waits for delivery.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems queue list --domain example.net --older 1h\n  iems queue list --sender '<>' --json\n  iems queue show 01JD3V9Q4C8R2T6W0X5Y7Z1ABC\n  iems queue retry --domain example.net\n  iems queue purge 01JD3V9Q4C8R2T6W0X5Y7Z1ABC\n  iems queue purge --spam-reports"
)]
pub(super) enum Args {
    /// List messages that wait, oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many
        #[arg(long, default_value_t = 1000)]
        limit: usize,
        /// As JSON: an array of messages
        #[arg(long)]
        json: bool,
    },
    /// Show a message that waits, with its recipients and attempts
    Show {
        /// Its queue id
        id: QueueId,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Try now, whatever the schedule says
    Retry(Chosen),
    /// Remove from the queue, without a report to the senders
    Purge(Chosen),
}

/// Which messages.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// From this sender; '<>' for reports, which have none
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// For this recipient
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<Mailbox>,
    /// For recipients of this domain
    #[arg(long)]
    domain: Option<Domain>,
    /// In this state: waiting or deferred
    #[arg(long, value_parser = ["waiting", "deferred"])]
    state: Option<String>,
    /// That arrived at least so long ago, such as 30m or 2d
    #[arg(long, value_name = "AGE", value_parser = seconds)]
    older: Option<u64>,
    /// Only reports about messages that were tagged as spam
    #[arg(long)]
    spam_reports: bool,
}

/// Which messages an order is about: named ones, those that match, or all.
#[derive(Debug, clap::Args)]
pub(super) struct Chosen {
    /// Queue ids
    ids: Vec<QueueId>,
    #[command(flatten)]
    which: Which,
    /// All messages
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::List { which, limit, json } => {
                let filter = Filter { limit: Some(limit), ..which.filter() };
                let all: Vec<QueueAnswer> = ask(file, Request::QueueList { filter })?;
                show(&all, json, |all| table(all))
            }
            Self::Show { id, json } => {
                let one: Value = ask(file, Request::QueueShow { id })?;
                show(&one, json, story::text)
            }
            Self::Retry(chosen) => {
                let count: Count = ask(file, Request::QueueRetry { filter: chosen.filter()? })?;
                say(format!("{} to be tried now", entries(count)))
            }
            Self::Purge(chosen) => {
                let count: Count = ask(file, Request::QueuePurge { filter: chosen.filter()? })?;
                say(format!("{} removed", entries(count)))
            }
        }
    }
}

impl Which {
    fn filter(self) -> Filter {
        let Self { sender, recipient, domain, state, older, spam_reports } = self;
        let (ids, limit) = (Vec::new(), None);
        Filter { ids, sender, recipient, domain, state, older, spam_reports, limit }
    }
}

impl Chosen {
    fn filter(self) -> Result<Filter, Failure> {
        let filter = Filter { ids: self.ids, ..self.which.filter() };
        match filter == Filter::default() && !self.all {
            true => Err(Failure::usage("say which messages: queue ids, a filter such as --domain, or --all")),
            false => Ok(filter),
        }
    }
}

fn seconds(text: &str) -> Result<u64, String> {
    duration(text).map(|age| age.as_secs()).ok_or_else(|| "expected a time such as 30m, 4h or 2d".into())
}

fn entries(count: Count) -> String {
    match count.entries {
        1 => "1 entry".into(),
        n => format!("{n} entries"),
    }
}

fn table(all: &[QueueAnswer]) -> String {
    if all.is_empty() {
        return "the queue is empty, or nothing in it matches".into();
    }
    let mut table =
        Table::new(&["ID", "STATE", "AGE", "SIZE", "TRIES", "SENDER", "RECIPIENTS", "LAST REPLY"]);
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
            message.last_reply.clone().unwrap_or_else(|| "-".into()),
        ]);
    }
    table.to_string()
}
