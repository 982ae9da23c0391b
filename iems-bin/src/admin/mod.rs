//! Administration: the same requests, answered by the server while one runs, and here when none does.

pub(crate) mod answer;
pub(crate) mod certificates;
mod client;
pub(crate) mod limits;
pub(crate) mod office;
pub(crate) mod queue;
pub(crate) mod quota;
pub(crate) mod received;
pub(crate) mod request;
#[cfg(feature = "search")]
pub(crate) mod search;
mod server;
mod socket;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod transfer;
mod wire;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use iems_store::engine::Embedded;
use serde::de::DeserializeOwned;

use crate::config::{self, Config};
use crate::exit::Failure;
use crate::site::{Site, stopped};
use crate::tls;
use answer::Submitted;
use certificates::CertificateAnswer;
use client::Remote;
use office::Office;
use request::{Letter, Request};
pub(crate) use server::Desk;
use status::StatusAnswer;

/// How long a server may take to say how it is.
const STATUS_PATIENCE: Duration = Duration::from_secs(10);

/// Asks, and reads the answer.
pub(crate) fn ask<T: DeserializeOwned>(file: Option<&Path>, request: Request) -> Result<T, Failure> {
    let config = config::load(file)?.config;
    ask_of(&config, request)
}

/// The same, of the site of a configuration that was read already.
pub(crate) fn ask_of<T: DeserializeOwned>(config: &Config, request: Request) -> Result<T, Failure> {
    let answer = run(async {
        let office = find(config).await?;
        let answer = office.answer(request).await;
        office.close().await;
        answer
    })?;
    read(answer)
}

/// Asks as long as an answer leads to a further request; the same server, or the same opened store, answers all.
pub(crate) fn converse<T: DeserializeOwned>(
    config: &Config,
    first: Request,
    mut next: impl FnMut(Result<T, Failure>) -> Result<Option<Request>, Failure>,
) -> Result<(), Failure> {
    run(async {
        let office = find(config).await?;
        let mut request = Some(first);
        let mut end = Ok(());
        while let Some(asked) = request.take() {
            let answer = office.answer(asked).await.and_then(read);
            match next(answer) {
                Ok(further) => request = further,
                Err(failure) => end = Err(failure),
            }
        }
        office.close().await;
        end
    })
}

fn read<T: DeserializeOwned>(answer: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(answer)
        .map_err(|e| Failure::data(format!("the server's answer cannot be read: {e}")))
}

/// Asks the server that runs, and nobody else: the data folder is left alone.
pub(crate) fn ask_server<T: DeserializeOwned>(config: &Config, request: Request) -> Result<T, Failure> {
    run(async {
        match Remote::find(&config.socket).await? {
            Some(remote) => remote.answer(request).await.and_then(read),
            None => Err(Failure::unavailable("no server runs; `iems queue top --once` shows what waits")),
        }
    })
}

/// Orders something that has no answer.
pub(crate) fn order(file: Option<&Path>, request: Request) -> Result<(), Failure> {
    ask::<serde_json::Value>(file, request).map(|_| ())
}

/// How the server of a configuration is, or what its folder tells while none runs. Makes no store.
pub(crate) fn status_of(config: &Config) -> Result<StatusAnswer, Failure> {
    run(async {
        if let Some(remote) = Remote::find(&config.socket).await? {
            let answer = tokio::time::timeout(STATUS_PATIENCE, remote.answer(Request::Status)).await;
            return match answer {
                Ok(answer) => serde_json::from_value(answer?).map_err(Failure::data),
                Err(_) => {
                    Ok(StatusAnswer { running: true, state: "silent".into(), ..StatusAnswer::default() })
                }
            };
        }
        if !Embedded::is_in(&config.data) {
            let missing = format!("there is nothing in the data folder {} yet", config.data.display());
            return Ok(stopped(Some(Failure::data(missing))));
        }
        let site = match Site::open(config).await {
            Ok(site) => Box::new(site),
            Err(failure) => return Ok(stopped(Some(failure))),
        };
        let answer = site.answer(Request::Status).await;
        site.close().await;
        serde_json::from_value(answer?).map_err(Failure::data)
    })
}

/// The certificates that the running server shows; without one, those that the configuration names.
pub(crate) fn certificates_of(config: &Config) -> Result<Vec<CertificateAnswer>, Failure> {
    run(async {
        match Remote::find(&config.socket).await? {
            Some(remote) => remote.answer(Request::TlsShow).await.and_then(read),
            None => tls::at_rest(config),
        }
    })
}

/// Does `job` with the opened store, after its index was read whole and verified; no server may run.
pub(crate) fn with_site<T>(
    file: Option<&Path>,
    job: impl AsyncFnOnce(&Site) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut config = config::load(file)?.config;
    config.verify = true;
    run(async {
        if Remote::find(&config.socket).await?.is_some() {
            return Err(Failure::later("the server runs: stop it first, as this needs the store for itself"));
        }
        let site = Box::new(Site::open(&config).await?);
        let done = job(&site).await;
        site.close().await;
        done
    })
}

/// Does `job` with the running server, or with the opened store; for users who may neither, through the socket where everybody
/// submits.
pub(crate) fn with_submission<T>(
    config: &Config,
    job: impl AsyncFnOnce(&dyn Office) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run(async {
        let office = find_for_submission(config).await?;
        let done = job(&*office).await;
        office.close().await;
        done
    })
}

async fn find_for_submission(config: &Config) -> Result<Box<dyn Office>, Failure> {
    let refused = match Remote::find(&config.socket).await {
        Ok(Some(remote)) => return Ok(Box::new(remote)),
        Ok(None) if may_open(&config.data) => return Ok(Box::new(Site::open(config).await?)),
        Ok(None) => None,
        Err(refused) => Some(refused),
    };
    let Some(socket) = config.submit.as_ref().map(|(socket, _)| socket) else {
        let hint = "users submit through the socket of [submit], which is not set in the configuration";
        return Err(match refused {
            Some(refused) => Failure::forbidden(format!("{refused}; {hint}")),
            None => {
                Failure::forbidden(format!("no access to the data folder {}; {hint}", config.data.display()))
            }
        });
    };
    match Remote::find(socket).await? {
        Some(remote) => Ok(Box::new(remote)),
        None => Err(Failure::later(format!(
            "no server answers at the submission socket {}; try again later",
            socket.display()
        ))),
    }
}

/// Whether this user can open the store, or make one.
#[cfg(unix)]
fn may_open(data: &Path) -> bool {
    use rustix::fs::Access;
    !data.exists() || rustix::fs::access(data, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Whether this user can open the store is seen when it is opened.
#[cfg(not(unix))]
fn may_open(_: &Path) -> bool {
    true
}

/// Submits a message.
pub(crate) async fn submit(
    office: &dyn Office,
    letter: Letter,
    pieces: impl Iterator<Item = Result<Bytes, Failure>>,
) -> Result<Submitted, Failure> {
    let mut submission = office.submit(letter).await?;
    for piece in pieces {
        submission.write(piece?).await?;
    }
    submission.commit().await
}

/// The running server, or else this process.
async fn find(config: &Config) -> Result<Box<dyn Office>, Failure> {
    match Remote::find(&config.socket).await? {
        Some(remote) => Ok(Box::new(remote)),
        None => Ok(Box::new(Site::open(config).await?)),
    }
}

/// Runs a command to its end. Two threads: one may wait for standard input while the other keeps the store going.
fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    runtime.map_err(|e| Failure::system(format!("cannot start: {e}")))?.block_on(work)
}
