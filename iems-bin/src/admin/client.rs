//! The office behind a socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::io::BufStream;

use super::answer::Submitted;
use super::office::{Office, Submission};
use super::request::{Letter, Request};
use super::socket::{Stream, connect};
use super::wire::{Envelope, LONGEST_ANSWER, Response, VERSION, receive, send, send_piece};
use crate::exit::Failure;

/// How long an answer may take; checking a large store takes a while.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A server that runs.
pub(super) struct Remote {
    path: PathBuf,
}

impl Remote {
    /// The server behind `path`, or `None` if nobody answers there.
    pub(super) async fn find(path: &Path) -> Result<Option<Self>, Failure> {
        match connect(path).await {
            Ok(_) => Ok(Some(Self { path: path.to_owned() })),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(Failure::forbidden(format!(
                    "no access to the administration socket {}: run this as the user the server runs as, or as root",
                    path.display()
                )))
            }
            Err(_) => Ok(None),
        }
    }

    async fn call(&self, request: Request) -> Result<(BufStream<Stream>, Value), Failure> {
        let (stream, token) = connect(&self.path).await.map_err(lost)?;
        let mut stream = BufStream::new(stream);
        send(&mut stream, &Envelope { version: VERSION, token, request }).await.map_err(lost)?;
        let value = response(&mut stream).await?;
        Ok((stream, value))
    }
}

async fn response(stream: &mut BufStream<Stream>) -> Result<Value, Failure> {
    let read = tokio::time::timeout(PATIENCE, receive(stream, LONGEST_ANSWER)).await;
    match read.map_err(|_| Failure::later("the server does not answer"))?.map_err(lost)? {
        Response::Ok(value) => Ok(value),
        Response::Failure(failure) => Err(failure),
    }
}

fn lost(error: std::io::Error) -> Failure {
    Failure::later(format!("the connection to the server broke off: {error}"))
}

#[async_trait]
impl Office for Remote {
    async fn answer(&self, request: Request) -> Result<Value, Failure> {
        self.call(request).await.map(|(_, value)| value)
    }

    async fn submit(&self, letter: Letter) -> Result<Box<dyn Submission>, Failure> {
        let (stream, _) = self.call(Request::Sendmail { letter }).await?;
        Ok(Box::new(RemoteSubmission { stream }))
    }

    async fn close(self: Box<Self>) {}
}

struct RemoteSubmission {
    stream: BufStream<Stream>,
}

#[async_trait]
impl Submission for RemoteSubmission {
    async fn write(&mut self, octets: Bytes) -> Result<(), Failure> {
        if octets.is_empty() {
            return Ok(());
        }
        match send_piece(&mut self.stream, &octets).await {
            Ok(()) => Ok(()),
            // The server says why before it hangs up.
            Err(error) => match response(&mut self.stream).await {
                Err(failure) if failure.code != Failure::later("").code => Err(failure),
                _ => Err(lost(error)),
            },
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<Submitted, Failure> {
        send_piece(&mut self.stream, &[]).await.map_err(lost)?;
        serde_json::from_value(response(&mut self.stream).await?).map_err(Failure::data)
    }
}
