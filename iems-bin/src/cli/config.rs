//! `iems config`: is the configuration right?

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::output::say;
use crate::config;
use crate::exit::Failure;

/// The configuration.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  iems --config iems.toml config check && systemctl reload iems\n\nEvery key, its default and its reason stand in docs/config.md."
)]
pub(super) enum Args {
    /// Check the configuration and the files it names; exit code 78 if something is wrong
    Check {
        /// As JSON: an object with the file, an array of problems and one of warnings
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let Self::Check { json } = self;
        let checked = config::examine(file)?;
        let warnings = checked.warnings;
        match (checked.problems, json) {
            (None, false) => {
                for warning in &warnings {
                    say(format!("warning: {}", warning.at(&checked.file)))?;
                }
                say(format!("{}: nothing is wrong", checked.file.display()))
            }
            (None, true) => say(json!({"file": checked.file, "problems": [], "warnings": warnings})),
            (Some(problems), true) => {
                say(json!({"file": problems.file, "problems": problems.problems, "warnings": warnings}))?;
                Err(Failure::config(format!("{} is not right", checked.file.display())))
            }
            (Some(problems), false) => Err(Failure::config(problems)),
        }
    }
}
