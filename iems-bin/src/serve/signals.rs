//! Signals: stop and reload. Elsewhere than on Unix, Ctrl-C stops.

use crate::exit::Failure;

/// What the server is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM, SIGINT, Ctrl-C.
    Stop,
    /// SIGHUP.
    Reload,
}

#[cfg(unix)]
pub(super) use unix::Signals;

#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    use super::{Failure, Signal};

    /// Signals that were caught.
    pub(in crate::serve) struct Signals {
        term: Stream,
        int: Stream,
        hup: Stream,
    }

    impl Signals {
        /// Catches signals from here on.
        pub(in crate::serve) fn new() -> Result<Self, Failure> {
            let catch =
                |kind| signal(kind).map_err(|e| Failure::system(format!("cannot catch signals: {e}")));
            Ok(Self {
                term: catch(SignalKind::terminate())?,
                int: catch(SignalKind::interrupt())?,
                hup: catch(SignalKind::hangup())?,
            })
        }

        /// The next one.
        pub(in crate::serve) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.term.recv() => Signal::Stop,
                _ = self.int.recv() => Signal::Stop,
                _ = self.hup.recv() => Signal::Reload,
            }
        }

        /// The next one that stops.
        pub(in crate::serve) async fn stop(&mut self) {
            while self.next().await != Signal::Stop {}
        }
    }
}

#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Catches Ctrl-C.
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Stop,
            // Without signals the process is ended from outside.
            Err(_) => std::future::pending().await,
        }
    }

    /// The next one that stops.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}
