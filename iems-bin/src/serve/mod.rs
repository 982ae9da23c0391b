//! `iems serve`: opens, binds, starts, waits for signals, ends in good order.

mod access;
mod first;
mod gauge;
mod http;
mod limits;
mod listeners;
mod metrics;
mod notify;
mod queue_metrics;
mod reload;
mod signals;

use std::sync::Arc;
use std::time::{Duration, Instant};

use iems_core::limits::Keeper;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Desk;
use crate::config::{Config, Loaded, Protocol};
use crate::exit::Failure;
use crate::site::{Running, Site, close_store, lay};
use crate::tls::{self, Kept};
use crate::{log, memory};
use listeners::Doors;
use metrics::Numbers;
use reload::Reload;
use signals::{Signal, Signals};

/// Runs the server to its end.
pub(crate) fn run(mut loaded: Loaded) -> Result<(), Failure> {
    let level = log::start(&loaded.config)?;
    loaded.warn();
    limits::raise_open_files(&loaded.config);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = loaded.config.threads {
        builder.worker_threads(threads);
    }
    let runtime = builder.thread_name("iems").enable_all().build();
    let runtime = runtime.map_err(|e| Failure::system(format!("cannot start: {e}")))?;
    runtime.block_on(async {
        tokio::spawn(memory::give_back());
        let server = Server::start(&mut loaded, level).await?;
        server.until_told_to_stop(loaded).await
    })
}

/// A server that runs.
struct Server {
    site: Arc<Site>,
    reload: Reload,
    signals: Signals,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Everything that can fail comes before the first peer is let in.
    async fn start(loaded: &mut Loaded, level: log::Level) -> Result<Self, Failure> {
        let signals = Signals::new()?; // whoever is told to stop while it starts ends in good order, too
        let foundation = lay(&loaded.config).await?;
        if loaded.file.is_none() {
            encrypt(&mut loaded.config)?;
        }
        let config = &loaded.config;
        let desk = Desk::open(&config.socket).await?;
        let certificates = Kept::open(config).map_err(Failure::config)?;
        let users = match config.submit.clone() {
            Some((socket, rules)) => Some(Desk::open_for_users(&socket, rules).await?),
            None => None,
        };
        let doors = Doors::open(config, &foundation, &certificates)?;
        #[cfg(feature = "acme")]
        let orders = listeners::orders(config, &foundation, &certificates)?;
        let running = Running {
            since: Instant::now(),
            file: loaded.file.clone(),
            listeners: doors.named.clone(),
            doors: doors.told.clone(),
            certificates: certificates.clone(),
        };
        let engine =
            doors.inputs.iter().fold(foundation.engine(config)?, |engine, door| engine.input(door.clone()));
        let engine = foundation.batch.iter().fold(engine, |engine, batch| engine.input(batch.clone()));
        let engine = engine.memory(Arc::new(gauge::OwnMemory::new())).build().map_err(Failure::config)?;
        let (sts, reporter) = (foundation.sts.clone(), foundation.reporter.clone());
        let site = Arc::new(Site::new(foundation, engine, Some(running)));
        match loaded.file {
            None => first::welcome(&site, config).await?,
            Some(_) => first::hint(&site, config).await?,
        }
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        site.engine.start();
        tasks.spawn(finish_removals(site.clone()));
        let keeper = Keeper::open(site.limits.clone(), site.store.storage().store).await;
        tasks.spawn(keeper.run(shutdown.clone()));
        tasks.spawn(certificates.clone().watch(shutdown.clone()));
        if let Some(tokens) = &site.tokens {
            tasks.spawn(tokens.clone().watch(shutdown.clone()));
        }
        #[cfg(feature = "acme")]
        if let Some((orders, socket)) = orders {
            tasks.spawn(orders.run(socket, shutdown.clone()));
        }
        tasks.spawn(desk.serve(site.clone(), shutdown.clone()));
        if let Some(users) = users {
            tasks.spawn(users.serve(site.clone(), shutdown.clone()));
        }
        if let Some(sts) = sts {
            let shutdown = shutdown.clone();
            tasks.spawn(async move { sts.keep(shutdown).await });
        }
        if let Some(reporter) = reporter {
            let (intake, shutdown) = (site.engine.intake(), shutdown.clone());
            tasks.spawn(async move { reporter.run(intake, shutdown).await });
        }
        let (receiver, ending) = (site.receiver.clone(), shutdown.clone());
        tasks.spawn(async move { receiver.run(ending).await });
        #[cfg(feature = "search")]
        if site.searches {
            site.search.start();
        }
        for listener in doors.metrics {
            tasks.spawn(http::serve(listener, Numbers::new(site.clone()), shutdown.clone()));
        }
        for reader in doors.mailboxes {
            tasks.spawn(reader.serve(shutdown.clone()));
        }
        let file =
            loaded.file.as_deref().map_or_else(|| "built in".into(), |file| file.display().to_string());
        tracing::info!(hostname = %config.hostname, data = %config.data.display(), configuration = file, "ready");
        notify::tell("READY=1");
        let reload = Reload::new(certificates, doors.bounded, level);
        Ok(Self { site, reload, signals, shutdown, tasks })
    }

    async fn until_told_to_stop(mut self, mut loaded: Loaded) -> Result<(), Failure> {
        while self.signals.next().await == Signal::Reload {
            self.reload.run(&mut loaded, &self.site);
        }
        self.stop(&loaded.config).await;
        Ok(())
    }

    /// Drains within the time of grace; a second signal ends it at once. All that was accepted is on disk either way.
    async fn stop(mut self, config: &Config) {
        tracing::info!(grace = ?config.grace, "stopping: no new connections; sessions and attempts under way may finish");
        notify::tell("STOPPING=1");
        self.shutdown.cancel();
        self.tasks.close();
        let drained = async {
            let rest = tokio::time::timeout(config.grace, self.tasks.wait());
            tokio::join!(
                self.site.engine.shutdown(config.grace),
                rest,
                stop_indexing(&self.site, config.grace)
            )
        };
        tokio::select! {
            _ = drained => {}
            () = self.signals.stop() => tracing::warn!("told again: stopping at once"),
        }
        close_store(self.site.store.clone()).await;
        tracing::info!("stopped");
    }
}

/// What is being indexed is cut short; the next start goes on there.
#[cfg(feature = "search")]
async fn stop_indexing(site: &Site, grace: Duration) {
    if tokio::time::timeout(grace, site.search.stop()).await.is_err() {
        tracing::warn!("indexing did not stop in time; what it did last is done again");
    }
}

#[cfg(not(feature = "search"))]
async fn stop_indexing(_: &Site, _: Duration) {}

/// The built-in configuration has TLS with a certificate of our own making.
fn encrypt(config: &mut Config) -> Result<(), Failure> {
    let names = [config.hostname.to_string(), "localhost".into(), "127.0.0.1".into()];
    let certificate = tls::self_signed(&config.data, &names)?;
    for listener in config.listeners.iter_mut().filter(|listener| listener.protocol != Protocol::Metrics) {
        listener.certificate.get_or_insert_with(|| certificate.clone());
    }
    Ok(())
}

/// Ends removals of accounts that an earlier process did not get to the end of.
async fn finish_removals(site: Arc<Site>) {
    match site.directory.mailboxes().purge_removed().await {
        Ok(0) => {}
        Ok(accounts) => tracing::info!(accounts, "removals of accounts were finished"),
        Err(error) => {
            tracing::warn!(%error, "removals of accounts could not be finished; tried again at the next start")
        }
    }
}
