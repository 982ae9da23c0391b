//! `iems domain`: the domains whose mail we take.

use std::path::Path;

use clap::Subcommand;
use iems_core::message::{Domain, Mailbox};

use super::output::{Table, say, show};
use crate::admin::answer::DomainAnswer;
use crate::admin::request::{Change, DomainChange, Request};
use crate::admin::{ask, order};
use crate::exit::Failure;

/// The domains whose mail this server takes.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems domain add example.org\n  iems domain set example.org --catch-all ann@example.org\n  iems domain list --json"
)]
pub(super) enum Args {
    /// Take mail for a domain
    Add {
        /// Its name, such as example.org
        name: Domain,
    },
    /// Take no more mail for a domain (refused while it has accounts or aliases)
    Remove {
        /// Its name
        name: Domain,
    },
    /// List all domains
    List {
        /// As JSON: an array of domains
        #[arg(long)]
        json: bool,
    },
    /// Show one domain
    Show {
        /// Its name
        name: Domain,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a domain
    Set {
        /// Its name
        name: Domain,
        #[command(flatten)]
        change: Set,
    },
}

/// What can be changed.
#[derive(Debug, clap::Args)]
#[group(id = "changes", required = true, multiple = true)]
pub(super) struct Set {
    /// Deliver mail for unknown addresses to this one
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_catch_all")]
    catch_all: Option<Mailbox>,
    /// Refuse mail for unknown addresses
    #[arg(long)]
    no_catch_all: bool,
    /// Deliver mail for postmaster and abuse to this one, if they are nobody's
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_postmaster")]
    postmaster: Option<Mailbox>,
    /// Deliver mail for postmaster and abuse to the catch-all, else to the oldest account
    #[arg(long)]
    no_postmaster: bool,
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::Add { name } => {
                order(file, Request::DomainAdd { name: name.clone() })?;
                say(format!("domain {name} added"))
            }
            Self::Remove { name } => {
                order(file, Request::DomainRemove { name: name.clone() })?;
                say(format!("domain {name} removed"))
            }
            Self::List { json } => {
                let all: Vec<DomainAnswer> = ask(file, Request::DomainList)?;
                show(&all, json, |all| table(all))
            }
            Self::Show { name, json } => {
                let one: DomainAnswer = ask(file, Request::DomainShow { name })?;
                show(&one, json, |one| table(std::slice::from_ref(one)))
            }
            Self::Set { name, change } => {
                let catch_all = change_to(change.catch_all, change.no_catch_all);
                let change = DomainChange {
                    catch_all,
                    postmaster: change_to(change.postmaster, change.no_postmaster),
                };
                order(file, Request::DomainSet { name: name.clone(), change })?;
                say(format!("domain {name} changed"))
            }
        }
    }
}

fn change_to(new: Option<Mailbox>, clear: bool) -> Change<Mailbox> {
    match (new, clear) {
        (Some(new), _) => Change::Set(new),
        (None, true) => Change::Clear,
        (None, false) => Change::Keep,
    }
}

fn table(domains: &[DomainAnswer]) -> String {
    let mut table = Table::new(&["DOMAIN", "MEMBERS", "CATCH-ALL", "POSTMASTER"]);
    for domain in domains {
        let shown = |address: &Option<Mailbox>| address.as_ref().map_or("-".to_owned(), ToString::to_string);
        let (catch_all, postmaster) = (shown(&domain.catch_all), shown(&domain.postmaster));
        table.row([domain.name.to_string(), domain.members.to_string(), catch_all, postmaster]);
    }
    table.to_string()
}
