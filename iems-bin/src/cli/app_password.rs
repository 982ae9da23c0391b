//! `iems account app-password`: secrets of an account for one program each.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use iems_core::message::Mailbox;

use super::output::{Table, say, show};
use crate::admin::answer::{AppPasswordAnswer, AppPasswordMade};
use crate::admin::request::Request;
use crate::admin::{ask, order};
use crate::exit::Failure;
use crate::services::Service;

/// App passwords: one for each program, good for some services, taken away without a change of the main password.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "A program logs in with the address and an app password. Where a login has to say which one is meant, as in SCRAM, it is\nADDRESS/NAME, such as ann@example.org/phone.\n\nExamples:\n  iems account app-password add ann@example.org --name phone --scope imap,smtp\n  iems account app-password list ann@example.org --json\n  iems account app-password remove ann@example.org --name phone\n  iems account set ann@example.org --only-app-passwords smtp,imap,pop3"
)]
pub(super) enum Args {
    /// Make an app password, and print it once
    Add {
        /// The account
        address: Mailbox,
        /// What it is called: a-z, 0-9, dot, hyphen, underscore; app1, app2, … unless given
        #[arg(long)]
        name: Option<String>,
        /// The services it is for, with commas between; all unless given
        #[arg(long, value_delimiter = ',', value_name = "SERVICE")]
        scope: Vec<Service>,
        /// How long it is taken, such as 90d; until it is removed unless given
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,
        /// As JSON: {account, name, login, password, scopes, expires}
        #[arg(long)]
        json: bool,
    },
    /// Take an app password away; nobody logs in with it any more
    Remove {
        /// The account
        address: Mailbox,
        /// What it is called
        #[arg(long)]
        name: String,
    },
    /// List the app passwords of an account, and when they were used last
    List {
        /// The account
        address: Mailbox,
        /// As JSON: an array of {name, scopes, created, expires, used, used_for}
        #[arg(long)]
        json: bool,
    },
}

fn time(text: &str) -> Result<Duration, String> {
    let span = crate::config::duration(text).filter(|span| !span.is_zero());
    span.ok_or_else(|| "expected a duration such as 12h, 90d or 52w".into())
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::Add { address, name, scope, expires, json } => {
                let scopes = scope.into_iter().map(|service| service.0.to_owned()).collect();
                let request = Request::AppPasswordAdd { address, name, scopes, expires };
                let made: AppPasswordMade = ask(file, request)?;
                show(&made, json, |made| {
                    let AppPasswordMade { name, login, password, .. } = made;
                    format!(
                        "app password {name:?} of {}, shown this once:\n\n    {password}\n\nThe hyphens belong to it. Log in as {}; as {login} where the program uses SCRAM.",
                        made.account, made.account
                    )
                })
            }
            Self::Remove { address, name } => {
                order(file, Request::AppPasswordRemove { address: address.clone(), name: name.clone() })?;
                say(format!("app password {name} of {address} removed"))
            }
            Self::List { address, json } => {
                let all: Vec<AppPasswordAnswer> = ask(file, Request::AppPasswordList { address })?;
                show(&all, json, |all| table(all))
            }
        }
    }
}

fn table(all: &[AppPasswordAnswer]) -> String {
    let mut table = Table::new(&["NAME", "SCOPES", "CREATED", "EXPIRES", "USED LAST", "FOR"]);
    for one in all {
        let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let scopes = if one.scopes.is_empty() { "all".into() } else { one.scopes.join(",") };
        let (name, created) = (one.name.clone(), one.created.clone());
        table.row([name, scopes, created, told(&one.expires), told(&one.used), told(&one.used_for)]);
    }
    table.to_string()
}
