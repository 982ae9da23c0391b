//! Limits of the operating system: as many open files as it allows, since every connection is one.

use crate::config::Config;

/// Files that are open besides connections: the store, the log, sockets.
#[cfg(unix)]
const OTHER_FILES: u64 = 256;

/// Files of the indexes of texts that are kept open.
#[cfg(unix)]
const INDEX_FILES: u64 = 1024;

/// Raises the bound on open files as far as allowed, and says so if that is too little for the configuration.
#[cfg(unix)]
pub(super) fn raise_open_files(config: &Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the bound on open files could not be raised");
        }
    }
    let index = if cfg!(feature = "search") && config.search.index { INDEX_FILES } else { 0 };
    let wanted = index + config.limits.connections as u64 + config.settings.concurrency as u64 + OTHER_FILES;
    if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < wanted) {
        tracing::warn!(allowed, wanted, "fewer open files are allowed than connections configured");
    }
}

/// Nothing to raise.
#[cfg(not(unix))]
pub(super) fn raise_open_files(_config: &Config) {}
