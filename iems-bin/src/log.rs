//! The log: what the libraries trace, to standard error, for people or as JSON lines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::exit::Failure;

/// Whether `level` is one, for the check of the configuration.
pub(crate) fn check_level(level: &str) -> Result<(), String> {
    EnvFilter::try_new(level).map(|_| ()).map_err(|e| e.to_string())
}

/// Starts the log of this process. `IEMS_LOG` overrides `log.level`.
pub(crate) fn start(config: &Config) -> Result<(), Failure> {
    let level = std::env::var("IEMS_LOG").unwrap_or_else(|_| config.log_level.clone());
    let filter = EnvFilter::try_new(&level).map_err(|e| {
        Failure::config(format!("log level {level:?}: {e}; expected error, warn, info, debug or trace"))
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|e| Failure::system(format!("cannot start the log: {e}")))
}
