//! The log: what the libraries trace, to standard error, for people or as JSON lines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::exit::Failure;

/// The levels.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What `level` lets through, or what is wrong with it. A word that is no level would be taken for the name of a part of the program, and all
/// others would be silent.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, String> {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let wrong = |why: String| {
        format!("{why}; expected error, warn, info, debug or trace, or finer: \"info,iems_smtp=debug\"")
    };
    match level.split(',').map(str::trim).find(|word| !word.contains(['=', '[']) && !is_level(word)) {
        Some(word) => Err(wrong(format!("{word:?} is no level"))),
        None => EnvFilter::try_new(level).map_err(|e| wrong(e.to_string())),
    }
}

/// What the log lets through, to be changed while it runs.
pub(crate) struct Level(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl Level {
    /// Takes over `log.level`, unless `IEMS_LOG` says another.
    pub(crate) fn set(&self, config: &Config) {
        if environment().is_none()
            && let Err(why) = filter(&config.log_level).and_then(&self.0)
        {
            tracing::error!("the level of the log stays as it was: {why}");
        }
    }
}

/// `IEMS_LOG`.
fn environment() -> Option<String> {
    std::env::var("IEMS_LOG").ok().filter(|level| !level.is_empty())
}

/// Starts the log of this process. `IEMS_LOG` overrides `log.level`.
pub(crate) fn start(config: &Config) -> Result<Level, Failure> {
    let level = environment().unwrap_or_else(|| config.log_level.clone());
    let filter = filter(&level).map_err(|why| Failure::config(format!("log level {level:?}: {why}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let (level, started) = match config.log_format {
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |filter: EnvFilter| handle.reload(filter).map_err(|e| e.to_string());
            (Level(Box::new(set)), builder.try_init())
        }
        LogFormat::Text => {
            let builder = builder.with_ansi(std::io::stderr().is_terminal()).with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |filter: EnvFilter| handle.reload(filter).map_err(|e| e.to_string());
            (Level(Box::new(set)), builder.try_init())
        }
    };
    started.map_err(|e| Failure::system(format!("cannot start the log: {e}")))?;
    Ok(level)
}
