//! `iems queue`: what waits for delivery and why, and orders about it.

mod hops;
mod list;
mod order;
mod top;
mod which;

use std::path::Path;

use clap::Subcommand;

use crate::exit::Failure;

const EXAMPLES: &str = "\
Looking:
  iems queue list --domain example.net --older 1h     what waits for a domain, and why
  iems queue list --sender '<>' --json                reports, for a program
  iems queue list --state deferred --reply 'greylist' --limit 50
  iems queue show 01JD3V9Q4C8R2T6W0X5Y7Z1ABC          one message; `iems explain` has its whole story
  iems queue hops                                     the destinations, the longest queue first
  iems queue top                                      the same, live

Acting (each takes queue ids, filters or --all; --dry-run shows what would be done):
  iems queue retry --hop smtp:example.net             try now, and ask the site if it was down
  iems queue hold --sender news@example.org           not tried until released
  iems queue release --sender news@example.org
  iems queue redirect 01JD3V9Q4C8R2T6W0X5Y7Z1ABC --to ann@example.org
  iems queue redirect --domain example.net --via smtp:relay.example.org
  iems queue bounce --sender spam@example.org --text 'this account was abused'
  iems queue purge --spam-reports                     removed, and nobody is told
  iems queue pause smtp:example.net --reason 'they asked us to wait'
  iems queue resume smtp:example.net";

/// What waits for delivery.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Args {
    List(list::ListArgs),
    Show(list::ShowArgs),
    Hops(hops::HopsArgs),
    Top(top::TopArgs),
    /// Keep from being tried until released; expiry goes on
    Hold(order::Simple),
    /// Try what is held now
    Release(order::Simple),
    /// Try now, whatever the schedule says, and even if the site was down
    Retry(order::Simple),
    Redirect(order::Redirect),
    Bounce(order::Bounce),
    /// Remove from the queue, without a report to the senders
    Purge(order::Simple),
    Pause(hops::PauseArgs),
    Resume(hops::ResumeArgs),
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        use crate::admin::queue::Order;
        match self {
            Self::List(args) => args.run(file),
            Self::Show(args) => args.run(file),
            Self::Hops(args) => args.run(file),
            Self::Top(args) => args.run(file),
            Self::Hold(args) => args.run(file, Order::Hold),
            Self::Release(args) => args.run(file, Order::Release),
            Self::Retry(args) => args.run(file, Order::Retry),
            Self::Redirect(args) => args.run(file),
            Self::Bounce(args) => args.run(file),
            Self::Purge(args) => args.run(file, Order::Purge),
            Self::Pause(args) => args.run(file),
            Self::Resume(args) => args.run(file),
        }
    }
}
