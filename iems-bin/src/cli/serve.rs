//! `iems serve`: runs the server until it is told to stop.

use std::path::Path;

use crate::config;
use crate::exit::Failure;
use crate::serve;

/// Run the server.
///
/// SIGTERM or SIGINT: no new connections, sessions and attempts under way get time to finish (`grace`),
/// then it ends. SIGHUP: the configuration is checked, then routes, queue settings, rules, limits and
/// certificates are taken over; what needs a restart is named in the log.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without any configuration it serves the domain iems.localhost on loopback: SMTP on port 2525,\nsubmission on 2587, IMAP on 2143, POP3 on 2110, metrics on 2112, with its data in ./iems-data. The first start\ncreates an account, shows its password once, and how to send and read a message.\n\nExamples:\n  iems serve\n  iems --config /etc/iems/iems.toml serve"
)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        serve::run(config::load_for_service(file)?)
    }
}
