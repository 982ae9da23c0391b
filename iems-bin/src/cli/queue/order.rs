//! Orders about what waits: `hold`, `release`, `retry`, `redirect`, `bounce`, `purge`.
//!
//! A long order goes in pieces, so that the terminal shows how far it is, and whoever interrupts it knows.

use std::io::{IsTerminal, Write};
use std::path::Path;

use iems_core::message::Mailbox;

use super::super::output::show;
use super::list::table;
use super::which::Chosen;
use crate::admin::converse;
use crate::admin::queue::{Extent, Filter, Order, OrderAnswer};
use crate::admin::request::Request;
use crate::config::{self, Config};
use crate::exit::Failure;

/// Entries in one piece.
const PIECE: usize = 5000;
/// Messages that a dry run shows.
const SHOWN: usize = 20;

/// An order without words of its own.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Simple {
    #[command(flatten)]
    chosen: Chosen,
}

/// Send elsewhere: to another address, or by another way
///
/// To another address the message goes as a new one, from the same sender, for all its recipients that still wait. By another
/// way the recipients stay. What an attempt is under way for is left alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  iems queue redirect 01JD3V9Q4C8R2T6W0X5Y7Z1ABC --to ann@example.org\n  iems queue redirect --domain example.net --via smtp:relay.example.org:587"
)]
#[command(group = clap::ArgGroup::new("where").required(true).args(["to", "via"]))]
pub(in crate::cli) struct Redirect {
    #[command(flatten)]
    chosen: Chosen,
    /// To this address
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Mailbox>,
    /// By this way: smtp:host, smtp:host:port, lmtp:host:port or lmtp:/path
    #[arg(long, value_name = "WAY")]
    via: Option<String>,
}

/// Give up, with a report to the sender
///
/// What an attempt is under way for is left alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  iems queue bounce --domain example.net --older 1d --text 'example.net is gone'"
)]
pub(in crate::cli) struct Bounce {
    #[command(flatten)]
    chosen: Chosen,
    /// What the report says [default: the administrator of this system gave the message up]
    #[arg(long)]
    text: Option<String>,
}

impl Simple {
    pub(super) fn run(self, file: Option<&Path>, order: Order) -> Result<(), Failure> {
        carry_out(file, order, self.chosen)
    }
}

impl Redirect {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let order = match (self.to, self.via) {
            (Some(to), _) => Order::Redirect(to),
            (None, via) => Order::Via(via.unwrap_or_default()),
        };
        carry_out(file, order, self.chosen)
    }
}

impl Bounce {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        carry_out(file, Order::Bounce(self.text), self.chosen)
    }
}

fn carry_out(file: Option<&Path>, order: Order, chosen: Chosen) -> Result<(), Failure> {
    let is_final = matches!(order, Order::Purge | Order::Bounce(_) | Order::Redirect(_));
    let (trial, json) = (chosen.dry_run, chosen.json);
    let filter = chosen.filter(is_final)?;
    let config = config::load(file)?.config;
    let words = words(&order);
    let answer = in_pieces(&config, &order, filter, trial)?;
    show(&answer, json, |answer| told(answer, words))
}

/// Piece after piece, with a word about each to a terminal.
fn in_pieces(
    config: &Config,
    order: &Order,
    mut filter: Filter,
    trial: bool,
) -> Result<OrderAnswer, Failure> {
    let mut all = OrderAnswer { dry_run: trial, ..OrderAnswer::default() };
    let piece = |filter: &Filter, shown: usize| {
        let show = if trial { SHOWN.saturating_sub(shown) } else { 0 };
        let extent = Extent { trial, show, most: Some(PIECE) };
        Request::QueueOrder { filter: filter.clone(), order: order.clone(), extent }
    };
    converse(config, piece(&filter, 0), |answer: Result<OrderAnswer, Failure>| {
        let done = answer.map_err(|failure| so_far(failure, &all))?;
        all.changed += done.changed;
        all.unchanged += done.unchanged;
        all.under_way += done.under_way;
        all.first.extend(done.first);
        filter.after = done.next;
        progress(&all, filter.after.is_none());
        Ok(filter.after.is_some().then(|| piece(&filter, all.first.len())))
    })?;
    Ok(all)
}

/// A failure in the middle of an order says how much of it is done.
fn so_far(failure: Failure, all: &OrderAnswer) -> Failure {
    match all.changed {
        0 => failure,
        n => Failure { message: format!("{} (done so far: {})", failure.message, entries(n)), ..failure },
    }
}

/// One line that is written over; nothing where nobody looks, or nothing is left to wait for.
fn progress(all: &OrderAnswer, done: bool) {
    let mut err = std::io::stderr();
    let seen = all.changed + all.unchanged + all.under_way;
    if !err.is_terminal() || (done && seen <= PIECE as u64) {
        return;
    }
    let line = if done { "\r\x1b[K".into() } else { format!("\r{} looked at", entries(seen)) };
    // Whoever closed it does not want to know.
    let _ = write!(err, "{line}").and_then(|()| err.flush());
}

/// What is said of entries that were changed, that would be, and that were not.
fn words(order: &Order) -> [&'static str; 3] {
    match order {
        Order::Hold => ["held", "would be held", "held already"],
        Order::Release => ["released, to be tried now", "would be released", "not held"],
        Order::Retry => ["to be tried now", "would be tried now", "held: release them first"],
        Order::Purge => ["removed", "would be removed", "gone meanwhile"],
        Order::Bounce(_) => ["given up, with a report to the sender", "would be given up", "gone meanwhile"],
        Order::Redirect(_) => {
            ["sent to the other address", "would be sent to the other address", "gone meanwhile"]
        }
        Order::Via(_) => ["sent the other way", "would be sent the other way", "going that way already"],
    }
}

fn told(answer: &OrderAnswer, [done, would, not]: [&str; 3]) -> String {
    let word = if answer.dry_run { would } else { done };
    let mut lines = vec![format!("{} {word}", entries(answer.changed))];
    if answer.unchanged > 0 {
        lines.push(format!("{} {not}", entries(answer.unchanged)));
    }
    if answer.under_way > 0 {
        lines.push(format!(
            "{} left alone: an attempt is under way; hold them, then repeat",
            entries(answer.under_way)
        ));
    }
    if !answer.first.is_empty() {
        lines.push(table(&answer.first));
    }
    lines.join("\n")
}

fn entries(count: u64) -> String {
    match count {
        1 => "1 entry".into(),
        n => format!("{n} entries"),
    }
}
