//! `iems quota`: how much accounts and domains hold, and may hold.

use std::path::Path;

use clap::Subcommand;
use iems_core::message::{Domain, Mailbox};

use super::output::{Table, octets, say, show};
use crate::admin::quota::{QuotaAnswer, QuotaChange, Recounted};
use crate::admin::request::{Change, Owner, Request};
use crate::admin::{ask, order};
use crate::config::size;
use crate::exit::Failure;

/// How much accounts and domains hold, and may hold.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems quota list --domain example.org\n  iems quota set ann@example.org --storage 2GiB --messages 100000\n  iems quota set example.org --storage 500GiB --each-storage 5GiB\n  iems quota set ann@example.org --storage none\n  iems quota recount"
)]
pub(super) enum Args {
    /// List all domains and accounts with what they hold
    List {
        /// Only those of this domain
        #[arg(long)]
        domain: Option<Domain>,
        /// As JSON: an array
        #[arg(long)]
        json: bool,
    },
    /// Show one account or domain
    Show {
        /// An account, or a domain
        #[arg(value_name = "ADDRESS|DOMAIN")]
        owner: Owner,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change the limits of an account or domain
    Set {
        /// An account, or a domain
        #[arg(value_name = "ADDRESS|DOMAIN")]
        owner: Owner,
        #[command(flatten)]
        change: Set,
    },
    /// Count what accounts hold anew, and mend the ledger
    Recount {
        /// Only this account
        address: Option<Mailbox>,
        /// As JSON: an array of what was counted
        #[arg(long)]
        json: bool,
    },
}

/// What can be changed.
#[derive(Debug, clap::Args)]
#[group(id = "changes", required = true, multiple = true)]
pub(super) struct Set {
    /// The most storage, such as 2GiB, or none; of a domain: of all its accounts together
    #[arg(long, value_parser = octets_or_none)]
    storage: Option<Bound>,
    /// The most messages, or none; of a domain: of all its accounts together
    #[arg(long, value_parser = number_or_none)]
    messages: Option<Bound>,
    /// The most storage of each account of the domain that has no limit of its own, or none
    #[arg(long, value_parser = octets_or_none)]
    each_storage: Option<Bound>,
    /// The most messages of each account of the domain that has no limit of its own, or none
    #[arg(long, value_parser = number_or_none)]
    each_messages: Option<Bound>,
}

/// A limit, or that there is none.
#[derive(Debug, Clone, Copy)]
struct Bound(Option<u64>);

fn octets_or_none(text: &str) -> Result<Bound, String> {
    match text {
        "none" => Ok(Bound(None)),
        text => size(text)
            .filter(|octets| *octets > 0)
            .map(|octets| Bound(Some(octets)))
            .ok_or_else(|| "expected a size such as 500MiB or 2GiB, or none".into()),
    }
}

fn number_or_none(text: &str) -> Result<Bound, String> {
    match text {
        "none" => Ok(Bound(None)),
        text => match text.parse() {
            Ok(number) if number > 0 => Ok(Bound(Some(number))),
            _ => Err("expected a number above 0, or none".into()),
        },
    }
}

fn change_to(bound: Option<Bound>) -> Change<u64> {
    match bound {
        None => Change::Keep,
        Some(Bound(None)) => Change::Clear,
        Some(Bound(Some(most))) => Change::Set(most),
    }
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::List { domain, json } => {
                let all: Vec<QuotaAnswer> = ask(file, Request::QuotaList { domain })?;
                show(&all, json, |all| table(all))
            }
            Self::Show { owner, json } => {
                let one: QuotaAnswer = ask(file, Request::QuotaShow { owner })?;
                show(&one, json, |one| table(std::slice::from_ref(one)))
            }
            Self::Set { owner, change } => {
                let change = QuotaChange {
                    storage: change_to(change.storage),
                    messages: change_to(change.messages),
                    each_storage: change_to(change.each_storage),
                    each_messages: change_to(change.each_messages),
                };
                order(file, Request::QuotaSet { owner, change })?;
                say("limits changed")
            }
            Self::Recount { address, json } => {
                let all: Vec<Recounted> = ask(file, Request::QuotaRecount { address })?;
                show(&all, json, |all| counted(all))
            }
        }
    }
}

fn table(all: &[QuotaAnswer]) -> String {
    let mut table = Table::new(&["NAME", "USED", "LIMIT", "MESSAGES", "LIMIT", "FULL", "STATE"]);
    for one in all {
        let state = match (&one.over_since, one.warned) {
            (Some(since), _) => format!("over since {since}"),
            (None, true) => "warned".into(),
            (None, false) => "-".into(),
        };
        table.row([
            one.name.clone(),
            octets(one.used),
            one.storage_limit.map_or("-".into(), octets),
            one.messages.to_string(),
            one.message_limit.map_or("-".into(), |most| most.to_string()),
            one.percent.map_or("-".into(), |percent| format!("{percent}%")),
            state,
        ]);
    }
    table.to_string()
}

fn counted(all: &[Recounted]) -> String {
    let wrong: Vec<_> = all
        .iter()
        .filter(|one| (one.used, one.messages) != (one.used_before, one.messages_before))
        .map(|one| {
            let Recounted { address, used_before, used, messages_before, messages } = one;
            format!(
                "{address}: {used} octets (not {used_before}), {messages} messages (not {messages_before})\n"
            )
        })
        .collect();
    format!("{}{} accounts counted, {} mended", wrong.concat(), all.len(), wrong.len())
}
