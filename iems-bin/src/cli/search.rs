//! `iems search`: the index of texts that makes searches within messages fast.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use iems_core::message::Mailbox;

use super::output::{Table, note, octets, say, show};
use crate::admin::request::Request;
use crate::admin::search::SearchAnswer;
use crate::admin::{ask, converse};
use crate::config;
use crate::exit::Failure;

/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(300);

/// The index of texts: how it is, build it, drop it
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems search status\n  iems search build ann@example.org\n  iems search drop\n\nSearches find the same with and without it. The server makes it by itself for accounts that are searched;\nwhat is dropped is made anew when it is wanted."
)]
pub(super) enum Args {
    /// List the indexes: how many messages they hold, how large they are, what they are doing
    Status {
        /// Only these accounts, also if they have none
        addresses: Vec<Mailbox>,
        /// As JSON: an array
        #[arg(long)]
        json: bool,
    },
    /// Bring indexes to where the mail is, and wait for it
    Build {
        /// Only these accounts; otherwise all
        addresses: Vec<Mailbox>,
        /// As JSON: an array of how they are in the end
        #[arg(long)]
        json: bool,
        /// Say nothing on the way
        #[arg(long)]
        quiet: bool,
    },
    /// Remove indexes from the disk
    Drop {
        /// Only those of these accounts; otherwise all
        addresses: Vec<Mailbox>,
    },
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::Status { addresses, json } => {
                let all: Vec<SearchAnswer> = ask(file, Request::SearchStatus { addresses })?;
                show(&all, json, |all| table(all))
            }
            Self::Build { addresses, json, quiet } => build(file, addresses, json, quiet),
            Self::Drop { addresses } => {
                let dropped: u64 = ask(file, Request::SearchDrop { addresses })?;
                say(format!("{dropped} indexes removed"))
            }
        }
    }
}

fn build(file: Option<&Path>, addresses: Vec<Mailbox>, json: bool, quiet: bool) -> Result<(), Failure> {
    let config = config::load(file)?.config;
    let mut last: Vec<SearchAnswer> = Vec::new();
    let first = Request::SearchBuild { addresses: addresses.clone() };
    converse(&config, first, |answer: Result<Vec<SearchAnswer>, Failure>| {
        last = answer?;
        let waiting = last.iter().filter(|one| one.is_under_way()).count();
        if waiting == 0 {
            return Ok(None);
        }
        if let Some(SearchAnswer { address, done: Some(done), total: Some(total), .. }) =
            last.iter().find(|one| one.done.is_some())
        {
            note(quiet, format_args!("{address}: {done} of {total} messages; {waiting} accounts to go"));
        }
        std::thread::sleep(LOOK);
        Ok(Some(Request::SearchStatus { addresses: addresses.clone() }))
    })?;
    show(&last, json, |all| table(all))?;
    match last.iter().find(|one| matches!(one.state.as_str(), "none" | "damaged")) {
        Some(one) => Err(Failure::later(format!("{} could not be indexed: the log says why", one.address))),
        None => Ok(()),
    }
}

fn table(all: &[SearchAnswer]) -> String {
    let mut table = Table::new(&["NAME", "MESSAGES", "SIZE", "STATE"]);
    for one in all {
        let state = match (one.done, one.total) {
            (Some(done), Some(total)) => format!("{} ({done} of {total})", one.state),
            _ => one.state.clone(),
        };
        table.row([one.address.clone(), one.messages.to_string(), octets(one.octets), state]);
    }
    table.to_string()
}
