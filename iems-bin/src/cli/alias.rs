//! `iems alias`: addresses that lead to other addresses.

use std::path::Path;

use clap::Subcommand;
use iems_core::message::{Domain, Mailbox};

use super::output::{Table, say, show};
use crate::admin::answer::AliasAnswer;
use crate::admin::request::Request;
use crate::admin::{ask, order};
use crate::exit::Failure;

/// Aliases: addresses that lead to one or several others, here or elsewhere.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems alias add info@example.org ann@example.org bob@example.net\n  iems alias remove info@example.org bob@example.net\n  iems alias list --json"
)]
pub(super) enum Args {
    /// Let mail for FROM go to every TO (added to those it has)
    Add {
        /// An address of one of our domains
        from: Mailbox,
        /// Where its mail goes
        #[arg(required = true)]
        to: Vec<Mailbox>,
    },
    /// Remove targets of an alias, or the whole alias if none are named
    Remove {
        /// The alias
        from: Mailbox,
        /// The targets to remove
        to: Vec<Mailbox>,
    },
    /// List all aliases
    List {
        /// Only those of this domain
        #[arg(long)]
        domain: Option<Domain>,
        /// As JSON: an array of aliases
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::Add { from, to } => {
                let shown = to.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                order(file, Request::AliasAdd { from: from.clone(), to })?;
                say(format!("alias {from} leads to {shown}"))
            }
            Self::Remove { from, to } => {
                order(file, Request::AliasRemove { from: from.clone(), to })?;
                say(format!("alias {from} changed"))
            }
            Self::List { domain, json } => {
                let all: Vec<AliasAnswer> = ask(file, Request::AliasList { domain })?;
                show(&all, json, |all| table(all))
            }
        }
    }
}

fn table(aliases: &[AliasAnswer]) -> String {
    let mut table = Table::new(&["ALIAS", "TO"]);
    for alias in aliases {
        let to = alias.to.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        table.row([alias.from.to_string(), to]);
    }
    table.to_string()
}
