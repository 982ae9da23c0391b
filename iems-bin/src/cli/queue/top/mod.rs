//! `iems queue top`: the queue as it moves. Once, as JSON, or live in the terminal (feature `tui`).

mod draw;
#[cfg(feature = "tui")]
mod live;
#[cfg(feature = "tui")]
mod screen;
mod view;

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use super::super::output::{say, show};
use super::which::seconds;
use crate::admin::queue::OverviewAnswer;
use crate::admin::request::Request;
use crate::admin::{ask_of, ask_server};
use crate::config::{self, Config};
use crate::exit::Failure;
use view::View;

/// Watch the queue: its hops by length, age or rate, with what holds them
///
/// Keys: s or the arrows to the sides sort, up and down choose a hop, p pauses or resumes it, r tries all that waits for it now,
/// q quits. RATE is deliveries a minute since the last look.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  iems queue top\n  iems queue top --sort oldest --every 10s\n  iems queue top --once\n  iems queue top --once --json      for a script: one object\n  iems queue top --json             one object a line, until interrupted"
)]
pub(in crate::cli) struct TopArgs {
    /// Look once, print, and end
    #[arg(long)]
    once: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = seconds)]
    every: u64,
    /// What comes first
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// At most so many hops, the longest queues
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// The order of hops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Sort {
    /// The longest first
    #[default]
    Depth,
    /// The one whose oldest message waits longest first
    Oldest,
    /// The one with most deliveries first
    Rate,
    /// By name
    Name,
}

impl TopArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let config = config::load(file)?.config;
        let every = Duration::from_secs(self.every.max(1));
        match (self.once, self.json) {
            (true, true) => {
                let overview: OverviewAnswer = ask_of(&config, self.request())?;
                show(&overview, true, |_| String::new())
            }
            (true, false) => {
                let mut view = View::new(self.sort);
                view.look(ask_of(&config, self.request())?);
                say(draw::lines(&view, 200, usize::MAX).join("\n"))
            }
            (false, true) => self.lines(&config, every),
            (false, false) => self.live(&config, every),
        }
    }

    fn request(&self) -> Request {
        Request::QueueHops { by_name: self.sort == Sort::Name, limit: self.limit }
    }

    /// An object a line, until the reader goes or somebody interrupts.
    fn lines(&self, config: &Config, every: Duration) -> Result<(), Failure> {
        loop {
            let overview: OverviewAnswer = ask_server(config, self.request())?;
            let line = serde_json::to_string(&overview).map_err(Failure::data)?;
            match writeln!(std::io::stdout().lock(), "{line}") {
                Ok(()) => std::thread::sleep(every),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(Failure::io(format!("cannot write to standard output: {error}"))),
            }
        }
    }

    #[cfg(feature = "tui")]
    fn live(&self, config: &Config, every: Duration) -> Result<(), Failure> {
        live::run(config, &self.request(), every, self.sort)
    }

    #[cfg(not(feature = "tui"))]
    fn live(&self, _: &Config, _: Duration) -> Result<(), Failure> {
        Err(Failure::usage("this build has no live view: say --once, or --json"))
    }
}
