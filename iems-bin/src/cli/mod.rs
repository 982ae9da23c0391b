//! The command line: what can be said, and the help that teaches it. One file for each group.

mod account;
mod alias;
mod app_password;
mod config;
mod domain;
mod limits;
pub(crate) mod output;
mod policy;
mod queue;
mod quickstart;
mod quota;
#[cfg(feature = "search")]
mod search;
mod sendmail;
mod serve;
mod show;
mod status;
mod store;
mod story;
mod tls;
mod tls_reports;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::exit::Failure;

const EXAMPLES: &str = "\
First steps:
  iems serve                                  try it: loopback, high ports, data in ./iems-data
  iems quickstart you@example.org             write iems.toml, create domain and account, show the DNS records
  iems domain add example.org
  iems account add ann@example.org --password-stdin < password.txt
  iems alias add info@example.org ann@example.org bob@example.net

Day by day:
  iems queue list --domain example.net        what waits for a domain, and why
  iems explain 01JD3V9Q4C8R2T6W0X5Y7Z1ABC     the whole story of one message
  iems route someone@example.net              where would it go
  iems tls show                               certificates: until when, what is wrong, what to publish
  iems quota list                             how full mailboxes are
  iems limits list                            which limit hits whom, and who is banned
  iems search status                          the index that makes searching texts fast
  iems store check                            is what is kept in order (stop the server first)
  iems status                                 does the server run, and does storage work
  iems config check                           is the configuration right

Commands work while the server runs (through admin.sock in its data folder) and when it does not.
Every listing takes --json. Exit codes are those of sysexits.h; 0 means that it is done.";

/// The Internet Exchange Messaging Server.
#[derive(Debug, Parser)]
#[command(name = "iems", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The configuration file [default: $IEMS_CONFIG, ./iems.toml, /etc/iems/iems.toml, else a built-in one]
    #[arg(long, short = 'C', value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Quickstart(quickstart::Args),
    #[command(subcommand)]
    Domain(domain::Args),
    #[command(subcommand)]
    Account(account::Args),
    #[command(subcommand)]
    Alias(alias::Args),
    #[command(subcommand)]
    Policy(policy::Args),
    #[command(subcommand)]
    Quota(quota::Args),
    #[cfg(feature = "search")]
    #[command(subcommand)]
    Search(search::Args),
    #[command(subcommand)]
    Queue(queue::Args),
    Route(show::RouteArgs),
    Explain(show::ExplainArgs),
    Status(status::StatusArgs),
    #[command(subcommand)]
    Limits(limits::Args),
    #[command(subcommand)]
    Store(store::Args),
    #[command(subcommand)]
    Tls(tls::Args),
    #[command(subcommand)]
    TlsReports(tls_reports::Args),
    Sendmail(sendmail::Args),
    #[command(subcommand)]
    Config(config::Args),
}

/// Understands the command line. Called as `sendmail`, `mailq` or `newaliases`, the program is `iems sendmail`.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let name = arguments.first().map(PathBuf::from);
    let mode = match name.as_deref().and_then(|path| path.file_stem()?.to_str()) {
        Some("sendmail") => None,
        Some("mailq") => Some("-bp"),
        Some("newaliases") => Some("-bi"),
        _ => return Cli::try_parse_from(arguments),
    };
    let words = ["iems", "sendmail"].into_iter().chain(mode).map(OsString::from);
    arguments.splice(0..1, words);
    Cli::try_parse_from(arguments)
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let file = self.config.as_deref();
        match self.command {
            Command::Serve(args) => args.run(file),
            Command::Quickstart(args) => args.run(file),
            Command::Domain(args) => args.run(file),
            Command::Account(args) => args.run(file),
            Command::Alias(args) => args.run(file),
            Command::Policy(args) => args.run(file),
            Command::Quota(args) => args.run(file),
            #[cfg(feature = "search")]
            Command::Search(args) => args.run(file),
            Command::Queue(args) => args.run(file),
            Command::Route(args) => args.run(file),
            Command::Explain(args) => args.run(file),
            Command::Status(args) => args.run(file),
            Command::Limits(args) => args.run(file),
            Command::Store(args) => args.run(file),
            Command::Tls(args) => args.run(file),
            Command::TlsReports(args) => args.run(file),
            Command::Sendmail(args) => args.run(file),
            Command::Config(args) => args.run(file),
        }
    }
}
