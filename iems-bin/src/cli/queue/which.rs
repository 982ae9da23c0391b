//! Which messages a command is about.

use iems_core::message::{Domain, Mailbox, QueueId};

use crate::admin::queue::Filter;
use crate::config::duration;
use crate::exit::Failure;

/// Conditions; all that are given must hold.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which messages")]
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
    /// At this hop, such as smtp:example.org, or the next hop alone
    #[arg(long)]
    hop: Option<String>,
    /// On behalf of this domain of ours
    #[arg(long, value_name = "DOMAIN")]
    tenant: Option<Domain>,
    /// In this state: waiting, deferred, held or scheduled
    #[arg(long, value_parser = ["waiting", "deferred", "held", "scheduled"])]
    state: Option<String>,
    /// Whose last reply contains this text, in any case
    #[arg(long, value_name = "TEXT")]
    reply: Option<String>,
    /// That arrived at least so long ago, such as 30m or 2d
    #[arg(long, value_name = "AGE", value_parser = seconds)]
    older: Option<u64>,
    /// That arrived less than so long ago
    #[arg(long, value_name = "AGE", value_parser = seconds)]
    younger: Option<u64>,
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
    /// Change nothing; show what would be changed
    #[arg(long, short = 'n')]
    pub(super) dry_run: bool,
    /// Really do it to all messages, where that cannot be undone
    #[arg(long)]
    yes: bool,
    /// As JSON: counts, and the first messages
    #[arg(long)]
    pub(super) json: bool,
}

impl Which {
    pub(super) fn filter(self) -> Filter {
        let Self { sender, recipient, domain, hop, tenant, state, reply, older, younger, spam_reports } =
            self;
        Filter {
            sender,
            recipient,
            domain,
            hop,
            tenant,
            state,
            reply,
            older,
            younger,
            spam_reports,
            ..Filter::default()
        }
    }
}

impl Chosen {
    /// The filter. An order for everything has to be meant: `--all`, and `--yes` too where nothing brings it back.
    pub(super) fn filter(self, is_final: bool) -> Result<Filter, Failure> {
        let filter = Filter { ids: self.ids, ..self.which.filter() };
        let everything = filter == Filter::default();
        if everything && !self.all {
            return Err(Failure::usage("say which messages: queue ids, a filter such as --domain, or --all"));
        }
        if everything && is_final && !self.yes && !self.dry_run {
            return Err(Failure::usage(
                "this is about every message in the queue, and cannot be undone: look with --dry-run, then say --all --yes",
            ));
        }
        Ok(filter)
    }
}

/// Reads a span of time, in seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    duration(text).map(|age| age.as_secs()).ok_or_else(|| "expected a time such as 30m, 4h or 2d".into())
}
